"""The MSD-net kernel against the plain PyTorch network: time, memory, and share of the machine's matrix rate.

A training step is the forward pass, binary cross entropy with logits, and the backward pass, without optimiser. Times
are medians of alternating pairs after a warm-up; memory is the peak of one training step in a process of its own, above
what it held after imports, compilation and building the net. The parts, of which ``--only`` picks one:

speed
    50 layers of 9x9, width 1, one image of 256x256. The last line is one JSON object.
cases
    The same with 4 images of 128x128, and with 2 and 4 maps a layer on one such image.
growth
    Time and memory of a training step against the number of pixels, memory against the number of layers, as a table and
    drawn to ``--out``. With the powers that fit best: 1 is linear.

Run with ``python benchmarks/msdnet_cpu.py --out msdnet_cpu.png``.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from framedose.networks.config import MSDNetConfig
from framedose.networks.msdnet import MSDNet

SIDE = 256
MATRIX = 2048
CONFIG = MSDNetConfig()
OURS, PLAIN = "cpu", "reference"
# Width, side and batch, and rounds.
CASES = {(1, 128, 4): 2, (2, 128, 1): 2, (4, 128, 1): 2}
SIDES = {128: 5, 192: 5, 256: 5, 384: 3, 512: 3, 768: 2, 1024: 2}
LAYERS, LAYERS_SIDE = (10, 20, 30, 40, 50), 128


def step(net: MSDNet, image: torch.Tensor, target: torch.Tensor) -> None:
    """Run the forward and the backward pass."""
    net.zero_grad()
    torch.nn.functional.binary_cross_entropy_with_logits(net(image), target).backward()


@torch.no_grad()
def forward(net: MSDNet, image: torch.Tensor) -> None:
    """Run the forward pass alone."""
    net(image)


def data(side: int, batch: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images of noise and masks."""
    draw = torch.Generator().manual_seed(0)
    image = torch.randn(batch, 1, side, side, generator=draw)
    return image, (torch.rand(batch, 1, side, side, generator=draw) < 0.2).float()


def alternate(tasks: dict[str, Callable[[], object]], rounds: int = 5) -> dict[str, float]:
    """Return the median time of each task [s]; they take turns, so that a change of the machine meets them all."""
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for i in range(rounds + 1):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            if i > 0:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def times(config: MSDNetConfig, side: int, batch: int, rounds: int) -> dict[str, dict[str, float]]:
    """Return the times of a training step and of a forward pass [s] by backend, and of a matrix product."""
    nets = {backend: MSDNet(config, seed=0, backend=backend) for backend in (OURS, PLAIN)}
    image, target = data(side, batch)
    a, b = torch.randn(2, MATRIX, MATRIX)
    matrix: dict[str, Callable[[], object]] = {"matrix": partial(torch.mm, a, b)}
    return {
        "train": alternate({name: partial(step, net, image, target) for name, net in nets.items()} | matrix, rounds),
        "forward": alternate({name: partial(forward, net, image) for name, net in nets.items()}, rounds),
    }


