"""Whether a frame is as the camera gave it, told from its pixels alone.

Noise, dose and gain can be measured only in raw frames, and networks here were trained on simulated raw ones. Each test
below looks for one trace of processing. A trace that is found is strong evidence; none found is no proof. What each can
and cannot tell, with measured rates, stands in ``docs/files.md``.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.fft

from framedose.cleaning.accident import is_accident

Pixels = npt.NDArray[np.floating[Any]]

# The tests of single values and of the spectrum look at this much of the middle of a frame [px a side].
_SIDE = 1024
# A spectrum needs this many pixels a side.
_LEAST_SIDE = 96

# Least share and number of pixels on the lowest or highest value, and how far they outnumber the next two values:
# towards the ends of a raw histogram the values become rarer.
_PILED_SHARE, _PILED_PIXELS, _PILED_RATIO = 1e-4, 10, 2.0
# 8 bits are in use when the values span half of their steps.
_SPAN_8_BIT = 128
# Pixels that an X-ray may light up.
_HIT = 3
# Denominators of means over 2 frames, 2 x 2 pixels, and so on.
_DENOMINATORS = (2, 3, 4, 5, 6, 8, 9, 10, 16, 25, 36, 49, 64)
# Deviations of the mean of a line from its neighbours, in robust standard deviations of all lines.
_LINE_DEVIATIONS = 15.0
_MOST_DEAD = 0.25

# Logarithm of noise power along an axis over that along the diagonal, at 0.85 to 1 of the Nyquist frequency. Raw
# frames of real cameras gave -0.07 and more; interpolation suppresses the axes.
_AXIS_SUPPRESSION = -0.5
# d ln(power) / d ln(q) from 0.85 to 1.2 of the Nyquist frequency: -2 c3 for an MTF, with c3 at most 5.
_STEEPEST = -12.0
# log10 of power at 1 to 1.3 over that at 0.3 to 0.5 of the Nyquist frequency: -4.6 for c3 = 5 without readout noise;
# and over that at 0.03 to 0.15, where the specimen is.
_EMPTIEST, _EMPTIEST_OF_ALL = -5.5, -11.0


def rawness_flags(pixels: npt.NDArray[Any]) -> tuple[str, ...]:
    """Return why a frame is not raw, one sentence each, or nothing.

    Parameters
    ----------
    pixels
        The frame as stored, shape (y, x), any kind of real number.

    Examples
    --------
    >>> rawness_flags(np.tile(np.arange(256, dtype=np.uint8), (256, 1)))[0]
    '8-bit: values 0 to 255 in at most 256 levels, stretched by an unknown factor'
    """
    values = pixels.astype(np.float64)
    if not np.isfinite(values).all() or values.min() == values.max():
        return ()
    rows, columns = (dead_lines(values, axis) for axis in (0, 1))
    living = np.delete(np.delete(values, rows, axis=0), columns, axis=1)
    middle = _middle(living) if living.size else _middle(values)
    found = [_dead("row", rows), _dead("column", columns)]
    if middle.min() < middle.max():
        found += [_eight_bit(middle, whole_bytes=pixels.dtype.itemsize == 1), *_piled_up(middle)]
        found += [_averaged(middle), *_filtered(middle)]
    return tuple(flag for flag in found if flag)


def _middle(values: Pixels) -> Pixels:
    y, x = (max(0, (size - _SIDE) // 2) for size in values.shape)
    return values[y : y + _SIDE, x : x + _SIDE]


def _eight_bit(values: Pixels, *, whole_bytes: bool) -> str:
    """Find at most 256 evenly spaced levels that are in use: a counting camera's few low counts are not."""
    low, high = float(values.min()), float(values.max())
    levels = np.unique(values)
    if len(levels) > 256 or len(levels) < 2:
        return ""
    step = float(np.diff(levels).min())
    steps = (levels - low) / step
    span = (high - low) / step
    if np.abs(steps - np.round(steps)).max() > 0.05 or round(span) > 255:
        return ""
    if whole_bytes:
        # An X-ray or two on a counting camera's few counts are no picture.
        few = min(max(_HIT, int(_PILED_SHARE * values.size)), values.size - 1)
        least, most = np.partition(values.ravel(), [few, -few - 1])[[few, -few - 1]]
        used = max(most, most - least) >= _SPAN_8_BIT
    elif step == 1:
        used = low == 0 and high >= 250  # Counts rarely begin at 0 and end near 255.
    else:
        used = span >= _SPAN_8_BIT and _denominator(values) is None
    return f"8-bit: values {low:g} to {high:g} in at most 256 levels, stretched by an unknown factor" if used else ""


def _piled_up(values: Pixels) -> list[str]:
    """Find values that were cut off at the top (saturated) or at the bottom (clipped)."""
    levels, counts = np.unique(values, return_counts=True)
    flags = []
    for name, level, edge, following in (
        ("saturated", levels[-1], counts[-1], counts[-3:-1]),
        ("clipped", levels[0], counts[0], counts[1:3]),
    ):
        # Few electrons leave most pixels of a counting camera at 0.
        sparse = name == "clipped" and level == 0 and values.mean() < 5 * np.diff(levels[:2]).min(initial=np.inf)
        piled = edge >= max(_PILED_PIXELS, _PILED_SHARE * values.size) and edge > _PILED_RATIO * following.mean()
        if piled and not sparse and len(levels) > 2:
            extreme = "highest" if name == "saturated" else "lowest"
            flags.append(f"{name}: {edge / values.size:.2%} of the pixels have the {extreme} value {level:g}")
    return flags


