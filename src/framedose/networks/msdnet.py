"""The MSD-net: one thin layer after the other, each a dilated convolution of all earlier ones.

Larsen et al. follow Pelt and Sethian, "A mixed-scale dense convolutional neural network for image analysis",
https://doi.org/10.1073/pnas.1715832114, with large kernels, and with a first layer that alone sees the image.
"""

import math

import torch
from torch import Tensor, nn

from framedose.errors import ImageError
from framedose.networks.config import MSDNetConfig
from framedose.networks.kernels.choose import Backend, choose
from framedose.random import generator


class MSDNet(nn.Module):
    r"""Mixed-scale dense network, from an image to logits.

    .. math:: y_0 = \sigma(w_0 *_{d_0} x + b_0), \quad y_i = \sigma(w_i *_{d_i} [y_0 \dots y_{i-1}] + b_i), \quad
        z = v \cdot [y_0 \dots y_{n-1}] + c

    with :math:`*_d` a convolution dilated by d whose border is reflected without repeating the edge pixel.

    Parameters
    ----------
    config
        Settings.
    seed
        Seed of the initial parameters.
    backend
        Who computes: ``reference`` is plain PyTorch, ``cpu`` the fast kernel for float32 on the CPU, ``cuda`` that for
        float32 and bfloat16 on NVIDIA GPUs, ``auto`` the fastest that can. The parameters are the same for all.

    Examples
    --------
    >>> net = MSDNet(MSDNetConfig(layers=3, kernel=3, max_dilation=2), seed=1)
    >>> net(torch.zeros(1, 1, 16, 20)).shape
    torch.Size([1, 1, 16, 20])
    """

    def __init__(self, config: MSDNetConfig, *, seed: int, backend: Backend = "auto") -> None:
        super().__init__()
        self.config = config
        self.backend: Backend = backend
        draws = generator(config.dilation_seed, "msdnet", "dilations").integers(
            1, config.max_dilation + 1, config.layers
        )
        self.dilations: tuple[int, ...] = tuple(draws.tolist())
        self.slope = config.negative_slope if config.activation == "leaky_relu" else 0.0
        inputs = [1] + [layer * config.width for layer in range(1, config.layers)]
        layers = [Convolution(config.width, count, config.kernel) for count in inputs]
        self.layers = nn.ModuleList(layers)
        self.final = Convolution(config.classes, config.layers * config.width, 1)
        self._initialise(seed)

    @property
    def halo(self) -> int:
        """Reach of the widest convolution to each side [px]; both sides of an image must exceed it."""
        return max(self.dilations) * (self.config.kernel - 1) // 2

    @property
    def minimum_size(self) -> int:
        """Least side of an image [px]."""
        return self.halo + 1

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of images.

        Parameters
        ----------
        x
            Images of zero mean and unit variance, shape (batch, 1, height, width), floating point.

        Returns
        -------
        Tensor
            Logits, shape (batch, classes, height, width).

        Raises
        ------
        ImageError
            If the shape is another, an image is not larger than the halo, or the forced backend cannot compute it.
        """
        self._check(x)
        compute = choose(self.backend, x, self.final.weight)
        weights, biases = [layer.weight for layer in self._layers()], [layer.bias for layer in self._layers()]
        return compute(x, weights, biases, self.dilations, self.slope, self.final.weight, self.final.bias)

    def _layers(self) -> list["Convolution"]:
        return [layer for layer in self.layers if isinstance(layer, Convolution)]

    def _check(self, x: Tensor) -> None:
        if x.ndim != 4 or x.shape[1] != 1:
            raise ImageError(
                f"x must have the shape (batch, 1, height, width), got {tuple(x.shape)}: add the missing axes"
            )
        height, width = x.shape[2:]
        if min(height, width) <= self.halo:
            raise ImageError(
                f"the image has {height} x {width} pixels, but this MSD-net reflects {self.halo} pixels at each border "
                f"and needs more than that on both sides: give a larger image, or a network of smaller dilations"
            )

    @torch.no_grad()
    def _initialise(self, seed: int) -> None:
        """Draw the weights so that the mean square of every map is that of the image.

        He's variance 2 / (1 + slope^2) / fan_in keeps the mean square from the inputs of a layer to its output. A
        dense layer's inputs are maps of equal mean square, so with all of them in fan_in it holds for any depth.
        """
        draw = torch.Generator().manual_seed(seed)
        for layer in self._layers():
            fan_in = layer.weight[0].numel()
            layer.weight.normal_(0, math.sqrt(2 / (1 + self.slope**2) / fan_in), generator=draw)
            layer.bias.zero_()
        self.final.weight.normal_(0, math.sqrt(1 / self.final.weight[0].numel()), generator=draw)
        self.final.bias.zero_()


class Convolution(nn.Module):
    """The weight and the bias of one convolution."""

    def __init__(self, outputs: int, inputs: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.empty(outputs))
