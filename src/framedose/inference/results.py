"""What a job has seen, as the files that it leaves: maps, pictures, tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from framedose.inference.export import Images, Movie, write_maps, write_movie
from framedose.inference.kept import KeptFrame, SeenFrame, probabilities
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
    """Index within the file, from 0; where frames are summed, that of the sum."""
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
    """Index within the file, from 0; where frames are summed, that of the sum."""
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
    folder: Path,
    inputs: Sequence[Sequence[KeptFrame]],
    files: Sequence[str],
    outputs: Outputs,
    *,
    threshold: float,
) -> list[SegmentedFrame]:
    """Write maps, movies and tables of frames that are all done, and return the lines of ``segmentation.csv``.

    Parameters
    ----------
    folder
        Where.
    inputs
        The frames of each input. Where some are left out, it is no series: there are neither tracks nor sums over them.
    files
        Name of each input.
    outputs
        What is written.
    threshold
        Least probability in the mask.
    """
    rows: list[SegmentedFrame] = []
    particles: list[ParticleRow] = []
    tracks: list[Track] | None = None
    for each, file in zip(inputs, files, strict=True):
        frames = [frame.seen() for frame in each]
        found = [frame.particles for frame in frames]
        lines = _rows(file, each, frames)
        _write_maps(folder, each, frames[0].sampling, outputs, threshold)
        labels: Sequence[Sequence[int | None]] = [[None] * len(frame) for frame in found]
        if 1 < each[0].total == len(each):
            labels = linked = link(found, outputs.reach)
            tracks = [*(tracks or []), *summarise_tracks(file, found, linked)]
            draw_tracks(folder / f"{each[0].name}_tracks.png", found, linked, *_abscissa(lines))
        particles += [
            ParticleRow(**asdict(particle), file=file, frame=line.frame, particle=place, track=track)
            for line, frame, numbers in zip(lines, found, labels, strict=True)
            for place, (particle, track) in enumerate(zip(frame, numbers, strict=True))
        ]
        rows += lines
    write_table(folder / "segmentation", SegmentedFrame, rows, outputs.tables)
    write_table(folder / "particles", ParticleRow, particles, outputs.tables)
    if tracks is not None:
        write_table(folder / "tracks", Track, tracks, outputs.tables)
    return rows


def _write_maps(folder: Path, frames: Sequence[KeptFrame], sampling: float, outputs: Outputs, threshold: float) -> None:
    name, shape = frames[0].name, frames[0].probability().shape
    write_maps(
        folder,
        name,
        outputs.images,
        partial(probabilities, frames),
        shape=(len(frames), *shape),
        sampling=sampling,
        threshold=threshold,
    )
    if outputs.movie is not None and len(frames) > 1:
        write_movie(folder / f"{name}_overlay.{outputs.movie}", [frame.overlay for frame in frames])


def _rows(file: str, kept: Sequence[KeptFrame], frames: Sequence[SeenFrame]) -> list[SegmentedFrame]:
    rows, time, dose = [], 0.0, 0.0
    whole = kept[0].total == len(kept)
    timed = whole and all(frame.exposure is not None for frame in frames)
    dosed = whole and all(frame.dose_per_area is not None for frame in frames)
    for place, frame in zip(kept, frames, strict=True):
        dose += frame.dose_per_area or 0.0
        rows.append(
            SegmentedFrame(
                file,
                place.index,
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
