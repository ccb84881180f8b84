"""Goes on with the U-net, wider, in minutes of a GPU: python weights/gpu.py FOLDER --seconds 540

Exit waves are made for at most two fifths of the time, on the GPU where CuPy is there; the rest is training, on the
datasets that are complete then. With the same folder it goes on; on another machine with one that has nothing but its
datasets.json and the training's checkpoint, in unet-wide. Without a GPU it does the same, in hours.
"""

import argparse
import importlib.util
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from framedose.atomic import write_json
from framedose.config import read_json
from framedose.workers import cores

# Datasets that are made at a time: while it starts and ends, one has nothing to do for most cores.
LANES = 5
SHARE = 0.4
# Seconds that are kept for starting a training, and for measuring its network afterwards.
AROUND = 50

Options = dict[str, str]


def options(text: str) -> Options:
    """Return options by their names, from a text of names and values."""
    words = text.split()
    return dict(zip(words[::2], words[1::2], strict=True))


# All have images of one size, so that none of a batch is cropped to that of another.
EVERY = options("preset general validation_structures 1 image_epochs 10 gpts 512")
EVERY |= options("specimen.lean.high 0 specimen.grain_share 0 specimen.powder_share 0")
FILM = options("specimen.film.low 15 specimen.film.high 80")
MANY = options("specimen.radius.low 6 specimen.radius.high 40 specimen.max_particles 8")
WIDE = FILM | MANY | options("support_share 0.2 vacuum_share 0.1 specimen.free_share 0.5 specimen.film_share 0.5")
WIDE |= options("specimen.max_particles 10 specimen.thickness.low 20 specimen.thickness.high 110")
CRYSTALLINE = options("support_share 0.3 vacuum_share 0 specimen.free_share 0 specimen.film_share 0.15")
CRYSTALLINE |= options("specimen.radius.low 6 specimen.radius.high 35 specimen.max_particles 6")
CRYSTALLINE |= options("specimen.thickness.low 20 specimen.thickness.high 120 specimen.plan_view_share 0.5")
LEANING = CRYSTALLINE | options("specimen.plan_view_share 0 specimen.thickness.high 140")
LEANING |= options("specimen.lean.high 50 specimen.grain_share 0.4")
DEEP = LEANING | options("specimen.thickness.low 60 specimen.thickness.high 220")
DEEP |= options("specimen.lean.high 25 specimen.grain_share 0.25")
POWDER = CRYSTALLINE | options("specimen.powder_share 1 specimen.on_zone_share 0.4")
OXIDE = CRYSTALLINE | options("support_share 0.6")
# Particles of the paper's kind and size, at the doses at which they come into sight.
LOW = options("support_share 0.25 vacuum_share 0.15 specimen.free_share 0 specimen.film_share 0")
LOW |= options("specimen.on_zone_share 1 specimen.plan_view_share 0 specimen.twinned_share 0.1")
LOW |= options("specimen.radius.low 5 specimen.radius.high 12 specimen.radius.scale linear specimen.max_particles 4")
LOW |= options("specimen.thickness.low 20 specimen.thickness.high 50")
LOW |= options("conditions.defocus.low -200 conditions.defocus.high 200 conditions.dose.low 8 conditions.dose.high 2e3")
UNCORRECTED = FILM | MANY | options("support_share 0.35 vacuum_share 0.06 exit_wave.energy 2e5 margin 48")
UNCORRECTED |= options("specimen.free_share 0.5 specimen.film_share 0.7 conditions.cs.low 4e6 conditions.cs.high 1.3e7")
UNCORRECTED |= options("conditions.defocus.low -300 conditions.defocus.high 1300")
UNCORRECTED |= options("conditions.focal_spread.low 20 conditions.focal_spread.high 70")
DEFOCUSED = FILM | MANY | options("support_share 0.5 vacuum_share 0 margin 48")
DEFOCUSED |= options("specimen.free_share 0.8 specimen.film_share 0.8")
DEFOCUSED |= options("conditions.defocus.low -900 conditions.defocus.high 900")

