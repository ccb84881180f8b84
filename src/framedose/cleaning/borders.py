"""Borders without data: what a drift correction, or an alignment of a series, leaves where the frame did not reach."""

import numpy as np
import numpy.typing as npt

from framedose.cleaning.accident import is_accident

Image = npt.NDArray[np.float32]
Slices = tuple[slice, slice]

# What leaves less of either side is no border, but an object that was drawn on nothing.
_LEAST = 0.5
# Of the first lines with data, no more than this share has the value of the border.
_MOST_ALIKE = 0.5


def data_window(image: Image) -> Slices:
    """Return the rows and columns of an image that are left without its borders of one value.

    A border is made of whole lines, each of one value, as a shift leaves them; the corners of a rotation are not found.
    There is none where few electrons leave lines of zeros by accident, or where what is left would be less than half of
    a side, or begin with such lines.

    Parameters
    ----------
    image
        Shape (y, x), any unit.

    Examples
    --------
    >>> shifted = np.zeros((64, 64), np.float32)
    >>> shifted[5:, :-9] = np.random.default_rng(0).poisson(20, (59, 55))
    >>> data_window(shifted)
    (slice(5, 64, None), slice(0, 55, None))
    """
    whole = slice(0, image.shape[0]), slice(0, image.shape[1])
    rows, columns = whole
    corners = image[0, 0], image[-1, -1]
    # Once more, for the columns of a corner are of one value only without the rows above it.
    for _ in range(2):
        rows = _varied(image[:, columns], rows, corners)
        columns = _varied(image[rows].T, columns, corners)
    inside = image[rows, columns]
    if inside.size == image.size or min(a / b for a, b in zip(inside.shape, image.shape, strict=True)) < _LEAST:
        return whole
    level = corners[0] if rows.start or columns.start else corners[1]
    # Data begin with a whole line of them, an object that was drawn on nothing does not.
    if max((edge == level).mean() for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1])) > _MOST_ALIKE:
        return whole
    by_accident = is_accident(sum(image.shape), (inside == level).mean(), min(inside.shape))
    return whole if by_accident else (rows, columns)


def mean_of_data(image: Image) -> float:
    """Return the mean of an image (y, x) without its borders, in which no electron was counted."""
    return float(image[data_window(image)].mean(dtype=np.float64))


def mirrored(image: Image, window: Slices) -> Image:
    """Return an image (y, x) with the mirror image of its window in place of the borders, as networks see edges."""
    around = [(side.start, size - side.stop) for side, size in zip(window, image.shape, strict=True)]
    if not np.any(around):
        return image
    return np.pad(image[window], around, mode="reflect")


def _varied(image: Image, lines: slice, corners: tuple[np.float32, np.float32]) -> slice:
    """Return which of the ``lines`` of an image are left without those of the value of the first or last corner."""
    first, last = lines.start, lines.stop
    while first < last and (image[first] == corners[0]).all():
        first += 1
    while last > first and (image[last - 1] == corners[1]).all():
        last -= 1
    return slice(first, last)
