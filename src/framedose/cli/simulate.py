"""``framedose simulate``: a dataset of images and masks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from cyclopts import Parameter

from framedose.cli.settings import camera_settings, merged_recipes, parse_settings, refuse, split_header
from framedose.config import build, merged, read_yaml
from framedose.errors import ConfigurationError

if TYPE_CHECKING:
    from framedose.dataset.generate import Shard
    from framedose.dataset.recipe import DatasetRecipe, Part

_OPTIONS = (
    "out",
    "preset",
    "seed",
    "workers",
    "scheduler",
    "device",
    "shard",
    "series",
    "frames",
    "particles",
    "empty",
    "print-recipe",
)


def simulate(
    *words: Annotated[str, Parameter(allow_leading_hyphen=True, show=False)],
    out: Path = Path("framedose-dataset"),
    preset: str | None = None,
    seed: int | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
    shard: str = "1/1",
    camera: str | None = None,
    series: Literal["test", "replica", "ramp"] | None = None,
    frames: int | None = None,
    particles: int = 1,
    empty: int = 2,
    print_recipe: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Make a dataset from a recipe: specimens, exit waves, and images with masks.

    A dataset that was stopped goes on where it was when the same command is given again, and ends the same.
    RECIPE.yaml holds what differs from the preset, or from the paper's values where none is named; every
    value can also be changed on the command line by its dotted name.

    Examples:

      framedose simulate --print-recipe --preset quick > recipe.yaml

      framedose simulate recipe.yaml --out my-dataset --workers 8

      framedose simulate recipe.yaml --conditions.dose.low 10 --structures 100 --out low-dose

      framedose simulate recipe.yaml --shard $SLURM_ARRAY_TASK_ID/20

      framedose simulate recipe.yaml --series replica --particles 20 --out replica

      framedose simulate --preset laptop --series ramp --camera my-camera.yaml --conditions.dose.high 500 --out ramp

    Parameters
    ----------
    out
        Folder of the dataset: new, or this dataset's own.
    preset
        Take the recipe of a preset of "framedose study" to start from, such as quick or general.
    seed
        Seed of everything random; 0 if neither this nor the recipe says so.
    workers
        Processes; one for each core by default, with --device cuda at most 16. 1 is the command's own.
    scheduler
        Address of a Dask scheduler that runs already, to use its workers in place of processes here.
    device
        Where exit waves are computed: cpu, or cuda through CuPy.
    shard
        i/n makes every n-th field only, i from 1 to n, for job arrays. Shards may run at the same time.
    camera
        Passport of the camera, from "framedose calibrate", or a shipped one: mtf1 to mtf5, oneview, counting,
        merlin200, merlin300.
    series
        Make, in place of a dataset to train on, particles like the recipe's at rising dose: the paper's replica of its
        experiment (A.4: 10 to 1e4 e/Å2), or a ramp (10 to 1300 e/Å2) under the same conditions, or a test under those
        of the recipe (10 to 1e4 e/Å2). --camera and dotted names on the command line hold in all of them, and
        --conditions.dose.low and high are the ends.
    frames
        Frames of each particle in a series; by default 1000 in the replica, 130 in the ramp and 13 in the test.
    particles
        Particles in a series; the paper has one.
    empty
        Fields of bare support, and as many of vacuum, in a series, for the null test of "framedose evaluate".
    print_recipe
        Print the complete recipe as YAML and stop.
    """
    files, changes = parse_settings(words, _OPTIONS)
    refuse(files[1:])
    if not files and preset is None and not print_recipe:
        raise ConfigurationError(
            "framedose simulate needs a RECIPE.yaml or --preset; --print-recipe > recipe.yaml gives one to start from."
        )
    given = read_yaml(files[0], name="The recipe") if files else {}
    asked = merged({"camera": camera_settings(camera)} if camera else {}, changes)
    header, values = split_header(given, preset, seed)
    if series is None and (particles, frames, empty) != (1, None, 2):
        raise ConfigurationError("--particles, --frames and --empty are of a series: name it with --series.")
    part = _series(series, _recipe(header.preset, values), particles, frames, empty, asked) if series else None
    values = merged_recipes(values, asked)
    recipe = part[0] if part else _recipe(header.preset, values)
    if print_recipe:
        content = {"seed": header.seed, **recipe.model_dump(mode="json")}
        print(yaml.safe_dump(content, sort_keys=False), end="")
        return
    given = header.model_dump(exclude_unset=True) | values
    _make(recipe, header.seed, out, workers, scheduler, device, shard, given, part)


def _series(
    name: str, recipe: DatasetRecipe, particles: int, frames: int | None, empty: int, asked: dict[str, Any]
) -> Part:
    from framedose.dataset.series import named_series

    if empty < 0:
        raise ConfigurationError(f"--empty must be at least 0, got {empty}.")
    return named_series(name, recipe, structures=particles, frames=frames, supports=empty, vacuum=empty, given=asked)


def _recipe(preset: str | None, given: dict[str, Any]) -> DatasetRecipe:
    from framedose.dataset.recipe import DatasetRecipe

    base: dict[str, Any] = {}
    if preset is not None:
        from framedose.study.config import study_config

        base = study_config(preset).dataset.model_dump()
    # Complete, so that one end of a range can be changed alone.
    complete = build(DatasetRecipe, base, where="preset").model_dump()
    return build(DatasetRecipe, merged(complete, given), where="recipe")


def _make(
    recipe: DatasetRecipe,
    seed: int,
    out: Path,
    workers: int | None,
    scheduler: str | None,
    device: Literal["cpu", "cuda"],
    shard: str,
    given: dict[str, Any],
    series: Part | None,
) -> None:
    from framedose.dataset.folder import make_dataset
    from framedose.workers import chosen_workers, cores

    if workers is None and scheduler is None:
        # Each has its own part of the GPU's memory; building specimens and potentials keeps the cores busy.
        workers = min(cores(), 16) if device == "cuda" else cores()
    start = chosen_workers(workers, scheduler)
    missing = make_dataset(recipe, seed, out, start, shard=_shard(shard), device=device, given=given, series=series)
    if missing:
        print(f"Shard {shard} is complete in {out}; {missing} fields of the dataset are still to be made by others.")
    else:
        split = f" --split {series[1].name}" if series else ""
        print(f"The dataset in {out} is complete. To look at it: framedose show {out}{split}")


def _shard(text: str) -> Shard:
    from framedose.dataset.generate import Shard

    number, _, of = text.partition("/")
    if not (number.isdecimal() and of.isdecimal()):
        raise ConfigurationError(f"--shard must be i/n, such as 3/20, got {text!r}.")
    return Shard(int(number), int(of))
