import csv
import inspect
import json
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

from framedose.camera.noise import detect
from framedose.camera.passport import Interval, load_passport, write_passport
from framedose.cli import main
from framedose.cli.titrate import titrate
from framedose.files import read, write_tiff
from framedose.random import generator
from framedose.study import titrate as module

SAMPLING, ELECTRONS, GAIN, OFFSET = 0.3, 90.0, 2.0, 100.0  # 1000 e/Å2
SIZE = 48


def recorded(electrons=ELECTRONS, gain=GAIN, offset=OFFSET, frames=1):
    """Frames in counts of a bright disc in vacuum, by the shipped OneView, whose dark reference holds the readout."""
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    intensity = np.where(np.hypot(y, x) < 12, 1.5, 1.0).astype(np.float32)
    camera = load_passport("oneview").simulated()
    stack = np.stack([detect(intensity, electrons, camera, generator(0, "frame", i)) for i in range(frames)])
    return np.squeeze((stack - 0.01) * gain + offset).astype(np.float32)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_tiff(tmp_path / "frame.tif", recorded(), SAMPLING)
    passport = load_passport("oneview")
    known = {"gain": Interval(value=GAIN, low=GAIN, high=GAIN), "offset": Interval(value=OFFSET, low=99, high=101)}
    write_passport(tmp_path / "camera.yaml", passport.model_copy(update=known))
    return tmp_path


@pytest.fixture
def weights(tiny_weights):
    return str(tiny_weights(20))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def command(*options, file="frame.tif"):
    """Run the command; later options over earlier ones and over these two."""
    words = [str(option) for option in ("--camera", "camera.yaml", "--doses", "100,10", *options)]
    given = dict(zip(words[::2], words[1::2], strict=True))
    return main(["titrate", file, *(word for pair in given.items() for word in pair)])


