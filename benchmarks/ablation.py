"""What each ingredient of network and training gives, at equal training time.

Every variant trains for the same minutes on the same dataset: its steps are set from a few timed ones, and a cosine
brings the rate to zero at the last of them; the plan is kept, so that other work beside the training costs time but not
steps. Scores are those of the validation structures, and with ``--series`` the dose [e/Å2] from which half of the
particle is seen on an unseen series, at a false area of 0.1 % on vacuum and on bare support at every dose. Stopped at
any moment, the same command goes on; what is finished is kept in ``--out``. The last line is one JSON object.

    framedose simulate --preset laptop --out laptop-data
    framedose simulate --preset laptop --series test --particles 40 --empty 60 --seed 1 --out unseen
    python benchmarks/ablation.py laptop-data --series unseen --minutes 10 --out ablation

Three classes need a dataset that was made with ``--support_class true``; the other variants take one too.

Of several datasets, as docs/shipped.md names them for ``best``, all but the first are mixed in by the variants that
leave one ingredient of ``best`` out, or none; the others are trained on the first alone:

    python benchmarks/ablation.py twinned supported --only best "best, width 8" --series unseen --minutes 10 --out best
"""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framedose.atomic import write_json
from framedose.config import merged
from framedose.evaluation.compare import FALSE_AREA, indices_at_false_area
from framedose.evaluation.limits import crossing, finite
from framedose.networks.registry import parameter_count
from framedose.study.config import study_config
from framedose.study.evaluate import measured_once
from framedose.study.predictors import load_predictor
from framedose.study.series import StoredSeries, open_series
from framedose.study.training import TrainingData, train_network
from framedose.training.objective import THRESHOLD

# Each differs from the preset laptop, whose U-net has the width 16 here, in settings of the network or the training.
UNET: dict[str, dict[str, Any]] = {
    "unet": {},
    "unet, batch norm": {"network": {"norm": "batch"}},
    "unet, width 8": {"network": {"width": 8}},
    "unet, width 32": {"network": {"width": 32}},
    "unet, local normalisation (50 Å)": {"network": {"normalise_window": 165}},
    "unet, 3x3, five levels": {"network": {"kernel": 3, "poolings": 4}},
    "unet, 3x3, five levels, batch norm": {"network": {"kernel": 3, "poolings": 4, "norm": "batch"}},
}
# Of the narrow U-net, what else could lower the dose.
TRAINING: dict[str, dict[str, Any]] = {
    "width 8, the paper's rate": {"training": {"schedule": "constant", "clip": None}},
    "width 8, no flips and turns": {"training": {"augment": False}},
    "width 8, running average": {"training": {"average": 0.998}},
    "width 8, batch of 8": {"training": {"batch": 8}},
    "width 8, images without end": {"training": {"endless": True}},
    "width 8, particle weighs 4": {"training": {"particle_weight": 4.0}},
    "width 8, three classes": {"network": {"classes": 3}},
}
MSDNET: dict[str, dict[str, Any]] = {
    "msdnet": {},
    "msdnet, width 2": {"network": {"width": 2}},
    "msdnet, 5x5, width 2": {"network": {"width": 2, "kernel": 5}},
    "msdnet, 24 layers": {"network": {"layers": 24}},
    "msdnet, local normalisation (50 Å)": {"network": {"normalise_window": 165}},
}
# A former ``best`` (16 channels), before it saw one pixel size only, from drawn weights, less one ingredient.
_BEST: dict[str, Any] = {
    "network": {"width": 16},
    "training": {"particle_weight": 1.5, "resample_to": None, "disturb": {"background": 0.25, "coarse_share": 0.15}},
}
BEST: dict[str, dict[str, Any]] = {
    "best": {},
    "best, width 8": {"network": {"width": 8}},
    "best, normalised as a whole": {"network": {"normalise_window": None}},
    "best, batch norm": {"network": {"norm": "batch"}},
    "best, particle weighs 1": {"training": {"particle_weight": 1.0}},
    "best, undisturbed": {"training": {"disturb": {"background": 0.0, "coarse_share": 0.0}}},
    "best, a constant rate": {"training": {"schedule": "constant"}},
    "best, no flips and turns": {"training": {"augment": False}},
}


