"""The networks by name."""

from torch import nn

from framedose.networks.config import NetworkConfig, UNetConfig
from framedose.networks.msdnet import MSDNet
from framedose.networks.unet import UNet

Network = UNet | MSDNet


def build_network(config: NetworkConfig, *, seed: int) -> Network:
    """Make a network with seeded initial weights.

    Parameters
    ----------
    config
        Kind and size.
    seed
        Seed of the initial weights.
    """
    return UNet(config, seed=seed) if isinstance(config, UNetConfig) else MSDNet(config, seed=seed)


def parameter_count(network: nn.Module) -> int:
    """Return the number of trained numbers of a network."""
    return sum(parameter.numel() for parameter in network.parameters())
