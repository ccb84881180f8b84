"""Making a dataset: specimens, exit waves, images, one task for each field, resumable field by field."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from framedose.atomic import write_json
from framedose.config import read_json
from framedose.dataset.recipe import DatasetRecipe, Part, Split
from framedose.dataset.render import make_specimen, render_field
from framedose.dataset.store import create_images, create_waves, written
from framedose.errors import ConfigurationError, FileFormatError, OutputExistsError, SpecimenError
from framedose.microscope.exit_wave import Device, exit_wave
from framedose.random import generator
from framedose.workers import Runner

Entry = dict[str, Any]
"""What identifies a specimen: drawn values, mask hulls, hash of the atoms."""


@dataclass(frozen=True)
class Shard:
    """Every ``of``-th field of each split, for job arrays; the whole dataset by default.

    Parameters
    ----------
    number
        Which of them, from 1 to ``of``.
    of
        Parts that the work is divided into.
    """

    number: int = 1
    of: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise ConfigurationError(f"--shard i/n needs i between 1 and n, got {self.number}/{self.of}.")

    def fields(self, count: int) -> range:
        """Return this shard's part of ``count`` fields."""
        return range(self.number - 1, count, self.of)


WHOLE = Shard()


def make_specimens(
    path: Path, parts: Sequence[Part], seed: int, run: Runner, shard: Shard = WHOLE
) -> dict[str, dict[int, Entry]]:
    """Build the specimens of a shard that are not on disk yet, and return what identifies them, by split and index.

    Each is written to a file of its own beside ``path``; when those of all shards are there, they move into ``path``.

    Raises
    ------
    SpecimenError
        If two fields, of one split or of two, came out as the same structure.
    OutputExistsError
        If ``path`` holds the specimens of another recipe or seed.
    """
    made_from = {split.name: split.specimens_digest(recipe, seed) for recipe, split in parts}
    if path.exists():
        return _read(path, made_from)
    aside = path.with_suffix("")
    for recipe, split in parts:
        folder = _folder(aside, made_from, split)
        done = {int(file.stem) for file in folder.glob("[0-9]*.json")}
        mine = shard.fields(split.specimens)
        todo = [index for index in mine if index not in done]
        if todo:
            label = f"specimens ({split.name})"
            run(partial(_describe, folder.resolve(), recipe, seed, split), todo, label, len(mine) - len(todo))
    try:
        entries = {split.name: _entries(_folder(aside, made_from, split)) for _, split in parts}
        complete = all(len(entries[split.name]) == split.specimens for _, split in parts)
    except FileNotFoundError:
        complete = False
    if complete:
        _merge(path, made_from, entries)
    if path.exists():
        # By us, or by another shard that was the last one.
        shutil.rmtree(aside, ignore_errors=True)
        return _read(path, made_from)
    return entries


def _folder(aside: Path, made_from: Mapping[str, str], split: Split) -> Path:
    return aside / f"{split.name}-{made_from[split.name][:16]}"


def _entries(folder: Path) -> dict[int, Entry]:
    files = sorted((int(file.stem), file) for file in folder.glob("[0-9]*.json"))
    return {index: read_json(file) for index, file in files}


def _merge(path: Path, made_from: Mapping[str, str], entries: Mapping[str, Mapping[int, Entry]]) -> None:
    digests = [entry["digest"] for split in entries.values() for entry in split.values()]
    if len(set(digests)) < len(digests):
        raise SpecimenError(
            "Two fields have the same structure: training and test must not share any. Widen the ranges."
        )
    splits = {name: list(split.values()) for name, split in entries.items()}
    write_json(path, {"made_from": dict(made_from), "splits": splits})


def _read(path: Path, made_from: Mapping[str, str]) -> dict[str, dict[int, Entry]]:
    try:
        content = read_json(path)
        found, splits = content["made_from"], content["splits"]
    except (ValueError, KeyError, TypeError) as error:
        raise FileFormatError(f"{str(path)!r} is damaged: remove it and run again.") from error
    if found != made_from:
        raise OutputExistsError(f"{str(path)!r} holds specimens of another recipe or seed. Choose another folder.")
    return {name: dict(enumerate(entries)) for name, entries in splits.items()}


def _describe(folder: Path, recipe: DatasetRecipe, seed: int, split: Split, index: int) -> None:
    specimen = make_specimen(recipe, seed, split, index)
    hulls = [[hull.tolist() for hull in of_class] for of_class in (specimen.hulls, specimen.support_hulls)]
    entry = {"drawn": specimen.drawn, "hulls": hulls[0], "support_hulls": hulls[1], "digest": specimen.digest()}
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"{index}.json", entry)


def make_waves(
    path: Path,
    recipe: DatasetRecipe,
    seed: int,
    split: Split,
    specimens: Mapping[int, Entry],
    run: Runner,
    shard: Shard = WHOLE,
    device: Device = "cpu",
) -> None:
    """Compute the exit waves of a shard of a split that are not on disk yet."""
    create_waves(path, recipe, split, split.specimens_digest(recipe, seed))
    done = written(path, split.name)
    mine = shard.fields(split.specimens)
    tasks = [(index, specimens[index]["digest"]) for index in mine if index not in done]
    if tasks:
        label = f"exit waves ({split.name})"
        run(partial(_wave, path.resolve(), recipe, seed, split, device), tasks, label, len(mine) - len(tasks))


def _wave(path: Path, recipe: DatasetRecipe, seed: int, split: Split, device: Device, task: tuple[int, str]) -> None:
    index, expected = task
    specimen = make_specimen(recipe, seed, split, index)
    if specimen.digest() != expected:
        raise SpecimenError(
            f"Specimen {index} of {split.name!r} came out differently than before: ASE or NumPy changed since this "
            "dataset was begun. Begin it again in another folder."
        )
    array = zarr.open_group(path, mode="r+")[split.name]
    rng = generator(seed, "phonons", split.name, index)
    array[index] = exit_wave(specimen.atoms, recipe.exit_wave, rng, device)


def make_images(
    path: Path,
    waves: Path,
    recipe: DatasetRecipe,
    seed: int,
    split: Split,
    specimens: Mapping[int, Entry],
    run: Runner,
    shard: Shard = WHOLE,
) -> None:
    """Make the images and masks of a shard of a split that are not on disk yet; one task writes one whole field."""
    create_images(path, recipe, split, seed, split.digest(recipe, seed))
    done = written(path, f"{split.name}/images")
    mine = shard.fields(len(split.kinds))
    # Each task carries the hulls of its own field only.
    nothing: Entry = {"hulls": [], "support_hulls": []}
    tasks = [(index, specimens[index] if index < split.specimens else nothing) for index in mine if index not in done]
    if tasks:
        label = f"images ({split.name})"
        task = partial(_images, path.resolve(), waves.resolve(), recipe, seed, split)
        run(task, tasks, label, len(mine) - len(tasks))


def _images(path: Path, waves: Path, recipe: DatasetRecipe, seed: int, split: Split, task: tuple[int, Entry]) -> None:
    index, specimen = task
    wave = None if split.kinds[index] == "vacuum" else zarr.open_group(waves, mode="r")[split.name][index]
    hulls, support_hulls = ([np.array(hull) for hull in specimen[key]] for key in ("hulls", "support_hulls"))
    pairs = list(render_field(recipe, seed, split, index, range(split.images), wave, hulls, support_hulls))
    group = zarr.open_group(path, path=split.name, mode="r+")
    group["masks"][index] = np.stack([mask for _, mask in pairs])
    # Last, because its presence says that the field is complete.
    group["images"][index] = np.stack([image for image, _ in pairs])
