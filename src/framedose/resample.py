"""From one pixel size to another, and back: the one resampling of framedose.

To coarser pixels: the area-weighted mean of what each new pixel covers, as a camera with larger pixels would count
(divided by the number of old pixels in a new one). White noise stays white and nothing is folded back that a larger
pixel would not fold back itself. To finer pixels: a cubic spline, which adds no detail. Edges are mirrored. Both keep
the field of view: the outer borders of the first and last pixel stay where they are, so nothing is shifted.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

Image = npt.NDArray[np.floating[Any]] | npt.NDArray[np.bool_]

_LINEAR, _CUBIC = 1, 3
# Up to so many pixels a side two products with kept matrices are faster, and a training has many such images; for
# larger ones the matrices would be as large as the images.
_SMALL = 512
# What single precision can still tell from 1.
_SURE = 1 - 1e-7


# Both sides of a pixel (y, x), or the one of a square pixel [Å/px].
Sides = float | tuple[float, float]


def resampled_shape(shape: tuple[int, ...], sampling_from: Sides, sampling_to: float) -> tuple[int, int]:
    """Return the shape (y, x) of an image of ``shape`` with pixels of another size [Å/px], at least one pixel.

    Examples
    --------
    >>> resampled_shape((512, 1024), 0.075, 0.3)
    (128, 256)
    """
    y, x = (max(1, round(size * side / sampling_to)) for size, side in zip(shape, _both(sampling_from), strict=True))
    return y, x


def resample(
    image: Image, sampling_from: Sides, sampling_to: float
) -> tuple[npt.NDArray[np.float32], tuple[float, float]]:
    """Give an image other pixels over the same field of view.

    Parameters
    ----------
    image
        Shape (y, x).
    sampling_from
        Side of a pixel now, or its sides (y, x) if it is not square [Å/px].
    sampling_to
        Side wanted [Å/px].

    Returns
    -------
    image
        Shape ``round(shape * sampling_from / sampling_to)``, float32.
    sampling
        The sides (y, x) that the new pixels really have [Å/px]: as wanted, up to the rounding of the shape.

    Examples
    --------
    >>> pixels, sampling = resample(np.arange(16.0).reshape(2, 8), 0.1, 0.2)
    >>> pixels
    array([[ 4.5,  6.5,  8.5, 10.5]], dtype=float32)
    >>> sampling
    (0.2, 0.2)
    """
    shape = resampled_shape(image.shape, sampling_from, sampling_to)
    sides = _both(sampling_from)
    y, x = (side * (old / new) for side, old, new in zip(sides, image.shape, shape, strict=True))
    return _to_shape(image, shape, order=_CUBIC), (y, x)


def _both(sides: Sides) -> tuple[float, float]:
    return sides if isinstance(sides, tuple) else (sides, sides)


def resample_to_shape(image: Image, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Bring an image to a shape (y, x) within its range: by local mean to coarser pixels, linearly to finer ones."""
    # Rounding may step over the limits by one digit.
    return _to_shape(image, shape, order=_LINEAR).clip(image.min(), image.max())


def probability_to_shape(probability: Image, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Bring a probability map back to the shape (y, x) of its micrograph, as :func:`resample_to_shape` its logits.

    Where it rises from 0 to 1 within a pixel, a high threshold then stands no further inside of the edge than a low one
    stands outside of it: the mean of the probabilities of an edge reaches 0.9 only well within.
    """
    logits = logit(np.asarray(probability, dtype=np.float64).clip(1 - _SURE, _SURE))
    # Rounding may step over the limits by one digit.
    back = np.asarray(expit(resample_to_shape(logits, shape)), dtype=np.float32)
    return back.clip(probability.min(), probability.max())


def _to_shape(image: Image, shape: tuple[int, ...], *, order: int) -> npt.NDArray[np.float32]:
    image = np.asarray(image, dtype=np.float32)
    if shape == image.shape:
        return image.copy()
    coarser = any(new < old for new, old in zip(shape, image.shape, strict=True))
    if max(*shape, *image.shape) > _SMALL:
        return _resized(image, shape, coarser, order)
    along_y, along_x = (_matrix(old, new, coarser, order) for old, new in zip(image.shape, shape, strict=True))
    return np.asarray(along_y @ image @ along_x.T, dtype=np.float32)


def _resized(image: npt.NDArray[Any], shape: tuple[int, ...], coarser: bool, order: int) -> npt.NDArray[np.float32]:
    from skimage.transform import resize, resize_local_mean  # Slow to import.

    if coarser:
        resampled = resize_local_mean(image, shape, grid_mode=True, preserve_range=True)
    else:
        resampled = resize(
            image, shape, order=order, mode="symmetric", anti_aliasing=False, clip=False, preserve_range=True
        )
    return np.asarray(resampled, dtype=np.float32)


@lru_cache(maxsize=256)
def _matrix(old: int, new: int, coarser: bool, order: int) -> npt.NDArray[np.float32]:
    """Return what resampling does along one axis: it is linear, and the same for every row and column."""
    return _resized(np.eye(old), (new, old), coarser, order)
