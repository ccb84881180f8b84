"""The fixed pattern: what two frames have in common is not noise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.fft
from scipy.ndimage import uniform_filter1d
from scipy.optimize import nnls

from framedose.camera.spectrum import Floats, bin_weights, ring_index, tile_size, window
from framedose.errors import ImageError

# Rings that the variance of one is averaged over: it is known from few tiles, and those of neighbours are alike.
_SMOOTH = 9


@dataclass(frozen=True, eq=False)
class FixedPattern:
    """Power that consecutive frames share, of a frame of mean 1."""

    power: Floats
    """Ring averages as fitted, shape (rings,)."""
    error: Floats
    """Standard error of each before the fit, from the scatter between tiles."""
    significance: float
    """Mean power, each ring as it is known, over its standard error."""

    @property
    def rms(self) -> float:
        """Root mean square of the pattern relative to the mean, over the rings."""
        return float(np.sqrt(self.power.mean()))


def shared_power(first: npt.NDArray[np.floating], second: npt.NDArray[np.floating]) -> tuple[Floats, Floats]:
    """Return ring averages of the cross spectrum of two frames and their variances, counts squared.

    Its expectation is the power that both share; noise, different in each, drops out.

    Parameters
    ----------
    first, second
        The same region of two frames, shape (y, x).
    """
    if first.shape != second.shape:
        raise ImageError(f"Frames of one camera need one shape, got {first.shape} and {second.shape}.")
    tile = tile_size((first.shape[0], first.shape[1]))
    index = ring_index(tile).ravel()
    weight = np.where(index >= 0, bin_weights(tile).ravel(), 0)
    slot = np.maximum(index, 0)
    total = np.bincount(slot, weight)
    rows = []
    # Tiles side by side, not overlapping, so that their scatter is that of independent ones.
    for y in range(0, first.shape[0] - tile + 1, tile):
        for x in range(0, first.shape[1] - tile + 1, tile):
            a, b = (_transformed(frame[y : y + tile, x : x + tile], tile) for frame in (first, second))
            cross = (a * b.conj()).real.ravel() / tile**2
            rows.append(np.bincount(slot, weight * cross) / total)
    values = np.array(rows)
    scatter = values.var(axis=0, ddof=1) / len(values)
    return values.mean(axis=0), uniform_filter1d(scatter, _SMOOTH, mode="nearest")


def fixed_pattern(pairs: Sequence[tuple[Floats, Floats, float]], transfer: Floats) -> FixedPattern:
    """Combine the shared powers of pairs of frames into the pattern of a frame of mean 1.

    Parameters
    ----------
    pairs
        Of each pair: power and variance as of :func:`shared_power`, and the product of the two means, counts squared,
        offset taken off.
    transfer
        Noise transfer of the rings. The pattern is fitted as that of the pixels, which is white, and that of what lies
        before them, which is filtered.
    """
    weights = [product / variance for _, variance, product in pairs]
    precision = np.sum([weight * product for weight, (_, _, product) in zip(weights, pairs, strict=True)], axis=0)
    power = np.sum([weight * shared for weight, (shared, _, _) in zip(weights, pairs, strict=True)], axis=0) / precision
    error = 1 / np.sqrt(precision)
    # The noise of single rings would go into the fit that this is taken out of.
    parts = np.stack([np.ones_like(power), transfer**2], axis=1)
    shares, _ = nnls(parts / error[:, None], power / error)
    significance = float((power / error**2).sum() / np.sqrt((1 / error**2).sum()))
    return FixedPattern(parts @ shares, np.asarray(error), significance)


def _transformed(tile_values: npt.NDArray[np.floating], tile: int) -> npt.NDArray[np.complexfloating]:
    taper = window(tile)
    values = tile_values - tile_values.mean(dtype=np.float64)
    return np.asarray(scipy.fft.rfft2(values * np.outer(taper, taper)))
