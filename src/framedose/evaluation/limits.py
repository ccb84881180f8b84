"""Dose limits from area curves: a monotone fit, its crossing, and bootstrap intervals over structures."""

from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict
from scipy import stats
from scipy.optimize import isotonic_regression

Floats = npt.NDArray[np.float64]


class Result(BaseModel):
    """Base of all results: frozen, and free of NaN and infinity, which JSON cannot hold; None stands for 'no value'."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class DoseLimit(Result):
    """A dose limit [e/Å2] with its bootstrap interval over structures."""

    value: float | None
    """The limit; None if no dose of the series reaches it."""
    low: float | None
    """Lower end of the interval; None if beyond the greatest dose."""
    high: float | None
    """Upper end of the interval; None if beyond the greatest dose."""
    level: float
    """Nominal coverage of the interval."""
    at_or_below: bool
    """The least dose of the series reaches it already: the limit is there or below."""


def isotonic(ratio: npt.ArrayLike) -> Floats:
    """Return the non-decreasing curve (D,) nearest to ``ratio`` (D,) in least squares, doses rising."""
    fit: Floats = isotonic_regression(np.asarray(ratio, dtype=np.float64)).x
    return fit


def crossing(doses: npt.ArrayLike, ratio: npt.ArrayLike, target: float = 0.5) -> float:
    """Return the dose [e/Å2] at which the isotonic fit to ``ratio`` first reaches ``target``.

    The fit is linear in the logarithm of the dose between the doses of the series. The result is the least dose where
    the fit is there already, and infinity where it never comes there.

    Examples
    --------
    >>> round(crossing([10, 100, 1000], [0.0, 0.4, 0.6]), 1)
    316.2
    """
    doses = np.asarray(doses, dtype=np.float64)
    fit = isotonic(ratio)
    reached = np.flatnonzero(fit >= target)
    if not reached.size:
        return float("inf")
    return _between(doses, fit, int(reached[0]), target)


def dose_50_area(
    doses: npt.ArrayLike, ratios: npt.ArrayLike, *, level: float = 0.95, resamples: int = 1000, rng: np.random.Generator
) -> DoseLimit:
    """Return the dose at which the predicted area is half of the true area.

    It is the first :func:`crossing` of 0.5 by the isotonic fit to the mean area ratio, with the
    :func:`percentile_interval` of a bootstrap that draws whole structures, all doses together. A resample that never
    crosses counts as infinite.

    Parameters
    ----------
    doses
        Frame doses (D,) [e/Å2], rising.
    ratios
        Predicted over true area (structures, D).
    level
        Nominal coverage of the interval.
    resamples
        Number of bootstrap resamples.
    rng
        Source of the resamples.
    """
    ratios = np.asarray(ratios, dtype=np.float64)
    mean = ratios.mean(axis=0)
    means = resampled_means(ratios, resamples=resamples, rng=rng)
    low, high = percentile_interval([crossing(doses, row) for row in means], level=level, structures=len(ratios))
    value, at_or_below = crossing(doses, mean), bool(isotonic(mean)[0] >= 0.5)
    return DoseLimit(value=finite(value), low=finite(low), high=finite(high), level=level, at_or_below=at_or_below)


def dose_converged(
    doses: npt.ArrayLike, ratio: npt.ArrayLike, *, plateau_from: float, tolerance: float = 0.05
) -> float | None:
    """Return the least dose [e/Å2] above which the mean area ratio stays near its plateau.

    The plateau P is the mean of ``ratio`` over the doses at or above ``plateau_from``. The curve, linear in the
    logarithm of the dose between the doses of the series, must stay within P (1 ± ``tolerance``) from the returned
    dose up to the last one. The raw means are used, not the monotone fit, so that an area that is too large at low
    dose is not converged either.

    Parameters
    ----------
    doses
        Frame doses (D,) [e/Å2], rising.
    ratio
        Mean area ratio (D,).
    plateau_from
        Least dose of the plateau [e/Å2].
    tolerance
        Half width of the band, relative to P.

    Returns
    -------
    float or None
        The least dose of the series if the curve never leaves the band; None if fewer than the last two doses lie in
        it, which shows no convergence, or if nothing is predicted on the plateau.
    """
    doses, ratio = np.asarray(doses, dtype=np.float64), np.asarray(ratio, dtype=np.float64)
    plateau = ratio[doses >= plateau_from].mean()
    outside = np.flatnonzero(np.abs(ratio - plateau) > tolerance * plateau)
    first = int(outside[-1]) + 1 if outside.size else 0
    if plateau <= 0 or doses.size - first < 2:
        return None
    edge = plateau * (1 + tolerance * np.sign(ratio[first - 1] - plateau))
    return _between(doses, ratio, first, edge)


def _between(doses: Floats, values: Floats, index: int, target: float) -> float:
    """Return the dose where the line from ``index - 1`` to ``index`` meets ``target``; the first dose for index 0."""
    if index == 0:
        return float(doses[0])
    share = (target - values[index - 1]) / (values[index] - values[index - 1])
    return float(doses[index - 1] * (doses[index] / doses[index - 1]) ** share)


def resampled_means(values: npt.ArrayLike, *, resamples: int, rng: np.random.Generator) -> Floats:
    """Return the mean over structures of bootstrap resamples.

    Parameters
    ----------
    values
        One row for each structure (structures, D).
    resamples
        Number of resamples; each draws as many structures as there are, with replacement, all D columns together.
    rng
        Source of the draws.

    Returns
    -------
    ndarray
        The means (resamples, D).
    """
    values = np.asarray(values, dtype=np.float64)
    structures = len(values)
    weights = rng.multinomial(structures, np.full(structures, 1 / structures), size=resamples) / structures
    means: Floats = weights @ values
    return means


def percentile_interval(samples: npt.ArrayLike, *, level: float, structures: int) -> Any:
    """Return the equal-tailed interval of bootstrap ``samples`` along the first axis, as an array (2, ...).

    A bootstrap of n structures takes their spread too small by sqrt((n - 1) / n) and for known, so that the plain
    percentiles cover too rarely (92 % instead of 95 % for 24 structures). The tails are therefore those of the
    expanded percentile interval, Phi(-sqrt(n / (n - 1)) t), t the quantile of Student's distribution with n - 1
    degrees of freedom (T. Hesterberg, The American Statistician 69, 371 (2015), doi:10.1080/00031305.2015.1089789).

    The ends are samples themselves, without interpolation, so that infinite samples are allowed.
    """
    student = stats.t.ppf((1 + level) / 2, structures - 1)
    tail = stats.norm.cdf(-np.sqrt(structures / (structures - 1)) * student)
    return np.quantile(np.asarray(samples), [tail, 1 - tail], axis=0, method="inverted_cdf")


def finite(value: float) -> float | None:
    """Return ``value`` as JSON can hold it: None for NaN and infinity."""
    return float(value) if np.isfinite(value) else None
