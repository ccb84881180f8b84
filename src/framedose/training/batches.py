"""Batches indexed by (seed, step): any batch can be made again alone, which makes resume exact."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from framedose.dataset.store import ImageSet
from framedose.errors import FramedoseError
from framedose.kinds import FieldKind
from framedose.random import generator
from framedose.training.config import TrainingConfig
from framedose.training.disturb import disturbed


@dataclass(frozen=True)
class Sample:
    """One image to be shown: the ``number``-th of the whole training, of field ``index`` in epoch ``epoch``."""

    number: int
    index: int
    epoch: int


class Batch(NamedTuple):
    """What a step is given to learn from."""

    images: Tensor
    """Float32, shape (n, y, x)."""
    labels: Tensor
    """Shape (n, y, x)."""
    doses: Tensor
    """Frame dose of each image [e/Å2], shape (n,); that of rivals is not told."""
    rivals: dict[int, tuple[Tensor, Tensor]]
    """Of images without a particle, by their place among the n: others of which the hardest may take that place, images
    and labels (m, y, x)."""


class Images(Protocol):
    """Where training images come from."""

    made_from: str
    """Hash of what they are made from."""
    prefetch: bool
    """Whether the next batches should be read, by a thread or by processes, while the current one is used."""

    @property
    def fields(self) -> int:
        """Number of fields."""

    @property
    def size(self) -> tuple[int, int]:
        """Pixels (y, x) of an image."""

    def like(self, index: int) -> range:
        """Return the fields without a particle among which field ``index`` is one; none if it has a particle."""

    def dose(self, sample: Sample) -> float:
        """Return the frame dose of an image [e/Å2]."""

    def load(self, samples: Sequence[Sample], seed: int) -> tuple[Tensor, Tensor]:
        """Return images, float32, and labels, uint8 or bool, both (n, y, x); ``seed`` is for new noise."""


def fields_like(kinds: Sequence[FieldKind], index: int) -> range:
    """Return the fields without a particle if ``index`` is one of them; a dataset has them after all others."""
    first = sum(kind == "particle" for kind in kinds)
    return range(first, len(kinds)) if index >= first else range(0)


class StoredImages:
    """The images of a dataset; epoch e shows image e mod E of every field (the paper's cycle of image epochs)."""

    prefetch = True

    def __init__(self, images: ImageSet, *, classes: int) -> None:
        self._images, self._classes = images, classes
        self.made_from = images.made_from

    @property
    def fields(self) -> int:
        """Number of fields."""
        return self._images.shape[0]

    @property
    def size(self) -> tuple[int, int]:
        """Pixels (y, x) of an image."""
        return self._images.shape[2:]

    def like(self, index: int) -> range:
        """Return the fields without a particle among which field ``index`` is one."""
        return fields_like(self._images.kinds, index)

    @property
    def finest(self) -> float:
        """Smallest pixel size [Å/px]."""
        return float(self._images.conditions["sampling"].min())

    def sampling(self, sample: Sample) -> float:
        """Return the pixel size of an image [Å/px]."""
        return self._condition("sampling", sample)

    def dose(self, sample: Sample) -> float:
        """Return the frame dose of an image [e/Å2]."""
        return self._condition("dose", sample)

    def _condition(self, name: str, sample: Sample) -> float:
        return float(self._images.conditions[name][sample.index, sample.epoch % self._images.shape[1]])

    def load(self, samples: Sequence[Sample], seed: int) -> tuple[Tensor, Tensor]:
        """Return images and labels (n, y, x); no noise is drawn."""
        epochs = self._images.shape[1]
        pairs = [self._pair(sample.index, sample.epoch % epochs) for sample in samples]
        images, labels = (torch.from_numpy(np.stack(part)) for part in zip(*pairs, strict=True))
        return images, labels

    def _pair(self, index: int, image: int) -> tuple[np.ndarray, np.ndarray]:
        pixels, mask = self._images.load(index, image)
        return pixels, self._images.labels(index, image) if self._classes > 1 else mask


class JoinedImages:
    """Images of several datasets as those of one; those of a batch are cropped, at random places, to its smallest.

    Parameters
    ----------
    parts
        At least one. Epoch e shows every field of all of them once. In a batch of one none is cropped.
    """

    def __init__(self, parts: Sequence[Images]) -> None:
        self._parts = parts
        self.made_from = " ".join(part.made_from for part in parts)
        self.prefetch = all(part.prefetch for part in parts)
        self._ends = np.cumsum([part.fields for part in parts])

    @property
    def fields(self) -> int:
        """Number of fields."""
        return int(self._ends[-1])

    @property
    def size(self) -> tuple[int, int]:
        """Pixels (y, x) of the smallest image."""
        return _smallest(self._parts)

    def like(self, index: int) -> range:
        """Return the fields without a particle of the same dataset among which field ``index`` is one."""
        part, first = self._place(index)
        found = part.like(index - first)
        return range(found.start + first, found.stop + first)

    def dose(self, sample: Sample) -> float:
        """Return the frame dose of an image [e/Å2]."""
        part, first = self._place(sample.index)
        return part.dose(replace(sample, index=sample.index - first))

    def _place(self, index: int) -> tuple[Images, int]:
        """Return the dataset that has a field, and how many fields lie before it."""
        place = int(np.searchsorted(self._ends, index, side="right"))
        return self._parts[place], int(self._ends[place]) - self._parts[place].fields

    def load(self, samples: Sequence[Sample], seed: int) -> tuple[Tensor, Tensor]:
        """Return images and labels (n, y, x); ``seed`` is for new noise and the places of the crops."""
        places = [self._place(sample.index) for sample in samples]
        size = _smallest([part for part, _ in places])
        images: list[Tensor] = []
        labels: list[Tensor] = []
        for position, ((part, first), sample) in enumerate(zip(places, samples, strict=True)):
            rng = generator(seed, "joined", position)
            image, label = part.load([replace(sample, index=sample.index - first)], int(rng.integers(2**62)))
            window = random_window(part.size, size, rng)
            images.append(image[0][window])
            labels.append(label[0][window])
        return torch.stack(images), torch.stack(labels)


def _smallest(parts: Sequence[Images]) -> tuple[int, int]:
    y, x = zip(*(part.size for part in parts), strict=True)
    return min(y), min(x)


def random_window(shape: tuple[int, ...], size: tuple[int, int], rng: np.random.Generator) -> tuple[slice, slice]:
    """Return where in an image of ``shape`` (y, x) a window of ``size`` lies, drawn evenly."""
    y, x = (int(rng.integers(whole - side + 1)) for whole, side in zip(shape, size, strict=True))
    return slice(y, y + size[0]), slice(x, x + size[1])


def samples_of(step: int, fields: int, size: int, seed: int, part: int = 0, parts: int = 1) -> list[Sample]:
    """Return the samples of a step, or one process's part of them.

    Samples are counted through epochs; an epoch visits every field once in its own random order.
    """
    share = size // parts
    first = step * size + part * share
    result = []
    for number in range(first, first + share):
        epoch, position = divmod(number, fields)
        index = int(generator(seed, "order", epoch).permutation(fields)[position])
        result.append(Sample(number, index, epoch))
    return result


def training_batch(
    images: Images, config: TrainingConfig, *, seed: int, step: int, part: int = 0, parts: int = 1
) -> Batch:
    """Return batch ``step``.

    With ``augment`` each sample is turned and mirrored to one of its eight orientations, ``disturb`` says what is done
    to it beyond that, and ``hardest`` how many are drawn for a place that is without a particle.
    """
    samples = samples_of(step, images.fields, config.batch, seed, part, parts)
    noise = int(generator(seed, "batch noise", step, part).integers(2**62))
    shown = [
        _shown(image, label, config, seed, sample.number)
        for sample, image, label in zip(samples, *images.load(samples, noise), strict=True)
    ]
    pixels, labels = (torch.stack(planes) for planes in zip(*shown, strict=True))
    rivals = {}
    for place, sample in enumerate(samples):
        if config.hardest > 1 and images.like(sample.index):
            drawn = [_rival(images, config, seed, sample, pixels[0].shape, draw) for draw in range(1, config.hardest)]
            rivals[place] = torch.stack([image for image, _ in drawn]), torch.stack([label for _, label in drawn])
    return Batch(pixels, labels, _doses(images, samples), rivals)


def _doses(images: Images, samples: Sequence[Sample]) -> Tensor:
    return torch.tensor([images.dose(sample) for sample in samples], dtype=torch.float32)


def _shown(image: Tensor, label: Tensor, config: TrainingConfig, seed: int, *drawn: int) -> tuple[Tensor, Tensor]:
    """Return one image and its label as they are shown to the network."""
    if config.augment:
        turns, mirror = divmod(int(generator(seed, "orientation", *drawn).integers(8)), 2)
        image, label = (
            torch.rot90(plane, turns).flip(-1) if mirror else torch.rot90(plane, turns) for plane in (image, label)
        )
    return disturbed(image, label, config.disturb, generator(seed, "disturbance", *drawn))


def _rival(
    images: Images, config: TrainingConfig, seed: int, sample: Sample, shape: tuple[int, ...], draw: int
) -> tuple[Tensor, Tensor]:
    """Return another image without a particle, any of the same dataset, and its label."""
    rng = generator(seed, "rival", sample.number, draw)
    like = images.like(sample.index)
    other = replace(sample, index=like[int(rng.integers(len(like)))], epoch=int(rng.integers(2**31)))
    (image,), (label,) = images.load([other], int(rng.integers(2**62)))
    window = random_window(image.shape, (shape[0], shape[1]), rng)
    return _shown(image[window], label[window], config, seed, sample.number, draw)


def batches(
    images: Images,
    config: TrainingConfig,
    *,
    seed: int,
    start: int,
    stop: int,
    part: int = 0,
    parts: int = 1,
    readers: int = 0,
) -> Iterator[Batch]:
    """Yield the batches of the steps from ``start`` to ``stop``; the next ones are read while one is used.

    By a thread, or by ``readers`` processes for a GPU, which is done with a batch before a thread has read the next.
    """
    load = partial(training_batch, images, config, seed=seed, part=part, parts=parts)
    if not images.prefetch:
        yield from (load(step=step) for step in range(start, stop))
    elif readers:
        yield from _read_by_processes(load, range(start, stop), readers)
    else:
        yield from _read_by_thread(load, range(start, stop))


def _read_by_thread(load: Callable[..., Batch], steps: range) -> Iterator[Batch]:
    with ThreadPoolExecutor(1) as pool:
        ahead = pool.submit(load, step=steps.start)
        for step in steps:
            batch = ahead.result()
            if step + 1 < steps.stop:
                ahead = pool.submit(load, step=step + 1)
            yield batch


def _read_by_processes(load: Callable[..., Batch], steps: range, readers: int) -> Iterator[Batch]:
    loader = DataLoader(
        _Batches(load),
        sampler=steps,
        batch_size=None,
        num_workers=readers,
        # A process that uses a GPU, and has threads, cannot be forked.
        multiprocessing_context="spawn",
        worker_init_fn=_with_one_thread,
    )
    for batch in loader:
        if isinstance(batch, FramedoseError):
            raise batch
        yield batch


def _with_one_thread(_: int) -> None:
    # Torch has one here; NumPy's matrix products would take one for each core in every reader.
    threadpool_limits(1)


class _Batches(Dataset[Batch | FramedoseError]):
    """Batches by their step. An error is handed over as it is: raised in a reader it would come as a traceback."""

    def __init__(self, load: Callable[..., Batch]) -> None:
        self._load = load

    def __getitem__(self, step: int) -> Batch | FramedoseError:
        try:
            return self._load(step=step)
        except FramedoseError as error:
            return error


def validation_batches(images: Images, *, size: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return the first image of every field, its labels and its dose [e/Å2], in batches of at most ``size``."""
    every = [Sample(index, index, 0) for index in range(images.fields)]
    parts = [every[start : start + size] for start in range(0, len(every), size)]
    return [(*images.load(part, 0), _doses(images, part)) for part in parts]
