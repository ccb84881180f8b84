"""``framedose physics``: the doses that physics allows on the test series of a study."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

from framedose.errors import ConfigurationError, FileFormatError


def physics(
    study: Path,
    /,
    *,
    templates: int = 200,
    workers: int | None = None,
    out: Path = Path("framedose-physics"),
) -> None:
    """Compute what physics allows on the structures of a study's test series.

    Three curves: the floor for any method that knows the signal exactly (likelihood ratio on the counts before the
    camera); the linear prewhitening observer on frames, which knows it exactly too; and the headline, the same observer
    averaged over particles, orientations, shifts and defoci, which has the task of a network. What is finished is kept:
    a computation that was stopped goes on. It needs an exit wave for each template and two for each structure.

    Examples:

      framedose physics framedose-study --out physics

      framedose evaluate framedose-study --physics physics/physics.json --baselines framedose-study

    Parameters
    ----------
    study
        Folder of "framedose study".
    templates
        Particles that the averaged observer knows; none of them is in the test series.
    workers
        Processes; one for each core by default.
    out
        Folder of the results and of what is kept.
    """
    from framedose.config import build
    from framedose.dataset.workers import cores
    from framedose.dataset.workers import workers as start
    from framedose.study.config import StudyConfig
    from framedose.study.labels import number
    from framedose.study.physics import physics_curves
    from framedose.study.physics_field import PhysicsConfig

    card = study / "study.json"
    if not card.is_file():
        raise FileFormatError(f"{str(study)!r} is no study: give the folder of framedose study.")
    if workers is not None and workers < 1:
        raise ConfigurationError(f"--workers must be at least 1, got {workers}.")
    config = build(StudyConfig, json.loads(card.read_text(encoding="utf-8"))["config"], where=str(card))
    chosen = build(PhysicsConfig, {"templates": templates}, where="options")
    with ExitStack() as stack:
        run = stack.enter_context(start(workers or cores()))
        result = physics_curves(config.dataset, config.evaluation, chosen, seed=config.seed, folder=out, run=run)
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
