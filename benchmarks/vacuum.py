"""What networks call particle where there is nothing: wide frames of vacuum, evenly and unevenly lit.

Frames of 11.5 nm, 768 x 768 pixels of 0.15 Å, of cameras drawn over the widths of the preset ``general``: together as
many pixels of the networks as 92 images of its series have. Even: the mean over all frames, at each dose. Uneven, at
one dose: five times as bright on one side as on the other; the edge of the beam through the frame, with a hundredth of
the light beyond; a beam stop. And, at two doses, another edge or stop in each frame, drawn as those of the training
are (``training.disturb.dark_share``). Printed is the share of the pixels [%] at the thresholds 0.5 and 0.9; the last
line is JSON.

    python benchmarks/vacuum.py
"""

import argparse
import json

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from framedose.camera.noise import Camera, detect
from framedose.networks.weights import SHIPPED
from framedose.progress import progress
from framedose.random import generator
from framedose.study.predictors import load_predictor
from framedose.training.disturb import partly_dark

SIDE, SAMPLING = 768, 0.15
DOSES = (10, 30, 100, 300, 1000, 10_000)
UNEVEN_DOSE = 1000
DRAWN, DRAWN_DOSES = "drawn edges and stops", (30, 1000)
THRESHOLDS = (0.5, 0.9)
# Blur of the edges of beam and stop [px].
SOFT = 6.0

Light = npt.NDArray[np.float32]


def lights() -> dict[str, Light]:
    """Return illuminations (y, x), 1 where the beam is."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    beam = ((x - 0.2) ** 2 + (y - 0.3) ** 2 < 0.5**2).astype(np.float64)
    stop = ((y < 0.4) | (y > 0.47)).astype(np.float64)
    return {
        "even": np.ones((SIDE, SIDE), np.float32),
        "slope": (1 / 3 + 4 / 3 * x).astype(np.float32),
        "edge of the beam": np.maximum(gaussian_filter(beam, SOFT), 0.01).astype(np.float32),
        "beam stop": np.maximum(gaussian_filter(stop, SOFT), 0.01).astype(np.float32),
    }


def drawn_light(index: int) -> Light:
    """Return the illumination (y, x) of a frame of which a part is dark."""
    return partly_dark((SIDE, SIDE), generator(0, "vacuum light", index))


def frame(light: Light, dose: int, index: int) -> Light:
    """Return a frame as a camera sees it."""
    rng = generator(0, "vacuum", index)
    camera = Camera(c0=rng.uniform(0.25, 1.0), c3=rng.uniform(2.0, 4.0), readout=0.01)
    counts = detect(light, dose * SAMPLING**2, camera, generator(0, "vacuum noise", dose, index))
    return np.asarray(counts, dtype=np.float32)


def main() -> None:
    """Print a table of each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", nargs="+", default=list(SHIPPED), help="shipped names or weights files")
    parser.add_argument("--frames", type=int, default=16, help="of each dose and illumination")
    arguments = parser.parse_args()
    networks = [load_predictor(name) for name in arguments.network]
    lit = lights()
    cases = [("even", dose) for dose in DOSES] + [(kind, UNEVEN_DOSE) for kind in lit if kind != "even"]
    cases += [(DRAWN, dose) for dose in DRAWN_DOSES]
    result: dict[str, dict[str, list[float]]] = {network.name: {} for network in networks}
    for kind, dose in progress(cases, total=len(cases), label="vacuum"):
        frames = [
            frame(drawn_light(index) if kind == DRAWN else lit[kind], dose, index) for index in range(arguments.frames)
        ]
        for network in networks:
            seen = np.stack([network.predict(one[None], np.array([SAMPLING]))[0] for one in frames])
            shares = [round(100 * float((seen >= at).mean()), 3) for at in THRESHOLDS]
            result[network.name][f"{kind}, {dose} e/Å2"] = shares
    for name, false in result.items():
        print(f"\n{name}: called particle [%] at {THRESHOLDS[0]:g} and {THRESHOLDS[1]:g}")
        for case, shares in false.items():
            print(f"{case:>32}", *(f"{share:8.3f}" for share in shares))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
