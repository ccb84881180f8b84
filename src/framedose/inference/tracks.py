"""Particles through time: which of one frame is which of the next, and what each of them did."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from framedose.inference.particles import Particle

# A particle that is not seen in this many frames in a row is given up; what comes after is another one.
_MEMORY = 5
# Where many particles are near, the range is lowered step by step until the choice is clear.
_ADAPTIVE = {"adaptive_stop": 0.05, "adaptive_step": 0.9}


@dataclass(frozen=True)
class Track:
    """One line of ``tracks.csv``: a particle through the frames of an input."""

    file: str
    """Name of the input file."""
    track: int
    """Number within the file, from 0, in the order of appearance."""
    first_frame: int
    """Where it is seen first."""
    last_frame: int
    """Where it is seen last."""
    frames: int
    """In how many frames it is seen."""
    mean_area_nm2: float
    """Mean of its area [nm2]."""
    area_deviation_nm2: float
    """Standard deviation of its area [nm2], of which the network's own scatter is a part."""
    displacement_nm: float
    """Distance from its first to its last centroid [nm], drift of the specimen included."""
    path_nm: float
    """Sum of the distances from frame to frame [nm], scatter of the outline included."""


def link(frames: Sequence[Sequence[Particle]], reach: float) -> list[list[int]]:
    """Return the number of the track of each particle of each frame (trackpy's linking of Crocker and Grier).

    Parameters
    ----------
    frames
        The particles of each frame, in order.
    reach
        How far a centroid may move from one frame to the next [nm].
    """
    import trackpy  # Slow to import.

    trackpy.quiet()
    places = [_places(particles) for particles in frames]
    # Numbers without a gap, in the order of appearance.
    numbers: dict[int, int] = {}
    linked = trackpy.link_iter(places, reach, memory=_MEMORY, **_ADAPTIVE)
    return [[numbers.setdefault(int(label), len(numbers)) for label in labels] for _, labels in linked]


def summarise_tracks(file: str, frames: Sequence[Sequence[Particle]], labels: Sequence[Sequence[int]]) -> list[Track]:
    """Return a line for each track of a file."""
    members: dict[int, list[tuple[int, Particle]]] = {}
    for frame, (particles, tracks) in enumerate(zip(frames, labels, strict=True)):
        for particle, track in zip(particles, tracks, strict=True):
            members.setdefault(track, []).append((frame, particle))
    return [_track(file, track, members[track]) for track in sorted(members)]


def _track(file: str, track: int, members: Sequence[tuple[int, Particle]]) -> Track:
    places = _places([particle for _, particle in members])
    areas = np.array([particle.area_nm2 for _, particle in members])
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    return Track(
        file,
        track,
        members[0][0],
        members[-1][0],
        len(members),
        float(areas.mean()),
        float(areas.std()),
        float(np.linalg.norm(places[-1] - places[0])),
        float(steps.sum()),
    )


def _places(particles: Sequence[Particle]) -> npt.NDArray[np.float64]:
    return np.array([(one.centroid_y_nm, one.centroid_x_nm) for one in particles], dtype=np.float64).reshape(-1, 2)
