"""``framedose segment``: particles in real micrographs."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from framedose.inference.results import SegmentedFrame

# A long series is for the CSV file, not for the screen.
_MOST_LINES = 20


def segment(
    *files: Path,
    sampling: float | None = None,
    network: str = "best",
    threshold: float = 0.9,
    rim: float = 1.44,
    dose: float | None = None,
    camera: str | None = None,
    allow_unequal: bool = False,
    sum_frames: int = 1,
    images: Literal["tiff", "zarr"] = "tiff",
    tables: Literal["csv", "parquet"] = "csv",
    movie: Literal["gif", "mp4"] | None = None,
    reach: float = 2.0,
    workers: int | None = None,
    scheduler: str | None = None,
    out: Path = Path("framedose-segment"),
) -> None:
    """Segment the particles in micrographs.

    Reads DM3, DM4, EMD, HyperSpy HDF5, MRC, SER, EMI, TIFF, TVIPS, PNG and
    npy; single frames, stacks, and folders with one frame a file.

    For every file NAME the results hold NAME_probability.tif and NAME_mask.tif,
    of its own shape and pixel size, NAME_overlay.png to look at (of a series
    NAME_overlay_frame0.png and so on), and for all
    segmentation.csv with the area of the particles in every frame, and the
    interval that holds it in nine of ten frames like those of the training, and
    particles.csv with area, diameter, position and perimeter of each particle.
    In a series each particle is followed from frame to frame: its number is in
    particles.csv, what it did in tracks.csv and in NAME_tracks.png.

    A run that was stopped goes on where it was when the same command is given
    again.

    Examples:

      framedose segment frame.dm4

      framedose segment *.png --sampling 0.77 --network unet --out unet-results

      framedose segment Hour_00 --dose 150 --movie mp4

      framedose segment Hour_00 --dose 4 --sum-frames 10

      framedose segment series/*.dm4 --workers 8 --images zarr --tables parquet

    Parameters
    ----------
    files
        The micrographs. They are never written to.
    sampling
        Pixel size in Å per pixel, of all files. Needed where a file has none, such as PNG and npy.
    network
        best, unet or msdnet, as shipped, or the path of a .safetensors file of your own.
    threshold
        Least probability, between 0 and 1, for a pixel to belong to a particle.
    rim
        How far the outline lies outside of the centres of the particle's outer atoms, in Å: the radius of an atom
        unless told otherwise; 0 takes that of the training's labels, through the centres, to compare with these.
    dose
        Dose of every frame in e/Å2, if the files do not know it: you are warned where the network has not seen such.
    camera
        Passport of the camera, from "framedose calibrate", that tells the dose from the counts.
    allow_unequal
        Resample pixels that are not square to the finer of their sides.
    sum_frames
        Frames of each series that are summed to one before the network sees them, where one alone has too few
        electrons; nothing is aligned. The last sum has what is left over, too.
    images
        Format of probability and mask: tiff, or zarr (OME-Zarr 0.5, a chunk for each frame).
    tables
        Format of the tables; parquet needs the extra framedose[parquet].
    movie
        Make a movie of the overlays of every series, 10 frames a second; mp4 needs the extra framedose[movie].
    reach
        How far a particle may move from one frame of a series to the next, in nm, drift included.
    workers
        Processes that share the frames; by default this one alone, with all cores for each frame.
    scheduler
        Address of a Dask scheduler that runs already, to use its workers in place of processes here.
    out
        Folder for the results. It must not exist, or be empty.
    """
    from framedose.inference.batch import segment_files
    from framedose.inference.results import Outputs
    from framedose.workers import chosen_workers

    rows = segment_files(
        files,
        network=network,
        sampling=sampling,
        threshold=threshold,
        rim=rim,
        dose=dose,
        camera=camera,
        allow_unequal=allow_unequal,
        sum_frames=sum_frames,
        out=out,
        outputs=Outputs(images, tables, movie, reach),
        start_workers=chosen_workers(workers, scheduler),
    )
    _print_table(rows)
    print(f"Probability, mask and overlay of every frame, and segmentation.{tables}, are in {out}")
    _print_warnings(rows)


def _print_table(rows: list[SegmentedFrame]) -> None:
    width = max(len("file"), *(len(row.file) for row in rows))
    doses = any(row.dose_per_area is not None for row in rows)
    known = any(row.area_low_nm2 is not None for row in rows)
    interval = f"  {'in 9 of 10':>15}" if known else ""
    print(f"{'file':<{width}}  frame  area [nm2]{interval}  fraction" + ("  dose [e/Å2]" if doses else ""))
    for row in rows[:_MOST_LINES]:
        dose = f"  {'' if row.dose_per_area is None else format(row.dose_per_area, '.4g'):>11}" if doses else ""
        mark = "  !" if row.warning else ""
        interval = f"  {_interval(row):>15}" if known else ""
        print(f"{row.file:<{width}}  {row.frame:>5}  {row.area_nm2:>10.2f}{interval}  {row.fraction:>8.2%}{dose}{mark}")
    if len(rows) > _MOST_LINES:
        print(f"... and {len(rows) - _MOST_LINES} more in the table segmentation")


def _interval(row: SegmentedFrame) -> str:
    if row.area_low_nm2 is None or row.area_high_nm2 is None:
        return ""
    return f"{row.area_low_nm2:.2f}-{row.area_high_nm2:.2f}"


def _print_warnings(rows: list[SegmentedFrame]) -> None:
    """Say each warning once, with the first frame that it is about and the number of the others."""
    groups: dict[str, list[SegmentedFrame]] = {}
    for row in rows:
        if row.warning:
            # Warnings that differ by a number only are one.
            groups.setdefault(re.sub(r"\d[\d.e+-]*", "#", row.warning), []).append(row)
    for first, *others in groups.values():
        where = f"{first.file}, frame {first.frame}" + (f", and {len(others)} more" if others else "")
        print(f"framedose: warning: {where}: {first.warning}", file=sys.stderr)