# The longest first; the first one's validation images are looked at.
DATASETS = {
    "wide1": WIDE | options("seed 21 structures 35 validation_structures 12"),
    "wide2": WIDE | options("seed 22 structures 35"),
    "wide3": WIDE | options("seed 23 structures 35"),
    "nulls3": options("seed 33 structures 14 vacuum_share 1 support_share 1"),
    "low1": LOW | options("seed 24 structures 35"),
    "low2": LOW | options("seed 25 structures 35"),
    "plates2": CRYSTALLINE | options("seed 26 structures 28"),
    "plates3": CRYSTALLINE | options("seed 27 structures 28"),
    "leaning1": LEANING | options("seed 34 structures 28"),
    "leaning2": LEANING | options("seed 35 structures 28"),
    "deep1": DEEP | options("seed 36 structures 20"),
    "heaps1": POWDER | options("seed 37 structures 28"),
    "heaps2": POWDER | options("seed 38 structures 28"),
    "uncorrected2": UNCORRECTED | options("seed 28 structures 28"),
    "defocused2": DEFOCUSED | options("seed 29 structures 14"),
    "rutile2": OXIDE | options("seed 30 structures 14 specimen.support TiO2 specimen.support_lattice_constant 4.66"),
    "magnesia2": OXIDE | options("seed 31 structures 10 specimen.support MgO"),
    "zirconia2": OXIDE | options("seed 32 structures 10 specimen.support_lattice_constant 5.1"),
}
# One rate and a running average: good weights whenever the time is over.
TRAINING = options("preset general network unet start-from unet network.width 12 training.batch 16")
TRAINING |= options("training.steps 100000 training.schedule constant training.learning_rate 8e-4")
TRAINING |= options("training.average 0.999 training.disturb.coarse_share 0.25 training.disturb.background 0.25")
TRAINING |= options("training.validate_every 1000 training.checkpoint_every 1000")


def main() -> None:
    """Make the datasets, and train on them, in the time that is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="new, or one that was begun")
    parser.add_argument("--seconds", type=float, default=540, help="time in all")
    arguments = parser.parse_args()
    folder, seconds, begun = arguments.folder, arguments.seconds, time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    names = simulate(folder, begun + SHARE * seconds)
    # A training goes on with what it began with.
    chosen = folder / "datasets.json"
    if not names:
        sys.exit("no dataset is complete: give more --seconds")
    if chosen.exists():
        wanted = read_json(chosen)
        if missing := set(wanted) - set(names):
            sys.exit(f"not complete are {', '.join(sorted(missing))}, which the training has: give more --seconds")
        names = wanted
    write_json(chosen, names)
    print(f"{time.monotonic() - begun:.0f} s: training on {', '.join(names)}", flush=True)
    left = begun + seconds - AROUND - time.monotonic()
    if left <= 0:
        sys.exit("no time is left to train: give more --seconds")
    bounded = TRAINING | {"max-minutes": f"{left / 60:.2f}"}
    data = [str(folder / name) for name in names]
    # Compiling would take a part of these few minutes.
    eager = {"TORCHDYNAMO_DISABLE": "1"}
    if not framedose("train", *data, *words(bounded), out=folder / "unet-wide", until=begun + seconds, **eager):
        sys.exit(f"{time.monotonic() - begun:.0f} s: the training did not end well, see {folder / 'unet-wide.log'}")
    print(f"{time.monotonic() - begun:.0f} s: done")


def simulate(folder: Path, until: float) -> list[str]:
    """Make the datasets, and return the names of those that are complete."""
    cuda = torch.cuda.is_available() and importlib.util.find_spec("cupy") is not None
    workers = 1 + cores() // LANES
    where = options(f"device {'cuda' if cuda else 'cpu'} workers {workers}")

    def make(name: str) -> bool:
        return framedose("simulate", *words(EVERY | DATASETS[name] | where), out=folder / name, until=until)

    with ThreadPoolExecutor(LANES) as lanes:
        return [name for name, complete in zip(DATASETS, lanes.map(make, DATASETS), strict=True) if complete]


def words(given: Options) -> list[str]:
    """Return options as words of a command line."""
    return [word for name, value in given.items() for word in (f"--{name}", value)]


def framedose(*arguments: str, out: Path, until: float, **environment: str) -> bool:
    """Run a command up to some time, its log beside its output, and return whether it ended well."""
    command = [sys.executable, "-m", "framedose", *arguments, "--out", str(out)]
    with open(f"{out}.log", "w", encoding="utf-8") as log:
        try:
            left = max(0.0, until - time.monotonic())
            done = subprocess.run(command, stderr=log, timeout=left, env=os.environ | environment, check=False)
        except subprocess.TimeoutExpired:
            return False
    return done.returncode == 0


if __name__ == "__main__":
    main()
