"""Two observers that know the signal exactly: likelihood ratio on the counts, and linear prewhitening on frames."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.fft
from scipy.optimize import brentq
from scipy.stats import norm

from framedose.errors import ImageError
from framedose.evaluation.physics.frames import Floats, FrameModel


@dataclass(frozen=True, eq=False)
class Separation:
    """How far a statistic tells two hypotheses apart, in the normal approximation; arrays of any shape.

    Parameters
    ----------
    distance
        Mean with the particle less the mean without it.
    deviation_without, deviation_with
        Standard deviations without and with the particle.
    """

    distance: Floats
    deviation_without: Floats
    deviation_with: Floats

    @property
    def d_prime(self) -> Floats:
        """d' = distance / root mean square of the two deviations; sqrt(2) times the normal quantile of the AUC."""
        spread = np.sqrt((self.deviation_without**2 + self.deviation_with**2) / 2)
        return _ratio(self.distance, spread)

    @property
    def auc(self) -> Floats:
        """Area under the ROC curve: Phi(d' / sqrt(2))."""
        return np.asarray(norm.cdf(self.d_prime / np.sqrt(2)))

    def found(self, false_share: float = 0.01) -> Floats:
        """Return the share of particles above the threshold that ``false_share`` of the fields without one exceed."""
        threshold = norm.isf(false_share) * self.deviation_without
        deviates = (self.distance - threshold) / np.where(self.deviation_with > 0, self.deviation_with, np.inf)
        return np.asarray(np.where(self.distance > 0, norm.cdf(deviates), false_share))


def _ratio(over: Floats, under: Floats) -> Floats:
    return np.asarray(np.divide(over, under, out=np.zeros(np.shape(under)), where=np.asarray(under) > 0))


def log_likelihood_ratio(
    counts: npt.ArrayLike,
    with_particle: npt.ArrayLike,
    without: npt.ArrayLike,
    electrons: float,
    *,
    least: float = 1e-6,
) -> Floats:
    """Return the log likelihood ratio of electron counts: L = sum n ln(I1 / I0) - N_D sum (I1 - I0).

    No test on the counts before the camera finds more of a known particle at the same false share (Neyman and
    Pearson), and none on what the camera makes of them.

    Parameters
    ----------
    counts
        Electrons n of each camera pixel, before the MTF and the readout, shape (..., y, x).
    with_particle, without
        Expected intensity I1 and I0 per incoming electron (y, x), vacuum 1.
    electrons
        N_D, electrons on a pixel of vacuum.
    least
        Intensities below it are raised to it. At an exact 0 one electron would decide alone, with an infinite L, for
        what is only the rounding of the simulation: real pixels are never that dark.

    Returns
    -------
    ndarray
        L, shape (...).
    """
    one, zero = _intensities(with_particle, without, least)
    ratio = np.asarray(counts) * np.log(one / zero)
    return np.asarray(ratio.sum(axis=(-2, -1)) - electrons * (one - zero).sum())


def count_separation(
    with_particle: npt.ArrayLike, without: npt.ArrayLike, electrons: npt.ArrayLike, *, least: float = 1e-6
) -> Separation:
    """Return how far the likelihood ratio on the counts tells particle and no particle apart, curve (a).

    With n ~ Poisson(N_D I) the mean of L is N_D [sum I ln(I1 / I0) - sum (I1 - I0)] and its variance
    N_D sum I ln(I1 / I0)^2, I = I1 or I0: these are exact. That L is normal is not: it is a sum of few terms where few
    electrons are counted on the pixels that tell the two apart, and then it is skewed. Its skewness is
    sum I ln^3 / (sqrt(N_D) (sum I ln^2)^1.5); where that exceeds about 0.5 draw counts and use
    :func:`log_likelihood_ratio`.

    Parameters
    ----------
    with_particle, without, least
        As those of :func:`log_likelihood_ratio`.
    electrons
        N_D, electrons on a camera pixel of vacuum, any shape.
    """
    one, zero = _intensities(with_particle, without, least)
    weight, each = np.log(one / zero), np.asarray(electrons, dtype=np.float64)
    # The two means differ by sum (I1 - I0) ln(I1 / I0): every term is positive.
    distance = each * ((one - zero) * weight).sum()
    return Separation(distance, *(np.sqrt(each * (image * weight**2).sum()) for image in (zero, one)))


