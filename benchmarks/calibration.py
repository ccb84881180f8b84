"""Does the camera calibration hold what it promises, and how fast is it?

Three parts: peak memory of a long stack of 1024x1024 frames taken one at a time; a 4096x4096 frame read from a file,
its vacuum found and fitted; coverage of the 68 % intervals on synthetic cameras (20 frames of 512x512, 10 to 1000 e/Å2,
cropped out of larger fields, Poisson and Gaussian readout, dose known and unknown). The last line is JSON.

    python benchmarks/calibration.py --seed 0
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile

from framedose.camera.calibrate import calibrate
from framedose.camera.joint_fit import fit_jointly
from framedose.camera.noise import Camera, detect
from framedose.camera.spectrum import measure_spectrum
from framedose.files import read
from framedose.random import generator

SAMPLING = 0.075
SIZE, MARGIN = 512, 32
DOSES = np.geomspace(10, 1000, 20)
PARAMETERS = ("gain", "c0", "c3", "readout")
STACK_OPTION = "--only-stack"


def main() -> None:
    """Run the three parts and print a table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cameras", type=int, default=200, help="synthetic cameras of the coverage campaign")
    parser.add_argument("--stack-frames", type=int, default=1000)
    parser.add_argument(STACK_OPTION, action="store_true", help="print the peak memory of the stack alone [MB]")
    arguments = parser.parse_args()
    if arguments.only_stack:
        print(stack_peak_mb(arguments.seed, arguments.stack_frames))
        return
    # Memory is that of a process that does nothing else; it comes first, because a child starts with its parent's peak.
    command = [sys.executable, __file__, STACK_OPTION, "--seed", str(arguments.seed)]
    command += ["--stack-frames", str(arguments.stack_frames)]
    start = time.perf_counter()
    peak = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    print(f"{arguments.stack_frames} frames of 1024x1024: {time.perf_counter() - start:.0f} s, peak {peak:.0f} MB")
    seconds = frame_4k_seconds(arguments.seed)
    print(f"4096x4096 frame read, vacuum found, fitted: {seconds:.2f} s")
    coverage = campaign(arguments.seed, arguments.cameras)
    result = {
        "frame_4k_seconds": round(seconds, 2),
        "coverage_68_min": round(min(coverage.values()), 3),
        "coverage_68_max": round(max(coverage.values()), 3),
        "stack_peak_rss_mb": round(peak),
    }
    print(json.dumps(result))


def frame_4k_seconds(seed: int) -> float:
    """Return the time from file to fit of one large frame, the shortest of three: other work only adds to it."""
    camera = Camera(c0=0.28, c3=2.2, readout=0.01)
    field = np.ones((4096, 4096), np.float32)
    frame = 20 * detect(field, 500 * SAMPLING**2, camera, generator(seed, "4k")) + 100
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frame.tif"
        tifffile.imwrite(path, frame.astype(np.uint16))
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            result = calibrate([read(path, sampling=SAMPLING)[0].image], sampling=SAMPLING)
            seconds.append(time.perf_counter() - start)
    assert abs(result.joint.c0.value - 0.28) < 0.02, result.joint.c0
    return min(seconds)


def campaign(seed: int, cameras: int) -> dict[str, float]:
    """Print and return the coverage of every parameter under every condition."""
    pulls: dict[str, list[float]] = {}
    errors: dict[str, list[float]] = {}
    for index in range(cameras):
        for name, pull, error in one_camera(seed, index):
            pulls.setdefault(name, []).append(pull)
            errors.setdefault(name, []).append(error)
    coverage = {name: float((np.abs(values) < 1).mean()) for name, values in pulls.items()}
    print(f"{'parameter, readout, dose':<34} coverage  pull mean  pull sd  error rms  error max   ({cameras} cameras)")
    for name, values in pulls.items():
        error = np.array(errors[name])
        print(
            f"{name:<34} {coverage[name]:8.3f} {np.mean(values):10.2f} {np.std(values):8.2f}"
            f" {np.sqrt((error**2).mean()):10.2%} {np.abs(error).max():10.2%}"
        )
    return coverage


def one_camera(seed: int, index: int) -> list[tuple[str, float, float]]:
    """Return name, pull and relative error of every parameter for one random camera."""
    rng = generator(seed, "camera", index)
    camera = Camera(c0=rng.uniform(0.2, 0.6), c3=rng.uniform(2, 5), readout=0.0)
    readout, gain, offset = rng.uniform(0.005, 0.015), float(np.exp(rng.uniform(0, 5))), rng.uniform(-10, 100)
    truth = dict(zip(PARAMETERS, (gain, camera.c0, camera.c3, readout), strict=True))
    electrons = DOSES * SAMPLING**2
    inner = slice(MARGIN, MARGIN + SIZE)
    field = np.ones((SIZE + 2 * MARGIN,) * 2, np.float32)
    spectra: dict[str, list] = {"Poisson": [], "Gaussian": []}
    for count in electrons:
        counted = detect(field, count, camera, rng)[inner, inner]
        noise = {
            "Poisson": rng.poisson(readout, counted.shape),
            "Gaussian": rng.normal(0, np.sqrt(readout), counted.shape),
        }
        for kind, values in noise.items():
            spectra[kind].append(measure_spectrum(gain * (counted + values) + offset))
    found = []
    for kind, measured in spectra.items():
        for dose, given in (("known", electrons), ("unknown", None)):
            fit = fit_jointly(measured, electrons=given)
            for name, value in truth.items():
                estimate = getattr(fit, name)
                pull = 2 * (estimate.value - value) / (estimate.high - estimate.low)
                found.append((f"{name}, {kind} readout, dose {dose}", pull, estimate.value / value - 1))
    return found


class Stack:
    """A long series that exists one frame at a time: a few frames, shifted differently each time."""

    def __init__(self, seed: int, frames: int) -> None:
        self.frames = frames
        camera, field = Camera(c0=0.28, c3=2.2, readout=0.01), np.ones((1024, 1024), np.float32)
        doses = np.geomspace(10, 1000, 8)
        self.some = [20 * detect(field, d * SAMPLING**2, camera, generator(seed, "stack", d)) + 100 for d in doses]

    def __len__(self) -> int:
        return self.frames

    def __getitem__(self, index: int) -> np.ndarray:
        return np.roll(self.some[index % 8], (37 * (index // 8), 61 * (index // 8)), axis=(0, 1))


def stack_peak_mb(seed: int, frames: int) -> float:
    """Return the peak resident memory after the calibration of a long stack."""
    result = calibrate(Stack(seed, frames), sampling=SAMPLING)
    assert abs(result.joint.c0.value - 0.28) < 0.02, result.joint.c0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
