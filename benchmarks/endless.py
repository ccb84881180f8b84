"""Images per second from stored exit waves, drawn without end on the training device, at the paper's full resolution.

A few exit waves of the paper's recipe are made first (on the CPU, about a second each); then batches of new conditions,
cameras and noise are drawn from them, masks included. The last line is one JSON object.

    python benchmarks/endless.py --batch 16
"""

import argparse
import json
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import torch

from framedose.dataset.folder import make_dataset
from framedose.dataset.recipe import DatasetRecipe
from framedose.study.config import study_config
from framedose.study.training import TrainingData
from framedose.training.batches import Sample
from framedose.training.speed import synchronise
from framedose.workers import workers


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structures", type=int, default=8, help="exit waves to make")
    parser.add_argument("--batch", type=int, default=8, help="images of a batch")
    parser.add_argument("--batches", type=int, default=8, help="batches that are timed, after one that warms up")
    arguments = parser.parse_args()
    counts = {"structures": arguments.structures, "validation_structures": 1, "image_epochs": 1}
    recipe = DatasetRecipe.model_validate(study_config("paper").dataset.model_dump() | counts)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "data"
        make_dataset(recipe, 0, folder, partial(workers, 2))
        config = study_config("paper", {"unet": {"training": {"endless": True}}}).unet.training
        images = TrainingData(folder, recipe, 0).images(config, 1)
        seconds = []
        for batch in range(arguments.batches + 1):
            samples = [Sample(i, i % images.fields, batch * arguments.batch + i) for i in range(arguments.batch)]
            start = time.perf_counter()
            images.load(samples, batch)
            synchronise(device)
            seconds.append(time.perf_counter() - start)
    rate = arguments.batch / statistics.median(seconds[1:])
    print(f"{images.size[0]}x{images.size[1]} on {name}: {rate:.1f} images per second")
    print(json.dumps({"images_per_second": round(rate, 2), "device": name}))


if __name__ == "__main__":
    main()
