"""What can be wrong with frames before they are calibrated: each a clear message, or a flag."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from framedose.camera.spectrum import Mask
from framedose.errors import CalibrationError, ImageError

# A pixel is hot or dead if it lies this many times farther out than all but this share of the pixels: noise of counts
# has long tails, but none as long.
_OUT, _SHARE = 3.0, 1e-4


def bad_pixels(image: npt.NDArray[np.floating]) -> tuple[Mask, tuple[str, ...]]:
    """Return the pixels of a region that cannot be the camera's noise, and what they are in words.

    Those are pixels that are not finite, rows and columns that are constant, and single pixels far outside of all
    others.

    Raises
    ------
    ImageError
        If all pixels have one value, or none is finite.
    """
    finite = np.isfinite(image)
    if not finite.any():
        raise ImageError("The region holds no finite pixel.")
    values = np.where(finite, image, np.median(image[finite]))
    if values.min() == values.max():
        raise ImageError(f"Every pixel of the region has the value {values.flat[0]:g}: no electrons, or saturated.")
    rows = values.min(axis=1) == values.max(axis=1)
    columns = values.min(axis=0) == values.max(axis=0)
    lines = rows[:, None] | columns[None, :]
    away = np.abs(values - np.median(values[~lines]))
    single = (away > _OUT * np.quantile(away[~lines], 1 - _SHARE)) & ~lines
    found = {
        f"{int((~finite).sum())} pixels not finite": ~finite,
        f"{int(rows.sum())} constant rows and {int(columns.sum())} constant columns": lines,
        f"{int(single.sum())} dead or hot pixels": single,
    }
    words = tuple(f"{what}: tiles with them left out" for what, mask in found.items() if mask.any())
    return ~finite | lines | single, words


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