def _averaged(values: Pixels) -> str:
    """Find values that are all multiples of one over a small number: means of counts."""
    denominator = _denominator(values)
    if denominator is None:
        return ""
    return f"averaged: all values are multiples of 1/{denominator}, pixels or frames were averaged and not summed"


def _denominator(values: Pixels) -> int | None:
    sample = values.flat[:: max(1, values.size // 20000)]
    if (sample == np.round(sample)).all():
        return None
    for denominator in _DENOMINATORS:
        scaled = sample * denominator
        # Single precision keeps 24 bits.
        tolerance = np.maximum(1e-3, np.abs(scaled) * 2.0**-23)
        # Of values near 0 each is a multiple of any number, namely none of it.
        several = np.ptp(np.round(scaled)) > 1
        if several and tolerance.max() < 0.3 and (np.abs(scaled - np.round(scaled)) < tolerance).all():
            return denominator
    return None


def dead_lines(values: Pixels, axis: int) -> npt.NDArray[np.intp]:
    """Return the indices of dead or hot rows (axis 0) or columns (axis 1).

    A line is dead if its pixels are all equal, which chance does not explain, or if its mean lies outside those of the
    lines two before and two behind it by 15 robust standard deviations of such differences: not at an edge of the
    specimen, and for one or two dead lines side by side.
    """
    lines = values if axis == 0 else values.T
    same = (lines == lines[:, :1]).all(axis=1)
    dead = np.zeros(len(lines), dtype=bool)
    if same.mean() > _MOST_DEAD:
        # Where so many lines are alike, the image is a drawing or empty, and not a frame with dead lines.
        return np.flatnonzero(dead)
    for level in np.unique(lines[same, 0]):
        share = (values == level).mean()
        if not is_accident(len(lines), share, lines.shape[1]):
            dead |= same & (lines[:, 0] == level)
    means = lines.mean(axis=1)
    differences = np.abs(means[2:] - means[:-2])
    if len(means) >= 16:
        before, here, behind = means[:-4], means[2:-2], means[4:]
        outside = np.maximum(here - np.maximum(before, behind), np.minimum(before, behind) - here)
        # The mean of a line of white noise has the second deviation; sparse counts have many equal means.
        deviation = max(1.4826 * np.median(differences), values.std() / np.sqrt(lines.shape[1]))
        dead[2:-2] |= outside > _LINE_DEVIATIONS * deviation
    return np.flatnonzero(dead)


def _dead(kind: str, lines: npt.NDArray[np.intp]) -> str:
    if not len(lines):
        return ""
    named = ", ".join(str(line) for line in lines[:5]) + (", ..." if len(lines) > 5 else "")
    return f"dead {kind}s: {len(lines)} dead or hot {kind}{'s' if len(lines) > 1 else ''} ({named})"


def _filtered(values: Pixels) -> list[str]:
    """Find interpolation and smoothing in the noise at high frequency.

    Medians over many frequencies: a few lattice reflections do not matter.
    """
    if min(values.shape) < _LEAST_SIDE:
        return []
    power, y, x = _spectrum(values)
    radius, angle = np.hypot(y, x), np.degrees(np.arctan2(y, x))
    # Amplifiers leave lines along the axes.
    power, radius, angle = (a[2:-2, 2:-1] for a in (power, radius, np.broadcast_to(angle, power.shape)))

    def level(low: float, high: float, towards: float = 45.0, within: float = 45.0) -> tuple[float, int]:
        chosen = power[(radius > low) & (radius <= high) & (np.abs(angle - towards) <= within)]
        return float(np.log(max(np.median(chosen), np.finfo(float).tiny))), chosen.size

    diagonal, count = level(0.85, 1.0, 45.0, 10.0)
    axes = [level(0.85, 1.0, towards, 20.0)[0] for towards in (0.0, 90.0)]
    error = 1.5 * np.sqrt(2 / count)  # Of the difference of two log medians of exponentially distributed powers.
    steepness = (level(1.15, 1.25)[0] - level(0.8, 0.9)[0]) / np.log(1.2 / 0.85)
    corner = level(1.0, 1.3)[0] / np.log(10)
    emptiness, emptiness_of_all = (corner - level(*band)[0] / np.log(10) for band in ((0.3, 0.5), (0.03, 0.15)))
    flags = []
    if min(axes) - diagonal < _AXIS_SUPPRESSION - 4 * error:
        flags.append("interpolated: noise is missing along the axes near the Nyquist frequency (drift correction?)")
    if steepness < _STEEPEST - 4 * error or emptiness < _EMPTIEST or emptiness_of_all < _EMPTIEST_OF_ALL:
        flags.append("smoothed: less noise at high frequency than any camera leaves (denoised, or enlarged)")
    return flags


def _spectrum(values: Pixels) -> tuple[Pixels, Pixels, Pixels]:
    """Return the power of one quadrant pair, shape (y, x // 2 + 1), and |frequency| over Nyquist along y and x."""
    window = np.hanning(values.shape[0])[:, None] * np.hanning(values.shape[1])
    power = np.abs(scipy.fft.rfft2((values - values.mean()) * window)) ** 2
    y = np.abs(2 * np.fft.fftfreq(values.shape[0]))[:, None]
    x = 2 * np.fft.rfftfreq(values.shape[1])[None, :]
    return power, y, x
