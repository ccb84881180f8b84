"""Folders for results: all of it or nothing, and nothing of the user's overwritten."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from framedose.atomic import locked, sweep, write_json
from framedose.config import digest, says
from framedose.errors import ConfigurationError, FramedoseError, OutputError, OutputExistsError

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CARD = "job.json"


def refuse_used_folder(out: Path) -> None:
    """Raise OutputExistsError unless ``out`` does not exist, or is an empty folder that can be exchanged."""
    if out.is_dir():
        entries = sorted(entry.name for entry in out.iterdir())
        if entries:
            raise OutputExistsError(
                f"--out {str(out)!r} holds {entries[0]!r} already, nothing is overwritten: choose another --out."
            )
        kinds = {
            "a link": out.is_symlink(),
            "a mounted volume": os.path.ismount(out),
            "the folder you are in": out.samefile("."),
        }
        for kind, is_that in kinds.items():
            if is_that:
                raise OutputExistsError(
                    f"--out {str(out)!r} is {kind}, which the finished results cannot take the place of: name a new "
                    f"folder in it, such as {str(out / 'results')!r}."
                )
    elif out.exists() or out.is_symlink():
        raise OutputExistsError(f"--out {str(out)!r} is a file, choose another --out.")


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Give a hidden folder beside ``out`` to fill, and make it ``out`` when the block ends well."""
    # What a killed process leaves says that it is not a result.
    aside = out.absolute().with_name(f".{out.absolute().name}.unfinished-{uuid.uuid4().hex[:8]}")
    _make(aside, out)
    try:
        with _clear_errors(out, "Nothing was kept."):
            yield aside
            _rename(aside, out)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


@contextmanager
def resumable_folder(out: Path, job: Mapping[str, Any], *, kept: str) -> Iterator[Path]:
    """Give a hidden folder beside ``out`` to fill, and make it ``out`` when the block ends well.

    If it does not end well, what is finished stays, and the same job goes on with it; another job starts anew.

    Parameters
    ----------
    out
        The folder to make.
    job
        What is done, as JSON can hold it: two jobs are the same if this is.
    kept
        Folder in it, where what is finished lies as JSON files one folder deep; without any nothing stays.
    """
    aside = out.absolute().with_name(f".{out.absolute().name}.unfinished")
    _make(aside, out)
    with locked(aside):
        refuse_used_folder(out)  # Another process may have finished it while this one waited for its turn.
        card = {"digest": digest(job)}
        if not says(aside / _CARD, card):
            for entry in aside.glob("[!.]*"):
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
            write_json(aside / _CARD, card)
        sweep(aside)
        try:
            where = f"What is finished is kept in {str(aside.name)!r}; the same command goes on with it."
            with _clear_errors(out, where):
                yield aside
        except BaseException:
            if not any(aside.glob(f"{kept}/*/*.json")):
                shutil.rmtree(aside, ignore_errors=True)
            raise
        shutil.rmtree(aside / kept, ignore_errors=True)
        (aside / _CARD).unlink()
    (aside / ".lock").unlink(missing_ok=True)
    with _clear_errors(out, f"The results are in {str(aside.name)!r}."):
        _rename(aside, out)


def _make(aside: Path, out: Path) -> None:
    try:
        aside.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"--out {str(out)!r} cannot be made: {error.strerror}. Choose another --out."
        ) from error


def _rename(aside: Path, out: Path) -> None:
    if out.exists():
        out.rmdir()  # Empty, or another process has filled it meanwhile and this raises.
    aside.rename(out)


@contextmanager
def _clear_errors(out: Path, kept: str) -> Iterator[None]:
    """Make one line of the system's errors, which says what is kept."""
    try:
        yield
    except FramedoseError:
        raise
    except OSError as error:
        # NumPy reports a full disk without a number, as "100 requested and 60 written".
        full = error.errno is None or error.errno in _DISK_FULL
        remedy = "Free some space, or choose another --out" if full else "Choose another --out"
        reason = error.strerror or str(error)
        raise OutputError(f"--out {str(out)!r} cannot be written: {reason}. {kept} {remedy}.") from error
