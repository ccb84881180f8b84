"""``framedose segment``: particles in real micrographs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from framedose.inference.batch import SegmentedFrame

# A long series is for the CSV file, not for the screen.
_MOST_LINES = 20


def segment(
    *files: Path,
    sampling: float | None = None,
    network: str = "msdnet",
    threshold: float = 0.9,
    out: Path = Path("framedose-segment"),
) -> None:
    """Segment the particles in micrographs (PNG, TIFF; single frames or stacks).

    For every file NAME the results hold NAME_probability.tif and NAME_mask.tif,
    of its own shape and pixel size, NAME_overlay.png to look at, and for all
    segmentation.csv with the area of the particles in every frame.

    Examples:

      framedose segment frame.tif

      framedose segment *.png --sampling 0.77 --network unet --out unet-results

    Parameters
    ----------
    files
        The micrographs. They are never written to.
    sampling
        Pixel size in Å per pixel, of all files. A PNG needs it; a TIFF that knows its pixel size does not.
    network
        unet or msdnet, as shipped, or the path of a .safetensors file of your own.
    threshold
        Least probability, between 0 and 1, for a pixel to belong to a particle.
    out
        Folder for the results. It must not exist, or be empty.
    """
    from framedose.inference.batch import segment_files

    rows = segment_files(files, network=network, sampling=sampling, threshold=threshold, out=out)
    _print_table(rows)
    print(f"Probability, mask and overlay of every frame, and segmentation.csv, are in {out}")
    _print_warnings(rows)


def _print_table(rows: list[SegmentedFrame]) -> None:
    width = max(len("file"), *(len(row.file) for row in rows))
    print(f"{'file':<{width}}  frame  area [nm2]  fraction")
    for row in rows[:_MOST_LINES]:
        mark = "  !" if row.warning else ""
        print(f"{row.file:<{width}}  {row.frame:>5}  {row.area_nm2:>10.2f}  {row.fraction:>8.2%}{mark}")
    if len(rows) > _MOST_LINES:
        print(f"... and {len(rows) - _MOST_LINES} more in segmentation.csv")


def _print_warnings(rows: list[SegmentedFrame]) -> None:
    """Say each warning once, with the first frame that it is about and the number of the others."""
    for warning in dict.fromkeys(row.warning for row in rows if row.warning):
        first, *others = (row for row in rows if row.warning == warning)
        where = f"{first.file}, frame {first.frame}" + (f", and {len(others)} more" if others else "")
        print(f"framedose: warning: {where}: {warning}", file=sys.stderr)
