"""Poisson counts of a different mean in every pixel, exact at every mean, several times as fast as NumPy's draw.

The sum of Poisson counts is a Poisson count of the summed mean. So a mean is written in digits of base 32, and its
count is the sum of one draw for each digit, from a table of that digit's distribution, and one for the rest below 1/32.
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

# Digits count 1/32, 1, 32 and 1024: means up to 32768. Tables for more would not fit into a core's cache.
_BITS, _PLACES = 5, 4
_LOWEST = 1 / 32


def poisson(mean: npt.NDArray[Any], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Draw Poisson counts.

    Parameters
    ----------
    mean
        Of any shape, not negative.
    rng
        Where the counts come from: the same state gives the same counts.

    Returns
    -------
    array
        float32, the shape of ``mean``.

    Raises
    ------
    ValueError
        If a mean is negative, not a number, or beyond what fits into 64 bits.

    Examples
    --------
    >>> poisson(np.array([0.0, 0.0]), np.random.default_rng(0)).tolist()
    [0.0, 0.0]
    """
    if not (mean.size and mean.min() >= 0 and mean.max() < _LOWEST * 2 ** (_BITS * _PLACES)):
        return np.asarray(rng.poisson(mean), np.float32)
    counts = np.empty(mean.shape, np.float32)
    # A generator that the compiled loop holds in registers: asking ``rng`` for each number would take half of the time.
    state = np.random.SFC64(rng.integers(2**32, size=8)).state["state"]["state"]
    _fill(np.ascontiguousarray(mean).reshape(-1), counts.reshape(-1), state, *_tables())
    return counts


@lru_cache(maxsize=1)
def _tables() -> tuple[npt.NDArray[Any], ...]:
    """Return alias tables of all digits (Walker 1977, doi 10.1145/355744.355749), one after the other.

    For each digit its table's first entry, the bits that number its entries, and its first count; for each entry the
    share of it, in units of 2^-64, that is its own count, and the number of the entry whose count is the rest.
    """
    starts, bits, firsts = (np.zeros(_PLACES << _BITS, np.int64) for _ in range(3))
    shares, others, start = [], [], 0
    for place in range(_PLACES):
        for digit in range(1, 1 << _BITS):
            first, probability = _distribution(digit * _LOWEST * 2.0 ** (_BITS * place))
            table = (place << _BITS) + digit
            starts[table], bits[table], firsts[table] = start, math.ceil(math.log2(probability.size)), first
            share, other = _alias(np.pad(probability, (0, (1 << bits[table]) - probability.size)))
            shares.append(share)
            others.append(other)
            start += share.size
    return starts, bits, firsts, np.concatenate(shares), np.concatenate(others)


def _distribution(mean: float) -> tuple[int, npt.NDArray[np.float64]]:
    """Return the first count and the probabilities from there on; what is left out is less than 1e-20."""
    reach = 10 * math.sqrt(mean)
    first, mode = max(0, math.floor(mean - reach)), math.floor(mean)
    above = np.cumprod(mean / np.arange(mode + 1, math.ceil(mean + reach) + 20))
    below = np.cumprod(np.arange(mode, first, -1) / mean)
    relative = np.concatenate([below[::-1], [1.0], above])
    return first, relative / relative.sum()


def _alias(probability: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint16]]:
    """Return the shares and the others of one table, by Vose's method (doi 10.1109/32.92917)."""
    n = probability.size
    share, other = (probability * n).tolist(), list(range(n))
    poor, rich = [i for i in other if share[i] < 1], [i for i in other if share[i] >= 1]
    while poor and rich:
        one, giver = poor.pop(), rich[-1]
        other[one] = giver
        share[giver] -= 1 - share[one]
        if share[giver] < 1:
            poor.append(rich.pop())
    # An entry that is left has a share of 1 but for rounding; its rest is its own count too.
    return np.minimum(np.array(share) * 2.0**64, 2.0**64 - 2048).astype(np.uint64), np.array(other, np.uint16)


@njit(cache=True)
def _fill(means, counts, state, starts, bits, firsts, shares, others):  # type: ignore[no-untyped-def]
    a, b, c, d = state[0], state[1], state[2], state[3]
    for i in range(means.size):
        scaled = np.float64(means[i]) * (1 / _LOWEST)
        digits = np.int64(scaled)
        count = np.int64(0)
        for place in range(_PLACES):
            digit = (digits >> (_BITS * place)) & ((1 << _BITS) - 1)
            if digit > 0:
                table = np.uint64((place << _BITS) + digit)
                word, a, b, c, d = _next(a, b, c, d)
                # The highest bits of a number choose the entry, the others between its two counts.
                entry = np.int64(word >> np.uint64(64 - bits[table]))
                at = np.uint64(starts[table] + entry)
                other = np.int64(others[at])
                own = (word << np.uint64(bits[table])) < shares[at]
                count += firsts[table] + (entry if own else other)
        word, a, b, c, d = _next(a, b, c, d)
        counts[i] = count + _small((scaled - digits) * _LOWEST, (word >> np.uint64(11)) * 2.0**-53)


@njit(cache=True)
def _next(a, b, c, d):  # type: ignore[no-untyped-def]
    """Return 64 random bits and the next state: SFC64, as in NumPy."""
    word = a + b + d
    turned = (c << np.uint64(24)) | (c >> np.uint64(40))
    return word, b ^ (b >> np.uint64(11)), c + (c << np.uint64(3)), turned + word, d + np.uint64(1)


@njit(cache=True)
def _small(mean, uniform):  # type: ignore[no-untyped-def]
    """Return the Poisson count of a mean far below 1 by inversion; the first comparison saves most exponentials."""
    if uniform < 1 - mean:
        return 0
    left, term, count = uniform, math.exp(-mean), 0
    # Terms below the resolution of a uniform number end it.
    while left >= term > 1e-18:
        left -= term
        count += 1
        term *= mean / count
    return count
