import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch

from framedose.config import Range
from framedose.errors import ImageError, WeightsError
from framedose.networks.config import MSDNetConfig, UNetConfig
from framedose.networks.preprocess import normalise
from framedose.networks.registry import build_network
from framedose.networks.weights import LoadedNetwork, WeightsMetadata, load_network, save_network

TINY = UNetConfig(width=2, poolings=1, convolutions=2, kernel=3)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "my network.safetensors"
    metadata = WeightsMetadata(
        network=TINY, sampling=Range(low=0.28, high=0.32), dose=Range(low=100, high=1e6), provenance={"seed": 3}
    )
    network = build_network(TINY, seed=3)
    save_network(path, network, metadata)
    return path, network


def test_weights_come_back_with_what_made_them(saved):
    path, _ = saved
    loaded = load_network(path)
    assert loaded.name == "my network"
    assert loaded.sampling == pytest.approx(0.30)
    assert loaded.metadata.provenance == {"seed": 3}
    images = np.random.default_rng(0).random((5, 20, 24), dtype=np.float32)
    probability = loaded.probability(images)
    assert probability.shape == images.shape
    assert ((probability > 0) & (probability < 1)).all()
    # One at a time gives the same as many at once.
    assert np.allclose(loaded.probability(images[3:4]), probability[3:4], atol=1e-6)


@pytest.mark.parametrize("config", [TINY, MSDNetConfig(layers=3, kernel=3, max_dilation=2)])
def test_of_several_classes_the_second_is_the_particle(config):
    """0 vacuum, 1 particle, 2 support; a softmax over the logits."""
    config = config.model_copy(update={"classes": 3})
    metadata = WeightsMetadata(
        network=config, sampling=Range(low=0.28, high=0.32), dose=Range(low=100, high=1e6), provenance={}
    )
    network = build_network(config, seed=3).eval()
    images = np.random.default_rng(0).random((2, 20, 24), dtype=np.float32)
    with torch.no_grad():
        shares = np.exp(network(normalise(torch.from_numpy(images))).numpy())
    expected = shares[:, 1] / shares.sum(axis=1)
    assert LoadedNetwork("three", network, metadata).probability(images) == pytest.approx(expected, abs=1e-6)


def test_bad_images_are_refused(saved):
    loaded = load_network(saved[0])
    with pytest.raises(ImageError, match="NaN"):
        loaded.probability(np.full((1, 20, 20), np.nan, np.float32))
    with pytest.raises(ImageError, match="constant"):
        loaded.probability(np.ones((1, 20, 20), np.float32))
    with pytest.raises(ImageError, match="at least"):
        loaded.probability(np.random.default_rng(0).random((1, 2, 20), dtype=np.float32))


def test_damaged_foreign_and_missing_weights_are_refused(saved, tmp_path):
    path, _ = saved
    with pytest.raises(WeightsError, match="does not exist"):
        load_network(tmp_path / "none.safetensors")
    with pytest.raises(WeightsError, match="shipped name"):
        load_network("resnet")
    with pytest.raises(WeightsError, match="Did you mean 'unet'"):
        load_network("unett")
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="damaged"):
        load_network(path)


def test_weights_of_another_network_are_refused(saved):
    path, _ = saved
    card = path.with_suffix(".json")
    content = json.loads(card.read_text())
    content["network"]["width"] = 4
    card.write_text(json.dumps(content))
    with pytest.raises(WeightsError, match="does not fit"):
        load_network(path)
    card.write_text("[]")
    with pytest.raises(WeightsError, match="not a description"):
        load_network(path)


def test_a_pickle_is_never_opened(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("code from a file was run",))

    path = tmp_path / "bomb.pt"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(WeightsError, match=r"\.safetensors"):
        load_network(path)


def test_failed_write_keeps_the_old_weights(saved, monkeypatch):
    path, network = saved
    before = path.read_bytes()
    monkeypatch.setattr("framedose.networks.weights.save", lambda *a, **k: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save_network(path, network, load_network(path).metadata)
    assert path.read_bytes() == before
    assert len(list(path.parent.iterdir())) == 2
    assert torch.is_tensor(next(iter(network.state_dict().values())))


def test_loading_weights_does_not_load_the_compiler_of_pytorch():
    """It takes a second, and its libraries crash beside those of a window that a software renderer draws."""
    code = (
        "import sys; from framedose.networks.weights import load_network; load_network('unet'); load_network('msdnet')"
    )
    code += "; sys.exit('torch._dynamo' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_channels_of_a_pixel_lie_side_by_side_in_a_unet():
    """New weights and read ones (benchmarks/unet_step.py has what it gives)."""
    new = build_network(UNetConfig(width=4, poolings=1, convolutions=2), seed=0)
    for network in (new, load_network("best").network):
        weights = [tensor for tensor in network.state_dict().values() if tensor.ndim == 4 and tensor.shape[1] > 1]
        assert weights
        assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)
