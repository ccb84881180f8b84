"""What was seen in one frame, kept beside the results until all frames are done: nothing of it need be done again."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from framedose.atomic import write_aside, write_json
from framedose.config import read_json
from framedose.inference.overlay import write_overlay
from framedose.inference.particles import Particle
from framedose.inference.segment import Segmentation
from framedose.micrograph import Micrograph

FRAMES = "frames"
"""Folder of what is kept of each frame until the job ends."""


@dataclass(frozen=True)
class SeenFrame:
    """What was seen in a frame, but for its probability."""

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


@dataclass(frozen=True)
class KeptFrame:
    """Where one frame is kept, and its overlay is."""

    folder: str
    """Of the results."""
    name: str
    """What the results of its input are called (:func:`result_name`)."""
    index: int
    """Within the input, from 0."""
    total: int
    """Frames of the input."""

    def keep(self, micrograph: Micrograph, result: Segmentation) -> None:
        """Draw the overlay into the results, and keep the probability and what was seen."""
        write_overlay(self.overlay, micrograph.image, result.mask, micrograph.sampling)
        path = self._path
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_aside(path.with_suffix(".npy")) as aside:
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
        write_json(path, asdict(seen))

    @property
    def done(self) -> bool:
        """Whether the frame needs nothing more."""
        return self._path.exists()

    @property
    def overlay(self) -> Path:
        """Path of the frame's picture."""
        number = f"_frame{self.index:0{len(str(self.total - 1))}d}" if self.total > 1 else ""
        return Path(self.folder) / f"{self.name}_overlay{number}.png"

    def seen(self) -> SeenFrame:
        """Return what was seen in a frame that is done."""
        content: dict[str, Any] = read_json(self._path)
        particles = tuple(Particle(**particle) for particle in content.pop("particles"))
        return SeenFrame(**content | {"warnings": tuple(content["warnings"])}, particles=particles)

    def probability(self) -> npt.NDArray[np.float32]:
        """Return the probability map of a frame that is done."""
        probability: npt.NDArray[np.float32] = np.load(self._path.with_suffix(".npy"), allow_pickle=False)
        return probability

    @property
    def _path(self) -> Path:
        return Path(self.folder) / FRAMES / self.name / f"{self.index:06d}.json"


def probabilities(frames: Sequence[KeptFrame]) -> Iterator[npt.NDArray[np.float32]]:
    """Yield the probability maps of frames that are done, one at a time."""
    return (frame.probability() for frame in frames)


def input_name(origin: Path) -> str:
    """Return the name of a file or folder, that of ``.`` and ``..`` too; a link has its own."""
    return Path(os.path.abspath(origin)).name


def result_name(origin: Path) -> str:
    """Return what the results of a file or folder are called."""
    return input_name(origin) if origin.is_dir() else origin.stem
