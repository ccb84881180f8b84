"""The MSD-net's GPU kernel against the plain PyTorch network, eager and compiled: time, memory, share of the ceilings.

50 layers of 9x9, images of 512x512. A training step is the forward pass, binary cross entropy with logits, and the
backward pass, without optimiser. Times are medians of alternating rounds after a warm-up, by the device's own clock;
memory is the peak of one training step above what parameters and images take. ``float32`` is multiplied without
TF32, ``tf32`` with it, in both networks. The ceilings are measured in the same run: the rate of copies, and that of
matrix products (for float32, a third of TF32's: three such products make an exact one). The shares count the
multiplications of the convolutions and, of memory, every map read once for each layer that takes it.

The kernel is checked against double precision first. Prints as it goes; measures what fits into ``--seconds``, the
last line is one JSON object. A null is what failed, mostly for want of memory; what is
missing did not fit into the time.

Run with ``python benchmarks/msdnet_gpu.py``. With ``--smoke`` it runs on a tiny network on the CPU, in Triton's
interpreter, to test the benchmark itself; those times mean nothing.
"""

import argparse
import copy
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import torch

COMPILING = 150
"""Time that is kept for the rest before something is compiled [s]."""
TURNS = 15
"""Time after which no new round of one comparison begins [s]."""
KINDS = {"float32": torch.float32, "tf32": torch.float32, "bfloat16": torch.bfloat16}
TOLERANCE = {"float32": 1e-4, "tf32": 2e-2, "bfloat16": 5e-2}
"""Largest relative norm of the error of a result; bfloat16 has 8 bits, and rounds in every layer."""


class Plan(NamedTuple):
    """What is measured."""

    device: str
    side: int
    layers: int
    kernel: int
    max_dilation: int
    kinds: tuple[str, ...]
    widths: tuple[int, ...]
    batches: tuple[int, ...]
    rounds: int
    matrix: int


FULL = Plan("cuda", 512, 50, 9, 10, ("float32", "tf32", "bfloat16"), (1, 4), (1, 4, 16), 5, 8192)
SMOKE = Plan("cpu", 10, 2, 3, 2, ("float32",), (1,), (1, 2), 1, 64)


def milliseconds(device: str, task: Callable[[], object]) -> float:
    """Return the time of a task, by the device's own clock if it has one [ms]."""
    if device == "cpu":
        start = time.perf_counter()
        task()
        return 1e3 * (time.perf_counter() - start)
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    begin.record()
    task()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end)


def alternate(device: str, tasks: dict[str, Callable[[], object]], rounds: int) -> dict[str, float | None]:
    """Return the median time of each task [ms], none of one that fails; they take turns, not long after `TURNS`."""
    times: dict[str, list[float]] = {name: [] for name in tasks}
    failed, begun = set(), 0.0
    for i in range(rounds + 1):
        if i == 1:
            begun = time.monotonic()  # the first round compiles, and does not count
        if i > 1 and time.monotonic() - begun > TURNS:
            break
        for name in [name for name in tasks if name not in failed]:
            try:
                taken = milliseconds(device, tasks[name])
            except Exception as error:  # out of memory, or the compiler's: the others can still be measured
                print(f"{name} failed: {type(error).__name__}: {str(error)[:200]}", flush=True)
                failed.add(name)
                torch.cuda.empty_cache()
                continue
            if i > 0:
                times[name].append(taken)
    return {name: None if name in failed else statistics.median(values) for name, values in times.items()}


def peak_memory(device: str, task: Callable[[], object]) -> float | None:
    """Return what a task takes beyond what is there already [MB]."""
    if device == "cpu":
        return None
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    try:
        task()
    except Exception:  # out of memory; said already by `alternate`
        torch.cuda.empty_cache()
        return None
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 1e6


@contextmanager
def multiplying(kind: str):
    """Multiply float32 as TF32, or not."""
    precision, convolutions = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if kind == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = kind == "tf32"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.backends.cudnn.allow_tf32 = convolutions


