"""``framedose train``: one network on one dataset."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import yaml
from cyclopts import Parameter

from framedose.cli.settings import parse_settings
from framedose.config import merged, read_yaml
from framedose.errors import ConfigurationError, FramedoseError, OutputExistsError, WeightsError
from framedose.random import check_seed

if TYPE_CHECKING:
    from framedose.networks.weights import LoadedNetwork
    from framedose.study.config import MSDNetTraining, UNetTraining

_OPTIONS = ("network", "out", "preset", "config", "seed", "start-from", "max-minutes", "print-settings")


def train(
    *words: Annotated[str, Parameter(allow_leading_hyphen=True, show=False)],
    network: Literal["unet", "msdnet"] = "msdnet",
    out: Path = Path("framedose-training"),
    preset: str = "laptop",
    config: Path | None = None,
    seed: int = 0,
    start_from: str | None = None,
    max_minutes: float | None = None,
    print_settings: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Train a network on a dataset of "framedose simulate", or on several, or go on with it.

    Of several datasets the training images are mixed, those of a batch cropped to its smallest; those to validate on
    are of the first.
    A training that was stopped, at any moment, goes on where it was when the same command is given again, and ends
    with the same weights. Every setting can be changed on the command line by its dotted name, network.… or
    training.…, or in a YAML file. Under torchrun the processes share each batch.

    Examples:

      framedose train my-dataset --network unet --out my-unet

      framedose train my-dataset --network msdnet --network.layers 30 --training.steps 4000 --training.average 0.999

      framedose train my-dataset another-dataset --network unet

      framedose train my-dataset --training.endless true --max-minutes 9

      framedose train my-dataset --network unet --start-from unet --training.learning_rate 3e-4 --out tuned

      torchrun --nproc-per-node 4 -m framedose train my-dataset --network unet

      framedose segment frame.dm4 --network my-unet/unet.safetensors

    Parameters
    ----------
    network
        unet or msdnet.
    out
        Folder of the weights, curves and checkpoint: new, or this training's own.
    preset
        Settings of the network and its training to start from: quick, laptop, general or paper.
    config
        YAML file with settings that differ from the preset: network: {...} and training: {...}.
    seed
        Seed of the weights and of everything drawn in training.
    start_from
        Weights to start from, a shipped name or a .safetensors file; the network is then that of the weights.
    max_minutes
        Stop after this time and write the weights as they are then; the same command goes on from there.
    print_settings
        Print all settings as YAML and stop.
    """
    from framedose.study.config import study_config

    folders, changes = parse_settings(words, _OPTIONS)
    start = _start(start_from, network)
    base = {"network": start.metadata.network.model_dump()} if start else {}
    given = merged(merged(base, read_yaml(config) if config else {}), changes)
    chosen = getattr(study_config(preset, {network: given}), network)
    if print_settings:
        print(yaml.safe_dump(chosen.model_dump(mode="json"), sort_keys=False), end="")
        return
    if not folders:
        raise ConfigurationError("framedose train needs the folder of a dataset; framedose simulate makes one.")
    check_seed(seed)
    if max_minutes is not None and max_minutes <= 0:
        raise ConfigurationError(f"--max-minutes must be positive, got {max_minutes}.")
    _train([Path(folder) for folder in folders], network, out, chosen, seed, start, max_minutes)


def _start(name: str | None, network: str) -> LoadedNetwork | None:
    if name is None:
        return None
    from framedose.networks.weights import load_network

    start = load_network(name)
    if start.metadata.network.kind != network:
        raise WeightsError(f"--start-from {name} is a {start.metadata.network.kind}, not a {network}: set --network.")
    return start


def _train(
    folders: list[Path],
    network: str,
    out: Path,
    chosen: UNetTraining | MSDNetTraining,
    seed: int,
    start: LoadedNetwork | None,
    max_minutes: float | None,
) -> None:
    from framedose.atomic import locked, sweep, write_aside
    from framedose.study.training import TrainingData, train_network

    data = TrainingData.of(*folders)
    if out.exists() and not (out.is_dir() and (_is_trainings(out) or _is_empty(out))):
        raise OutputExistsError(
            f"The output folder {str(out)!r} exists and is not a training's. Choose another folder with --out."
        )
    first = int(os.environ.get("RANK", 0)) == 0
    out.mkdir(parents=True, exist_ok=True)
    with locked(out) if first else nullcontext():
        settings, checkpoint = out / f"{network}.training.yaml", out / f"{network}.checkpoint.safetensors"
        before = settings.read_bytes() if settings.exists() and checkpoint.exists() else None
        if first:
            sweep(out)
            with write_aside(settings) as aside:
                aside.write_text(yaml.safe_dump(chosen.model_dump(mode="json"), sort_keys=False), encoding="utf-8")
        try:
            trained = train_network(
                data,
                out,
                network,
                chosen.network,
                chosen.training,
                seed=seed,
                start_from=start,
                max_minutes=max_minutes,
            )
        except FramedoseError:
            # Settings that were refused are not those of the checkpoint that is there, or of none.
            if first and before is not None:
                with write_aside(settings) as aside:
                    aside.write_bytes(before)
            elif first and not checkpoint.exists():
                settings.unlink()
            raise
    if first:
        scores = trained.curves["validation_f1"]
        print(f"Weights: {out / network}.safetensors after {trained.steps} steps", end="")
        print(f", F1 on validation {scores[-1]:.3f}" if scores else "", end="")
        print("." if trained.finished else "; the same command goes on from there.")


def _is_trainings(folder: Path) -> bool:
    """Return whether a folder has a training's settings, or a checkpoint that was brought from elsewhere."""
    return any(any(folder.glob(f"*.{kind}")) for kind in ("training.yaml", "checkpoint.safetensors"))


def _is_empty(folder: Path) -> bool:
    """Return whether a folder holds nothing but what is hidden, such as a lock."""
    return all(path.name.startswith(".") for path in folder.iterdir())
