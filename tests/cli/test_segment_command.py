import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tifffile
from PIL import Image

from framedose.camera.passport import Interval, load_passport, write_passport
from framedose.cli import main
from framedose.files import read, write_tiff
from framedose.inference import batch, kept


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def weights(tiny_weights):
    return str(tiny_weights())


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(100, 10, shape).astype(np.float32)


def grey(path, *shape, seed=0):
    Image.fromarray((1.5 * noise(*shape, seed=seed)).astype(np.uint8)).save(path)


def write_camera(gain=2):
    """Write a passport with a gain, and an offset of 2."""
    gain, two = (Interval(value=value, low=value, high=value) for value in (gain, 2))
    write_passport("camera.yaml", load_passport("oneview").model_copy(update={"gain": gain, "offset": two}))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def fails(capsys, *arguments):
    """Run a command that must fail: return the one line that it says."""
    status = main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    lines = said.err.strip().splitlines()
    assert status == 2
    assert not said.out
    assert len(lines) == 1, said.err
    assert lines[0].startswith("framedose: error: ")
    return lines[0]


def fails_late(capsys, *arguments):
    """Run a command that must fail after work has begun: return the last line that it says, below its bars."""
    assert main([str(argument) for argument in arguments]) == 2
    said = capsys.readouterr()
    assert not said.out
    line = said.err.strip().splitlines()[-1]
    assert line.startswith("framedose: error: ")
    return line


