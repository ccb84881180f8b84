"""One frame of a job: segmented on any worker, and kept so that nothing of it need be done again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from framedose.atomic import write_aside, write_json
from framedose.camera.passport import CameraPassport
from framedose.files import Frames, read
from framedose.inference.overlay import write_overlay
from framedose.inference.particles import Particle
from framedose.inference.predict import check
from framedose.inference.segment import segment

if TYPE_CHECKING:
    from framedose.networks.weights import LoadedNetwork

FRAMES = "frames"
"""Folder of what is kept of each frame until the job ends."""


@dataclass(frozen=True)
class Job:
    """What is the same for all frames."""

    network: str
    """Shipped name, or absolute path."""
    weights_sha256: str
    """Which weights these are: a worker keeps those of a path until others come."""
    threshold: float
    sampling: float | None
    """Of all files [Å/px]."""
    allow_unequal: bool
    dose: float | None
    """Of every frame [e/Å2]."""
    camera: CameraPassport | None
    """Tells the dose from the counts."""
    folder: str
    """Where the results are made."""


@dataclass(frozen=True)
class FrameTask:
    """A frame of a job."""

    job: Job
    path: str
    """Absolute path of its file or folder."""
    sha256: str
    """Of that input."""
    name: str
    """What its results are called."""
    index: int
    """Within the input, from 0."""
    total: int
    """Frames of the input."""


@dataclass(frozen=True)
class SeenFrame:
    """What was seen in a frame, as it is kept until the job ends."""

    sampling: float
    """Side of a pixel [Å/px]."""
    exposure: float | None
    """Exposure [s]."""
    area_nm2: float
    area_low_nm2: float | None
    area_high_nm2: float | None
    fraction: float
    dose_per_area: float | None
    """Dose of the frame [e/Å2]."""
    warnings: tuple[str, ...]
    particles: tuple[Particle, ...]


def check_frame(task: FrameTask) -> None:
    """Refuse a frame that the network cannot see (:func:`framedose.inference.predict.check`)."""
    check(_opened(task)[task.index], _network(task.job))


def segment_frame(task: FrameTask) -> None:
    """Segment a frame, draw its overlay into the results, and keep its probability and what was seen."""
    micrograph = _opened(task)[task.index]
    job = task.job
    if job.dose is not None:
        micrograph = replace(micrograph, dose_per_area=job.dose)
    elif job.camera is not None:
        micrograph = replace(micrograph, dose_per_area=job.camera.dose_of(micrograph))
    result = segment(micrograph, _network(job), threshold=job.threshold)
    write_overlay(overlay_path(task), micrograph.image, result.mask, micrograph.sampling)
    kept = _kept(task)
    kept.parent.mkdir(parents=True, exist_ok=True)
    with write_aside(kept.with_suffix(".npy")) as aside:
        np.save(aside, result.probability)
    low, high = result.area_interval_nm2 or (None, None)
    seen = SeenFrame(
        micrograph.sampling,
        micrograph.exposure,
        result.area_nm2,
        low,
        high,
        result.fraction,
        micrograph.dose_per_area,
        result.warnings,
        result.particles,
    )
    # Last: it says that the frame is done.
    write_json(kept, asdict(seen))


def is_done(task: FrameTask) -> bool:
    """Return whether the frame needs nothing more."""
    return _kept(task).exists()


def seen(task: FrameTask) -> SeenFrame:
    """Return what was seen in a frame that is done."""
    content: dict[str, Any] = json.loads(_kept(task).read_text(encoding="utf-8"))
    particles = tuple(Particle(**particle) for particle in content.pop("particles"))
    return SeenFrame(**content | {"warnings": tuple(content["warnings"])}, particles=particles)


def probabilities(tasks: Sequence[FrameTask]) -> Iterator[npt.NDArray[np.float32]]:
    """Yield the probability maps of frames that are done, one at a time."""
    for task in tasks:
        yield np.load(_kept(task).with_suffix(".npy"), allow_pickle=False)


def overlay_path(task: FrameTask) -> Path:
    """Return the path of a frame's picture."""
    number = f"_frame{task.index:0{len(str(task.total - 1))}d}" if task.total > 1 else ""
    return Path(task.job.folder) / f"{task.name}_overlay{number}.png"


def _kept(task: FrameTask) -> Path:
    return Path(task.job.folder) / FRAMES / task.name / f"{task.index:06d}.json"


def _opened(task: FrameTask) -> Frames:
    return _open(task.path, task.sha256, task.job.sampling, task.job.allow_unequal)


# The hashes are there to tell a changed file from the one that was opened before.
@lru_cache(maxsize=4)
def _open(path: str, sha256: str, sampling: float | None, allow_unequal: bool) -> Frames:
    return read(path, sampling=sampling, allow_unequal=allow_unequal)


def _network(job: Job) -> LoadedNetwork:
    return _load(job.network, job.weights_sha256)


@lru_cache(maxsize=1)
def _load(network: str, sha256: str) -> LoadedNetwork:
    from framedose.networks.weights import load_network  # Loads torch, for which a wrong file name need not wait.

    return load_network(network)
