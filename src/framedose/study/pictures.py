"""Which figures a study has, and what is on them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from framedose.evaluation.summary import NetworkResult
from framedose.networks.weights import LoadedNetwork
from framedose.study.figures import (
    area_figure,
    examples_figure,
    f1_figure,
    learning_curves_figure,
    null_figure,
    overlay_figure,
)
from framedose.study.series import StoredSeries

_COLUMNS = 5


def draw_all(
    folder: Path,
    networks: Mapping[str, LoadedNetwork],
    results: Mapping[str, NetworkResult],
    curves: Mapping[str, Mapping[str, Any]],
    series: StoredSeries,
    threshold: float,
) -> list[tuple[Path, str]]:
    """Draw every figure into ``folder`` and return each with its caption, in the order of the report."""
    # The structure of median size: neither the easiest nor the hardest one.
    structure = int(np.argsort(series.masks.sum(axis=(1, 2)))[len(series.masks) // 2])
    chosen = np.unique(np.linspace(0, len(series.doses) - 1, _COLUMNS).round().astype(int))
    images = np.stack([series.images(index)[structure] for index in chosen])
    doses, mask, sampling = series.doses[chosen], series.masks[structure], series.sampling(structure)
    predicted = {name: network.probability(images) >= threshold for name, network in networks.items()}
    area_figure(results, folder / "area.png")
    f1_figure(results, folder / "f1.png")
    examples_figure(images, doses, mask, sampling, folder / "examples.png")
    overlay_figure(images, doses, mask, predicted, sampling, folder / "overlays.png")
    null_figure(results, folder / "null.png")
    learning_curves_figure(curves, folder / "learning.png")
    return [
        (folder / "area.png", "Segmented area against frame dose. Bands are bootstrap intervals over structures."),
        (folder / "f1.png", "F1 against frame dose, beside that of a mask that calls every pixel particle."),
        (folder / "examples.png", "One unseen structure at several doses: the same conditions, new noise at each."),
        (folder / "overlays.png", "Masks of both networks on these frames (orange) and the true outline (cyan)."),
        (folder / "null.png", "Null test: what the networks call particle on frames that have none."),
        (folder / "learning.png", "Learning curves."),
    ]
