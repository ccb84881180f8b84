"""Write aside, then rename: a reader never sees half a file, and a killed process leaves the old one."""

import errno
import json
import os
import re
import shutil
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from framedose.errors import OutputExistsError

# Names of what is written aside: that of the file or folder, eight digits, and the suffix.
_ASIDE = re.compile(r"\..+\.[0-9a-f]{8}(\.\w+)?")


@contextmanager
def write_aside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside ``path`` to write to, and move it onto ``path`` when the block ends well.

    The bytes are flushed to the disk before the rename. If the block raises, nothing is left behind. The temporary
    name keeps the suffix of ``path``, because many writers choose the format by it.
    """
    target = Path(path)
    aside = target.with_name(f".{target.stem}.{uuid.uuid4().hex[:8]}{target.suffix}")
    try:
        # Some writers make files that only their owner may read; a result has the user's ordinary permissions.
        aside.touch()
        mode = aside.stat().st_mode
        yield aside
        aside.chmod(mode)
        with aside.open("rb+") as file:
            os.fsync(file.fileno())
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """Write ``content`` as JSON, atomically. NaN and infinity are refused: they are not JSON."""
    text = json.dumps(content, indent=1, allow_nan=False)
    with write_aside(path) as aside:
        aside.write_text(text + "\n", encoding="utf-8")


@contextmanager
def folder_aside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary folder to fill, and rename it to ``path`` as a whole when the block ends well.

    Of several processes that do this at the same time, on one machine or on a shared file system, the first one's
    folder stays and the others' are dropped: read what is there afterwards.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    aside.mkdir()
    try:
        yield aside
        try:
            aside.rename(target)
        except OSError:
            # A folder that is not empty cannot be renamed over: somebody was first.
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def sweep(folder: str | os.PathLike[str]) -> None:
    """Remove what killed processes left half written anywhere in ``folder``, in which no other process may write."""
    for path in [path for path in Path(folder).rglob(".*") if _ASIDE.fullmatch(path.name)]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def locked(folder: str | os.PathLike[str], name: str = ".lock") -> Iterator[None]:
    """Hold ``folder`` for one process; a second one with the same ``name`` gets an error instead of a mixed result.

    The lock is the operating system's and ends with the process, however that ends.
    """
    path = Path(folder) / name
    with path.open("w") as file:
        try:
            _lock(file.fileno())
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
                raise
            raise OutputExistsError(
                f"The output folder {str(folder)!r} is in use by another framedose process. "
                "Wait for it, or choose another folder."
            ) from error
        yield


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
