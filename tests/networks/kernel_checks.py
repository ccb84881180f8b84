"""What the tests of all kernels of the MSD-net share."""

import copy

import torch
import torch.nn.functional as F

from framedose.networks.msdnet import MSDNet


def run(net, image, incoming):
    """Return the logits and all gradients, of the image first."""
    net.zero_grad()
    image = image.detach().clone().requires_grad_()
    logits = net(image)
    logits.backward(incoming)
    return [logits.detach(), image.grad, *(p.grad for p in net.parameters())]


def example(config, backend, batch, height, width, seed=0):
    """Return a network with biases, images, and a gradient of the logits."""
    draw = torch.Generator().manual_seed(seed)
    net = MSDNet(config, seed=seed, backend=backend)
    for parameter in net.parameters():
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, std=0.1, generator=draw)
    image = torch.randn(batch, 1, height, width, generator=draw)
    return net, image, torch.randn(batch, config.classes, height, width, generator=draw)


def reference(net, image, incoming, kind=torch.float64):
    """Return what plain PyTorch gives in another precision."""
    exact = copy.deepcopy(net).to(kind)
    exact.backend = "reference"
    return run(exact, image.to(kind), incoming.to(kind))


def least_preactivation(net, image):
    """Return how near to the kink of the activation a pixel of any layer comes.

    Where it is nearer than rounding goes, a gradient in single precision may be that of the other side, and rightly so.
    """
    maps, least = [], torch.inf
    with torch.no_grad():
        for layer, dilation in zip(net.layers, net.dilations, strict=True):
            inputs = torch.cat(maps, dim=1) if maps else image.double()
            padded = F.pad(inputs, 4 * (dilation * (net.config.kernel // 2),), mode="reflect")
            before = F.conv2d(padded, layer.weight.double(), layer.bias.double(), dilation=dilation)
            least = min(least, before.abs().min().item())
            maps.append(F.leaky_relu(before, net.slope))
    return least


def assert_equals_reference(net, image, incoming):
    """Compare with double precision."""
    for ours, theirs in zip(run(net, image, incoming), reference(net, image, incoming), strict=True):
        assert ours.shape == theirs.shape
        assert (ours - theirs).abs().max() <= 1e-4 * theirs.abs().max()
