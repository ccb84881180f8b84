"""New images from stored exit waves are those that the dataset would have had."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from framedose.dataset.recipe import training_parts
from framedose.dataset.store import ImageSet
from framedose.errors import FileFormatError, OutputExistsError
from framedose.study.training import TrainingData
from framedose.training.batches import Sample
from framedose.training.config import TrainingConfig
from framedose.training.endless import EndlessImages

ENDLESS = TrainingConfig(steps=1, endless=True)
# Of the seven fields of tests/training/conftest.py.
SUPPORT, VACUUM = 5, 6


@pytest.fixture(scope="module")
def images(dataset):
    return TrainingData.of(dataset).images(ENDLESS, 3)


def samples(epoch):
    return [Sample(index, index, epoch) for index in range(7)]


def test_image_e_is_the_stored_image_e_but_for_its_noise(dataset, images):
    """Two draws of noise differ from each other as much as either does from the stored image; 4 % is five standard
    errors of the ratio of two standard deviations over 2304 pixels that the MTF correlates.
    """
    stored = ImageSet(dataset / "images.zarr", "train")
    assert isinstance(images, EndlessImages)
    assert (images.fields, images.size) == (7, (48, 48))
    for epoch in range(2):
        (one, labels), (two, _) = ([part.cpu() for part in images.load(samples(epoch), seed)] for seed in (1, 2))
        for index in range(7):
            kept, _ = stored.load(index, epoch)
            assert np.array_equal(labels[index].numpy(), stored.labels(index, epoch))
            noise = (one[index] - two[index]).std().item()
            for mine in (one, two):
                difference = mine[index].numpy() - kept
                assert abs(difference.mean()) < 5 * noise / 48
                assert difference.std() == pytest.approx(noise, rel=0.15)
        # At a dose at which other conditions would show.
        assert one[2].std() > 5 * (one[2] - two[2]).std()
    assert set(labels[0].numpy().ravel()) == {0, 1, 2}
    assert set(labels[SUPPORT].numpy().ravel()) == {0, 2}
    assert not labels[VACUUM].any()


def test_the_dose_is_that_of_the_stored_image(dataset, images):
    stored = ImageSet(dataset / "images.zarr", "train")
    for epoch in range(2):
        doses = [images.dose(sample) for sample in samples(epoch)]
        assert doses == pytest.approx(stored.conditions["dose"][:, epoch].tolist(), rel=1e-12)
    assert images.dose(Sample(0, 0, 57)) not in doses


def test_one_class_has_the_stored_labels_of_one(dataset):
    stored = ImageSet(dataset / "images.zarr", "train")
    _, labels = TrainingData.of(dataset).images(ENDLESS, 1).load(samples(0), 1)
    assert labels.dtype == torch.bool
    assert [int(label.sum()) for label in labels] == [int(stored.load(index, 0)[1].sum()) for index in range(7)]


def test_epochs_go_on_without_end_and_are_drawn_from_the_seed_alone(images):
    first, again, later = (images.load(samples(epoch), 3)[0] for epoch in (0, 0, 57))
    assert torch.equal(first, again)
    assert (first[0] - later[0]).std() > 0.3 * first[0].std()


@pytest.mark.gpu
def test_images_of_a_gpu_are_those_of_the_cpu_but_for_their_noise(dataset, images):
    """At a dose at which two draws of noise differ far less than two conditions."""
    if images._device.type != "cuda":
        pytest.skip("needs a CUDA device")
    recipe, (_, split) = images._recipe, training_parts(images._recipe)[0]
    same = EndlessImages(dataset, recipe, images._seed, split, torch.device("cpu"), classes=3)
    (there, labels), (here, truth) = (source.load(samples(0), 1) for source in (images, same))
    again, _ = same.load(samples(0), 2)
    assert there.device.type == labels.device.type == "cuda"
    assert torch.equal(labels.cpu(), truth)
    for one, other, third in zip(there.cpu(), here, again, strict=True):
        assert (one - other).std().item() == pytest.approx((other - third).std().item(), rel=0.1)


def test_waves_that_are_kept_give_the_same_images(dataset, images, monkeypatch):
    keeping = TrainingData.of(dataset).images(ENDLESS, 3)
    keeping._kept = {}  # As on a GPU.
    first = keeping.load(samples(1), 5)[0]
    assert sorted(keeping._kept) == list(range(VACUUM))
    # Nothing is read again: this cannot be.
    monkeypatch.setattr(keeping, "_waves", SimpleNamespace(shape=keeping._waves.shape))
    assert torch.equal(keeping.load(samples(1), 5)[0], first)
    assert torch.equal(images.load(samples(1), 5)[0], first)


def test_missing_waves_are_said_before_the_training(dataset, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(dataset, broken)
    shutil.rmtree(broken / "exit_waves.zarr" / "train" / "c" / "3")
    with pytest.raises(FileFormatError, match="1 exit waves of 'train' are missing"):
        TrainingData.of(broken).images(ENDLESS, 3)
    shutil.rmtree(broken / "exit_waves.zarr")
    with pytest.raises(OutputExistsError):
        TrainingData.of(broken).images(ENDLESS, 3)
