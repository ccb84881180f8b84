"""Making a dataset on all cores: specimens, exit waves, images, one task for each field, resumable field by field."""

import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from framedose.atomic import write_json
from framedose.config import digest
from framedose.dataset.recipe import DatasetRecipe, Split
from framedose.dataset.render import make_specimen, render
from framedose.dataset.store import create_images, create_waves, written
from framedose.errors import SpecimenError
from framedose.microscope.exit_wave import exit_wave
from framedose.progress import progress
from framedose.random import generator

# What else would start threads of its own in a worker.
_ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")

Runner = Callable[[Callable[[Any], Any], Sequence[Any], str, int], list[Any]]


@contextmanager
def workers(count: int) -> Iterator[Runner]:
    """Start ``count`` worker processes (Dask), and give a function that maps tasks over them with a progress bar.

    The scheduler lives in this process, so that the workers end when it ends, however it ends. They are started by
    command, not by importing the caller's script again, so that a script needs no ``if __name__ == "__main__"``. Each
    has one thread: the cores are filled by processes.
    """
    from distributed import Client, LocalCluster, as_completed

    command = [sys.executable, "-m", "distributed.cli.dask_worker", "--no-nanny", "--nthreads", "1", "--no-dashboard"]
    environment = os.environ | dict.fromkeys(_ONE_THREAD, "1") | {"DASK_LOGGING__DISTRIBUTED": "error"}
    with (
        LocalCluster(n_workers=0, dashboard_address=None, silence_logs=logging.CRITICAL) as cluster,
        Client(cluster, set_as_default=False) as client,
        tempfile.TemporaryDirectory() as scratch,
    ):
        arguments = [*command, "--local-directory", scratch, cluster.scheduler_address]
        processes = [subprocess.Popen(arguments, env=environment) for _ in range(count)]
        try:
            client.wait_for_workers(count, timeout=120)

            def run(task: Callable[[Any], Any], items: Sequence[Any], label: str, done: int) -> list[Any]:
                futures = client.map(task, items, pure=False)
                finished = as_completed(futures, loop=client.loop)
                for future in progress(finished, total=done + len(futures), done=done, label=label):
                    future.result()
                return [future.result() for future in futures]

            yield run
        finally:
            for process in processes:
                process.kill()
            for process in processes:
                process.wait()


def make_specimens(path: Path, recipe: DatasetRecipe, seed: int, splits: Sequence[Split], run: Runner) -> None:
    """Build all specimens once and write what identifies them: drawn values, mask hulls, hash of the atoms.

    Raises
    ------
    SpecimenError
        If two fields, of one split or of two, came out as the same structure.
    """
    content: dict[str, list[dict[str, Any]]] = {}
    for split in splits:
        describe = partial(_describe, recipe, seed, split)
        content[split.name] = run(describe, range(split.specimens), f"specimens ({split.name})", 0)
    digests = [entry["digest"] for entries in content.values() for entry in entries]
    if len(set(digests)) < len(digests):
        raise SpecimenError(
            "Two fields have the same structure: training and test must not share any. Widen the ranges."
        )
    write_json(path, {"made_from": _specimens_digest(recipe, seed, splits), "splits": content})


def _specimens_digest(recipe: DatasetRecipe, seed: int, splits: Sequence[Split]) -> str:
    return digest([split.digest(recipe, seed) for split in splits])


def _describe(recipe: DatasetRecipe, seed: int, split: Split, index: int) -> dict[str, Any]:
    specimen = make_specimen(recipe, seed, split, index)
    return {"drawn": specimen.drawn, "hulls": [hull.tolist() for hull in specimen.hulls], "digest": specimen.digest()}


def make_waves(
    path: Path, recipe: DatasetRecipe, seed: int, split: Split, specimens: Sequence[dict[str, Any]], run: Runner
) -> None:
    """Compute the exit waves of a split that are not on disk yet."""
    create_waves(path, recipe, split, split.digest(recipe, seed))
    done = written(path, split.name)
    todo = [index for index in range(split.specimens) if index not in done]
    expected = {index: specimens[index]["digest"] for index in todo}
    if todo:
        run(partial(_wave, path, recipe, seed, split, expected), todo, f"exit waves ({split.name})", len(done))


def _wave(path: Path, recipe: DatasetRecipe, seed: int, split: Split, expected: dict[int, str], index: int) -> None:
    specimen = make_specimen(recipe, seed, split, index)
    if specimen.digest() != expected[index]:
        raise SpecimenError(
            f"Specimen {index} of {split.name!r} came out differently than before: ASE or NumPy changed since this "
            "dataset was begun. Begin it again in another folder."
        )
    array = zarr.open_group(path, mode="r+")[split.name]
    array[index] = exit_wave(specimen.atoms, recipe.exit_wave, generator(seed, "phonons", split.name, index))


def make_images(
    path: Path,
    waves: Path,
    recipe: DatasetRecipe,
    seed: int,
    split: Split,
    specimens: Sequence[dict[str, Any]],
    run: Runner,
) -> None:
    """Make the images and masks of a split that are not on disk yet; one task writes one whole shard."""
    create_images(path, recipe, split, seed, split.digest(recipe, seed))
    done = written(path, f"{split.name}/images")
    todo = [index for index in range(len(split.kinds)) if index not in done]
    # Each task carries the hulls of its own field only.
    tasks = [(index, specimens[index]["hulls"] if index < split.specimens else []) for index in todo]
    if tasks:
        run(partial(_images, path, waves, recipe, seed, split), tasks, f"images ({split.name})", len(done))


def _images(
    path: Path, waves: Path, recipe: DatasetRecipe, seed: int, split: Split, task: tuple[int, list[Any]]
) -> None:
    index, corners = task
    wave = None if split.kinds[index] == "vacuum" else zarr.open_group(waves, mode="r")[split.name][index]
    hulls = [np.array(hull) for hull in corners]
    pairs = [render(recipe, seed, split, index, image, wave, hulls) for image in range(split.images)]
    group = zarr.open_group(path, path=split.name, mode="r+")
    group["masks"][index] = np.stack([mask for _, mask in pairs])
    # Last, because its presence says that the field is complete.
    group["images"][index] = np.stack([image for image, _ in pairs])