def count_skewness(
    with_particle: npt.ArrayLike, without: npt.ArrayLike, electrons: float, *, least: float = 1e-6
) -> float:
    """Return the skewness of the likelihood ratio without the particle; parameters of :func:`count_separation`."""
    one, zero = _intensities(with_particle, without, least)
    weight = np.log(one / zero)
    second = (zero * weight**2).sum()
    return float((zero * weight**3).sum() / np.sqrt(electrons * second**3)) if second > 0 else 0.0


def electrons_to_count(
    with_particle: npt.ArrayLike,
    without: npt.ArrayLike,
    *,
    found: float = 0.95,
    false_share: float = 0.01,
    least: float = 1e-6,
) -> float:
    """Return the electrons per camera pixel at which curve (a) finds the share ``found`` at ``false_share``.

    Mean and variance go with N_D, so that sqrt(N_D) = (z_false s0 + z_found s1) / (m1 - m0), all for one electron.
    Infinite for images that are equal. Divide by the pixel's area for a dose.
    """
    unit = count_separation(with_particle, without, 1.0, least=least)
    needed = norm.isf(false_share) * unit.deviation_without + norm.ppf(found) * unit.deviation_with
    return float((needed / unit.distance) ** 2) if unit.distance > 0 else float("inf")


def _intensities(with_particle: npt.ArrayLike, without: npt.ArrayLike, least: float) -> tuple[Floats, Floats]:
    images = [np.asarray(image, dtype=np.float64) for image in (with_particle, without)]
    if images[0].shape != images[1].shape or images[0].ndim != 2:
        raise ImageError(
            "with_particle and without must be two images (y, x) of one shape, got "
            f"{images[0].shape} and {images[1].shape}."
        )
    if not least > 0:
        raise ImageError(f"least must be a positive intensity, got {least}: the ratio to 0 is not finite.")
    one, zero = (np.maximum(image, least) for image in images)
    return one, zero


def frame_d_prime(
    model: FrameModel, difference: npt.ArrayLike, electrons: npt.ArrayLike, *, mean: float = 1.0
) -> Floats:
    """Return d' of the linear prewhitening observer that knows the signal exactly, curve (b).

    d'^2 = (N_D^2 / N_px) sum_q MTF^2 |dI_q|^2 / (N_D mean(I) MTF^2 + N_0) at camera pixels, dI_q the unnormalised DFT
    of the difference of the expected images. For summed pixels signal and noise are those of :class:`FrameModel`.
    It is the best linear statistic for this noise spectrum. It is not a bound: the counts are sparse and Poisson.

    Parameters
    ----------
    model
        The camera and the frames.
    difference
        Expected image with the particle less that without it, per incoming electron, shape (y, x) of
        ``model.detected``.
    electrons
        N_D, electrons on a camera pixel of vacuum, any shape.
    mean
        Mean expected intensity of the image, for its shot noise.

    Returns
    -------
    ndarray
        d', shape of ``electrons``.
    """
    return signal_d_prime(model, model.transferred(difference), electrons, mean=mean)


def signal_d_prime(
    model: FrameModel, signal: npt.NDArray[Any], electrons: npt.ArrayLike, *, mean: float = 1.0
) -> Floats:
    """Return d' as :func:`frame_d_prime`, for a difference that the camera has passed already (``transferred``)."""
    power = np.abs(scipy.fft.rfft2(np.asarray(signal, dtype=np.float64))) ** 2
    each = np.asarray(electrons, dtype=np.float64)
    squared = [model.over_plane(_ratio(power, model.noise(n, mean))) * n**2 for n in each.ravel()]
    return np.sqrt(np.asarray(squared) / signal.size).reshape(each.shape)


def observer_template(
    model: FrameModel, difference: npt.ArrayLike, electrons: float, *, mean: float = 1.0
) -> npt.NDArray[Any]:
    """Return the template (y, x) of the prewhitening observer: the expected difference frame over the noise spectrum.

    Parameters as those of :func:`frame_d_prime`.
    """
    spectrum = scipy.fft.rfft2(electrons * model.transferred(difference))
    return np.asarray(scipy.fft.irfft2(_whitened(spectrum, model.noise(electrons, mean)), s=model.shape))


