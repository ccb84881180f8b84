import json
import sys
from importlib.metadata import version

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from framedose.config import Range
from framedose.errors import ConfigurationError, MissingPackageError
from framedose.networks.config import MSDNetConfig, UNetConfig
from framedose.networks.export import export_onnx
from framedose.networks.preprocess import normalise, probability_of
from framedose.networks.registry import build_network
from framedose.networks.turns import mean_over_turns
from framedose.networks.weights import SHIPPED, LoadedNetwork, WeightsMetadata, load_network

UNET = UNetConfig(width=3, poolings=2, convolutions=3, kernel=3)
MSDNET = MSDNetConfig(layers=5, kernel=5, max_dilation=4)


def loaded(config, seed=1):
    """A network with parameters as after training: no zero biases, no trivial statistics."""
    network = build_network(config, seed=seed)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, values in [*network.named_parameters(), *network.named_buffers()]:
            if name.endswith("bias") or "running_mean" in name:
                values.normal_(0, 0.2, generator=draw)
            elif "running_var" in name:
                values.uniform_(0.5, 2, generator=draw)
    metadata = WeightsMetadata(
        network=config,
        sampling=Range(low=0.28, high=0.32),
        dose=Range(low=100, high=1e4, scale="log"),
        provenance={},
        weights_sha256="ab" * 32,
    )
    return LoadedNetwork("tiny", network.eval(), metadata)


def frames(*shape):
    """Counts on an uneven background, as a camera gives them."""
    draw = np.random.default_rng(0)
    return (draw.poisson(300, shape) + 100 * np.linspace(0, 1, shape[-1])).astype(np.float32)


def run(path, images):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (result,) = session.run(["probability"], {"images": images[:, np.newaxis]})
    assert result.shape == (len(images), 1, *images.shape[1:])
    assert result.dtype == np.float32
    return result[:, 0]


@pytest.mark.parametrize(
    "config",
    [
        UNET,
        UNET.model_copy(update={"norm": "batch", "normalise_window": 21}),
        UNET.model_copy(update={"classes": 3, "poolings": 3, "convolutions": 2, "kernel": 5}),
        MSDNET,
        MSDNET.model_copy(update={"normalise_window": 21, "width": 2, "activation": "leaky_relu"}),
        MSDNET.model_copy(update={"classes": 3, "kernel": 9}),
    ],
)
def test_the_file_computes_what_the_network_does(config, tmp_path):
    network, path = loaded(config), tmp_path / "tiny.onnx"
    export_onnx(path, network)
    onnx.checker.check_model(path, full_check=True)
    least = network.minimum_size
    for shape in [(1, 64, 64), (3, 53, 47), (1, 45, 130), (3, least, least), (1, least + 1, 96)]:
        images = frames(*shape)
        expected = network.probability(images)
        assert expected.std() > 0.005
        np.testing.assert_allclose(run(path, images), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_networks(name, tmp_path):
    """Against double precision: in single, PyTorch itself is off by up to 1e-5 where a probability is steep."""
    network, images = load_network(name), frames(1, 83, 62)
    export_onnx(tmp_path / "out.onnx", network)
    inputs = normalise(torch.from_numpy(images), network.network.config.normalise_window).double()
    with torch.inference_mode():
        logits = mean_over_turns(network.network.double(), inputs, network.metadata.turns)
        sharpening = network.metadata.sharpening
        expected = probability_of(logits if sharpening is None else sharpening.of(logits)).numpy()
    np.testing.assert_allclose(run(tmp_path / "out.onnx", images), expected, rtol=0, atol=1e-5)


def test_the_mean_of_a_large_frame_with_an_offset(tmp_path):
    """Summed pixel by pixel in float32 the offset would be lost: from 2048 x 2048 on that exceeds the tolerance."""
    network = loaded(MSDNetConfig(layers=1, kernel=3, max_dilation=1))
    export_onnx(tmp_path / "out.onnx", network)
    images = np.random.default_rng(0).normal(1000, 10, (1, 2048, 2048)).astype(np.float32)
    np.testing.assert_allclose(run(tmp_path / "out.onnx", images), network.probability(images), rtol=0, atol=1e-5)


def test_metadata_and_no_other_file(tmp_path):
    path = tmp_path / "tiny.onnx"
    path.write_bytes(b"an older file is replaced")
    export_onnx(path, loaded(MSDNET))
    assert [file.name for file in tmp_path.iterdir()] == ["tiny.onnx"]
    model = onnx.load(path)
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert MSDNetConfig.model_validate(json.loads(said.pop("network"))) == MSDNET
    assert {key: float(said.pop(key)) for key in ("sampling_low", "sampling_high", "dose_low", "dose_high")} == {
        "sampling_low": 0.28,
        "sampling_high": 0.32,
        "dose_low": 100,
        "dose_high": 1e4,
    }
    assert json.loads(said.pop("versions"))["torch"] == version("torch")
    assert said == {"name": "tiny", "minimum_size": "9", "weights_sha256": "ab" * 32}
    assert "Å/px" in model.doc_string


def test_exporting_leaves_the_network_alone(tmp_path):
    network = loaded(MSDNET)
    before = network.probability(frames(1, 40, 40))
    export_onnx(tmp_path / "tiny.onnx", network)
    assert network.network.backend == "auto"
    assert np.array_equal(network.probability(frames(1, 40, 40)), before)


def test_failures_say_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(ConfigurationError, match=r"named \*\.onnx.*'tiny\.pt'"):
        export_onnx("tiny.pt", loaded(UNET))
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingPackageError, match="python -m pip install onnx"):
        export_onnx(tmp_path / "tiny.onnx", loaded(UNET))
    assert not list(tmp_path.iterdir())
