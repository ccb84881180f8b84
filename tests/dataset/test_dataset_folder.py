"""A whole dataset in its folder: the same bits however it is made, and no harm from what cannot be made."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, nullcontext
from functools import partial

import pytest
import yaml

from framedose import workers as workers_module
from framedose.config import merged
from framedose.dataset.folder import make_dataset
from framedose.dataset.generate import Shard
from framedose.dataset.series import named_series
from framedose.dataset.store import ImageSet
from framedose.errors import ConfigurationError, OutputExistsError, SimulationError
from framedose.workers import workers


def serial(task, items, label, done):
    return [task(item) for item in items]


def here():
    return nullcontext(serial)


@pytest.fixture(scope="module")
def finished(tiny_recipe, tmp_path_factory):
    out = tmp_path_factory.mktemp("finished") / "dataset"
    assert make_dataset(tiny_recipe, 7, out, here, given={"structures": 3}) == 0
    return out


def content(folder):
    """Every folder and file but the locks and the recipe as given, which need not be the same."""
    paths = (path for path in sorted(folder.rglob("*")) if not path.name.startswith(".lock"))
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in paths
        if path.name != "given.yaml"
    }


def test_a_dataset_is_ready_to_train_on_and_knows_its_recipe(finished, tiny_recipe):
    assert ImageSet(finished / "images.zarr", "train").shape == (4, 2, 64, 64)
    assert ImageSet(finished / "images.zarr", "validation").shape == (1, 1, 64, 64)
    complete = yaml.safe_load((finished / "recipe" / "complete.yaml").read_text())
    assert complete.pop("seed") == 7
    assert type(tiny_recipe)(**complete) == tiny_recipe
    assert yaml.safe_load((finished / "recipe" / "given.yaml").read_text()) == {"structures": 3}


def test_a_finished_dataset_is_not_made_again(finished, tiny_recipe):
    def never():
        raise AssertionError("workers were started")

    assert make_dataset(tiny_recipe, 7, finished, never) == 0


def test_four_workers_of_which_some_are_killed_make_the_same_bits(finished, tiny_recipe, tmp_path, monkeypatch):
    crews, waves = [], tmp_path / "exit_waves.zarr" / "train" / "c"
    start = workers_module._Crew.__init__

    def seen(crew, *arguments):
        start(crew, *arguments)
        crews.append(crew)

    def kill_two():
        while not (crews and waves.exists()):
            time.sleep(0.005)
        for process in crews[0].processes[:2]:
            process.send_signal(signal.SIGKILL)

    monkeypatch.setattr(workers_module._Crew, "__init__", seen)
    killer = threading.Thread(target=kill_two)
    killer.start()
    assert make_dataset(tiny_recipe, 7, tmp_path, partial(workers, 4)) == 0
    killer.join()
    assert content(tmp_path) == content(finished)


def test_a_killed_job_goes_on_to_the_same_bits(finished, tiny_recipe, tmp_path):
    recipe, out = tmp_path / "recipe.yaml", tmp_path / "dataset"
    recipe.write_text(yaml.safe_dump({"seed": 7, **tiny_recipe.model_dump(mode="json")}))
    command = [sys.executable, "-m", "framedose", "simulate", str(recipe), "--out", str(out), "--workers", "1"]
    job = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    while not (out / "exit_waves.zarr" / "train" / "c").exists() and job.poll() is None:
        time.sleep(0.005)
    os.killpg(job.pid, signal.SIGKILL)
    job.wait()
    # As if it had been killed within two writes.
    (out / "exit_waves.zarr" / "train" / "c" / "0.1234.partial").write_bytes(b"half")
    (out / "exit_waves.zarr" / ".validation.1234").mkdir()
    assert make_dataset(tiny_recipe, 7, out, here) == 0
    assert content(out) == content(finished)


def test_shards_at_the_same_time_make_the_same_bits(finished, tiny_recipe, tmp_path):
    recipe, out = tmp_path / "recipe.yaml", tmp_path / "dataset"
    recipe.write_text(yaml.safe_dump({"seed": 7, **tiny_recipe.model_dump(mode="json")}))
    command = [sys.executable, "-m", "framedose", "simulate", str(recipe), "--out", str(out), "--workers", "1"]
    jobs = [subprocess.Popen([*command, "--shard", f"{number}/2"], stderr=subprocess.PIPE) for number in (1, 2)]
    for job in jobs:
        _, said = job.communicate()
        assert job.returncode == 0, said.decode()
    assert content(out) == content(finished)


def test_arrays_are_made_without_a_race(tiny_recipe, tmp_path):
    """Processes that meet while the folder is empty agree on one set of arrays."""
    code = (
        "import sys, time, json; from pathlib import Path\n"
        "from framedose.dataset.recipe import DatasetRecipe, training_parts\n"
        "from framedose.dataset.store import create_images, create_waves\n"
        "recipe, out = DatasetRecipe(**json.loads(sys.argv[1])), Path(sys.argv[2])\n"
        "time.sleep(max(0, float(sys.argv[3]) - time.time()))\n"
        "for number in range(30):\n"
        "    for _, split in training_parts(recipe):\n"
        "        create_waves(out / f'{number}w', recipe, split, split.digest(recipe, 0))\n"
        "        create_images(out / f'{number}i', recipe, split, 0, split.digest(recipe, 0))\n"
    )
    start = str(time.time() + 4)
    command = [sys.executable, "-c", code, tiny_recipe.model_dump_json(), str(tmp_path), start]
    jobs = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    for job in jobs:
        _, said = job.communicate()
        assert job.returncode == 0, said.decode()
    names = {str(path.relative_to(tmp_path / "0i")) for path in (tmp_path / "0i").rglob("*") if path.is_file()}
    assert "train/images/zarr.json" in names
    assert not any(part.startswith(".") for name in names for part in name.split("/"))
    for number in range(30):
        folder = tmp_path / f"{number}i"
        assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == names


def test_a_shard_has_only_its_fields_and_the_last_call_finishes(finished, tiny_recipe, tmp_path):
    assert make_dataset(tiny_recipe, 7, tmp_path, here, shard=Shard(2, 2)) == 3
    made = sorted(path.name for path in (tmp_path / "images.zarr" / "train" / "images" / "c").iterdir())
    assert made == ["1", "3"]
    assert not (tmp_path / "specimens.json").exists()
    assert make_dataset(tiny_recipe, 7, tmp_path, here) == 0
    assert content(tmp_path) == content(finished)


def test_another_dataset_or_anything_else_in_the_folder_is_left_alone(finished, tiny_recipe, tmp_path):
    before = content(finished)
    other = tiny_recipe.model_copy(update={"structures": 2})
    for recipe, seed in ((other, 7), (tiny_recipe, 8)):
        with pytest.raises(OutputExistsError, match="another recipe, seed or series"):
            make_dataset(recipe, seed, finished, here)
    assert content(finished) == before
    (tmp_path / "thesis.tex").write_text("dear reader")
    with pytest.raises(OutputExistsError, match="is not a dataset's"):
        make_dataset(tiny_recipe, 7, tmp_path, here)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_the_folder_of_a_series_says_what_it_was_asked_for(tiny_recipe, tmp_path):
    part = named_series("test", tiny_recipe, structures=2, frames=2, supports=1, vacuum=1)
    make_dataset(tiny_recipe, 7, tmp_path, here, shard=Shard(4, 4), series=part)
    fields = json.loads((tmp_path / "recipe" / "made_with.json").read_text())["fields"]
    assert fields == {"test": {"particle": 2, "support": 1, "vacuum": 1, "images": 2, "doses": list(part[1].doses)}}


def test_a_dataset_keeps_to_one_kind_of_device(finished, tiny_recipe, tmp_path, monkeypatch):
    monkeypatch.setattr("framedose.dataset.folder.find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match="needs CuPy, which is not installed"):
        make_dataset(tiny_recipe, 7, tmp_path / "new", here, device="cuda")
    assert not (tmp_path / "new").exists()
    monkeypatch.setattr("framedose.dataset.folder.find_spec", lambda _: object())
    with pytest.raises(OutputExistsError, match="begun with --device cpu"):
        make_dataset(tiny_recipe, 7, finished, here, device="cuda")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"element": "Xq"}, "'Xq' is no element"),
        ({"support": "XqO2"}, "no support 'XqO2'"),
        ({"radius": {"low": 300, "high": 400}}, "too large for a view of 17.9"),
        ({"radius": {"low": 4, "high": 400}}, "too large"),
        ({"radius": {"low": 0.5, "high": 5}}, "radius.low must be at least 3"),
        ({"mask_fraction": {"low": 0.8, "high": 0.9}}, "No particle with radius"),
    ],
)
def test_a_recipe_that_cannot_be_leaves_nothing_behind(change, message, tiny_recipe, tmp_path):
    with pytest.raises(ValueError, match=message):
        recipe = type(tiny_recipe)(**merged(tiny_recipe.model_dump(), {"specimen": change}))
        make_dataset(recipe, 0, tmp_path / "new", here)
    assert not (tmp_path / "new").exists()


def test_a_full_disk_is_one_clear_error_and_what_is_finished_stays(finished, tiny_recipe, tmp_path, monkeypatch):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "somewhere")

    @contextmanager
    def filling():
        def run(task, items, label, done):
            results = serial(task, items[:1], label, done)
            if label.startswith("images"):
                raise full
            return results + serial(task, items[1:], label, done)

        yield run

    with pytest.raises(SimulationError, match="is full. What is finished is kept"):
        make_dataset(tiny_recipe, 7, tmp_path, filling)
    assert make_dataset(tiny_recipe, 7, tmp_path, here) == 0
    assert content(tmp_path) == content(finished)


@pytest.mark.parametrize(("number", "of"), [(0, 2), (3, 2), (1, 0)])
def test_shards_count_from_one(number, of):
    with pytest.raises(ConfigurationError, match="between 1 and n"):
        Shard(number, of)
    assert [list(Shard(i, 2).fields(5)) for i in (1, 2)] == [[0, 2, 4], [1, 3]]
