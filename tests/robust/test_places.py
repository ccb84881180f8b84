"""Every command with spaces and signs of many scripts in its paths, read-only inputs, a full disk, and no network."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from framedose.atomic import locked
from framedose.camera.noise import detect
from framedose.camera.passport import Interval, load_passport, write_passport
from framedose.cli import main
from framedose.files import write_tiff
from framedose.random import generator

# A space, an accent in two code points, Greek, Chinese, an emoji, a quote, and what a shell would take for its own.
STRANGE = "$\\q$ dose e\u0301tude Å 電子 🔬 it's #1 $(x) %s {y}"
RECIPE = {
    "gpts": 128,
    "margin": 8,
    "binning": 4,
    "structures": 2,
    "validation_structures": 1,
    "image_epochs": 1,
    "specimen": {"radius": {"low": 3.0, "high": 3.5}, "thickness": {"low": 5.0, "high": 6.0}},
    "exit_wave": {"sampling": 0.25, "band_limit": 1.3},
}
FEW_STEPS = [
    *("--network.width", "2", "--network.poolings", "1", "--network.kernel", "3", "--training.steps", "2"),
    *("--training.batch", "1", "--training.validate_every", "2"),
]
STUDY = {
    "dataset": RECIPE,
    "unet": {"network": {"width": 2, "poolings": 1, "kernel": 3}, "training": {"steps": 2, "batch": 1}},
    "msdnet": {"network": {"layers": 2, "kernel": 3}, "training": {"steps": 2, "batch": 1}},
    "evaluation": {
        "structures": 2,
        "vacuum_frames": 1,
        "support_frames": 1,
        "threshold": 0.05,
        "doses": {"count": 4},
        "resamples": 100,
    },
}
EVALUATED = ["--network", "unet", "--network", "again=unet", "--resamples", "100"]


def frames(size, electrons, contrast):
    y, x = np.mgrid[:size, :size] - size / 2
    intensity = (1 + contrast * (np.hypot(y, x) < size / 4)).astype(np.float32)
    camera = load_passport("oneview").simulated()
    drawn = [detect(intensity, one, camera, generator(0, "frame", number)) for number, one in enumerate(electrons)]
    return np.squeeze(np.stack(drawn)).astype(np.float32)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder of a strange name with inputs of strange names, none of which may be written to any more."""
    folder = tmp_path_factory.mktemp("places") / STRANGE
    inputs = folder / f"in {STRANGE}"
    inputs.mkdir(parents=True)
    (inputs / f"{STRANGE}.yaml").write_text(yaml.safe_dump(RECIPE), encoding="utf-8")
    (inputs / f"study {STRANGE}.yaml").write_text(yaml.safe_dump(STUDY), encoding="utf-8")
    write_tiff(inputs / f"{STRANGE}.tif", frames(48, [90.0], 0.5), 0.3)
    write_tiff(inputs / f"vacuum {STRANGE}.tif", frames(256, [2.0, 7.0, 27.0], 0), 0.3)
    known = {name: Interval(value=value, low=value, high=value) for name, value in (("gain", 1.0), ("offset", 0.0))}
    write_passport(inputs / f"camera {STRANGE}.yaml", load_passport("oneview").model_copy(update=known))
    recipe, series = str(inputs / f"{STRANGE}.yaml"), ["--series", "replica", "--particles", "2", "--frames", "4"]
    for words in (
        ["simulate", recipe, "--workers", "1", "--out", str(inputs / f"dataset {STRANGE}")],
        ["simulate", recipe, *series, "--empty", "1", "--workers", "1", "--out", str(inputs / f"replica {STRANGE}")],
        ["evaluate", str(inputs / f"replica {STRANGE}"), *EVALUATED, "--out", str(inputs / f"limits {STRANGE}")],
    ):
        assert main(words) == 0
    for path in [inputs, *inputs.rglob("*")]:
        # A plan is written into the folder of its evaluation.
        if path.is_dir() and "limits" not in str(path):
            path.chmod(0o555)
        elif path.is_file():
            path.chmod(0o444)
    yield folder
    for path in [inputs, *inputs.rglob("*")]:
        path.chmod(0o755)


