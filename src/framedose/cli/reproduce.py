"""``framedose reproduce``: the paper's figures and tables, made anew."""

from __future__ import annotations

from pathlib import Path

from framedose.errors import ConfigurationError, SimulationError


def reproduce(
    *ids: str,
    scale: str = "quick",
    out: Path | None = None,
    series: Path | None = None,
    doses: Path | None = None,
    camera: str | None = None,
    sampling: float | None = None,
    seed: int = 0,
    workers: int | None = None,
) -> None:
    """Make figures and tables of the paper anew, or list them.

    Without IDS the results are listed. Datasets and networks are shared between results, and what is finished is kept:
    the same command goes on after a stop, and another one with the same folder uses what is there.

    Examples:

      framedose reproduce

      framedose reproduce fig4 table3

      framedose reproduce all --scale laptop --out reproduction

      framedose reproduce fig2 fig5 --series frames/ --doses doses.csv --camera oneview --sampling 0.075

    Parameters
    ----------
    ids
        Such as fig4, soi9, table3, fullrange; or all.
    scale
        quick: half an hour of two cores, to see that everything runs. laptop: a night of two cores, pixels summed 2x2.
        paper: the paper's own size, for a GPU.
    out
        Folder of the results: new, or this reproduction's own. framedose-reproduction-SCALE by default.
    series
        Folder or file of real micrographs of one particle at rising dose, shown beside the simulated series.
    doses
        CSV with a column "dose" in e/Å2 and a line for each of these micrographs, in place of the files'.
    camera
        Passport of the camera of these micrographs.
    sampling
        Their pixel size in Å per pixel, in place of the files'.
    seed
        Seed of everything random.
    workers
        Processes of the simulation; one for each core by default.
    """
    from framedose.paper.results import RESULTS, chosen_results
    from framedose.paper.results import reproduce as run
    from framedose.paper.scales import scale_of
    from framedose.paper.workshop import Workshop
    from framedose.study.recorded import read_series
    from framedose.workers import wanted_workers

    if not ids:
        for name, result in RESULTS.items():
            print(f"{name:<10} {result.title}")
        return
    chosen, size = chosen_results(ids), scale_of(scale, seed)
    processes = wanted_workers(workers)
    if series is None and (doses or camera or sampling):
        raise ConfigurationError("--doses, --camera and --sampling describe real micrographs: give them with --series.")
    recorded = None
    if series is not None:
        recorded = read_series([series], sampling=sampling, doses=doses, camera=camera, seed=seed)
    folder = out or Path(f"framedose-reproduction-{scale}")
    workshop = Workshop(folder, size, processes=processes, recorded=recorded)
    record = run(chosen, workshop, scale=scale)
    failed = [name for name in chosen if record[name]["status"] != "done"]
    for name in chosen:
        print(f"{name:<10} {record[name]['title']}: {record[name]['status']}")
    print(f"Figures, tables and numbers are in {folder}: {folder / 'reproduce.json'}")
    if failed:
        raise SimulationError(f"{', '.join(failed)} could not be made; the reasons are above.")