def ceilings(plan: Plan) -> dict[str, float]:
    """Return the rate of copies [GB/s] and of matrix products [TFLOP/s]."""
    source = torch.zeros(64 * plan.matrix**2 // 16, device=plan.device)
    target = torch.empty_like(source)
    taken = alternate(plan.device, {"copy": partial(target.copy_, source)}, 10)["copy"]
    rates = {"copy": 2 * source.numel() * 4 / taken / 1e6}
    for kind in ("tf32", "bfloat16"):
        a, b = torch.randn(2, plan.matrix, plan.matrix, device=plan.device).to(KINDS[kind])
        with multiplying(kind):
            taken = alternate(plan.device, {"product": partial(torch.mm, a, b)}, 10)["product"]
        rates[kind] = 2 * plan.matrix**3 / taken / 1e9
    rates["float32"] = rates["tf32"] / 3
    return rates


def step(net: torch.nn.Module, image: torch.Tensor, target: torch.Tensor) -> None:
    """Run the forward and the backward pass."""
    net.zero_grad()
    torch.nn.functional.binary_cross_entropy_with_logits(net(image), target).backward()


@torch.no_grad()
def forward(net: torch.nn.Module, image: torch.Tensor) -> None:
    """Run the forward pass alone."""
    net(image)


def network(plan: Plan, width: int, backend: str, kind: str) -> torch.nn.Module:
    """Make the network."""
    from framedose.networks.config import MSDNetConfig
    from framedose.networks.msdnet import MSDNet

    config = MSDNetConfig(layers=plan.layers, width=width, kernel=plan.kernel, max_dilation=plan.max_dilation)
    return MSDNet(config, seed=0, backend=backend).to(plan.device, KINDS[kind])


def data(plan: Plan, batch: int, kind: str, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images of noise and masks."""
    draw = torch.Generator().manual_seed(0)
    image = torch.randn(batch, 1, side, side, generator=draw)
    mask = torch.rand(batch, 1, side, side, generator=draw) < 0.2
    return image.to(plan.device, KINDS[kind]), mask.to(plan.device, KINDS[kind])


def largest_error(plan: Plan, width: int, kind: str) -> float:
    """Return the largest relative norm of the error of the logits and the gradients, against double precision.

    The slope is near one: else a value near zero whose sign changes by rounding would change the gradient by all of it.
    Parameters are taken together: a bias alone can have a gradient near zero.
    """
    net = network(plan._replace(layers=min(plan.layers, 12)), width, "cuda", kind)
    net.slope = 0.9
    exact = copy.deepcopy(net).double()
    exact.backend = "reference"
    image, target = data(plan, 2, kind, min(plan.side, 96))
    results = []
    for one in (net, exact):
        logits = one(image.to(one.final.weight.dtype))
        torch.nn.functional.binary_cross_entropy_with_logits(logits.double(), target.double()).backward()
        results.append([logits.detach(), torch.cat([parameter.grad.flatten() for parameter in one.parameters()])])
    return max(float((ours.double() - true).norm() / true.norm()) for ours, true in zip(*results, strict=True))


def work(plan: Plan, width: int, batch: int, kind: str) -> dict[str, tuple[float, float]]:
    """Return the multiplications and additions, and the least bytes, of the forward pass and of a step."""
    inputs = 1 + sum(layer * width for layer in range(1, plan.layers))
    pixels, value = batch * plan.side**2, KINDS[kind].itemsize
    flops = 2 * inputs * width * plan.kernel**2 * pixels
    maps = (inputs + plan.layers * width) * value * pixels
    # Backward, every input map is read once more, and its gradient, float32, is read and written.
    return {"forward": (flops, maps), "step": (3 * flops, maps + inputs * (value + 8) * pixels)}


def measure(plan: Plan, rates: dict[str, float], width: int, batch: int, kind: str, compiled: bool) -> dict:
    """Measure one size."""
    nets = {"cuda": network(plan, width, "cuda", kind), "eager": network(plan, width, "reference", kind)}
    if compiled:
        nets["compiled"] = torch.compile(nets["eager"], dynamic=False)
    image, target = data(plan, batch, kind, plan.side)
    result: dict = {"kind": kind, "width": width, "batch": batch}
    with multiplying(kind):
        for name, task in {"forward": forward, "step": step}.items():
            given = (image,) if name == "forward" else (image, target)
            times = alternate(plan.device, {key: partial(task, net, *given) for key, net in nets.items()}, plan.rounds)
            result[f"{name}_ms"] = times
            flops, least = work(plan, width, batch, kind)[name]
            if times["cuda"] is not None:
                result[f"{name}_arithmetic_share"] = flops / times["cuda"] / 1e9 / rates[kind]
                result[f"{name}_bandwidth_share"] = least / times["cuda"] / 1e6 / rates["copy"]
        # How long the host is busy: where this is as long as the step, the device waits for it.
        start = time.perf_counter()
        forward(nets["cuda"], image)
        result["forward_launch_ms"] = 1e3 * (time.perf_counter() - start)
        result["step_memory_mb"] = {
            name: peak_memory(plan.device, partial(step, net, image, target)) for name, net in nets.items()
        }
    return result


def rounded(value):
    """Round all numbers of a result to four digits."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def run(plan: Plan, seconds: float) -> None:
    """Check, measure and print, in about so many seconds."""
    begun = time.monotonic()
    left = lambda: seconds - (time.monotonic() - begun)  # noqa: E731
    name = torch.cuda.get_device_name() if plan.device == "cuda" else "cpu"
    print(f"{name}, torch {torch.__version__}")
    errors = {}
    for kind in plan.kinds:
        for width in plan.widths:
            with multiplying(kind):
                error = errors[f"{kind} {width}"] = largest_error(plan, width, kind)
            print(f"{kind:9} width {width}: largest relative error {error:.1e}", flush=True)
            if not error <= TOLERANCE[kind]:
                raise SystemExit(f"wrong results: more than {TOLERANCE[kind]:.0e}")
    rates = ceilings(plan)
    print(f"ceilings, copies in GB/s and products in TFLOP/s: {rounded(rates)}", flush=True)
    results, slowest = [], 0.0
    for batch in plan.batches:
        for width in plan.widths:
            for kind in plan.kinds:
                if left() < 4 * slowest:  # the next batch is four times as large
                    continue
                # Compiling 50 layers takes long: for one batch only, as long as there is time.
                compiled = plan.device == "cuda" and batch == plan.batches[0] and left() > COMPILING
                start = time.monotonic()
                results.append(rounded(measure(plan, rates, width, batch, kind, compiled)))
                if not compiled:
                    slowest = max(slowest, time.monotonic() - start)
                print(f"[{seconds - left():.0f} s] {results[-1]}", flush=True)
    print(json.dumps({"device": name, "errors": rounded(errors), "ceilings": rounded(rates), "results": results}))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--smoke", action="store_true", help="test the benchmark itself on the CPU")
    parser.add_argument("--seconds", type=float, default=480, help="time after which nothing new is begun")
    arguments = parser.parse_args()
    if arguments.smoke:
        os.environ["TRITON_INTERPRET"] = "1"  # read when Triton is imported, which the first network does
        run(SMOKE, arguments.seconds)
    elif torch.cuda.is_available():
        run(FULL, arguments.seconds)
    else:
        sys.exit("no CUDA device: this benchmark needs one (--smoke tests the benchmark itself on the CPU)")


if __name__ == "__main__":
    main()
