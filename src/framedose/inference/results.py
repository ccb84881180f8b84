"""A new folder for results, all of it or nothing, and nothing of the user's overwritten; tables in it."""

from __future__ import annotations

import csv
import errno
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING

from framedose.atomic import write_aside
from framedose.errors import ConfigurationError, FramedoseError, OutputError, OutputExistsError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def refuse_used_folder(out: Path) -> None:
    """Raise OutputExistsError unless ``out`` does not exist, or is an empty folder."""
    if out.is_dir():
        entries = sorted(entry.name for entry in out.iterdir())
        if entries:
            raise OutputExistsError(
                f"--out {str(out)!r} holds {entries[0]!r} already, nothing is overwritten: choose another --out."
            )
    elif out.exists():
        raise OutputExistsError(f"--out {str(out)!r} is a file, choose another --out.")


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Give a hidden folder beside ``out`` to fill, and make it ``out`` when the block ends well."""
    # What a killed process leaves says that it is not a result.
    aside = out.absolute().with_name(f".{out.absolute().name}.unfinished-{uuid.uuid4().hex[:8]}")
    try:
        aside.mkdir(parents=True)
    except OSError as error:
        raise ConfigurationError(
            f"--out {str(out)!r} cannot be made: {error.strerror}. Choose another --out."
        ) from error
    try:
        yield aside
        if out.exists():
            out.rmdir()  # Empty, or another process has filled it meanwhile and this raises.
        aside.rename(out)
    except BaseException as error:
        shutil.rmtree(aside, ignore_errors=True)
        if isinstance(error, OSError) and not isinstance(error, FramedoseError):
            # NumPy reports a full disk without a number, as "100 requested and 60 written".
            full = error.errno is None or error.errno in _DISK_FULL
            remedy = "Free some space, or choose another --out" if full else "Choose another --out"
            reason = error.strerror or str(error)
            raise OutputError(f"--out {str(out)!r} cannot be written: {reason}. Nothing was kept. {remedy}.") from error
        raise


def write_rows(path: Path, kind: type[DataclassInstance], rows: Iterable[DataclassInstance]) -> None:
    """Write dataclasses of one kind as the lines of a CSV file, atomically; its fields name the columns."""
    with write_aside(path) as aside, aside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(kind)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
