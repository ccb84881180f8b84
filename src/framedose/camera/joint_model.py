"""Likelihood and sandwich of the joint fit; :mod:`framedose.camera.joint_fit` says what the model is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from iminuit import Minuit

from framedose.camera.leakage import ring_matrix, ring_nodes
from framedose.camera.mtf import mtf
from framedose.camera.spectrum import Floats, Spectrum
from framedose.errors import ImageError

_NAMES = ("c0", "c3", "floor", "slope", "offset", "gain")
"""Of T the frequency and the steepness; g^2 N_0 [counts^2]; g F [counts/e]; b [counts]; g [counts/e]."""


@dataclass(frozen=True, eq=False)
class Data:
    """The frames as arrays; dark ones come last."""

    power: Floats
    modes: Floats
    variance: Floats
    mean: Floats
    covariance: Floats
    electrons: Floats | None
    dark: npt.NDArray[np.bool_]
    pattern: Floats
    pixels: Floats
    tile: int
    dose_scatter: float = 0.0
    """Standard deviation of the true doses about the given ones, relative."""


def gathered(spectra: Sequence[Spectrum], electrons: Sequence[float] | None, dark: int, pattern: Floats | None) -> Data:
    """Return the frames as arrays, the last ``dark`` of them dark."""
    tiles = {spectrum.tile for spectrum in spectra}
    if len(tiles) != 1:
        raise ImageError(f"All frames need regions of one size, got tiles of {sorted(tiles)} pixels.")
    light = len(spectra) - dark
    if electrons is not None and len(electrons) != light:
        raise ImageError(f"electrons must hold one number for each of the {light} frames, got {len(electrons)}.")
    return Data(
        power=np.array([s.power for s in spectra]),
        modes=np.array([s.modes for s in spectra]),
        variance=np.array([s.variance for s in spectra]),
        mean=np.array([s.mean for s in spectra]),
        covariance=np.array([s.covariance for s in spectra]),
        electrons=None if electrons is None else np.append(np.asarray(electrons, float), np.zeros(dark)),
        dark=np.arange(len(spectra)) >= light,
        pattern=np.zeros(len(spectra[0].power)) if pattern is None else pattern,
        pixels=np.array([float(s.pixels) for s in spectra]),
        tile=tiles.pop(),
    )


def _shape(theta: Floats, tile: int) -> Floats:
    """Return the ring averages of T^2 as the window sees them."""
    return np.asarray(ring_matrix(tile) @ mtf(ring_nodes(tile), theta[0], theta[1]) ** 2)


def signal_counts(data: Data, theta: Floats) -> Floats:
    """Return g N_k, counts."""
    return np.where(data.dark, 0.0, data.mean - theta[4])


def expected_power(data: Data, theta: Floats) -> Floats:
    """Return the expected ring averages of each frame, shape (frames, rings)."""
    signal = signal_counts(data, theta)[:, None]
    return np.asarray(theta[3] * signal * _shape(theta, data.tile) + theta[2] + signal**2 * data.pattern)


def expected_mean(data: Data, theta: Floats) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """Return the expected mean of each frame, its variance, and whether it is known what it should be."""
    electrons = np.zeros(len(data.mean)) if data.electrons is None else data.electrons
    mean = theta[5] * electrons + theta[4]
    counting = (theta[3] * theta[5] * electrons + theta[2]) / data.pixels
    variance = counting + (data.dose_scatter * theta[5] * electrons) ** 2
    return mean, variance, data.dark | (data.electrons is not None and theta[5] > 0)


def _start(data: Data, offset: float | None) -> Floats:
    """Return rough values: the floor of the darkest frame, then low rings against the mean."""
    floor = float(np.min(data.power[:, -10:].mean(axis=1))) * 0.8
    low = data.power[:, :3].mean(axis=1) - floor
    if offset is None and data.dark.any():
        offset = float(data.mean[data.dark].mean())
    if offset is None and np.ptp(data.mean) < 1e-6 * abs(data.mean).max():
        offset = 0.0
    if offset is None:
        weight = 1 / np.maximum(low, 1e-3 * low.max())
        slope, cut = np.polyfit(data.mean, low, 1, w=weight)
        slope, offset = float(slope), float(-cut / slope)
        offset = min(offset, float(data.mean.min()) - 1e-3 * float(np.ptp(data.mean)))
    light = ~data.dark
    slope = float(np.median(low[light] / (data.mean[light] - offset)))
    brightest = int(np.argmax(data.mean))
    half = data.power[brightest] - floor < 0.25 * low[brightest]
    frequencies = np.linspace(3, data.tile // 2 - 1, data.power.shape[1]) / (data.tile // 2)
    c0 = float(frequencies[np.argmax(half)]) if half.any() else 1.0
    gain = 0.0
    if data.electrons is not None:
        gain = float(np.median((data.mean[light] - offset) / data.electrons[light]))
    return np.array([max(c0, 0.05), 2.5, floor, slope, offset, gain])


def minimised(data: Data, *, offset: float | None, gain: bool) -> tuple[Floats, list[int]]:
    """Return the parameters of the greatest likelihood, and which of them were free."""
    start = _start(data, offset)
    if not gain:
        start[5] = 0.0

    def cost(theta: Floats) -> float:
        expected = np.maximum(expected_power(data, theta), 1e-12 * start[2] + 1e-300)
        mean, variance, told = expected_mean(data, theta)
        away = ((data.mean - mean) ** 2 / variance + np.log(variance))[told]
        return float((data.modes * (np.log(expected) + data.power / expected)).sum() + away.sum() / 2)

    minuit = Minuit(cost, start, name=_NAMES)
    minuit.errordef = Minuit.LIKELIHOOD
    minuit.errors = np.maximum(np.abs(start) * 0.02, 1e-9)
    minuit.errors["offset"] = max(0.02 * float(np.min(data.mean[~data.dark] - start[4])), 1e-9)
    minuit.limits["c0"], minuit.limits["c3"] = (0.01, 5), (0.3, 20)
    minuit.limits["floor"] = minuit.limits["slope"] = minuit.limits["gain"] = (0, None)
    minuit.fixed["offset"], minuit.fixed["gain"] = offset is not None, not gain
    minuit.tol = 0.01
    minuit.strategy = 1
    minuit.migrad(ncall=20000)
    if not minuit.valid and not minuit.fmin.has_parameters_at_limit:
        minuit.simplex().migrad(ncall=20000)
    theta = np.array(minuit.values)
    if not np.isfinite(theta).all() or not np.isfinite(minuit.fval):
        raise ImageError("The joint fit does not converge: are these frames vacuum of one camera?")
    return theta, [index for index, name in enumerate(_NAMES) if not minuit.fixed[name]]


def slopes(function: Callable[[Floats], Any], theta: Floats, free: list[int], steps: Floats) -> Floats:
    """Return the derivatives by the free parameters, first axis, by central differences."""
    rows = []
    for index in free:
        step = np.zeros(len(theta))
        step[index] = steps[index]
        rows.append((np.asarray(function(theta + step)) - np.asarray(function(theta - step))) / (2 * steps[index]))
    return np.array(rows)


def _steps(data: Data, theta: Floats) -> Floats:
    steps = 1e-4 * np.abs(theta) + 1e-12
    steps[2] = 1e-4 * max(theta[2], 1e-3 * float(data.power.min()))
    steps[4] = 1e-4 * float(np.mean(signal_counts(data, theta)[~data.dark]))
    return np.asarray(steps)


def sandwich(data: Data, theta: Floats, free: list[int]) -> Floats:
    """Return the covariance of all parameters, zero for fixed ones: H^-1 V H^-1.

    H is the information of the likelihood; V is the covariance of its score, into which the scatter of rings and mean
    between the tiles of each frame goes as it is.
    """
    steps = _steps(data, theta)
    expected = expected_power(data, theta)
    by_power = slopes(lambda t: expected_power(data, t), theta, free, steps)
    _, variance, told = expected_mean(data, theta)
    by_mean = slopes(lambda t: expected_mean(data, t)[0], theta, free, steps) * told
    weight = data.modes / expected**2
    information = np.einsum("akj,bkj->ab", by_power * weight, by_power) + (by_mean / variance) @ by_mean.T
    score = np.einsum("akj->kaj", by_power * weight)
    # A frame's own mean is in its expected power.
    by_own_mean = (theta[3] * _shape(theta, data.tile)) * (~data.dark)[:, None]
    of_mean = (by_mean / variance).T - np.einsum("kaj,kj->ka", score, by_own_mean)
    linear = np.concatenate([score, of_mean[:, :, None]], axis=2)
    spread = np.einsum("kaj,kjl,kbl->ab", linear, data.covariance, linear, optimize=True)
    # What the data do not fix gets a very large error, 1e4 of itself; the parameters have different units.
    scale = 1e4 * steps[free]
    inverse = np.linalg.inv(information * np.outer(scale, scale) + 1e-8 * np.eye(len(free))) * np.outer(scale, scale)
    # Errors of the doses are in the means, but not in the power, which goes by what was counted.
    given = np.zeros(len(data.mean)) if data.electrons is None else data.dose_scatter * theta[5] * data.electrons
    pushed = by_mean / variance * given
    spread = spread + pushed @ pushed.T
    found = inverse @ spread @ inverse
    # The scatter of very few tiles can come out next to nothing; the information alone is then the better guess.
    if (np.diag(found) < 0.1 * np.diag(inverse)).any():
        found = inverse
    covariance = np.zeros((len(theta), len(theta)))
    covariance[np.ix_(free, free)] = found
    return covariance
