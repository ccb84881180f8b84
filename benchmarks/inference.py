"""How fast frames are segmented, and in how much memory: one huge frame, and a long series.

Each case is a process of its own, whose time counts from the start of Python to the last file, and whose memory is the
peak of all of it. Frames are noise with a patch of fringes, uint16 TIFFs of 0.075 Å/px; the networks are the shipped
ones. The last line is one JSON object: seconds and peak memory of ``framedose segment`` for a frame of 4096x4096 (the
worst network), the seconds of ``best`` over those of the 50-layer MSD-net from one side, as the paper's sees a frame
(the shipped one sees it from two), frames per second for a series of 1024x1024, and its peak memory for a tenth of the
frames and for all of them.

Run with ``python benchmarks/inference.py``; ``--frames 100`` shortens the series.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile

from framedose.networks.weights import SHIPPED, load_network, save_network

SAMPLING = 0.075
FRINGES = 2.35  # d111 of Au [Å]


def frame(side: int, seed: int) -> npt.NDArray[np.uint16]:
    """Return counts of 20 electrons a pixel, with fringes in a patch of a quarter of the side."""
    rows, columns = np.mgrid[:side, :side]
    patch = np.hypot(rows - side / 2, columns - side / 2) < side / 8
    mean = 20 * (1 + 0.2 * patch * np.sin(2 * np.pi * columns * SAMPLING / FRINGES))
    return np.random.default_rng(seed).poisson(mean).astype(np.uint16)


def write(path: Path, side: int, frames: int) -> None:
    """Write a TIFF of frames that differ, with its pixel size."""
    base = [frame(side, seed) for seed in range(min(frames, 8))]
    pixels = 1 / (SAMPLING / 10)
    with tifffile.TiffWriter(path, bigtiff=frames * base[0].nbytes > 2**32 - 2**25) as file:
        for index in range(frames):
            file.write(
                np.roll(base[index % len(base)], index, axis=0),
                contiguous=True,
                metadata=None,
                resolution=(pixels, pixels),
                resolutionunit="NONE",
                description=f"ImageJ=1.54f\nimages={frames}\nframes={frames}\nunit=nm\n",
            )


def segment(path: Path, network: str, out: Path, workers: int | None) -> tuple[float, float]:
    """Return the seconds and the peak memory [MB] of the command; with workers that of the largest process."""
    command = [sys.executable, "-m", "framedose", "segment", str(path), "--network", network, "--out", str(out)]
    # A process of its own, so that the peak is this command's and no earlier one's.
    measure = "import resource, subprocess, sys; status = subprocess.call(sys.argv[1:]); "
    measure += "print(status, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", measure, *command, *(["--workers", str(workers)] if workers else [])],
        capture_output=True,
        text=True,
        check=True,
    )
    status, peak = done.stdout.split()[-2:]
    if int(status):
        raise SystemExit(done.stderr)
    return time.perf_counter() - start, int(peak) / (1024 if sys.platform != "darwin" else 1024**2)


def main() -> None:
    """Run all cases and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=1000, help="frames of the series (1000)")
    parser.add_argument("--side", type=int, default=4096, help="side of the huge frame [px] (4096)")
    parser.add_argument("--workers", type=int, help="processes that share the series (this one alone)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "huge.tif", arguments.side, 1)
        msdnet, once = load_network("msdnet"), folder / "once.safetensors"
        save_network(once, msdnet.network, msdnet.metadata.model_copy(update={"turns": 1}))
        weights = {name: name for name in SHIPPED} | {"msdnet, one side": str(once)}
        huge = {}
        for network, source in weights.items():
            huge[network] = segment(folder / "huge.tif", source, folder / f"huge-{network}", None)
            print(
                f"{arguments.side} x {arguments.side}, {network}: {huge[network][0]:.1f} s, {huge[network][1]:.0f} MB",
                flush=True,
            )
        short, long = max(2, arguments.frames // 10), arguments.frames
        series = {}
        for frames in (short, long):
            write(folder / "series.tif", 1024, frames)
            series[frames] = segment(folder / "series.tif", SHIPPED[0], folder / f"series-{frames}", arguments.workers)
            seconds, peak = series[frames]
            print(f"{frames} frames of 1024 x 1024: {frames / seconds:.2f} a second, peak {peak:.0f} MB", flush=True)
    result = {
        "frame_4k_seconds": round(max(seconds for seconds, _ in huge.values()), 2),
        "best_over_msdnet": round(huge["best"][0] / huge["msdnet, one side"][0], 2),
        "frame_4k_peak_rss_mb": round(max(peak for _, peak in huge.values())),
        "frames_per_second_1k": round(long / series[long][0], 2),
        "series_peak_rss_mb": [round(series[short][1]), round(series[long][1])],
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
