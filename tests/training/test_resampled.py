"""Images of many pixel sizes, brought to one: fringes of one lattice then have one period."""

import numpy as np
import pytest
import torch

from framedose.cli import main
from framedose.networks.weights import load_network
from framedose.study.training import TrainingData
from framedose.training.batches import Sample
from framedose.training.config import TrainingConfig
from framedose.training.resampled import ResampledImages

SPACING, SIDE, WANTED = 2.355, 96, 0.3
SIZES = (0.26, 0.28, 0.3, 0.32, 0.34)
SMALL = ["--network.width", "2", "--network.poolings", "1", "--network.kernel", "3", "--training.steps", "2"]


class Fringes:
    """Fringes of Au (111) inside a disc of 5 Å; every field has its own pixel size, every load its own noise."""

    made_from, prefetch, fields, size, finest = "fringes", True, len(SIZES), (SIDE, SIDE), min(SIZES)

    def sampling(self, sample):
        return SIZES[sample.index]

    def like(self, index):
        return range(0)

    def load(self, samples, seed):
        rng = np.random.default_rng(seed)
        pairs = [self._pair(SIZES[sample.index], rng) for sample in samples]
        images, labels = (torch.from_numpy(np.stack(part)) for part in zip(*pairs, strict=True))
        return images, labels

    def _pair(self, sampling, rng):
        y, x = (np.mgrid[:SIDE, :SIDE] + 0.5 - SIDE / 2) * sampling
        disc = np.hypot(y, x) < 5
        noise = 0.01 * rng.normal(size=disc.shape)
        return (np.cos(2 * np.pi * x / SPACING) * disc + noise).astype(np.float32), disc


@pytest.fixture(scope="module")
def shown():
    """Images and labels of every field."""
    return ResampledImages(Fringes(), WANTED).load([Sample(n, n, 0) for n in range(len(SIZES))], seed=4)


def test_all_have_the_size_of_the_smallest_field(shown):
    images, labels = shown
    side = int(SIDE * 0.26 / 0.3)
    assert ResampledImages(Fringes(), WANTED).size == (side, side) == tuple(images.shape[1:])
    assert labels.shape == images.shape
    assert labels.dtype == torch.bool


def test_a_spacing_has_one_period_in_pixels_whatever_it_had_before(shown):
    for image in shown[0].numpy():
        power = np.abs(np.fft.rfft(image.sum(axis=0), 4096)) ** 2
        period = 4096 / (200 + power[200:].argmax())
        assert period == pytest.approx(SPACING / WANTED, rel=0.01)
    # As they were, the periods differ by three tenths.
    raw = Fringes().load([Sample(0, 0, 0), Sample(1, 4, 0)], seed=0)[0].sum(dim=1)
    low, high = (4096 / (200 + (np.abs(np.fft.rfft(row, 4096)))[200:].argmax()) for row in raw.numpy()[::-1])
    assert high / low == pytest.approx(0.34 / 0.26, rel=0.02)


def test_labels_stay_on_their_images(shown):
    for image, label in zip(*(part.numpy() for part in shown), strict=True):
        assert label.sum() * WANTED**2 == pytest.approx(np.pi * 25, rel=0.03)
        found = np.abs(image) > 0.2
        # A quarter of a pixel around the rim is interpolation.
        assert (found & ~label).sum() < 0.05 * label.sum()
        centres = [np.argwhere(part).mean(axis=0) for part in (found, label)]
        assert np.abs(centres[0] - centres[1]).max() < 0.3


def test_windows_lie_anywhere_and_a_seed_gives_them_again():
    images = ResampledImages(Fringes(), WANTED)
    places = {tuple(np.argwhere(images.load([Sample(0, 4, 0)], seed)[1][0].numpy())[0]) for seed in range(20)}
    assert len(places) > 10
    one, two = (images.load([Sample(0, 4, 0), Sample(1, 4, 0)], 7)[0] for _ in range(2))
    assert torch.equal(one, two)
    assert not torch.equal(one[0], one[1])


@pytest.mark.parametrize("endless", [False, True])
def test_stored_and_endless_images_know_their_pixel_sizes(dataset, endless):
    """That of the stored, summed pixels."""
    data = TrainingData.of(dataset)
    images = data.images(TrainingConfig(steps=1, endless=endless), 1)
    recipe = data.recipe
    known = [images.sampling(Sample(0, index, epoch)) for index in range(images.fields) for epoch in range(2)]
    assert recipe.binning * recipe.conditions.sampling.low == pytest.approx(0.28)
    assert images.finest <= min(known) * 1.001
    assert min(known) > 0.279
    assert max(known) < 0.321
    assert np.ptp(known) > 0.005
    brought = data.images(TrainingConfig(steps=1, endless=endless, resample_to=0.35), 1)
    assert isinstance(brought, ResampledImages)
    pixels, labels = brought.load([Sample(0, 0, 0)], 0)
    assert pixels.shape == labels.shape == (1, *brought.size)
    assert brought.size[0] == int(48 * images.finest * 0.998 / 0.35)


def test_a_network_of_one_pixel_size_says_so(dataset, tmp_path):
    words = ["train", str(dataset), "--network", "unet", *SMALL, "--out"]
    assert main([*words, str(tmp_path), "--training.resample_to", "0.31"]) == 0
    network = load_network(tmp_path / "unet.safetensors")
    assert network.metadata.resampled_to == network.sampling == 0.31
    assert network.metadata.sampling.low == pytest.approx(0.28)
    assert main([*words, str(tmp_path / "as they are")]) == 0
    other = load_network(tmp_path / "as they are" / "unet.safetensors")
    assert other.metadata.resampled_to is None
    assert other.sampling == pytest.approx(0.3)
