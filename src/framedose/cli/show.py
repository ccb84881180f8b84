"""``framedose show``: a dataset to look at."""

from __future__ import annotations

import math
from pathlib import Path

from framedose.errors import ConfigurationError, FileFormatError


def show(
    dataset: Path, *, doses: str | None = None, split: str = "train", rows: int = 6, out: Path = Path("sheet.png")
) -> None:
    """Draw a contact sheet of a dataset: images at rising dose with the true masks outlined in cyan.

    Every image says its dose and defocus (positive is underfocus) and has a scale bar.

    Examples:

      framedose show my-dataset --doses 30,300,3000 --out sheet.png

      framedose show framedose-study --split test

    Parameters
    ----------
    dataset
        Folder that holds images.zarr, made by "framedose simulate" or "framedose study", or that Zarr folder.
    doses
        Doses of the columns in e/Å2, separated by commas; those nearest to them in the dataset are shown. Five over
        its range by default.
    split
        Part of the dataset: train, validation, or a series: test, replica, ramp.
    rows
        Number of rows, at most.
    out
        PNG file to write.
    """
    chosen = _numbers(doses)
    if rows < 1:
        raise ConfigurationError(f"--rows must be at least 1, got {rows}.")
    if out.suffix.lower() != ".png":
        raise ConfigurationError(f"--out must be the name of a PNG file, such as sheet.png, got {str(out)!r}.")
    path = dataset if (dataset / "zarr.json").exists() else dataset / "images.zarr"
    if not path.is_dir():
        raise FileFormatError(f"{str(dataset)!r} is no dataset: it holds no images.zarr.")
    from framedose.dataset.store import ImageSet
    from framedose.study.sheet import contact_sheet

    contact_sheet(ImageSet(path, split), out, doses=chosen, rows=rows)
    print(f"Contact sheet: {out}")


def _numbers(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if not values or not all(0 < value < math.inf for value in values):
        raise ConfigurationError(f"--doses must be positive numbers separated by commas, such as 30,300, got {text!r}.")
    return values
