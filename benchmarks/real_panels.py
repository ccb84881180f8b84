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
from dataclasses import replace
from pathlib import Path

import numpy as np
import tifffile
from matplotlib.figure import Figure
from scipy import ndimage

from framedose.evaluation.objects import LEAST_AREA, false_objects, particles_found
from framedose.files import read
from framedose.inference.segment import segment
from framedose.metrics import overlap
from framedose.micrograph import Micrograph
from framedose.networks.weights import SHIPPED, load_network

# Å/px of the panels as they are, from their description: the Ag ones were drawn larger.
SAMPLING = {"Au": 0.77, "Ag": 0.504}
THRESHOLDS = (0.9, 0.5)


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
    networks = [load_network(name) for name in arguments.network]

    columns = [(network, threshold) for network in networks for threshold in THRESHOLDS]
    named = [f"{network.name}, {threshold}" for network, threshold in columns]
    print(
        "panel".ljust(12), *(f"{network.name} {threshold}".rjust(12) for network, threshold in columns), "all particle"
    )
    scores = np.empty((len(labels), len(columns) + 1))
    particles: list[list[list[float]]] = []
    whole: list[bool] = []
    counted = np.empty((len(labels), len(columns), 4), int)
    for row, label in enumerate(labels):
        name = label.stem.removesuffix("_label")
        micrograph = read(label.with_name(f"{name}.png"), sampling=SAMPLING[name[:2]])[0]
        truth = read(label, sampling=1.0)[0].image > 0
        masks = [segment(micrograph, network, threshold=threshold).mask for network, threshold in columns]
        scores[row] = [overlap(mask, truth).f1 for mask in (*masks, np.ones_like(truth))]
        particles.append([f1_of_particles(mask, truth, micrograph.sampling) for mask in masks])
        entire = uncut(truth, micrograph.sampling)
        whole += entire
        counted[row] = [count(mask, truth, micrograph.sampling, entire) for mask in masks]
        print(name.ljust(12), *(f"{score:12.3f}" for score in scores[row]))
        print("  particles".ljust(12), *(f"{np.mean(each):12.3f}" for each in particles[-1]), len(particles[-1][0]))
        titles = [f"{column}: F1 {score:.2f}" for column, score in zip(named, scores[row], strict=False)]
        draw(arguments.out / f"{name}.png", micrograph.image, truth, masks, titles)
    means = scores.mean(axis=0)
    of_gold = [label.name.startswith("Au") for label in labels]
    golden = scores[of_gold].mean(axis=0)
    every = np.array([np.concatenate(column) for column in zip(*particles, strict=True)])
    each, each_whole = every.mean(axis=1), every[:, whole].mean(axis=1)
    for what, values in (("mean", means), ("mean of Au", golden), ("particles", each), ("whole", each_whole)):
        print(what.ljust(12), *(f"{value:12.3f}" for value in values))

    total = len(whole)
    found, found_whole, false, _ = counted.sum(axis=0).T
    as_count, as_count_au = f1_of_count(counted), f1_of_count(counted[of_gold])
    print(f"\nof {total} particles, {sum(whole)} of them whole; of objects that are none; F1 of these as a count")
    counts = (("found", found, 0), ("found, whole", found_whole, 0), ("false", false, 0))
    for what, values, digits in (*counts, ("F1", as_count, 3), ("F1 of Au", as_count_au, 3)):
        print(what.ljust(12), *(f"{value:12.{digits}f}" for value in values))

    print("\ncalled particle where there is no metal [%]")
    shares = []
    for micrograph in without_metal(data):
        masks = [segment(micrograph, network, threshold=threshold).mask for network, threshold in columns]
        shares.append([100 * float(mask.mean()) for mask in masks])
        print(micrograph.origin.ljust(12), *(f"{value:12.2f}" for value in shares[-1]))
        titles = [f"{column}: {value:.2f} %" for column, value in zip(named, shares[-1], strict=True)]
        draw(arguments.out / f"{micrograph.origin}.png", micrograph.image, np.zeros_like(masks[0]), masks, titles)

    def by_network(values: Iterable[float]) -> dict[str, float]:
        names = (f"{network.name}_{threshold}" for network, threshold in columns)
        return {name: round(float(value), 4) for name, value in zip(names, values, strict=False)}

    result = {"panels": len(labels), "particles": total, "f1_all_particle": round(means[-1], 4)}
    result |= {"f1": by_network(means), "f1_au": by_network(golden), "f1_per_particle": by_network(each)}
    result |= {"f1_of_count": by_network(as_count), "f1_of_count_au": by_network(as_count_au)}
    result |= {"false_percent": by_network(np.max(shares, axis=0))}
    print(json.dumps(result))


def without_metal(data: Path) -> list[Micrograph]:
    """Return a rod of SnO2, and soot less the rows that hold the coloured scale bar of its picture."""
    rod = read(data / "im2model_SnO2" / "4_SnO2_0.0288nm.tif", sampling=0.288)[0]
    soot = tifffile.imread(data / "ucam_soot" / "ExampleImage.tif")[:470, :, 0].astype(np.float32)
    return [replace(rod, origin="SnO2"), Micrograph(soot, sampling=0.555, origin="soot")]


def labelled(truth: np.ndarray, sampling: float) -> tuple[np.ndarray, list[int]]:
    """Return the labelled particles (y, x) and the numbers of those of at least 0.5 nm2."""
    particles, count = ndimage.label(truth, np.ones((3, 3)))
    area = np.bincount(particles.ravel()) * (sampling / 10) ** 2
    return particles, [number for number in range(1, count + 1) if area[number] >= LEAST_AREA]


def f1_of_particles(mask: np.ndarray, truth: np.ndarray, sampling: float) -> list[float]:
    """Return F1 of each labelled particle of at least 0.5 nm2, alone with what of the mask belongs to it."""
    particles, numbers = labelled(truth, sampling)
    parts, _ = ndimage.label(mask, np.ones((3, 3)))
    rows, columns = ndimage.distance_transform_edt(~truth, return_distances=False, return_indices=True)
    nearest, scores = particles[rows, columns], []
    for number in numbers:
        particle = particles == number
        touching = np.setdiff1d(parts[particle], 0)
        scores.append(overlap(np.isin(parts, touching) & (nearest == number), particle).f1)
    return scores


def uncut(truth: np.ndarray, sampling: float) -> list[bool]:
    """Return which of the labelled particles of at least 0.5 nm2 do not touch the edge of the panel."""
    particles, numbers = labelled(truth, sampling)
    cut = np.unique(np.concatenate([particles[0], particles[-1], particles[:, 0], particles[:, -1]]))
    return [number not in cut for number in numbers]


def count(mask: np.ndarray, truth: np.ndarray, sampling: float, entire: list[bool]) -> tuple[int, int, int, int]:
    """Return how many labelled particles of at least 0.5 nm2 are found, how many whole ones, false objects, and all."""
    particles, numbers = labelled(truth, sampling)
    whole = np.array(numbers)[entire]
    found, found_whole = (particles_found(mask, np.isin(particles, kept))[0] for kept in (numbers, whole))
    return found, found_whole, false_objects(mask, truth, sampling), len(numbers)


def f1_of_count(counted: np.ndarray) -> np.ndarray:
    """Return F1 of the particles of some panels, of what :func:`count` returns, shape (panels, columns, 4)."""
    found, _, false, total = counted.sum(axis=0).T
    return np.asarray(2 * found / (found + total + false))


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
