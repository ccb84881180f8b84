import numpy as np
import pytest
from scipy.special import expit, logit

from framedose.area_interval import AreaInterval
from framedose.config import Range
from framedose.errors import ConfigurationError, WeightsError
from framedose.networks.config import MSDNetConfig, UNetConfig
from framedose.networks.registry import build_network
from framedose.networks.sharpen import sharpened
from framedose.networks.weights import LoadedNetwork, WeightsMetadata

TINY = UNetConfig(width=2, poolings=1, convolutions=2, kernel=3)
SMALL = MSDNetConfig(layers=3, kernel=3, max_dilation=2)


def loaded(config):
    metadata = WeightsMetadata(
        network=config,
        sampling=Range(low=0.28, high=0.32),
        resampled_to=0.3,
        dose=Range(low=100, high=1e4, scale="log"),
        area_interval=AreaInterval(level=0.9, upper=0.8, frames=20),
        provenance={"seed": 5},
        weights_sha256="hash",
    )
    return LoadedNetwork("net", build_network(config, seed=1), metadata)


@pytest.mark.parametrize("config", [TINY, SMALL])
def test_logits_are_moved_and_nothing_else(config):
    images = np.random.default_rng(0).normal(size=(2, 24, 24)).astype(np.float32)
    before = loaded(config)
    after = sharpened(before, "sharp", gain=2.5, middle=0.7)
    old, new = (one.probability(images).astype(float) for one in (before, after))
    assert np.ptp(old) > 0.05
    assert np.allclose(new, expit(2.5 * (logit(old) - logit(0.7))), atol=1e-5)
    assert after.metadata.area_interval is None
    assert after.metadata.resampled_to == 0.3
    assert after.metadata.provenance == {"seed": 5, "sharpened_from": "hash", "gain": 2.5, "middle": 0.7}
    # The one that was given is as it was.
    assert np.array_equal(before.probability(images), old.astype(np.float32))


@pytest.mark.parametrize(
    ("gain", "middle", "message"),
    [
        (0, 0.5, "gain must be a number above 0, got 0"),
        (float("nan"), 0.5, "gain must be a number above 0, got nan"),
        (2, 1, "middle must be a probability between 0 and 1, got 1"),
    ],
)
def test_what_makes_no_network_is_refused(gain, middle, message):
    with pytest.raises(ConfigurationError, match=message):
        sharpened(loaded(TINY), "sharp", gain=gain, middle=middle)
    with pytest.raises(WeightsError, match="3 classes"):
        sharpened(loaded(TINY.model_copy(update={"classes": 3})), "sharp", gain=2, middle=0.5)
