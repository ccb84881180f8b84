"""What a training step of images of 221x221 pixels costs on a GPU, and how fast its readers feed it.

U-nets of four widths and the MSD-net as it ships, in bfloat16 as trainings are there: the parts of a step, medians of
ten after three that warm up. Before that, the logits of the shipped U-net on the GPU against those on the CPU. Then the
batches of a small dataset, read by as many processes as a training takes. The last line is one JSON object.

    python benchmarks/training_gpu.py
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from framedose.dataset.folder import make_dataset
from framedose.dataset.recipe import DatasetRecipe
from framedose.networks.preprocess import normalise
from framedose.networks.registry import build_network
from framedose.networks.unet import UNet
from framedose.networks.weights import load_network
from framedose.study.config import study_config
from framedose.study.training import TrainingData
from framedose.training.batches import batches
from framedose.training.processes import readers
from framedose.training.speed import synchronise
from framedose.workers import workers

SIDE = 221
WARM, STEPS = 3, 10


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="test the benchmark itself on the CPU, on little")
    smoke = parser.parse_args().smoke
    if not (smoke or torch.cuda.is_available()):
        sys.exit("no CUDA device: this benchmark needs one (--smoke tests the benchmark itself on the CPU)")
    device = torch.device("cpu" if smoke else "cuda")
    result: dict = {"device": "cpu" if smoke else torch.cuda.get_device_name(), "difference": difference(device)}
    print(f"logits of the U-net, relative to those of the CPU: {result['difference']}")
    unet, msdnet = load_network("unet").network.config, load_network("msdnet").network.config
    configs = {f"U-net of width {width}": unet.model_copy(update={"width": width}) for width in (8, 12, 16, 32)}
    for name, config in (configs | {"MSD-net": msdnet}).items():
        for batch in (1,) if smoke else (16, 64) if isinstance(config, type(unet)) else (16,):
            parts = step_parts(build_network(config, seed=0).to(device), batch, device)
            rate = 1e3 * batch / sum(parts.values())
            result[f"{name}, {batch}"] = parts | {"images_per_second": round(rate)}
            print(f"{name}, batches of {batch}: {parts} ms, {rate:.0f} images per second", flush=True)
    result["read_per_second"] = read_per_second(1 if smoke else readers(device), 4 if smoke else 400)
    print(f"read: {result['read_per_second']:.0f} images per second")
    print(json.dumps(result))


@torch.no_grad()
def difference(device: torch.device) -> dict[str, float]:
    """Return the relative norm of the difference of the logits in float32 and bfloat16."""
    network: UNet = load_network("unet").network
    images = normalise(torch.randn(4, SIDE, SIDE, generator=torch.Generator().manual_seed(0)), 165)
    expected, network = network(images), network.to(device)
    torch.backends.cudnn.allow_tf32 = False
    found = {"float32": network(images.to(device))}
    torch.backends.cudnn.allow_tf32 = True
    with torch.autocast(device.type, torch.bfloat16):
        found["bfloat16"] = network(images.to(device))
    return {
        kind: float(f"{(logits.cpu().float() - expected).norm() / expected.norm():.2g}")
        for kind, logits in found.items()
    }


def step_parts(network: torch.nn.Module, batch: int, device: torch.device) -> dict[str, float]:
    """Return the times of the parts of a training step [ms]."""
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, amsgrad=True)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.999), use_buffers=True)
    images = torch.randn(batch, SIDE, SIDE, device=device)
    truth = (torch.rand(batch, 1, SIDE, SIDE, device=device) < 0.2).float()
    times: dict[str, list[float]] = {name: [] for name in ("normalise", "forward", "backward", "optimiser", "average")}

    def timed(name: str, task: Callable[[], torch.Tensor | None]) -> torch.Tensor | None:
        start = time.perf_counter()
        done = task()
        synchronise(device)
        times[name].append(1e3 * (time.perf_counter() - start))
        return done

    def forward(shown: torch.Tensor) -> torch.Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            logits = network(shown)
        return functional.binary_cross_entropy_with_logits(logits.float(), truth)

    def optimise() -> None:
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()

    for _ in range(WARM + STEPS):
        shown = timed("normalise", partial(normalise, images, 165))
        loss = timed("forward", partial(forward, shown))
        optimizer.zero_grad()
        timed("backward", loss.backward)
        timed("optimiser", optimise)
        timed("average", partial(average.update_parameters, network))
    return {name: round(statistics.median(values[WARM:]), 1) for name, values in times.items()}


def read_per_second(processes: int, count: int) -> float:
    """Return the images that so many processes read in a second, of ``count`` batches of 16, a third to warm up."""
    counts = {"structures": 6, "validation_structures": 1, "image_epochs": 4, "gpts": 512}
    recipe = DatasetRecipe.model_validate(study_config("general").dataset.model_dump() | counts)
    config = study_config("general", {"unet": {"training": {"batch": 16}}}).unet.training
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "data"
        make_dataset(recipe, 0, folder, partial(workers, 2))
        images = TrainingData(folder, recipe, 0).images(config, 1)
        first = count // 3
        for number, _ in enumerate(batches(images, config, seed=0, start=0, stop=count, readers=processes)):
            if number == first:
                begun = time.perf_counter()
        return config.batch * (count - 1 - first) / (time.perf_counter() - begun)


if __name__ == "__main__":
    main()
