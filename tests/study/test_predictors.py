"""Frames of any pixel size to a network that knows some, or a single one."""

import numpy as np
import pytest

from framedose.config import Range
from framedose.inference.segment import segment
from framedose.networks.config import UNetConfig
from framedose.networks.export import export_onnx
from framedose.networks.registry import build_network
from framedose.networks.weights import WeightsMetadata, load_network, save_network
from framedose.resample import probability_to_shape, resample
from framedose.study.predictors import Predictor, load_predictor

SMALL = UNetConfig(width=2, poolings=1, convolutions=2, kernel=3)


def saved(path, resampled_to):
    trained = {"sampling": Range(low=0.26, high=0.34), "dose": Range(low=10, high=100)}
    metadata = WeightsMetadata(network=SMALL, resampled_to=resampled_to, provenance={}, **trained)
    save_network(path, build_network(SMALL, seed=0), metadata)
    return load_predictor(str(path))


@pytest.fixture(scope="module")
def frames():
    return np.random.default_rng(0).normal(size=(3, 40, 44)).astype(np.float32)


def brought(predictor, frame, sampling, to):
    found = predictor.probability(resample(frame, sampling, to)[0][None])[0]
    return probability_to_shape(found, frame.shape)


def test_a_network_of_many_pixel_sizes_takes_them_as_they_are(frames, tmp_path):
    predictor = saved(tmp_path / "many.safetensors", None)
    found = predictor.predict(frames, np.array([0.24, 0.31, 0.5]))
    assert np.allclose(found[:2], predictor.probability(frames[:2]))
    assert np.array_equal(found[2], brought(predictor, frames[2], 0.5, 0.3))
    assert not np.allclose(found[2], predictor.probability(frames[2:])[0])


def test_a_network_of_one_pixel_size_gets_every_frame_at_that(frames, tmp_path):
    predictor = saved(tmp_path / "one.safetensors", 0.31)
    found = predictor.predict(frames, np.array([0.28, 0.3102, 0.34]))
    for index, sampling in ((0, 0.28), (2, 0.34)):
        assert np.array_equal(found[index], brought(predictor, frames[index], sampling, 0.31))
    assert np.allclose(found[1], predictor.probability(frames[1:2])[0])


def test_outlines_of_networks_get_a_rim_where_it_is_asked_for(frames, tmp_path):
    predictor, sizes = saved(tmp_path / "one.safetensors", 0.31), np.array([0.28, 0.31, 0.5])
    for rim in (1.44, 0.0):
        found = predictor.predict(frames, sizes, rim=rim)
        for frame, size, probability in zip(frames, sizes, found, strict=True):
            # What the command that draws masks has for the same frame.
            same = segment(frame, tmp_path / "one.safetensors", sampling=size, rim=rim, threshold=0.5)
            assert np.allclose(probability, same.probability, atol=1e-6)
    assert np.array_equal(found, predictor.predict(frames, sizes))
    own = Predictor("own", lambda images: images, None, "")
    assert np.array_equal(own.predict(frames, sizes, rim=1.44), frames)


def test_no_frames_give_no_probabilities(tmp_path):
    predictor = saved(tmp_path / "one.safetensors", 0.31)
    assert predictor.predict(np.empty((0, 40, 44), np.float32), np.empty(0)).shape == (0, 40, 44)


def test_an_exported_network_knows_its_pixel_size(frames, tmp_path):
    pytest.importorskip("onnxruntime")
    saved(tmp_path / "one.safetensors", 0.31)
    export_onnx(tmp_path / "one.onnx", load_network(tmp_path / "one.safetensors"))
    one, same = (load_predictor(str(tmp_path / name)) for name in ("one.onnx", "one.safetensors"))
    assert one.resampled_to == 0.31
    sizes = np.array([0.28, 0.31, 0.34])
    assert np.allclose(one.predict(frames, sizes), same.predict(frames, sizes), atol=1e-5)
