"""What makes a U-net's step fast on a CPU: the order of its channels in memory, and no denormal numbers.

Two ways each take turns, and the medians are printed, for U-nets of the shipped widths: one image of 512x512 forward,
and a training step of 4 images of 128x128, with the channels of a pixel side by side, as framedose keeps them, and in
PyTorch's own order; then a step with half of the pixels as certain as a U-net becomes that trains long on one kind of
specimen (logits of -100), with denormal numbers taken for zero, as in framedose's training, and kept. The last line is
one JSON object: how many times faster each makes each.

    python benchmarks/unet_step.py --threads 1
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch

from framedose.networks.unet import UNet, UNetConfig
from framedose.training.objective import loss_of
from framedose.training.speed import denormals_flushed

WIDTHS = (8, 16)
CERTAIN = -100.0

Runs = dict[str, Callable[[], None]]


def main() -> None:
    """Print times and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads of PyTorch")
    parser.add_argument("--repeats", type=int, default=9, help="runs of which the median is taken")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    ratios = {}
    for width in WIDTHS:
        network = UNet(UNetConfig(width=width, convolutions=2), seed=0)
        cases = {
            "forward": layouts(network, lambda network=network: forward(network)),
            "training step": layouts(network, lambda network=network: step(network, 0.0)),
            "step, certain pixels": denormals(lambda network=network: step(network, CERTAIN)),
        }
        for case, runs in cases.items():
            seconds = medians(runs, arguments.repeats)
            print(f"width {width:2}, {case:20}", *(f"{name} {value:.3f} s" for name, value in seconds.items()))
            ours, other = seconds.values()
            ratios[f"{case}, width {width}"] = round(other / ours, 2)
    print(json.dumps(ratios))


def layouts(network: UNet, run: Callable[[], None]) -> Runs:
    """Return the run in each order of the channels."""

    def arranged(layout: torch.memory_format) -> Callable[[], None]:
        def whole() -> None:
            network.to(memory_format=layout)  # type: ignore[call-overload]
            run()

        return whole

    return {"channels last": arranged(torch.channels_last), "channels first": arranged(torch.contiguous_format)}


def denormals(run: Callable[[], None]) -> Runs:
    """Return the run without denormal numbers and with them."""
    return {"denormals flushed": denormals_flushed()(run), "denormals kept": run}


def medians(runs: Runs, repeats: int) -> dict[str, float]:
    """Return the median seconds of each, after a run of each that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values[1:]) for name, values in seconds.items()}


def forward(network: UNet) -> None:
    """Run the network on one image."""
    with torch.inference_mode():
        network(torch.randn(1, 1, 512, 512))


def step(network: UNet, shift: float) -> None:
    """Run it forward and backward on a batch, the logits of the left halves shifted."""
    network.zero_grad()
    left = (torch.arange(128) < 64).float()
    logits = network(torch.randn(4, 1, 128, 128)) + shift * left
    loss_of(logits, torch.zeros(4, 128, 128, dtype=torch.bool)).mean().backward()


if __name__ == "__main__":
    main()
