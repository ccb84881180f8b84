"""Which figures a report has, and what is on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from framedose.evaluation.series import Predict
from framedose.evaluation.summary import NetworkResult
from framedose.study.figures import (
    detection_figure,
    headline_figure,
    histograms_figure,
    learning_curves_figure,
    null_figure,
    outline_figure,
    reliability_figure,
)
from framedose.study.frame_figures import examples_figure, overlay_figure
from framedose.study.series import StoredSeries

if TYPE_CHECKING:
    # It loads abTEM.
    from framedose.study.physics import PhysicsResult

_COLUMNS = 5
_CURVES: dict[str, tuple[Callable[..., None], str]] = {
    "area": (
        headline_figure,
        "Segmented area and F1 against frame dose. Bands are bootstrap intervals over structures.",
    ),
    "null": (null_figure, "Null test: what the networks call particle on frames that have none."),
    "detection": (detection_figure, "Objects: particles that are found, and objects that are none."),
    "outline": (outline_figure, "How far predicted outlines lie from the true ones, and over-segmentation."),
    "histograms": (histograms_figure, "Scores of single frames of high dose."),
    "reliability": (
        reliability_figure,
        "Whether a probability is the share of particle among the pixels that have it.",
    ),
}


def draw_curves(
    folder: Path, results: Mapping[str, NetworkResult], physics: PhysicsResult | None = None
) -> list[tuple[Path, str]]:
    """Draw every curve into ``folder`` and return each figure with its caption, in the order of the report."""
    for name, (draw, _) in _CURVES.items():
        draw(results, folder / f"{name}.png", **({"physics": physics} if physics and draw is headline_figure else {}))
    return [(folder / f"{name}.png", caption) for name, (_, caption) in _CURVES.items()]


def draw_frames(
    folder: Path, predictors: Mapping[str, Predict], series: StoredSeries, threshold: float
) -> list[tuple[Path, str]]:
    """Draw one structure of a series into ``folder``, and what the predictors see of it."""
    # The structure of median size: neither the easiest nor the hardest one.
    structure = int(np.argsort(series.masks.sum(axis=(1, 2)))[len(series.masks) // 2])
    chosen = np.unique(np.linspace(0, len(series.doses) - 1, _COLUMNS).round().astype(int))
    images = np.stack([series.images(index)[structure] for index in chosen])
    doses, mask = series.doses[chosen], series.masks[structure]
    sampling = float(series.samplings("particle")[structure])
    sizes = np.full(len(images), sampling)
    predicted = {name: predict(images, sizes) >= threshold for name, predict in predictors.items()}
    examples_figure(images, doses, mask, sampling, folder / "examples.png")
    overlay_figure(images, doses, mask, predicted, sampling, folder / "overlays.png")
    return [
        (folder / "examples.png", "One unseen structure at several doses: the same conditions, new noise at each."),
        (folder / "overlays.png", "Masks on these frames (orange) and the true outline (cyan)."),
    ]


def draw_learning(folder: Path, curves: Mapping[str, Mapping[str, Any]]) -> list[tuple[Path, str]]:
    """Draw the learning curves into ``folder``."""
    learning_curves_figure(curves, folder / "learning.png")
    return [(folder / "learning.png", "Learning curves.")]
