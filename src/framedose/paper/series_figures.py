"""Figs. 2-4, 7, 8, SOI.9 and the full dose range: networks on series of rising dose."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from framedose.evaluation.compare import compare
from framedose.evaluation.limits import percentile_interval, resampled_means
from framedose.evaluation.measure import Measured
from framedose.evaluation.summary import NetworkResult
from framedose.paper.workshop import Trained, Workshop
from framedose.random import generator
from framedose.study.figures import area_figure
from framedose.study.frame_figures import overlay_figure
from framedose.study.panels import write_figure
from framedose.study.report import write_tables

# Where the paper draws its overlays, and between what it compares areas [e/Å2].
OVERLAY_DOSE = 49.0
LOW_DOSES = (40.0, 100.0)
# A.4: where MTF4 is better than MTF3.
_LOWEST_DOSES = (10.0, 100.0)
_COLOURS = ("#0072B2", "#D55E00")

Values = dict[str, Any]


def compared(workshop: Workshop, folder: Path, networks: Sequence[Trained]) -> Values:
    """Draw area against dose and overlays of networks on every series, write tables, and return the numbers.

    Of each series: scores and limits of each network, and of each pair of them the dose ratio, at equal threshold and
    at equal false area, and the ratio of their areas at 40 to 100 e/Å2.
    """
    values: Values = {}
    high_dose = workshop.evaluation.high_dose
    for name in workshop.series_names():
        measured = {trained: workshop.measured(trained, name) for trained in networks}
        results = {trained.label: workshop.result(one) for trained, one in measured.items()}
        area_figure(results, folder / f"area-{name}.png")
        tables = folder / name
        tables.mkdir(exist_ok=True)
        write_tables(tables, results)
        values[name] = {"networks": {label: headline_numbers(result, high_dose) for label, result in results.items()}}
        if name != "recorded":
            values[name]["pairs"] = _pairs(workshop, measured)
        if name != "replica":
            _overlays(workshop, name, measured, folder / f"overlays-{name}.png")
    return values


def headline_numbers(result: NetworkResult, high_dose: float) -> Values:
    """Return what is said of one network on one series."""
    curves = result.curves
    doses = np.array(curves.doses)
    low, high = _between(doses, LOW_DOSES), doses >= high_dose
    return {
        "first_detection": result.first_detection.model_dump(),
        "dose_50_area": result.dose_50_area.model_dump(),
        "dose_50_true_positive": result.dose_50_true_positive.model_dump(),
        "dose_converged": result.dose_converged,
        "dose_converged_interval": result.dose_converged_interval,
        "f1_high_dose": result.f1_high_dose,
        "true_positive_area_40_to_100": _mean(np.array(curves.true_positive_area)[low]),
        "false_area_high_dose": _mean(np.array(curves.false_area)[high]),
        "vacuum_false_area_max": result.vacuum_false_area_max,
        "support_false_area_max": result.support_false_area_max,
    }


def area_ratio(
    first: Measured, second: Measured, doses: tuple[float, float], *, level: float, resamples: int, seed: int
) -> Values:
    """Return the area that the first sees over that of the second, between two doses, with its paired interval.

    Parameters
    ----------
    first, second
        Measured on the same series.
    doses
        Least and greatest dose [e/Å2].
    level, resamples, seed
        Of the bootstrap over structures, the same of both; a single structure has no interval.
    """
    kept = _between(first.doses, doses)
    one, other = (measured.counts().predicted[:, kept].sum(axis=1).astype(float) for measured in (first, second))
    if not kept.any() or not other.sum():
        return {"value": None, "low": None, "high": None}
    value = float(one.sum() / other.sum())
    if len(one) < 2:
        return {"value": value, "low": None, "high": None}
    means = resampled_means(np.column_stack([one, other]), resamples=resamples, rng=generator(seed, "bootstrap"))
    # A resample in which the second sees nothing counts as one pixel.
    ratios = means[:, 0] / np.maximum(means[:, 1], 1 / len(one))
    low, high = percentile_interval(ratios, level=level, structures=len(one))
    return {"value": value, "low": float(low), "high": float(high)}


def score_figure(workshop: Workshop, folder: Path, networks: Sequence[Trained]) -> Values:
    """Draw SOI.9: the histogram of F1 over all images of the replica series, and F1 against dose."""
    measured = {trained: workshop.measured(trained, "replica") for trained in networks}
    figure = Figure(figsize=(11, 4), layout="constrained")
    histogram, against = figure.subplots(1, 2)
    values: Values = {"networks": {}}
    for (trained, one), colour in zip(measured.items(), _COLOURS, strict=True):
        f1, label, lowest = one.counts().f1, trained.label, _between(one.doses, _LOWEST_DOSES)
        histogram.hist(f1.ravel(), bins=np.linspace(0, 1, 41), color=colour, alpha=0.5, label=label)
        histogram.axvline(f1.mean(), color=colour, linestyle="--")
        against.plot(
            np.broadcast_to(one.doses, f1.shape).ravel(), f1.ravel(), ".", color=colour, markersize=2, alpha=0.4
        )
        against.plot(one.doses, f1.mean(axis=0), color=colour, label=label)
        values["networks"][label] = {"mean_f1": float(f1.mean()), "mean_f1_10_to_100": _mean(f1[:, lowest])}
    histogram.set(xlabel="F1 of an image", ylabel="images")
    against.set(xscale="log", xlabel="frame dose (e/Å²)", ylabel="F1", ylim=(0, 1))
    for axes in (histogram, against):
        axes.legend(frameon=False, fontsize=9)
    write_figure(figure, folder / "f1.png")
    values["pairs"] = _pairs(workshop, measured)
    first, second = measured.values()
    values["f1_difference"] = _difference(workshop, first, second, np.ones(first.doses.size, dtype=bool))
    values["f1_difference_10_to_100"] = _difference(workshop, first, second, _between(first.doses, _LOWEST_DOSES))
    return values


def _between(doses: npt.NDArray[np.float64], ends: tuple[float, float]) -> npt.NDArray[np.bool_]:
    return (doses >= ends[0]) & (doses <= ends[1])


def _difference(workshop: Workshop, first: Measured, second: Measured, kept: npt.NDArray[np.bool_]) -> Values:
    """Return mean F1 of the first less that of the second, with the bootstrap interval over structures."""
    each = (first.counts().f1[:, kept] - second.counts().f1[:, kept]).mean(axis=1)
    config = workshop.evaluation
    means = resampled_means(each[:, None], resamples=config.resamples, rng=generator(workshop.seed, "bootstrap"))
    low, high = percentile_interval(means[:, 0], level=config.level, structures=len(each))
    return {"value": float(each.mean()), "low": float(low), "high": float(high)}


def _pairs(workshop: Workshop, measured: Mapping[Trained, Measured]) -> Values:
    config, pairs = workshop.evaluation, {}
    for (one, first), (other, second) in combinations(measured.items(), 2):
        found = compare(first, second, config, seed=workshop.seed, names=(one.label, other.label))
        ratio = area_ratio(first, second, LOW_DOSES, level=config.level, resamples=config.resamples, seed=workshop.seed)
        pairs[f"{one.label} over {other.label}"] = {
            "dose_ratio_at_equal_threshold": found.equal_threshold.area_dose_ratio["0.5"].model_dump(),
            "dose_ratio_at_equal_false_area": found.equal_false_area.area_dose_ratio["0.5"].model_dump(),
            "area_ratio_40_to_100": ratio,
            "verdict": found.verdict,
        }
    return pairs


def _overlays(workshop: Workshop, name: str, measured: Mapping[Trained, Measured], path: Path) -> None:
    """Draw each network's mask at 49 e/Å2, where its area is greatest, and at the last dose."""
    series = workshop.series(name)
    # Of a recorded series each network has a truth of its own; the first network's is drawn.
    truth = workshop.with_truth(next(iter(measured)), series).masks[0]
    nearest = int(np.abs(series.doses - OVERLAY_DOSE).argmin())
    greatest = {int(one.counts().predicted[0].argmax()) for one in measured.values()}
    chosen = sorted({nearest, *greatest, series.doses.size - 1})
    images = np.concatenate([series.images(index)[:1] for index in chosen])
    threshold = workshop.evaluation.threshold
    # One structure, so all its frames have one pixel size.
    sizes = np.repeat(series.samplings("particle")[:1], len(images))
    masks = {trained.label: workshop.predict(trained)(images, sizes) >= threshold for trained in measured}
    overlay_figure(images, series.doses[chosen], truth, masks, float(sizes[0]), path)


def _mean(values: npt.NDArray[np.float64]) -> float | None:
    return float(values.mean()) if values.size else None
