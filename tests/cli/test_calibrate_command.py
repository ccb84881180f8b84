import numpy as np
import pytest
import tifffile
import yaml

from framedose.camera.noise import Camera, detect
from framedose.camera.passport import load_passport
from framedose.cli import main
from framedose.random import generator

DOSES = (20, 80, 300, 1000)


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    path = tmp_path_factory.mktemp("frames") / "vacuum.tif"
    camera, field = Camera(c0=0.28, c3=2.2, readout=0.01), np.ones((320, 320), np.float32)
    frames = [detect(field, dose * 0.075**2, camera, generator(2, "cli", i)) for i, dose in enumerate(DOSES)]
    tifffile.imwrite(path, 20 * np.stack(frames)[:, 32:-32, 32:-32] + 100, photometric="minisblack")
    return path


def test_calibrate_writes_a_passport_and_a_picture(stack, tmp_path, capsys):
    out = tmp_path / "mine.yaml"
    doses = ",".join(map(str, DOSES))
    assert main(["calibrate", str(stack), "--sampling", "0.075", "--dose", doses, "-o", str(out)]) == 0
    said = capsys.readouterr()
    assert "c0 = 0.2" in said.out
    assert said.err == ""
    passport = load_passport(out)
    assert passport.gain.value == pytest.approx(20, rel=0.02)
    assert passport.frames[0]["file"] == "vacuum.tif"
    assert len(passport.frames[0]["sha256"]) == 64
    assert out.with_suffix(".png").is_file()


def test_without_a_dose_the_product_is_flagged(stack, tmp_path, capsys):
    out = tmp_path / "mine.yaml"
    assert main(["calibrate", str(stack), "--sampling", "0.075", "--roi", "0,0,256,256", "-o", str(out)]) == 0
    assert "unknown dose" in capsys.readouterr().err
    assert load_passport(out).gain.quantity == "g F"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--dose", "ten"], "--dose must be a number"),
        (["--dose", "metadata"], "do not say the dose"),
        (["--dose", "1,2"], "one for each of the 4 frames"),
        (["--roi", "0,0,9"], "--roi must be"),
        (["--offset", "nan"], "--offset must be a number"),
        (["--roi", "0,0,32,256"], "too small"),
        (["--mtf", "no-such"], "cannot be read"),
    ],
)
def test_wrong_use_is_one_line(stack, tmp_path, capsys, options, message):
    assert main(["calibrate", str(stack), "--sampling", "0.075", "-o", str(tmp_path / "x.yaml"), *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "x.yaml").exists()


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("vacuum.yaml", "would write over"),
        ("vacuum.tif", "would write over"),
        ("x.png", "is the picture's name"),
        ("nowhere/x.yaml", "a folder that does not exist"),
    ],
)
def test_no_input_is_written_over(stack, tmp_path, capsys, monkeypatch, out, message):
    monkeypatch.chdir(tmp_path)
    name = "vacuum.png" if out == "vacuum.yaml" else "vacuum.tif"
    (tmp_path / name).write_bytes(stack.read_bytes())
    assert main(["calibrate", name, "--sampling", "0.075", "-o", out]) == 2
    assert message in capsys.readouterr().err
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [(name, stack.read_bytes())]


def test_neither_frames_of_a_folder_nor_foreign_pictures_are_written_over(stack, tmp_path, capsys):
    folder = tmp_path / "vac"
    folder.mkdir()
    for index, image in enumerate(tifffile.imread(stack)):
        tifffile.imwrite(folder / f"frame_{index}.tif", image)
    words = ["calibrate", str(folder), "--sampling", "0.075", "--dose", ",".join(map(str, DOSES))]
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for out in ("frame_0.tif", "camera.yaml"):
        assert main([*words, "--out", str(folder / out)]) == 2
        assert "of which every picture is read as a frame" in capsys.readouterr().err
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}
    (tmp_path / "mine.png").write_bytes(b"my own picture")
    assert main([*words, "--out", str(tmp_path / "mine.yaml")]) == 2
    assert "its picture would write over" in capsys.readouterr().err
    assert (tmp_path / "mine.png").read_bytes() == b"my own picture"
    assert main([*words, "--out", str(tmp_path / "camera.yaml")]) == 0
    found = load_passport(tmp_path / "camera.yaml").frames
    assert [one["file"] for one in found] == [f"frame_{index}.tif" for index in range(4)]
    # Its own passport and picture are made anew.
    assert main([*words, "--out", str(tmp_path / "camera.yaml")]) == 0


def test_an_mtf_alone_is_a_passport_of_an_mtf(stack, tmp_path):
    knife = {
        "camera": "knife edge",
        "source": "a knife",
        "mtf": {"table": {"frequency": [0, 0.5, 1.5], "value": [1, 0.4, 0.1]}},
    }
    (tmp_path / "knife.yaml").write_text(yaml.safe_dump(knife))
    words = ["calibrate", str(stack), "--sampling", "0.075", "--dose", ",".join(map(str, DOSES))]
    assert main([*words, "--mtf", str(tmp_path / "knife.yaml"), "--out", str(tmp_path / "camera.yaml")]) == 0
    assert "dqe" in load_passport(tmp_path / "camera.yaml").curves


