"""A wider U-net that computes what a narrower one does: where a training goes on with more channels."""

from typing import cast

import torch
from torch import Tensor, nn

from framedose.networks.unet import UNet


def widened(network: UNet, width: int, *, seed: int) -> UNet:
    r"""Return a U-net of more channels that gives the same logits.

    Every channel is copied, and each weight of its readers shared out among the copies (Chen, Goodfellow & Shlens,
    *Net2Net*, ICLR 2016). Equal shares would keep the copies equal for ever; here the shares differ by noise that sums
    to zero over the copies of a channel, of such a size that the weights keep the variance that suits their number.

    Parameters
    ----------
    network
        U-net without normalisation layers.
    width
        Channels of the first level, more than the network's own.
    seed
        Seed of the noise.
    """
    old = network.config.width
    wide = UNet(network.config.model_copy(update={"width": width}), seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for level, (mine, theirs) in enumerate(zip(wide.down, network.down, strict=True)):
            inputs = _copies(old << level - 1, width << level - 1) if level else torch.zeros(1, dtype=torch.long)
            _fill_block(mine, theirs, inputs, generator)
        for level, mine, theirs in zip(reversed(range(len(wide.up))), wide.up, network.up, strict=True):
            # The maps of the same level, and behind them those from below.
            same, below = (_copies(old << at, width << at) for at in (level, level + 1))
            _fill_block(mine, theirs, torch.cat([same, below + (old << level)]), generator)
        _fill(wide.head, network.head, _copies(old, width), generator)
    return wide


def _fill_block(mine: nn.Module, theirs: nn.Module, inputs: Tensor, generator: torch.Generator) -> None:
    for wide, narrow in zip(_convolutions(mine), _convolutions(theirs), strict=True):
        _fill(wide, narrow, inputs, generator)
        inputs = _copies(narrow.out_channels, wide.out_channels)
    mine.get_submodule("activations").load_state_dict(theirs.get_submodule("activations").state_dict())


def _convolutions(block: nn.Module) -> list[nn.Conv2d]:
    return [module for module in block.modules() if isinstance(module, nn.Conv2d)]


def _fill(wide: nn.Conv2d, narrow: nn.Conv2d, inputs: Tensor, generator: torch.Generator) -> None:
    """Fill a convolution, of whose inputs ``inputs`` says which of the narrow one's they are copies of."""
    outputs = _copies(narrow.out_channels, wide.out_channels)
    copies = torch.bincount(inputs)[inputs].view(1, -1, 1, 1)
    noise = torch.randn(wide.weight.shape, generator=generator) * narrow.weight.std() / copies.sqrt()
    sums = torch.zeros(wide.out_channels, *narrow.weight.shape[1:]).index_add_(1, inputs, noise)
    wide.weight.copy_(narrow.weight[outputs][:, inputs] / copies + (noise - sums[:, inputs] / copies))
    cast(Tensor, wide.bias).copy_(cast(Tensor, narrow.bias)[outputs])


def _copies(narrow: int, wide: int) -> Tensor:
    """Return of which of ``narrow`` channels each of ``wide`` is a copy."""
    return torch.arange(wide) % narrow
