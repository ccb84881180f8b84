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

CONFIG = TrainingConfig(steps=1, batch=4, augment=True, disturb={"background": 0.5, "coarse_share": 0.5}, hardest=3)


class Reporting:
    """Instead of masks, the largest number of threads that any library has where they are read; then damage."""

    made_from, prefetch, fields, size = "nothing", True, 12, (16, 16)

    def like(self, index):
        return range(0)

    def dose(self, sample):
        return 100.0

    def load(self, samples, seed):
        if samples[0].epoch > 1:
            raise FileFormatError("Field 7 is damaged: make it again.")
        most = max([torch.get_num_threads(), *(library["num_threads"] for library in threadpool_info())])
        return torch.zeros(len(samples), 16, 16), torch.full((len(samples), 16, 16), most)


def read(images, count=7, **options):
    return list(batches(images, CONFIG, seed=3, start=5, stop=5 + count, **options))


def test_processes_read_what_a_thread_reads_and_in_its_order(dataset):
    images = StoredImages(ImageSet(dataset / "images.zarr", "train"), classes=1)
    one, many = read(images), read(images, readers=min(2, cores()))
    assert len(one) == len(many) == 7
    for mine, theirs in zip(one, many, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(mine[:3], theirs[:3], strict=True))
        assert mine.rivals.keys() == theirs.rivals.keys()
        for place in mine.rivals:
            assert all(torch.equal(a, b) for a, b in zip(mine.rivals[place], theirs.rivals[place], strict=True))
    assert any(mine.rivals for mine in one)
    assert not torch.equal(one[0][0], one[1][0])


def test_a_reader_has_one_thread_and_what_it_finds_damaged_is_one_line(monkeypatch):
    """Fifteen readers of a GPU's machine with as many threads each left it no time for anything else."""
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    stream = batches(Reporting(), CONFIG, seed=3, start=5, stop=9, readers=1)
    assert next(stream)[1].max() == 1
    with pytest.raises(FileFormatError) as caught:
        list(stream)
    assert str(caught.value) == "Field 7 is damaged: make it again."


@pytest.mark.parametrize(
    ("cores", "processes", "expected"), [(64, 1, 16), (16, 1, 15), (16, 4, 3), (1, 1, 0), (1, 4, 0)]
)
def test_readers_take_the_cores_that_the_trainings_leave(monkeypatch, cores, processes, expected):
    monkeypatch.setattr("framedose.training.processes.cores", lambda: cores)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
    assert readers(torch.device("cuda")) == expected
    assert readers(torch.device("cpu")) == 0
