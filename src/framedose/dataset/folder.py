"""A dataset's folder: whose it is, and all its parts made in order, by one process or by many."""

import errno
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from framedose.atomic import folder_aside, locked, write_json
from framedose.config import digest
from framedose.dataset.generate import WHOLE, Shard, make_images, make_specimens, make_waves
from framedose.dataset.recipe import DatasetRecipe, Part, Split, training_parts
from framedose.dataset.render import make_specimen
from framedose.dataset.store import written
from framedose.errors import ConfigurationError, OutputExistsError, SimulationError
from framedose.microscope.exit_wave import Device
from framedose.provenance import versions
from framedose.workers import Runner, in_turn

SPECIMENS, WAVES, IMAGES = "specimens.json", "exit_waves.zarr", "images.zarr"


def make_dataset(
    recipe: DatasetRecipe,
    seed: int,
    out: str | os.PathLike[str],
    workers: Callable[[], AbstractContextManager[Runner]],
    *,
    shard: Shard = WHOLE,
    device: Device = "cpu",
    given: Mapping[str, Any] | None = None,
    series: Part | None = None,
) -> int:
    """Make a dataset, or go on with it, and return the number of fields that other shards have still to make.

    What is finished is kept, structure by structure, and the result is the same bits in whatever order and by however
    many processes it is made. No worker is started when nothing is missing.

    Parameters
    ----------
    recipe, seed
        All that determines the images.
    out
        Folder of the dataset: empty, new, or this dataset's own.
    workers
        Starts the workers: ``framedose.workers.workers`` or ``cluster_at`` with its argument bound.
    shard
        The part to make.
    device
        Where exit waves are computed; a dataset is made on one kind of device only.
    given
        The recipe before defaults were added, to be kept beside the complete one.
    series
        From :func:`framedose.dataset.series.named_series`: make this in place of training and validation.

    Raises
    ------
    OutputExistsError
        If the folder holds something else, or another process makes this shard.
    ConfigurationError
        If the recipe cannot be, or the device is missing.
    SpecimenError
        If no specimen fits the recipe.
    SimulationError
        If the disk is full.
    WorkerError
        If workers keep dying.
    """
    folder, parts = Path(out), [*training_parts(recipe)] if series is None else [series]
    splits = [split for _, split in parts]
    identity = digest([[split.digest(part, seed) for part, split in parts], seed])
    _check_device(device)
    _refuse_foreign(folder, identity, device)
    # Before anything is written: a recipe that no specimen fits leaves no folder behind.
    make_specimen(parts[0][0], seed, splits[0], 0)
    with _clear_disk_errors(folder):
        _claim(folder, identity, parts, seed, device, given or {})
        with locked(folder, f".lock-{shard.number}-of-{shard.of}"):
            if any(_missing(folder, split, shard) for split in splits):
                with workers() as run:
                    _make(folder, seed, parts, run, shard, device)
        missing = sum(len(_missing(folder, split, WHOLE)) for split in splits)
        if not missing:
            # Moves them into one file if no shard saw those of all others.
            make_specimens(folder / SPECIMENS, parts, seed, in_turn)
            _sweep(folder)
    return missing


def _make(folder: Path, seed: int, parts: Sequence[Part], run: Runner, shard: Shard, device: Device) -> None:
    specimens = make_specimens(folder / SPECIMENS, parts, seed, run, shard)
    waves, images = folder / WAVES, folder / IMAGES
    for recipe, split in parts:
        make_waves(waves, recipe, seed, split, specimens[split.name], run, shard, device)
    for recipe, split in parts:
        make_images(images, waves, recipe, seed, split, specimens[split.name], run, shard)


def _sweep(folder: Path) -> None:
    """Remove what killed processes left half written."""
    for store in (folder / WAVES, folder / IMAGES):
        for unnamed in store.glob(".*"):
            shutil.rmtree(unnamed, ignore_errors=True)
        for file in store.rglob("*.partial"):
            file.unlink(missing_ok=True)


def _missing(folder: Path, split: Split, shard: Shard) -> set[int]:
    return set(shard.fields(len(split.kinds))) - written(folder / IMAGES, f"{split.name}/images")


def _check_device(device: Device) -> None:
    if device == "cuda" and find_spec("cupy") is None:
        raise ConfigurationError(
            "--device cuda needs CuPy, which is not installed: python -m pip install cupy-cuda12x (12 for CUDA 12), "
            "or leave --device out."
        )


def _refuse_foreign(folder: Path, identity: str, device: Device) -> None:
    """Refuse a folder with anything else in it than this very dataset."""
    card = folder / "recipe" / "made_with.json"
    if not card.exists():
        # What is hidden may be another shard about to claim the folder.
        if folder.exists() and (not folder.is_dir() or any(not p.name.startswith(".") for p in folder.iterdir())):
            raise OutputExistsError(
                f"The output folder {str(folder)!r} exists and is not a dataset's. Choose another folder with --out."
            )
        return
    try:
        found = json.loads(card.read_text(encoding="utf-8"))
        other, begun = found["digest"] != identity, found["device"]
    except (ValueError, KeyError, TypeError):
        other, begun = True, device
    if other:
        raise OutputExistsError(
            f"The output folder {str(folder)!r} holds a dataset of another recipe, seed or series. Choose another "
            "folder with --out, or give the command that it was begun with; the recipe is recipe/complete.yaml in it."
        )
    if begun != device:
        raise OutputExistsError(
            f"The dataset in {str(folder)!r} was begun with --device {begun}, got {device}: exit waves of the two "
            "need not be the same bits. Go on with that, or choose another folder with --out."
        )


def _claim(
    folder: Path, identity: str, parts: Sequence[Part], seed: int, device: Device, given: Mapping[str, Any]
) -> None:
    """Make the folder this dataset's; of several processes at the same time, the first one decides whose it is."""
    if not (folder / "recipe").exists():
        with folder_aside(folder / "recipe") as aside:
            complete = {"seed": seed, **parts[0][0].model_dump(mode="json")}
            for name, content in (("given", dict(given)), ("complete", complete)):
                text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
                (aside / f"{name}.yaml").write_text(text, encoding="utf-8")
            fields = {split.name: _fields(split) for _, split in parts}
            card = {"digest": identity, "device": device, "fields": fields, "versions": versions()}
            write_json(aside / "made_with.json", card)
    _refuse_foreign(folder, identity, device)


def _fields(split: Split) -> dict[str, Any]:
    """Return what a part holds, of which a recipe says nothing where the part is a series."""
    return {**Counter(split.kinds), "images": split.images, "doses": split.doses}


@contextmanager
def _clear_disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise SimulationError(
            f"The disk of {str(folder)!r} is full. What is finished is kept: free some space and give the same command "
            "again."
        ) from error
