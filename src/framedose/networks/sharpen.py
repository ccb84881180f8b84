"""The same network with another slope of its probabilities: what a threshold means, moved to where it serves."""

import math

import torch

from framedose.errors import ConfigurationError, WeightsError
from framedose.networks.registry import build_network
from framedose.networks.unet import UNet
from framedose.networks.weights import LoadedNetwork


def sharpened(loaded: LoadedNetwork, name: str, *, gain: float, middle: float) -> LoadedNetwork:
    """Return a network whose logits are ``gain * (logit - logit(middle))`` of the given one's.

    What had the probability ``middle`` has 0.5 then, and with a gain above 1 all others are nearer to 0 and 1. No pixel
    changes places with another: at thresholds of equal false area everything stays as it was. What changes is which
    mask the thresholds 0.5 and 0.9 stand for; the probability is a score then, and no share of particle.

    Parameters
    ----------
    loaded
        A network of one class.
    name
        Of the new one.
    gain
        Factor of the logits, above 0.
    middle
        The probability that becomes 0.5, between 0 and 1.

    Raises
    ------
    ConfigurationError
        If ``gain`` or ``middle`` lies outside of that.
    WeightsError
        If the network has several classes.
    """
    if not (math.isfinite(gain) and gain > 0):
        raise ConfigurationError(f"gain must be a number above 0, got {gain}: 2 doubles the logits.")
    if not 0 < middle < 1:
        raise ConfigurationError(f"middle must be a probability between 0 and 1, got {middle}: 0.5 keeps its place.")
    config, state = loaded.metadata.network, loaded.network.state_dict()
    if config.classes != 1:
        raise WeightsError(f"{loaded.name} has {config.classes} classes, and no one logit of particle to be moved.")
    last = "head" if isinstance(loaded.network, UNet) else "final"
    moved = {f"{last}.weight": gain * state[f"{last}.weight"]}
    moved[f"{last}.bias"] = gain * (state[f"{last}.bias"] - torch.logit(torch.tensor(middle)))
    network = build_network(config, seed=0)
    network.load_state_dict(state | moved)
    network.eval()
    provenance = loaded.metadata.provenance | {
        "sharpened_from": loaded.metadata.weights_sha256,
        "gain": gain,
        "middle": middle,
    }
    metadata = loaded.metadata.model_copy(update={"provenance": provenance, "area_interval": None})
    return LoadedNetwork(name, network, metadata)
