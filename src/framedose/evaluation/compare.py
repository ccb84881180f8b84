"""Two predictors on the same frames: the dose of one over that of the other, at equal threshold or false area."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from framedose.errors import ConfigurationError
from framedose.evaluation.counts import SeriesCounts
from framedose.evaluation.limits import Floats, Result, crossing, finite, percentile_interval
from framedose.evaluation.measure import Measured
from framedose.evaluation.summary import Band, EvaluationConfig
from framedose.random import generator

# Shares of the area that dose ratios are given at.
LEVELS = (0.25, 0.5, 0.75)
# False area that both predictors may have where they are compared at equal false area, of vacuum and of bare support.
FALSE_AREA = 0.001


class Interval(Result):
    """A number with its bootstrap interval over structures; None where a dose limit lies beyond the series."""

    value: float | None
    """The number."""
    low: float | None
    """Lower end."""
    high: float | None
    """Upper end."""


class Setting(Result):
    """Two predictors compared at thresholds that were chosen in one way; ``first`` over ``second`` throughout."""

    thresholds_first: list[float]
    """Threshold of the first at each dose; 1 where it may call nothing particle."""
    thresholds_second: list[float]
    """The same of the second."""
    area_dose_ratio: dict[str, Interval]
    """Dose at which the first reaches a share of the area, over that of the second, by share."""
    true_positive_dose_ratio: dict[str, Interval]
    """The same for the share of the particle that is predicted."""
    f1_difference: Band
    """F1 of the first less that of the second, at each dose."""
    true_positive_difference: Band
    """The same for the share of the particle that is predicted."""
    precision_first: list[float | None]
    """Share of the predicted area that is particle, at each dose; None where none is predicted."""
    precision_second: list[float | None]
    """The same of the second."""


class Comparison(Result):
    """A paired comparison of two predictors."""

    doses: list[float]
    """Frame doses [e/Å2]."""
    equal_threshold: Setting
    """At one threshold for all doses."""
    equal_false_area: Setting
    """At each dose the least thresholds at which neither false area exceeds ``false_area``."""
    false_area: float
    """What both may call particle of vacuum, and of bare support: a share of the frame."""
    false_area_first: float
    """Greatest mean false area of the first at equal threshold, on vacuum or bare support."""
    false_area_second: float
    """The same of the second."""
    verdict: str
    """What the two settings say together, in one sentence."""


def compare(
    first: Measured,
    second: Measured,
    config: EvaluationConfig,
    *,
    seed: int,
    names: tuple[str, str] = ("the first", "the second"),
    false_area: float = FALSE_AREA,
) -> Comparison:
    """Compare two predictors on the same frames.

    Resamples draw the same structures for both, so that what is hard for both cancels. An area that is larger at the
    same threshold may be bought with false area; so both are compared again at thresholds that leave them the same.

    Parameters
    ----------
    first, second
        Measured on the same series.
    config
        Threshold, level and resamples.
    seed
        Of the bootstrap.
    names
        What the verdict calls them.
    false_area
        What both may call particle of vacuum, and of bare support.

    Raises
    ------
    ConfigurationError
        If they were measured on different series.
    """
    if not np.array_equal(first.doses, second.doses) or not np.array_equal(
        first.particle.sum(axis=-1), second.particle.sum(axis=-1)
    ):
        raise ConfigurationError(
            "Only predictors that saw the same frames can be compared: evaluate both on one series."
        )
    structures = len(first.particle)
    draws = generator(seed, "bootstrap").multinomial(
        structures, np.full(structures, 1 / structures), size=config.resamples
    )
    bootstrap = _Bootstrap(draws / structures, config.level)
    both = (first, second)
    same = [np.full(m.doses.size, np.flatnonzero(m.thresholds == np.float32(config.threshold))[0]) for m in both]
    honest = [indices_at_false_area(m, false_area) for m in both]
    at_threshold, at_false_area = (_setting(both, indices, bootstrap) for indices in (same, honest))
    false = [_false_area(m.counts(config.threshold)).max() for m in both]
    return Comparison(
        doses=first.doses.tolist(),
        equal_threshold=at_threshold,
        equal_false_area=at_false_area,
        false_area=false_area,
        false_area_first=false[0],
        false_area_second=false[1],
        verdict=_verdict(at_threshold, at_false_area, names),
    )


def indices_at_false_area(measured: Measured, false_area: float) -> npt.NDArray[np.int_]:
    """Return for each dose (D,) the index of the least threshold at which neither false area exceeds the given one.

    The mean over the frames of vacuum, and that over those of bare support, must both be no more than it. Where no
    threshold does, it is the number of thresholds: then nothing may be called particle.
    """
    allowed = np.zeros((measured.thresholds.size + 1, measured.doses.size), dtype=bool)
    allowed[-1] = True
    for index in range(measured.thresholds.size):
        counts = measured.counts_at(np.full(measured.doses.size, index))
        allowed[index] = _false_area(counts) <= false_area
    indices: npt.NDArray[np.int_] = allowed.argmax(axis=0)
    return indices


def _false_area(counts: SeriesCounts) -> Floats:
    """Return the greater of the mean false areas on vacuum and on bare support, (D,)."""
    vacuum, support = counts.vacuum_false_area, counts.support_false_area
    return vacuum if support is None else np.maximum(vacuum, support)


class _Bootstrap:
    """The same resamples of structures for everything that is compared."""

    def __init__(self, weights: Floats, level: float) -> None:
        self._weights, self._level = weights, level

    def interval(self, statistic: Callable[..., float], *values: Floats) -> Interval:
        """Return a statistic of the means (D,) of quantities (structures, D), with its interval."""
        structures = self._weights.shape[1]
        value = statistic(*(v.mean(axis=0) for v in values))
        if structures < 2:
            return Interval(value=finite(value), low=None, high=None)
        samples = [statistic(*rows) for rows in zip(*(self._weights @ v for v in values), strict=True)]
        # Both beyond the series: no ratio, and as far as one can be from telling.
        low = np.where(np.isnan(samples), -np.inf, samples)
        high = np.where(np.isnan(samples), np.inf, samples)
        ends = [percentile_interval(s, level=self._level, structures=structures) for s in (low, high)]
        return Interval(value=finite(value), low=finite(ends[0][0]), high=finite(ends[1][1]))

    def band(self, values: Floats) -> Band:
        """Return the mean of a quantity (structures, D) with its interval at each dose."""
        mean = values.mean(axis=0)
        if len(values) < 2:
            return Band(mean=mean.tolist(), low=mean.tolist(), high=mean.tolist())
        low, high = percentile_interval(self._weights @ values, level=self._level, structures=len(values))
        return Band(mean=mean.tolist(), low=low.tolist(), high=high.tolist())


def _setting(both: tuple[Measured, Measured], indices: list[npt.NDArray[np.int_]], bootstrap: _Bootstrap) -> Setting:
    one, other = (m.counts_at(chosen) for m, chosen in zip(both, indices, strict=True))
    thresholds = [np.append(m.thresholds, 1)[chosen].tolist() for m, chosen in zip(both, indices, strict=True)]
    return Setting(
        thresholds_first=thresholds[0],
        thresholds_second=thresholds[1],
        area_dose_ratio=_dose_ratios(one.doses, one.area_ratio, other.area_ratio, bootstrap),
        true_positive_dose_ratio=_dose_ratios(one.doses, one.recall, other.recall, bootstrap),
        f1_difference=bootstrap.band(one.f1 - other.f1),
        true_positive_difference=bootstrap.band(one.recall - other.recall),
        precision_first=one.pooled_precision,
        precision_second=other.pooled_precision,
    )


def _dose_ratios(doses: Floats, one: Floats, other: Floats, bootstrap: _Bootstrap) -> dict[str, Interval]:
    def ratio(level: float) -> Callable[[Floats, Floats], float]:
        def of(a: Floats, b: Floats) -> float:
            above, below = crossing(doses, a, level), crossing(doses, b, level)
            return float("nan") if np.isinf(above) and np.isinf(below) else above / below

        return of

    return {f"{level:g}": bootstrap.interval(ratio(level), one, other) for level in LEVELS}


def _verdict(at_threshold: Setting, at_false_area: Setting, names: tuple[str, str]) -> str:
    """Return one sentence about half of the area: who needs less dose, and whether that is bought with false area."""
    plain, honest = at_threshold.area_dose_ratio["0.5"], at_false_area.true_positive_dose_ratio["0.5"]
    sees_more, is_better = _less(plain, names), _less(honest, names)
    if is_better:
        return f"{is_better} needs less dose for half of the particle at equal false area."
    if sees_more:
        return (
            f"{sees_more} shows half of the area at less dose at equal threshold, but not half of the particle at "
            "equal false area: what it gains is bought with false area, or not certain."
        )
    return "No difference in the dose of half of the particle is certain, at equal threshold or at equal false area."


def _less(ratio: Interval, names: tuple[str, str]) -> str | None:
    """Return who certainly needs less dose; a bound beyond the series counts as none."""
    if ratio.high is not None and ratio.high < 1:
        return names[0]
    if ratio.low is not None and ratio.low > 1:
        return names[1]
    return None
