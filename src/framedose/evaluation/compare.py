"""Two predictors on the same frames: the dose of one over that of the other, at equal threshold or false area."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from framedose.errors import ConfigurationError
from framedose.evaluation.counts import SeriesCounts
from framedose.evaluation.limits import Floats, Result, crossing, finite, percentile_interval
from framedose.evaluation.measure import Measured, at_least
from framedose.evaluation.summary import Band, EvaluationConfig
from framedose.random import generator

Indices = npt.NDArray[np.int_]
Booleans = npt.NDArray[np.bool_]

# Shares of the area that dose ratios are given at.
LEVELS = (0.25, 0.5, 0.75)
# False area that both predictors may have where they are compared at equal false area, of vacuum and of bare support.
FALSE_AREA = 0.001
# Share of the predicted area that must be particle where they are compared at equal false area and precision: what is
# false in frames that hold a particle is not seen on the others.
PRECISION = 0.9


class Interval(Result):
    """A number with its bootstrap interval over structures; None where a dose limit lies beyond the series."""

    value: float | None
    """The number."""
    low: float | None
    """Lower end."""
    high: float | None
    """Upper end."""
    certainly: Literal["less", "more"] | None
    """Whether the whole interval lies on one side of 1, with ends beyond the series."""


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
    equal_false_area_and_precision: Setting
    """At each dose the least thresholds at which, besides, the precision is at least ``precision``."""
    false_area: float
    """What both may call particle of vacuum, and of bare support: a share of the frame."""
    precision: float
    """Share of the area predicted at a dose that must be particle."""
    false_area_first: float
    """Greatest mean false area of the first at equal threshold, on vacuum or bare support."""
    false_area_second: float
    """The same of the second."""
    verdict: str
    """What the first two settings say together, in one sentence."""


def compare(
    first: Measured,
    second: Measured,
    config: EvaluationConfig,
    *,
    seed: int,
    names: tuple[str, str] = ("the first", "the second"),
    false_area: float = FALSE_AREA,
    precision: float = PRECISION,
) -> Comparison:
    """Compare two predictors on the same frames.

    Resamples draw the same structures for both, so that what is hard for both cancels. An area that is larger at the
    same threshold may be bought with false area; so both are compared again at thresholds that leave them the same.
    Those are found on few frames without a particle, so the resamples draw these too, and find them anew. What is false
    beside a particle is not seen there, and so once more with a precision that both must have.

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
    precision
        Share of the area predicted at a dose that must be particle, pooled over structures.

    Raises
    ------
    ConfigurationError
        If they were measured on different series, or a share lies outside of 0 to 1.
    """
    for name, share in (("--false-area", false_area), ("--precision", precision)):
        if not 0 <= share < 1:
            raise ConfigurationError(f"{name} must be at least 0 and below 1, got {share}.")
    if not np.array_equal(first.doses, second.doses) or not np.array_equal(
        first.particle.sum(axis=-1), second.particle.sum(axis=-1)
    ):
        raise ConfigurationError("Only predictors that saw the same frames can be compared: evaluate both on one.")
    both = (_Pixels(first), _Pixels(second))
    draws = _draws(first, config.resamples, generator(seed, "bootstrap"))
    at_threshold = _setting(both, lambda pixels, _: pixels.measured.indices(config.threshold), draws, config.level)
    at_false_area = _setting(both, lambda pixels, draw: _least(pixels.within(false_area, draw)), draws, config.level)
    precise = _setting(
        both,
        lambda pixels, draw: _least(pixels.within(false_area, draw) & pixels.precise(precision, draw)),
        draws,
        config.level,
    )
    false = [_false_area(measured.counts(config.threshold)).max() for measured in (first, second)]
    return Comparison(
        doses=first.doses.tolist(),
        equal_threshold=at_threshold,
        equal_false_area=at_false_area,
        equal_false_area_and_precision=precise,
        false_area=false_area,
        precision=precision,
        false_area_first=false[0],
        false_area_second=false[1],
        verdict=_verdict(at_threshold, at_false_area, names),
    )


def _false_area(counts: SeriesCounts) -> Floats:
    """Return the greater of the mean false areas on vacuum and on bare support, (D,)."""
    vacuum, support = counts.vacuum_false_area, counts.support_false_area
    return vacuum if support is None else np.maximum(vacuum, support)


@dataclass(frozen=True, eq=False)
class _Draw:
    """Weights of the structures, the frames of vacuum and those of bare support in one resample; each sums to 1."""

    structures: Floats
    vacuum: Floats
    support: Floats


def _draws(measured: Measured, resamples: int, rng: np.random.Generator) -> list[_Draw]:
    """Return the plain means, and resamples after them."""
    sizes = [len(frames) for frames in (measured.particle, measured.vacuum, measured.support)]
    plain = _Draw(*(np.full(size, 1 / max(size, 1)) for size in sizes))
    weights = [
        rng.multinomial(size, np.full(size, 1 / size), size=resamples) / size if size else np.zeros((resamples, 0))
        for size in sizes
    ]
    return [plain, *(_Draw(*parts) for parts in zip(*weights, strict=True))]


class _Pixels:
    """Pixels at or above every threshold (B), and above all of them."""

    def __init__(self, measured: Measured) -> None:
        self.measured = measured
        self.hits, found = at_least(measured.particle), at_least(measured.background)
        self.found = self.hits + found
        self.truth = measured.particle.sum(axis=-1)
        self.vacuum, self.support = (at_least(part) / measured.pixels for part in (measured.vacuum, measured.support))

    def within(self, false_area: float, draw: _Draw) -> Booleans:
        """Return whether neither mean false area exceeds this (D, B + 1)."""
        kinds = [np.tensordot(draw.vacuum, self.vacuum, 1)]
        if len(self.support):
            kinds.append(np.tensordot(draw.support, self.support, 1))
        allowed: Booleans = np.maximum.reduce(kinds) <= false_area
        return allowed

    def precise(self, precision: float, draw: _Draw) -> Booleans:
        """Return whether this share of what is predicted, pooled over structures, is particle (D, B + 1)."""
        hits, found = (np.tensordot(draw.structures, part, 1) for part in (self.hits, self.found))
        allowed: Booleans = hits >= precision * found
        return allowed

    def shares(self, indices: Indices) -> tuple[Floats, Floats, Floats]:
        """Return area ratio, share of the particle that is predicted, and F1 (structures, D)."""
        places = np.arange(indices.size), indices
        hits, found = self.hits[:, *places], self.found[:, *places]
        return found / self.truth, hits / self.truth, 2 * hits / (found + self.truth)


def indices_at_false_area(measured: Measured, false_area: float) -> Indices:
    """Return for each dose (D,) the index of the least threshold at which neither false area exceeds the given one.

    The mean over the frames of vacuum, and that over those of bare support, must both be no more than it. Where no
    threshold does, it is the number of thresholds: then nothing may be called particle.
    """
    plain = _draws(measured, 0, np.random.default_rng(0))[0]
    return _least(_Pixels(measured).within(false_area, plain))


def _least(allowed: Booleans) -> Indices:
    """Return for each dose the index of the least threshold that is allowed; above all nothing is predicted."""
    indices: Indices = allowed.argmax(axis=-1)
    return indices


def _setting(
    both: tuple[_Pixels, _Pixels], choose: Callable[[_Pixels, _Draw], Indices], draws: list[_Draw], level: float
) -> Setting:
    doses, structures = both[0].measured.doses, len(both[0].truth)
    chosen = [choose(pixels, draws[0]) for pixels in both]
    names = ("area", "true_positive", "f1")
    means: dict[str, list[tuple[Floats, Floats]]] = {name: [] for name in names}
    for draw in draws:
        shares = [pixels.shares(choose(pixels, draw)) for pixels in both]
        for name, one, other in zip(names, *shares, strict=True):
            means[name].append((draw.structures @ one, draw.structures @ other))

    def band(name: str) -> Band:
        differences = np.array([one - other for one, other in means[name]])
        mean = differences[0]
        # As in the bands of the summary: one structure has no spread that could be told from noise.
        low, high = _ends(differences[1:], level, structures) if structures > 1 else (mean, mean)
        return Band(mean=mean.tolist(), low=low.tolist(), high=high.tolist())

    thresholds = [np.append(p.measured.thresholds, 1)[index].tolist() for p, index in zip(both, chosen, strict=True)]
    counts = [pixels.measured.counts_at(index) for pixels, index in zip(both, chosen, strict=True)]
    return Setting(
        thresholds_first=thresholds[0],
        thresholds_second=thresholds[1],
        area_dose_ratio=_dose_ratios(doses, means["area"], level, structures),
        true_positive_dose_ratio=_dose_ratios(doses, means["true_positive"], level, structures),
        f1_difference=band("f1"),
        true_positive_difference=band("true_positive"),
        precision_first=counts[0].pooled_precision,
        precision_second=counts[1].pooled_precision,
    )


def _dose_ratios(
    doses: Floats, means: list[tuple[Floats, Floats]], level: float, structures: int
) -> dict[str, Interval]:
    ratios = {}
    for share in LEVELS:
        crossings = np.array([[crossing(doses, mean, share) for mean in pair] for pair in means])
        with np.errstate(invalid="ignore"):
            values = crossings[:, 0] / crossings[:, 1]
        # Both beyond the series: no ratio, and as far as one can be from telling.
        low, _ = _ends(np.where(np.isnan(values), -np.inf, values)[1:], level, structures)
        _, high = _ends(np.where(np.isnan(values), np.inf, values)[1:], level, structures)
        certainly: Literal["less", "more"] | None = "less" if high < 1 else "more" if low > 1 else None
        ratios[f"{share:g}"] = Interval(
            value=finite(values[0]), low=finite(low), high=finite(high), certainly=certainly
        )
    return ratios


def _ends(samples: Floats, level: float, structures: int) -> tuple[Any, Any]:
    """Return the ends of the interval; of one structure there is none to tell."""
    if structures < 2:
        return np.full(samples.shape[1:], -np.inf), np.full(samples.shape[1:], np.inf)
    low, high = percentile_interval(samples, level=level, structures=structures)
    return low, high


def _verdict(at_threshold: Setting, at_false_area: Setting, names: tuple[str, str]) -> str:
    """Return one sentence about half of the area: who needs less dose, and whether that is bought with false area."""
    plain, honest = at_threshold.area_dose_ratio["0.5"], at_false_area.true_positive_dose_ratio["0.5"]
    sees_more, is_better = (
        None if ratio.certainly is None else names[ratio.certainly == "more"] for ratio in (plain, honest)
    )
    if is_better:
        return f"{is_better} needs less dose for half of the particle at equal false area."
    if sees_more:
        return (
            f"{sees_more} shows half of the area at less dose at equal threshold, but not half of the particle at "
            "equal false area: what it gains is bought with false area, or not certain."
        )
    return "No difference in the dose of half of the particle is certain, at equal threshold or at equal false area."
