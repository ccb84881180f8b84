import pytest
import torch

from framedose.area_interval import AreaInterval
from framedose.config import Range
from framedose.errors import WeightsError
from framedose.networks.average import averaged
from framedose.networks.config import MSDNetConfig, UNetConfig
from framedose.networks.registry import build_network
from framedose.networks.weights import LoadedNetwork, WeightsMetadata

TINY = UNetConfig(width=2, poolings=1, convolutions=2, kernel=3)
SMALL = MSDNetConfig(layers=3, kernel=3, max_dilation=2)


def loaded(config, seed, **known):
    about = {"sampling": Range(low=0.28, high=0.32), "dose": Range(low=100, high=1e4, scale="log"), "provenance": {}}
    metadata = WeightsMetadata(network=config, **(about | known), weights_sha256=f"hash {seed}")
    return LoadedNetwork(f"net {seed}", build_network(config, seed=seed), metadata)


@pytest.mark.parametrize("config", [TINY, SMALL])
def test_every_weight_is_the_mean(config):
    three = [loaded(config, seed) for seed in (1, 2, 3)]
    mean = averaged(three, "mean")
    states = [one.network.state_dict() for one in three]
    for name, tensor in mean.network.state_dict().items():
        assert torch.allclose(tensor, sum(state[name] for state in states) / 3, atol=1e-7)
    assert mean.name == "mean"
    assert not mean.network.training


def test_it_is_described_by_the_ranges_and_datasets_of_all():
    narrow = loaded(
        TINY,
        1,
        noise_fall=Range(low=0.4, high=0.6),
        energy=3e5,
        area_interval=AreaInterval(level=0.9, upper=0.8, frames=20),
        sharpening={"half": 0.3, "nine_tenths": 0.4},
        provenance={"dataset": "A", "dataset_seed": 1, "seed": 5},
    )
    a, c = ({"dataset": name, "dataset_seed": seed} for name, seed in (("A", 1), ("C", 3)))
    provenance = {"dataset": "B", "dataset_seed": 2, "more_datasets": [c, a, c]}  # each is named once
    wide = loaded(
        TINY,
        2,
        sampling=Range(low=0.26, high=0.3),
        dose=Range(low=8, high=1e3, scale="log"),
        noise_fall=Range(low=0.2, high=0.5),
        defocus=Range(low=-250, high=250),
        energy=3e5,
        provenance=provenance,
    )
    found = averaged([narrow, wide], "mean").metadata
    assert found.sampling == Range(low=0.26, high=0.32)
    assert found.dose == Range(low=8, high=1e4, scale="log")
    assert found.noise_fall == Range(low=0.2, high=0.6)
    assert found.defocus is None  # that of the first is not known
    assert found.energy == 3e5
    assert found.area_interval is None  # it was found with other weights
    assert found.sharpening is None  # and so was this
    assert found.provenance == {
        "dataset": "A",
        "dataset_seed": 1,
        "seed": 5,
        "more_datasets": [{"dataset": "B", "dataset_seed": 2}, {"dataset": "C", "dataset_seed": 3}],
        "averaged_from": ["hash 1", "hash 2"],
    }


def test_defoci_of_two_energies_are_those_of_the_first_that_show_the_same_rings():
    corrected = loaded(TINY, 1, energy=3e5, defocus=Range(low=-250, high=250))
    other = loaded(TINY, 2, energy=2e5, defocus=Range(low=0, high=1000))
    found = averaged([corrected, other], "mean").metadata
    assert found.energy == 3e5
    assert found.defocus.low == -250
    # The electron wavelengths are 2.508 and 1.969 pm.
    assert found.defocus.high == pytest.approx(1000 * 2.508 / 1.969, rel=1e-3)


def test_what_has_no_mean_is_refused():
    normed = TINY.model_copy(update={"norm": "batch"})
    with pytest.raises(WeightsError, match="net 2 is another network than net 1"):
        averaged([loaded(TINY, 1), loaded(SMALL, 2)], "mean")
    with pytest.raises(WeightsError, match=r"net 1 sees every image at its own pixels and net 2 .* at 0\.3 Å/px"):
        averaged([loaded(TINY, 1), loaded(TINY, 2, resampled_to=0.3)], "mean")
    with pytest.raises(WeightsError, match="net 2 sees every image at its own pixels from 4 sides"):
        averaged([loaded(TINY, 1), loaded(TINY, 2, turns=4)], "mean")
    with pytest.raises(WeightsError, match="normalisation layers"):
        averaged([loaded(normed, 1), loaded(normed, 2)], "mean")
    with pytest.raises(WeightsError, match="at least two"):
        averaged([loaded(TINY, 1)], "mean")
