"""What the settings do that the paper leaves open: norm, width and input normalisation, at equal training time.

Every variant trains for the same minutes on the same dataset: its steps are set from a few timed ones, and a cosine
brings the rate to zero at the last of them; the plan is kept, so that other work beside the training costs time but not
steps. Scores are those of the validation structures. Stopped at any moment, the
same command goes on; what is finished is kept in ``--out``. The last line is one JSON object.

    framedose simulate --preset laptop --out laptop-data
    python benchmarks/ablation.py laptop-data --minutes 10 --out ablation
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from framedose.atomic import write_json
from framedose.config import merged
from framedose.networks.registry import build_network, parameter_count
from framedose.study.config import study_config
from framedose.study.training import TrainingData, train_network

UNET: dict[str, dict[str, Any]] = {
    "unet": {},
    "unet, batch norm": {"norm": "batch"},
    "unet, width 8": {"width": 8},
    "unet, width 32": {"width": 32},
    "unet, local normalisation (50 Å)": {"normalise_window": 165},
    "unet, 3x3, five levels": {"kernel": 3, "poolings": 4},
    "unet, 3x3, five levels, batch norm": {"kernel": 3, "poolings": 4, "norm": "batch"},
}
MSDNET: dict[str, dict[str, Any]] = {
    "msdnet": {},
    "msdnet, width 2": {"width": 2},
    "msdnet, 5x5, width 2": {"width": 2, "kernel": 5},
    "msdnet, 24 layers": {"layers": 24},
    "msdnet, local normalisation (50 Å)": {"normalise_window": 165},
}
TIMED_STEPS = 6


def main() -> None:
    """Train every variant and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, help="folder of framedose simulate")
    parser.add_argument("--minutes", type=float, default=10.0, help="training time of each variant")
    parser.add_argument("--out", type=Path, default=Path("ablation"), help="folder of the weights")
    parser.add_argument("--only", nargs="+", help="names of variants")
    arguments = parser.parse_args()
    data = TrainingData.of(arguments.dataset)
    arguments.out.mkdir(parents=True, exist_ok=True)
    results = {}
    for kind, variants in (("unet", UNET), ("msdnet", MSDNET)):
        for name, changes in variants.items():
            if not arguments.only or name in arguments.only:
                results[name] = trained(data, arguments.out, kind, name, changes, arguments.minutes)
                print(f"{name:36}", *(f"{key} {value:g}" for key, value in results[name].items()), flush=True)
    print(json.dumps(results))


def trained(
    data: TrainingData, out: Path, kind: str, name: str, changes: dict[str, Any], minutes: float
) -> dict[str, float]:
    """Train one variant, or go on with it, and return its size, its steps and its last scores."""
    slug = "".join(letter if letter.isalnum() else "-" for letter in name)
    plan = out / f"{slug}.plan.json"
    part = getattr(study_config("laptop", {kind: {"network": changes}}), kind)
    if not plan.exists():
        write_json(plan, {"steps": max(20, int(60 * minutes / step_seconds(data, out, slug, part)))})
    steps = json.loads(plan.read_text())["steps"]
    update = {"steps": steps, "validate_every": max(1, steps // 4)}
    training = part.training.model_validate(merged(part.training.model_dump(), update))
    curves = train_network(data, out, slug, part.network, training, seed=0).curves
    return {
        "parameters": parameter_count(build_network(part.network, seed=0)),
        "steps": steps,
        "validation_loss": round(curves["validation_loss"][-1], 4),
        "validation_f1": round(curves["validation_f1"][-1], 4),
    }


def step_seconds(data: TrainingData, out: Path, slug: str, part: Any) -> float:
    """Return the seconds of a step, without its share of validations; the first ones compile and warm up."""
    seconds = []
    for count in (2, 2 + TIMED_STEPS):
        training = part.training.model_copy(update={"steps": count, "validate_every": 10**6})
        start = time.perf_counter()
        train_network(data, out, f"timing-{slug}-{count}", part.network, training, seed=0)
        seconds.append(time.perf_counter() - start)
    for file in out.glob(f"timing-{slug}-*"):
        file.unlink()
    return (seconds[1] - seconds[0]) / TIMED_STEPS


if __name__ == "__main__":
    main()
