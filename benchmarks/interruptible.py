"""The commands of framedose on configurations of seconds, for ``interruptions.py``."""

import hashlib
import json
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from interruptible_run import run_here

from framedose.camera.noise import detect
from framedose.camera.passport import Interval, load_passport, write_passport
from framedose.config import build
from framedose.files import write_tiff
from framedose.paper import scales
from framedose.paper.scales import Scale
from framedose.random import generator
from framedose.study.config import StudyConfig

_SPECIMEN = {"radius": {"low": 3.0, "high": 3.5}, "thickness": {"low": 5.0, "high": 6.0}}
_RECIPE = {
    "gpts": 128,
    "margin": 8,
    "binning": 4,
    "structures": 3,
    "validation_structures": 1,
    "image_epochs": 2,
    "specimen": _SPECIMEN,
    "exit_wave": {"sampling": 0.25, "band_limit": 1.3},
}
_TRAINING = {"steps": 12, "batch": 2, "validate_every": 4, "checkpoint_every": 3}
_STUDY = {
    "seed": 4,
    "dataset": {**_RECIPE, "support_share": 0.25, "vacuum_share": 0.25},
    "unet": {"network": {"width": 2, "poolings": 2, "kernel": 3}, "training": _TRAINING},
    "msdnet": {"network": {"layers": 3, "kernel": 3}, "training": _TRAINING},
    "evaluation": {
        "structures": 2,
        "vacuum_frames": 2,
        "support_frames": 1,
        "threshold": 0.3,
        "doses": {"count": 4},
        "resamples": 100,
    },
}
_SMALL_UNET = (
    *("--network.width", "2", "--network.poolings", "1", "--network.kernel", "3", "--training.steps", "24"),
    *("--training.batch", "2", "--training.validate_every", "10", "--training.checkpoint_every", "3"),
)

# The shipped MSD-net needs larger images.
_NETWORKS = ("--network", "unet", "--network", "again=unet", "--resamples", "100")


@dataclass(frozen=True)
class Command:
    """One command and how it is run; it reads the folder ``in`` and writes beside it."""

    name: str
    words: tuple[str, ...]
    at_once: bool = False
    """Whether its result appears as a whole, at its end."""


def _command(name: str, *words: str, at_once: bool = False) -> Command:
    return Command(name, (name, *words), at_once)


COMMANDS = {
    command.name: command
    for command in (
        _command("simulate", "in/recipe.yaml", "--out", "out", "--workers", "1"),
        _command("train", "in/dataset", "--network", "unet", "--out", "out", *_SMALL_UNET),
        _command("study", "--config", "in/study.yaml", "--out", "out", "--workers", "1"),
        _command("segment", "in/stack.tif", "--threshold", "0.5", "--out", "out", at_once=True),
        _command("evaluate", "in/replica", *_NETWORKS, "--out", "out"),
        _command(
            "titrate",
            "in/frame.tif",
            "--camera",
            "in/camera.yaml",
            "--doses",
            "10,30,100",
            "--out",
            "out",
            at_once=True,
        ),
        _command("calibrate", "in/vacuum.tif", "--dose", "20,80,300", "-o", "camera.yaml", at_once=True),
        _command("physics", "in/replica", "--templates", "3", "--workers", "1", "--out", "out"),
        # Specimens, training and comparison, camera fits, and a table; at the size below.
        _command("reproduce", "fig1", "fig4", "soi5", "soi6", "table1", "--workers", "1", "--out", "out"),
        _command(
            "compare",
            "in/evaluated/unet.measured.npz",
            "in/evaluated/again.measured.npz",
            "--resamples",
            "300",
            "--out",
            "out.json",
            at_once=True,
        ),
        _command("show", "in/dataset", "--out", "sheet.png", at_once=True),
        Command("export", ("weights", "export", "unet", "--onnx", "unet.onnx"), at_once=True),
    )
}


def _tiny_scale(_: str, seed: int = 0) -> Scale:
    """Stand in for :func:`framedose.paper.scales.scale_of`: none of its scales is one of seconds."""
    study = build(StudyConfig, {**_STUDY, "seed": seed}, where="the tiny scale")
    sizes = {"replica_structures": 2, "replica_frames": 5, "ramp_frames": 5, "empty": 1, "vacuum_frames": 5}
    return Scale(study=study, training_sizes=(2, 3), **sizes)


def prepare(folder: Path) -> None:
    """Make what the commands read, and give reproduce its size, which the runs that are forked inherit."""
    scales.scale_of = _tiny_scale
    folder.mkdir()
    (folder / "recipe.yaml").write_text(yaml.safe_dump(_RECIPE), encoding="utf-8")
    (folder / "study.yaml").write_text(yaml.safe_dump(_STUDY), encoding="utf-8")
    write_tiff(folder / "stack.tif", _frames(64, [90.0] * 6), 0.3)
    write_tiff(folder / "frame.tif", _frames(48, [90.0])[0], 0.3)
    write_tiff(folder / "vacuum.tif", _frames(256, [20 * 0.3**2, 80 * 0.3**2, 300 * 0.3**2], contrast=0), 0.3)
    one = {name: Interval(value=value, low=value, high=value) for name, value in (("gain", 1.0), ("offset", 0.0))}
    write_passport(folder / "camera.yaml", load_passport("oneview").model_copy(update=one))
    series = ("--series", "replica", "--particles", "2", "--frames", "4", "--empty", "1")
    for words in (
        ("simulate", "recipe.yaml", "--out", "dataset", "--workers", "1"),
        ("simulate", "recipe.yaml", *series, "--out", "replica", "--workers", "1"),
        ("evaluate", "replica", *_NETWORKS, "--out", "evaluated"),
    ):
        run_here(words, folder)


def _frames(size: int, electrons: list[float], contrast: float = 0.5) -> np.ndarray:
    """Frames of a bright disc in vacuum, in electrons."""
    y, x = np.mgrid[:size, :size] - size / 2
    intensity = (1 + contrast * (np.hypot(y, x) < size / 4)).astype(np.float32)
    camera = load_passport("oneview").simulated()
    frames = [detect(intensity, one, camera, generator(0, "frame", number)) for number, one in enumerate(electrons)]
    return np.stack(frames).astype(np.float32)


def result_of(folder: Path) -> dict[str, str]:
    """Return the hashes of all files that are not hidden, by their names; of an archive, those of its content.

    Reports are left out: they tell the seconds that their run took.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and path.name != "report.html" and not any(part.startswith(".") for part in name.parts):
            found[name.as_posix()] = hashlib.sha256(_content(path)).hexdigest()
    return found


def _content(path: Path) -> bytes:
    if path.name.endswith(".checkpoint.safetensors"):
        # The library writes the entries of the header in any order.
        content = path.read_bytes()
        (length,) = struct.unpack_from("<Q", content)
        return json.dumps(json.loads(content[8 : 8 + length]), sort_keys=True).encode() + content[8 + length :]
    if path.suffix != ".npz":
        return path.read_bytes()
    try:
        # Its entries carry the time of day.
        with zipfile.ZipFile(path) as archive:
            return b"".join(archive.read(name) for name in archive.namelist())
    except zipfile.BadZipFile:
        return path.read_bytes()
