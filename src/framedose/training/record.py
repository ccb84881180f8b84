"""Learning curves on disk while a training runs: a CSV file and TensorBoard events, both made from the curves."""

import csv
from pathlib import Path
from typing import Any

from tensorboardX import SummaryWriter

from framedose.atomic import write_aside

COLUMNS = ("step", "train_loss", "validation_loss", "train_f1", "validation_f1")


def new_curves() -> dict[str, Any]:
    """Return curves without an entry; ``pending`` are the losses and scores since the last one."""
    return {**{name: [] for name in COLUMNS}, "pending": {"loss": [], "f1": []}}


class CurvesRecord:
    """Writes ``NAME.curves.csv`` and the events ``tensorboard/NAME`` in a folder.

    Each call writes the whole CSV, and the events that came since the last. A training that goes on writes
    its events anew, so that none of them is there twice.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._csv, self._events = folder / f"{name}.curves.csv", folder / "tensorboard" / name
        self._writer: SummaryWriter | None = None
        self._shown = 0

    def __call__(self, curves: dict[str, Any]) -> None:
        """Write what is new in ``curves``."""
        with write_aside(self._csv) as aside, aside.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(COLUMNS)
            rows.writerows(zip(*(curves[name] for name in COLUMNS), strict=True))
        if self._writer is None:
            for old in self._events.glob("events.out.tfevents.*"):
                old.unlink()
            self._writer = SummaryWriter(str(self._events), flush_secs=2)
        for row in range(self._shown, len(curves["step"])):
            for name in COLUMNS[1:]:
                part, _, measure = name.partition("_")
                self._writer.add_scalar(f"{measure}/{part}", curves[name][row], curves["step"][row])
        self._shown = len(curves["step"])