def words_of(name, inputs, out):
    """Return the words of a command and the file or folder that it must make."""
    given = {kind: str(inputs / f"{kind} {STRANGE}") for kind in ("dataset", "replica", "limits")}
    recipe, frame, out = str(inputs / f"{STRANGE}.yaml"), str(inputs / f"{STRANGE}.tif"), str(out)
    measured = [f"{given['limits']}/{one}.measured.npz" for one in ("unet", "again")]
    camera, vacuum = f"{inputs}/camera {STRANGE}.yaml", f"{inputs}/vacuum {STRANGE}.tif"
    study = f"{inputs}/study {STRANGE}.yaml"
    return {
        "simulate": ([recipe, "--workers", "1", "--out", out], out),
        "train": ([given["dataset"], "--network", "unet", *FEW_STEPS, "--out", out], f"{out}/unet.safetensors"),
        "study": (["--config", study, "--workers", "1", "--out", out], f"{out}/report.html"),
        "segment": ([frame, "--out", out], f"{out}/{STRANGE}_mask.tif"),
        "titrate": ([frame, "--camera", camera, "--doses", "10,30", "--out", out], f"{out}/titration.csv"),
        "evaluate": ([given["replica"], *EVALUATED, "--out", out], f"{out}/report.html"),
        "physics": ([given["replica"], "--templates", "2", "--workers", "1", "--out", out], f"{out}/physics.json"),
        "reproduce": (["table1", "table3", "--workers", "1", "--out", out], f"{out}/reproduce.json"),
        "calibrate": ([vacuum, "--dose", "20,80,300", "-o", f"{out}.yaml"], f"{out}.yaml"),
        "compare": ([*measured, "--resamples", "100", "--out", f"{out}.json"], f"{out}.json"),
        "show": ([given["dataset"], "--out", f"{out}.png"], f"{out}.png"),
        "plan": ([given["limits"], "--dose-rate", "500"], f"{given['limits']}/plan.json"),
        "weights": (["export", "unet", "--onnx", f"{out}.onnx"], f"{out}.onnx"),
    }[name]


COMMANDS = [
    *("simulate", "train", "study", "segment", "titrate", "evaluate", "physics", "reproduce"),
    *("calibrate", "compare", "show", "plan", "weights"),
]


# The fonts of a picture have not every sign of a path.
@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("name", COMMANDS)
def test_strange_paths_and_inputs_that_are_read_only(name, place, capsys):
    inputs = place / f"in {STRANGE}"
    before = {path: path.stat().st_mtime_ns for path in inputs.rglob("*") if path.is_file()}
    words, made = words_of(name, inputs, place / f"{name} {STRANGE}")
    assert main([name, *words]) == 0, capsys.readouterr().err
    assert Path(made).exists()
    after = {path: path.stat().st_mtime_ns for path in inputs.rglob("*") if path.is_file() and path.name != "plan.json"}
    assert after == {path: time for path, time in before.items() if path.name != "plan.json"}


# Kept small by the limit: every command's first large file, whichever that is, ends in the middle of a write.
WRITERS = [name for name in COMMANDS if name not in ("plan", "compare")]
LIMITED = """
import resource, sys
from framedose.cli import main
sys.argv[1:2], limit = [], int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
sys.exit(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are those of POSIX")
@pytest.mark.parametrize("name", WRITERS)
def test_a_write_that_fails_is_one_line_and_leaves_nothing_half_written(name, place, tmp_path):
    words, _ = words_of(name, place / f"in {STRANGE}", tmp_path / "out")
    command = [sys.executable, "-c", LIMITED, "3000", name, *words]
    environment = {**os.environ, "MPLCONFIGDIR": str(tmp_path / "cache")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=1800)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("framedose: error: ")
    # Nothing of the result is cut at the limit, but for logs that are appended to.
    left = [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size == 3000]
    assert not [path for path in left if "tfevents" not in path.name and "cache" not in path.parts]


@pytest.mark.parametrize("name", ["train", "study", "evaluate", "physics", "reproduce", "simulate"])
def test_two_runs_in_one_folder(name, place, tmp_path, capsys):
    out = tmp_path / "out"
    words, _ = words_of(name, place / f"in {STRANGE}", out)
    assert main([name, *words]) == 0
    capsys.readouterr()
    with locked(out, ".lock-1-of-1" if name == "simulate" else ".lock"):
        assert main([name, *words]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"{str(out)!r} is in use by another framedose process" in error


OFFLINE = """
import socket, sys
connect = socket.socket.connect

def local(self, address):
    # Workers and scheduler of a simulation talk on this machine.
    if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "localhost", "::1"):
        raise SystemExit(f"network was used: {address}")
    return connect(self, address)

def resolve(host, *rest, **options):
    if host not in (None, "", "127.0.0.1", "localhost", "::1", "0.0.0.0"):
        raise SystemExit(f"network was used: {host}")
    return lookup(host, *rest, **options)

socket.socket.connect, lookup, socket.getaddrinfo = local, socket.getaddrinfo, resolve
from framedose.cli import main
sys.exit(main())
"""


def test_the_guard_of_the_network_test_works():
    code = OFFLINE.replace("from framedose.cli import main", "socket.create_connection(('192.0.2.1', 80), 1)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "network was used" in done.stderr


@pytest.mark.parametrize("name", ["study", "segment", "calibrate", "evaluate"])
def test_no_network_is_needed(name, place, tmp_path):
    words, made = words_of(name, place / f"in {STRANGE}", tmp_path / "out")
    command = [sys.executable, "-c", OFFLINE, name, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1800)
    assert done.returncode == 0, done.stderr
    assert Path(made).exists()
