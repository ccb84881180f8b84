"""The whole study: specimens, exit waves, images, two trained networks, dose limits, report. Resumable at any point."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from framedose.atomic import locked, sweep, write_json
from framedose.config import read_json
from framedose.dataset.generate import make_images, make_specimens, make_waves
from framedose.dataset.recipe import training_parts
from framedose.errors import ConfigurationError
from framedose.evaluation.summary import NetworkResult, summarise
from framedose.networks.weights import LoadedNetwork, load_network
from framedose.provenance import versions
from framedose.study.claim import claim
from framedose.study.config import StudyConfig
from framedose.study.evaluate import measured_once
from framedose.study.pictures import draw_curves, draw_frames, draw_learning
from framedose.study.predictors import predictor_of
from framedose.study.report import write_report, write_tables
from framedose.study.series import StoredSeries, evaluation_series
from framedose.study.training import TrainingData, train_network
from framedose.workers import workers

NETWORKS = ("unet", "msdnet")


def run_study(config: StudyConfig, out: str | os.PathLike[str], *, processes: int | None = None) -> dict[str, Any]:
    """Run a study, or go on with it, and return its results.

    What is finished is kept: specimens and exit waves and images one by one, training from its last checkpoint, and
    every stage as a whole. The numbers are those of an uninterrupted run.

    Parameters
    ----------
    config
        All that determines the numbers.
    out
        Folder of the study: empty, new, or holding this very study.
    processes
        Processes of the simulation, by default one for each core. They do not change the numbers.

    Returns
    -------
    dict
        What ``results.json`` holds.

    Raises
    ------
    OutputExistsError
        If the folder holds something else, or another process works in it.
    ConfigurationError
        If ``processes`` is not positive.
    """
    if processes is not None and processes < 1:
        raise ConfigurationError(f"processes must be at least 1, got {processes}.")
    folder = Path(out)
    claim(
        folder / "study.json",
        {"digest": config.digest(), "config": config.model_dump(mode="json")},
        whose="a study's",
        clash="a study with other settings or another seed. Choose another folder with --out, or give the settings "
        "that it was begun with.",
    )
    with locked(folder):
        sweep(folder)
        clock = _Clock(folder / "timings.json")
        _simulate(config, folder, processes or os.cpu_count() or 1, clock)
        networks = {name: _trained(config, folder, name, clock) for name in NETWORKS}
        series = StoredSeries(folder / "images.zarr", config.evaluation.series)
        results = {name: _evaluated(config, folder, name, networks[name], series, clock) for name in NETWORKS}
        return _report(config, folder, networks, results, series, clock)


class _Clock:
    """Seconds of each stage, kept over restarts; a stage that was interrupted counts from its last start."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.seconds: dict[str, float] = read_json(path) if path.exists() else {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 1)
        write_json(self._path, self.seconds)


def _simulate(config: StudyConfig, folder: Path, processes: int, clock: _Clock) -> None:
    """Stages 1 to 3; no worker process is started when the images are complete."""
    recipe, seed = config.dataset, config.seed
    parts = [*training_parts(recipe), evaluation_series(recipe, config.evaluation)]
    if "images" in clock.seconds:
        return
    with ExitStack() as stack:
        with clock.stage("start of the workers"):
            run = stack.enter_context(workers(processes))
        with clock.stage("specimens"):
            specimens = make_specimens(folder / "specimens.json", parts, seed, run)
        with clock.stage("exit waves"):
            for recipe, split in parts:
                make_waves(folder / "exit_waves.zarr", recipe, seed, split, specimens[split.name], run)
        with clock.stage("images"):
            for recipe, split in parts:
                waves, images = folder / "exit_waves.zarr", folder / "images.zarr"
                make_images(images, waves, recipe, seed, split, specimens[split.name], run)


def _trained(config: StudyConfig, folder: Path, name: str, clock: _Clock) -> LoadedNetwork:
    """Stage 4, for one network."""
    path = folder / f"{name}.safetensors"
    if not path.with_suffix(".json").exists():
        part, data = getattr(config, name), TrainingData(folder, config.dataset, config.seed)
        with clock.stage(f"training {name}"):
            train_network(data, folder, name, part.network, part.training, seed=config.seed)
    return load_network(path)


def _evaluated(
    config: StudyConfig, folder: Path, name: str, network: LoadedNetwork, series: StoredSeries, clock: _Clock
) -> NetworkResult:
    """Stage 5, for one network; what was measured is kept, the statistics on it are made anew."""
    predictor = predictor_of(network)
    made_from = {"series": series.made_from, "network": predictor.sha256}
    stage = partial(clock.stage, f"evaluation {name}")
    measured = measured_once(
        folder, name, predictor.predict, series, made_from, config.evaluation.threshold, stage=stage
    )
    return summarise(measured, config.evaluation, seed=config.seed)


def _report(
    config: StudyConfig,
    folder: Path,
    networks: Mapping[str, LoadedNetwork],
    results: Mapping[str, NetworkResult],
    series: StoredSeries,
    clock: _Clock,
) -> dict[str, Any]:
    """Stage 6, made anew each time."""
    with clock.stage("figures"):
        curves = {name: network.metadata.provenance["curves"] for name, network in networks.items()}
        predictors = {name: predictor_of(network).predict for name, network in networks.items()}
        figures = [
            *draw_curves(folder, results),
            *draw_frames(folder, predictors, series, config.evaluation.threshold),
            *draw_learning(folder, curves),
        ]
        write_tables(folder, results)
    hashes = {f"{name} weights": network.metadata.weights_sha256 for name, network in networks.items()}
    provenance = {
        "seed": config.seed,
        "hashes (SHA-256)": {"study": config.digest(), "test images": series.made_from, **hashes},
        "versions": versions(),
    }
    content: dict[str, Any] = {
        "wall_seconds": round(sum(clock.seconds.values()), 1),
        "stage_seconds": clock.seconds,
        "networks": {name: result.model_dump() for name, result in results.items()},
        "provenance": provenance,
        "config": config.model_dump(mode="json"),
    }
    write_report(
        folder,
        networks=results,
        comparisons={},
        figures=figures,
        settings=content["config"],
        provenance=provenance,
        seconds=clock.seconds,
        pixels_summed=config.dataset.binning,
    )
    write_json(folder / "results.json", content)
    return content
