"""The MSD-net on the CPU: one buffer for all feature maps, saved once for an exact backward pass."""

import mmap
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from framedose.networks.kernels import cpu_backward, cpu_forward, cpu_team
from framedose.networks.kernels.cpu_layout import Layout, plan, size


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
    parameters = flat_weights, flat_biases, final_weight, final_bias
    training = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (x, *parameters))
    logits = []
    for images in [x] if training else torch.split(x, 1):  # with nothing to save, a buffer of one image is enough
        layout = plan(images.shape[0], images.shape[2], images.shape[3], len(weights), growth, taps, halo)
        logits.append(_MSDNet.apply(layout, tuple(dilations), slope, images, *parameters))  # type: ignore[no-untyped-call]
    return torch.cat(logits) if len(logits) > 1 else logits[0]


class _MSDNet(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        layout: Layout,
        dilations: tuple[int, ...],
        slope: float,
        x: Tensor,
        weights: Tensor,
        biases: Tensor,
        final_weight: Tensor,
        final_bias: Tensor,
    ) -> Tensor:
        maps = _buffer(layout.batch * size(layout))
        _place(x, maps, layout)
        logits = torch.empty(layout.batch, len(final_bias), layout.height, layout.width)
        cpu_team.run(
            cpu_forward.forward,
            layout.batch * (layout.layers + 1),
            layout,
            maps.numpy(),
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
        grads, logits_grad = _buffer(size(layout)), logits_grad.contiguous()
        flipped = weights.reshape(-1, layout.taps**2).flip(1)
        images_grad = torch.empty(layout.batch, 1, layout.height, layout.width) if ctx.needs_input_grad[3] else None
        weights_grad = torch.zeros(weights.shape, dtype=torch.float64)
        biases_grad = torch.zeros(layout.layers * layout.growth, dtype=torch.float64)
        final_weight_grad = torch.zeros(final_weight.shape[:2], dtype=torch.float64)
        cpu_team.run(
            cpu_backward.backward,
            layout.batch * (2 * layout.layers + 3),
            layout,
            maps.numpy(),
            grads.numpy(),
            _array(flipped.reshape(-1)),
            dilations,
            slope,
            _array(final_weight.flatten(1)),
            _array(logits_grad),
            None if images_grad is None else images_grad.numpy(),
            weights_grad.numpy(),
            biases_grad.numpy(),
            final_weight_grad.numpy(),
        )
        # Not with PyTorch, whose order of summation depends on the number of threads.
        final_bias_grad = torch.from_numpy(_array(logits_grad).sum((0, 2, 3), dtype=np.float64))
        gradients = weights_grad, biases_grad, final_weight_grad.reshape(final_weight.shape), final_bias_grad
        return None, None, None, images_grad, *(gradient.float() for gradient in gradients)


def _buffer(values: int) -> Tensor:
    """Return a float32 buffer that the system takes back as soon as it is dropped.

    On the heap these buffers do not fit into the holes that they leave: a training run grew by a megabyte each step.
    """
    return torch.from_numpy(np.frombuffer(mmap.mmap(-1, 4 * values), np.float32))


def _array(tensor: Tensor) -> np.ndarray[Any, np.dtype[np.float32]]:
    array: np.ndarray[Any, np.dtype[np.float32]] = tensor.detach().contiguous().numpy()
    return array


def _place(x: Tensor, maps: Tensor, layout: Layout) -> None:
    """Write the images and their reflected halo into map 0."""
    rows = layout.height + 2 * layout.halo
    image = maps.view(layout.batch, -1, rows, layout.stride)[:, :1]
    image.zero_()
    start, stop = layout.left - layout.halo, layout.left + layout.width + layout.halo
    image[..., start:stop] = functional.pad(x, (layout.halo,) * 4, mode="reflect")
