"""What a job has seen, as the files that it leaves: maps, pictures, tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from framedose.inference.export import Images, Movie, write_maps, write_movie
from framedose.inference.frame import FrameTask, SeenFrame, overlay_path, probabilities, seen
from framedose.inference.particles import Particle
from framedose.inference.tables import Tables, write_table
from framedose.inference.tracks import Track, link, summarise_tracks
from framedose.inference.tracks_figure import draw_tracks


@dataclass(frozen=True)
class SegmentedFrame:
    """One line of ``segmentation.csv``."""

    file: str
    """Name of the input file."""
    frame: int
    """Index within the file, from 0."""
    area_nm2: float
    """Area of the mask [nm2]."""
    area_low_nm2: float | None
    """Lower end of the interval of the area [nm2], where the network has one."""
    area_high_nm2: float | None
    """Its upper end [nm2]."""
    fraction: float
    """Share of the frame that the mask covers."""
    dose_per_area: float | None
    """Dose of the frame [e/Å2], where it is known."""
    total_dose_per_area: float | None
    """Dose of this frame and all before it in the file [e/Å2], where it is known."""
    time_s: float | None
    """When the frame begins: the exposures before it in the file [s], where they are known."""
    warning: str
    """Why the result may not be trusted, or nothing."""


@dataclass(frozen=True)
class _Place:
    file: str
    """Name of the input file."""
    frame: int
    """Index within the file, from 0."""
    particle: int
    """Number within the frame, from 0, from the top down."""
    track: int | None
    """Number of the particle through the frames of a series (:class:`Track`); none for a single frame."""


@dataclass(frozen=True)
class ParticleRow(Particle, _Place):
    """One line of ``particles.csv``: where a particle was seen, then what it is like."""


@dataclass(frozen=True)
class Outputs:
    """What is written, beside the pictures."""

    images: Images = "tiff"
    """Format of probability and mask."""
    tables: Tables = "csv"
    """Format of the tables."""
    movie: Movie | None = None
    """Format of a movie of each series' overlays, if one is wanted."""
    reach: float = 2.0
    """How far a particle may move from one frame of a series to the next [nm]."""


def write_results(
    folder: Path, tasks: Sequence[Sequence[FrameTask]], files: Sequence[str], outputs: Outputs
) -> list[SegmentedFrame]:
    """Write maps, movies and tables of frames that are all done, and return the lines of ``segmentation.csv``.

    Parameters
    ----------
    folder
        Where.
    tasks
        The frames of each input.
    files
        Name of each input.
    outputs
        What is written.
    """
    rows: list[SegmentedFrame] = []
    particles: list[ParticleRow] = []
    tracks: list[Track] = []
    for each, file in zip(tasks, files, strict=True):
        frames = [seen(task) for task in each]
        found = [frame.particles for frame in frames]
        lines = _rows(file, frames)
        _write_maps(folder, each, frames[0].sampling, outputs)
        labels: Sequence[Sequence[int | None]] = [[None] * len(frame) for frame in found]
        if len(each) > 1:
            labels = linked = link(found, outputs.reach)
            tracks += summarise_tracks(file, found, linked)
            draw_tracks(folder / f"{each[0].name}_tracks.png", found, linked, *_abscissa(lines))
        particles += [
            ParticleRow(**asdict(particle), file=file, frame=index, particle=place, track=track)
            for index, (frame, numbers) in enumerate(zip(found, labels, strict=True))
            for place, (particle, track) in enumerate(zip(frame, numbers, strict=True))
        ]
        rows += lines
    write_table(folder / "segmentation", SegmentedFrame, rows, outputs.tables)
    write_table(folder / "particles", ParticleRow, particles, outputs.tables)
    if any(len(each) > 1 for each in tasks):
        write_table(folder / "tracks", Track, tracks, outputs.tables)
    return rows


def _write_maps(folder: Path, tasks: Sequence[FrameTask], sampling: float, outputs: Outputs) -> None:
    first = tasks[0]
    shape = next(probabilities(tasks)).shape
    write_maps(
        folder,
        first.name,
        outputs.images,
        partial(probabilities, tasks),
        shape=(len(tasks), *shape),
        sampling=sampling,
        threshold=first.job.threshold,
    )
    if outputs.movie is not None and len(tasks) > 1:
        write_movie(folder / f"{first.name}_overlay.{outputs.movie}", [overlay_path(task) for task in tasks])


def _rows(file: str, frames: Sequence[SeenFrame]) -> list[SegmentedFrame]:
    rows, time, dose = [], 0.0, 0.0
    timed = all(frame.exposure is not None for frame in frames)
    dosed = all(frame.dose_per_area is not None for frame in frames)
    for index, frame in enumerate(frames):
        dose += frame.dose_per_area or 0.0
        rows.append(
            SegmentedFrame(
                file,
                index,
                frame.area_nm2,
                frame.area_low_nm2,
                frame.area_high_nm2,
                frame.fraction,
                frame.dose_per_area,
                dose if dosed else None,
                time if timed else None,
                "; ".join(frame.warnings),
            )
        )
        time += frame.exposure or 0.0
    return rows


def _abscissa(rows: Sequence[SegmentedFrame]) -> tuple[list[float], str]:
    """Return what a series is drawn against: its dose, else its time, else its frames."""
    known = rows[0]
    if known.total_dose_per_area is not None:
        return [row.total_dose_per_area or 0.0 for row in rows], "dose so far (e/Å²)"
    if known.time_s is not None:
        return [row.time_s or 0.0 for row in rows], "time (s)"
    return [row.frame for row in rows], "frame"
