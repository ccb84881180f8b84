"""The simulation at the paper's full resolution: speed against plain abTEM, from one worker to two, and memory.

Exit waves per second of 40 structures on two workers, which gives the time of the paper's 1000; the memory of a worker
after each quarter of them; images per second on two workers against the straightforward abTEM route on the same exit
waves, conditions and cameras (``apply_ctf``, ``intensity``, ``gaussian_filter``, ``interpolate``, ``poisson_noise``,
then the MTF with NumPy's FFT), which makes no masks and stores nothing, while ours does both; and the speed-up from one
worker to two. Start-up is left out; ratios are medians of 5 alternating pairs. The last line is one JSON object.

Run with ``python benchmarks/simulation.py``; ``--quick`` tries it on small images in a minute.
"""

import argparse
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from scipy.fft import next_fast_len

from framedose.camera.mtf import mtf, nyquist_frequencies
from framedose.dataset.generate import make_images, make_specimens, make_waves
from framedose.dataset.recipe import DatasetRecipe, Split, make_kinds
from framedose.dataset.store import ImageSet
from framedose.microscope.optics import fourier_resample
from framedose.units import electrons_per_pixel
from framedose.workers import Runner, workers

QUICK = "--quick" in sys.argv[1:]
SMALL = {
    "gpts": 256,
    "margin": 16,
    "specimen": {"radius": {"low": 4.0, "high": 6.0}, "thickness": {"low": 5.0, "high": 8.0}},
    "exit_wave": {"sampling": 0.2, "band_limit": 1.6},
}
RECIPE = DatasetRecipe.model_validate(SMALL if QUICK else {})
STRUCTURES, IMAGES = (8, 4) if QUICK else (40, 10)
# Fields of one round of the ratios, and rounds; the first one warms up and is not counted.
FIELDS, ROUNDS = (4, 5) if QUICK else (8, 5)
SEED = 0


def dataset(folder: Path, run: Runner, split: Split) -> float:
    """Make exit waves and images of a split in a new folder and return the seconds that it took."""
    folder.mkdir(parents=True)
    specimens = make_specimens(folder / "specimens.json", [(RECIPE, split)], SEED, run)[split.name]
    start = time.perf_counter()
    make_waves(folder / "waves.zarr", RECIPE, SEED, split, specimens, run)
    make_images(folder / "images.zarr", folder / "waves.zarr", RECIPE, SEED, split, specimens, run)
    return time.perf_counter() - start


