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
    noise_only: bool = False
    """The series has one structure: the interval is over its frames and knows nothing of other structures."""


def isotonic(ratio: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> Floats:
    """Return the non-decreasing curve (D,) nearest to ``ratio`` (D,) in (weighted) least squares, doses rising."""
    fit: Floats = isotonic_regression(np.asarray(ratio, dtype=np.float64), weights=weights).x
    return fit


def crossing(
    doses: npt.ArrayLike, ratio: npt.ArrayLike, target: float = 0.5, weights: npt.ArrayLike | None = None
) -> float:
    """Return the dose [e/Å2] at which the isotonic fit to ``ratio`` first reaches ``target``.

    The fit is linear in the logarithm of the dose between the doses of the series. The result is the least dose where
    the fit is there already, and infinity where it never comes there.

    Examples
    --------
    >>> round(crossing([10, 100, 1000], [0.0, 0.4, 0.6]), 1)
    316.2
    """
    doses = np.asarray(doses, dtype=np.float64)
    fit = isotonic(ratio, weights)
    reached = np.flatnonzero(fit >= target)
    if not reached.size:
        return float("inf")
    return _between(doses, fit, int(reached[0]), target)


def dose_50_area(
    doses: npt.ArrayLike, ratios: npt.ArrayLike, *, level: float = 0.95, resamples: int = 1000, rng: np.random.Generator
) -> DoseLimit:
    """Return the dose at which the predicted area is half of the true area: :func:`dose_limit` at 0.5.

    Parameters
    ----------
    doses, level, resamples, rng
        As those of :func:`dose_limit`.
    ratios
        Predicted over true area (structures, D).
    """
    return dose_limit(doses, ratios, level=level, resamples=resamples, rng=rng)


def first_detection(
    doses: npt.ArrayLike,
    areas: npt.ArrayLike,
    null_areas: npt.ArrayLike,
    *,
    level: float = 0.95,
    resamples: int = 1000,
    rng: np.random.Generator,
) -> DoseLimit:
    """Return the dose from which more than half of the particles are detected.

    A particle is detected in a frame whose predicted area exceeds the 99th percentile of the predicted areas on frames
    without a particle at that dose; of so few frames it is the greatest. The limit is the :func:`dose_limit` of the
    share of detected particles at 0.5.

    Parameters
    ----------
    doses, level, resamples, rng
        As those of :func:`dose_limit`.
    areas
        Predicted area of each frame, in any unit (structures, D).
    null_areas
        The same of the frames without a particle (frames, D).
    """
    usual = np.quantile(np.asarray(null_areas, dtype=np.float64), 0.99, axis=0, method="higher")
    detected = np.asarray(areas, dtype=np.float64) > usual
    return dose_limit(doses, detected, level=level, resamples=resamples, rng=rng)


def dose_limit(
    doses: npt.ArrayLike,
    values: npt.ArrayLike,
    *,
    target: float = 0.5,
    level: float = 0.95,
    resamples: int = 1000,
    rng: np.random.Generator,
) -> DoseLimit:
    """Return the dose at which the mean of a rising quantity reaches a target.

    It is the first :func:`crossing` of the target by the isotonic fit to the mean over structures, with the
    :func:`percentile_interval` of a bootstrap that draws whole structures, all doses together. A resample that never
    crosses counts as infinite. Of one structure the frames are drawn instead, and the result says ``noise_only``.

    Parameters
    ----------
    doses
        Frame doses (D,) [e/Å2], rising.
    values
        The quantity (structures, D).
    target
        What it has to reach.
    level
        Nominal coverage of the interval.
    resamples
        Number of bootstrap resamples.
    rng
        Source of the resamples.
    """
    values = np.asarray(values, dtype=np.float64)
    mean, alone = values.mean(axis=0), len(values) == 1
    if alone:
        crossings = _crossings_of_frames(np.asarray(doses, dtype=np.float64), mean, target, resamples, rng)
    else:
        means = resampled_means(values, resamples=resamples, rng=rng)
        crossings = [crossing(doses, row, target) for row in means]
    draws = mean.size if alone else len(values)
    return limit_of(doses, mean, crossings, target=target, level=level, draws=draws, noise_only=alone)


def limit_of(
    doses: npt.ArrayLike,
    mean: Floats,
    crossings: list[float],
    *,
    target: float,
    level: float,
    draws: int,
    noise_only: bool = False,
) -> DoseLimit:
    """Return where the ``mean`` (D,) reaches a target, with the interval of the ``crossings`` of its resamples.

    ``draws`` is the number of structures, or else, that a resample draws.
    """
    low, high = percentile_interval(crossings, level=level, structures=draws)
    return DoseLimit(
        value=finite(crossing(doses, mean, target)),
        low=finite(low),
        high=finite(high),
        level=level,
        at_or_below=bool(isotonic(mean)[0] >= target),
        noise_only=noise_only,
    )


def _crossings_of_frames(
    doses: Floats, ratio: Floats, target: float, resamples: int, rng: np.random.Generator
) -> list[float]:
    """Return the crossings of bootstrap resamples of the frames of one structure."""
    counts = rng.multinomial(doses.size, np.full(doses.size, 1 / doses.size), size=resamples)
    return [crossing(doses[row > 0], ratio[row > 0], target, row[row > 0]) for row in counts]


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
