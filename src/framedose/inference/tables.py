"""Tables of results: CSV or Parquet."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from framedose.atomic import write_aside
from framedose.errors import MissingPackageError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Tables = Literal["csv", "parquet"]


def write_rows(path: Path, kind: type[DataclassInstance], rows: Iterable[DataclassInstance]) -> None:
    """Write dataclasses of one kind as the lines of a CSV file, atomically; its fields name the columns."""
    with write_aside(path) as aside, aside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(kind)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def check_tables(tables: Tables) -> None:
    """Raise MissingPackageError if tables of a kind cannot be written here."""
    if tables == "parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError as error:
            raise MissingPackageError(
                '--tables parquet needs pyarrow: pip install "framedose[parquet]", or take csv.'
            ) from error


def write_table(path: Path, kind: type[DataclassInstance], rows: Iterable[DataclassInstance], tables: Tables) -> None:
    """Write dataclasses of one kind as CSV or Parquet, atomically, with the suffix of it; fields name the columns."""
    if tables == "csv":
        write_rows(path.with_suffix(".csv"), kind, rows)
        return
    import pandas as pd  # Slow to import.

    names = [field.name for field in fields(kind)]
    # Whole numbers stay whole where some are missing; of what is missing throughout pandas cannot tell the kind.
    table = pd.DataFrame([asdict(row) for row in rows], columns=names).convert_dtypes()
    table = table.astype({name: "Float64" for name in names if table[name].isna().all()})
    with write_aside(path.with_suffix(".parquet")) as aside:
        table.to_parquet(aside, index=False)
