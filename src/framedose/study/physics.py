"""What physics allows on a simulated series: two curves of a known signal, and that of the network's own task."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from framedose.atomic import locked, sweep, write_json
from framedose.config import digest, read_json
from framedose.dataset.recipe import DatasetRecipe, Split
from framedose.errors import ConfigurationError, FileFormatError
from framedose.evaluation.counts import SeriesCounts
from framedose.evaluation.limits import Result, dose_limit
from framedose.evaluation.physics.limits import Detection, KnownSignal, detection
from framedose.evaluation.summary import EvaluationConfig, MaskScores, mask_scores
from framedose.provenance import versions
from framedose.random import generator
from framedose.study.claim import claim
from framedose.study.physics_field import FieldTask, PhysicsConfig
from framedose.workers import Runner, in_turn

_PATCHES_RIGHT = 0.95
# Says whose the folder of the curves is.
CARD = "series.json"


class PhysicsResult(Result):
    """The three curves; the headline is ``same_task``."""

    likelihood_ratio: KnownSignal
    """(a) Floor for any method, knowing the signal exactly: likelihood ratio on the counts before the camera."""
    prewhitening: KnownSignal
    """(b) Linear prewhitening observer on frames, knowing the signal exactly; not a bound."""
    patch: KnownSignal | None
    """(b) for single patches of ``patch_side``, told right in 95 % of the cases; None if no two particles hold one."""
    patch_side: float
    """Side of the patches [Å]."""
    same_task: Detection
    """(c) The network's own task: (b) averaged over particles, orientations, shifts and defoci. The headline."""
    same_task_half_bank: Detection
    """(c) with the first half of the templates: what more of them would still gain shows in the difference."""
    templates: int
    """Particles of the prior of (c)."""
    segmentation: MaskScores
    """Masks from the posterior probability of (c), scored as a network's."""


def physics_curves(
    recipe: DatasetRecipe,
    split: Split,
    evaluation: EvaluationConfig,
    config: PhysicsConfig,
    *,
    seed: int,
    folder: Path,
    run: Runner = in_turn,
) -> PhysicsResult:
    """Compute the three curves on the structures of a series, or read them where they are finished.

    Specimens, imaging conditions and cameras are those of the series' structures; the noise is drawn anew, and the
    doses are those of ``config``. Templates and structures are kept one by one in ``folder``, and the result goes to
    ``folder / "physics.json"``.

    Parameters
    ----------
    recipe, split, seed
        What the series was made by; its fields of particles come first.
    evaluation
        Threshold, high dose and intervals, as the networks beside the curves are scored.
    config
        Templates, doses and frames.
    folder
        Where to keep everything; made if it is missing.
    run
        Maps tasks over their items, for example over :func:`~framedose.workers.workers`.

    Raises
    ------
    ConfigurationError
        If the doses end below ``evaluation.high_dose`` or ``null_dose``, or the frames without a particle are too few
        for the false share.
    """
    least = max(evaluation.high_dose, evaluation.null_dose)
    if config.doses.high < least:
        raise ConfigurationError(
            f"doses.high of the physics curves must be at least {least:g} e/Å2, the high_dose and null_dose of the "
            f"evaluation, got {config.doses.high:g}: raise it."
        )
    structures = split.kinds.count("particle")
    if structures < 2:
        raise ConfigurationError(f"An interval over particles needs at least two, got {structures}: make more.")
    null = structures * (config.null_frames + 1)
    if null * config.false_share < 1 - 1e-9:
        raise ConfigurationError(
            f"false_share {config.false_share:g} needs at least {int(np.ceil(1 / config.false_share))} frames without "
            f"a particle, got {null} from {structures} structures: raise null_frames."
        )
    threshold = evaluation.threshold
    made_from = digest([config.digest(), split.digest(recipe, seed), structures, threshold, seed])
    series = split.digest(recipe, seed)
    clash = "the curves of another series. Choose another folder with --out."
    claim(folder / CARD, {"made_by": versions(), "digest": series}, whose="the physics of a series", clash=clash)
    kept = folder / made_from[:16]
    kept.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        sweep(kept)
        task = FieldTask(kept.resolve(), recipe, split, seed, config, threshold)
        _missing(run, task.make_template, task.template_path, config.templates, "templates")
        _missing(run, task.score, task.score_path, structures, "physics")
        paths = [task.score_path(index) for index in range(structures)]
        fields = [read_json(path) for path in paths]
        result = _pooled(fields, evaluation, config, recipe.image_size**2, seed)
        write_json(folder / "physics.json", {"made_from": made_from, "series": series, **result.model_dump()})
    return result