def observer_statistic(frames: npt.ArrayLike, template: npt.ArrayLike, background: npt.ArrayLike) -> Floats:
    """Return the prewhitening observer's statistic: the sum of template times frame less background.

    Without the particle its mean is 0, with it d'^2, and its variance d'^2 in both.

    Parameters
    ----------
    frames
        Frames (..., y, x) [electrons].
    template
        From :func:`observer_template`.
    background
        Mean frame without the particle (y, x) [electrons], from :meth:`FrameModel.expected`.

    Returns
    -------
    ndarray
        Shape (...).
    """
    less = np.asarray(frames, dtype=np.float64) - background
    return np.asarray((less * template).sum(axis=(-2, -1)))


def frame_separation(d_prime: npt.ArrayLike) -> Separation:
    """Return the separation of a statistic of equal spread with and without the particle, from its d'."""
    value = np.asarray(d_prime, dtype=np.float64)
    return Separation(value**2, value, value)


def electrons_for(
    model: FrameModel,
    difference: npt.ArrayLike,
    d_prime: float,
    *,
    mean: float = 1.0,
    bracket: tuple[float, float] = (1e-6, 1e6),
) -> float:
    """Return the electrons per camera pixel at which curve (b) reaches ``d_prime``.

    3.971 is 95 % found at 1 % false fields (2.326 + 1.645); 3.290 is an error of 5 % between two equally likely
    hypotheses. d' rises with the dose, so there is one answer; infinite beyond ``bracket``.
    """
    signal = model.transferred(difference)

    def excess(log_electrons: float) -> float:
        return float(signal_d_prime(model, signal, np.exp(log_electrons), mean=mean)) - d_prime

    low, high = np.log(bracket)
    if excess(high) < 0:
        return float("inf")
    return float(np.exp(brentq(excess, low, high, rtol=1e-10))) if excess(low) < 0 else bracket[0]


def patch_d_primes(
    model: FrameModel,
    difference: npt.ArrayLike,
    mask: npt.ArrayLike,
    side: int,
    electrons: npt.ArrayLike,
    *,
    mean: float = 1.0,
) -> Floats:
    """Return d' of single patches being particle or not, all else known.

    The mask is tiled with squares, and each that lies within the particle as a whole is one patch. Its signal is the
    difference of the expected images inside of it. The nearest of the two hypotheses is wrong with Phi(-d' / 2): 5 %
    at d' = 3.290.

    Parameters
    ----------
    model, difference, electrons, mean
        As those of :func:`frame_d_prime`.
    mask
        The particle (y, x), at the pixels of the frames.
    side
        Side of a patch, in pixels of the frames.

    Returns
    -------
    ndarray
        Shape (patches, ...), ``electrons`` having (...); no patch where the particle holds none.
    """
    if side < 1:
        raise ImageError(f"side must be at least one pixel of the frames, got {side}: take a larger patch.")
    difference, mask = np.asarray(difference), np.asarray(mask, dtype=bool)
    if mask.shape != model.shape:
        raise ImageError(f"mask must have the shape of the frames, {model.shape}, got {mask.shape}.")
    inside = np.argwhere(mask)
    first, last = (inside.min(axis=0), inside.max(axis=0) + 1) if inside.size else (np.zeros(2, int), np.zeros(2, int))
    found = []
    for y in range(first[0], last[0] - side + 1, side):
        for x in range(first[1], last[1] - side + 1, side):
            if mask[y : y + side, x : x + side].all():
                alone = np.zeros_like(difference)
                rows, columns = (
                    slice(model.margin + at * model.binning, model.margin + (at + side) * model.binning)
                    for at in (y, x)
                )
                alone[rows, columns] = difference[rows, columns]
                found.append(frame_d_prime(model, alone, electrons, mean=mean))
    return np.asarray(found).reshape(len(found), *np.shape(electrons))


def _whitened(spectrum: npt.NDArray[Any], noise: Floats) -> npt.NDArray[Any]:
    """Return a spectrum over the noise; where there is no noise there is no signal either (an MTF of 0)."""
    return np.divide(spectrum, noise, out=np.zeros_like(spectrum), where=noise > 0)
