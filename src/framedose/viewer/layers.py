"""Between napari's layers and calibrated frames: the scale of a layer is the pixel size of its frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import numpy.typing as npt
from napari.layers import Image, Layer
from napari.utils.notifications import show_warning

from framedose.errors import CalibrationError, ConfigurationError, ImageError
from framedose.files import Frames, read
from framedose.files.calibration import Scale, pixel_sides
from framedose.files.rawness import rawness_flags
from framedose.micrograph import Micrograph
from framedose.viewer.notify import notified, one_line

KEY = "framedose"
"""Where a layer's metadata hold its :class:`Source`."""

RESULT = "framedose_result"
"""Where the metadata of the layers of results, which are no micrographs, hold what they show."""

# Grey levels span this much of a frame [%].
_CENTRAL = (0.5, 99.5)


@dataclass(frozen=True, eq=False)
class Source:
    """Where the frames of a layer come from."""

    frames: Frames | None
    """The frames of the file; None for an array that something else made a layer of."""
    sampling: float | None
    """Side of a pixel as the file or the layer came with it [Å/px]; None where the user has to say it."""


def layer_data(path: Path) -> tuple[Any, dict[str, Any], str]:
    """Open a file or folder as napari wants layers: data, options, kind.

    A single frame is an array (y, x), a series a dask array (frames, y, x) of one frame a chunk. Without a pixel size
    in the file the layer is in pixels, and a notification says so.

    Raises
    ------
    FramedoseError
        As :func:`framedose.read`.
    """
    try:
        frames = read(path)
        first = frames[0]
        sampling: float | None = first.sampling
    except CalibrationError as error:
        # The size given here is not used; a diffraction pattern is refused once more.
        frames = read(path, sampling=1.0)
        first, sampling = frames[0], None
        show_warning(one_line(error))
    data = first.image if len(frames) == 1 else _lazy(frames, first.image.shape)
    options = {
        "name": path.stem,
        "metadata": {KEY: Source(frames, sampling)},
        "contrast_limits": grey_levels(first.image),
        **({} if sampling is None else grid(data.ndim, sampling)),
    }
    return data, options, "image"


def grey_levels(image: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Return the levels of black and white that show one frame (y, x): its central 99 %."""
    low, high = np.percentile(image, _CENTRAL)
    return float(low), float(max(high, np.nextafter(low, np.inf)))


def _lazy(frames: Frames, shape: tuple[int, ...]) -> Any:
    """Return a dask array (frames, y, x) that reads a frame when it is shown."""

    def load(index: int) -> npt.NDArray[np.float32]:
        # napari asks for a frame while it draws: an exception there would be a traceback.
        with notified():
            return frames[index].image
        return np.full(shape, np.nan, dtype=np.float32)

    loaded = dask.delayed(load, pure=True)
    return da.stack([da.from_delayed(loaded(index), shape, np.float32) for index in range(len(frames))])


def grid(ndim: int, sampling: float) -> dict[str, Any]:
    """Return the scale and units of a layer (frames, y, x) or (y, x) with pixels of ``sampling`` [Å]."""
    frame_axis = ndim - 2
    return {
        "scale": (1.0,) * frame_axis + (sampling / 10,) * 2,
        "units": ("pixel",) * frame_axis + ("nm",) * 2,
    }


def like(layer: Layer, ndim: int) -> dict[str, Any]:
    """Return the scale and units that put another layer of ``ndim`` axes on the pixels of ``layer``."""
    return {"scale": layer.scale[-ndim:], "units": layer.units[-ndim:]}


def sampling_of(layer: Layer) -> float:
    """Return the side of a pixel [Å] by the scale of a layer.

    Raises
    ------
    CalibrationError
        If it has none, or one that cannot be used.
    """
    scale = Scale(*layer.scale[-2:], *(f"{unit:~}" for unit in layer.units[-2:]))
    return pixel_sides(scale, sampling=None, allow_unequal=False, origin=layer.name)[0]


def source_of(layer: Image) -> Source:
    """Return where a layer comes from, and remember it with the layer."""
    if KEY not in layer.metadata:
        try:
            sampling = sampling_of(layer)
        except CalibrationError:
            sampling = None
        layer.metadata[KEY] = Source(None, sampling)
    source: Source = layer.metadata[KEY]
    return source


def set_sampling(layers: Sequence[Layer], sampling: float) -> None:
    """Give layers that lie on the same pixels their size [Å/px]."""
    for layer in layers:
        scale = grid(layer.ndim, sampling)
        layer.scale, layer.units = scale["scale"], scale["units"]


def frames_of(layer: Image) -> Frames:
    """Return the calibrated frames of a layer.

    Raises
    ------
    CalibrationError
        If the layer has no pixel size.
    ImageError
        If it is not an image (y, x) or a series (frames, y, x).
    """
    sampling, source = sampling_of(layer), source_of(layer)
    if source.frames is None:
        return _array_frames(layer, sampling)
    if source.sampling is None:
        return read(source.frames.origin, sampling=sampling)
    return source.frames


def _array_frames(layer: Image, sampling: float) -> Frames:
    if layer.rgb or layer.multiscale or layer.ndim not in (2, 3):
        raise ImageError(f"{layer.name}: must be a grey image (y, x) or a series (frames, y, x).")
    data = layer.data if layer.ndim == 3 else layer.data[np.newaxis]

    def load(index: int) -> Micrograph:
        pixels = np.asarray(data[index])
        flags = rawness_flags(pixels)
        return Micrograph(pixels.astype(np.float32), sampling, origin=layer.name, frame=index, flags=flags)

    return Frames(Path(layer.name), [], range(len(data)), load)


def current_frame(layer: Layer, point: Sequence[float]) -> int:
    """Return the index of the frame of a layer that is shown where the sliders stand, ``viewer.dims.point``."""
    if layer.ndim == 2:
        return 0
    if layer.ndim != 3:
        raise ConfigurationError(f"{layer.name}: must have the axes (y, x) or (frames, y, x), has {layer.ndim} axes.")
    return int(np.clip(round(layer.world_to_data(point)[0]), 0, layer.data.shape[0] - 1))
