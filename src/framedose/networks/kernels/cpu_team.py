"""How threads share the work of a kernel: tasks are handed out as threads become free.

numba's own parallel loops wait by spinning, in the same OpenMP library as PyTorch: with anything else running on the
machine a training step took three times as long. They also compile slowly, and one of numba's thread pools aborts when
two Python threads enter it. Here a kernel is an ordinary function without the interpreter lock, entered by as many
Python threads as PyTorch uses. A stage is left when its tasks are done, not when all threads have arrived.
"""

# mypy: disable-error-code="untyped-decorator"
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

CHUNKS = 16
"""Into how many pieces a thread's share of a stage is cut: more balance better, fewer cost less."""

step = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""Decorator of what only compiled code calls.

It is compiled into its callers and cached with them. A cache knows only the file of the caller: after a change in
another file, touch that one too.
"""

_yield_processor = types.ExternalFunction("SwitchToThread" if sys.platform == "win32" else "sched_yield", types.int32())


def run(kernel: Callable[..., None], stages: int, *arguments: Any) -> None:
    """Run ``kernel(counters, threads, *arguments)`` in ``torch.get_num_threads()`` threads, this one included."""
    threads = torch.get_num_threads()
    counters = np.zeros(2 * stages, np.int64)
    # As an address: numba's generators never give back an array that they were given.
    everything = counters.ctypes.data, threads, *arguments
    others = [threading.Thread(target=kernel, args=everything) for _ in range(threads - 1)]
    for other in others:
        other.start()
    kernel(*everything)
    for other in others:
        other.join()


@step
def share(counters: int, threads: int, stage: int, tasks: int) -> Iterator[int]:
    """Yield those of ``tasks`` tasks that fall to this thread; end when all threads have done theirs.

    Every stage has two counters, of the tasks that are handed out and of those that are done.
    """
    chunk = max(1, tasks // (threads * CHUNKS))
    first = _fetch_add(counters, 2 * stage, chunk)
    while first < tasks:
        last = min(first + chunk, tasks)
        for task in range(first, last):  # noqa: UP028  numba has no "yield from"
            yield task
        _fetch_add(counters, 2 * stage + 1, last - first)
        first = _fetch_add(counters, 2 * stage, chunk)
    while _fetch_add(counters, 2 * stage + 1, 0) < tasks:
        _yield_processor()


@intrinsic
def _fetch_add(typingctx, counters, index, value):  # type: ignore[no-untyped-def]
    """Add to a counter, atomically, and return what it was; what was written before is seen after."""

    def codegen(context, builder, signature, values):  # type: ignore[no-untyped-def]
        first = builder.inttoptr(values[0], ir.PointerType(ir.IntType(64)))
        return builder.atomic_rmw("add", builder.gep(first, [values[1]]), values[2], "seq_cst")

    return types.int64(types.int64, types.int64, types.int64), codegen
