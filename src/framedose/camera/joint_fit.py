"""One camera for all frames: mean and noise spectrum of every frame in one likelihood.

With electrons per pixel N_k on frame k, the model is

    mean_k = g N_k + b
    power_k(q) = g^2 (F N_k T(q)^2 + N_0) + (mean_k - b)^2 P(q)

gain g [counts/e], offset b [counts], excess noise F, noise transfer T (Eq. 1 with C = 0), readout N_0 [e^2/px] and the
power P of a fixed pattern. The power is compared with the frame's own mean, g N_k = mean_k - b: of the electrons that
came, those that were counted make the noise, so that the counting statistics of the mean drop out.

The fit is that of Whittle: ring averages as if they were sums of independent exponential powers. They are not, because
the window couples neighbouring rings, and sparse counts couple all of them (kurtosis 1 / N_0). Estimates suffer little,
intervals would be several times too narrow, so they come from the scatter between tiles (a sandwich estimate).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats
from scipy.ndimage import uniform_filter1d

from framedose.camera.joint_model import (
    Data,
    expected_mean,
    expected_power,
    gathered,
    minimised,
    sandwich,
    signal_counts,
    slopes,
)
from framedose.camera.spectrum import Floats, Spectrum
from framedose.errors import ImageError

# Below this the means differ too little for gain and offset, or there is too little noise for anything.
_LEAST_SIGNAL = 5.0
_BAD_FIT = 1e-3


@dataclass(frozen=True)
class Estimate:
    """A number with its 68 % interval."""

    value: float
    low: float
    high: float
    quantity: str
    """Which number the data fix: ``"g"`` or, for example, ``"g F"`` where the dose is not known."""


@dataclass(frozen=True, eq=False)
class JointFit:
    """The camera that all frames share. What the data cannot separate is None, or the product that they fix."""

    c0: Estimate
    """Frequency of half maximum of T over the Nyquist frequency."""
    c3: Estimate
    """Steepness of T."""
    readout: Estimate
    """N_0 [e^2/px], or the multiple of it that ``quantity`` names."""
    gain: Estimate | None
    """g [counts/e], or the multiple of it that ``quantity`` names."""
    offset: Estimate | None
    """b [counts]; with Poisson readout its mean g N_0 is in it."""
    excess_noise: Estimate | None
    """F; known only with a known dose."""
    electrons: Floats | None
    """N_k, or the multiple of it that goes with ``gain``, electrons per pixel, shape (frames,), dark ones last."""
    shot_power: Floats
    """g^2 F N_k, counts squared, shape (frames,)."""
    readout_power: Estimate
    """g^2 N_0, counts squared."""
    expected: Floats
    """Expected ring averages of the power, counts squared, shape (frames, rings)."""
    pulls: Floats
    """Measured minus expected over the standard error, shape (frames, rings)."""
    chi2: float
    """Mean square of the pulls: 1 for a model that fits."""
    probability: float
    """Chance of a mean square that large if the model is right."""
    flags: tuple[str, ...]
    """What to know before the numbers are used."""


def fit_jointly(
    spectra: Sequence[Spectrum],
    *,
    electrons: Sequence[float] | None = None,
    dark: Sequence[Spectrum] = (),
    offset: float | None = None,
    pattern: Floats | None = None,
) -> JointFit:
    """Fit one camera to the spectra of vacuum frames.

    Parameters
    ----------
    spectra
        One for each frame, all with the same tile.
    electrons
        Incoming electrons per pixel of each frame, dose times pixel area; None if unknown.
    dark
        Spectra of frames without electrons.
    offset
        b [counts] if it is known, 0 for frames whose dark reference was taken off.
    pattern
        Power of the fixed pattern of a frame of mean 1, shape (rings,).

    Raises
    ------
    ImageError
        If there are too few electrons for a fit, or none converges.
    """
    data = gathered([*spectra, *dark], electrons, len(dark), pattern)
    known = electrons is not None
    alone = len(spectra) == 1 and not dark and offset is None
    theta, covariance, strength = _fitted(data, 0.0 if alone else offset, gain=known and not alone)
    single = alone or (offset is None and not dark and not strength > _LEAST_SIGNAL)
    if single and not alone:
        theta, covariance, strength = _fitted(data, 0.0, gain=False)
    if not strength > _LEAST_SIGNAL:
        raise ImageError(
            f"Too few electrons: the shot noise is {strength:.1f} standard errors strong, {_LEAST_SIGNAL:g} are "
            "needed. Take more or brighter frames, or a larger region."
        )
    return _described(data, theta, covariance, single=single, offset_free=not single and offset is None)


def _fitted(data: Data, offset: float | None, *, gain: bool) -> tuple[Floats, Floats, float]:
    """Return parameters, their covariance, and how many standard errors the slope of power against mean is from 0."""
    theta, free = minimised(data, offset=offset, gain=gain)
    covariance = sandwich(data, theta, free)
    return theta, covariance, float(theta[3] / max(np.sqrt(covariance[3, 3]), 1e-300))


def _described(data: Data, theta: Floats, covariance: Floats, *, single: bool, offset_free: bool) -> JointFit:
    light = ~data.dark

    def estimate(function: Callable[[Floats], float], quantity: str) -> Estimate:
        free = [index for index in range(len(theta)) if covariance[index, index] > 0]
        steps = np.maximum(1e-4 * np.sqrt(np.diag(covariance)), 1e-300)
        slope = slopes(function, theta, free, steps)
        error = float(np.sqrt(slope @ covariance[np.ix_(free, free)] @ slope))
        return Estimate(function(theta), function(theta) - error, function(theta) + error, quantity)

    pulls, chi2, probability = _goodness(data, theta)
    flags = [] if probability > _BAD_FIT else ["the model does not fit the spectra: vacuum of one camera?"]
    signal = signal_counts(data, theta)
    gain, offset, excess, electrons = None, None, None, None
    if single and data.electrons is None:
        power = float(np.mean(theta[3] * signal[light])) / theta[3]
        readout = estimate(lambda t: t[2] / (t[3] * power), "N_0 / (F N)")
        flags.append("one dose, unknown: neither gain nor offset, and only the ratio of readout to shot noise")
    elif single and data.electrons is not None:
        ratio = float(np.mean(signal[light] / data.electrons[light]))
        gain = estimate(lambda t: float(np.sqrt(t[3] * ratio)), "g sqrt(F)")
        readout = estimate(lambda t: t[2] / (t[3] * ratio), "N_0 / F")
        electrons = data.electrons
        flags.append("one dose: gain and excess noise only as their product, and no offset")
    elif data.electrons is None:
        gain = estimate(lambda t: t[3], "g F")
        readout = estimate(lambda t: t[2] / t[3] ** 2, "N_0 / F^2")
        electrons = signal / theta[3]
        flags.append("unknown dose: gain times excess noise, and electrons over excess noise")
    else:
        gain = estimate(lambda t: t[5], "g")
        readout = estimate(lambda t: t[2] / t[5] ** 2, "N_0")
        excess = estimate(lambda t: t[3] / t[5], "F")
        electrons = data.electrons
        flags += _mean_flags(data, theta)
    if single or not offset_free:
        flags += [] if single else ["offset taken as given"]
    else:
        offset = estimate(lambda t: t[4], "b")
    return JointFit(
        c0=estimate(lambda t: t[0], "c0"),
        c3=estimate(lambda t: t[1], "c3"),
        readout=readout,
        gain=gain,
        offset=offset,
        excess_noise=excess,
        electrons=electrons,
        shot_power=theta[3] * signal,
        readout_power=estimate(lambda t: t[2], "g^2 N_0"),
        expected=expected_power(data, theta),
        pulls=pulls,
        chi2=chi2,
        probability=probability,
        flags=tuple(flags),
    )


def _goodness(data: Data, theta: Floats) -> tuple[Floats, float, float]:
    """Return pulls, their mean square and its probability, with as many degrees as the rings are independent."""
    expected = expected_power(data, theta)
    rings = expected.shape[1]
    covariance = data.covariance[:, :rings, :rings]
    relative = np.einsum("kjj->kj", covariance) / expected**2
    # The variance of one ring is itself known from few tiles; those of neighbours are nearly the same.
    variance = np.maximum(uniform_filter1d(relative, 9, axis=1, mode="nearest"), 0.2 / data.modes) * expected**2
    pulls = (data.power - expected) / np.sqrt(variance)
    scale = 1 / np.sqrt(variance)
    correlation = (covariance * scale[:, :, None] * scale[:, None, :]).mean(axis=0)
    chi2 = float((pulls**2).mean())
    degrees = len(data.power) * np.trace(correlation) ** 2 / float((correlation**2).sum())
    return pulls, chi2, float(scipy.stats.chi2.sf(chi2 * degrees, degrees))


def _mean_flags(data: Data, theta: Floats) -> list[str]:
    """Compare the means with the doses: they scatter more than electrons do where the doses are not right."""
    mean, variance, told = expected_mean(data, theta)
    count = int(told.sum())
    chi2 = float(((data.mean - mean) ** 2 / variance)[told].sum())
    if count < 3 or scipy.stats.chi2.sf(chi2, count - 2) > _BAD_FIT:
        return []
    spread = float(np.sqrt(np.mean(((data.mean - mean) / np.maximum(mean - theta[4], 1e-300))[told & ~data.dark] ** 2)))
    return [f"means differ from the given doses by {spread:.1%}, more than counting does: interval of the gain widened"]
