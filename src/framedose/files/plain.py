"""PNG and npy: pixels without a scale."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from framedose.errors import ImageError
from framedose.files.source import Source


def open_png(path: Path) -> Source:
    """Find the one frame of a PNG."""
    with Image.open(path, formats=["PNG"]) as image:
        mode, pixels = image.mode, image.width * image.height
    dtype = bool if mode == "1" else np.uint16 if mode.startswith("I") else np.uint8
    return Source(1, np.dtype(dtype), lambda _: _read_png(path), pixels)


def _read_png(path: Path) -> npt.NDArray[Any]:
    with Image.open(path, formats=["PNG"]) as image:
        # A palette holds the grey levels or the colours.
        return np.asarray(image.convert("RGBA") if image.mode == "P" else image)


def open_npy(path: Path) -> Source:
    """Find the frames of a NumPy array of shape (y, x) or (frames, y, x); an array of objects is never unpickled.

    Raises
    ------
    ImageError
        If the array has another number of axes.
    """

    def mapped() -> npt.NDArray[Any]:
        return np.asanyarray(np.load(path, mmap_mode="r", allow_pickle=False))

    array = mapped()
    if array.ndim not in (2, 3):
        raise ImageError(f"{path}: needs an array of shape (y, x) or (frames, y, x), got shape {array.shape}.")
    if array.ndim == 2:
        return Source(1, array.dtype, lambda _: np.array(mapped()), array.size)
    # Mapped anew for each frame: what was read does not stay in memory.
    return Source(len(array), array.dtype, lambda index: np.array(mapped()[index]), array[0].size)