def load_physics(path: Path, series: str) -> PhysicsResult:
    """Read a ``physics.json`` of the series of that hash.

    Raises
    ------
    FileFormatError
        If it is none.
    ConfigurationError
        If it is of another series.
    """
    try:
        content = read_json(path)
        of = content.pop("series", None)
        result = PhysicsResult.model_validate({key: value for key, value in content.items() if key != "made_from"})
    except (OSError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise FileFormatError(f"{str(path)!r} is no physics.json of framedose physics: {reason}") from error
    # Files of before did not say it.
    if of not in (None, series):
        raise ConfigurationError(
            f"--physics {str(path)!r} is of another series than is evaluated: compute it on this one with framedose "
            "physics."
        )
    return result


def _missing(run: Runner, make: Callable[[int], None], path: Callable[[int], Path], count: int, label: str) -> None:
    """Make what is not on disk yet."""
    todo = [index for index in range(count) if not path(index).exists()]
    if todo:
        run(make, todo, label, count - len(todo))


def _pooled(
    fields: Sequence[dict[str, Any]], evaluation: EvaluationConfig, config: PhysicsConfig, pixels: int, seed: int
) -> PhysicsResult:
    known = {name: [field["known"][name] for field in fields] for name in ("counts", "frames", "patch")}
    held = [patch for patch in known["patch"] if patch]
    return PhysicsResult(
        likelihood_ratio=_known(known["counts"], config.found, evaluation, config, seed),
        prewhitening=_known(known["frames"], config.found, evaluation, config, seed),
        patch=_known(held, _PATCHES_RIGHT, evaluation, config, seed) if len(held) > 1 else None,
        patch_side=config.patch,
        same_task=_found(fields, "scores", "null", evaluation, config, seed),
        same_task_half_bank=_found(fields, "half_scores", "half_null", evaluation, config, seed),
        templates=config.templates,
        segmentation=mask_scores(_counts(fields, config, pixels), evaluation, seed=seed),
    )


def _known(
    curves: Sequence[dict[str, Any]], target: float, evaluation: EvaluationConfig, config: PhysicsConfig, seed: int
) -> KnownSignal:
    doses, shares = config.known_doses(), np.array([curve["reached"] for curve in curves])
    rng = generator(seed, "bootstrap")
    return KnownSignal(
        doses=doses.tolist(),
        d_prime=np.median([curve["d_prime"] for curve in curves], axis=0).tolist(),
        reached=shares.mean(axis=0).tolist(),
        dose=dose_limit(doses, shares, target=target, level=evaluation.level, resamples=evaluation.resamples, rng=rng),
    )


def _found(
    fields: Sequence[dict[str, Any]],
    scores: str,
    null: str,
    evaluation: EvaluationConfig,
    config: PhysicsConfig,
    seed: int,
) -> Detection:
    return detection(
        config.doses.values(),
        np.array([field["task"][scores] for field in fields]),
        np.concatenate([field["task"][null] for field in fields]),
        target=config.found,
        false_share=config.false_share,
        level=evaluation.level,
        resamples=evaluation.resamples,
        rng=generator(seed, "bootstrap"),
    )


def _counts(fields: Sequence[dict[str, Any]], config: PhysicsConfig, pixels: int) -> SeriesCounts:
    """Return the segmented pixels as those of a network: one frame of each structure, its support, and vacuum."""
    doses = config.doses.values()
    predicted = np.array([field["task"]["predicted"] for field in fields], dtype=np.int64)
    supported = np.array([field["support"] for field in fields])
    truth = np.array([field["truth"] for field in fields], dtype=np.int64)
    return SeriesCounts(
        doses=doses,
        true_positive=np.array([field["task"]["true_positive"] for field in fields], dtype=np.int64),
        predicted=predicted[:, 0],
        truth=np.repeat(truth[:, None], doses.size, axis=1),
        support_predicted=predicted[supported, 1],
        vacuum_predicted=predicted[:, 2],
        pixels=pixels,
    )
