"""Fig. 1, SOI.3-5 and Tables 1-3: specimens, images, and what training makes of them."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from ase.visualize.plot import plot_atoms
from matplotlib.figure import Figure

from framedose.camera.passport import load_passport
from framedose.dataset.folder import IMAGES
from framedose.dataset.recipe import training_parts
from framedose.dataset.render import make_specimen
from framedose.dataset.store import ImageSet
from framedose.evaluation.series import Predict
from framedose.metrics import overlap
from framedose.microscope.conditions import DOSE_RANGES
from framedose.paper.workshop import Trained, Workshop
from framedose.study.figures import learning_curves_figure
from framedose.study.labels import number
from framedose.study.panels import draw_frame, draw_outline, draw_scale_bar, new_panels, write_figure
from framedose.study.report import write_csv

# Every network of the paper (SOI.4).
NETWORKS = (
    *(Trained("msdnet", camera) for camera in ("mtf1", "mtf2", "mtf3", "mtf4", "mtf5")),
    Trained("unet"),
    Trained("msdnet", doses="low"),
    Trained("unet", doses="low"),
)
_SHOWN = 3
# From the side, slightly from above: the beam runs from top to bottom.
_VIEW = "-80x,15y"
# Training images that SOI.5 is scored on, at most.
_SCORED = 100
_BLUE, _RED = "#0072B2", "#D55E00"

Values = dict[str, Any]


def specimens_figure(workshop: Workshop, folder: Path) -> Values:
    """Fig. 1: three structures, and an image of each."""
    data = workshop.dataset()
    images = ImageSet(data.folder / IMAGES, "train")
    _, split = training_parts(data.recipe)[0]
    figure = Figure(figsize=(9, 6.4), layout="constrained")
    panels = figure.subplots(2, _SHOWN)
    values: Values = {}
    for index, (above, below) in enumerate(panels.T):
        atoms = make_specimen(data.recipe, data.seed, split, index).atoms
        plot_atoms(atoms, above, rotation=_VIEW, show_unit_cell=0)
        above.set_axis_off()
        # Of its images that with the highest dose: at most others the eye sees nothing.
        image = int(images.conditions["dose"][index].argmax())
        conditions = {key: float(table[index, image]) for key, table in images.conditions.items()}
        frame, _ = images.load(index, image)
        draw_frame(below, frame)
        draw_scale_bar(below, frame.shape[1], conditions["sampling"])
        below.set(xticks=[], yticks=[])
        below.set_title(f"{number(conditions['dose'])} e/Å², defocus {conditions['defocus'] / 10:.0f} nm", fontsize=9)
        values[f"structure {index}"] = {"atoms": len(atoms), **conditions}
    write_figure(figure, folder / "specimens.png")
    return values


def mask_figure(workshop: Workshop, folder: Path) -> Values:
    """SOI.3: a training image and its mask."""
    images = ImageSet(workshop.dataset().folder / IMAGES, "train")
    image = int(images.conditions["dose"][0].argmax())
    frame, mask = images.load(0, image)
    figure, panels = new_panels(1, 3)
    draw_frame(panels[0, 0], frame)
    draw_scale_bar(panels[0, 0], frame.shape[1], float(images.conditions["sampling"][0, image]))
    panels[0, 1].imshow(mask, cmap="gray", vmin=0, vmax=1)
    draw_frame(panels[0, 2], frame)
    draw_outline(panels[0, 2], mask)
    write_figure(figure, folder / "mask.png")
    return {"particle_share": float(mask.mean())}


def learning_figure(workshop: Workshop, folder: Path) -> Values:
    """SOI.4: the learning curves of all networks."""
    values: Values = {}
    for trained in NETWORKS:
        curves = workshop.network(trained).metadata.provenance["curves"]
        learning_curves_figure({trained.label: curves}, folder / f"{trained.name}.png")
        scores = curves["validation_f1"]
        values[trained.label] = {"validation_f1_last": scores[-1], "validation_f1_best": max(scores)}
    return values


def sizes_figure(workshop: Workshop, folder: Path) -> Values:
    """SOI.5: F1 on training and validation images against the structures trained on; bars are standard deviations."""
    structures = workshop.scale.study.dataset.structures
    values: Values = {}
    for size in workshop.scale.training_sizes:
        trained = Trained("msdnet", structures=None if size == structures else size)
        folder_of = workshop.dataset(structures=trained.structures).folder / IMAGES
        parts = {name: ImageSet(folder_of, name) for name in ("train", "validation")}
        scores = {name: _scores(workshop.predict(trained), images, workshop) for name, images in parts.items()}
        values[str(size)] = {
            name: {"f1": float(f1.mean()), "standard_deviation": float(f1.std()), "images": len(f1)}
            for name, f1 in scores.items()
        }
    figure = Figure(figsize=(6, 4.2), layout="constrained")
    axes = figure.subplots()
    sizes = [int(size) for size in values]
    for name, colour, marker in (("train", _BLUE, "o"), ("validation", _RED, "s")):
        means, spreads = ([values[str(size)][name][key] for size in sizes] for key in ("f1", "standard_deviation"))
        axes.errorbar(sizes, means, spreads, color=colour, marker=marker, capsize=3, label=f"{name} images")
    axes.set(xscale="log", xlabel="structures trained on", ylabel="F1", ylim=(0, 1))
    axes.legend(frameon=False)
    write_figure(figure, folder / "sizes.png")
    return values


def _scores(predict: Predict, images: ImageSet, workshop: Workshop) -> npt.NDArray[np.float64]:
    """Return F1 of fields spread over a split, one image each, cycling through the image epochs."""
    fields, epochs = images.shape[:2]
    chosen = np.unique(np.linspace(0, fields - 1, min(fields, _SCORED)).round().astype(int))
    places = [(int(field), place % epochs) for place, field in enumerate(chosen)]
    pairs = [images.load(*place) for place in places]
    sizes = np.array([images.conditions["sampling"][place] for place in places])
    found = predict(np.stack([frame for frame, _ in pairs]), sizes) >= workshop.evaluation.threshold
    return np.array([overlap(one, mask).f1 for one, (_, mask) in zip(found, pairs, strict=True)])


def conditions_table(workshop: Workshop, folder: Path) -> Values:
    """Table 1: the imaging conditions that the datasets are drawn from."""
    recipe = workshop.recipe()
    ranges = {name: value for name, value in recipe.conditions.model_dump().items() if value["high"] > value["low"]}
    units = {"dose": "e/Å2", "sampling": "Å/px"}
    rows = [
        [name, value["low"], value["high"], units.get(name, "Å"), value["scale"]]
        for name, value in ranges.items()
        if not name.endswith("_angle")
    ]
    rows.insert(0, ["energy", recipe.exit_wave.energy, recipe.exit_wave.energy, "eV", "constant"])
    write_csv(folder / "table1.csv", ["parameter", "low", "high", "unit", "distribution"], rows)
    return {row[0]: row[1:] for row in rows}


def doses_table(workshop: Workshop, folder: Path) -> Values:
    """Table 2: the dose ranges, and the full one that the text has."""
    values = {name: [value.low, value.high] for name, value in DOSE_RANGES.items()}
    rows = [[name, *ends, "e/Å2"] for name, ends in values.items()]
    write_csv(folder / "table2.csv", ["range", "low", "high", "unit"], rows)
    return values


def cameras_table(workshop: Workshop, folder: Path) -> Values:
    """Table 3: the MTF models."""
    keys, rows = ("c0", "c3", "readout"), []
    values: Values = {}
    for name in ("mtf1", "mtf2", "mtf3", "mtf4", "mtf5"):
        ranges = load_passport(name).ranges()
        values[name] = {key: [getattr(ranges, key).low, getattr(ranges, key).high] for key in keys}
        rows.append([name, *(end for ends in values[name].values() for end in ends)])
    write_csv(folder / "table3.csv", ["model", *(f"{key}_{end}" for key in keys for end in ("low", "high"))], rows)
    return values
