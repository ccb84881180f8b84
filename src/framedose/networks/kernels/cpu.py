"""The MSD-net on the CPU: one buffer for all feature maps, saved once for an exact backward pass."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from framedose.networks.kernels import cpu_backward, cpu_bands, cpu_forward, cpu_team
from framedose.networks.kernels.cpu_buffer import array, buffer, origins, place
from framedose.networks.kernels.cpu_layout import Layout, plan, size

WHOLE_BYTES = 1 << 30
"""An image whose maps take more than this goes through the layers in bands of rows, where no gradient is asked for."""


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
        if not training and 4 * size(layout) > WHOLE_BYTES:
            logits.append(cpu_bands.forward(layout, tuple(dilations), slope, images, *parameters))
            continue
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
        maps = buffer(layout.batch * size(layout))
        place(x, maps.view(layout.batch, -1, layout.height + 2 * layout.halo, layout.stride)[:, :1], layout)
        logits = torch.empty(layout.batch, len(final_bias), layout.height, layout.width)
        cpu_team.run(
            cpu_forward.forward,
            layout.batch * (layout.layers + 1),
            layout,
            maps.numpy(),
            origins(layout),
            np.zeros(layout.layers, np.int64),
            np.full(layout.layers, layout.height),
            -layout.halo,
            array(weights),
            array(biases),
            np.asarray(dilations),
            np.float32(slope),
            array(final_weight.flatten(1)),
            array(final_bias),
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
        grads, logits_grad = buffer(size(layout)), logits_grad.contiguous()
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
            array(flipped.reshape(-1)),
            dilations,
            slope,
            array(final_weight.flatten(1)),
            array(logits_grad),
            None if images_grad is None else images_grad.numpy(),
            weights_grad.numpy(),
            biases_grad.numpy(),
            final_weight_grad.numpy(),
        )
        # Not with PyTorch, whose order of summation depends on the number of threads.
        final_bias_grad = torch.from_numpy(array(logits_grad).sum((0, 2, 3), dtype=np.float64))
        gradients = weights_grad, biases_grad, final_weight_grad.reshape(final_weight.shape), final_bias_grad
        return None, None, None, images_grad, *(gradient.float() for gradient in gradients)
