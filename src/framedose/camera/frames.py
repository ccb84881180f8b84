"""What can be wrong with frames before they are calibrated: each a clear message, or a flag."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation, find_objects, label

from framedose.camera.spectrum import Mask
from framedose.errors import CalibrationError, ImageError

# A pixel is no noise of the camera (hot, dead, hit by an X-ray) if it stands out from the pixels around it this many
# times farther than all but this share of the pixels do: noise of counts has long tails, but none as long.
_OUT, _SHARE = 2.5, 1e-3
# More of them are not defects but sparse counts of the readout, which are noise.
_MOST_OUTSTANDING = 2e-4
# Up to this share of the pixels is filled in; around more of them, tiles are left out.
_MOST_FILLED = 0.005
_SAMPLED = 2**20


def repaired(image: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], Mask, tuple[str, ...]]:
    """Return a region with single bad pixels filled in, what is still bad in it, and both in words.

    Single pixels that are not finite or stand far out, with their eight neighbours, are replaced by the median around
    them. Rows and columns of one value stay bad, and so do single pixels if they are many.

    Parameters
    ----------
    image
        float32, shape (y, x).

    Raises
    ------
    ImageError
        If all pixels have one value, or none is finite.
    """
    finite = np.isfinite(image)
    if not finite.any():
        raise ImageError("The region holds no finite pixel.")
    values = image if finite.all() else np.where(finite, image, np.median(image[finite]))
    if values.min() == values.max():
        raise ImageError(f"Every pixel of the region has the value {values.flat[0]:g}: no electrons, or saturated.")
    # In sparse counts a row may well be all zeros, but then so are most pixels.
    usual = np.median(values)
    rows = (values.min(axis=1) == values.max(axis=1)) & (values[:, 0] != usual)
    columns = (values.min(axis=0) == values.max(axis=0)) & (values[0] != usual)
    lines = rows[:, None] | columns[None, :]
    single = (_outstanding(values) | ~finite) & ~lines
    words = []
    if lines.any():
        words.append(f"{int(rows.sum())} constant rows and {int(columns.sum())} constant columns left out")
    if not single.any():
        return values, lines, tuple(words)
    around = binary_dilation(single, np.ones((3, 3), dtype=np.bool_))
    if around.sum() > _MOST_FILLED * around.size:
        words.append(f"{int(single.sum())} bad pixels: tiles with them left out")
        return values, lines | single, tuple(words)
    words.append(f"{int(single.sum())} bad pixels (hot, dead, X-rays) filled in")
    return _filled(values, around), lines, tuple(words)


def _outstanding(values: npt.NDArray[np.float32]) -> Mask:
    """Return the pixels that stand out from the median of the four that are two pixels away."""
    padded = np.pad(values, 2, mode="reflect")
    inner = slice(2, -2)
    up, down, left, right = padded[:-4, inner], padded[4:, inner], padded[inner, :-4], padded[inner, 4:]
    least = np.maximum(np.minimum(up, down), np.minimum(left, right))
    most = np.minimum(np.maximum(up, down), np.maximum(left, right))
    away = np.abs(values - (least + most) / 2)
    step = max(1, away.size // _SAMPLED)
    found = away > _OUT * np.quantile(away.ravel()[::step], 1 - _SHARE)
    return np.asarray(found if found.sum() <= _MOST_OUTSTANDING * found.size else np.zeros_like(found))


def _filled(values: npt.NDArray[np.float32], bad: Mask) -> npt.NDArray[np.float32]:
    result = values.copy()
    places, count = label(bad)
    for index, (y, x) in enumerate(find_objects(places, count), start=1):
        near = (slice(max(y.start - 3, 0), y.stop + 3), slice(max(x.start - 3, 0), x.stop + 3))
        result[near][places[near] == index] = np.median(values[near][~bad[near]])
    return result


def one_sampling(samplings: Sequence[float]) -> float:
    """Return the pixel size [Å/px] that all frames share.

    Raises
    ------
    CalibrationError
        If they differ by more than a thousandth.
    """
    low, high = min(samplings), max(samplings)
    if high > low * 1.001:
        raise CalibrationError(
            f"Mixed pixel sizes: {low:g} to {high:g} Å per pixel. Calibrate each series alone, "
            "or say with --sampling what all of them have."
        )
    return float(samplings[0])
