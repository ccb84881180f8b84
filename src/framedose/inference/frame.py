"""One frame of a job, on any worker: checked, or segmented and kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from framedose.camera.passport import CameraPassport
from framedose.files import Frames, read, summed
from framedose.inference.kept import KeptFrame
from framedose.inference.predict import check
from framedose.inference.segment import segment
from framedose.micrograph import Micrograph

if TYPE_CHECKING:
    from framedose.networks.weights import LoadedNetwork


@dataclass(frozen=True)
class Job:
    """What is the same for all frames."""

    network: str
    """Shipped name, or absolute path."""
    identity: str
    """Which network that is: a worker keeps the one of a path until another comes."""
    threshold: float
    rim: float
    """Of each particle, outside of its outer atoms' centres [Å]."""
    sampling: float | None
    """Of all files [Å/px]."""
    allow_unequal: bool
    dose: float | None
    """Of every frame [e/Å2]."""
    camera: CameraPassport | None
    """Tells the dose from the counts."""


@dataclass(frozen=True)
class FrameTask:
    """A frame of a job, or several that are summed."""

    job: Job
    path: str
    """Absolute path of its file or folder."""
    sha256: str
    """Of that input."""
    frames: range
    """Which frames of it."""
    kept: KeptFrame
    """Where what is seen in it is kept."""


def check_frame(task: FrameTask) -> None:
    """Refuse a frame that the network cannot see (:func:`framedose.inference.predict.check`)."""
    check(_micrograph(task), _network(task.job))


def segment_frame(task: FrameTask) -> None:
    """Segment a frame and keep what was seen."""
    job, micrograph = task.job, _micrograph(task)
    seen = segment(micrograph, _network(job), threshold=job.threshold, rim=job.rim)
    seen = replace(seen, warnings=(*seen.warnings, *dose_warnings(micrograph.dose_per_area, job.camera)))
    task.kept.keep(micrograph, seen)


def dosed(micrograph: Micrograph, dose: float | None, camera: CameraPassport | None) -> Micrograph:
    """Return a micrograph with its dose [e/Å2]: the one given, else its own, else what the camera tells from counts."""
    if dose is None and camera is not None:
        dose = camera.dose_of(micrograph)
    return micrograph if dose is None else replace(micrograph, dose_per_area=dose)


def dose_warnings(dose: float | None, camera: CameraPassport | None) -> tuple[str, ...]:
    """Return what to say where a passport was given and the dose of the frame is not known all the same."""
    if dose is not None or camera is None:
        return ()
    why = "it has no gain of its own, or the frame is not in counts, or holds no electrons"
    return (f"no dose: the passport of {camera.camera!r} tells none: {why}",)


def _micrograph(task: FrameTask) -> Micrograph:
    job = task.job
    frames = _open(task.path, task.sha256, job.sampling, job.allow_unequal)
    return summed(dosed(frames[index], job.dose, job.camera) for index in task.frames)


# The hashes are there to tell a changed file from the one that was opened before.
@lru_cache(maxsize=4)
def _open(path: str, sha256: str, sampling: float | None, allow_unequal: bool) -> Frames:
    return read(path, sampling=sampling, allow_unequal=allow_unequal)


def _network(job: Job) -> LoadedNetwork:
    return _load(job.network, job.identity)


@lru_cache(maxsize=1)
def _load(network: str, identity: str) -> LoadedNetwork:
    from framedose.networks.weights import load_network  # Loads torch, for which a wrong file name need not wait.

    return load_network(network)
