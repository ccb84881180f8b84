"""What the grid, the slices and the stored band of exit waves change in images, over the conditions of Table 1.

One Au particle on its support. A loss is the root mean square difference of two expected images over the standard
deviation of the second; the worst and the median over the corners of Table 1 and random draws are printed.

storage    the stored wave against the whole band of its own multislice grid
band       a reference wave cropped to the stored band against the reference: 0.05 Å, slices of 0.5 Å, band of 6 1/Å
in all     the stored wave against the reference: band, grid and slices, for camera pixels and summed pixels

Run with ``python benchmarks/wave_band.py``.
"""

import argparse
import itertools
import time

import numpy as np
import numpy.typing as npt

from framedose.camera.noise import sum_pixels
from framedose.config import Range
from framedose.microscope.conditions import ConditionRanges, Conditions
from framedose.microscope.exit_wave import ExitWaveConfig, exit_wave
from framedose.microscope.optics import expected_intensity, fourier_resample
from framedose.random import generator
from framedose.specimen.assembly import build_specimen
from framedose.specimen.config import SpecimenConfig

EXTENT, DRAWS, ENERGY = 43.2, 24, 300e3
REFERENCE = ExitWaveConfig(sampling=0.05, slice_thickness=0.5, band_limit=6.0)
# Name, settings, ranges of the sampling [Å/px] and pixels summed.
CHOICES = (
    ("default", ExitWaveConfig(), Range(low=0.07, high=0.08), 1),
    ("quick", ExitWaveConfig(sampling=0.15, band_limit=2.2), Range(low=0.07, high=0.08), 4),
    (
        "general",
        ExitWaveConfig(sampling=0.15, band_limit=2.2, slice_thickness=2.0),
        Range(low=0.13, high=0.17),
        2,
    ),
)


def conditions(sampling: Range) -> list[Conditions]:
    """Return the corners of Table 1 in defocus, Cs, focal spread and blur, and random draws."""
    ranges = ConditionRanges(sampling=sampling)
    rng = generator(0, "band")
    corners = [
        Conditions(defocus=d, cs=c, focal_spread=f, blur=b, sampling=sampling.low, dose=1.0)
        for d, c, f, b in itertools.product(
            (ranges.defocus.low, 0.0, ranges.defocus.high),
            *[(r.low, r.high) for r in (ranges.cs, ranges.focal_spread, ranges.blur)],
        )
    ]
    return corners + [ranges.draw(rng) for _ in range(DRAWS)]


def image(wave: npt.NDArray[np.complex64], c: Conditions, binning: int) -> npt.NDArray[np.float32]:
    """Return an image of the whole cell."""
    gpts = binning * round(EXTENT / c.sampling / binning)
    summed: npt.NDArray[np.float32] = sum_pixels(expected_intensity(wave, EXTENT, gpts, ENERGY, c), binning)
    return summed


def worst_loss(
    wave: npt.NDArray[np.complex64], reference: npt.NDArray[np.complex64], sampling: Range, binning: int
) -> tuple[float, float]:
    """Return the worst and the median difference to the reference, over its standard deviation."""
    losses = []
    for c in conditions(sampling):
        ours, theirs = image(wave, c, binning), image(reference, c, binning)
        losses.append(float(np.sqrt(((ours - theirs) ** 2).mean()) / theirs.std()))
    return max(losses), float(np.median(losses))


def main() -> None:
    """Measure and print."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    config = SpecimenConfig(radius=Range(low=10.0, high=10.0), thickness=Range(low=25.0, high=25.0))
    specimen = build_specimen(config, (38.0, 38.0), EXTENT, generator(0, "band specimen"))
    reference = exit_wave(specimen.atoms, REFERENCE)
    print(f"{len(specimen.atoms)} atoms in {EXTENT} Å; losses over the standard deviation of an image: worst (median)")
    for name, settings, sampling, binning in CHOICES:
        start = time.perf_counter()
        wave = exit_wave(specimen.atoms, settings)
        seconds = time.perf_counter() - start
        whole = exit_wave(specimen.atoms, settings.model_copy(update={"band_limit": 1 / (3 * settings.sampling)}))
        cropped = fourier_resample(reference, settings.stored_gpts(EXTENT))
        cases = [("storage", wave, whole, 1), ("band", cropped, reference, 1), ("in all", wave, reference, 1)]
        if binning > 1:
            cases.append((f"in all, {binning}x{binning} summed", wave, reference, binning))
        for label, ours, theirs, summed in cases:
            worst, median = worst_loss(ours, theirs, sampling, summed)
            print(f"{name:8} {label:19} {worst:.1e} ({median:.1e})")
        print(f"{name:8} wave in {seconds:.1f} s")


if __name__ == "__main__":
    main()
