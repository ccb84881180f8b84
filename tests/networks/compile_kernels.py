"""Compile the GPU kernels of a tiny MSD-net for an A100, without a GPU, and print which.

Run with ``python compile_kernels.py FOLDER``, a folder for what is compiled.
"""

import os
import sys

import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction


class Device:
    """As much of a GPU as the compiler asks for."""

    def get_current_target(self):
        return GPUTarget("cuda", 80, 32)

    def get_current_device(self):
        return 0

    def get_current_stream(self, device):
        return 0


def compile_only(launch, kind):
    def run(self, *arguments, grid, warmup, **constants):
        compiled = launch(self, *arguments, grid=grid, warmup=True, **constants)
        assert compiled.asm["cubin"]
        print(self.__name__, kind)

    return run


def main(folder):
    os.environ["TRITON_CACHE_DIR"] = folder
    driver.set_active(Device())
    launch = JITFunction.run
    from framedose.networks.kernels import cuda

    for kind in ("float32", "bfloat16"):
        JITFunction.run = compile_only(launch, kind)

        def parameter(*shape):
            return torch.zeros(shape, dtype=getattr(torch, kind), requires_grad=True)  # noqa: B023

        weights, biases = [parameter(1, 1, 9, 9) for _ in range(2)], [parameter(1) for _ in range(2)]
        logits = cuda.forward(
            parameter(2, 1, 64, 64), weights, biases, (1, 3), 0.0, parameter(1, 2, 1, 1), parameter(1)
        )
        logits.sum().backward()


main(*sys.argv[1:])
