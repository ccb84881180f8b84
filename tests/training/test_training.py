"""Training on a small stored set that the tests make: squares to find in noise."""

import math
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
import zarr

from framedose.dataset.store import ImageSet
from framedose.errors import TrainingError
from framedose.networks.msdnet import MSDNetConfig
from framedose.networks.unet import UNetConfig
from framedose.training import loop
from framedose.training.batches import training_batch
from framedose.training.disturb import Disturbances
from framedose.training.loop import TrainingConfig, train

SIZE = 32
UNET = UNetConfig(width=4, poolings=1, convolutions=2, kernel=3)
MSDNET = MSDNetConfig(layers=6, width=2, kernel=3, max_dilation=4, activation="leaky_relu", negative_slope=0.1)

NORMED = UNetConfig(width=4, poolings=1, convolutions=2, kernel=3, norm="batch", normalise_window=15)
NOTHING = Disturbances()
EVERYTHING = {"augment": True, "disturb": {"background": 0.5, "coarse_share": 0.5}}


def make_squares(path, split, fields, images, seed):
    rng = np.random.default_rng(seed)
    frames = rng.normal(size=(fields, images, SIZE, SIZE)).astype(np.float16)
    masks = np.zeros(frames.shape, bool)
    for index in np.ndindex(fields, images):
        y, x = rng.integers(2, SIZE - 14, 2)
        masks[index][y : y + 12, x : x + 12] = True
    frames[masks] += 2
    group = zarr.open_group(path, mode="a").create_group(split)
    shape = (1, images, SIZE, SIZE)
    for name, data in (("images", frames), ("masks", masks)):
        array = group.create_array(name, shape=data.shape, dtype=data.dtype, chunks=(1, 1, SIZE, SIZE), shards=shape)
        array[...] = data
        array.attrs["made_from"] = f"{split} {seed}"
    group.create_array("conditions", data=np.zeros((fields, images, 1)))
    group.attrs.update({"conditions": ["dose"], "kinds": ["particle"] * fields, "doses": None})


@pytest.fixture(scope="module")
def squares(tmp_path_factory):
    path = tmp_path_factory.mktemp("squares") / "images.zarr"
    make_squares(path, "train", 24, 3, 0)
    make_squares(path, "validation", 6, 1, 1)
    return path


def config(**changes):
    base = {"steps": 30, "batch": 4, "learning_rate": 1e-2, "validate_every": 10, "checkpoint_every": 7}
    return TrainingConfig(**{**base, **changes})


def run(path, checkpoint, network=UNET, seed=0, **changes):
    sets = ImageSet(path, "train"), ImageSet(path, "validation")
    return train(network, config(**changes), *sets, seed=seed, checkpoint=checkpoint, label="test")


def weights(network):
    return {name: tensor.numpy().tobytes() for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize("network", [UNET, MSDNET], ids=["unet", "msdnet"])
def test_networks_learn_to_find_squares(squares, tmp_path, network):
    _, curves = run(
        squares, tmp_path / "c.safetensors", network, steps=150, validate_every=50, schedule="cosine", clip=1.0
    )
    assert curves["step"] == [50, 100, 150]
    assert curves["validation_f1"][-1] > 0.8
    assert curves["validation_loss"][-1] < 0.5 * math.log(2)
    assert len(curves["train_loss"]) == 3


@pytest.mark.parametrize("network", [UNET, NORMED, MSDNET], ids=["unet", "batch norm", "msdnet"])
def test_a_resumed_run_is_bit_for_bit_the_uninterrupted_one(squares, tmp_path, network, monkeypatch):
    whole, curves = run(squares, tmp_path / "whole.safetensors", network, **EVERYTHING)

    class Killed(Exception):
        pass

    steps = iter(range(17))

    def dying(*arguments, **options):
        if next(steps, None) is None:
            raise Killed
        return training_batch(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "training_batch", dying)
        with pytest.raises(Killed):
            run(squares, tmp_path / "killed.safetensors", network, **EVERYTHING)
    resumed, again = run(squares, tmp_path / "killed.safetensors", network, **EVERYTHING)
    assert weights(resumed) == weights(whole)
    assert again == curves


def test_kill_9_loses_nothing(squares, tmp_path):
    script = f"""
import sys; sys.path.insert(0, {os.path.dirname(__file__)!r})
from test_training import run, weights
import pathlib
run(pathlib.Path({str(squares)!r}), pathlib.Path({str(tmp_path / "k.safetensors")!r}), steps=100000, checkpoint_every=3)
"""
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 90
    while not (tmp_path / "k.safetensors").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    from safetensors import safe_open

    with safe_open(tmp_path / "k.safetensors", framework="pt") as file:
        assert int(file.metadata()["step"]) >= 3
        assert "optimizer.0.max_exp_avg_sq" in file.keys()  # noqa: SIM118


def test_every_epoch_shows_every_field_once_and_cycles_through_the_images(squares):
    images = ImageSet(squares, "train")
    known = {images.load(index, image)[0].tobytes(): (index, image) for index in range(24) for image in range(3)}
    for epoch in range(4):
        seen = []
        for step in range(6 * epoch, 6 * epoch + 6):
            batch, masks = training_batch(images, seed=5, step=step, size=4, augment=False, disturb=NOTHING)
            assert masks.shape == (4, SIZE, SIZE)
            seen += [known[image.tobytes()] for image in batch]
        assert sorted(index for index, _ in seen) == list(range(24))
        assert {image for _, image in seen} == {epoch % 3}


def test_orientation_turns_image_and_mask_together(squares):
    images = ImageSet(squares, "train")
    plain = [training_batch(images, seed=5, step=step, size=8, augment=False, disturb=NOTHING) for step in range(6)]
    turned = [training_batch(images, seed=5, step=step, size=8, augment=True, disturb=NOTHING) for step in range(6)]
    orientations = set()
    for (image, mask), (image2, mask2) in zip(plain, turned, strict=True):
        for a, m, b, n in zip(image, mask, image2, mask2, strict=True):
            found = [
                (turns, mirror)
                for turns in range(4)
                for mirror in (1, -1)
                if np.array_equal(np.rot90(a, turns)[:, ::mirror], b)
                and np.array_equal(np.rot90(m, turns)[:, ::mirror], n)
            ]
            assert len(found) == 1
            orientations |= set(found)
    assert len(orientations) == 8


def test_a_foreign_or_damaged_checkpoint_is_refused(squares, tmp_path):
    path = tmp_path / "c.safetensors"
    run(squares, path, steps=7)
    with pytest.raises(TrainingError, match="another configuration"):
        run(squares, path, steps=8)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(TrainingError, match="damaged"):
        run(squares, path, steps=7)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(squares, tmp_path, monkeypatch):
    path = tmp_path / "c.safetensors"
    normal = loop.normalise
    monkeypatch.setattr(
        loop, "normalise", lambda x, window: normal(x, window) * (float("nan") if path.exists() else 1.0)
    )
    with pytest.raises(TrainingError, match="loss of step 7 is nan"):
        run(squares, path)
    assert path.exists()


def test_schedule_ends_near_zero_and_constant_stays():
    cosine = config(schedule="cosine", steps=100)
    rates = [cosine.rate(step) for step in range(100)]
    assert max(rates) <= 1e-2
    assert rates[0] < 0.6e-2
    assert rates[-1] < 1e-5
    assert {config().rate(step) for step in range(30)} == {1e-2}


def test_threads_are_left_as_they_were(squares, tmp_path):
    before = torch.get_num_threads()
    run(squares, tmp_path / "c.safetensors", steps=2)
    assert torch.get_num_threads() == before
