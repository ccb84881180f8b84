"""The evaluation itself: do its intervals hold, does the observer's formula, and how much memory does it take?

Coverage: made-up series with a known dose of half of the area, 24 structures of their own limits and noise each, and
the share of those whose 68 % interval holds it. Observer: d' of the prewhitening statistic on drawn frames over that of
its formula. Memory: the greatest of this process while the shipped U-net is evaluated on 1000 frames of 512x512 pixels
(fringes in a disc, 20 places at 50 doses), which are drawn as they are asked for. The last line is one JSON object.

    python benchmarks/evaluation.py
"""

import argparse
import json
import resource
import time

import numpy as np
from scipy.stats import norm

from framedose.camera.noise import Camera, detect
from framedose.evaluation.limits import crossing, dose_50_area
from framedose.evaluation.measure import measure
from framedose.evaluation.physics.frames import FrameModel
from framedose.evaluation.physics.prewhitening import frame_d_prime, observer_statistic, observer_template
from framedose.evaluation.summary import EvaluationConfig, summarise
from framedose.random import generator
from framedose.study.predictors import load_predictor
from framedose.units import electrons_per_pixel

SAMPLING = 0.075
CAMERA = Camera(c0=0.4, c3=3.0, readout=0.01)


def coverage(series: int) -> float:
    """Return the share of series whose 68 % interval holds the dose of half of the expected area."""
    doses, limit, width, spread = np.geomspace(10, 1e4, 13), 50.0, 0.25, 0.3
    # The mean over structures whose limits are log-normal; its crossing is read as that of any curve.
    expected = norm.cdf((np.log10(doses) - np.log10(limit)) / np.hypot(width, spread))
    target, held = crossing(doses, expected), 0
    for index in range(series):
        rng = generator(1, "coverage", index)
        own = rng.normal(np.log10(limit), spread, size=(24, 1))
        ratios = norm.cdf((np.log10(doses) - own) / width) + rng.normal(0, 0.05, size=(24, doses.size))
        found = dose_50_area(doses, ratios, level=0.68, resamples=400, rng=generator(2, "coverage", index))
        held += (found.low or 0) <= target <= (found.high or np.inf)
    return held / series


def dprime_ratio(frames: int) -> float:
    """Return d' of the statistic on drawn frames, over that of the formula; 0.3 electrons per pixel."""
    side, electrons = 64, 0.3
    model = FrameModel(CAMERA, (side, side))
    with_particle = fringes(side, (side / 2, side / 2), 16.0)
    flat = np.ones((side, side), dtype=np.float32)
    mean = float((with_particle.mean() + 1) / 2)
    difference = with_particle - flat
    template = observer_template(model, difference, electrons, mean=mean)
    background = model.expected(flat, electrons)
    means, variances = [], []
    for number, image in enumerate((flat, with_particle)):
        drawn = detect(np.broadcast_to(image, (frames, side, side)), electrons, CAMERA, generator(3, "frames", number))
        statistic = observer_statistic(drawn, template, background)
        means.append(statistic.mean())
        variances.append(statistic.var(ddof=1))
    measured = (means[1] - means[0]) / np.sqrt(np.mean(variances))
    return float(measured / frame_d_prime(model, difference, electrons, mean=mean))


def fringes(side: int, centre: tuple[float, float], radius: float) -> np.ndarray:
    """Return an expected image (y, x) of fringes of Au {111} in a disc, float32."""
    y, x = np.mgrid[:side, :side]
    disc = np.hypot(y - centre[0], x - centre[1]) < radius
    return (1 + 0.15 * disc * np.cos(2 * np.pi * x * SAMPLING / 2.355)).astype(np.float32)


class Drawn:
    """A series of 20 places at 50 doses, of 512x512 pixels, drawn as it is asked for."""

    doses = np.geomspace(10, 1e4, 50)

    def __init__(self, structures: int, side: int = 512) -> None:
        rng = generator(4, "places")
        places = [tuple(rng.uniform(0.35 * side, 0.65 * side, 2)) for _ in range(structures)]
        self._expected = [fringes(side, place, 0.2 * side) for place in places]
        y, x = np.mgrid[:side, :side]
        self.masks = np.stack([np.hypot(y - a, x - b) < 0.2 * side for a, b in places])
        self._flat = np.ones((2, side, side), dtype=np.float32)

    def samplings(self, kind: str) -> np.ndarray:
        """Return the pixel size [Å/px], once for each frame of a kind."""
        return np.full({"particle": len(self.masks), "support": 0, "vacuum": len(self._flat)}[kind], SAMPLING)

    def images(self, dose_index: int) -> np.ndarray:
        """Return the frames of a dose (structures, y, x)."""
        return self._drawn(np.stack(self._expected), dose_index, "images")

    def vacuum(self, dose_index: int) -> np.ndarray:
        """Return frames of vacuum (n, y, x)."""
        return self._drawn(self._flat, dose_index, "vacuum")

    def support(self, dose_index: int) -> np.ndarray:
        """Return no frames."""
        return self._flat[:0]

    def _drawn(self, expected: np.ndarray, dose_index: int, what: str) -> np.ndarray:
        electrons = electrons_per_pixel(float(self.doses[dose_index]), SAMPLING)
        return detect(expected, electrons, CAMERA, generator(4, what, dose_index))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=400, help="made-up series of the coverage")
    parser.add_argument("--frames", type=int, default=4000, help="drawn frames of each kind for d'")
    parser.add_argument("--structures", type=int, default=20, help="places in the evaluated series, at 50 doses each")
    given = parser.parse_args()
    held, ratio = coverage(given.series), dprime_ratio(given.frames)
    error = np.sqrt(0.68 * 0.32 / given.series)
    print(f"68 % intervals hold the limit in {held:.1%} of {given.series} series (standard error {error:.1%})")
    print(f"d' of the statistic over that of the formula: {ratio:.4f}, from {given.frames} frames of each kind")
    start = time.perf_counter()
    network, series = load_predictor("unet"), Drawn(given.structures)
    measured = measure(network.predict, series)
    summarise(measured, EvaluationConfig(), seed=0)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{given.structures * len(series.doses)} frames of 512x512 in {seconds:.0f} s, greatest memory {peak:.0f} MB")
    print(json.dumps({"limit_coverage_68": held, "dprime_ratio": round(ratio, 4), "peak_rss_mb": round(peak, 1)}))


if __name__ == "__main__":
    main()
