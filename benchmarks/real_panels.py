"""F1 of the shipped networks on real Au and Ag panels that were labelled by hand and never trained on.

Of each panel as a whole; and the mean over its particles, each with that part of the mask which touches it and is
nearer to it than to any other, once more of those that the panel's edge does not cut (whole). Then the particles of all
panels as a count: found (half of each at least), missed, and objects that touch none, with their F1. Then what the
networks call particle on real frames that hold no metal.

The panels (8 bit, resampled pictures out of notebooks, particles on carbon) come from
github.com/ScottLabUCB/HRTEM-Generalization, a rod of SnO2 on carbon from github.com/filipecosta90/im2model_app, soot
from github.com/ucam-ceb-como/HRTEMFringeMapping. Their folders ``scottlab_hrtem_generalization``, ``im2model_SnO2``
and ``ucam_soot`` are looked for in FRAMEDOSE_REAL_DATA, else in ``../shared/data`` beside the project. The last line is
JSON.

    python benchmarks/real_panels.py --out real-panels
"""

import argparse
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from matplotlib.figure import Figure
from scipy import ndimage

from framedose.evaluation.objects import LEAST_AREA, f1_of_count, f1_of_particles, false_objects, particles_found
from framedose.files import read
from framedose.inference.segment import segment
from framedose.metrics import overlap
from framedose.micrograph import Micrograph
from framedose.networks.weights import SHIPPED, LoadedNetwork, load_network

# Å/px of the panels as they are, from their description: the Ag ones were drawn larger.
SAMPLING = {"Au": 0.77, "Ag": 0.504}
THRESHOLDS = (0.9, 0.5)

# A network, and a threshold.
Column = tuple[LoadedNetwork, float]


@dataclass(frozen=True)
class Label:
    """A panel's label, the masks of its particles, which have at least 0.5 nm2, and of those that no edge cuts."""

    truth: np.ndarray
    # Of each part of the truth, whether it is a particle; of each particle, whether it is whole.
    large: np.ndarray
    particles: np.ndarray
    whole: np.ndarray
    uncut: list[bool]


@dataclass(frozen=True)
class Score:
    """A mask against the label of a panel."""

    f1: float
    single: list[float]
    found: int
    found_whole: int
    false: int


