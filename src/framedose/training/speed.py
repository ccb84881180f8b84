"""What makes a training step fast.

On a GPU, the fastest way to run a U-net is chosen by measurement; the MSD-net's kernels are fused as they are. On a
CPU, numbers too small for full precision are taken for zero.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

# Steps that are timed, after one that compiles and warms up.
_STEPS = 3


def choose_fastest(network: nn.Module, step: Callable[[], object]) -> str:
    """Compile ``network`` in place if that makes it faster, and return ``"compiled"`` or ``"eager"``.

    Parameters
    ----------
    network
        Its state is afterwards what it was before.
    step
        Runs it forward and backward on an example, and waits until the device has finished.
    """
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    eager, compiled = _seconds(step), math.inf
    network.compile()
    try:
        compiled = _seconds(step)
    except Exception:  # A compiler can fail in any way, and training does not need it.
        compiled = math.inf
    if compiled >= eager:
        network._compiled_call_impl = None
    network.zero_grad()
    # Batch normalisation has seen the example.
    network.load_state_dict(before)
    return "compiled" if compiled < eager else "eager"


def _seconds(step: Callable[[], object]) -> float:
    step()
    start = time.perf_counter()
    for _ in range(_STEPS):
        step()
    return (time.perf_counter() - start) / _STEPS


@contextmanager
def denormals_flushed() -> Iterator[None]:
    """Let this thread take denormal numbers for zero.

    The gradient of a pixel that the network is certain of is such a number, and some CPUs take five times as long for a
    step that has them (benchmarks/unet_step.py).
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def synchronise(device: torch.device) -> None:
    """Wait until a device has finished."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