class TestResults:
    def test_png_and_stack_together(self, here, weights, capsys):
        grey("Probe ä 1.png", 40, 50)
        write_tiff(here / "serie.tif", noise(3, 60, 45), 0.4)
        before = (here / "serie.tif").read_bytes()
        # The threshold splits the nearly constant output of untrained weights.
        assert (
            main(
                [
                    "segment",
                    "Probe ä 1.png",
                    "serie.tif",
                    "--sampling",
                    "0.75",
                    "--network",
                    weights,
                    "--threshold",
                    "0.4",
                ]
            )
            == 0
        )
        out = here / "framedose-segment"
        assert names(out) == [
            "Probe ä 1_mask.tif",
            "Probe ä 1_overlay.png",
            "Probe ä 1_probability.tif",
            "particles.csv",
            "segmentation.csv",
            "segmentation.json",
            "serie_mask.tif",
            *[f"serie_overlay_frame{index}.png" for index in range(3)],
            "serie_probability.tif",
            "serie_tracks.png",
            "tracks.csv",
        ]
        assert names(here) == ["Probe ä 1.png", "framedose-segment", "serie.tif"]
        assert (here / "serie.tif").read_bytes() == before

        with (out / "segmentation.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert list(rows[0]) == [
            "file",
            "frame",
            "area_nm2",
            "area_low_nm2",
            "area_high_nm2",
            "fraction",
            "dose_per_area",
            "total_dose_per_area",
            "time_s",
            "warning",
        ]
        assert [(row["file"], row["frame"]) for row in rows] == [
            ("Probe ä 1.png", "0"),
            *(("serie.tif", str(i)) for i in range(3)),
        ]
        masks = tifffile.imread(out / "serie_mask.tif")
        probability = tifffile.imread(out / "serie_probability.tif")
        assert (masks.dtype, masks.shape, probability.dtype, probability.shape) == (
            "uint8",
            (3, 60, 45),
            "float32",
            (3, 60, 45),
        )
        np.testing.assert_array_equal(masks, np.where(probability >= 0.4, 255, 0))
        for row, mask in zip(rows[1:], masks, strict=True):
            assert float(row["fraction"]) == pytest.approx((mask > 0).mean())
            assert float(row["area_nm2"]) == pytest.approx((mask > 0).sum() * 0.075**2)
        with (out / "particles.csv").open(encoding="utf-8") as file:
            particles = list(csv.DictReader(file))
        assert list(particles[0])[:5] == ["file", "frame", "particle", "track", "area_nm2"]
        assert {row["track"] for row in particles if row["file"] == "Probe ä 1.png"} <= {""}
        assert all(row["track"].isdecimal() for row in particles if row["file"] == "serie.tif")
        assert {row["file"] for row in particles} == {"Probe ä 1.png", "serie.tif"}
        for row in rows:
            found = [one for one in particles if (one["file"], one["frame"]) == (row["file"], row["frame"])]
            assert [one["particle"] for one in found] == [str(place) for place in range(len(found))]
            # Specks are in the mask's area, and no particles.
            assert sum(float(one["area_nm2"]) for one in found) <= float(row["area_nm2"]) * (1 + 1e-9)
        assert read(out / "Probe ä 1_probability.tif")[0].sampling == pytest.approx(0.75)
        assert read(out / "Probe ä 1_probability.tif")[0].image.shape == (40, 50)

        made = json.loads((out / "segmentation.json").read_text(encoding="utf-8"))
        assert (made["network"], made["threshold"], made["sampling"]) == ("tiny0", 0.4, 0.75)
        assert made["rim"] == 1.44
        assert set(made["inputs"]) == {"Probe ä 1.png", "serie.tif"}
        said = capsys.readouterr()
        assert "framedose-segment" in said.out
        assert "Probe ä 1.png, frame 0: pixel size 0.75" in said.err
        assert "not a raw frame (8-bit)" in said.err
        assert "serie.tif, frame 0, and 2 more: pixel size 0.75" in said.err

    def test_the_passport_of_the_camera_tells_the_dose(self, here, weights, capsys):
        write_tiff(here / "a.tif", noise(60, 45), 0.3)
        write_camera()
        assert main(["segment", "a.tif", "--network", weights, "--camera", "camera.yaml"]) == 0
        capsys.readouterr()
        with open("framedose-segment/segmentation.csv", encoding="utf-8") as file:
            (row,) = csv.DictReader(file)
        assert float(row["dose_per_area"]) == pytest.approx((100 - 2) / 2 / 0.3**2, rel=0.01)
        assert "oneview" in fails(capsys, "segment", "a.tif", "--camera", "no such camera", "--out", "other")

    def test_a_passport_that_tells_no_dose_is_said(self, here, weights, capsys):
        write_tiff(here / "a.tif", noise(60, 45), 0.3)
        assert main(["segment", "a.tif", "--network", weights, "--camera", "oneview"]) == 0
        assert "tells none: it has no gain of its own" in capsys.readouterr().err
        with open("framedose-segment/segmentation.csv", encoding="utf-8") as file:
            (row,) = csv.DictReader(file)
        assert row["dose_per_area"] == ""
        assert "no dose" in row["warning"]
        assert main(["segment", "a.tif", "--network", weights, "--camera", "oneview", "--dose", "9", "--out", "b"]) == 0
        assert "no dose" not in capsys.readouterr().err

    def test_pixel_size_of_each_file(self, here, weights):
        write_tiff(here / "a.tif", noise(40, 50), 0.3)
        write_tiff(here / "b.tif", noise(40, 50), 0.2)
        assert main(["segment", "a.tif", "b.tif", "--network", weights, "--out", "deep/er"]) == 0
        assert [read(here / "deep" / "er" / f"{name}_probability.tif")[0].sampling for name in "ab"] == pytest.approx(
            [0.3, 0.2]
        )

    def test_an_empty_mask_is_said_aloud(self, here, tiny_weights, capsys):
        write_tiff(here / "a.tif", noise(40, 50), 0.3)
        assert main(["segment", "a.tif", "--network", str(tiny_weights(-20))]) == 0
        said = capsys.readouterr()
        assert "framedose: warning: a.tif, frame 0: empty mask" in said.err
        assert "empty mask" in (here / "framedose-segment" / "segmentation.csv").read_text()

    def test_a_full_mask_has_the_area_of_the_frame(self, here, tiny_weights):
        write_tiff(here / "a.tif", noise(40, 50), 0.3)
        assert main(["segment", "a.tif", "--network", str(tiny_weights(20))]) == 0
        with (here / "framedose-segment" / "segmentation.csv").open() as file:
            (row,) = csv.DictReader(file)
        assert (float(row["area_nm2"]), float(row["fraction"])) == pytest.approx((2000 * 0.03**2, 1.0))

    def test_an_empty_folder_may_take_the_results(self, here, weights):
        write_tiff(here / "a.tif", noise(40, 50), 0.3)
        (here / "out").mkdir()
        assert main(["segment", "a.tif", "--network", weights, "--out", "out"]) == 0
        assert "segmentation.csv" in names(here / "out")

    def test_the_same_again_gives_the_same(self, here, weights):
        write_tiff(here / "a.tif", noise(40, 50), 0.3)
        for out in ("one", "two"):
            assert main(["segment", "a.tif", "--network", weights, "--out", out]) == 0
        for name in names(here / "one"):
            assert (here / "one" / name).read_bytes() == (here / "two" / name).read_bytes()


