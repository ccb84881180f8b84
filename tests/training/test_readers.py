"""Batches read by processes, as beside a GPU, are those that a thread reads."""

import pytest
import torch
from threadpoolctl import threadpool_info

from framedose.dataset.store import ImageSet
from framedose.errors import FileFormatError
from framedose.training.batches import StoredImages, batches
from framedose.training.config import TrainingConfig
from framedose.training.processes import readers
from framedose.workers import cores

CONFIG = TrainingConfig(steps=1, batch=4, augment=True, disturb={"background": 0.5, "coarse_share": 0.5})


class Empty:
    """Twelve fields of nothing, one of which may be damaged."""

    made_from, prefetch, fields, size = "nothing", True, 12, (16, 16)
    broken = -1

    def load(self, samples, seed):
        indices = [sample.index for sample in samples]
        if self.broken in indices:
            raise FileFormatError(f"Field {self.broken} is damaged: make it again.")
        draw = torch.Generator().manual_seed(seed)
        return torch.randn(len(samples), 16, 16, generator=draw), torch.tensor(indices)[:, None, None].expand(
            -1, 16, 16
        )


class Threads(Empty):
    """Instead of masks, the largest number of threads that any library has where they are read."""

    def load(self, samples, seed):
        most = max([torch.get_num_threads(), *(library["num_threads"] for library in threadpool_info())])
        return torch.zeros(len(samples), 16, 16), torch.full((len(samples), 16, 16), most)


def read(images, count=7, **options):
    return list(batches(images, CONFIG, seed=3, start=5, stop=5 + count, **options))


def test_processes_read_what_a_thread_reads_and_in_its_order(dataset):
    images = StoredImages(ImageSet(dataset / "images.zarr", "train"), classes=1)
    one, many = read(images), read(images, readers=min(2, cores()))
    assert len(one) == len(many) == 7
    for mine, theirs in zip(one, many, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=True))
    assert not torch.equal(one[0][0], one[1][0])


def test_a_reader_has_one_thread_however_many_cores_there_are(monkeypatch):
    """Fifteen readers of a GPU's machine with as many threads each left it no time for anything else."""
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert {labels.max().item() for _, labels in read(Threads(), readers=1)} == {1}


def test_what_a_reader_finds_damaged_is_one_line():
    images = Empty()
    images.broken = 7
    with pytest.raises(FileFormatError) as caught:
        read(images, readers=1)
    assert str(caught.value) == "Field 7 is damaged: make it again."


@pytest.mark.parametrize(
    ("cores", "processes", "expected"), [(64, 1, 16), (16, 1, 15), (16, 4, 3), (1, 1, 0), (1, 4, 0)]
)
def test_readers_take_the_cores_that_the_trainings_leave(monkeypatch, cores, processes, expected):
    monkeypatch.setattr("framedose.training.processes.cores", lambda: cores)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
    assert readers(torch.device("cuda")) == expected
    assert readers(torch.device("cpu")) == 0