def rows(folder):
    with (folder / "titration.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_frames_table_and_picture(here, weights, capsys):
    before = (here / "frame.tif").read_bytes()
    assert command("--network", weights) == 0
    out = here / "framedose-titrate"
    frames = [f"frame_{dose}{kind}.tif" for dose in (10, 100) for kind in ("", "_mask")]
    assert names(out) == sorted([*frames, "frame_full_mask.tif", "titration.csv", "titration.json", "titration.png"])
    assert (here / "frame.tif").read_bytes() == before
    assert names(here) == ["camera.yaml", "frame.tif", "framedose-titrate"]

    full, first, second = rows(out)
    mean = (recorded().mean() - OFFSET) / GAIN
    assert float(full["dose_per_area"]) == pytest.approx(mean / SAMPLING**2, rel=1e-4)
    assert [float(row["dose_per_area"]) for row in (first, second)] == [100, 10]
    for row in (first, second):
        dose, share = float(row["dose_per_area"]), float(row["share"])
        low = read(out / f"frame_{dose:g}.tif")[0]
        assert share == pytest.approx(dose * SAMPLING**2 / mean, rel=1e-4)
        assert low.sampling == pytest.approx(SAMPLING)
        assert low.image.mean() == pytest.approx(float(row["electrons_per_pixel"]), rel=1e-5)
        assert abs(low.image.mean() - (share * mean + 0.01)) < 5 * np.sqrt(share * mean) / SIZE
        # A network that sees particle everywhere is consistent with itself.
        assert (float(row["f1"]), float(row["area_ratio"])) == (1, 1)
        assert float(row["area_nm2"]) == pytest.approx((SIZE * SAMPLING / 10) ** 2)
    assert (tifffile.imread(out / "frame_10_mask.tif") == 255).all()
    with Image.open(out / "titration.png") as picture:
        assert picture.format == "PNG"

    made = json.loads((out / "titration.json").read_text(encoding="utf-8"))
    assert (made["seed"], made["threshold"], made["doses"]) == (0, 0.9, [100, 10])
    said = capsys.readouterr()
    for words in ("self-consistency", "not modelled"):
        assert words in said.out
        assert words in " ".join(made["meaning"])
    assert "at 10 e/Å2: dose 10 e/Å2 lies outside the 100 to 10000 e/Å2" in said.err


def test_f1_is_against_the_own_mask_at_full_dose(here, tiny_weights):
    # The threshold splits the nearly constant output of untrained weights.
    weights, folder = tiny_weights(), here / "framedose-titrate"
    probability = module.segment(read("frame.tif")[0], weights).probability
    threshold = float(np.median(probability))
    assert command("--network", weights, "--threshold", threshold) == 0
    full, low = (tifffile.imread(folder / f"frame_{name}_mask.tif") > 0 for name in ("full", "100"))
    assert 0.2 < full.mean() < 0.8
    row = rows(folder)[1]
    assert float(row["f1"]) == pytest.approx(2 * (full & low).sum() / (full.sum() + low.sum()))
    assert float(row["area_ratio"]) == pytest.approx(low.sum() / full.sum())
    assert 0 < float(row["f1"]) < 1


def test_a_dose_does_not_depend_on_the_others_but_on_the_seed(here, weights):
    assert command("--network", weights) == 0
    assert command("--network", weights, "--out", "one", "--doses", "10") == 0
    assert command("--network", weights, "--out", "two", "--seed", 1) == 0
    frames = [(here / out / "frame_10.tif").read_bytes() for out in ("framedose-titrate", "one", "two")]
    assert frames[0] == frames[1] != frames[2]


def test_an_empty_mask_at_full_dose_is_said_aloud(here, tiny_weights, capsys):
    assert command("--network", tiny_weights(-20)) == 0
    assert "empty mask" in capsys.readouterr().err
    assert {row["f1"] for row in rows(here / "framedose-titrate")} == {""}


def test_a_frame_of_a_stack(here, weights, capsys):
    write_tiff(here / "stack.tif", recorded(frames=3), SAMPLING)
    assert "holds 3 frames" in fails(capsys, "--network", weights, file="stack.tif")
    assert "between 0 and 2" in fails(capsys, "--network", weights, "--frame", 3, file="stack.tif")
    assert command("--network", weights, "--frame", 2, file="stack.tif") == 0
    made = json.loads((here / "framedose-titrate" / "titration.json").read_text(encoding="utf-8"))
    assert made["frame"] == 2


def test_the_dose_may_be_known_better(here, weights):
    assert command("--network", weights, "--dose", 2000) == 0
    assert [float(row["share"]) for row in rows(here / "framedose-titrate")] == pytest.approx([1, 0.05, 0.005])


def fails(capsys, *options, file="frame.tif"):
    status = command(*options, file=file)
    said = capsys.readouterr()
    lines = said.err.strip().splitlines()
    assert status == 2
    assert not said.out
    assert len(lines) == 1, said.err
    assert lines[0].startswith("framedose: error: ")
    return lines[0]


class TestFailures:
    """Each ends with one line, and leaves the folder as it was."""

    @pytest.fixture
    def folder(self, here):
        before = names(here)
        yield here
        assert names(here) == before

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (["--doses", "10,ten"], ["--doses", "10,ten"]),
            (["--doses", "10,-3"], ["--doses", "positive"]),
            (["--doses", "10,10.0"], ["--doses", "differ"]),
            (["--doses", "10,300"], ["at most a tenth", "got 300"]),
            (["--threshold", "1.5"], ["--threshold", "1.5"]),
            (["--seed", "-1"], ["--seed", "got -1"]),
            (["--dose", "-5"], ["--dose", "-5"]),
            (["--camera", "none"], ["none", "oneview"]),
            (["--network", "resnet"], ["unet, msdnet"]),
            (["--sampling", "-2"], ["--sampling", "-2"]),
            (["--frame", "1"], ["--frame", "got 1"]),
            (["--out", "."], ["holds 'camera.yaml'", "choose another --out"]),
            (["--out", "frame.tif"], ["is a file"]),
        ],
    )
    def test_options(self, folder, weights, capsys, options, words):
        line = fails(capsys, "--network", weights, *options)
        assert all(word in line for word in words), line

    def test_a_camera_is_needed(self, folder, capsys):
        assert main(["titrate", "frame.tif", "--doses", "10"]) == 2
        assert "--camera" in capsys.readouterr().err

    def test_a_missing_file(self, folder, weights, capsys):
        assert "no.tif" in fails(capsys, "--network", weights, file="no.tif")

    def test_a_wrong_file_name_does_not_wait_for_torch(self, folder):
        words = ["titrate", "no.tif", "--camera", "camera.yaml", "--doses", "10"]
        code = (
            f"import sys; from framedose.cli import main; main({words}); print(set(sys.modules) & {{'torch', 'numba'}})"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "set()"
        assert done.stderr == "framedose: error: No such file or directory: no.tif\n"

    def test_a_frame_of_8_bits(self, folder, weights, capsys):
        grey = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE)).astype(np.uint8)
        Image.fromarray(grey).save(folder / "grey.png")
        line = fails(capsys, "--network", weights, "--sampling", SAMPLING, file="grey.png")
        (folder / "grey.png").unlink()
        assert "grey.png: only a frame as the camera gave it" in line
        assert "8-bit" in line

    def test_a_second_run_keeps_the_first(self, here, weights, capsys):
        assert command("--network", weights) == 0
        before = {path.name: path.stat().st_mtime_ns for path in (here / "framedose-titrate").iterdir()}
        capsys.readouterr()
        assert "choose another --out" in fails(capsys, "--network", weights)
        assert before == {path.name: path.stat().st_mtime_ns for path in (here / "framedose-titrate").iterdir()}

    def test_in_the_middle_of_writing(self, folder, weights, capsys, monkeypatch):
        def fail(*_):
            raise OSError(28, "No space left on device", "x.tif")

        monkeypatch.setattr(module, "_write", fail)
        assert command("--network", weights) == 2
        assert "Nothing was kept. Free some space" in capsys.readouterr().err.splitlines()[-1]


def test_the_command_and_the_function_have_the_same_defaults():
    words, function = (inspect.signature(one).parameters for one in (titrate, module.titrate_file))
    same = [name for name in words if name in function]
    assert {"network", "threshold", "seed"} <= set(same)
    for name in same:
        both = [signature[name].default for signature in (words, function)]
        assert str(both[0]) == str(both[1]), name
