import numpy as np
import pytest
import torch
from scipy.special import expit, logit

from framedose.networks.config import MSDNetConfig, UNetConfig
from framedose.networks.export import export_onnx
from framedose.networks.registry import build_network
from framedose.networks.turns import mean_over_turns
from framedose.networks.weights import LoadedNetwork, WeightsMetadata

TINY = UNetConfig(width=2, poolings=1, convolutions=2, kernel=3)
SMALL = MSDNetConfig(layers=3, kernel=3, max_dilation=2)
IMAGES = np.random.default_rng(0).normal(size=(2, 24, 30)).astype(np.float32)
TRAINED = {"sampling": {"low": 0.28, "high": 0.32}, "dose": {"low": 100, "high": 1e4}, "provenance": {}}


def loaded(config, turns):
    metadata = WeightsMetadata.model_validate({"network": config.model_dump(), "turns": turns, **TRAINED})
    return LoadedNetwork("net", build_network(config, seed=1), metadata)


def sides(image, turns):
    """The copies as NumPy turns them, each with what turns it back."""
    quarters = {1: [0], 2: [0, 2], 4: [0, 1, 2, 3], 8: [0, 1, 2, 3]}[turns]
    for mirrored in (False, True)[: 1 + (turns == 8)]:
        for k in quarters:
            seen = np.rot90(image[:, ::-1] if mirrored else image, k)
            yield (
                np.ascontiguousarray(seen),
                lambda found, k=k, mirrored=mirrored: np.rot90(found, -k)[:, :: -1 if mirrored else 1],
            )


@pytest.mark.parametrize("config", [TINY, SMALL])
@pytest.mark.parametrize("turns", [1, 2, 4, 8])
def test_logits_are_the_mean_over_all_sides(config, turns):
    once, often = loaded(config, 1), loaded(config, turns)
    found = often.probability(IMAGES)
    for image, probability in zip(IMAGES, found, strict=True):
        logits = [back(logit(once.probability(seen[None])[0].astype(float))) for seen, back in sides(image, turns)]
        assert np.ptp(logits, axis=0).max() > 0.02 or turns == 1
        np.testing.assert_allclose(probability, expit(np.mean(logits, axis=0)), atol=1e-6)


def test_all_sides_are_different_and_all_of_them_make_an_image_s_sides_one():
    network = loaded(TINY, 8)
    found = network.probability(IMAGES[:1])
    np.testing.assert_allclose(network.probability(IMAGES[:1, :, ::-1].copy())[:, :, ::-1], found, atol=1e-6)
    seen = []
    mean_over_turns(lambda image: (seen.append(image), image)[1], torch.from_numpy(IMAGES[:1, None, :, :24]), 8)
    assert len({image.numpy().tobytes() for image in seen}) == 8


@pytest.mark.parametrize("config", [TINY, SMALL])
def test_an_exported_network_turns_too(config, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    network = loaded(config, 8)
    export_onnx(tmp_path / "turned.onnx", network)
    (found,) = onnxruntime.InferenceSession(tmp_path / "turned.onnx").run(None, {"images": IMAGES[:, None]})
    np.testing.assert_allclose(found[:, 0], network.probability(IMAGES), atol=1e-5)
