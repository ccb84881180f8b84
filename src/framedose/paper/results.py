"""Every figure and table of the paper: what it shows, how it is made, and the record of what came out."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

from framedose.atomic import locked, sweep, write_json
from framedose.errors import ConfigurationError, FileFormatError, FramedoseError
from framedose.paper.camera_figures import (
    floors_figure,
    frame_fits_figure,
    single_frame_figure,
    varied_figure,
)
from framedose.paper.series_figures import compared, score_figure
from framedose.paper.training_figures import (
    cameras_table,
    conditions_table,
    doses_table,
    learning_figure,
    mask_figure,
    sizes_figure,
    specimens_figure,
)
from framedose.paper.workshop import Trained, Workshop
from framedose.provenance import versions
from framedose.study.claim import claim

RECORD, CARD = "reproduce.json", "scale.json"

Record = dict[str, dict[str, Any]]
"""What came out, by id."""

_MTF = {number: Trained("msdnet", f"mtf{number}") for number in range(1, 6)}
_UNET = Trained("unet")
_LOW = {kind: Trained(kind, doses="low") for kind in ("unet", "msdnet")}
_FULL = {kind: Trained(kind, doses="full") for kind in ("unet", "msdnet")}


@dataclass(frozen=True)
class PaperResult:
    """One figure or table.

    Parameters
    ----------
    title
        What it shows.
    make
        Makes its files in a folder and returns its numbers.
    """

    title: str
    make: Callable[[Workshop, Path], Mapping[str, Any]]


def _series(title: str, *networks: Trained) -> PaperResult:
    return PaperResult(title, partial(compared, networks=networks))


RESULTS: dict[str, PaperResult] = {
    "fig1": PaperResult("structures and their images", specimens_figure),
    "fig2": _series("MSD-net trained on the high and the low dose range", _MTF[4], _LOW["msdnet"]),
    "fig3": _series("U-net trained on the high and the low dose range", _UNET, _LOW["unet"]),
    "fig4": _series("MSD-net and U-net, high dose range", _MTF[4], _UNET),
    "fig5": PaperResult("camera parameters of each vacuum frame", frame_fits_figure),
    "fig6": PaperResult("noise floor C and readout N_0", floors_figure),
    "fig7": _series("MSD-net trained with MTF1, 2 and 3", _MTF[1], _MTF[2], _MTF[3]),
    "fig8": _series("MSD-net trained with MTF2, 4 and 5", _MTF[2], _MTF[4], _MTF[5]),
    "soi3": PaperResult("an image and its mask", mask_figure),
    "soi4": PaperResult("learning curves of all networks", learning_figure),
    "soi5": PaperResult("F1 against the structures trained on", sizes_figure),
    "soi6": PaperResult("spectrum of the first vacuum frame", partial(single_frame_figure, index=0)),
    "soi7": PaperResult("spectrum of the last vacuum frame", partial(single_frame_figure, index=-1)),
    "soi8": PaperResult("fits of simulated vacuum with varied cameras", varied_figure),
    "soi9": PaperResult(
        "F1 on the MTF3 series, trained with MTF4 and MTF3", partial(score_figure, networks=(_MTF[4], _MTF[3]))
    ),
    "table1": PaperResult("imaging conditions, as used", conditions_table),
    "table2": PaperResult("dose ranges, as used", doses_table),
    "table3": PaperResult("MTF models, as used", cameras_table),
    "fullrange": _series("both networks trained on the full dose range", _FULL["msdnet"], _FULL["unet"], _MTF[4]),
}


def chosen_results(ids: Sequence[str]) -> list[str]:
    """Return the ids that were asked for, in the paper's order; ``all`` stands for every one.

    Raises
    ------
    ConfigurationError
        If there is none of a name.
    """
    for name in ids:
        if name != "all" and name not in RESULTS:
            near = get_close_matches(name, RESULTS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"choose of {', '.join(RESULTS)}, or all."
            raise ConfigurationError(f"The paper has no result {name!r}: {hint}")
    return [name for name in RESULTS if "all" in ids or name in ids]


def reproduce(ids: Sequence[str], workshop: Workshop, *, scale: str) -> Record:
    """Make results of the paper, or go on with them, and return what ``reproduce.json`` lists, by its ids.

    One that fails is recorded with the reason, and the others are still made.

    Parameters
    ----------
    ids
        Keys of ``RESULTS``.
    workshop
        Its folder gets a folder for each result and the record.
    scale
        Name of the scale, for the record.

    Raises
    ------
    OutputExistsError
        If the folder holds something else, a reproduction of another scale or seed, or one that another process is at.
    FileFormatError
        If its record is damaged.
    """
    folder = workshop.folder
    settings = workshop.scale
    claim(
        folder / CARD,
        {
            "scale": scale,
            "digest": settings.digest(),
            "versions": versions(),
            "settings": settings.model_dump(mode="json"),
        },
        whose="a reproduction's",
        clash="a reproduction of another scale, seed or version. Choose another folder with --out.",
    )
    with locked(folder):
        sweep(folder)
        record = _read(folder / RECORD)
        for name in ids:
            record[name] = {"id": name, "scale": scale, **_made(name, workshop)}
            # In the paper's order, whatever was made first.
            record = {key: record[key] for key in RESULTS if key in record}
            write_json(folder / RECORD, list(record.values()))
    return record


def _made(name: str, workshop: Workshop) -> dict[str, Any]:
    result, folder = RESULTS[name], workshop.folder / name
    folder.mkdir(exist_ok=True)
    start = time.perf_counter()
    try:
        values, status = dict(result.make(workshop, folder)), "done"
    except FramedoseError as error:
        values, status = {}, f"failed: {error}"
    files = sorted(path.relative_to(workshop.folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {
        "title": result.title,
        "status": status,
        "files": files,
        "seconds": round(time.perf_counter() - start, 1),
        "values": values,
    }


def _read(path: Path) -> Record:
    if not path.exists():
        return {}
    try:
        return {entry["id"]: entry for entry in json.loads(path.read_text(encoding="utf-8"))}
    except (ValueError, KeyError, TypeError) as error:
        raise FileFormatError(f"{str(path)!r} is damaged: remove it, and what was made is read again.") from error
