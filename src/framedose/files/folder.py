"""A folder as one series: a file for each frame, as in-situ cameras write them."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from framedose.errors import FileFormatError
from framedose.files.alike import check_alike
from framedose.files.formats import readable
from framedose.files.frames import Frames
from framedose.micrograph import Micrograph

# OneView in-situ: Hour_00/Minute_00/Second_00/name_Hour_00_Minute_00_Second_00_Frame_0000.dm4
_TIME_FOLDER = re.compile(r"(hour|minute|second)_\d+", re.IGNORECASE)


def open_folder(folder: Path, open_file: Callable[[Path], Frames]) -> Frames:
    """Return the frames of a folder in the order of their numbers, all of one shape and pixel size.

    Parameters
    ----------
    folder
        The folder; files of other kinds in it are left alone.
    open_file
        Opens one file.

    Raises
    ------
    FileFormatError
        If there is no file to read.
    """
    files = sorted(_frame_files(folder), key=lambda path: _natural(path.relative_to(folder)))
    if not files:
        raise FileFormatError(f"{folder}: holds no file that framedose reads, name the files or another folder.")
    names = {path.with_suffix(""): path for path in files}
    twice = next((path for path in files if names[path.with_suffix("")] != path), None)
    if twice is not None:
        raise FileFormatError(
            f"{folder}: holds {twice.name!r} and {names[twice.with_suffix('')].name!r}, one frame in two formats? Name "
            "the files instead, or move one kind away."
        )
    first: list[Micrograph] = []
    remedy = f"the frames of the folder {folder} must be alike. Name the files instead"

    def load(index: int) -> Micrograph:
        if not first:
            first.append(_only_frame(open_file(files[0])))
        frame = _only_frame(open_file(files[index])) if index else first[0]
        check_alike(frame, first[0], (frame.origin, first[0].origin), remedy)
        return replace(frame, frame=index)

    return Frames(folder, files, range(len(files)), load)


def _frame_files(folder: Path) -> list[Path]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _frame_files(entry) if _TIME_FOLDER.fullmatch(entry.name) else []
        # The .emi only points to the .ser beside it.
        elif readable(entry) and not entry.name.startswith(".") and entry.suffix.lower() != ".emi":
            found.append(entry)
    return found


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort 2 before 10."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.as_posix().casefold())
    ]


def _only_frame(frames: Frames) -> Micrograph:
    if len(frames) != 1:
        raise FileFormatError(
            f"{frames.origin}: holds {len(frames)} frames, but a folder is read as one frame a file. "
            "Name the stacks themselves."
        )
    return frames[0]