@dataclass(frozen=True)
class Variant:
    """What a variant changes of a preset, and whether it sees all datasets."""

    preset: str
    kind: str
    changes: dict[str, Any]
    mixed: bool = False


VARIANTS = {
    **{name: Variant("laptop", "unet", merged({"network": {"width": 16}}, changes)) for name, changes in UNET.items()},
    **{name: Variant("laptop", "unet", changes) for name, changes in TRAINING.items()},
    **{name: Variant("laptop", "msdnet", changes) for name, changes in MSDNET.items()},
    **{name: Variant("general", "unet", merged(_BEST, changes), mixed=True) for name, changes in BEST.items()},
    "best, first dataset alone": Variant("general", "unet", _BEST),
}
TIMED_STEPS = 20


def main() -> None:
    """Train every variant and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, nargs="+", help="folders of framedose simulate")
    parser.add_argument("--minutes", type=float, default=10.0, help="training time of each variant")
    parser.add_argument("--out", type=Path, default=Path("ablation"), help="folder of the weights")
    parser.add_argument("--series", type=Path, help="folder of an unseen series of rising dose")
    parser.add_argument("--only", nargs="+", choices=list(VARIANTS), default=list(VARIANTS), help="names of variants")
    arguments = parser.parse_args()
    first, *more = arguments.dataset
    series = open_series(arguments.series) if arguments.series else None
    arguments.out.mkdir(parents=True, exist_ok=True)
    results = {}
    for name in arguments.only:
        data = TrainingData.of(first, *(more if VARIANTS[name].mixed else ()))
        results[name] = trained(data, arguments.out, name, arguments.minutes, series)
        print(f"{name:36}", *(f"{key} {value}" for key, value in results[name].items()), flush=True)
    print(json.dumps(results))


def trained(
    data: TrainingData, out: Path, name: str, minutes: float, series: StoredSeries | None
) -> dict[str, float | None]:
    """Train one variant, or go on with it, and return its size, its steps and its last scores."""
    variant = VARIANTS[name]
    slug = "".join(letter if letter.isalnum() else "-" for letter in name)
    plan = out / f"{slug}.plan.json"
    part = getattr(study_config(variant.preset, {variant.kind: variant.changes}), variant.kind)
    if not plan.exists():
        write_json(plan, {"steps": max(20, int(60 * minutes / step_seconds(data, out, slug, part)))})
    steps = json.loads(plan.read_text())["steps"]
    update = {"steps": steps, "validate_every": max(1, steps // 4)}
    training = part.training.model_validate(merged(part.training.model_dump(), update))
    result = train_network(data, out, slug, part.network, training, seed=0)
    scores: dict[str, float | None] = {
        "parameters": parameter_count(result.network),
        "steps": steps,
        "validation_loss": round(result.curves["validation_loss"][-1], 4),
        "validation_f1": round(result.curves["validation_f1"][-1], 4),
    }
    if series is not None:
        network = load_predictor(str(out / f"{slug}.safetensors"))
        made_from = {"series": series.made_from, "network": network.sha256}
        measured = measured_once(out, slug, network.predict, series, made_from, THRESHOLD)
        counts = measured.counts_at(indices_at_false_area(measured, FALSE_AREA))
        shares = (counts.true_positive / counts.truth).mean(axis=0)
        scores["dose_50_true_positive"] = finite(crossing(counts.doses, shares))
    return scores


def step_seconds(data: TrainingData, out: Path, slug: str, part: Any) -> float:
    """Return the seconds of a step, without its share of validations; a first short training warms up, untimed."""
    seconds = []
    for run, count in enumerate((2, 2, 2 + TIMED_STEPS)):
        training = part.training.model_copy(update={"steps": count, "validate_every": 10**6})
        start = time.perf_counter()
        train_network(data, out, f"timing-{slug}-{run}", part.network, training, seed=0)
        seconds.append(time.perf_counter() - start)
    for file in out.glob(f"timing-{slug}-*"):
        file.unlink()
    return (seconds[2] - seconds[1]) / TIMED_STEPS


if __name__ == "__main__":
    main()
