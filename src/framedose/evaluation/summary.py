"""From what was measured of one predictor to its results: scores, dose limits, null test and curves."""

from collections.abc import Callable
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from framedose.config import Settings
from framedose.evaluation.calibration import Reliability, reliability
from framedose.evaluation.counts import SeriesCounts
from framedose.evaluation.limits import (
    DoseLimit,
    Floats,
    Result,
    crossing,
    dose_50_area,
    dose_converged,
    dose_limit,
    finite,
    first_detection,
    isotonic,
    percentile_interval,
    resampled_means,
)
from framedose.evaluation.measure import THRESHOLDS, Measured
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
    false_area: list[float]
    """Area predicted beside the particle over true area, mean over structures: over-segmentation."""
    f1: Band
    """F1 of each frame."""
    f1_all_particle: list[float]
    """Mean F1 of a mask that calls every pixel particle."""
    boundary_error: list[float | None]
    """Mean distance between predicted and true outline [nm], of the frames that have both; None without any."""
    particles_found: list[float]
    """Share of the particles of which at least half is predicted."""
    false_objects: list[float]
    """Predicted objects that touch no particle, mean over frames with a particle."""
    vacuum_false_area: list[float]
    """Share of frames of vacuum only that is called particle, mean over frames."""
    support_false_area: list[float] | None
    """The same for frames of bare support; None without such frames."""
    vacuum_false_objects: list[float]
    """Predicted objects on frames of vacuum only, mean over frames."""
    support_false_objects: list[float] | None
    """The same for frames of bare support; None without such frames."""
    calibration_error: list[float]
    """Mean distance between the probability that was given and the share of particle: expected calibration error."""


class Frames(Result):
    """Scores of single frames, for histograms; those that do not exist are left out."""

    f1: list[float]
    """F1."""
    precision: list[float]
    """Share of the predicted area that is particle."""
    recall: list[float]
    """Share of the particle that is predicted."""
    boundary_error: list[float]
    """Mean distance between predicted and true outline [nm]."""


class NetworkResult(Result):
    """All results of one predictor; ``model_dump()`` of it goes to ``results.json``."""

    threshold: float
    """A pixel is particle where the probability is at least this."""
    f1_high_dose: float
    """Mean F1 of the frames at ``high_dose`` and more."""
    f1_all_particle: float
    """Mean F1 of a mask that calls every pixel particle, on the same frames as ``f1_high_dose``."""
    first_detection: DoseLimit
    """Dose from which more than half of the particles show more area than 99 % of the frames without one [e/Å2]."""
    dose_50_area: DoseLimit
    """Dose of half of the true area [e/Å2]."""
    dose_50_true_positive: DoseLimit
    """Dose at which half of the particle is predicted, whatever else is [e/Å2]."""
    dose_converged: float | None
    """Least dose [e/Å2] above which the mean area ratio stays within 5 % of its plateau."""
    dose_converged_interval: tuple[float | None, float | None]
    """Bootstrap interval of ``dose_converged``; None for an end at which it does not converge."""
    vacuum_false_area_max: float
    """Greatest mean false area on vacuum at ``null_dose`` and more, as a share of the frame 0..1."""
    support_false_area_max: float | None
    """The same on bare support; None without such frames."""
    dose_50_area_by_threshold: dict[str, float | None]
    """``dose_50_area`` at other thresholds [e/Å2]."""
    reliability: Reliability
    """Probabilities against what they turned out to be, at ``null_dose`` and more."""
    frames: Frames
    """Scores of single frames at ``high_dose`` and more."""
    curves: Curves
    """Scores against dose."""


def suited(config: EvaluationConfig, doses: Floats) -> EvaluationConfig:
    """Return the settings with doses of the scores that the series has: its three greatest where all lie below them."""
    high = config.high_dose if doses[-1] >= config.high_dose else float(doses[max(0, doses.size - 3)])
    return config.model_copy(update={"high_dose": high, "null_dose": min(config.null_dose, high)})


def summarise(measured: Measured, config: EvaluationConfig, *, seed: int) -> NetworkResult:
    """Return scores, dose limits, null test and curves of one predictor.

    All bootstraps draw the same resamples of structures, for each quantity and each network, from ``seed``.

    Parameters
    ----------
    measured
        From :func:`~framedose.evaluation.measure.measure`.
    config
        Doses and levels; the doses as :func:`suited` has them.
    seed
        Of the bootstraps.
    """
    config = suited(config, measured.doses)
    counts = measured.counts()
    doses, area = counts.doses, counts.area_ratio
    high, tested = doses >= config.high_dose, doses >= config.null_dose
    vacuum, support = counts.vacuum_false_area, counts.support_false_area
    settings: dict[str, Any] = {"level": config.level, "resamples": config.resamples}

    def limit(of: Callable[..., DoseLimit], *values: Floats) -> DoseLimit:
        return of(doses, *values, **settings, rng=generator(seed, "bootstrap"))

    return NetworkResult(
        threshold=measured.threshold,
        f1_high_dose=counts.f1[:, high].mean(),
        f1_all_particle=counts.f1_all_particle[:, high].mean(),
        first_detection=limit(first_detection, counts.predicted / counts.pixels, counts.null_area()),
        dose_50_area=limit(dose_50_area, area),
        dose_50_true_positive=limit(dose_limit, counts.recall),
        dose_converged=dose_converged(doses, area.mean(axis=0), plateau_from=config.high_dose),
        dose_converged_interval=_converged_interval(doses, area, config, seed),
        vacuum_false_area_max=vacuum[tested].max(),
        support_false_area_max=None if support is None else support[tested].max(),
        dose_50_area_by_threshold={
            f"{value:g}": finite(crossing(doses, measured.counts(value).area_ratio.mean(axis=0)))
            for value in THRESHOLDS
        },
        reliability=reliability(measured, tested),
        frames=Frames(
            f1=_listed(counts.f1[:, high]),
            precision=_listed(counts.precision[:, high]),
            recall=_listed(counts.recall[:, high]),
            boundary_error=_listed(measured.boundary[:, high]),
        ),
        curves=_curves(measured, counts, config, seed),
    )