def peak_rss(_: int) -> float:
    """Return the greatest resident memory of this worker so far [MB]."""
    time.sleep(0.1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure_waves(folder: Path, run: Runner) -> tuple[float, list[float]]:
    """Return exit waves per second, and the peak memory of a worker [MB] after each quarter of them."""
    folder.mkdir()
    seconds, peaks = 0.0, []
    for quarter in range(4):
        split = Split(f"quarter {quarter}", make_kinds(STRUCTURES // 4, 0, 0), 1)
        specimens = make_specimens(folder / f"{quarter}.json", [(RECIPE, split)], SEED, run)[split.name]
        start = time.perf_counter()
        make_waves(folder / "waves.zarr", RECIPE, SEED, split, specimens, run)
        seconds += time.perf_counter() - start
        peaks.append(max(run(peak_rss, range(8), "memory", 0)))
    return STRUCTURES // 4 * 4 / seconds, peaks


def abtem_image(wave: Any, split: Split, index: int, image: int) -> Any:
    """Make one image with abTEM as people use it, (y, x), relative to vacuum; ``wave`` is in abTEM's order (x, y)."""
    import abtem

    conditions, camera = split.conditions(RECIPE, SEED, index, image), split.camera(RECIPE, SEED, index, image)
    energy, gpts = RECIPE.exit_wave.energy, round(RECIPE.extent / conditions.sampling)
    waves = abtem.Waves(wave, energy=energy, extent=(RECIPE.extent, RECIPE.extent))
    ctf = abtem.CTF(energy=energy, defocus=conditions.defocus, Cs=conditions.cs, focal_spread=conditions.focal_spread)
    expected = waves.apply_ctf(ctf).intensity().gaussian_filter(conditions.blur).interpolate(gpts=(gpts, gpts))
    counted = expected.poisson_noise(dose_per_area=conditions.dose, seed=image).array.T
    transfer = mtf(nyquist_frequencies(counted.shape), camera.c0, camera.c3)
    frame = np.fft.irfft2(np.fft.rfft2(counted) * transfer, s=counted.shape)
    frame += np.random.default_rng(image).poisson(camera.readout, counted.shape)
    first = (gpts - RECIPE.gpts) // 2
    inside = slice(first, first + RECIPE.gpts)
    return frame[inside, inside] / electrons_per_pixel(conditions.dose, conditions.sampling)


def abtem_field(waves: str, split: Split, index: int) -> None:
    """Make all images of one field, one after the other."""
    import abtem

    wave = zarr.open_array(waves, mode="r")[index]
    with abtem.config.set({"fftw.threads": 1, "diagnostics.progress_bar": False}):
        for image in range(split.images):
            abtem_image(wave, split, index, image)


def store_whole_waves(folder: Path, split: Split) -> str:
    """Store the exit waves on the multislice grid and in abTEM's order of axes, as abTEM alone would have them."""
    gpts = int(next_fast_len(int(np.ceil(RECIPE.extent / RECIPE.exit_wave.sampling)), real=True))
    waves = zarr.open_group(folder / "waves.zarr", mode="r")[split.name]
    whole = [fourier_resample(waves[index], gpts).T for index in range(split.specimens)]
    zarr.save_array(folder / "whole.zarr", np.ascontiguousarray(whole))
    return str(folder / "whole.zarr")


def agreement(folder: Path, whole: str, split: Split) -> float:
    """Return the correlation of our image and abTEM's at the highest dose, whose noise differs."""
    images = ImageSet(folder / "images.zarr", split.name)
    index, image = np.unravel_index(images.conditions["dose"].argmax(), images.shape[:2])
    ours, _ = images.load(int(index), int(image))
    theirs = abtem_image(zarr.open_array(whole, mode="r")[int(index)], split, int(index), int(image))
    return float(np.corrcoef(ours.ravel(), theirs.ravel())[0, 1])


def measure_images(folder: Path, run: Runner) -> tuple[float, float]:
    """Return our images per second, and how many times as many that is as abTEM's."""
    split = Split("images", make_kinds(FIELDS, 0, 0), IMAGES)
    dataset(folder, run, split)
    whole = store_whole_waves(folder, split)
    same = agreement(folder, whole, split)
    print(f"correlation with abTEM's image at the highest dose: {same:.3f}")
    if same < 0.9:
        raise SystemExit("The two routes do not make the same image.")
    specimens = make_specimens(folder / "specimens.json", [(RECIPE, split)], SEED, run)[split.name]

    def ours(number: int) -> None:
        make_images(folder / f"{number}.zarr", folder / "waves.zarr", RECIPE, SEED, split, specimens, run)

    def theirs(_: int) -> None:
        run(partial(abtem_field, whole, split), range(FIELDS), "abTEM", 0)

    mine, others = alternate(ours, theirs)
    return FIELDS * IMAGES / statistics.median(mine), statistics.median(
        b / a for a, b in zip(mine, others, strict=True)
    )


def measure_workers(folder: Path, one: Runner, two: Runner) -> float:
    """Return how many times as fast two workers make a dataset as one."""
    split = Split("workers", make_kinds(FIELDS, 0, 0), IMAGES)
    slow, fast = alternate(
        lambda number: dataset(folder / f"one {number}", one, split),
        lambda number: dataset(folder / f"two {number}", two, split),
    )
    return statistics.median(a / b for a, b in zip(slow, fast, strict=True))


def alternate(first: Callable[[int], object], second: Callable[[int], object]) -> tuple[list[float], list[float]]:
    """Return the seconds of both in every round but the first; they take turns, so that a change of the machine meets
    both.
    """
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(ROUNDS + 1):
        for task, found in zip((first, second), times, strict=True):
            start = time.perf_counter()
            task(number)
            if number > 0:
                found.append(time.perf_counter() - start)
    return times


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    # Read at the top already: recipe and counts hang on it.
    parser.add_argument("--quick", action="store_true", help="try it on small images, in a minute")
    parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, workers(1) as one, workers(2) as two:
        folder = Path(scratch)
        for run in (one, two):
            dataset(folder / f"start {id(run)}", run, Split("start", make_kinds(2, 0, 0), 1))
        waves_per_second, peaks = measure_waves(folder / "waves", two)
        print(f"1000 exit waves on two workers: {1000 / waves_per_second / 60:.1f} min, from {STRUCTURES // 4 * 4}")
        print(f"peak memory of a worker after each quarter of them: {', '.join(f'{peak:.0f}' for peak in peaks)} MB")
        images_per_second, images_speedup = measure_images(folder / "images", two)
        two_worker_speedup = measure_workers(folder / "workers", one, two)
        result = {
            "images_speedup": images_speedup,
            "images_per_second": images_per_second,
            "exit_waves_per_second": waves_per_second,
            "two_worker_speedup": two_worker_speedup,
            "peak_rss_mb": max(max(run(peak_rss, range(8), "memory", 0)) for run in (one, two)),
        }
    print(json.dumps({name: round(value, 3) for name, value in result.items()}))


if __name__ == "__main__":
    main()