def ratios(config: MSDNetConfig, side: int, batch: int, measured: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return how much faster ours is, and the share of the matrix product's rate that a training step reaches."""
    train, infer = measured["train"], measured["forward"]
    rate = 2 * MATRIX**3 / train["matrix"]
    layers = MSDNet(config, seed=0).layers
    products = sum(weight.numel() for weight in layers.parameters() if weight.ndim == 4) * side**2 * batch
    return {
        "train_speedup": train[PLAIN] / train[OURS],
        "forward_speedup": infer[PLAIN] / infer[OURS],
        "gemm_fraction": 3 * 2 * products / train[OURS] / rate,
    }


def peak_memory(backend: str, side: int, layers: int = CONFIG.layers) -> float:
    """Return what a training step adds to the resident memory [MB], measured in a new process."""
    command = [sys.executable, __file__, "--memory", backend, str(side), str(layers)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure_memory(backend: str, side: int, layers: int) -> float:
    """Return what a training step adds to the resident memory of this process [MB]."""
    tiny = MSDNet(CONFIG.model_copy(update={"layers": 2, "max_dilation": 1}), seed=0, backend=backend)
    step(tiny, *data(16))
    net, arguments = MSDNet(CONFIG.model_copy(update={"layers": layers}), seed=0, backend=backend), data(side)
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of the imports
    before = _resident("VmRSS")
    step(net, *arguments)
    return _resident("VmHWM") - before


def _resident(which: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(which))


def speed() -> None:
    """Print the comparison at the reference size."""
    memory = {backend: peak_memory(backend, SIDE) for backend in (OURS, PLAIN)}
    measured = times(CONFIG, SIDE, 1, 5)
    train, infer = measured["train"], measured["forward"]
    for name in (OURS, PLAIN):
        print(f"{name:9}  training step {train[name]:.3f} s, forward {infer[name]:.3f} s, memory {memory[name]:.0f} MB")
    rate = 2 * MATRIX**3 / train["matrix"]
    print(f"float32 matrix product: {rate / 1e9:.0f} GFLOP/s with {torch.get_num_threads()} threads")
    result = ratios(CONFIG, SIDE, 1, measured) | {"peak_memory_ratio": memory[OURS] / memory[PLAIN]}
    print(json.dumps({name: round(value, 4) for name, value in result.items()}))


def cases() -> None:
    """Print the comparison for other widths and sizes."""
    print("width  images         training step [s]  plain  speedup  forward [s]  plain  speedup  share of matrix rate")
    for (width, side, batch), rounds in CASES.items():
        config = CONFIG.model_copy(update={"width": width})
        measured = times(config, side, batch, rounds)
        train, infer, result = measured["train"], measured["forward"], ratios(config, side, batch, measured)
        print(
            f"{width:5}  {f'{batch} x {side} x {side}':13}  {train[OURS]:17.3f}  {train[PLAIN]:5.2f}"
            f"  {result['train_speedup']:7.1f}  {infer[OURS]:11.3f}  {infer[PLAIN]:5.2f}"
            f"  {result['forward_speedup']:7.1f}  {result['gemm_fraction']:20.2f}",
            flush=True,
        )


def growth(out: Path | None) -> None:
    """Print and draw how time and memory grow."""
    net = MSDNet(CONFIG, seed=0, backend=OURS)
    seconds = [alternate({OURS: partial(step, net, *data(side))}, rounds)[OURS] for side, rounds in SIDES.items()]
    memory = [peak_memory(OURS, side) for side in SIDES]
    deep = {backend: [peak_memory(backend, LAYERS_SIDE, n) for n in LAYERS] for backend in (OURS, PLAIN)}
    print("pixels       training step [s]  [us/pixel]  memory [MB]  [kB/pixel]")
    for side, second, size in zip(SIDES, seconds, memory, strict=True):
        print(
            f"{f'{side} x {side}':11}  {second:17.3f}  {second / side**2 * 1e6:10.2f}  {size:11.1f}"
            f"  {size / side**2 * 1e3:10.3f}"
        )
    print(f"layers at {LAYERS_SIDE} x {LAYERS_SIDE}  memory [MB]  plain [MB]")
    for layers, ours, plain in zip(LAYERS, deep[OURS], deep[PLAIN], strict=True):
        print(f"{layers:19}  {ours:11.1f}  {plain:10.1f}")
    pixels = [side**2 for side in SIDES]
    powers = {
        "time_power_pixels": power(pixels, seconds),
        "memory_power_pixels": power(pixels, memory),
        "memory_power_layers": power(LAYERS, deep[OURS]),
        "plain_memory_power_layers": power(LAYERS, deep[PLAIN]),
    }
    print(json.dumps({name: round(value, 3) for name, value in powers.items()}))
    if out is not None:
        draw(out, seconds, memory, deep)


def power(x: list[int] | tuple[int, ...], y: list[float]) -> float:
    """Return p of the best fit y = c x^p."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def draw(out: Path, seconds: list[float], memory: list[float], deep: dict[str, list[float]]) -> None:
    """Draw the three curves, each with the line through its last point and the origin."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.2), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    megapixels = [side**2 / 1e6 for side in SIDES]
    for axes, x, y, label in (
        (left, megapixels, seconds, "training step [s]"),
        (middle, megapixels, memory, "memory of a training step [MB]"),
        (right, LAYERS, deep[OURS], f"memory at {LAYERS_SIDE} x {LAYERS_SIDE} pixels [MB]"),
    ):
        axes.plot([0, x[-1]], [0, y[-1]], color="0.8", label="proportional")
        axes.plot(x, y, "o", color="C0", label="CPU kernel")
        axes.set_ylabel(label)
        axes.set_xlabel("pixels [10⁶]" if axes is not right else "layers")
    right.plot(LAYERS, deep[PLAIN], "s", color="C1", label="plain PyTorch")
    right.legend(frameon=False)
    figure.savefig(out, dpi=120)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("speed", "cases", "growth"))
    parser.add_argument("--out", type=Path, help="PNG file for the curves of growth")
    parser.add_argument("--memory", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)
    if given.memory:
        backend, side, layers = given.memory
        print(measure_memory(backend, int(side), int(layers)))
        return
    # The JSON object of the first part stays last.
    parts: dict[str, Callable[[], None]] = {"cases": cases, "growth": partial(growth, given.out), "speed": speed}
    for name, part in parts.items():
        if given.only in (None, name):
            part()


if __name__ == "__main__":
    main()