class TestFailures:
    """Each ends with one line, and leaves the folder as it was."""

    @pytest.fixture
    def folder(self, here):
        write_tiff(here / "good.tif", noise(40, 50), 0.3)
        yield here
        assert names(here) == ["good.tif"]

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (["--threshold", "1.5"], ["--threshold", "1.5"]),
            (["--threshold", "nan"], ["--threshold", "nan"]),
            (["--sampling", "-0.3"], ["--sampling", "-0.3"]),
            (["--sampling", "nan"], ["--sampling", "nan"]),
            (["--sampling", "wide"], ["--sampling", "wide"]),
            (["--sampling", "1.2"], ["too coarse", "1.2", "--sampling"]),
            (["--sampling", "0.01"], ["too small", "nm"]),
            (["--dose", "-5"], ["--dose", "-5"]),
            (["--rim", "-1"], ["--rim", "-1", "not negative"]),
            (["--rim", "nan"], ["--rim", "nan"]),
            (["--dose", "nan"], ["--dose", "nan"]),
            (["--treshold", "0.5"], ["--treshold", "Did you mean --threshold?"]),
            (["missing.tif"], ["No such file", "missing.tif"]),
            (["--out", "good.tif/out"], ["--out 'good.tif/out' cannot be made: Not a directory", "another --out"]),
            (["good.tif"], ["good.tif and good.tif", "--out"]),
            (["--sum-frames", "0"], ["--sum-frames", "at least 1", "got 0"]),
            (["--sum-frames", "2"], ["--sum-frames 2", "good.tif", "1 frame)"]),
        ],
    )
    def test_arguments(self, folder, weights, capsys, options, words):
        line = fails(capsys, "segment", "good.tif", "--network", weights, *options)
        assert all(word in line for word in words), line

    def test_network(self, folder, capsys):
        assert "unet, msdnet" in fails(capsys, "segment", "good.tif", "--network", "resnet")
        assert "Did you mean 'unet'" in fails(capsys, "segment", "good.tif", "--network", "unett")

    def test_no_file(self, folder, capsys):
        assert "name at least one" in fails(capsys, "segment")

    @pytest.mark.parametrize(
        ("name", "content", "words"),
        [
            ("bad.png", b"", "empty"),
            ("bad.png", b"\x89PNG\r\n\x1a\n truncated", "cannot be decoded as PNG"),
            ("bad.tif", b"hello", "not a TIFF"),
            ("bad.dm4", b"\0\0\0\4", "cannot be decoded as DM"),
            ("bad.jpg", b"\xff\xd8", ".dm3, .dm4"),
        ],
    )
    def test_a_bad_file_among_good_ones(self, folder, weights, capsys, name, content, words):
        (folder / name).write_bytes(content)
        line = fails(capsys, "segment", "good.tif", name, "--network", weights)
        (folder / name).unlink()
        assert words in line
        assert name in line

    def test_no_pixel_size(self, folder, weights, capsys):
        grey("grey.png", 40, 50)
        line = fails(capsys, "segment", "good.tif", "grey.png", "--network", weights)
        (folder / "grey.png").unlink()
        assert line.endswith("grey.png: no pixel size; give it with --sampling (Å per pixel).")

    def test_two_files_of_one_name(self, folder, weights, capsys):
        grey("GOOD.png", 40, 50)
        line = fails(capsys, "segment", "good.tif", "GOOD.png", "--sampling", "0.3", "--network", weights)
        (folder / "GOOD.png").unlink()
        assert "good.tif and GOOD.png" in line

    def test_a_folder_that_holds_something(self, folder, weights, capsys):
        line = fails(capsys, "segment", "good.tif", "--network", weights, "--out", ".")
        assert "'good.tif'" in line
        assert "choose another --out" in line
        assert "is a file" in fails(capsys, "segment", "good.tif", "--network", weights, "--out", "good.tif")

    def test_an_empty_folder_that_cannot_be_exchanged(self, folder, weights, capsys, monkeypatch):
        (folder / "empty").mkdir()
        (folder / "link").symlink_to("empty")
        (folder / "nowhere").symlink_to("missing")
        command = ["segment", folder / "good.tif", "--network", weights, "--out"]
        assert "'link' is a link" in fails(capsys, *command, "link")
        assert "'nowhere' is a file" in fails(capsys, *command, "nowhere")
        for name in ("link", "nowhere"):
            (folder / name).unlink()
        monkeypatch.setattr("os.path.ismount", lambda path: str(path) == "empty")
        assert "'empty' is a mounted volume" in fails(capsys, *command, "empty")
        monkeypatch.undo()
        monkeypatch.chdir(folder / "empty")
        line = fails(capsys, *command, ".")
        assert "'.' is the folder you are in" in line
        assert "'results'" in line
        (folder / "empty").rmdir()

    def test_names_that_results_cannot_have(self, folder, weights, capsys):
        write_tiff(folder / ("n" * 220 + ".tif"), noise(40, 50), 0.3)
        assert "too long" in fails(capsys, "segment", "n" * 220 + ".tif", "--network", weights)
        (folder / ("n" * 220 + ".tif")).unlink()
        name = os.fsdecode(b"Pr\xe4p.tif")
        assert "Pr\\xe4p.tif: the name is no UTF-8" in fails(capsys, "segment", name, "--network", weights)

    def test_a_second_run_into_the_same_folder(self, here, weights, capsys):
        write_tiff(here / "good.tif", noise(40, 50), 0.3)
        assert main(["segment", "good.tif", "--network", weights]) == 0
        before = {
            name: (here / "framedose-segment" / name).stat().st_mtime_ns for name in names(here / "framedose-segment")
        }
        capsys.readouterr()
        assert "choose another --out" in fails(capsys, "segment", "good.tif", "--network", weights)
        assert before == {name: (here / "framedose-segment" / name).stat().st_mtime_ns for name in before}

    def test_before_the_first_frame_is_done(self, folder, weights, capsys, monkeypatch):
        def fail(*_):
            raise OSError(28, "No space left on device", "x.tif")

        monkeypatch.setattr(kept, "write_overlay", fail)
        line = fails_late(capsys, "segment", "good.tif", "--network", weights)
        assert "cannot be written: No space left on device" in line
        assert line.endswith("Free some space, or choose another --out.")

    @pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the superuser may write anywhere")
    def test_a_read_only_folder(self, folder, weights, capsys):
        folder.chmod(0o500)
        try:
            assert "Permission denied" in fails(capsys, "segment", "good.tif", "--network", weights)
        finally:
            folder.chmod(0o700)


