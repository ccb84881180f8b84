"""The vacuum as a rectangle on the screen, and the camera measured on it."""

import math
from collections.abc import Generator
from dataclasses import dataclass

import napari.viewer
import numpy as np
import numpy.typing as npt
from napari.layers import Image, Shapes

from framedose.camera.calibrate import calibrate
from framedose.camera.frames import one_sampling
from framedose.camera.issue import issue_passport
from framedose.camera.passport import CameraPassport, Hardware, Interval
from framedose.camera.vacuum import Region
from framedose.errors import ConfigurationError
from framedose.files import Frames
from framedose.files.recorded import Recorded, refuse_processed
from framedose.provenance import file_digest
from framedose.viewer.layers import like

NAME = "vacuum"
"""Name of the Shapes layer."""


def vacuum_layer(viewer: napari.viewer.Viewer, image: Image) -> Shapes:
    """Return the layer for the vacuum's rectangle, on the pixels of ``image`` and over all of its frames."""
    if NAME in viewer.layers:
        layer = viewer.layers[NAME]
        align(layer, image)
        return layer
    return viewer.add_shapes(
        ndim=2, name=NAME, face_color="transparent", edge_color="#D55E00", edge_width=4, **like(image, 2)
    )


def align(layer: Shapes, image: Image) -> None:
    """Put the rectangle on the pixels of ``image``."""
    placed = like(image, 2)
    layer.scale, layer.units = placed["scale"], placed["units"]


def show_region(layer: Shapes, region: Region) -> None:
    """Draw a region in place of what was drawn before."""
    # The centre of the first pixel has the coordinate 0.
    y0, x0, y1, x1 = (edge - 0.5 for edge in (region.y0, region.x0, region.y1, region.x1))
    layer.data = []
    layer.add_rectangles(np.array([[y0, x0], [y0, x1], [y1, x1], [y1, x0]]))


def drawn_region(viewer: napari.viewer.Viewer, shape: tuple[int, ...]) -> Region | None:
    """Return the last rectangle of the vacuum layer, cut to a frame of ``shape`` (y, x); None if there is none.

    Raises
    ------
    ConfigurationError
        If the shape is no upright rectangle, or lies outside of the frame.
    """
    if NAME not in viewer.layers or not len(viewer.layers[NAME].data):
        return None
    corners: npt.NDArray[np.float64] = viewer.layers[NAME].data[-1][:, -2:]
    (top, left), (bottom, right) = corners.min(axis=0), corners.max(axis=0)
    upright = all(
        min(abs(y - top), abs(y - bottom)) < 0.5 and min(abs(x - left), abs(x - right)) < 0.5 for y, x in corners
    )
    if viewer.layers[NAME].shape_type[-1] != "rectangle" or not upright:
        raise ConfigurationError("The vacuum must be an upright rectangle: draw it with Draw, or let Find find it.")
    y0, x0 = (max(math.ceil(edge + 0.5 - 1e-3), 0) for edge in (top, left))
    y1, x1 = (min(math.floor(edge + 0.5 + 1e-3), size) for edge, size in zip((bottom, right), shape[-2:], strict=True))
    if y0 >= y1 or x0 >= x1:
        raise ConfigurationError("The rectangle of the vacuum lies outside of the frame: draw it again.")
    return Region(y0, x0, y1, x1)


@dataclass(frozen=True)
class Measured:
    """A camera, and where it was measured."""

    passport: CameraPassport
    region: Region


def measured(
    frames: Frames,
    *,
    region: Region | None,
    doses: list[float] | None,
    offset: float | None,
    allow_processed: bool,
    camera: str,
) -> Generator[Measured, None, None]:
    """Calibrate a camera on the vacuum of frames and yield its passport, as ``framedose calibrate`` does.

    Parameters
    ----------
    frames
        Raw frames with vacuum in them.
    region
        Where it is; found in all frames together if None.
    doses
        e/Å2 of each frame, or one number for all; None if unknown.
    offset
        Counts without electrons, if known.
    allow_processed
        Measure frames that are not raw all the same.
    camera
        Name of the camera, for the passport.
    """
    recorded = Recorded([frames])
    flags = refuse_processed(recorded, allow=allow_processed)
    sampling = one_sampling(recorded.samplings)
    result = calibrate(recorded, sampling=sampling, doses=doses, region=region, offset=offset)
    hashes = [{"file": file.name, "sha256": file_digest(file)} for file in frames.files]
    hardware = Hardware(frame_time=recorded.exposure)
    passport = issue_passport(result, camera=camera, frames=hashes, hardware=hardware, flags=flags)
    yield Measured(passport, result.region)


def described(passport: CameraPassport) -> list[str]:
    """Return the numbers of a passport, a line each, then its flags.

    The readout is N_0 [e2/px], C the floor of the MTF of Eq. 1, the gain in counts per electron.
    """
    named = (
        ("c0", passport.mtf.c0),
        ("c3", passport.mtf.c3),
        ("readout", passport.readout),
        ("gain", passport.gain),
        ("offset", passport.offset),
        ("excess noise", passport.excess_noise),
    )
    lines = [_line(name, interval) for name, interval in named if interval is not None]
    return [passport.camera, *lines, f"C = {passport.mtf.floor:g}", *(f"! {flag}" for flag in passport.flags)]


def _line(name: str, interval: Interval) -> str:
    known = name if interval.quantity is None else f"{name} as {interval.quantity}"
    return f"{known} = {interval.value:.4g} ± {(interval.high - interval.low) / 2:.2g}"
