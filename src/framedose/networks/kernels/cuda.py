"""The MSD-net on a GPU: one buffer for all feature maps, saved once for an exact backward pass."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from framedose.networks.kernels import cuda_backward, cuda_forward
from framedose.networks.kernels.choose import storage
from framedose.networks.kernels.cuda_forward import Layout, plan


def forward(
    x: Tensor,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    dilations: Sequence[int],
    slope: float,
    final_weight: Tensor,
    final_bias: Tensor,
) -> Tensor:
    """Compute the logits of an MSD-net; see `framedose.networks.kernels.reference.forward`.

    The maps are float32 or bfloat16, as `framedose.networks.kernels.choose.storage` says, and so are the logits. All
    sums are float32. Float32 is multiplied with an error of about 1e-6, or as TF32 (1e-3) after
    ``torch.set_float32_matmul_precision("high")``.
    """
    kind = storage(x, final_weight)
    if kind is None:
        raise TypeError(f"images of {x.dtype} and parameters of {final_weight.dtype} are none of this kernel")
    flat_weights = torch.cat([weight.reshape(-1) for weight in weights])
    flat_biases = torch.cat([bias.reshape(-1) for bias in biases])
    parameters = flat_weights, flat_biases, final_weight, final_bias
    growth, taps = weights[0].shape[0], weights[0].shape[-1]
    halo = max(dilations) * (taps - 1) // 2
    precision = "tf32x3" if torch.get_float32_matmul_precision() == "highest" else "tf32"
    layout = plan(x.shape[2], x.shape[3], len(weights), growth, taps, halo, len(final_bias), precision)
    settings = layout, tuple(dilations), slope, kind
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (x, *parameters)):
        return _apply(*settings, x, *parameters)
    # With nothing to save, a buffer is enough for so many images as are computed at a time.
    logits = [_apply(*settings, images, *parameters) for images in torch.split(x, _at_a_time(layout, dilations))]
    return torch.cat(logits) if len(logits) > 1 else logits[0]


def _apply(*arguments: Any) -> Tensor:
    logits: Tensor = _MSDNet.apply(*arguments)  # type: ignore[no-untyped-call]
    return logits


class _MSDNet(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        layout: Layout,
        dilations: tuple[int, ...],
        slope: float,
        kind: torch.dtype,
        x: Tensor,
        weights: Tensor,
        biases: Tensor,
        final_weight: Tensor,
        final_bias: Tensor,
    ) -> Tensor:
        ctx.kinds = [parameter.dtype for parameter in (x, weights, biases, final_weight, final_bias)]
        weights, final_weight = weights.to(kind), final_weight.flatten(1).float().contiguous()
        rows = layout.height + 2 * layout.halo
        maps = x.new_empty(len(x), layout.maps, rows, layout.row, dtype=kind)
        logits = x.new_empty(len(x), layout.classes, layout.height, layout.width, dtype=kind)
        at_a_time = _at_a_time(layout, dilations)
        partials = x.new_empty(min(len(x), at_a_time) * layout.scratch(max(dilations)), dtype=torch.float32)
        _place(x, maps, layout)
        with torch.cuda.device_of(x):  # type: ignore[no-untyped-call]
            for images in _slices(len(x), at_a_time):
                cuda_forward.forward(
                    layout, maps[images], partials, weights, biases.float(), dilations, slope, final_weight,
                    final_bias.float(), logits[images],
                )  # fmt: skip
        ctx.save_for_backward(maps, weights, final_weight)
        ctx.constants = layout, dilations, slope
        return logits

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, logits_grad: Tensor) -> tuple[Tensor | None, ...]:
        layout, dilations, slope = ctx.constants
        maps, weights, final_weight = ctx.saved_tensors
        logits_grad, batch, at_a_time = logits_grad.contiguous(), len(maps), _at_a_time(layout, dilations)
        grads = torch.empty_like(maps[:at_a_time], dtype=torch.float32)
        images_grad = None
        if ctx.needs_input_grad[4]:
            images_grad = grads.new_empty(batch, 1, layout.height, layout.width)
        weights_grad = torch.zeros_like(weights, dtype=torch.float64)
        maps_grad = weights_grad.new_zeros(1 + layout.classes, layout.layers * layout.growth)
        with torch.cuda.device_of(maps):  # type: ignore[no-untyped-call]
            for images in _slices(batch, at_a_time):
                cuda_backward.backward(
                    layout, maps[images], grads[: images.stop - images.start].zero_(), weights, dilations, slope,
                    final_weight, logits_grad[images], None if images_grad is None else images_grad[images],
                    weights_grad, maps_grad,
                )  # fmt: skip
        final_bias_grad = logits_grad.sum((0, 2, 3), dtype=torch.float64)
        gradients = images_grad, weights_grad, maps_grad[0], maps_grad[1:, :, None, None], final_bias_grad
        typed = (None if grad is None else grad.to(kind) for grad, kind in zip(gradients, ctx.kinds, strict=True))
        return None, None, None, None, *typed


def _at_a_time(layout: Layout, dilations: Sequence[int]) -> int:
    """Return how many images are computed together: the more, the fuller the device; each needs scratch."""
    return max(1, cuda_forward.SCRATCH // (4 * layout.scratch(max(dilations))))


def _slices(length: int, step: int) -> list[slice]:
    return [slice(start, min(start + step, length)) for start in range(0, length, step)]


def _place(x: Tensor, maps: Tensor, layout: Layout) -> None:
    """Write the images and their reflected halo into map 0."""
    maps[:, 0].zero_()
    # Padded as float32, which loses nothing: not every PyTorch reflects bfloat16 on every device.
    maps[:, :1, :, : layout.width + 2 * layout.halo] = functional.pad(x.float(), (layout.halo,) * 4, mode="reflect")
