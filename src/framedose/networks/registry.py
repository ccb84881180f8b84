"""The networks by name."""

from typing import Annotated

from pydantic import Field
from torch import nn

from framedose.networks.msdnet import MSDNet, MSDNetConfig
from framedose.networks.unet import UNet, UNetConfig

NetworkConfig = Annotated[UNetConfig | MSDNetConfig, Field(discriminator="kind")]
Network = UNet | MSDNet


def build_network(config: UNetConfig | MSDNetConfig, *, seed: int) -> Network:
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
