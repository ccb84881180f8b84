"""What training costs beside the network: the share of a step that waits for images, stored and endless.

A dataset like the preset ``laptop`` (128x128 pixels, summed 4x4) with fewer structures is made, and both networks of
that preset take steps on it, with a thread that reads ahead (stored) or without (endless). The time that a step waits
for its batch is compared with the whole step. The last line is one JSON object.

    python benchmarks/training.py
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from framedose.config import merged
from framedose.dataset.folder import make_dataset
from framedose.dataset.recipe import DatasetRecipe
from framedose.study.config import study_config
from framedose.study.training import TrainingData, train_network
from framedose.training import loop
from framedose.workers import workers


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structures", type=int, default=24, help="particles of the dataset")
    parser.add_argument("--steps", type=int, default=12, help="steps of each network; the first two are not counted")
    arguments = parser.parse_args()
    config = study_config("laptop")
    counts = {"structures": arguments.structures, "validation_structures": 4}
    recipe = DatasetRecipe.model_validate(merged(config.dataset.model_dump(), counts))
    result: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "data"
        make_dataset(recipe, 0, folder, partial(workers, 2))
        for network in ("unet", "msdnet"):
            for endless in (False, True):
                part = getattr(config, network)
                name = f"{network}_{'endless' if endless else 'stored'}"
                training = part.training.model_copy(update={"steps": arguments.steps, "endless": endless})
                waits, steps = timed(
                    partial(
                        train_network,
                        TrainingData(folder, recipe, 0),
                        Path(scratch),
                        name,
                        part.network,
                        training,
                        seed=0,
                    )
                )
                share = statistics.median(w / s for w, s in zip(waits, steps, strict=True))
                print(f"{name:16} step {statistics.median(steps):.3f} s, of which it waits {100 * share:.2f} %")
                result |= {f"{name}_step_seconds": statistics.median(steps), f"{name}_wait_share": share}
    print(json.dumps({name: round(value, 5) for name, value in result.items()}))


def timed(task: Any) -> tuple[list[float], list[float]]:
    """Run a training and return what each step waited for its batch, and took in all [s], without the first two."""
    waits, ends = [], []
    original = loop.batches

    def watched(*words: Any, **options: Any) -> Iterator[Any]:
        stream = original(*words, **options)
        while True:
            start = time.perf_counter()
            ends.append(start)
            batch = next(stream, None)
            if batch is None:
                return
            waits.append(time.perf_counter() - start)
            yield batch

    loop.batches = watched
    try:
        task()
    finally:
        loop.batches = original
    steps = [after - before for before, after in pairwise(ends)]
    # The last one holds the validation.
    return waits[2 : len(steps) - 1], steps[2:-1]


if __name__ == "__main__":
    main()
