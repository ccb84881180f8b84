"""The MSD-net on the CPU: one buffer for all feature maps, saved once for an exact backward pass.

numba and PyTorch have a thread pool each. The kernels use as many threads as ``torch.get_num_threads`` says, while
PyTorch waits; calls are serialised, because numba's simplest pool aborts when two Python threads enter it.
"""

import threading
from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from framedose.networks.kernels import cpu_loops as loops

_lock = threading.Lock()


def forward(
    x: Tensor,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    dilations: Sequence[int],
    slope: float,
    final_weight: Tensor,
    final_bias: Tensor,
) -> Tensor:
    """Compute the logits of an MSD-net; see `framedose.networks.kernels.reference.forward`. Float32 only."""
    flat_weights = torch.cat([weight.reshape(-1) for weight in weights])
    flat_biases = torch.cat([bias.reshape(-1) for bias in biases])
    growth, taps = weights[0].shape[0], weights[0].shape[-1]
    halo = max(dilations) * (taps - 1) // 2
    layout = loops.plan(x.shape[0], x.shape[2], x.shape[3], len(weights), growth, taps, halo)
    logits: Tensor = _MSDNet.apply(  # type: ignore[no-untyped-call]
        layout, tuple(dilations), slope, x, flat_weights, flat_biases, final_weight, final_bias
    )
    return logits


class _MSDNet(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        layout: loops.Layout,
        dilations: tuple[int, ...],
        slope: float,
        x: Tensor,
        weights: Tensor,
        biases: Tensor,
        final_weight: Tensor,
        final_bias: Tensor,
    ) -> Tensor:
        maps = torch.empty(loops.size(layout))
        logits = torch.empty(layout.batch, len(final_bias), layout.height, layout.width)
        with _threads():
            loops.forward(
                layout,
                maps.numpy(),
                _array(x[:, 0]),
                _array(weights),
                _array(biases),
                np.asarray(dilations),
                np.float32(slope),
                _array(final_weight.flatten(1)),
                _array(final_bias),
                logits.numpy(),
            )
        ctx.save_for_backward(maps, weights, final_weight)
        ctx.constants = layout, np.asarray(dilations), np.float32(slope)
        return logits

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, logits_grad: Tensor) -> tuple[Tensor | None, ...]:
        layout, dilations, slope = ctx.constants
        maps, weights, final_weight = ctx.saved_tensors
        grads, incoming = torch.empty_like(maps), _array(logits_grad)
        flipped = weights.reshape(-1, layout.taps**2).flip(1)
        weights_grad, final_weight_grad = torch.empty_like(weights), torch.empty(final_weight.shape[:2])
        biases_grad, final_bias_grad = torch.empty(layout.layers * layout.growth), torch.empty(final_weight.shape[0])
        with _threads():
            loops.backward(
                layout,
                maps.numpy(),
                grads.numpy(),
                _array(flipped.reshape(-1)),
                dilations,
                slope,
                _array(final_weight.flatten(1)),
                incoming,
                ctx.needs_input_grad[3],
            )
            loops.parameter_gradients(
                layout,
                maps.numpy(),
                grads.numpy(),
                dilations,
                incoming,
                weights_grad.numpy(),
                biases_grad.numpy(),
                final_weight_grad.numpy(),
                final_bias_grad.numpy(),
            )
        x_grad = _pixels(grads, layout)[:, :1].clone() if ctx.needs_input_grad[3] else None
        final_weight_grad = final_weight_grad.reshape(final_weight.shape)
        return None, None, None, x_grad, weights_grad, biases_grad, final_weight_grad, final_bias_grad


def _array(tensor: Tensor) -> np.ndarray[Any, np.dtype[np.float32]]:
    array: np.ndarray[Any, np.dtype[np.float32]] = tensor.detach().contiguous().numpy()
    return array


def _pixels(buffer: Tensor, layout: loops.Layout) -> Tensor:
    """Return a buffer as an array of maps without halo, shape (batch, maps, height, width)."""
    rows = layout.height + 2 * layout.halo
    maps = buffer.view(layout.batch, -1, rows, layout.stride)
    return maps[:, :, layout.halo : layout.halo + layout.height, layout.left : layout.left + layout.width]


class _threads:
    """Hold the kernels for one caller, with the number of threads that PyTorch uses."""

    def __enter__(self) -> None:
        _lock.acquire()
        numba.set_num_threads(min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS))

    def __exit__(self, *_: object) -> None:
        _lock.release()
