"""Training on a small stored set that the tests make: squares to find in noise."""

import csv
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
from safetensors.torch import save_file
from tensorboardX.proto.event_pb2 import Event

from framedose.config import build
from framedose.dataset.store import ImageSet
from framedose.errors import ConfigurationError, TrainingError
from framedose.networks.config import MSDNetConfig, UNetConfig
from framedose.networks.preprocess import normalise
from framedose.networks.registry import build_network
from framedose.training import loop
from framedose.training.batches import JoinedImages, Sample, StoredImages, batches, training_batch
from framedose.training.checkpoint import State
from framedose.training.config import TrainingConfig
from framedose.training.loop import train
from framedose.training.objective import loss_of
from framedose.training.record import CurvesRecord

SIZE = 32
UNET = UNetConfig(width=4, poolings=1, convolutions=2, kernel=3)
MSDNET = MSDNetConfig(layers=6, width=2, kernel=3, max_dilation=4, activation="leaky_relu", negative_slope=0.1)

NORMED = UNetConfig(width=4, poolings=1, convolutions=2, kernel=3, norm="batch", normalise_window=15)
EVERYTHING = {
    "augment": True,
    "disturb": {"background": 0.5, "coarse_share": 0.5},
    "average": 0.8,
    "patience": 3,
    "hardest": 3,
}