class MaskScores(Result):
    """Scores of masks whose probabilities are not known."""

    doses: list[float]
    """Frame doses [e/Å2]."""
    area_ratio: Band
    """Predicted over true area."""
    f1: Band
    """F1 of each frame."""
    precision: list[float | None]
    """Share of all area predicted at a dose that is particle; None where none is predicted."""
    vacuum_false_area: list[float]
    """Share of frames of vacuum only that is called particle, mean over frames."""
    support_false_area: list[float] | None
    """The same for frames of bare support; None without such frames."""
    dose_50_area: DoseLimit
    """Dose of half of the true area [e/Å2]."""
    dose_50_true_positive: DoseLimit
    """Dose at which half of the particle is predicted, whatever else is [e/Å2]."""


def mask_scores(counts: SeriesCounts, config: EvaluationConfig, *, seed: int) -> MaskScores:
    """Return the scores of masks; parameters as those of :func:`summarise`."""
    support = counts.support_false_area
    settings: dict[str, Any] = {"level": config.level, "resamples": config.resamples}
    return MaskScores(
        doses=counts.doses.tolist(),
        area_ratio=_band(counts.area_ratio, config, seed),
        f1=_band(counts.f1, config, seed),
        precision=counts.pooled_precision,
        vacuum_false_area=counts.vacuum_false_area.tolist(),
        support_false_area=None if support is None else support.tolist(),
        dose_50_area=dose_50_area(counts.doses, counts.area_ratio, **settings, rng=generator(seed, "bootstrap")),
        dose_50_true_positive=dose_50_area(counts.doses, counts.recall, **settings, rng=generator(seed, "bootstrap")),
    )


def _curves(measured: Measured, counts: SeriesCounts, config: EvaluationConfig, seed: int) -> Curves:
    area, support = counts.area_ratio, counts.support_false_area
    every_dose = np.eye(counts.doses.size, dtype=bool)
    return Curves(
        doses=counts.doses.tolist(),
        area_ratio=_band(area, config, seed),
        isotonic=isotonic(area.mean(axis=0)).tolist(),
        true_positive_area=counts.recall.mean(axis=0).tolist(),
        precision=counts.pooled_precision,
        false_area=(area - counts.recall).mean(axis=0).tolist(),
        f1=_band(counts.f1, config, seed),
        f1_all_particle=counts.f1_all_particle.mean(axis=0).tolist(),
        boundary_error=[_mean(column) for column in measured.boundary.T],
        particles_found=(measured.found.sum(axis=0) / measured.particles.sum(axis=0)).tolist(),
        false_objects=measured.false.mean(axis=0).tolist(),
        vacuum_false_area=counts.vacuum_false_area.tolist(),
        support_false_area=None if support is None else support.tolist(),
        vacuum_false_objects=measured.vacuum_objects.mean(axis=0).tolist(),
        support_false_objects=None if support is None else measured.support_objects.mean(axis=0).tolist(),
        calibration_error=[reliability(measured, chosen).error for chosen in every_dose],
    )


def _converged_interval(
    doses: Floats, area: Floats, config: EvaluationConfig, seed: int
) -> tuple[float | None, float | None]:
    """Return the bootstrap interval over structures; of one structure there is none."""
    if len(area) < 2:
        return None, None
    means = resampled_means(area, resamples=config.resamples, rng=generator(seed, "bootstrap"))
    limits = [dose_converged(doses, row, plateau_from=config.high_dose) for row in means]
    samples = [np.inf if limit is None else limit for limit in limits]
    low, high = percentile_interval(samples, level=config.level, structures=len(area))
    return finite(low), finite(high)


def _band(values: Floats, config: EvaluationConfig, seed: int) -> Band:
    mean = values.mean(axis=0)
    if len(values) < 2:
        # One structure has no spread that could be told from the noise of its frames.
        return Band(mean=mean.tolist(), low=mean.tolist(), high=mean.tolist())
    means = resampled_means(values, resamples=config.resamples, rng=generator(seed, "bootstrap"))
    low, high = percentile_interval(means, level=config.level, structures=len(values))
    return Band(mean=mean.tolist(), low=low.tolist(), high=high.tolist())


def _listed(values: Floats) -> list[float]:
    """Return those that are no NaN, in one list."""
    return [float(value) for value in values[~np.isnan(values)]]


def _mean(values: Floats) -> float | None:
    """Return the mean of those that are no NaN, or None."""
    kept = values[~np.isnan(values)]
    return float(kept.mean()) if kept.size else None
