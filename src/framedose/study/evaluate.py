"""Predictors on a series: measured one by one, resumable, compared in pairs, and reported."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framedose.atomic import locked, sweep, write_json
from framedose.config import says
from framedose.errors import ConfigurationError
from framedose.evaluation.compare import Comparison, compare
from framedose.evaluation.measure import Measured, measure
from framedose.evaluation.series import Predict, Series
from framedose.evaluation.summary import EvaluationConfig, NetworkResult, suited, summarise
from framedose.networks.weights import SHIPPED
from framedose.provenance import versions
from framedose.study.claim import claim
from framedose.study.labels import network_label
from framedose.study.pictures import draw_curves, draw_frames
from framedose.study.predictors import Predictor, load_predictor
from framedose.study.recorded import RecordedSeries
from framedose.study.report import write_report, write_tables
from framedose.study.series import StoredSeries

if TYPE_CHECKING:
    # It loads abTEM.
    from framedose.study.physics import PhysicsResult

CARD = "evaluation.json"


def load_predictors(names: Sequence[str] | None) -> dict[str, Predictor]:
    """Return predictors by label: ``LABEL=NAME``, or the name's own; without names the shipped networks.

    Raises
    ------
    ConfigurationError
        If two have the same label, or one cannot be the name of a file.
    """
    predictors: dict[str, Predictor] = {}
    for name in names or SHIPPED:
        label, equals, path = name.partition("=")
        predictor = load_predictor(path if equals else name)
        label = label if equals else predictor.name
        if not label or label.startswith(".") or any(letter in label for letter in "/\\\0"):
            raise ConfigurationError(f"--network {name}: a label is the name of a file too, got {label!r}.")
        if label in predictors:
            raise ConfigurationError(f"Two networks are called {label!r}: give one another name, such as other={name}.")
        predictors[label] = predictor
    return predictors


def evaluate(
    predictors: Mapping[str, Predictor],
    series: StoredSeries | RecordedSeries,
    out: str | os.PathLike[str],
    *,
    config: EvaluationConfig | None = None,
    seed: int = 0,
    truth_frames: int = 5,
    pixels_summed: int = 1,
    physics: PhysicsResult | None = None,
) -> dict[str, Any]:
    """Evaluate predictors on a series, or go on with it, and return what ``results.json`` holds.

    Parameters
    ----------
    predictors
        By the names that they shall have.
    series
        A simulated series (:func:`framedose.study.series.open_series`), or a recorded one, of which each predictor's
        own view of the last frames is the truth.
    out
        Folder: empty, new, or holding this very evaluation.
    config
        Threshold, levels and doses of the scores.
    seed
        Of the bootstraps.
    truth_frames
        Frames at the end of a recorded series that make its truth.
    pixels_summed
        Of the images, for the report.
    physics
        What physics allows on the same structures, to be drawn beside the networks.

    Raises
    ------
    OutputExistsError
        If the folder holds something else, or another process works in it.
    ImageError
        If the series cannot be evaluated.
    """
    folder, config = Path(out), suited(config or EvaluationConfig(), series.doses)
    clash = "the evaluation of another series. Choose another folder with --out."
    claim(folder / CARD, {"made_by": versions(), "digest": series.made_from}, whose="an evaluation's", clash=clash)
    with locked(folder):
        sweep(folder)
        start = time.perf_counter()
        measured, functions = {}, {}
        for name, predictor in predictors.items():
            functions[name] = predictor.predict
            of = series
            if isinstance(series, RecordedSeries):
                of = series.with_truth(functions[name], frames=truth_frames, threshold=config.threshold)
            made_from = {"series": of.made_from, "network": predictor.sha256}
            measured[name] = measured_once(folder, name, functions[name], of, made_from, config.threshold)
        results = {name: summarise(one, config, seed=seed) for name, one in measured.items()}
        compared = {
            f"{one} and {other}": compare(
                measured[one], measured[other], config, seed=seed, names=(network_label(one), network_label(other))
            )
            for one, other in combinations(measured, 2)
            if isinstance(series, StoredSeries) and not (predictors[one].is_baseline and predictors[other].is_baseline)
        }
        figures = draw_curves(folder, results, physics)
        if isinstance(series, StoredSeries):
            figures += draw_frames(folder, functions, series, config.threshold)
        settings = {"seed": seed, "truth_frames": truth_frames, "evaluation": config.model_dump(mode="json")}
        provenance = {
            "series": series.made_from,
            "networks (SHA-256)": {name: predictor.sha256 for name, predictor in predictors.items()},
            "versions": versions(),
        }
        seconds = {"evaluation": round(time.perf_counter() - start, 1)}
        return _written(folder, results, compared, physics, figures, settings, provenance, seconds, pixels_summed)


def _written(
    folder: Path,
    results: Mapping[str, NetworkResult],
    compared: Mapping[str, Comparison],
    physics: PhysicsResult | None,
    figures: Sequence[tuple[Path, str]],
    settings: Mapping[str, Any],
    provenance: Mapping[str, Any],
    seconds: Mapping[str, float],
    pixels_summed: int,
) -> dict[str, Any]:
    """Write tables, report and ``results.json``, and return what that holds."""
    write_tables(folder, results)
    write_report(
        folder,
        networks=results,
        comparisons=compared,
        physics=physics,
        figures=figures,
        settings=settings,
        provenance=provenance,
        seconds=seconds,
        pixels_summed=pixels_summed,
    )
    content: dict[str, Any] = {
        "networks": {name: result.model_dump() for name, result in results.items()},
        "comparisons": {name: comparison.model_dump() for name, comparison in compared.items()},
        "physics": None if physics is None else physics.model_dump(),
        "settings": settings,
        "provenance": provenance,
    }
    write_json(folder / "results.json", content)
    return content


def measured_once(
    folder: Path,
    name: str,
    predict: Predict,
    series: Series,
    made_from: Mapping[str, Any],
    threshold: float,
    stage: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Measured:
    """Measure a predictor, unless the folder holds what was measured of the same; ``stage`` times it if it is done."""
    path = folder / f"{name}.measured.npz"
    card, known = path.with_suffix(".json"), {**made_from, "threshold": threshold}
    if not says(card, known):
        with stage():
            # A process killed between the two writes must not leave new numbers under the old card.
            card.unlink(missing_ok=True)
            measure(predict, series, threshold=threshold, label=f"evaluation {name}").save(path)
            write_json(card, known)
    return Measured.load(path)
