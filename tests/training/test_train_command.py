"""``framedose train`` on a tiny dataset, from new folder to segmented image."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from framedose.cli import main
from framedose.inference.batch import segment_files
from framedose.networks.weights import load_network
from framedose.study.predictors import load_predictor

SMALL = [
    *("--network.width", "2", "--network.poolings", "1", "--network.kernel", "3", "--training.steps", "8"),
    *("--training.batch", "4", "--training.validate_every", "4", "--training.checkpoint_every", "4"),
]


def train(dataset, out, *words):
    return main(["train", str(dataset), "--network", "unet", "--out", str(out), *SMALL, *words])


def test_weights_curves_and_picture(dataset, tmp_path, capsys):
    out = tmp_path / "my network"
    assert train(dataset, out) == 0
    assert "after 8 steps, F1 on validation" in capsys.readouterr().out
    network = load_network(out / "unet.safetensors")
    provenance = network.metadata.provenance
    assert (provenance["steps"], provenance["seed"], provenance["curves"]["step"]) == (8, 0, [4, 8])
    assert provenance["dataset"]["gpts"] == 192
    assert network.metadata.sampling.low == pytest.approx(0.28)
    assert (out / "unet.curves.csv").read_text().count("\n") == 3
    with Image.open(out / "unet.curves.png") as picture:
        assert picture.size[0] > 500
    assert network.probability(np.random.default_rng(0).normal(size=(1, 48, 48)).astype(np.float32)).shape == (
        1,
        48,
        48,
    )
    before = (out / "unet.safetensors").read_bytes()
    assert train(dataset, out) == 0
    assert (out / "unet.safetensors").read_bytes() == before


def test_a_sharpened_network_segments_as_another_threshold_did(dataset, tmp_path, capsys):
    assert train(dataset, tmp_path) == 0
    network, out = str(tmp_path / "unet.safetensors"), tmp_path / "sharp.safetensors"
    images = np.random.default_rng(0).normal(size=(2, 48, 48)).astype(np.float32)
    before = load_network(network).probability(images)
    low, high = (float(value) for value in np.quantile(before, [0.4, 0.6]))

    def sharpen(network, half, nine_tenths, out):
        read = ["--half", str(half), "--nine-tenths", str(nine_tenths)]
        return main(["weights", "sharpen", str(network), str(dataset), *read, "--out", str(out)])

    assert sharpen(network, low, high, out) == 0
    assert f"0.5 where {low:g} was, 0.9 where {high:g} was" in capsys.readouterr().out
    sharp = load_network(out)
    for threshold, was in ((0.5, low), (0.9, high)):
        assert np.mean((sharp.probability(images) >= threshold) == (before >= was)) > 0.999
    # The weights are those that were trained, and what is read from them can be taken back.
    assert out.read_bytes() == Path(network).read_bytes()
    undone = tmp_path / "undone.safetensors"
    assert sharpen(out, 0.5, 0.9, undone) == 0
    np.testing.assert_allclose(load_network(undone).probability(images), before, atol=1e-6)
    capsys.readouterr()
    assert sharpen(network, low, high, out) == 2
    assert "exists" in capsys.readouterr().err
    other = tmp_path / "other.safetensors"
    assert sharpen(network, 0.7, 0.6, other) == 2
    assert "nine_tenths must lie above half, got 0.6 and 0.7" in capsys.readouterr().err
    assert not other.exists()


def test_a_turned_network_sees_images_from_several_sides(dataset, tmp_path, capsys):
    assert train(dataset, tmp_path) == 0
    network, out = str(tmp_path / "unet.safetensors"), tmp_path / "turned.safetensors"
    assert main(["weights", "turn", network, str(dataset), "--turns", "4", "--out", str(out)]) == 0
    assert "the mean of 4 turned copies of an image" in capsys.readouterr().out
    once, turned = load_network(network), load_network(out)
    assert turned.metadata.turns == 4
    images = np.random.default_rng(0).normal(size=(1, 48, 48)).astype(np.float32)
    found = turned.probability(images)
    assert np.abs(turned.probability(np.rot90(images, axes=(1, 2)).copy()) - np.rot90(found, axes=(1, 2))).max() < 1e-5
    assert np.abs(found - once.probability(images)).max() > 1e-3
    # An evaluation does not take the one for the other, though their weights are the same.
    assert turned.metadata.weights_sha256 == once.metadata.weights_sha256
    assert load_predictor(str(out)).sha256 != load_predictor(network).sha256
    # Nor does a process that has segmented with the one, when the other takes its place under its name.
    frame = tmp_path / "frame.npy"
    np.save(frame, images[0])
    middle = float(np.median(once.probability(images)))
    options = {"network": network, "sampling": once.sampling, "threshold": middle, "rim": 0.0}
    before = segment_files([frame], out=tmp_path / "before", **options)[0].fraction
    out.with_suffix(".json").replace(Path(network).with_suffix(".json"))
    after = segment_files([frame], out=tmp_path / "after", **options)[0].fraction
    assert (before, after) == (0.5, (found >= middle).mean())
    assert after != before
    # Who trains on with it trains the network itself.
    assert train(dataset, tmp_path / "on", "--start-from", network) == 0
    assert load_network(tmp_path / "on" / "unet.safetensors").metadata.turns == 1


def test_several_datasets(dataset, tmp_path):
    """Both are shown; what a network is good for spans both, and what it was made from names both."""
    other = tmp_path / "other"
    words = ["--preset", "quick", "--structures", "2", "--validation_structures", "1", "--image_epochs", "1"]
    small = ["--gpts", "160", "--specimen.radius.low", "4", "--specimen.radius.high", "5", "--workers", "1"]
    ranges = ["--conditions.dose.high", "1e7", "--conditions.defocus.low", "-300", "--conditions.sampling.low", "0.065"]
    assert main(["simulate", *words, *small, *ranges, "--out", str(other)]) == 0
    both, one = tmp_path / "both", tmp_path / "one"
    assert train(dataset, both, str(other)) == 0
    assert train(dataset, one) == 0
    assert (both / "unet.safetensors").read_bytes() != (one / "unet.safetensors").read_bytes()
    wide, narrow = (load_network(folder / "unet.safetensors").metadata for folder in (both, one))
    assert narrow.dose.low > 100
    assert (wide.dose.low, wide.dose.high) == (100, 1e7)
    assert narrow.defocus.low > -300
    assert wide.defocus.low == -300
    assert wide.sampling.low == pytest.approx(0.26)
    assert wide.sampling.high == narrow.sampling.high
    assert wide.energy == narrow.energy == 300e3
    assert [entry["dataset"]["gpts"] for entry in wide.provenance["more_datasets"]] == [160]
    assert narrow.provenance["more_datasets"] == []


def test_three_classes_and_endless_images(dataset, tmp_path):
    out = tmp_path / "three"
    assert train(dataset, out, "--network.classes", "3", "--training.endless", "true") == 0
    assert json.loads((out / "unet.json").read_text())["network"]["classes"] == 3


def test_stopped_by_time_it_goes_on_to_the_same_weights(dataset, tmp_path, capsys):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert train(dataset, whole) == 0
    assert train(dataset, parts, "--max-minutes", "1e-9") == 0
    assert "the same command goes on from there" in capsys.readouterr().out
    assert json.loads((parts / "unet.json").read_text())["provenance"]["steps"] == 1
    assert train(dataset, parts) == 0
    assert (parts / "unet.safetensors").read_bytes() == (whole / "unet.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--max-minutes", "0"], "--max-minutes must be positive"),
        (["--network.widht", "2"], "did you mean 'width'?"),
        (["--training.epochs", "2"], "give steps or epochs, one of them"),
        (["--network.classes", "2"], "network.classes 2 needs images with as many classes"),
        (["--network.poolings", "5"], "have 48 x 48 pixels"),
        (["--network.kernel", "4"], "a kernel has an odd side, got 4"),
        (["--seed", "-1"], "--seed must be a whole number from 0"),
        (["--seed", "99999999999999999999999"], "--seed must be a whole number from 0"),
        (["--training.disturb.coarse", "{low: 0, high: 0}"], "a factor of at least 1"),
        (["--max-minute", "2"], "did you mean --max-minutes?"),
        (["--preset", "labtop"], "Did you mean 'laptop'?"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(dataset, tmp_path, capsys, words, message):
    assert train(dataset, tmp_path / "out", *words) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert message in error
    assert not [path for path in (tmp_path / "out").glob("*") if path.name != ".lock"]


def test_what_is_refused_leaves_the_settings_of_a_training_as_they_are(dataset, tmp_path, capsys):
    assert train(dataset, tmp_path / "out") == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("unet.*")}
    assert train(dataset, tmp_path / "out", "--training.learning_rate", "5e-5") == 2
    assert "another configuration" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").glob("unet.*")} == before


def test_pixels_of_another_size_are_those_that_a_network_sees(dataset, tmp_path, tiny_weights, capsys):
    """The images have about 0.3 Å/px, and so have those of the weights."""
    first = tiny_weights(1.5)
    words = ["train", str(dataset), *SMALL[6:], "--network", "unet", "--start-from", str(first)]
    coarse = ["--training.resample_to", "0.6", "--training.disturb.coarse_share", "0"]
    assert main([*words, *coarse, "--out", str(tmp_path / "coarse")]) == 2
    assert "would see" in capsys.readouterr().err


def test_no_dataset_and_a_foreign_folder(dataset, tmp_path, capsys):
    assert main(["train", str(tmp_path / "nothing")]) == 2
    assert "is no dataset" in capsys.readouterr().err
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    assert train(dataset, tmp_path / "mine") == 2
    assert "is not a training's" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    assert main(["train"]) == 2
    assert "needs the folder of a dataset" in capsys.readouterr().err


def test_starting_from_weights(dataset, tmp_path, tiny_weights, capsys):
    """At a rate of nearly zero the weights stay those that it started from, with a window of their own."""
    first = tiny_weights(1.5)
    words = ["train", str(dataset), "--start-from", str(first), "--training.learning_rate", "1e-12"]
    words += ["--network.normalise_window", "15"]
    more = [*SMALL[6:], "--out", str(tmp_path / "tuned")]
    assert main([*words, *more, "--network", "unet"]) == 0
    tuned, start = load_network(tmp_path / "tuned" / "unet.safetensors"), load_network(first)
    assert tuned.metadata.network == start.metadata.network.model_copy(update={"normalise_window": 15})
    assert tuned.metadata.provenance["started_from"] == start.metadata.weights_sha256
    for name, tensor in start.network.state_dict().items():
        assert np.allclose(tensor, tuned.network.state_dict()[name], atol=1e-8)
    capsys.readouterr()
    for change, message in (
        (["--network", "unet", "--network.width", "1"], "is another network than is to be trained, it has width 2"),
        (["--network", "unet", "--network.width", "3", "--network.norm", "batch"], "it has width 2, norm none"),
        (["--network", "msdnet"], "is a unet, not a msdnet"),
    ):
        assert main([*words, *more, *change]) == 2
        assert message in capsys.readouterr().err


def test_starting_wider_than_the_weights(dataset, tmp_path, tiny_weights):
    """At a rate of nearly zero the wider network says what the one says that it started from."""
    first = tiny_weights(1.5)
    words = ["train", str(dataset), "--start-from", str(first), "--training.learning_rate", "1e-12"]
    more = [*SMALL[6:], "--network", "unet", "--network.width", "5", "--out", str(tmp_path / "wide")]
    assert main([*words, *more]) == 0
    wide, start = load_network(tmp_path / "wide" / "unet.safetensors"), load_network(first)
    assert (wide.metadata.network.width, start.metadata.network.width) == (5, 2)
    images = np.random.default_rng(0).normal(size=(2, 64, 64)).astype(np.float32)
    assert np.allclose(wide.probability(images), start.probability(images), atol=1e-5)


def test_two_processes_train_as_one(dataset, tmp_path):
    """Each step is the mean over the same images: the curves differ by rounding, which training blows up a little."""
    alone, together = tmp_path / "alone", tmp_path / "together"
    assert train(dataset, alone) == 0
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    words = ["train", str(dataset), "--network", "unet", "--out", str(together), *SMALL]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*torchrun, "-m", "framedose", *words], env=environment, capture_output=True, text=True, timeout=180
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("Weights:") == 1
    curves = [json.loads((out / "unet.json").read_text())["provenance"]["curves"] for out in (alone, together)]
    assert curves[0]["step"] == curves[1]["step"]
    for name in ("train_loss", "validation_loss"):
        assert np.allclose(curves[0][name], curves[1][name], rtol=1e-3)
    assert np.allclose(curves[0]["validation_f1"], curves[1]["validation_f1"], atol=0.02)
    assert main(["train", str(dataset), "--network", "unet", "--out", str(together), *SMALL]) == 0


def test_a_checkpoint_goes_on_where_nothing_else_is(dataset, tmp_path, capsys):
    assert train(dataset, tmp_path / "here") == 0
    (tmp_path / "there").mkdir()
    name = "unet.checkpoint.safetensors"
    (tmp_path / "there" / name).write_bytes((tmp_path / "here" / name).read_bytes())
    assert train(dataset, tmp_path / "there") == 0
    both = [load_network(tmp_path / place / "unet.safetensors").metadata.weights_sha256 for place in ("here", "there")]
    assert both[0] == both[1]


def test_a_support_out_of_a_file_need_not_be_there_any_more(dataset, tmp_path, monkeypatch, capsys):
    card = yaml.safe_load((dataset / "recipe" / "complete.yaml").read_text())
    card["specimen"] |= {"support": "gone.cif", "support_zone_axis": [0, 0, 1], "support_plane": [1, 0, 0]}
    copy = tmp_path / "data"
    shutil.copytree(dataset, copy)
    (copy / "recipe" / "complete.yaml").write_text(yaml.safe_dump(card))
    assert train(copy, tmp_path / "out") == 0
    # To make more of it, it must.
    assert main(["simulate", str(copy / "recipe" / "complete.yaml"), "--out", str(tmp_path / "more")]) == 2
    assert "there is no support 'gone.cif'" in capsys.readouterr().err
