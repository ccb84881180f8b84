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
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import scipy.stats
from scipy.optimize import brentq

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
from framedose.errors import ConfigurationError, ImageError

# Below this the means differ too little for gain and offset, or there is too little noise for anything.
_LEAST_SIGNAL = 5.0
_BAD_FIT = 1e-4
# By no more than this do doses scatter that belong to the frames.
_GREATEST_SCATTER = 0.5
# Standard errors by which a mean is certainly below another.
_SURE = 5.0
_SCATTER_ROUNDS = 3
_FLAT = 1.5


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
    signal: Floats
    """g N_k, mean less offset, counts, shape (frames,); the whole mean where the offset is not known."""
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
    ConfigurationError
        If the means of the frames do not follow the electrons that are told of them.
    """
    data = gathered([*spectra, *dark], electrons, len(dark), pattern)
    alone = len(spectra) == 1 and not dark and offset is None
    fitted = _fitted(data, 0.0 if alone else offset, gain=electrons is not None and not alone)
    single = alone or (offset is None and not dark and not fitted.strength > _LEAST_SIGNAL)
    if single and not alone:
        fitted = _fitted(data, 0.0, gain=False)
    strength = min(fitted.strength, _slope_of_spectrum(spectra)) if single else fitted.strength
    if not strength > _LEAST_SIGNAL:
        raise ImageError(
            f"Too few electrons: the shot noise stands {max(strength, 0):.1f} standard errors above the readout, "
            f"{_LEAST_SIGNAL:g} are needed. Take more or brighter frames, frames of several doses, or a larger region."
        )
    return _described(fitted, single=single, offset=offset)


@dataclass(frozen=True, eq=False)
class _Fitted:
    data: Data
    theta: Floats
    covariance: Floats

    @property
    def strength(self) -> float:
        """How many standard errors the slope of power against mean is from zero."""
        return float(self.theta[3] / np.sqrt(max(self.covariance[3, 3], 1e-300)))

    def estimate(self, function: Callable[[Floats], float], quantity: str) -> Estimate:
        """Return a function of the parameters with its interval, by its slopes."""
        free = [index for index in range(len(self.theta)) if self.covariance[index, index] > 0]
        slope = slopes(function, self.theta, free, 1e-6 * np.sqrt(np.diag(self.covariance)))
        error = float(np.sqrt(slope @ self.covariance[np.ix_(free, free)] @ slope))
        value = float(function(self.theta))
        return Estimate(value, value - error, value + error, quantity)


def _fitted(data: Data, offset: float | None, *, gain: bool) -> _Fitted:
    """Fit, and again with a scatter of the doses where the means do not follow them as counting would."""
    theta, free = minimised(data, offset=offset, gain=gain)
    for _ in range(_SCATTER_ROUNDS if gain else 0):
        scatter = _dose_scatter(data, theta)
        if scatter is None:
            break
        data = replace(data, dose_scatter=scatter)
        theta, free = minimised(data, offset=offset, gain=gain)
    return _Fitted(data, theta, sandwich(data, theta, free))


def _dose_scatter(data: Data, theta: Floats) -> float | None:
    """Return the relative scatter of the doses that makes the means fit them, or None if they do."""
    mean, variance, told = expected_mean(data, theta)
    signal = theta[5] * (np.zeros(len(told)) if data.electrons is None else data.electrons)
    counting = variance - (data.dose_scatter * signal) ** 2
    square = ((data.mean - mean) ** 2)[told]
    degrees = int(told.sum()) - 2
    if degrees < 1:
        _refuse_falling(data, told)
        return None

    def excess(scatter: float) -> float:
        return float((square / (counting + (scatter * signal) ** 2)[told]).sum()) - degrees

    if data.dose_scatter == 0 and scipy.stats.chi2.sf(excess(0) + degrees, degrees) > _BAD_FIT:
        return None
    if excess(0) <= 0:
        return None
    if excess(_GREATEST_SCATTER) > 0:
        raise _not_followed(data, told)
    return float(brentq(excess, 0, _GREATEST_SCATTER))


def _refuse_falling(data: Data, told: npt.NDArray[np.bool_]) -> None:
    """Refuse two frames of which that of the higher dose is darker: a line goes through any two."""
    if data.electrons is None or told.sum() != 2:
        return
    low, high = np.flatnonzero(told)[np.argsort(data.electrons[told], kind="stable")]
    error = float(np.sqrt((data.power[:, 0] / data.pixels)[[low, high]].sum()))
    differ = data.electrons[high] > (1 + _GREATEST_SCATTER) * data.electrons[low]
    if differ and data.mean[low] - data.mean[high] > _SURE * error:
        raise _not_followed(data, told)


def _not_followed(data: Data, told: npt.NDArray[np.bool_]) -> ConfigurationError:
    counts = ", ".join(f"{one:.4g}" for one in data.mean[told])
    return ConfigurationError(
        f"--dose: the means of the frames, {counts} counts, do not follow the doses that are given: give these in "
        "the order of the files."
    )


def _slope_of_spectrum(spectra: Sequence[Spectrum]) -> float:
    """Return by how many standard errors the low rings are above the high ones: at one dose nothing else tells."""
    rings = len(spectra[0].power)
    contrast = np.zeros(rings + 1)
    contrast[: rings // 4], contrast[-rings // 4 - 1 : -1] = 1 / (rings // 4), -1 / (rings // 4 + 1)
    above = sum(float(contrast[:-1] @ spectrum.power) for spectrum in spectra)
    variance = sum(max(float(contrast @ spectrum.covariance @ contrast), 0.0) for spectrum in spectra)
    return float(above / np.sqrt(max(variance, 1e-300)))


@dataclass(frozen=True)
class _Scale:
    """What of gain, readout and electrons the data fix."""

    gain: Estimate | None
    readout: Estimate
    excess_noise: Estimate | None
    electrons: Floats | None
    flags: tuple[str, ...]


def _scale(fitted: _Fitted, *, single: bool) -> _Scale:
    data, theta, estimate = fitted.data, fitted.theta, fitted.estimate
    signal, light = signal_counts(data, theta), ~data.dark
    if single and data.electrons is None:
        power = float(np.mean(signal[light]))
        readout = estimate(lambda t: t[2] / (t[3] * power), "N_0 / (F N)")
        flag = "one dose, unknown: neither gain nor offset, and only the ratio of readout to shot noise"
        return _Scale(None, readout, None, None, (flag,))
    if single and data.electrons is not None:
        ratio = float(np.mean(signal[light] / data.electrons[light]))
        gain = estimate(lambda t: float(np.sqrt(t[3] * ratio)), "g sqrt(F)")
        readout = estimate(lambda t: t[2] / (t[3] * ratio), "N_0 / F")
        flag = "one dose: gain and excess noise only as their product, and no offset"
        return _Scale(gain, readout, None, data.electrons, (flag,))
    if data.electrons is None:
        gain, readout = estimate(lambda t: t[3], "g F"), estimate(lambda t: t[2] / t[3] ** 2, "N_0 / F^2")
        flag = "unknown dose: gain times excess noise, and electrons over excess noise"
        return _Scale(gain, readout, None, signal / theta[3], (flag,))
    gain, readout = estimate(lambda t: t[5], "g"), estimate(lambda t: t[2] / t[5] ** 2, "N_0")
    flag = f"the given doses scatter by {data.dose_scatter:.1%} about the means: taken into the intervals"
    excess = estimate(lambda t: t[3] / t[5], "F")
    return _Scale(gain, readout, excess, data.electrons, (flag,) if data.dose_scatter > 0 else ())


def _described(fitted: _Fitted, *, single: bool, offset: float | None) -> JointFit:
    data, theta, estimate = fitted.data, fitted.theta, fitted.estimate
    pulls, chi2, probability = _goodness(data, theta)
    scale = _scale(fitted, single=single)
    notes = {
        "the model does not fit the spectra: vacuum of one camera?": probability <= _BAD_FIT,
        "noise transfer flat up to the Nyquist frequency: c0 and c3 are not determined": theta[0] > _FLAT,
        "offset taken as given": offset is not None,
    }
    return JointFit(
        c0=estimate(lambda t: t[0], "c0"),
        c3=estimate(lambda t: t[1], "c3"),
        readout=scale.readout,
        gain=scale.gain,
        # Of one dose it is unknown; one that was given has no error here.
        offset=None if single else estimate(lambda t: t[4], "b"),
        excess_noise=scale.excess_noise,
        electrons=scale.electrons,
        signal=signal_counts(data, theta),
        shot_power=theta[3] * signal_counts(data, theta),
        readout_power=estimate(lambda t: t[2], "g^2 N_0"),
        expected=expected_power(data, theta),
        pulls=pulls,
        chi2=chi2,
        probability=probability,
        flags=(*(note for note, true in notes.items() if true), *scale.flags),
    )


def _goodness(data: Data, theta: Floats) -> tuple[Floats, float, float]:
    """Return pulls, their mean square and its probability, with as many degrees as the rings are independent."""
    expected = expected_power(data, theta)
    rings = expected.shape[1]
    covariance = data.covariance[:, :rings, :rings]
    # Relative to what is expected: a ring that is low by chance must not count as better known.
    variance = data.variance * (expected / data.power) ** 2
    pulls = (data.power - expected) / np.sqrt(variance)
    scale = 1 / np.sqrt(variance)
    correlation = (covariance * scale[:, :, None] * scale[:, None, :]).mean(axis=0)
    chi2 = float((pulls**2).mean())
    degrees = len(data.power) * np.trace(correlation) ** 2 / float((correlation**2).sum())
    return pulls, chi2, float(scipy.stats.chi2.sf(chi2 * degrees, degrees))
