"""One network whose weights are the mean of several: what two stages of one training know, at the cost of one."""

from collections.abc import Sequence
from typing import TypeVar

import torch

from framedose.config import hull
from framedose.errors import WeightsError
from framedose.networks.defocus import with_same_rings
from framedose.networks.registry import build_network
from framedose.networks.weights import LoadedNetwork, WeightsMetadata

T = TypeVar("T")


def averaged(networks: Sequence[LoadedNetwork], name: str) -> LoadedNetwork:
    """Return a network with the mean of the weights of several that went on from each other, or from the same one.

    Such networks are joined by a path of low loss, and their mean is often as good as each of them at what it was
    tuned to (Wortsman et al., *Model soups*, ICML 2022). Of networks that began with other draws it is useless.

    Parameters
    ----------
    networks
        At least two of the same architecture, without normalisation layers.
    name
        Of the new one.

    Raises
    ------
    WeightsError
        If there are fewer, or they differ in size or in how they see an image.
    """
    if len(networks) < 2:
        raise WeightsError(f"an average needs at least two networks, got {len(networks)}: name another one.")
    first, *others = networks
    config = first.metadata.network
    for other in others:
        if other.metadata.network != config:
            raise WeightsError(f"{other.name} is another network than {first.name}: average networks of one size.")
        if _seen(other) != _seen(first):
            differ = " and ".join(f"{one.name} sees every image {_seen(one)}" for one in (first, other))
            raise WeightsError(f"{differ}: average networks that see images alike.")
    if getattr(config, "norm", "none") != "none":
        # Their running means and variances would have to be found anew on images.
        raise WeightsError(f"{first.name} has normalisation layers, whose statistics have no average.")
    states = [one.network.state_dict() for one in networks]
    network = build_network(config, seed=0)
    network.load_state_dict({key: torch.stack([state[key] for state in states]).mean(0) for key in states[0]})
    network.eval()
    return LoadedNetwork(name, network, _metadata([one.metadata for one in networks]))


def _seen(one: LoadedNetwork) -> str:
    size, turns = one.metadata.resampled_to, one.metadata.turns
    at = "at its own pixels" if size is None else f"at {size:g} Å/px"
    return at if turns == 1 else f"{at} from {turns} sides"


def _metadata(all_of: list[WeightsMetadata]) -> WeightsMetadata:
    """Describe the first network, with the datasets and the ranges of all; what was measured on it does not hold."""
    first = all_of[0]
    falls = _all_known([one.noise_fall for one in all_of])
    energies = _all_known([one.energy for one in all_of])
    defoci = _all_known([one.defocus for one in all_of])
    return first.model_copy(
        update={
            "sampling": hull([one.sampling for one in all_of]),
            "dose": hull([one.dose for one in all_of]),
            "noise_fall": hull(falls) if falls else None,
            "defocus": with_same_rings(defoci, energies) if defoci and energies else None,
            "energy": first.energy if energies else None,
            "sharpening": None,
            "area_interval": None,
            "provenance": {
                **first.provenance,
                # How often one was mixed in says something of a training, but nothing of a mean of several.
                "more_datasets": _distinct([part for one in all_of for part in one.datasets])[1:],
                "averaged_from": [one.weights_sha256 for one in all_of],
            },
        }
    )


def _all_known(values: Sequence[T | None]) -> list[T] | None:
    known = [value for value in values if value is not None]
    return known if len(known) == len(values) else None


def _distinct(values: Sequence[T]) -> list[T]:
    """Return every value once, where it stands first; they need no hash."""
    return [value for place, value in enumerate(values) if value not in values[:place]]
