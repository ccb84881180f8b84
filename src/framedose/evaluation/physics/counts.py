"""The likelihood ratio on the counts before the camera, knowing the signal exactly: curve (a)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from framedose.errors import ImageError
from framedose.evaluation.physics.frames import Floats


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