def main() -> None:
    """Print F1 for every panel, network and threshold, and draw the outlines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", nargs="+", default=list(SHIPPED), help="shipped names or weights files")
    parser.add_argument("--out", type=Path, default=Path("real-panels"), help="folder for the pictures")
    arguments = parser.parse_args()

    here = Path(__file__).parents[1]
    data = Path(os.environ.get("FRAMEDOSE_REAL_DATA", here.parent / "shared" / "data"))
    labels = sorted((data / "scottlab_hrtem_generalization").glob("*_label.png"))
    if not labels:
        parser.exit(1, f"no labelled panels in {data}: set FRAMEDOSE_REAL_DATA to the folder of the real data\n")
    arguments.out.mkdir(parents=True, exist_ok=True)
    columns = [(load_network(name), threshold) for name in arguments.network for threshold in THRESHOLDS]

    result = on_panels(labels, columns, arguments.out)
    result["false_percent"] = by_column(np.max(on_no_metal(data, columns, arguments.out), axis=0), columns)
    print(json.dumps(result))


def on_panels(labels: list[Path], columns: list[Column], out: Path) -> dict[str, Any]:
    """Print and draw what each network and threshold has on the labelled panels; return what JSON shall have of it."""
    print(
        "panel".ljust(12), *(f"{network.name} {threshold}".rjust(12) for network, threshold in columns), "all particle"
    )
    scores: list[list[Score]] = []
    everything, whole = [], []
    for file in labels:
        name = file.stem.removesuffix("_label")
        micrograph = read(file.with_name(f"{name}.png"), sampling=SAMPLING[name[:2]])[0]
        label = label_of(read(file, sampling=1.0)[0].image > 0, micrograph.sampling)
        masks = [segment(micrograph, network, threshold=threshold).mask for network, threshold in columns]
        row = [score(mask, label, micrograph.sampling) for mask in masks]
        scores.append(row)
        everything.append(overlap(np.ones_like(label.truth), label.truth).f1)
        whole += label.uncut
        line(name, [each.f1 for each in row], everything[-1])
        line("  particles", [np.mean(each.single) for each in row], len(label.uncut))
        titles = [f"{network.name}, {at}: F1 {each.f1:.2f}" for (network, at), each in zip(columns, row, strict=True)]
        draw(out / f"{name}.png", micrograph.image, label.truth, masks, titles)

    of_gold = [file.name.startswith("Au") for file in labels]
    gold = list(compress(scores, of_gold))
    single = np.array([np.concatenate([each.single for each in column]) for column in zip(*scores, strict=True)])
    means, golden = (np.mean([[each.f1 for each in row] for row in rows], axis=0) for rows in (scores, gold))
    line("mean", means, np.mean(everything))
    line("mean of Au", golden, np.mean(everything, where=of_gold))
    line("particles", single.mean(axis=1))
    line("whole", single[:, whole].mean(axis=1))

    print(f"\nof {len(whole)} particles, {sum(whole)} of them whole; of objects that are none; F1 of these as a count")
    for what, name in (("found", "found"), ("found, whole", "found_whole"), ("false", "false")):
        print(what.ljust(12), *(f"{total:12}" for total in totals(scores, name)))
    counted, counted_gold = as_count(scores), as_count(gold)
    line("F1", counted)
    line("F1 of Au", counted_gold)

    f1 = {"f1": means, "f1_au": golden, "f1_per_particle": single.mean(axis=1)}
    f1 |= {"f1_of_count": counted, "f1_of_count_au": counted_gold}
    result = {"panels": len(labels), "particles": len(whole), "f1_all_particle": round(float(np.mean(everything)), 4)}
    return result | {name: by_column(values, columns) for name, values in f1.items()}


def on_no_metal(data: Path, columns: list[Column], out: Path) -> list[list[float]]:
    """Print, draw and return the percentage that each network and threshold calls particle on frames without metal."""
    print("\ncalled particle where there is no metal [%]")
    shares = []
    for micrograph in without_metal(data):
        masks = [segment(micrograph, network, threshold=threshold).mask for network, threshold in columns]
        shares.append([100 * float(mask.mean()) for mask in masks])
        print(micrograph.origin.ljust(12), *(f"{value:12.2f}" for value in shares[-1]))
        titles = [f"{network.name}, {at}: {v:.2f} %" for (network, at), v in zip(columns, shares[-1], strict=True)]
        draw(out / f"{micrograph.origin}.png", micrograph.image, np.zeros_like(masks[0]), masks, titles)
    return shares


def without_metal(data: Path) -> list[Micrograph]:
    """Return a rod of SnO2, and soot less the rows that hold the coloured scale bar of its picture."""
    rod = read(data / "im2model_SnO2" / "4_SnO2_0.0288nm.tif", sampling=0.288)[0]
    soot = tifffile.imread(data / "ucam_soot" / "ExampleImage.tif")[:470, :, 0].astype(np.float32)
    return [replace(rod, origin="SnO2"), Micrograph(soot, sampling=0.555, origin="soot")]


def label_of(truth: np.ndarray, sampling: float) -> Label:
    """Return what the hand labelled, told apart."""
    parts, count = ndimage.label(truth, np.ones((3, 3)))
    large = np.bincount(parts.ravel())[1:] * (sampling / 10) ** 2 >= LEAST_AREA
    cut = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    uncut = ~np.isin(np.arange(1, count + 1), cut)
    particles, whole = (np.isin(parts, 1 + np.flatnonzero(of)) for of in (large, large & uncut))
    return Label(truth, large, particles, whole, list(uncut[large]))


def score(mask: np.ndarray, label: Label, sampling: float) -> Score:
    """Return what a mask has on a panel."""
    return Score(
        f1=overlap(mask, label.truth).f1,
        # What belongs to a speck belongs to no particle.
        single=list(compress(f1_of_particles(mask, label.truth), label.large)),
        found=particles_found(mask, label.particles)[0],
        found_whole=particles_found(mask, label.whole)[0],
        false=false_objects(mask, label.truth, sampling),
    )


def totals(scores: list[list[Score]], name: str) -> list[int]:
    """Return the sum over panels of one of the numbers of a score, for each column."""
    return [sum(getattr(each, name) for each in column) for column in zip(*scores, strict=True)]


def as_count(scores: list[list[Score]]) -> list[float]:
    """Return F1 of the particles of some panels as a count, for each column."""
    particles = sum(len(row[0].single) for row in scores)
    pairs = zip(totals(scores, "found"), totals(scores, "false"), strict=True)
    return [f1_of_count(found, particles, false) for found, false in pairs]


def line(name: str, values: Iterable[float], *last: float) -> None:
    """Print a line of the table: a value for each column, and what the last one has."""
    ending = (each if isinstance(each, int) else f"{each:12.3f}" for each in last)
    print(name.ljust(12), *(f"{value:12.3f}" for value in values), *ending)


def by_column(values: Iterable[float], columns: list[Column]) -> dict[str, float]:
    """Return a value of each column by its network and threshold, as JSON shall have it."""
    pairs = zip(columns, values, strict=True)
    return {f"{network.name}_{threshold}": round(float(value), 4) for (network, threshold), value in pairs}


def draw(path: Path, image: np.ndarray, truth: np.ndarray, masks: list[np.ndarray], titles: list[str]) -> None:
    """Draw each mask in cyan and the hand label in yellow on the image, side by side."""
    figure = Figure(figsize=(3.2 * len(masks), 3.5), layout="constrained")
    for axes, mask, title in zip(figure.subplots(1, len(masks)), masks, titles, strict=True):
        axes.imshow(image, cmap="gray")
        for outlined, colour in ((truth, "yellow"), (mask, "cyan")):
            if outlined.any() and not outlined.all():
                axes.contour(outlined, levels=[0.5], colors=colour, linewidths=1)
        axes.set_title(title, fontsize=9)
        axes.set_axis_off()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
