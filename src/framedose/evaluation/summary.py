"""From the counts of one network to its results: scores, dose limits, null test and curves."""

from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from framedose.config import Settings
from framedose.evaluation.counts import SeriesCounts
from framedose.evaluation.limits import (
    DoseLimit,
    Floats,
    Result,
    dose_50_area,
    dose_converged,
    finite,
    isotonic,
    percentile_interval,
    resampled_means,
)
from framedose.random import generator


class DoseGrid(Settings):
    """The doses of a series, evenly spaced in the logarithm."""

    low: float = Field(default=10.0, gt=0)
    """Least frame dose [e/Å2]."""
    high: float = Field(default=1e4, gt=0)
    """Greatest frame dose [e/Å2]."""
    count: int = Field(default=13, ge=3)
    """Number of doses."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low must be less than high, got low {self.low} and high {self.high}: exchange them")
        return self

    def values(self) -> Floats:
        """Return the doses (count,) [e/Å2], rising.

        Six digits are kept, so that a round dose is on the grid exactly and compares as one expects.
        """
        return np.array([float(f"{dose:.6g}") for dose in np.geomspace(self.low, self.high, self.count)])


class EvaluationConfig(Settings):
    """How a network is evaluated on unseen structures."""

    threshold: float = Field(default=0.9, gt=0, lt=1)
    """A pixel is particle where the probability is at least this."""
    series: Literal["test", "replica", "ramp"] = "test"
    """Frames like those of the training; or the paper's replica of its experiment (A.4), or a ramp of 10..1300 e/Å2."""
    frames: int | None = Field(default=None, ge=3)
    """Frames of each structure in the replica and the ramp; the paper's 1000, and 130, if none is given."""
    doses: DoseGrid = DoseGrid()
    """Doses that every structure of the test series is imaged at."""
    structures: int = Field(default=24, ge=2)
    """Number of unseen structures."""
    vacuum_frames: int = Field(default=16, ge=1)
    """Number of vacuum frames, at each dose, for the null test."""
    support_frames: int = Field(default=12, ge=0)
    """Number of fields of bare support for the null test."""
    resamples: int = Field(default=1000, ge=100)
    """Bootstrap resamples of the structures for each interval."""
    level: float = Field(default=0.95, gt=0, lt=1)
    """Nominal coverage of the intervals."""
    high_dose: float = Field(default=1e3, gt=0)
    """Least dose [e/Å2] of the high-dose score and of the plateau of the area."""
    null_dose: float = Field(default=100.0, gt=0)
    """Least dose [e/Å2] at which the greatest false area counts: where the training range starts."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in ("high_dose", "null_dose"):
            if getattr(self, name) > self.doses.high:
                raise ValueError(f"{name} must not exceed doses.high, {self.doses.high:g}: lower it or add doses")
        return self


class Band(Result):
    """A mean over structures at each dose, with its bootstrap interval."""

    mean: list[float]
    """Mean (D,)."""
    low: list[float]
    """Lower end of the interval (D,)."""
    high: list[float]
    """Upper end of the interval (D,)."""


class Curves(Result):
    """Scores against dose."""

    doses: list[float]
    """Frame doses [e/Å2]."""
    area_ratio: Band
    """Predicted over true area."""
    isotonic: list[float]
    """Monotone fit to the mean area ratio."""
    true_positive_area: list[float]
    """Share of the particle that is predicted, mean over structures."""
    precision: list[float | None]
    """Share of all area predicted at a dose that is particle; None where none is predicted."""
    f1: Band
    """F1 of each frame."""
    f1_all_particle: list[float]
    """Mean F1 of a mask that calls every pixel particle."""
    vacuum_false_area: list[float]
    """Share of frames of vacuum only that is called particle, mean over frames."""
    support_false_area: list[float] | None
    """The same for frames of bare support; None without such frames."""


class NetworkResult(Result):
    """All results of one network; ``model_dump()`` of it goes to ``results.json``."""

    f1_high_dose: float
    """Mean F1 of the frames at ``high_dose`` and more."""
    f1_all_particle: float
    """Mean F1 of a mask that calls every pixel particle, on the same frames as ``f1_high_dose``."""
    dose_50_area: DoseLimit
    """Dose of half of the true area [e/Å2]."""
    dose_converged: float | None
    """Least dose [e/Å2] above which the mean area ratio stays within 5 % of its plateau."""
    vacuum_false_area_max: float
    """Greatest mean false area on vacuum at ``null_dose`` and more, as a share of the frame 0..1."""
    support_false_area_max: float | None
    """The same on bare support; None without such frames."""
    curves: Curves
    """Scores against dose."""


def summarise(counts: SeriesCounts, config: EvaluationConfig, *, seed: int) -> NetworkResult:
    """Return scores, dose limits, null test and curves of one network.

    All bootstraps draw the same resamples of structures, for each quantity and each network, from ``seed``.
    """
    doses, area = counts.doses, counts.area_ratio
    high, tested = doses >= config.high_dose, doses >= config.null_dose
    vacuum = _false_area(counts.vacuum_predicted, counts.pixels)
    support = _false_area(counts.support_predicted, counts.pixels) if len(counts.support_predicted) else None
    return NetworkResult(
        f1_high_dose=counts.f1[:, high].mean(),
        f1_all_particle=counts.f1_all_particle[:, high].mean(),
        dose_50_area=dose_50_area(
            doses, area, level=config.level, resamples=config.resamples, rng=generator(seed, "bootstrap")
        ),
        dose_converged=dose_converged(doses, area.mean(axis=0), plateau_from=config.high_dose),
        vacuum_false_area_max=vacuum[tested].max(),
        support_false_area_max=None if support is None else support[tested].max(),
        curves=Curves(
            doses=doses.tolist(),
            area_ratio=_band(area, config, seed),
            isotonic=isotonic(area.mean(axis=0)).tolist(),
            true_positive_area=counts.recall.mean(axis=0).tolist(),
            precision=_pooled_precision(counts),
            f1=_band(counts.f1, config, seed),
            f1_all_particle=counts.f1_all_particle.mean(axis=0).tolist(),
            vacuum_false_area=vacuum.tolist(),
            support_false_area=None if support is None else support.tolist(),
        ),
    )


def _band(values: Floats, config: EvaluationConfig, seed: int) -> Band:
    means = resampled_means(values, resamples=config.resamples, rng=generator(seed, "bootstrap"))
    low, high = percentile_interval(means, level=config.level, structures=len(values))
    return Band(mean=values.mean(axis=0).tolist(), low=low.tolist(), high=high.tolist())


def _false_area(predicted: npt.NDArray[np.int64], pixels: int) -> Floats:
    return np.asarray(predicted.mean(axis=0) / pixels, dtype=np.float64)


def _pooled_precision(counts: SeriesCounts) -> list[float | None]:
    # Pooled over structures: a mean of ratios would leave out the frames on which nothing is predicted.
    pairs = zip(counts.true_positive.sum(axis=0), counts.predicted.sum(axis=0), strict=True)
    return [finite(hit / found) if found else None for hit, found in pairs]
