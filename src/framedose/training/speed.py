"""What makes a training step fast.

On a GPU, the fastest way to run a U-net is chosen by measurement; the MSD-net's kernels are fused as they are. On a
CPU, gradients are kept from becoming so small that they are slow.
"""

import math
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

# Steps that are timed, after one that compiles and warms up.
_STEPS = 3
# Of a pixel; in a batch of a million the uncertain ones have more than 1e-8, and denormal numbers begin at 1e-38.
_LEAST_GRADIENT = 1e-15


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


def kept_from_vanishing(gradient: Tensor) -> Tensor:
    """Return the gradient of the logits, nowhere smaller than what is lost in the sum over the pixels.

    Where a network is certain the gradient is many orders smaller than elsewhere, or zero. In the layers further down
    it becomes a denormal number, at the edge of zeros too, and with these CPUs are many times slower
    (benchmarks/unet_step.py). PyTorch could flush them, but only in threads that it has not started yet.
    """
    return gradient.abs().clamp(min=_LEAST_GRADIENT).copysign(gradient)


def synchronise(device: torch.device) -> None:
    """Wait until a device has finished."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