def test_two_frames_of_which_the_darker_has_the_higher_dose(stack, tmp_path, capsys):
    first, *_, last = tifffile.imread(stack)
    tifffile.imwrite(tmp_path / "a.tif", first)
    tifffile.imwrite(tmp_path / "b.tif", last)
    words = ["calibrate", str(tmp_path / "a.tif"), str(tmp_path / "b.tif"), "--sampling", "0.075"]
    assert main([*words, "--dose", "1000,20", "--out", str(tmp_path / "x.yaml")]) == 2
    assert "do not follow the doses" in capsys.readouterr().err
    assert not (tmp_path / "x.yaml").exists()
    assert main([*words, "--dose", "20,1000", "--out", str(tmp_path / "x.yaml")]) == 0


def test_doses_in_another_order_than_the_frames(stack, tmp_path, capsys):
    for doses in ("20,300,80,1000", "1000,300,80,20", "20,80,1000,300"):
        words = ["calibrate", str(stack), "--sampling", "0.075", "--dose", doses, "-o", str(tmp_path / "x.yaml")]
        assert main(words) == 2
        assert "do not follow the doses" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_offset_that_is_given_stands_in_the_passport(stack, tmp_path):
    out, doses = tmp_path / "mine.yaml", ",".join(map(str, DOSES))
    words = ["calibrate", str(stack), "--sampling", "0.075", "--dose", doses, "--offset", "100.2", "-o", str(out)]
    assert main(words) == 0
    passport = load_passport(out)
    assert (passport.offset.value, passport.offset.low, passport.offset.high) == (100.2, 100.2, 100.2)
    for frame, dose in zip(tifffile.imread(stack), DOSES, strict=True):
        assert passport.dose(float(frame.mean()), 0.075) == pytest.approx(dose, rel=0.05)


def test_no_files(capsys):
    assert main(["calibrate"]) == 2
    assert "at least one file" in capsys.readouterr().err


def test_dark_frames_give_the_offset_of_one_dose(stack, tmp_path, capsys):
    frames = tifffile.imread(stack)
    camera, field = Camera(c0=0.28, c3=2.2, readout=0.01), np.ones((256, 256), np.float32)
    dark = [20 * detect(field, 0.0, camera, generator(2, "dark", i)) + 100 for i in range(2)]
    tifffile.imwrite(tmp_path / "bright.tif", frames[-1])
    tifffile.imwrite(tmp_path / "dark.tif", np.stack(dark), photometric="minisblack")
    out = tmp_path / "mine.yaml"
    words = [str(tmp_path / "bright.tif"), "--dark", str(tmp_path / "dark.tif"), "--sampling", "0.075", "-o", str(out)]
    assert main(["calibrate", *words]) == 0
    capsys.readouterr()
    passport = load_passport(out)
    assert passport.offset.value == pytest.approx(100.2, abs=0.1)
    assert passport.gain.value == pytest.approx(20, rel=0.15)
    assert [entry["file"] for entry in passport.frames] == ["bright.tif", "dark.tif"]


def test_frames_that_are_not_raw_are_refused_unless_allowed(stack, tmp_path, capsys):
    frames = tifffile.imread(stack)
    levels = np.clip((frames - frames.min()) / np.ptp(frames) * 255, 0, 255).astype(np.uint8)
    tifffile.imwrite(tmp_path / "stretched.tif", levels, photometric="minisblack")
    out = tmp_path / "mine.yaml"
    words = ["calibrate", str(tmp_path / "stretched.tif"), "--sampling", "0.075", "-o", str(out)]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert "8-bit" in error
    assert "--allow-processed" in error
    assert not out.exists()
    assert main([*words, "--allow-processed"]) == 0
    assert any("not raw: " in flag and "8-bit" in flag for flag in load_passport(out).flags)


def test_a_passport_goes_into_a_recipe_and_a_study(stack, tmp_path, capsys):
    out = tmp_path / "mine.yaml"
    assert (
        main(["calibrate", str(stack), "--sampling", "0.075", "--dose", ",".join(map(str, DOSES)), "-o", str(out)]) == 0
    )
    measured = load_passport(out)
    capsys.readouterr()
    for command, path in (("study", ("dataset", "camera")), ("simulate", ("camera",))):
        words = [command, "--print-settings"] if command == "study" else [command, "--print-recipe"]
        assert main([*words, "--camera", str(out)]) == 0
        settings = yaml.safe_load(capsys.readouterr().out)
        for key in path:
            settings = settings[key]
        assert settings["c0"]["low"] == pytest.approx(measured.mtf.c0.low)
        assert settings["readout"]["high"] == pytest.approx(measured.readout.high)
