"""Where a frame shows vacuum: the largest rectangle without structure."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter

from framedose.camera.spectrum import Floats, Mask
from framedose.errors import ConfigurationError, ImageError

SMALLEST_SIDE = 128
"""A found region is at least this wide and high [px]; one that was drawn may be half of it."""

# Structure shows in the variance of pixels and of sums of 2x2 and 4x4: lattice fringes in the first, grain in the last.
_SCALES = (1, 2, 4)
_LOWEST_SHARE = 0.05
_TOLERANCE = 3.5
_GRADIENT_ROUNDS = 4


@dataclass(frozen=True)
class Region:
    """A rectangle of pixels."""

    y0: int
    x0: int
    y1: int
    """First row after the region."""
    x1: int
    """First column after the region."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``"y0,x0,y1,x1"``.

        Examples
        --------
        >>> Region.parse("0,16,512,528").shape
        (512, 512)
        """
        try:
            y0, x0, y1, x1 = (int(part) for part in text.split(","))
        except ValueError:
            raise ConfigurationError(f"--roi must be y0,x0,y1,x1 in whole pixels, got {text!r}.") from None
        if not (0 <= y0 < y1 and 0 <= x0 < x1):
            raise ConfigurationError(f"--roi must have 0 <= y0 < y1 and 0 <= x0 < x1, got {text!r}.")
        return cls(y0, x0, y1, x1)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.y1 - self.y0, self.x1 - self.x0

    def crop(self, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the pixels of the region, or say that it is not within the image."""
        if self.y1 > image.shape[0] or self.x1 > image.shape[1]:
            raise ConfigurationError(
                f"--roi {self} ends outside of a frame of {image.shape[0]}x{image.shape[1]} pixels (y, x)."
            )
        return image[self.y0 : self.y1, self.x0 : self.x1]

    def __str__(self) -> str:
        return f"{self.y0},{self.x0},{self.y1},{self.x1}"


def find_vacuum(image: npt.NDArray[np.floating]) -> Region:
    """Find the largest flat rectangle without structure.

    The frame is cut into cells. Vacuum is where the variance of a cell is the lowest of the frame at each of three
    scales, within what chance allows (measured by the quarters of the cells), and where the mean follows a plane.

    Parameters
    ----------
    image
        One frame, or the mean of frames that do not move, shape (y, x).

    Raises
    ------
    ImageError
        If no rectangle of 128 pixels a side is flat. A frame that is filled with one even texture, such as an
        amorphous film, has nothing to be told from: there the spectrum says whether it is vacuum.
    """
    cell = max(32, min(image.shape) // 64 // 4 * 4)
    if min(image.shape) < SMALLEST_SIDE:
        raise ImageError(
            f"No vacuum: a frame of {image.shape[0]}x{image.shape[1]} pixels (y, x) is too small to look for it, "
            f"{SMALLEST_SIDE} a side are needed. Give the region with --roi y0,x0,y1,x1."
        )
    values = _cut(np.asarray(image, dtype=np.float32), cell)
    quiet = np.ones((values.shape[0] // cell, values.shape[1] // cell), dtype=np.bool_)
    for scale in _SCALES:
        quiet &= _quiet(values, cell, scale)
    means = _cells(values, cell).mean(axis=(1, 3), dtype=np.float64)
    flat = _on_plane(means, quiet)
    # A single cell fails by chance, structure makes several fail side by side.
    around = uniform_filter(flat.astype(np.float64), size=3, mode="nearest")
    solid = (flat & (around > 0.6)) | (around > 0.8)
    y0, x0, y1, x1 = (edge * cell for edge in _largest_rectangle(solid))
    if min(y1 - y0, x1 - x0) < SMALLEST_SIDE:
        raise ImageError(
            f"No vacuum: the largest flat region without structure has {y1 - y0}x{x1 - x0} pixels (y, x), "
            f"{SMALLEST_SIDE} a side are needed. If you see one, give it with --roi y0,x0,y1,x1."
        )
    return Region(y0, x0, y1, x1)


def _cut(image: npt.NDArray[np.float32], cell: int) -> npt.NDArray[np.float32]:
    return image[: image.shape[0] // cell * cell, : image.shape[1] // cell * cell]


def _cells(values: npt.NDArray[np.float32], cell: int) -> npt.NDArray[np.float32]:
    return values.reshape(values.shape[0] // cell, cell, values.shape[1] // cell, cell)


def _quiet(values: npt.NDArray[np.float32], cell: int, scale: int) -> Mask:
    """Return the cells whose variance at one scale is no larger than the lowest ones by chance."""
    summed = _cells(values, scale).mean(axis=(1, 3)) if scale > 1 else values
    size = cell // scale
    logs = np.log(np.maximum(_variances(summed, size), np.finfo(np.float32).tiny))
    quarters = np.log(np.maximum(_variances(summed, size // 2), np.finfo(np.float32).tiny))
    within = quarters.reshape(logs.shape[0], 2, logs.shape[1], 2).var(axis=(1, 3), ddof=1)
    chance = float(np.sqrt(np.median(within) / 4))
    typical = float(np.quantile(logs, _LOWEST_SHARE)) + 1.645 * chance
    return np.asarray(logs < typical + _TOLERANCE * chance)


def _variances(values: npt.NDArray[np.float32], size: int) -> Floats:
    return np.asarray(_cells(values, size).var(axis=(1, 3), dtype=np.float64))


def _on_plane(means: Floats, quiet: Mask) -> Mask:
    """Return the quiet cells whose means lie on one plane."""
    y, x = np.indices(means.shape)
    terms = np.stack([np.ones(means.size), y.ravel(), x.ravel()], axis=1)
    kept = quiet.ravel().copy()
    for _ in range(_GRADIENT_ROUNDS):
        if kept.sum() < terms.shape[1] + 1:
            return np.zeros_like(quiet)
        plane, *_ = np.linalg.lstsq(terms[kept], means.ravel()[kept], rcond=None)
        away = means.ravel() - terms @ plane
        spread = 1.4826 * float(np.median(np.abs(away[kept] - np.median(away[kept]))))
        kept = quiet.ravel() & (np.abs(away) <= 4.5 * spread)
    return kept.reshape(quiet.shape)


def _largest_rectangle(mask: Mask) -> tuple[int, int, int, int]:
    """Return y0, x0, y1, x1 of the largest rectangle of true cells; square ones first among equals."""
    best, found = (0, 0), (0, 0, 0, 0)
    heights = np.zeros(mask.shape[1], dtype=int)
    for row, cells in enumerate(mask):
        heights = np.where(cells, heights + 1, 0)
        for left in range(len(heights)):
            height = heights[left]
            for right in range(left, len(heights)):
                height = min(height, heights[right])
                if height == 0:
                    break
                width = right - left + 1
                size = (int(height * width), int(min(height, width)))
                if size > best:
                    best, found = size, (row + 1 - int(height), left, row + 1, right + 1)
    return found
