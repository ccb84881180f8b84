"""TIFF: the frames of a file and the pixel size that its tags hold."""

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from framedose.errors import FileFormatError, ImageError
from framedose.files.calibration import Scale
from framedose.files.source import Source

# Tags of Gatan's DigitalMicrograph: unit and size of a pixel along x and y.
DM_UNIT_X, DM_UNIT_Y, DM_SIZE_X, DM_SIZE_Y = 65003, 65004, 65009, 65010

# TIFF's own resolution usually belongs to a printer (72 per inch is 3.5 million Å); a microscope's is below this.
_COARSEST_PLAUSIBLE = 100.0
_ANGSTROMS_PER_RESOLUTION_UNIT = {2: 2.54e8, 3: 1e8}

Load = Callable[[int], npt.NDArray[Any]]


def open_tiff(path: Path) -> Source:
    """Find the frames and the scale; frames are read when they are asked for.

    Raises
    ------
    FileFormatError
        If the data are damaged, or the file holds several series of images.
    ImageError
        If there is more than one frame axis.
    """
    with _damage_is_an_error(path), tifffile.TiffFile(path) as file:
        number = _series_number(file, path)
        series = file.series[number]
        axes, shape = _axes(series)
        frame_axes = _frame_axes(axes)
        if len(frame_axes) > 1:
            raise ImageError(
                f"{path}: has the axes {series.axes}, shape {series.shape}; split it into stacks with one axis of "
                "frames."
            )
        frames = shape[axes.index(frame_axes)] if frame_axes else 1
        if series.dataoffset is not None and axes.startswith(frame_axes):
            load, pixels = _contiguous(path, series, file.byteorder, frames), series.size // frames
        else:
            load, pixels = _paged(path, number), _decoded_pixels(series)
        return Source(frames, series.dtype, _as_shown(load, series), pixels, scale=_scale(file))


def _axes(series: tifffile.TiffPageSeries) -> tuple[str, tuple[int, ...]]:
    """Return the axes of a series and their lengths, without those of length 1 that are no side of an image."""
    kept = [(axis, size) for axis, size in zip(series.axes, series.shape, strict=True) if size > 1 or axis in "YXS"]
    return "".join(axis for axis, _ in kept), tuple(size for _, size in kept)


def _frame_axes(axes: str) -> str:
    return axes.replace("S", "").removesuffix("YX")


def _series_number(file: tifffile.TiffFile, path: Path) -> int:
    # Reduced copies of an image (thumbnails) are not data, and neither is a colour picture of the one grey image.
    full = [number for number, one in enumerate(file.series) if not one.keyframe.is_reduced]
    grey = [number for number in full if "S" not in file.series[number].axes]
    chosen = grey if len(grey) == 1 else full
    if len(chosen) != 1:
        shapes = ", ".join(str(file.series[number].shape) for number in chosen)
        raise FileFormatError(
            f"{path}: holds {len(chosen)} images that are no stack ({shapes}). Save the one to use alone."
        )
    return chosen[0]


def _contiguous(path: Path, series: tifffile.TiffPageSeries, byteorder: str, frames: int) -> Load:
    """Read frames that lie one after the other, without a map of the file that would stay in memory."""
    dtype = series.dtype.newbyteorder(byteorder)
    axes, shape = _axes(series)
    shape = shape[1:] if _frame_axes(axes) else shape
    size = math.prod(shape) * dtype.itemsize
    needed = series.dataoffset + frames * size
    if path.stat().st_size < needed:
        raise FileFormatError(f"{path}: is truncated, it should have {needed} bytes. Copy it again from its source.")
    return lambda index: np.fromfile(path, dtype, math.prod(shape), offset=series.dataoffset + index * size).reshape(
        shape
    )


def _paged(path: Path, number: int) -> Load:
    """Decode the page of a frame, or all of a series whose pages are not its frames."""

    def load(index: int) -> npt.NDArray[Any]:
        with _damage_is_an_error(path), tifffile.TiffFile(path) as file:
            series = file.series[number]
            axes, shape = _axes(series)
            if _pages_are_frames(series):
                return np.asarray(series.pages[index].asarray()).reshape(shape[1:])
            pixels = np.asarray(series.asarray()).reshape(shape)
            return np.take(pixels, index, axis=axes.index(_frame_axes(axes))) if _frame_axes(axes) else pixels

    return load


def _decoded_pixels(series: tifffile.TiffPageSeries) -> int:
    """Return the pixels of a page that is a frame, or of the whole series; a tile may be larger than its page."""
    page = series.keyframe
    return int(max(page.size if _pages_are_frames(series) else series.size, math.prod(page.chunks)))


def _pages_are_frames(series: tifffile.TiffPageSeries) -> bool:
    axes, shape = _axes(series)
    return bool(_frame_axes(axes)) and axes.startswith(_frame_axes(axes)) and len(series.pages) == shape[0]


def _as_shown(load: Load, series: tifffile.TiffPageSeries) -> Load:
    """Return frames with the colours of a palette, colours as a last axis, and white as the highest value."""
    page, (axes, _) = series.keyframe, _axes(series)
    axes = axes.replace(_frame_axes(axes), "") if _frame_axes(axes) else axes
    if page.colormap is not None:
        return lambda index: page.colormap.T[load(index)]
    if "S" in axes:
        return lambda index: np.moveaxis(load(index), axes.index("S"), -1)
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and series.dtype.kind == "u":
        white = series.dtype.type((1 << page.bitspersample) - 1)
        return lambda index: white - load(index)
    return load


def _scale(file: tifffile.TiffFile) -> Scale | None:
    """Return the pixel size of ImageJ, DigitalMicrograph, OME, or TIFF's own tags, the first that has one."""
    page = file.pages.first
    per_pixel_x, per_pixel_y = (1 / value if value > 0 else math.nan for value in page.resolution)
    candidates: list[Scale] = []
    if file.imagej_metadata:
        # ImageJ escapes what is not ASCII: \u00B5m, \u00C5.
        unit = str(file.imagej_metadata.get("unit", "")).encode("latin-1", "replace").decode("unicode_escape")
        candidates.append(Scale(per_pixel_y, per_pixel_x, unit, unit))
    if all(tag in page.tags for tag in (DM_UNIT_X, DM_UNIT_Y, DM_SIZE_X, DM_SIZE_Y)):
        unit_x, unit_y, size_x, size_y = (page.tags[tag].value for tag in (DM_UNIT_X, DM_UNIT_Y, DM_SIZE_X, DM_SIZE_Y))
        candidates.append(Scale(size_y, size_x, str(unit_y), str(unit_x)))
    if file.ome_metadata:
        candidates.append(_ome(file.ome_metadata))
    printed = _ANGSTROMS_PER_RESOLUTION_UNIT.get(int(page.resolutionunit), math.nan)
    if max(per_pixel_y, per_pixel_x) * printed < _COARSEST_PLAUSIBLE:
        candidates.append(Scale(per_pixel_y * printed, per_pixel_x * printed, "Å", "Å"))
    return next((scale for scale in candidates if scale.present), None)


def _ome(xml: str) -> Scale:
    image = tifffile.xml2dict(xml)["OME"]["Image"]
    pixels = (image[0] if isinstance(image, list) else image)["Pixels"]
    y, x = (float(pixels.get(f"PhysicalSize{axis}", math.nan)) for axis in "YX")
    unit_y, unit_x = (str(pixels.get(f"PhysicalSize{axis}Unit", "µm")) for axis in "YX")
    return Scale(y, x, unit_y, unit_x)


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