def make_squares(path, split, fields, images, seed, classes=1, empty=0):
    rng = np.random.default_rng(seed)
    frames = rng.normal(size=(fields, images, SIZE, SIZE)).astype(np.float16)
    masks = np.zeros(frames.shape, bool)
    for index in np.ndindex(fields, images):
        y, x = rng.integers(2, SIZE - 14, 2)
        masks[index][y : y + 12, x : x + 12] = index[0] < fields - empty
    frames[masks] += 2
    if classes == 3:
        # The lower half is support, and darker; the particle wins.
        support = np.zeros(SIZE, bool)
        support[SIZE // 2 :] = True
        frames[..., support, :] -= 1
        masks = np.where(masks, 1, 2 * support[:, None]).astype(np.uint8)
    group = zarr.open_group(path, mode="a").create_group(split)
    shape = (1, images, SIZE, SIZE)
    for name, data in (("images", frames), ("masks", masks)):
        array = group.create_array(name, shape=data.shape, dtype=data.dtype, chunks=(1, 1, SIZE, SIZE), shards=shape)
        array[...] = data
        array.attrs["made_from"] = f"{split} {seed}"
    # Another dose for each image.
    group.create_array("conditions", data=1.0 + np.arange(fields * images).reshape(fields, images, 1))
    group.attrs.update(
        {"conditions": ["dose"], "kinds": ["particle"] * (fields - empty) + ["vacuum"] * empty, "doses": None}
    )


@pytest.fixture(scope="module")
def squares(tmp_path_factory):
    path = tmp_path_factory.mktemp("squares") / "images.zarr"
    make_squares(path, "train", 24, 3, 0)
    make_squares(path, "validation", 6, 1, 1)
    return path


@pytest.fixture(scope="module")
def half_empty(tmp_path_factory):
    path = tmp_path_factory.mktemp("half empty") / "images.zarr"
    make_squares(path, "train", 24, 3, 0, empty=12)
    make_squares(path, "validation", 6, 1, 1)
    return path


def config(**changes):
    base = {"steps": 30, "batch": 4, "learning_rate": 1e-2, "validate_every": 10, "checkpoint_every": 7}
    return TrainingConfig(**{**base, **changes})


def images_of(path, split, classes=1):
    return StoredImages(ImageSet(path, split), classes=classes)


def run(path, checkpoint, network=UNET, seed=0, classes=1, max_minutes=None, record=None, **changes):
    sets = images_of(path, "train", classes), images_of(path, "validation", classes)
    options = {"checkpoint": checkpoint, "label": "test", "max_minutes": max_minutes, "record": record}
    return train(network, config(**changes), *sets, seed=seed, **options)


def weights(network):
    return {name: tensor.numpy().tobytes() for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize("network", [UNET, MSDNET], ids=["unet", "msdnet"])
def test_networks_learn_to_find_squares(squares, tmp_path, network):
    trained = run(
        squares, tmp_path / "c.safetensors", network, steps=150, validate_every=50, schedule="cosine", clip=1.0
    )
    curves = trained.curves
    assert trained.finished
    assert curves["step"] == [50, 100, 150]
    assert curves["validation_f1"][-1] > 0.8
    assert curves["train_f1"][-1] > 0.8
    assert curves["validation_loss"][-1] < 0.5 * math.log(2)
    assert len(curves["train_loss"]) == 3


@pytest.mark.parametrize("network", [UNET, NORMED, MSDNET], ids=["unet", "batch norm", "msdnet"])
def test_a_resumed_run_is_bit_for_bit_the_uninterrupted_one(half_empty, tmp_path, network, monkeypatch):
    whole = run(half_empty, tmp_path / "whole.safetensors", network, **EVERYTHING)

    class Killed(Exception):
        pass

    def dying(*arguments, **options):
        for count, batch in enumerate(batches(*arguments, **options)):
            if count == 17:
                raise Killed
            yield batch

    with monkeypatch.context() as patch:
        patch.setattr(loop, "batches", dying)
        with pytest.raises(Killed):
            run(half_empty, tmp_path / "killed.safetensors", network, **EVERYTHING)
    resumed = run(half_empty, tmp_path / "killed.safetensors", network, **EVERYTHING)
    assert weights(resumed.network) == weights(whole.network)
    assert resumed.curves == whole.curves


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
        assert "optimizer/0/max_exp_avg_sq" in file.keys()  # noqa: SIM118


def test_every_epoch_shows_every_field_once_and_cycles_through_the_images(squares):
    stored, images = ImageSet(squares, "train"), images_of(squares, "train")
    known = {stored.load(index, image)[0].tobytes(): (index, image) for index in range(24) for image in range(3)}
    for epoch in range(4):
        seen = []
        for step in range(6 * epoch, 6 * epoch + 6):
            batch, masks, *_ = training_batch(images, config(), seed=5, step=step)
            assert masks.shape == (4, SIZE, SIZE)
            seen += [known[image.numpy().tobytes()] for image in batch]
        assert sorted(index for index, _ in seen) == list(range(24))
        assert {image for _, image in seen} == {epoch % 3}


def test_orientation_turns_image_and_mask_together(squares):
    images = images_of(squares, "train")

    def shown(step, augment):
        batch = training_batch(images, config(batch=8, augment=augment), seed=5, step=step)
        return [part.numpy() for part in batch[:2]]

    orientations = set()
    for step in range(6):
        for a, m, b, n in zip(*shown(step, False), *shown(step, True), strict=True):
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


def test_the_parts_of_several_processes_are_the_batch_of_one(squares):
    images = images_of(squares, "train")
    for step in range(3):
        whole = training_batch(images, config(augment=True), seed=5, step=step)
        parts = [training_batch(images, config(augment=True), seed=5, step=step, part=i, parts=2) for i in range(2)]
        assert torch.equal(whole.images, torch.cat([part.images for part in parts]))
        assert torch.equal(whole.labels, torch.cat([part.labels for part in parts]))


def test_rivals_are_other_empty_fields_of_the_same_dataset_as_large_as_the_batch(half_empty, tmp_path):
    larger = tmp_path / "larger.zarr"
    make_squares(larger, "train", 8, 2, 7, empty=4)
    parts = images_of(half_empty, "train"), images_of(larger, "train")
    joined = JoinedImages(parts)
    assert [joined.like(index) for index in (0, 11, 12, 23, 24, 28, 31)] == [
        *[range(0)] * 2,
        *[range(12, 24)] * 2,
        range(0),
        *[range(28, 32)] * 2,
    ]
    known = {}
    for part, first in zip(parts, (0, 24), strict=True):
        for sample in (Sample(0, index, epoch) for index in range(part.fields) for epoch in range(3)):
            known[part.load([sample], 0)[0][0].numpy().tobytes()] = first + sample.index
    drawn = {12: set(), 28: set()}
    for step in range(24):
        batch = training_batch(joined, config(hardest=5), seed=5, step=step)
        for place, image in enumerate(batch.images):
            like = joined.like(known[image.numpy().tobytes()])
            assert (place in batch.rivals) == (len(like) > 0)
            if like:
                others, labels = batch.rivals[place]
                assert others.shape == labels.shape == (4, SIZE, SIZE)
                assert not labels.any()
                drawn[like.start] |= {known[other.numpy().tobytes()] for other in others}
        assert not training_batch(joined, config(), seed=5, step=step).rivals
    assert drawn == {12: set(range(12, 24)), 28: set(range(28, 32))}


def test_a_batch_tells_the_doses_of_its_images(squares, tmp_path):
    larger = tmp_path / "larger.zarr"
    make_squares(larger, "train", 8, 2, 7)
    joined, known = JoinedImages([images_of(path, "train") for path in (squares, larger)]), {}
    for path in (squares, larger):
        stored = ImageSet(path, "train")
        for index, image in np.ndindex(stored.shape[:2]):
            known[stored.load(index, image)[0].tobytes()] = 1 + index * stored.shape[1] + image
    for step in range(16):
        batch = training_batch(joined, config(), seed=5, step=step)
        assert batch.doses.tolist() == [known[image.numpy().tobytes()] for image in batch.images]


def test_particles_count_more_in_the_loss_where_electrons_are_few(squares, tmp_path, monkeypatch):
    counted = []

    def spy(logits, labels, weight):
        counted.append(weight)
        return loss_of(logits, labels, weight)

    monkeypatch.setattr(loop, "loss_of", spy)
    options = {"low_dose_weight": 5.0, "low_dose": 20.0, "particle_weight": 2.0}
    run(squares, tmp_path / "c.safetensors", steps=4, **options)
    # Four steps, and six images of the validation in two batches.
    assert [len(weights) for weights in counted] == [4, 4, 4, 4, 4, 2]
    doses = [training_batch(images_of(squares, "train"), config(), seed=0, step=step).doses for step in range(4)]
    for weights, batch in zip(counted, [*doses, torch.arange(1.0, 5.0), torch.tensor([5.0, 6.0])], strict=True):
        assert torch.allclose(weights, 2 * 5 ** (20 / (20 + batch)))


def test_a_step_learns_from_the_hardest_of_the_empty_images(half_empty, tmp_path, monkeypatch):
    taken = []
    monkeypatch.setattr(loop._Run, "_step", lambda self, step, images, labels, _: taken.append((images, labels)))
    monkeypatch.setattr(loop._Run, "validate_if_due", lambda self: False)
    run(half_empty, tmp_path / "c.safetensors", NORMED, hardest=4, steps=12)
    network = build_network(NORMED, seed=0).eval()
    replaced = 0
    for step, (images, labels) in enumerate(taken):
        batch = training_batch(images_of(half_empty, "train"), config(hardest=4), seed=0, step=step)
        for place, image in enumerate(images):
            candidates, truths = (
                torch.cat([first[place, None], *([batch.rivals[place][kind]] if place in batch.rivals else [])])
                for kind, first in enumerate((batch.images, batch.labels))
            )
            with torch.no_grad():
                # Without a particle the loss is that of what is taken for one.
                losses = loss_of(network(normalise(candidates, 15)), truths)
            assert torch.equal(image, candidates[losses.argmax()])
            assert torch.equal(labels[place], truths[losses.argmax()])
            replaced += int(losses.argmax() > 0)
    assert replaced > 5


class Numbered:
    """Images of which every pixel says the part, the field and its own place."""

    prefetch, like = True, staticmethod(lambda index: range(0))

    def __init__(self, part, fields, size):
        self.made_from, self.fields, self.size, self._part = f"part {part}", fields, size, part
        self.seeds = []

    def load(self, samples, seed):
        self.seeds.append(seed)
        y, x = torch.meshgrid(*(torch.arange(side, dtype=torch.float32) for side in self.size), indexing="ij")
        images = [self._part * 1e6 + sample.index * 1e4 + sample.epoch * 1e5 + 100 * y + x for sample in samples]
        return torch.stack(images), torch.stack(images).long()


def test_joined_datasets_are_shown_whole_once_an_epoch_and_cropped():
    parts = Numbered(1, 3, (9, 12)), Numbered(2, 4, (6, 8))
    joined = JoinedImages(parts)
    assert (joined.fields, joined.size, joined.prefetch) == (7, (6, 8), True)
    assert joined.made_from != JoinedImages([Numbered(2, 4, (6, 8)), Numbered(1, 3, (9, 12))]).made_from
    samples = [Sample(n, index, 1) for n, index in enumerate([6, 0, 2, 3])]
    images, labels = joined.load(samples, seed=5)
    assert images.shape == labels.shape == (4, 6, 8)
    assert torch.equal(images.long(), labels)
    # New noise must not be the same in two images of a batch.
    assert len({*parts[0].seeds, *parts[1].seeds}) == 4
    corners = images[:, 0, 0].long()
    assert (corners // 10**4).tolist() == [213, 110, 112, 210]
    # A crop is a window of neighbours, and lies somewhere else each time.
    assert torch.equal(images[1] - images[1, 0, 0], images[0] - images[0, 0, 0])
    places = {int(joined.load(samples, seed)[0][1, 0, 0]) - 110 * 10**4 for seed in range(40)}
    assert places <= {100 * y + x for y in range(4) for x in range(5)}
    assert len(places) > 10
    again, _ = joined.load(samples, seed=5)
    assert torch.equal(again, images)
    # A batch is cropped to its own smallest image: one of large ones alone is not cropped.
    assert [joined.load([one], seed=5)[0].shape[1:] for one in samples[:2]] == [(6, 8), (9, 12)]


def test_a_training_on_joined_datasets_resumes_to_the_same_bits(squares, tmp_path):
    larger = tmp_path / "larger.zarr"
    make_squares(larger, "train", 10, 2, 7)
    sets = JoinedImages([images_of(squares, "train"), images_of(larger, "train")]), images_of(squares, "validation")
    options = {"seed": 0, "label": "test", "checkpoint": tmp_path / "whole.safetensors"}
    whole = train(UNET, config(), *sets, **options)
    options["checkpoint"] = tmp_path / "parts.safetensors"
    train(UNET, config(), *sets, max_minutes=1e-9, **options)
    assert weights(train(UNET, config(), *sets, **options).network) == weights(whole.network)
    assert weights(run(squares, tmp_path / "alone.safetensors").network) != weights(whole.network)


def test_a_foreign_or_damaged_checkpoint_is_refused(squares, tmp_path):
    path = tmp_path / "c.safetensors"
    run(squares, path, steps=7)
    with pytest.raises(TrainingError, match="another configuration"):
        run(squares, path, steps=8)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(TrainingError, match="damaged"):
        run(squares, path, steps=7)


def test_a_flipped_bit_anywhere_in_a_checkpoint_is_refused(squares, tmp_path):
    path = tmp_path / "c.safetensors"
    run(squares, path, steps=7)
    content = bytearray(path.read_bytes())
    for place in (-1, len(content) // 2, content.index(b'"step"') + 8):
        damaged = content.copy()
        damaged[place] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(TrainingError, match=r"damaged.*Delete it"):
            run(squares, path, steps=7)


def test_a_checkpoint_of_channels_last_weights_is_as_any(tmp_path):
    # As the U-net's are.
    network = torch.nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    adam, path = torch.optim.Adam(network.parameters()), tmp_path / "c.safetensors"
    before = network.weight.detach().clone()
    State({"network": network}, adam, "run", 3, {}).save(path)
    with torch.no_grad():
        network.weight.zero_()
    State({"network": network}, adam, "run", 0, {}).load(path)
    assert torch.equal(network.weight, before)
    assert network.weight.is_contiguous(memory_format=torch.channels_last)


def test_steps_keep_the_gradients_from_vanishing(squares, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(loop, "kept_from_vanishing", lambda gradient: seen.append(gradient.shape) or gradient)
    run(squares, tmp_path / "c.safetensors", steps=3)
    assert len(seen) == 3


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(squares, tmp_path, monkeypatch):
    path = tmp_path / "c.safetensors"
    normal = loop.normalise
    monkeypatch.setattr(
        loop, "normalise", lambda x, window: normal(x, window) * (float("nan") if path.exists() else 1.0)
    )
    with pytest.raises(TrainingError, match="loss of step 7 is nan"):
        run(squares, path)
    assert path.exists()


def test_a_gradient_that_is_not_finite_stops_before_it_does_harm(squares, tmp_path, monkeypatch):
    path = tmp_path / "c.safetensors"
    normal = loop.loss_of

    def steep(logits, labels, weight):
        # Finite itself; the derivative of the root at zero is not.
        return normal(logits, labels, weight) + ((0 * logits).abs().sqrt().mean() if path.exists() else 0)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "loss_of", steep)
        with pytest.raises(TrainingError, match="gradient of step 7 is nan"):
            run(squares, path, clip=None)
    assert run(squares, path, clip=None).curves == run(squares, tmp_path / "whole.safetensors", clip=None).curves


def test_schedule_ends_near_zero_and_constant_stays():
    cosine = config(schedule="cosine", steps=100)
    rates = [cosine.rate(step, 100) for step in range(100)]
    assert max(rates) <= 1e-2
    assert rates[0] < 0.6e-2
    assert rates[-1] < 1e-5
    assert {config().rate(step, 30) for step in range(30)} == {1e-2}


def test_threads_are_left_as_they_were(squares, tmp_path):
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        run(squares, tmp_path / "c.safetensors", steps=2)
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def test_epochs_in_place_of_steps(squares, tmp_path):
    assert run(squares, tmp_path / "c.safetensors", steps=None, epochs=1.5).steps == 9
    with pytest.raises(ConfigurationError, match="steps or epochs"):
        build(TrainingConfig, {"steps": 3, "epochs": 1}, where="test")


def test_patience_ends_the_training_and_keeps_the_best_weights(squares, tmp_path):
    """At a rate at which nothing can be learned the loss soon stops coming down."""
    kept = {}

    def record(curves):
        kept[curves["step"][-1]] = curves["validation_loss"][-1]

    trained = run(
        squares, tmp_path / "c.safetensors", learning_rate=0.3, steps=400, validate_every=4, patience=4, record=record
    )
    losses = trained.curves["validation_loss"]
    assert trained.finished
    assert trained.steps < 400
    assert len(losses) - 1 - losses.index(min(losses)) == 4
    assert list(kept.values()) == losses
    images, labels = images_of(squares, "validation").load([Sample(i, i, 0) for i in range(6)], 0)
    with torch.no_grad():
        loss = loss_of(trained.network(loop.normalise(images)), labels).mean()
    assert float(loss) == pytest.approx(min(losses), rel=1e-5)


def test_the_running_average_is_what_is_validated_and_kept(squares, tmp_path):
    """With the decay d and w_0 copied at the first step, the average is sum d^(n-k) (1-d) w_k + d^(n-1) w_1."""
    steps, decay = 5, 0.6
    states = [
        run(squares, tmp_path / f"{count}.safetensors", schedule="constant", steps=None, epochs=count / 6).network
        for count in range(1, steps + 1)
    ]
    expected = states[0].head.weight.detach().clone()
    for state in states[1:]:
        expected = decay * expected + (1 - decay) * state.head.weight.detach()
    averaged = run(squares, tmp_path / "average.safetensors", steps=steps, average=decay)
    assert torch.allclose(averaged.network.head.weight, expected, rtol=1e-5, atol=1e-7)


def test_max_minutes_stops_and_the_same_call_goes_on(squares, tmp_path):
    path = tmp_path / "c.safetensors"
    first = run(squares, path, max_minutes=1e-9)
    assert not first.finished
    assert first.steps == 1
    last = run(squares, path)
    assert last.finished
    whole = run(squares, tmp_path / "whole.safetensors")
    assert weights(last.network) == weights(whole.network)
    assert last.curves == whole.curves
    assert run(squares, path).curves == whole.curves


def test_stopped_before_the_first_validation_the_weights_are_those_of_then(squares, tmp_path):
    steps = {"validate_every": 1000, "steps": 2000, "max_minutes": 1e-9}
    patient, other = (run(squares, tmp_path / f"{p}.safetensors", patience=p, **steps) for p in (3, None))
    assert (patient.steps, patient.finished) == (1, False)
    assert weights(patient.network) == weights(other.network)
    assert weights(patient.network) != weights(build_network(UNET, seed=0))


def test_several_classes(tmp_path):
    path = tmp_path / "images.zarr"
    make_squares(path, "train", 24, 3, 0, classes=3)
    make_squares(path, "validation", 6, 1, 1, classes=3)
    network = UNET.model_copy(update={"classes": 3})
    trained = run(path, tmp_path / "c.safetensors", network, classes=3, steps=120, validate_every=120, clip=1.0)
    assert trained.curves["validation_f1"][-1] > 0.7
    assert trained.curves["validation_loss"][-1] < 0.5 * math.log(3)
    images, labels = images_of(path, "validation", 3).load([Sample(i, i, 0) for i in range(6)], 0)
    with torch.no_grad():
        found = trained.network(loop.normalise(images)).argmax(dim=1)
    assert (found == labels).float().mean() > 0.85


@pytest.mark.parametrize("network", [UNetConfig(width=2, poolings=4), MSDNetConfig(layers=12, max_dilation=10)])
def test_images_smaller_than_the_network_needs(squares, tmp_path, network):
    with pytest.raises(TrainingError, match="have 32 x 32 pixels, this .* needs at least"):
        run(squares, tmp_path / "c.safetensors", network)
    assert not list(tmp_path.iterdir())


def test_a_full_device_is_a_clear_error_and_loses_nothing(squares, tmp_path, monkeypatch):
    path = tmp_path / "c.safetensors"
    normal = loop.loss_of

    def full(logits, labels, weight):
        if path.exists():
            raise torch.OutOfMemoryError("CUDA out of memory")
        return normal(logits, labels, weight)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "loss_of", full)
        with pytest.raises(TrainingError, match=r"lower training\.batch"):
            run(squares, path)
    assert run(squares, path).curves == run(squares, tmp_path / "whole.safetensors").curves


def test_a_checkpoint_of_another_version_is_refused(squares, tmp_path):
    path = tmp_path / "c.safetensors"
    save_file({"network.head.bias": torch.zeros(1)}, path, {"step": "7", "run": "x"})
    before = path.read_bytes()
    with pytest.raises(TrainingError, match="no checkpoint of this version"):
        run(squares, path)
    assert path.read_bytes() == before


def test_the_record_has_every_entry_once_also_after_a_resume(squares, tmp_path):
    path = tmp_path / "c.safetensors"
    run(squares, path, max_minutes=1e-9, record=CurvesRecord(tmp_path, "net"), validate_every=1)
    run(squares, path, record=CurvesRecord(tmp_path, "net"), validate_every=1)
    with (tmp_path / "net.curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(1, 31))
    assert all(0 <= float(row["validation_f1"]) <= 1 for row in rows)
    (events,) = (tmp_path / "tensorboard" / "net").glob("*tfevents*")
    # They are written by a thread.
    deadline, found = time.monotonic() + 60, {}
    while sum(len(steps) for steps in found.values()) < 4 * 30:
        assert time.monotonic() < deadline
        time.sleep(0.5)
        found = events_in(events)
    assert set(found) == {"loss/train", "loss/validation", "f1/train", "f1/validation"}
    for steps in found.values():
        assert steps == list(range(1, 31))


def events_in(path):
    """Return the steps of each curve in a TensorBoard file: records of length, checksum, data, checksum."""
    content, found = path.read_bytes(), {}
    while len(content) >= 12:
        length = int.from_bytes(content[:8], "little")
        if len(content) < length + 16:
            break
        event, content = Event.FromString(content[12 : 12 + length]), content[length + 16 :]
        for value in event.summary.value:
            found.setdefault(value.tag, []).append(event.step)
    return found
