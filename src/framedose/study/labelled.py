"""Predictors on labelled micrographs: one line for each image and predictor, and means with intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from framedose.atomic import write_json
from framedose.cleaning.cleaned import cleaned
from framedose.errors import ConfigurationError, ConstantImageError, ImageError
from framedose.evaluation.limits import percentile_interval, resampled_means
from framedose.evaluation.objects import boundary_error, f1_of_count, f1_of_particles, false_objects, particles_found
from framedose.evaluation.series import probabilities
from framedose.files import read
from framedose.inference.rim import ATOM_RADIUS, check_rim
from framedose.inference.tables import write_rows
from framedose.metrics import overlap
from framedose.micrograph import Micrograph
from framedose.progress import progress
from framedose.provenance import file_digest, versions
from framedose.random import generator
from framedose.study.labels import network_label
from framedose.study.panels import draw_frame, draw_mask, draw_outline, draw_scale_bar, new_panels, write_figure
from framedose.study.predictors import Predictor

# Endings that label files have beside the names of their images.
_ENDINGS = ("", "_label", "_labels", "_mask")
_SCORES = ("f1", "precision", "recall", "area_ratio", "f1_all_particle")
_COUNTS = ("found", "particles", "false_objects")


@dataclass(frozen=True)
class LabelledImage:
    """One line of ``labelled.csv``."""

    network: str
    """Name of the predictor."""
    file: str
    """Name of the image."""
    f1: float
    """F1 of the mask."""
    precision: float | None
    """Share of it that is particle; None where it is empty."""
    recall: float | None
    """Share of the particles that it covers; None where there are none."""
    area_ratio: float | None
    """Its area over the true one; None where there is no particle."""
    boundary_error_nm: float | None
    """Mean distance of the outlines [nm]; None where one is missing."""
    particles: int
    """Particles in the label."""
    found: int
    """Those of which at least half is covered."""
    false_objects: int
    """Parts of the mask that touch no particle."""
    f1_per_particle: float | None
    """Mean F1 of its particles, each alone with what of the mask belongs to it; None where there are none."""
    f1_all_particle: float
    """F1 of a mask of every pixel, which a network must beat."""


def label_of(image: Path, folder: Path) -> Path:
    """Return the file in ``folder`` that is the label of an image: of its name, or with _label or _mask after it.

    Raises
    ------
    ConfigurationError
        If there is none, or more than one.
    """
    names = {f"{image.stem}{ending}" for ending in _ENDINGS}
    found = [path for path in sorted(folder.iterdir()) if path.stem in names and path.resolve() != image.resolve()]
    if len(found) != 1:
        raise ConfigurationError(
            f"--labels {str(folder)!r} must hold one label of {image.name}, named {image.stem}.* or "
            f"{image.stem}_label.*, found {', '.join(path.name for path in found) or 'none'}."
        )
    return found[0]


def evaluate_labelled(
    predictors: Mapping[str, Predictor],
    images: Sequence[Path],
    labels: Path,
    out: Path,
    *,
    sampling: float | None = None,
    threshold: float = 0.9,
    rim: float = ATOM_RADIUS,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """Score predictors on labelled micrographs and return the means by predictor, each with its interval over images.

    The folder gets ``labelled.csv``, ``results.json`` and for each image NAME.png, the masks over it with the label
    outlined in cyan.

    Parameters
    ----------
    predictors
        By the names that they shall have.
    images
        Micrographs, one frame a file.
    labels
        Folder of their labels: images of the same shape, particle where a pixel is not 0.
    out
        Folder, which must exist.
    sampling
        Pixel size [Å/px] of all, where the files have none.
    threshold
        Least probability of a pixel in a mask.
    rim
        How far outlines lie outside of the centres of outer atoms [Å], as :func:`framedose.inference.segment.segment`
        draws them; baselines and functions of the user's own draw theirs.
    level, resamples, seed
        Of the bootstrap over images.

    Raises
    ------
    ConfigurationError
        If an image has no label, or the rim is negative.
    ImageError
        If image and label differ in shape.
    """
    check_rim(rim)
    if not labels.is_dir():
        raise ConfigurationError(f"--labels {str(labels)!r} is no folder: give the one that holds the labels.")
    stems = [path.stem for path in images]
    for path in images:
        if stems.count(path.stem) > 1:
            raise ConfigurationError(f"{path}: another image is called {path.stem!r} too: score them apart.")
    pairs = [(path, label_of(path, labels)) for path in images]
    frames = [_only(path, sampling) for path, _ in pairs]
    truths = [_truth(label, frame) for (_, label), frame in zip(pairs, frames, strict=True)]
    rows: list[LabelledImage] = []
    for (path, _), frame, truth in progress(
        list(zip(pairs, frames, truths, strict=True)), total=len(pairs), label="labelled images"
    ):
        seen, sizes = cleaned(frame.image), np.array([frame.sampling])
        masks = {}
        for name, predictor in predictors.items():
            predict = partial(predictor.predict, rim=rim)
            (probability,) = probabilities(predict, seen.image[None], sizes, frame.image.shape)
            masks[name] = (probability >= np.float32(threshold)) & ~seen.hidden
        _draw(out / f"{path.stem}.png", frame, truth, masks)
        rows += [_row(name, path.name, mask, truth, frame.sampling) for name, mask in masks.items()]
    means = {name: _means([row for row in rows if row.network == name], level, resamples, seed) for name in predictors}
    write_rows(out / "labelled.csv", LabelledImage, rows)
    content = {
        "networks": means,
        "settings": {"threshold": threshold, "rim": rim, "level": level, "sampling": sampling, "seed": seed},
        "provenance": {
            "networks (SHA-256)": {name: predictor.sha256 for name, predictor in predictors.items()},
            "files (SHA-256)": {str(path): file_digest(path) for pair in pairs for path in pair},
            "versions": versions(),
        },
    }
    write_json(out / "results.json", content)
    return means


def _only(path: Path, sampling: float | None, *, allow_boolean: bool = False) -> Micrograph:
    frames = read(path, sampling=sampling, allow_boolean=allow_boolean)
    if len(frames) != 1:
        raise ImageError(f"{path}: holds {len(frames)} frames; give one image and one label a file.")
    return frames[0]


def _truth(label: Path, frame: Micrograph) -> npt.NDArray[np.bool_]:
    try:
        truth = np.asarray(_only(label, frame.sampling, allow_boolean=True).image != 0)
    except ConstantImageError as constant:
        # A label of nothing, or of all.
        truth = np.full(frame.image.shape, constant.value != 0)
    if truth.shape != frame.image.shape:
        raise ImageError(f"{label}: a label must have the shape of its image, {frame.image.shape}, got {truth.shape}.")
    return truth


def _row(
    name: str, file: str, mask: npt.NDArray[np.bool_], truth: npt.NDArray[np.bool_], sampling: float
) -> LabelledImage:
    scores, (found, particles) = overlap(mask, truth), particles_found(mask, truth)
    single = f1_of_particles(mask, truth)
    return LabelledImage(
        network=name,
        file=file,
        f1=scores.f1,
        precision=_known(scores.precision),
        recall=_known(scores.recall),
        area_ratio=_known(scores.area_ratio),
        boundary_error_nm=_known(boundary_error(mask, truth, sampling)),
        particles=particles,
        found=found,
        false_objects=false_objects(mask, truth, sampling),
        f1_per_particle=float(np.mean(single)) if single else None,
        f1_all_particle=overlap(np.ones_like(truth), truth).f1,
    )


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _means(rows: Sequence[LabelledImage], level: float, resamples: int, seed: int) -> dict[str, Any]:
    means: dict[str, Any] = {}
    for score in _SCORES:
        values = np.array([getattr(row, score) for row in rows if getattr(row, score) is not None])
        low = high = None
        if len(values) > 1:
            drawn = resampled_means(values[:, None], resamples=resamples, rng=generator(seed, "bootstrap"))[:, 0]
            low, high = (float(end) for end in percentile_interval(drawn, level=level, structures=len(values)))
        means[score] = {"mean": float(values.mean()) if len(values) else None, "low": low, "high": high}
    found, particles, false = (sum(getattr(row, name) for row in rows) for name in _COUNTS)
    single = [row.particles * row.f1_per_particle for row in rows if row.f1_per_particle is not None]
    return means | {
        "images": len(rows),
        "particles": particles,
        "found": found,
        "false_objects": false,
        "f1_of_count": _known(f1_of_count(found, particles, false)),
        "f1_per_particle": sum(single) / particles if particles else None,
    }


def _draw(
    path: Path, frame: Micrograph, truth: npt.NDArray[np.bool_], masks: Mapping[str, npt.NDArray[np.bool_]]
) -> None:
    figure, panels = new_panels(1, len(masks))
    for axes, (name, mask) in zip(panels[0], masks.items(), strict=True):
        draw_frame(axes, frame.image)
        draw_mask(axes, mask)
        if truth.any() and not truth.all():
            draw_outline(axes, truth)
        axes.set_title(f"{network_label(name)}: F1 {overlap(mask, truth).f1:.2f}", fontsize=9)
    draw_scale_bar(panels[0, 0], truth.shape[1], frame.sampling)
    write_figure(figure, path)
