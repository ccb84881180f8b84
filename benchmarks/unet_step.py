"""What makes a U-net's step fast on a CPU: the order of its channels in memory, and gradients that do not vanish.

Two ways each take turns, and the medians are printed, for U-nets of the shipped widths: one image of 512x512 forward,
and a training step of 4 images of 128x128, with the channels of a pixel side by side, as framedose keeps them, and in
PyTorch's own order; then a step with most of the pixels as certain as a U-net becomes that trains long on one kind of
specimen (logits from -60 to -100), their gradients kept from vanishing, as in framedose's training, and not. The last
line is one JSON object: how many times faster each makes each.

    python benchmarks/unet_step.py --threads 1
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from framedose.networks.config import UNetConfig
from framedose.networks.unet import UNet
from framedose.training.objective import loss_of
from framedose.training.speed import kept_from_vanishing

WIDTHS = (8, 16)
CERTAIN = torch.linspace(-100, -60, 112)
LAYOUTS = {"channels last": torch.channels_last, "channels first": torch.contiguous_format}


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
            "forward": {name: partial(arranged, forward, network, layout) for name, layout in LAYOUTS.items()},
            "training step": {name: partial(arranged, step, network, layout) for name, layout in LAYOUTS.items()},
            "step, certain pixels": {
                "kept from vanishing": partial(step, network, CERTAIN, kept_from_vanishing),
                "as they are": partial(step, network, CERTAIN),
            },
        }
        for case, runs in cases.items():
            # As framedose keeps it; the case before left it in the other order.
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            seconds = medians(runs, arguments.repeats)
            print(f"width {width:2}, {case:20}", *(f"{name} {value:.3f} s" for name, value in seconds.items()))
            ours, other = seconds.values()
            ratios[f"{case}, width {width}"] = round(other / ours, 2)
    print(json.dumps(ratios))


def arranged(run: Callable[[UNet], None], network: UNet, layout: torch.memory_format) -> None:
    """Run a network with its channels in an order."""
    run(network.to(memory_format=layout))  # type: ignore[call-overload]


def medians(runs: dict[str, Callable[[], None]], repeats: int) -> dict[str, float]:
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


def step(network: UNet, shift: Tensor | None = None, hook: Callable[[Tensor], Tensor] | None = None) -> None:
    """Run it forward and backward on a batch, the logits of the first columns shifted."""
    network.zero_grad()
    logits = network(torch.randn(4, 1, 128, 128))
    if shift is not None:
        logits = logits + F.pad(shift, (0, 128 - len(shift)))
    if hook is not None:
        logits.register_hook(hook)
    loss_of(logits, torch.zeros(4, 128, 128, dtype=torch.bool)).mean().backward()


if __name__ == "__main__":
    main()
