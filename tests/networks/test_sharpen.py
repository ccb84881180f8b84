import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.special import logit

from framedose.networks.config import MSDNetConfig, UNetConfig
from framedose.networks.export import export_onnx
from framedose.networks.registry import build_network
from framedose.networks.sharpen import Sharpening
from framedose.networks.weights import LoadedNetwork, WeightsMetadata

TINY = UNetConfig(width=2, poolings=1, convolutions=2, kernel=3)
SMALL = MSDNetConfig(layers=3, kernel=3, max_dilation=2)
THREE = TINY.model_copy(update={"classes": 3})
IMAGES = np.random.default_rng(0).normal(size=(2, 24, 24)).astype(np.float32)
TRAINED = {"sampling": {"low": 0.28, "high": 0.32}, "dose": {"low": 100, "high": 1e4}, "provenance": {}}


def loaded(config, turns=1, **sharpening):
    about = {"network": config.model_dump(), "turns": turns, "sharpening": sharpening or None, **TRAINED}
    return LoadedNetwork("net", build_network(config, seed=1), WeightsMetadata.model_validate(about))


def quantiles(config, turns, *shares):
    return [float(value) for value in np.quantile(loaded(config, turns).probability(IMAGES), shares)]


@pytest.mark.parametrize("config", [TINY, SMALL, THREE])
@pytest.mark.parametrize("turns", [1, 4])
def test_thresholds_stand_for_the_masks_that_were_named(config, turns):
    """Also where the logits are the mean from several sides, as sharpening one of them would not give."""
    half, nine_tenths = quantiles(config, turns, 0.6, 0.8)
    old = loaded(config, turns).probability(IMAGES).astype(float)
    new = loaded(config, turns, half=half, nine_tenths=nine_tenths).probability(IMAGES).astype(float)
    for threshold, was in ((0.5, half), (0.9, nine_tenths)):
        clear = abs(old - was) > 1e-6
        np.testing.assert_array_equal((new >= threshold)[clear], (old >= was)[clear])
        assert 0.1 < (old >= was).mean() < 0.5


def test_the_line_is_straight_until_it_is_nearly_certain_and_then_as_steep_as_before():
    logits = torch.linspace(-9, 9, 4001, dtype=torch.float64)
    found = Sharpening(half=0.3, nine_tenths=0.4).of(logits).numpy()
    slope = logit(0.9) / (logit(0.4) - logit(0.3))
    straight = slope * (logits.numpy() - logit(0.3))
    near = abs(straight) <= 10
    np.testing.assert_allclose(found[near], straight[near])
    assert 0.1 < near.mean() < 0.9
    assert (np.diff(found) > 0).all()
    np.testing.assert_allclose(np.diff(found)[:1000], np.diff(logits.numpy())[:1000])
    np.testing.assert_allclose(np.diff(found)[-1000:], np.diff(logits.numpy())[-1000:])


def test_a_half_and_nine_tenths_are_what_they_were():
    np.testing.assert_allclose(
        loaded(TINY, half=0.5, nine_tenths=0.9).probability(IMAGES), loaded(TINY).probability(IMAGES), atol=1e-6
    )


def test_what_is_nearly_certain_stays_apart_in_single_precision():
    """As an area interval needs: of a line as steep all over there would be no such threshold."""
    logits = torch.logit(torch.tensor([0.96, 0.97, 0.98, 0.99, 0.995, 0.999]))
    sharpening = Sharpening(half=0.34, nine_tenths=0.38)
    assert torch.sigmoid(sharpening.of(logits)).diff().min() > 0
    assert torch.sigmoid(logits * float(logit(0.9) / (logit(0.38) - logit(0.34)))).min() == 1


@pytest.mark.parametrize("config", [TINY, THREE])
def test_an_exported_network_is_read_alike(tmp_path, config):
    onnxruntime = pytest.importorskip("onnxruntime")
    half, nine_tenths = quantiles(config, 2, 0.5, 0.8)
    network = loaded(config, 2, half=half, nine_tenths=nine_tenths)
    export_onnx(tmp_path / "sharp.onnx", network)
    (found,) = onnxruntime.InferenceSession(tmp_path / "sharp.onnx").run(None, {"images": IMAGES[:, None]})
    np.testing.assert_allclose(found[:, 0], network.probability(IMAGES), atol=1e-4)


def test_results_of_one_reading_are_not_taken_for_those_of_another():
    read = [{}, {"half": 0.4, "nine_tenths": 0.6}, {"half": 0.4, "nine_tenths": 0.7}]
    assert len({loaded(TINY, turns, **sharpening).metadata.identity for turns in (1, 2) for sharpening in read}) == 6


@pytest.mark.parametrize(
    ("half", "nine_tenths", "message"),
    [
        (0.6, 0.6, "nine_tenths must lie above half, got 0.6 and 0.6"),
        (0, 0.5, "half"),
        (0.2, 1, "nine_tenths"),
        (float("nan"), 0.5, "half"),
    ],
)
def test_what_makes_no_order_is_refused(half, nine_tenths, message):
    with pytest.raises(ValidationError, match=message):
        Sharpening(half=half, nine_tenths=nine_tenths)
