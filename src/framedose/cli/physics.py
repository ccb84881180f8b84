"""``framedose physics``: the doses that physics allows on a simulated series."""

from __future__ import annotations

from contextlib import ExitStack
from math import ceil
from pathlib import Path

from framedose.errors import FileFormatError


def physics(
    series: Path,
    /,
    *,
    split: str | None = None,
    threshold: float = 0.9,
    high_dose: float = 1000.0,
    templates: int = 200,
    workers: int | None = None,
    out: Path = Path("framedose-physics"),
) -> None:
    """Compute what physics allows on the structures of a simulated series.

    Three curves: the floor for any method that knows the signal exactly (likelihood ratio on the counts before the
    camera); the linear prewhitening observer on frames, which knows it exactly too; and the headline, the same observer
    averaged over particles, orientations, shifts and defoci, which has the task of a network. What is finished is kept:
    a computation that was stopped goes on. It needs an exit wave for each template and two for each structure.

    Examples:

      framedose physics framedose-study --out physics

      framedose evaluate framedose-study --physics physics/physics.json --baselines framedose-study

      framedose physics my-replica --templates 100

    Parameters
    ----------
    series
        Folder of "framedose simulate --series", or of a study.
    split
        Which series of the folder: test, replica or ramp.
    threshold
        Least probability, between 0 and 1, for a pixel of the observer's mask to belong to a particle.
    high_dose
        Least dose of the plateau of its area, in e/Å2.
    templates
        Particles that the averaged observer knows; none of them is in the series.
    workers
        Processes; one for each core by default.
    out
        Folder of the results and of what is kept.
    """
    from framedose.config import build
    from framedose.evaluation.summary import EvaluationConfig
    from framedose.study.labels import number
    from framedose.study.physics import physics_curves
    from framedose.study.physics_field import PhysicsConfig
    from framedose.study.series import open_series, origin
    from framedose.workers import wanted_workers
    from framedose.workers import workers as start

    processes = wanted_workers(workers)
    scored = build(EvaluationConfig, {"threshold": threshold, "high_dose": high_dose}, where="options")
    stored, (recipe, seed) = open_series(series, split), origin(series)
    if stored.split.digest(recipe, seed) != stored.made_from:
        raise FileFormatError(
            f"The series {stored.split.name!r} in {str(series)!r} was made by another recipe or version than its "
            "folder says: simulate it again."
        )
    # The false share is told from at least so many frames without a particle, over all structures.
    frames = ceil(1 / PhysicsConfig().false_share / stored.split.kinds.count("particle"))
    null_frames = max(PhysicsConfig().null_frames, frames)
    chosen = build(PhysicsConfig, {"templates": templates, "null_frames": null_frames}, where="options")
    with ExitStack() as stack:
        run = stack.enter_context(start(processes))
        result = physics_curves(recipe, stored.split, scored, chosen, seed=seed, folder=out, run=run)
    found, false = f"{chosen.found:.0%}", f"{chosen.false_share:.0%}"
    print(f"Dose [e/Å2] at which {found} of the particles are found at {false} false fields:")
    for name, dose in (
        ("the network's task (observer averaged over particles)", result.same_task.dose),
        ("signal known exactly, on frames (prewhitening)", result.prewhitening.dose),
        ("signal known exactly, on counts (likelihood ratio)", result.likelihood_ratio.dose),
    ):
        print(f"  {name:<54} {number(dose.value)} ({number(dose.low)} to {number(dose.high)})")
    half = result.segmentation.dose_50_true_positive
    print(f"Half of the particle in the masks of that observer: {number(half.value)} e/Å2")
    print(f"All curves are in {out / 'physics.json'}")
