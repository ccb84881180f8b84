import json
import sys

import numpy as np
import pytest
import torch
import yaml

from framedose.area_interval import AreaInterval
from framedose.cli import main
from framedose.networks.registry import parameter_count
from framedose.networks.weights import load_network, save_network


def test_list_names_what_ships(capsys):
    assert main(["weights", "list"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert "[Å/px]" in head
    assert [row.split()[:2] for row in rows] == [["best", "unet"], ["unet", "unet"], ["msdnet", "msdnet"]]
    size = str(parameter_count(load_network("msdnet").network))
    assert rows[2].split()[2:] == [size, "0.26", "to", "0.34", "8", "to", "30000", "2"]
    assert [row.split()[-1] for row in rows] == ["2", "1", "2"]


def test_show_tells_everything_in_two_forms(capsys):
    assert main(["weights", "show", "msdnet"]) == 0
    said = yaml.safe_load(capsys.readouterr().out)
    assert main(["weights", "show", "msdnet", "--json"]) == 0
    exact = json.loads(capsys.readouterr().out)
    assert list(said) == list(exact)
    assert said["network"]["layers"] == exact["network"]["layers"] == load_network("msdnet").metadata.network.layers
    assert said["provenance"]["dataset"]["conditions"]["dose"] == {"low": 8, "high": 30000, "scale": "log"}
    steps = exact["provenance"]["curves"]["step"]
    assert steps[-1] == exact["provenance"]["steps"] > steps[0] > 0
    assert said["provenance"]["curves"]["step"].startswith(f"{steps[0]}, {steps[1]}")


def test_show_rounds_no_threshold_to_one(tiny_weights, tmp_path, capsys):
    loaded, path = load_network(tiny_weights()), tmp_path / "sure.safetensors"
    interval = AreaInterval(level=0.9, upper=1 - 4e-7, frames=20)
    save_network(path, loaded.network, loaded.metadata.model_copy(update={"area_interval": interval}))
    assert main(["weights", "show", str(path)]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["area_interval"]["upper"] == interval.upper
    assert main(["weights", "show", str(tiny_weights())]) == 0
    assert "width: 2" in capsys.readouterr().out


def test_export(tiny_weights, tmp_path, capsys):
    for _ in range(2):  # an existing file is replaced
        assert main(["weights", "export", str(tiny_weights()), "--onnx", str(tmp_path / "tiny.onnx")]) == 0
        said = capsys.readouterr().out
        assert "tiny.onnx: images (batch, 1, y, x) at 0.28 to 0.32 Å/px, at least 4 pixels a side" in said
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.onnx"]


def test_halve(tmp_path, capsys):
    assert main(["weights", "halve", "unet", "--out", str(tmp_path / "half.safetensors")]) == 0
    assert "half.safetensors: 0.68 MB" in capsys.readouterr().out
    half, full = load_network(tmp_path / "half.safetensors"), load_network("unet")
    assert half.metadata.provenance["halved_from"] == full.metadata.weights_sha256
    assert half.metadata.provenance["training"] == full.metadata.provenance["training"]
    for name, tensor in full.network.state_dict().items():
        found = half.network.state_dict()[name]
        assert found.dtype == torch.float32
        assert torch.allclose(found, tensor, rtol=2**-11, atol=2**-25)
    image = np.random.default_rng(0).normal(size=(1, 128, 128)).astype(np.float32)
    assert np.abs(half.probability(image) - full.probability(image)).max() < 5e-3
    assert main(["weights", "halve", "unet", "--out", str(tmp_path / "half.safetensors")]) == 2
    assert "exists. Choose another name" in capsys.readouterr().err


def test_average(tiny_weights, tmp_path, capsys):
    low, high = tiny_weights(0.0), tiny_weights(3.0)
    out = tmp_path / "mean.safetensors"
    assert main(["weights", "average", str(low), str(high), "--out", str(out)]) == 0
    assert "mean.safetensors: the mean of 2 networks" in capsys.readouterr().out
    mean = load_network(out)
    # They differ in one bias.
    assert mean.network.head.bias.item() == 1.5
    for name, tensor in load_network(low).network.state_dict().items():
        if name != "head.bias":
            assert torch.equal(mean.network.state_dict()[name], tensor)
    hashes = [load_network(path).metadata.weights_sha256 for path in (low, high)]
    assert mean.metadata.provenance["averaged_from"] == hashes
    assert main(["weights", "average", str(low), str(high), "--out", str(out)]) == 2
    assert "exists. Choose another name" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["halve", "unet", "--out", "half.pt"], "--out must be a .safetensors file, got 'half.pt'"),
        (["average", "unet", "unet", "--out", "mean.pt"], "--out must be a .safetensors file, got 'mean.pt'"),
        (["average", "unet", "--out", "mean.safetensors"], "needs at least two networks, got 1"),
        (["average", "unet", "msdnet", "--out", "mean.safetensors"], "msdnet is another network than unet"),
        (["average", "unet", "best", "--out", "mean.safetensors"], "best sees every image at 0.3 Å/px from 2 sides"),
        (["turn", "unet", "dataset", "--turns", "3", "--out", "turned.safetensors"], "--turns"),
        (["show", "unett"], "Did you mean 'unet'"),
        (["export", "unet"], "--onnx requires an argument"),
        (["export", "unet", "--onnx", "unet.pt"], "such as unet.onnx"),
        (["export", "unet", "--onnx", "no folder/unet.onnx"], "No such file or directory"),
        (["exprt"], 'Did you mean "export"?'),
    ],
)
def test_failures(words, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["weights", *words]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert said in lines[0]
    assert not list(tmp_path.iterdir())


def test_without_onnx(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert main(["weights", "export", "unet", "--onnx", str(tmp_path / "unet.onnx")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("words", [[], ["list"], ["show"], ["average"], ["turn"], ["sharpen"], ["export"]])
def test_help(words, capsys):
    assert main(["weights", *words, "--help"]) == 0
    assert "Usage: framedose weights" in capsys.readouterr().out
