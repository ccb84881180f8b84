"""``framedose study``: from atoms to dose limits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import yaml
from cyclopts import Parameter

from framedose.cli.settings import camera_settings, merged_recipes, parse_settings, refuse
from framedose.config import merged, read_yaml

_OPTIONS = ("preset", "seed", "out", "config", "camera", "workers", "print-settings")


def study(
    *settings: Annotated[str, Parameter(allow_leading_hyphen=True, show=False)],
    preset: str = "quick",
    seed: int | None = None,
    out: Path = Path("framedose-study"),
    config: Path | None = None,
    camera: str | None = None,
    workers: int | None = None,
    print_settings: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Simulate, train both networks, measure their dose limits and write the report.

    A study that was stopped goes on where it was when the same command is given again.
    Every setting can be changed on the command line by its dotted name, or in a YAML file.

    Examples:

      framedose study

      framedose study --seed 3 --out my-study --dataset.conditions.dose.low 10

      framedose study --print-settings > mine.yaml; framedose study --config mine.yaml --out mine

    Parameters
    ----------
    preset
        Settings to start from. quick: minutes on two cores. general: hours, on varied specimens, as the
        shipped weights. paper: the paper's own, for a GPU. laptop: those with pixels summed 4x4, hours.
    seed
        Seed of everything random.
    out
        Folder of the study: new, or this study's own.
    config
        YAML file with settings that differ from the preset.
    camera
        Passport of the camera, from "framedose calibrate", or a shipped one: mtf1 to mtf5, oneview, counting,
        merlin200, merlin300.
    workers
        Processes of the simulation; one for each core by default.
    print_settings
        Print all settings as YAML and stop.
    """
    from framedose.study.config import study_config

    others, changes = parse_settings(settings, _OPTIONS)
    refuse(others)
    base = merged(
        read_yaml(config) if config else {}, {"dataset": {"camera": camera_settings(camera)}} if camera else {}
    )
    overrides = merged(base, changes)
    if isinstance(base.get("dataset"), dict) and isinstance(changes.get("dataset"), dict):
        overrides["dataset"] = merged_recipes(base["dataset"], changes["dataset"])
    if seed is not None:
        overrides["seed"] = seed
    chosen = study_config(preset, overrides)
    if print_settings:
        print(yaml.safe_dump(chosen.model_dump(mode="json"), sort_keys=False), end="")
        return
    from framedose.study.run import run_study

    results = run_study(chosen, out, processes=workers)
    _print_limits(results)
    print(
        f"Report: {out / 'report.html'}   Numbers: {out / 'results.json'}, {out / 'limits.csv'}, {out / 'curves.csv'}"
    )


def _print_limits(results: dict[str, Any]) -> None:
    def shown(value: float | None) -> str:
        return "never" if value is None else f"{value:.3g}"

    print(f"{'network':<8}  50 % of the area at [e/Å2]   converged at  F1 at high dose  false area on vacuum")
    for name, result in results["networks"].items():
        limit = result["dose_50_area"]
        interval = f"{shown(limit['value'])} ({shown(limit['low'])} to {shown(limit['high'])})"
        print(
            f"{name:<8}  {interval:<26}  {shown(result['dose_converged']):>12}  {result['f1_high_dose']:>15.3f}"
            f"  {result['vacuum_false_area_max']:>20.2%}"
        )
