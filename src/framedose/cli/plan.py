"""``framedose plan``: an experiment from dose limits."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from framedose.cli.settings import RecipeHeader, camera_settings, merged_recipes, parse_settings, refuse, split_header
from framedose.config import build, merged, read_json, read_yaml
from framedose.errors import ConfigurationError, FileFormatError
from framedose.units import check_sampling

if TYPE_CHECKING:
    from framedose.evaluation.plan import Need, Plan

_OPTIONS = (
    "dose-rate",
    "camera-rate",
    "budget",
    "camera",
    "sampling",
    "network",
    "preset",
    "structures",
    "workers",
    "seed",
    "out",
)
_OUT = Path("framedose-plan")


def plan(
    *words: Annotated[str, Parameter(allow_leading_hyphen=True, show=False)],
    dose_rate: float,
    camera_rate: float | None = None,
    budget: float | None = None,
    camera: str | None = None,
    sampling: float | None = None,
    network: Annotated[list[str] | None, Parameter(consume_multiple=False)] = None,
    preset: str | None = None,
    structures: int = 20,
    workers: int | None = None,
    seed: int | None = None,
    out: Path = _OUT,
) -> None:
    """Plan an experiment: exposure, frame rate and frames to sum for detection and for segmentation.

    Give the folder of an evaluation, and its limits are used. Give a recipe, or nothing but options, and a series of
    your structures with your camera and pixel size is simulated and the networks evaluated on it first (some minutes;
    a plan that was stopped goes on). Every setting of the recipe has a dotted name, as in "framedose simulate".

    Examples:

      framedose plan limits --dose-rate 500 --camera-rate 40 --budget 5000

      framedose plan --camera oneview --sampling 0.15 --dose-rate 500 --specimen.element Pt

      framedose plan recipe.yaml --camera camera.yaml --dose-rate 1000 --network mine/unet.safetensors

    Parameters
    ----------
    dose_rate
        Dose rate at the specimen in e/Å2/s.
    camera_rate
        Frames of the camera in a second: then also how many to sum.
    budget
        Accumulated dose that the specimen stands, in e/Å2: then also how many frames that allows.
    camera
        Passport of the camera, from "framedose calibrate", or a shipped one.
    sampling
        Pixel size of the camera in Å. The frames are summed to about 0.3 Å, unless "binning" says otherwise.
    network
        best, unet, msdnet or a .safetensors file; may be given several times. All shipped networks by default.
    preset
        What the recipe starts from: general, if neither this nor the recipe says so.
    structures
        Particles of the simulated series.
    workers
        Processes of the simulation; one for each core by default.
    seed
        Seed of the simulation; 0 if neither this nor the recipe says so.
    out
        Folder for the simulated series, its evaluation and plan: new, or this plan's own.
    """
    from framedose.atomic import write_json
    from framedose.evaluation.plan import check_rates
    from framedose.evaluation.plan import plan as run
    from framedose.evaluation.summary import NetworkResult

    inputs, changes = parse_settings(words, _OPTIONS)
    refuse(inputs[1:])
    check_rates(dose_rate, camera_rate, budget)
    folder = Path(inputs[0]) if inputs else None
    if folder is None or not folder.is_dir():
        given = read_yaml(folder, name="The recipe") if folder is not None else {}
        given = merged_recipes(given, changes)
        if camera is not None:
            given = merged(given, {"camera": camera_settings(camera)})
        if sampling is not None:
            check_sampling(sampling, "--sampling")
            given = merged(given, {"conditions": {"sampling": {"low": sampling, "high": sampling}}})
            given = merged({"binning": _binning(sampling)}, given)
        header, values = split_header(given, preset, seed)
        folder = _evaluated(header, values, network, structures, workers, out)
    elif changes or camera or sampling or network or out != _OUT:
        raise ConfigurationError("The folder of an evaluation has its structures, camera and networks: give it alone.")
    results = folder / "results.json"
    if not results.is_file():
        raise FileFormatError(f"{str(folder)!r} holds no results.json: give the folder of framedose evaluate or study.")
    content = read_json(results)
    networks = content.get("networks") if isinstance(content, dict) else None
    if not isinstance(networks, dict):
        raise FileFormatError(f"{str(results)!r} holds no results of networks: evaluate again.")
    plans = [
        run(
            name,
            build(NetworkResult, result, where=f"{results}, {name}"),
            dose_rate=dose_rate,
            camera_rate=camera_rate,
            budget=budget,
        )
        for name, result in networks.items()
    ]
    for one in plans:
        _print(one)
    write_json(folder / "plan.json", [one.model_dump() for one in plans])
    print(
        f"Assumed: the specimens, conditions and camera of the series in {folder} (its report says which), one readout "
        f"a frame, and no damage or motion within a frame. All numbers: {folder / 'plan.json'}"
    )


def _binning(sampling: float) -> int:
    """Return how many pixels a side of the camera are summed: to about 0.3 Å, which the shipped networks see."""
    return 1 if sampling > 0.2 else 2 if sampling > 0.1 else 4


def _evaluated(
    header: RecipeHeader,
    given: dict[str, Any],
    network: list[str] | None,
    structures: int,
    workers: int | None,
    out: Path,
) -> Path:
    """Simulate a series, evaluate networks on it, and return the folder of that."""
    from framedose.dataset.folder import make_dataset
    from framedose.dataset.recipe import DatasetRecipe
    from framedose.evaluation.summary import EvaluationConfig
    from framedose.study.config import study_config
    from framedose.study.evaluate import evaluate, load_predictors
    from framedose.study.series import evaluation_series, open_series
    from framedose.workers import wanted_workers
    from framedose.workers import workers as start

    base = study_config(header.preset or "general").dataset.model_dump()
    recipe = build(DatasetRecipe, merged(base, given), where="recipe")
    counts = {"structures": structures, "support_frames": max(2, structures // 3), "vacuum_frames": 4}
    config = build(EvaluationConfig, counts, where="options")
    predictors = load_predictors(network)
    make_dataset(
        recipe,
        header.seed,
        out / "series",
        partial(start, wanted_workers(workers)),
        given=header.model_dump(exclude_unset=True) | given,
        series=evaluation_series(recipe, config),
    )
    series = open_series(out / "series")
    evaluate(predictors, series, out / "limits", config=config, seed=header.seed, pixels_summed=recipe.binning)
    return out / "limits"


def _print(plan: Plan) -> None:
    from framedose.study.labels import network_label

    print(f"{network_label(plan.network)}, {plan.dose_rate:g} e/Å2/s", end="")
    print(f", budget {plan.budget:g} e/Å2, spent after {plan.budget_seconds:.3g} s" if plan.budget else "")
    for need in plan.needs:
        print(f"  {need.aim}: {_line(need)}")


def _line(need: Need) -> str:
    if need.dose is None or need.exposure is None or need.frame_rate is None:
        return "at none of the tested doses"
    parts = [
        f"{'at or below ' if need.at_or_below else ''}{need.dose:.3g} e/Å2 ({_ends(need)})",
        f"{need.exposure:.3g} s a frame",
        f"{need.frame_rate:.3g} frames/s",
    ]
    if need.frames_to_sum is not None:
        many = "s" if need.frames_to_sum > 1 else ""
        parts.append(f"{need.frames_to_sum} camera frame{many} summed ({need.dose_of_sum:.3g} e/Å2)")
    if need.frames_in_budget is not None:
        sure = "none" if need.frames_in_budget_low is None else need.frames_in_budget_low
        parts.append(f"{need.frames_in_budget} frames in the budget ({sure} for certain)")
    return ", ".join(parts)


def _ends(need: Need) -> str:
    ends = (need.dose_low, need.dose_high)
    low, high = ("beyond the tested doses" if end is None else f"{end:.3g}" for end in ends)
    if not need.noise_only:
        return f"{low} to {high}"
    return "one structure has no interval" if ends == (None, None) else f"{low} to {high} by the noise of one structure"
