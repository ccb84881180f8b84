"""``framedose evaluate``: dose limits of networks on a series."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from framedose.errors import ConfigurationError

if TYPE_CHECKING:
    from framedose.evaluation.summary import EvaluationConfig


def evaluate(
    *inputs: Path,
    network: Annotated[list[str] | None, Parameter(consume_multiple=False)] = None,
    baselines: Path | None = None,
    physics: Path | None = None,
    labels: Path | None = None,
    threshold: float = 0.9,
    rim: float = 1.44,
    split: str | None = None,
    sampling: float | None = None,
    doses: Path | None = None,
    camera: str | None = None,
    truth_frames: int = 5,
    high_dose: float = 1e3,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
    out: Path = Path("framedose-evaluation"),
) -> None:
    """Find the dose limits of networks on a series of rising dose, and report them.

    INPUTS is the folder of a simulated series ("framedose simulate --series", or a study); or micrographs of one
    specimen at rising dose. Of those, what each network sees in the last frames is taken for the truth. With --labels,
    INPUTS are micrographs that somebody has labelled.

    Examples:

      framedose evaluate replica --network unet --network msdnet

      framedose evaluate replica --network mine=my-unet/unet.safetensors --network unet --out comparison

      framedose evaluate replica --network my_filters:bragg --threshold 0.5

      framedose evaluate framedose-study --baselines framedose-study --out with-baselines

      framedose evaluate panels/*.tif --labels panels/labels --sampling 0.77 --threshold 0.5 --out panels-scored

      framedose evaluate series.dm4 --doses doses.csv --camera oneview

    Parameters
    ----------
    inputs
        Folder of a simulated series, or files and folders of micrographs.
    network
        best, unet, msdnet, a .safetensors or .onnx file, or MODULE:FUNCTION; LABEL=... names it. May be given several
        times. All shipped networks by default.
    baselines
        Folder of a dataset or a study: evaluate the three classical filters too, tuned on its validation images.
    physics
        File physics.json of "framedose physics" on the same study: drawn beside the networks.
    labels
        Folder of labels: then INPUTS are single micrographs, and each is scored against the label of its name.
    threshold
        Least probability, between 0 and 1, for a pixel to belong to a particle.
    rim
        With --labels: how far outlines lie outside of the centres of the particles' outer atoms, in Å, as in
        "framedose segment"; 0 for labels that are drawn through the centres, as those of simulated series are.
    split
        Which series of the folder: test, replica or ramp.
    sampling
        Pixel size of the micrographs in Å per pixel, in place of the files'.
    doses
        CSV with a column "dose" in e/Å2 and a line for each micrograph, in place of the files'.
    camera
        Passport of the camera that the micrographs were taken with: tells doses from counts, and draws the vacuum of
        the null test.
    truth_frames
        Micrographs at the end of the series that make the truth.
    high_dose
        Least dose of the high-dose score and of the plateau of the area, in e/Å2.
    level
        Coverage of the intervals.
    resamples
        Bootstrap resamples.
    seed
        Seed of the bootstraps.
    out
        Folder of the results: new, or this evaluation's own.
    """
    from framedose.config import build
    from framedose.evaluation.summary import EvaluationConfig, NetworkResult
    from framedose.random import check_seed
    from framedose.study.evaluate import evaluate as run
    from framedose.study.evaluate import load_predictors
    from framedose.study.physics import load_physics
    from framedose.study.predictors import tuned_baselines
    from framedose.study.recorded import read_series
    from framedose.study.report import headline
    from framedose.study.series import open_series, origin

    if not inputs:
        raise ConfigurationError("framedose evaluate needs the folder of a simulated series, or micrographs.")
    values: dict[str, Any] = {"threshold": threshold, "level": level, "resamples": resamples}
    # The doses are those of the series, so that a high dose beyond the usual ones is no mistake here.
    values |= {"high_dose": high_dose, "doses": {"low": 1e-3, "high": max(high_dose, 1e4)}}
    config = build(EvaluationConfig, values, where="options")
    check_seed(seed)
    if labels is not None:
        if baselines is not None or physics is not None:
            raise ConfigurationError("--baselines and --physics go with a simulated series, and not with --labels.")
        _labelled(inputs, labels, network, sampling, rim, config, seed, out)
        return
    if len(inputs) == 1 and (inputs[0] / "images.zarr").exists():
        series, (recipe, _) = open_series(inputs[0], split), origin(inputs[0])
        predictors = load_predictors(network)
        for name, predictor in predictors.items():
            if seen := predictor.has_seen(recipe.specimen.structures):
                print(
                    f"framedose: warning: {name} was trained on {len(seen)} of the structure files of this series, "
                    f"such as {seen[0]}, and may know them by heart: make a series of others.",
                    file=sys.stderr,
                )
        if baselines is not None:
            predictors |= tuned_baselines(baselines, threshold=threshold)
        allowed = None if physics is None else load_physics(physics, series.made_from)
        results = run(predictors, series, out, config=config, seed=seed, pixels_summed=recipe.binning, physics=allowed)
    else:
        if baselines is not None or physics is not None:
            raise ConfigurationError(
                "--baselines and --physics go with a simulated series: on its validation images the filters are tuned, "
                "and the curves are of its structures."
            )
        recorded = read_series(inputs, sampling=sampling, doses=doses, camera=camera, seed=seed)
        predictors = load_predictors(network)
        results = run(predictors, recorded, out, config=config, seed=seed, truth_frames=truth_frames)
    for name, result in results["networks"].items():
        print(headline(name, NetworkResult.model_validate(result)))
    for pair, comparison in results["comparisons"].items():
        print(f"{pair}: {comparison['verdict']}")
    print(f"Report, tables and figures are in {out}: {out / 'report.html'}")


def _labelled(
    inputs: tuple[Path, ...],
    labels: Path,
    network: list[str] | None,
    sampling: float | None,
    rim: float,
    config: EvaluationConfig,
    seed: int,
    out: Path,
) -> None:
    from framedose.inference.folders import new_folder, refuse_used_folder
    from framedose.study.evaluate import load_predictors
    from framedose.study.labelled import evaluate_labelled
    from framedose.study.labels import network_label, number

    refuse_used_folder(out)
    predictors = load_predictors(network)
    with new_folder(out) as folder:
        means = evaluate_labelled(
            predictors,
            inputs,
            labels,
            folder,
            sampling=sampling,
            threshold=config.threshold,
            rim=rim,
            level=config.level,
            resamples=config.resamples,
            seed=seed,
        )
    for name, mean in means.items():
        f1 = mean["f1"]
        print(
            f"{network_label(name)}: mean F1 {number(f1['mean'])} ({number(f1['low'])} to {number(f1['high'])}) on "
            f"{mean['images']} images, {number(mean['f1_per_particle'])} of single particles; {mean['found']} of "
            f"{mean['particles']} particles found, {mean['false_objects']} false objects, F1 as a count "
            f"{number(mean['f1_of_count'])}; a mask of every pixel has {number(mean['f1_all_particle']['mean'])}"
        )
    print(f"Table, numbers and pictures are in {out}")
