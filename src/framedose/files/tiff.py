"""TIFF: the frames of a file and the pixel size that its tags hold."""

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from framedose.errors import FileFormatError, ImageError
from framedose.files.calibration import pixel_size

# Tags of Gatan's DigitalMicrograph: unit and size of a pixel along x and y.
DM_UNIT_X, DM_UNIT_Y, DM_SIZE_X, DM_SIZE_Y = 65003, 65004, 65009, 65010

# TIFF's own resolution usually belongs to a printer (72 per inch is 3.5 million Å); a microscope's is below this.
_COARSEST_PLAUSIBLE = 100.0
_ANGSTROMS_PER_RESOLUTION_UNIT = {2: 2.54e8, 3: 1e8}


def read_tiff(path: Path, *, calibrated: bool) -> tuple[npt.NDArray[Any], float | None]:
    """Return the pixels, shape (frames, y, x) or (frames, y, x, channels), and the pixel size [Å/px] or None.

    Parameters
    ----------
    path
        The file.
    calibrated
        The pixel size is known already: do not look for it.

    Raises
    ------
    FileFormatError
        If the data are damaged, or the file holds several series of images.
    ImageError
        If there is more than one frame axis.
    CalibrationError
        If the pixel size is not a length, or the pixels are not square.
    """
    with _damage_is_an_error(path), tifffile.TiffFile(path) as file:
        # Reduced copies of an image (thumbnails) are not data.
        series = [one for one in file.series if not one.keyframe.is_reduced]
        if len(series) != 1:
            shapes = ", ".join(str(one.shape) for one in series)
            raise FileFormatError(
                f"{path}: holds {len(series)} images of different shapes ({shapes}). Save the one to use alone."
            )
        pixels, axes = series[0].asarray(), series[0].axes
        if series[0].keyframe.colormap is not None:
            pixels, axes = series[0].keyframe.colormap.T[pixels], f"{axes}S"
        sampling = None if calibrated else _sampling(file, origin=str(path))
    if "S" in axes:
        pixels = np.moveaxis(pixels, axes.index("S"), -1)
    frame_axes = axes.replace("S", "").removesuffix("YX")
    if len(frame_axes) > 1:
        raise ImageError(
            f"{path}: has the axes {axes}, shape {pixels.shape}; split it into stacks with one axis of frames."
        )
    return (pixels if frame_axes else pixels[np.newaxis]), sampling


def _sampling(file: tifffile.TiffFile, *, origin: str) -> float | None:
    """Return the pixel size [Å] from ImageJ, DigitalMicrograph, OME, or TIFF's own tags, the first that has one."""
    page = file.pages.first
    per_unit_x, per_unit_y = page.resolution
    per_pixel_x, per_pixel_y = (1 / value if value > 0 else math.nan for value in (per_unit_x, per_unit_y))
    candidates: list[tuple[float, float, str]] = []
    if file.imagej_metadata:
        # ImageJ escapes what is not ASCII: \u00B5m, \u00C5.
        unit = str(file.imagej_metadata.get("unit", "")).encode("latin-1", "replace").decode("unicode_escape")
        candidates.append((per_pixel_y, per_pixel_x, unit))
    if all(tag in page.tags for tag in (DM_UNIT_X, DM_UNIT_Y, DM_SIZE_X, DM_SIZE_Y)):
        unit_x, unit_y, size_x, size_y = (page.tags[tag].value for tag in (DM_UNIT_X, DM_UNIT_Y, DM_SIZE_X, DM_SIZE_Y))
        if unit_x == unit_y:
            candidates.append((size_y, size_x, unit_x))
    if file.ome_metadata:
        candidates.append(_ome(file.ome_metadata))
    for y, x, unit in candidates:
        sampling = pixel_size(y, x, unit, origin=origin)
        if sampling is not None:
            return sampling
    scale = _ANGSTROMS_PER_RESOLUTION_UNIT.get(int(page.resolutionunit), math.nan)
    sampling = pixel_size(per_pixel_y * scale, per_pixel_x * scale, "Å", origin=origin)
    return sampling if sampling is not None and sampling < _COARSEST_PLAUSIBLE else None


def _ome(xml: str) -> tuple[float, float, str]:
    image = tifffile.xml2dict(xml)["OME"]["Image"]
    pixels = (image[0] if isinstance(image, list) else image)["Pixels"]
    y, x = (float(pixels.get(key, math.nan)) for key in ("PhysicalSizeY", "PhysicalSizeX"))
    return y, x, str(pixels.get("PhysicalSizeXUnit", "µm"))


@contextmanager
def _damage_is_an_error(path: Path) -> Iterator[None]:
    """Raise what tifffile only logs: it returns the readable part of a damaged file as if that were all."""
    complaints: list[str] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: complaints.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("tifffile")
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
    if complaints:
        raise FileFormatError(f"{path}: is damaged or truncated ({complaints[0]}). Copy it again from its source.")
