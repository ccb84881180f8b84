"""What the grid, the slices and the stored band of exit waves change in images, over the conditions of Table 1.

One Au particle on its support. The reference is computed on 0.05 Å in slices of 0.5 Å and keeps 6 1/Å. A loss is the
root mean square difference of two expected images over the standard deviation of the reference's; the worst of the
corners of Table 1 and of random draws is printed, for camera pixels and, where a preset sums them, for summed pixels.
"storage" compares with the same grid and slices and the whole band that the grid carries.

Run with ``python benchmarks/wave_band.py``.
"""

import itertools
import time

import numpy as np
import numpy.typing as npt

from framedose.camera.noise import sum_pixels
from framedose.config import Range
from framedose.microscope.conditions import ConditionRanges, Conditions
from framedose.microscope.exit_wave import ExitWaveConfig, exit_wave
from framedose.microscope.optics import expected_intensity
from framedose.random import generator
from framedose.specimen.assembly import SpecimenConfig, build_specimen

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
    config = SpecimenConfig(radius=Range(low=10.0, high=10.0), thickness=Range(low=25.0, high=25.0))
    specimen = build_specimen(config, (38.0, 38.0), EXTENT, generator(0, "band specimen"))
    reference = exit_wave(specimen.atoms, REFERENCE)
    print(f"{len(specimen.atoms)} atoms in {EXTENT} Å; losses over the standard deviation of an image: worst (median)")
    for name, settings, sampling, binning in CHOICES:
        start = time.perf_counter()
        wave = exit_wave(specimen.atoms, settings)
        seconds = time.perf_counter() - start
        whole = exit_wave(specimen.atoms, settings.model_copy(update={"band_limit": 1 / (3 * settings.sampling)}))
        cases = [("storage", whole, 1), ("in all", reference, 1)]
        cases += [(f"in all, {binning}x{binning} summed", reference, binning)] if binning > 1 else []
        for label, other, summed in cases:
            worst, median = worst_loss(wave, other, sampling, summed)
            print(f"{name:8} {label:22} {worst:.2e} ({median:.2e})   wave in {seconds:.1f} s")


if __name__ == "__main__":
    main()
