"""What a window does to a spectrum: the expected ring averages of a noise power that depends on |q| only."""

from functools import lru_cache

import numpy as np
import scipy.fft

from framedose.camera.mtf import nyquist_frequencies
from framedose.camera.spectrum import Floats, bin_weights, ring_index, window

_NODES_PER_BIN = 2


@lru_cache
def ring_nodes(tile: int) -> Floats:
    """Return the frequencies over the Nyquist frequency at which a power has to be known, 0 to sqrt(2)."""
    steps = _NODES_PER_BIN * tile
    return np.arange(int(np.sqrt(2) * steps) + 3) / steps


@lru_cache
def ring_matrix(tile: int) -> Floats:
    """Return the matrix, shape (rings, nodes), from the power at ``ring_nodes`` to the expected ring averages.

    The expected power of a windowed tile is the Fourier transform of the autocovariance times the autocorrelation of
    the window. On a grid of twice the tile that product is exact, and linear in the power; the rings and the nodes
    sum over it.
    """
    double = 2 * tile
    taper = np.fft.rfft(window(tile), double)
    correlation = np.fft.irfft(np.abs(taper) ** 2, double) / tile
    overlap = correlation[:, None] * correlation[None, :]
    q = nyquist_frequencies((double, double)).ravel() * _NODES_PER_BIN * tile
    lower = q.astype(np.intp)
    fraction, weights = q - lower, bin_weights(double).ravel()
    index = ring_index(tile)
    nodes = len(ring_nodes(tile))
    rows = []
    for ring in range(int(index.max()) + 1):
        inside = np.zeros((double, tile + 1))
        inside[::2, ::2] = index == ring
        spread = scipy.fft.rfft2(scipy.fft.irfft2(inside, s=(double, double)) * overlap).real.ravel() * weights
        row = np.bincount(lower, spread * (1 - fraction), nodes) + np.bincount(lower + 1, spread * fraction, nodes)
        rows.append(row / row.sum())
    return np.array(rows)
