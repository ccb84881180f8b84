"""Noise power spectrum of a flat region: overlapping windowed tiles, averaged over rings of spatial frequency.

Tiles make three things cheap and exact enough: a slow gradient is removed where it is, lines stand out against the
average over tiles, and the scatter between tiles says how well each ring is known, whatever the noise is made of.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.sparse
import scipy.stats
from scipy.ndimage import binary_dilation, uniform_filter, uniform_filter1d

from framedose.camera.mtf import nyquist_frequencies
from framedose.errors import ImageError

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

LARGEST_TILE, SMALLEST_TILE = 128, 32
# Bins below this hold what is left of a gradient: windowed polynomials of first order end there.
_FIRST_RING = 3
# A line is a bin that white noise would reach once in a thousand frames, and at least this much above its ring.
_LINE_CHANCE, _LINE_EXCESS = 1e-3, 1.5
# What a line may leave in a bin, relative to the noise there.
_LINE_REST = 0.05


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The noise power of one frame on rings of one bin's width, from the third bin to the Nyquist frequency."""

    power: Floats
    """Ring averages, counts squared per pixel, shape (rings,)."""
    modes: Floats
    """Independent complex modes in each ring, shape (rings,): white Gaussian noise gives ``power`` a relative
    variance of 1 / modes."""
    mean: float
    """Mean count per pixel, weighted as the spectrum is: by the sum of the squared windows."""
    covariance: Floats
    """Covariance of (power, mean) as the scatter between tiles gives it, shape (rings + 1, rings + 1)."""
    third: float
    """Third central moment of the pixels, counts cubed."""
    tile: int
    """Side of a tile [px]."""
    tiles: tuple[int, int]
    """Tiles along y and x; they overlap by half."""
    lines: Mask
    """Bins left out as spectral lines, shape (tile, tile // 2 + 1)."""

    @property
    def frequency(self) -> Floats:
        """Mean frequency of each ring over the Nyquist frequency, shape (rings,)."""
        return ring_frequencies(self.tile)

    @property
    def variance(self) -> Floats:
        """Variance of the power of each ring, counts to the fourth, shape (rings,).

        One ring's is known from few tiles; relative to the power, those of neighbours are nearly the same.
        """
        relative = np.diag(self.covariance)[:-1] / self.power**2
        smooth = uniform_filter1d(relative, 9, mode="nearest")
        return np.asarray(np.maximum(smooth, 0.2 / self.modes) * self.power**2)

    @property
    def pixels(self) -> int:
        """Pixels that the tiles cover."""
        return (self.tiles[0] + 1) * (self.tiles[1] + 1) * (self.tile // 2) ** 2


def tile_size(shape: tuple[int, int]) -> int:
    """Return the side of a tile [px]: a quarter of the shorter side, a power of two between 32 and 128."""
    if min(shape) < 2 * SMALLEST_TILE:
        raise ImageError(
            f"A region of {shape[0]}x{shape[1]} pixels (y, x) is too small for a noise spectrum; "
            f"it needs {2 * SMALLEST_TILE} pixels on each side. Give a larger one with --roi."
        )
    return int(min(LARGEST_TILE, 2 ** int(np.log2(min(shape) / 4) + 1e-9) if min(shape) >= 128 else SMALLEST_TILE))


def window(tile: int) -> Floats:
    """Return the Hann window along one side of a tile, of unit mean square."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(tile) + 0.5) / tile)
    return np.asarray(hann / np.sqrt((hann**2).mean()))


def windowed_transform(image: npt.NDArray[np.floating]) -> npt.NDArray[np.complexfloating]:
    """Return the real FFT of an image about its mean, under a Hann window, in single precision."""
    rows, columns = (window(side).astype(np.float32) for side in image.shape)
    flat = (image - image.mean(dtype=np.float64)).astype(np.float32)
    return np.asarray(scipy.fft.rfft2(flat * rows[:, None] * columns))


def ring_index(tile: int) -> npt.NDArray[np.intp]:
    """Return the ring of each bin of a real FFT, shape (tile, tile // 2 + 1); -1 where a bin belongs to none."""
    radius = np.rint(nyquist_frequencies((tile, tile)) * (tile / 2)).astype(np.intp)
    return np.where((radius < _FIRST_RING) | (radius >= tile // 2), -1, radius - _FIRST_RING)


@lru_cache
def ring_frequencies(tile: int) -> Floats:
    """Return the mean frequency of each ring over the Nyquist frequency, shape (rings,)."""
    index, weight = ring_index(tile).ravel(), bin_weights(tile).ravel()
    inside = index >= 0
    q = nyquist_frequencies((tile, tile)).ravel()
    total = np.bincount(index[inside], (q * weight)[inside])
    return np.asarray(total / np.bincount(index[inside], weight[inside]))


def bin_weights(tile: int) -> Floats:
    """Return 2 for bins of a real FFT that stand for two of the plane, and 1 for the first and the last column."""
    weight = np.full((tile, tile // 2 + 1), 2.0)
    weight[:, [0, -1]] = 1
    return weight


def measure_spectrum(
    image: npt.NDArray[np.floating], *, bad: Mask | None = None, level: npt.NDArray[np.floating] | None = None
) -> Spectrum:
    """Measure the noise spectrum of a region without structure.

    Parameters
    ----------
    image
        The region, shape (y, x), in counts, at least 64 pixels on each side, finite where it is not bad.
    bad
        Pixels that are not the camera's noise (dead, hot), shape (y, x); tiles that touch one are left out.
    level
        Image whose mean belongs to the noise, if it is not the image itself: for the difference of two frames over
        the root of two, the mean of both.

    Returns
    -------
    Spectrum
        The power is normalised so that white noise has its variance per pixel.

    Examples
    --------
    >>> white = np.random.default_rng(0).normal(5.0, 2.0, (256, 256))
    >>> round(measure_spectrum(white).power.mean())
    4
    """
    shape = (image.shape[0], image.shape[1])
    tile = tile_size(shape)
    used = _used_tiles(bad, shape, tile)
    values, centre = _centred(image, bad)
    power, means = _tile_powers(values, tile)
    if level is not None:
        around, centre = _centred(level, bad)
        means = _tile_powers(around, tile)[1]
    lines = find_lines(power.reshape(used.size, tile, -1)[used.ravel()].mean(axis=0), int(used.sum()))
    averaging = _ring_averaging(tile, lines)
    rings = np.column_stack([(averaging @ power.T).T, means])
    rings[~used.ravel()] = rings[used.ravel()].mean(axis=0)
    average, covariance = _scatter(rings.reshape(*used.shape, -1), used)
    share = np.asarray((averaging > 0) @ bin_weights(tile).ravel()) / tile**2
    covered = float(used.sum()) / used.size * (used.shape[0] + 1) * (used.shape[1] + 1) * (tile // 2) ** 2
    return Spectrum(
        power=average[:-1],
        modes=share * covered / 2,
        mean=float(average[-1]) + centre,
        covariance=covariance,
        third=float((values * values * values).mean(dtype=np.float64)),
        tile=tile,
        tiles=(used.shape[0], used.shape[1]),
        lines=lines,
    )


def _centred(image: npt.NDArray[np.floating], bad: Mask | None) -> tuple[npt.NDArray[np.float32], float]:
    """Return the image about its mean, bad pixels at the mean, and the mean: single precision is then enough."""
    if bad is None or not bad.any():
        centre = float(image.mean(dtype=np.float64))
        return np.asarray(image - centre, dtype=np.float32), centre
    centre = float(image[~bad].mean(dtype=np.float64))
    return np.where(bad, 0, image - centre).astype(np.float32), centre


def find_lines(power: npt.NDArray[np.floating], tiles: int) -> Mask:
    """Return the bins of a tile-averaged spectrum that hold a line (fringes, hum), with their neighbours.

    Parameters
    ----------
    power
        Mean of the tiles' power, shape (tile, tile // 2 + 1).
    tiles
        How many tiles were averaged.

    Returns
    -------
    array
        bool, of the same shape, with the neighbours into which the window spreads each line.
    """
    tile = power.shape[0]
    q, index = nyquist_frequencies((tile, tile)), ring_index(tile)
    typical = np.array([np.median(power[index == ring]) for ring in range(index.max() + 1)])
    local = np.exp(np.interp(q, ring_frequencies(tile), np.log(np.maximum(typical, np.finfo(np.float32).tiny))))
    # Half of the tiles count: those that overlap are not independent.
    degrees = max(1.0, tiles / 2)
    unlikely = scipy.stats.gamma.isf(_LINE_CHANCE / power.size, degrees) / scipy.stats.gamma.median(degrees)
    hit = (power > max(float(unlikely), _LINE_EXCESS) * local) & (index >= 0)
    if not hit.any():
        return np.zeros(power.shape, dtype=np.bool_)
    reach = np.zeros((tile, tile), dtype=np.intp)
    y, x = np.nonzero(hit)
    # k bins away from a line, a Hann window has (pi k^3)^-2 of its power, at most.
    far = np.ceil((power[y, x] / local[y, x] / (np.pi**2 * _LINE_REST)) ** (1 / 6)).astype(np.intp) + 1
    reach[y, x % tile] = reach[-y % tile, -x % tile] = np.maximum(far, 2)
    wide = np.zeros((tile, tile), dtype=np.bool_)
    for radius in np.unique(reach[reach > 0]):
        around = np.pad(reach == radius, radius, mode="wrap")
        square = np.ones((2 * radius + 1, 2 * radius + 1), dtype=np.bool_)
        wide |= binary_dilation(around, square)[radius:-radius, radius:-radius]
    return np.asarray(wide[:, : tile // 2 + 1])


def _used_tiles(bad: Mask | None, shape: tuple[int, int], tile: int) -> Mask:
    half = tile // 2
    grid = (shape[0] // half - 1, shape[1] // half - 1)
    if bad is None or not bad.any():
        return np.ones(grid, dtype=np.bool_)
    used = np.array(
        [
            [not bad[y * half : y * half + tile, x * half : x * half + tile].any() for x in range(grid[1])]
            for y in range(grid[0])
        ]
    )
    if used.sum() < max(4, used.size // 4):
        raise ImageError(
            f"{int(bad.sum())} bad pixels leave {int(used.sum())} of {used.size} tiles of {tile} pixels; "
            "a quarter is needed. Interpolate them first, or give a region without them with --roi."
        )
    return used


def _tile_powers(values: npt.NDArray[np.float32], tile: int) -> tuple[npt.NDArray[np.float32], Floats]:
    """Return the power of every tile, shape (tiles, bins), and its weighted mean, shape (tiles,)."""
    half = tile // 2
    view = np.lib.stride_tricks.sliding_window_view(values, (tile, tile))[::half, ::half]
    taper = window(tile).astype(np.float32)
    weight = np.outer(taper, taper)
    slope = (np.arange(tile) - (tile - 1) / 2).astype(np.float32)
    # Weighted by the squared window, a constant and the two slopes are orthogonal.
    plane = [
        np.ones((tile, tile), np.float32),
        np.outer(slope, np.ones_like(slope)),
        np.outer(np.ones_like(slope), slope),
    ]
    duals = np.stack([(shape * weight**2 / (shape**2 * weight**2).sum(dtype=np.float64)).ravel() for shape in plane])
    planes = np.stack([(shape * weight).ravel() for shape in plane]).astype(np.float32)
    powers, means = [], []
    for row in view:
        flat = row.reshape(row.shape[0], -1)
        fitted = (flat @ duals.T.astype(np.float32)).astype(np.float32)
        flattened = flat * weight.ravel() - fitted @ planes
        transformed = scipy.fft.rfft2(flattened.reshape(-1, tile, tile))
        powers.append(((transformed.real**2 + transformed.imag**2) / tile**2).reshape(len(row), -1))
        means.append(fitted[:, 0].astype(np.float64))
    return np.concatenate(powers), np.concatenate(means)


def _ring_averaging(tile: int, lines: Mask) -> scipy.sparse.csr_array:
    """Return the matrix, shape (rings, bins), that averages the bins of each ring that hold no line."""
    index, weight = ring_index(tile).ravel(), bin_weights(tile).ravel()
    rings = int(index.max()) + 1
    good = np.nonzero((index >= 0) & ~lines.ravel())[0]
    total = np.bincount(index[good], weight[good], minlength=rings)
    if (total == 0).any():
        raise ImageError(
            "No vacuum: spectral lines cover whole rings of the spectrum of this region. Give another one with --roi."
        )
    entries = (weight[good] / total[index[good]]).astype(np.float32)
    return scipy.sparse.csr_array((entries, (index[good], good)), shape=(rings, index.size))


def _scatter(rings: Floats, used: Mask) -> tuple[Floats, Floats]:
    """Return the mean over tiles and its covariance, in which a tile is correlated with the eight around it."""
    count = int(used.sum())
    average = rings[used].mean(axis=0)
    away = np.where(used[..., None], rings - average, 0)
    around = 9 * uniform_filter(away, size=(3, 3, 1), mode="constant")
    size = rings.shape[-1]
    total = away.reshape(-1, size).T @ around.reshape(-1, size)
    # Taking off the mean correlates all tiles a little, by as much as there are pairs.
    pairs = float((9 * uniform_filter(used.astype(np.float64), size=3, mode="constant"))[used].sum())
    return average, (total + total.T) / 2 / count**2 / (1 - min(pairs / count**2, 0.6))