def test_as_a_process(tiny_weights, tmp_path):
    write_tiff(tmp_path / "a b.tif", noise(40, 50), 0.3)
    command = [
        sys.executable,
        "-m",
        "framedose",
        "segment",
        "a b.tif",
        "--network",
        str(tiny_weights(20)),
        "--out",
        "é",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "100.00%" in done.stdout
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.returncode == 2
    assert again.stderr.startswith("framedose: error: --out 'é' holds")
    assert "Traceback" not in again.stderr


class TestMoreInputs:
    def test_a_folder_of_frames_is_one_series(self, here, weights, capsys):
        (here / "my series").mkdir()
        for number in (1, 2, 10):
            write_tiff(here / "my series" / f"frame {number}.tif", noise(40, 50, seed=number), 0.3)
        before = {path.name: path.read_bytes() for path in (here / "my series").iterdir()}
        assert main(["segment", "my series", "--network", weights, "--threshold", "0.4"]) == 0
        out = here / "framedose-segment"
        assert tifffile.imread(out / "my series_probability.tif").shape == (3, 40, 50)
        assert "my series_overlay_frame2.png" in names(out)
        assert {path.name: path.read_bytes() for path in (here / "my series").iterdir()} == before

    @pytest.mark.parametrize("place", [".", ".."])
    def test_the_folder_that_one_is_in_has_its_name(self, here, weights, monkeypatch, place):
        (here / "series" / "deeper").mkdir(parents=True)
        for number in (1, 2):
            write_tiff(here / "series" / f"{number}.tif", noise(40, 50, seed=number), 0.3)
        monkeypatch.chdir(here / "series" / ("." if place == "." else "deeper"))
        out = here / "out"
        assert main(["segment", place, "--network", weights, "--threshold", "0.4", "--out", str(out)]) == 0
        assert {"series_mask.tif", "series_tracks.png"} <= set(names(out))
        assert not [name for name in names(out) if name.startswith((".", "0"))]
        with (out / "segmentation.csv").open(encoding="utf-8") as file:
            assert {row["file"] for row in csv.DictReader(file)} == {"series"}

    def test_a_dose_is_in_the_table_and_warned_of(self, here, weights, capsys):
        write_tiff(here / "a.tif", noise(40, 50), 0.3)
        assert main(["segment", "a.tif", "--network", weights, "--dose", "20", "--threshold", "0.4"]) == 0
        said = capsys.readouterr()
        assert "dose [e/Å2]" in said.out
        assert "dose 20 e/Å2 lies outside the 100 to 10000 e/Å2" in said.err
        with (here / "framedose-segment" / "segmentation.csv").open(encoding="utf-8") as file:
            (row,) = csv.DictReader(file)
        assert row["dose_per_area"] == "20.0"
        assert "lies outside" in row["warning"]

    def test_unequal_sides(self, here, weights, capsys):
        tifffile.imwrite(here / "a.tif", noise(40, 50), imagej=True, resolution=(33, 20), metadata={"unit": "nm"})
        assert "--allow-unequal" in fails(capsys, "segment", "a.tif", "--network", weights)
        assert main(["segment", "a.tif", "--network", weights, "--allow-unequal"]) == 0
        assert "not a raw frame" in capsys.readouterr().err
        # 0.5 Å along y becomes 0.303 Å.
        assert tifffile.imread(here / "framedose-segment" / "a_mask.tif").shape == (66, 50)

    def test_a_wrong_file_name_does_not_wait_for_torch(self, here):
        code = "import sys; from framedose.cli import main; print(main(['segment', 'no.dm4']), 'torch' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["2", "False"]
        assert done.stderr == "framedose: error: No such file or directory: no.dm4\n"

    def test_weights_that_are_a_pickle(self, here, capsys):
        write_tiff(here / "a.tif", noise(40, 50), 0.3)
        (here / "w.pth").write_bytes(b"\x80\x04.")
        assert ".safetensors file" in fails(capsys, "segment", "a.tif", "--network", "w.pth")


COMMAND = [sys.executable, "-m", "framedose", "segment", "series.tif", "--threshold", "0.4", "--network"]


@pytest.fixture
def series(tmp_path):
    write_tiff(tmp_path / "series.tif", noise(40, 64, 64), 0.3)
    return tmp_path, (tmp_path / "series.tif").read_bytes()


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are those of POSIX")
def test_a_disk_that_fills_up(series, weights):
    import resource

    folder, before = series
    done = subprocess.run(
        [*COMMAND, weights],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        # The overlay is smaller, the probabilities are larger.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)),
    )
    assert done.returncode == 2, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("framedose: error: --out 'framedose-segment' cannot be written: ")
    assert last.endswith(
        "What is finished is kept in '.framedose-segment.unfinished'; the same command goes on with it. "
        "Free some space, or choose another --out."
    )
    assert "Traceback" not in done.stderr
    assert names(folder) == [".framedose-segment.unfinished", "series.tif"]
    assert (folder / "series.tif").read_bytes() == before
    done = subprocess.run([*COMMAND, weights], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert names(folder) == ["framedose-segment", "series.tif"]


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's")
def test_a_killed_run_goes_on_where_it_was(series, weights):
    folder, before = series
    work = folder / ".framedose-segment.unfinished"
    process = subprocess.Popen([*COMMAND, weights], cwd=folder, stderr=subprocess.DEVNULL)
    while process.poll() is None and not (work / "frames" / "series" / "000005.json").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGSTOP)
    # While it lives, the folder is its own.
    other = subprocess.run([*COMMAND, weights], cwd=folder, capture_output=True, text=True, check=False)
    assert "in use by another framedose process" in other.stderr
    process.kill()
    assert process.wait() == -signal.SIGKILL
    done = {path: path.stat().st_mtime_ns for path in (work / "frames" / "series").glob("*.json")}
    assert 6 <= len(done) < 40
    assert names(folder) == [work.name, "series.tif"]
    assert (folder / "series.tif").read_bytes() == before
    again = subprocess.run([*COMMAND, weights], cwd=folder, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert names(folder) == ["framedose-segment", "series.tif"]
    # As if nothing had happened.
    assert subprocess.run([*COMMAND, weights, "--out", "whole"], cwd=folder, check=False).returncode == 0
    assert names(folder / "whole") == names(folder / "framedose-segment")
    for name in names(folder / "whole"):
        assert (folder / "whole" / name).read_bytes() == (folder / "framedose-segment" / name).read_bytes()


class TestSeries:
    @pytest.fixture
    def moving(self, here, tiny_weights, monkeypatch):
        """Two discs that move, one of which is lost for two frames; a network that sees what is bright."""
        rows, columns = np.mgrid[:80, :90]
        stack = np.random.default_rng(0).normal(0, 0.01, (12, 80, 90)).astype(np.float32)
        for index in range(12):
            stack[index][np.hypot(rows - 20 - index, columns - 20 - index) < 7] += 1
            if index not in (4, 5):
                stack[index][np.hypot(rows - 60, columns - 65 + index) < 9] += 1
        write_tiff(here / "two.tif", stack, 0.9)
        monkeypatch.setattr("framedose.networks.weights.LoadedNetwork.probability", lambda _, images: images)
        return str(tiny_weights())

    def test_particles_are_followed(self, here, moving):
        words = ["--network", moving, "--threshold", "0.5", "--dose", "50", "--rim", "0"]
        assert main(["segment", "two.tif", *words]) == 0
        with open("framedose-segment/particles.csv", encoding="utf-8") as file:
            particles = list(csv.DictReader(file))
        with open("framedose-segment/tracks.csv", encoding="utf-8") as file:
            small, large = csv.DictReader(file)
        assert [len([row for row in particles if row["track"] == track]) for track in "01"] == [12, 10]
        assert (small["first_frame"], small["last_frame"], small["frames"]) == ("0", "11", "12")
        assert (large["first_frame"], large["last_frame"], large["frames"]) == ("0", "11", "10")
        assert float(small["displacement_nm"]) == pytest.approx(11 * 2**0.5 * 0.09, rel=0.02)
        assert float(small["path_nm"]) == pytest.approx(float(small["displacement_nm"]), rel=0.02)
        assert float(large["mean_area_nm2"]) == pytest.approx(np.pi * 0.81**2, rel=0.05)
        with open("framedose-segment/segmentation.csv", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert [float(row["total_dose_per_area"]) for row in rows] == [50.0 * n for n in range(1, 13)]
        assert {row["time_s"] for row in rows} == {""}

    def test_frames_are_summed(self, here, moving):
        words = ["--network", moving, "--threshold", "0.5"]
        stack = tifffile.imread("two.tif")
        # Of twelve frames the last two are left over, and the second sum takes them.
        write_tiff(here / "sums.tif", np.stack([stack[:5].sum(axis=0), stack[5:].sum(axis=0)]), 0.9)
        assert main(["segment", "two.tif", *words, "--dose", "4", "--sum-frames", "5"]) == 0
        assert main(["segment", "sums.tif", *words, "--out", "summed"]) == 0
        for name in ("mask", "probability"):
            one = tifffile.imread(f"framedose-segment/two_{name}.tif")
            np.testing.assert_array_equal(one, tifffile.imread(f"summed/sums_{name}.tif"))
        with open("framedose-segment/segmentation.csv", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert [(row["frame"], float(row["dose_per_area"])) for row in rows] == [("0", 20.0), ("1", 28.0)]
        assert float(rows[1]["total_dose_per_area"]) == 48.0
        made = json.loads((here / "framedose-segment" / "segmentation.json").read_text(encoding="utf-8"))
        assert made["sum_frames"] == 5

    def test_the_offset_of_the_camera_is_taken_off_every_frame_of_a_sum(self, here, weights):
        write_tiff(here / "a.tif", noise(3, 60, 45), 0.3)
        write_camera()
        command = ["segment", "a.tif", "--network", weights, "--threshold", "0.4", "--camera", "camera.yaml"]
        assert main([*command, "--sum-frames", "3"]) == 0
        with open("framedose-segment/segmentation.csv", encoding="utf-8") as file:
            (row,) = csv.DictReader(file)
        assert float(row["dose_per_area"]) == pytest.approx(3 * (100 - 2) / 2 / 0.3**2, rel=0.01)

    def test_too_short_a_reach_breaks_the_tracks(self, here, moving, capsys):
        command = ["segment", "two.tif", "--network", moving, "--threshold", "0.5"]
        assert main([*command, "--reach", "0.05"]) == 0
        with open("framedose-segment/tracks.csv", encoding="utf-8") as file:
            assert len(list(csv.DictReader(file))) > 2
        capsys.readouterr()
        for reach in ("0", "inf", "nan"):
            assert "--reach must be a positive" in fails(capsys, *command, "--reach", reach, "--out", "other")

    def test_zarr_and_parquet_and_gif_hold_the_same(self, here, moving):
        import pandas as pd
        import zarr

        command = ["segment", "two.tif", "--network", moving, "--threshold", "0.5"]
        assert main([*command, "--out", "plain"]) == 0
        assert main([*command, "--images", "zarr", "--tables", "parquet", "--movie", "gif", "--out", "other"]) == 0
        root = zarr.open_group("other/two.zarr", mode="r")
        np.testing.assert_array_equal(root["0"][:], tifffile.imread("plain/two_probability.tif"))
        np.testing.assert_array_equal(root["labels/mask/0"][:] * 255, tifffile.imread("plain/two_mask.tif"))
        for group in (root, root["labels/mask"]):
            (image,) = group.attrs["ome"]["multiscales"]
            assert [axis.get("unit") for axis in image["axes"]] == [None, "nanometer", "nanometer"]
            (level,) = image["datasets"]
            assert level["coordinateTransformations"][0]["scale"] == pytest.approx([1, 0.09, 0.09])
        for table in ("segmentation", "particles", "tracks"):
            left, right = pd.read_parquet(f"other/{table}.parquet"), pd.read_csv(f"plain/{table}.csv")
            assert list(left) == list(right)
            for name in left:
                if right[name].isna().all():
                    assert left[name].isna().all()
                else:
                    assert left[name].tolist() == pytest.approx(right[name].tolist())
        with Image.open("other/two_overlay.gif") as movie:
            assert movie.n_frames == 12
            assert max(movie.size) <= 512

    def test_mp4(self, here, moving):
        from imageio_ffmpeg import count_frames_and_secs

        assert main(["segment", "two.tif", "--network", moving, "--threshold", "0.5", "--movie", "mp4"]) == 0
        assert count_frames_and_secs("framedose-segment/two_overlay.mp4") == (12, pytest.approx(1.2, abs=0.1))

    @pytest.mark.parametrize(
        ("option", "package"), [(["--tables", "parquet"], "pyarrow"), (["--movie", "mp4"], "imageio_ffmpeg")]
    )
    def test_an_extra_that_is_missing(self, here, moving, capsys, monkeypatch, option, package):
        monkeypatch.setitem(sys.modules, package, None)
        assert 'pip install "framedose[' in fails(capsys, "segment", "two.tif", "--network", moving, *option)

    def test_workers_see_what_one_process_sees(self, here, weights, capsys):
        write_tiff(here / "a.tif", noise(5, 40, 50), 0.3)
        assert main(["segment", "a.tif", "--network", weights, "--threshold", "0.4", "--out", "one"]) == 0
        spread = ["segment", "a.tif", "--network", weights, "--threshold", "0.4", "--workers", "2", "--out", "two"]
        assert main(spread) == 0
        for name in names(here / "one"):
            if name.endswith((".csv", "_mask.tif")):
                assert (here / "one" / name).read_bytes() == (here / "two" / name).read_bytes()
        np.testing.assert_allclose(
            tifffile.imread("one/a_probability.tif"), tifffile.imread("two/a_probability.tif"), atol=1e-6
        )
        both = [*spread[:-1], "three", "--scheduler", "tcp://127.0.0.1:1"]
        capsys.readouterr()
        assert "give one of them" in fails(capsys, *both)

    def test_another_job_does_not_go_on_with_what_is_kept(self, here, weights, monkeypatch, capsys):
        write_tiff(here / "a.tif", noise(3, 40, 50), 0.3)

        def fail(*_, **__):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(batch, "write_results", fail)
            fails_late(capsys, "segment", "a.tif", "--network", weights, "--threshold", "0.4")
        assert main(["segment", "a.tif", "--network", weights, "--threshold", "0.45"]) == 0
        made = json.loads((here / "framedose-segment" / "segmentation.json").read_text(encoding="utf-8"))
        assert made["threshold"] == 0.45
        assert names(here) == ["a.tif", "framedose-segment"]

    def test_neither_does_one_whose_camera_was_measured_anew(self, here, weights, monkeypatch, capsys):
        write_tiff(here / "a.tif", noise(3, 40, 50), 0.3)
        write_camera()
        command = ["segment", "a.tif", "--network", weights, "--camera", "camera.yaml"]

        def fail(*_, **__):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(batch, "write_results", fail)
            fails_late(capsys, *command)
        write_camera(gain=4)
        assert main(command) == 0
        with (here / "framedose-segment" / "segmentation.csv").open(encoding="utf-8") as file:
            doses = [float(row["dose_per_area"]) for row in csv.DictReader(file)]
        assert doses == pytest.approx([(100 - 2) / 4 / 0.3**2] * 3, rel=0.01)
