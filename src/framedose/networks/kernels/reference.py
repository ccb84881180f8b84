"""The MSD-net in plain PyTorch: slow, of any precision, on any device; the other kernels are tested against it."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def forward(
    x: Tensor,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    dilations: Sequence[int],
    slope: float,
    final_weight: Tensor,
    final_bias: Tensor,
) -> Tensor:
    r"""Compute the logits of an MSD-net.

    .. math:: y_i = \sigma(w_i *_{d_i} [y_0 \dots y_{i-1}] + b_i), \qquad y_0 = \sigma(w_0 *_{d_0} x + b_0)

    with reflected borders, :math:`\sigma(v) = v` for v > 0 and ``slope`` v otherwise, and a final 1x1 convolution over
    all :math:`y_i`.

    Parameters
    ----------
    x
        Images, shape (batch, 1, height, width).
    weights, biases
        One of each per layer, shapes (width, inputs, kernel, kernel) and (width,).
    dilations
        Distance between the taps of each layer [px].
    slope
        Slope of the activation for negative values.
    final_weight, final_bias
        Shapes (classes, layers * width, 1, 1) and (classes,).

    Returns
    -------
    Tensor
        Logits, shape (batch, classes, height, width).
    """
    features: list[Tensor] = []
    for weight, bias, dilation in zip(weights, biases, dilations, strict=True):
        inputs = torch.cat(features, dim=1) if features else x
        halo = dilation * (weight.shape[-1] - 1) // 2
        padded = functional.pad(inputs, (halo,) * 4, mode="reflect")
        features.append(functional.leaky_relu(functional.conv2d(padded, weight, bias, dilation=dilation), slope))
    return functional.conv2d(torch.cat(features, dim=1), final_weight, final_bias)
