"""The MSD-net kernel against the plain PyTorch network: time, memory, and share of the machine's matrix rate.

50 layers of 9x9, width 1, one image of 256x256. A training step is the forward pass, binary cross entropy with
logits, and the backward pass, without optimiser. Times are medians of 5 alternating pairs after a warm-up; memory is
the peak of one training step in a process of its own, above what it held after imports, compilation and building the
net. The last line is one JSON object.

Run with ``python benchmarks/msdnet_cpu.py``.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import torch

from framedose.networks.msdnet import MSDNet, MSDNetConfig

SIDE = 256
MATRIX = 2048
CONFIG = MSDNetConfig()
OURS, PLAIN = "cpu", "reference"


def step(net: MSDNet, image: torch.Tensor, target: torch.Tensor) -> None:
    """Run the forward and the backward pass."""
    net.zero_grad()
    torch.nn.functional.binary_cross_entropy_with_logits(net(image), target).backward()


@torch.no_grad()
def forward(net: MSDNet, image: torch.Tensor) -> None:
    """Run the forward pass alone."""
    net(image)


def data(side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return an image of noise and a mask."""
    draw = torch.Generator().manual_seed(0)
    image = torch.randn(1, 1, side, side, generator=draw)
    return image, (torch.rand(1, 1, side, side, generator=draw) < 0.2).float()


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


def peak_memory(backend: str) -> float:
    """Return what a training step adds to the resident memory [MB], measured in a new process."""
    output = subprocess.run([sys.executable, __file__, backend], check=True, capture_output=True, text=True)
    return float(output.stdout)


def measure_memory(backend: str) -> float:
    """Return what a training step adds to the resident memory of this process [MB]."""
    tiny = MSDNet(CONFIG.model_copy(update={"layers": 2, "max_dilation": 1}), seed=0, backend=backend)
    step(tiny, *data(16))
    net, arguments = MSDNet(CONFIG, seed=0, backend=backend), data(SIDE)
    with open("/proc/self/statm") as status:
        before = int(status.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    step(net, *arguments)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before) / 1e6


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(os.cpu_count() or 1)
    memory = {backend: peak_memory(backend) for backend in (OURS, PLAIN)}
    nets = {backend: MSDNet(CONFIG, seed=0, backend=backend) for backend in (OURS, PLAIN)}
    image, target = data(SIDE)
    a, b = torch.randn(2, MATRIX, MATRIX)
    train = alternate(
        {name: partial(step, net, image, target) for name, net in nets.items()} | {"matrix": partial(torch.mm, a, b)}
    )
    infer = alternate({name: partial(forward, net, image) for name, net in nets.items()})
    rate = 2 * MATRIX**3 / train["matrix"]
    macs = sum(layer.weight.numel() for layer in nets[OURS].layers) * SIDE**2
    for name in (OURS, PLAIN):
        print(f"{name:9}  training step {train[name]:.3f} s, forward {infer[name]:.3f} s, memory {memory[name]:.0f} MB")
    print(f"float32 matrix product: {rate / 1e9:.0f} GFLOP/s with {torch.get_num_threads()} threads")
    result = {
        "train_speedup": train[PLAIN] / train[OURS],
        "forward_speedup": infer[PLAIN] / infer[OURS],
        "peak_memory_ratio": memory[OURS] / memory[PLAIN],
        "gemm_fraction": 3 * 2 * macs / train[OURS] / rate,
    }
    print(json.dumps({name: round(value, 4) for name, value in result.items()}))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(measure_memory(sys.argv[1]))
    else:
        main()
