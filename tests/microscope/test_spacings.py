"""Lattice spacings in images of the whole simulation: specimen, exit wave, image."""

import numpy as np
import pytest

from framedose.config import Range
from framedose.microscope.conditions import Conditions
from framedose.microscope.exit_wave import ExitWaveConfig, exit_wave
from framedose.microscope.optics import expected_intensity
from framedose.random import generator
from framedose.specimen.assembly import build_specimen
from framedose.specimen.config import SpecimenConfig

EXTENT, GPTS, PADDED = 66.0, 462, 1536
# At one focus a weak spot may be dark in the middle of a particle and bright at its rim, which shifts it.
FOCI = (0.0, 25.0, 50.0, 75.0)


@pytest.fixture(scope="module")
def power():
    """Power spectra about the middle of the particle and of the support, summed over a focal series."""
    config = SpecimenConfig(
        radius=Range(low=17.0, high=17.0),
        thickness=Range(low=20.0, high=20.0),
        facet_variation=0.0,
        max_tilt=0.0,
        mask_fraction=Range(low=0.05, high=0.9),
        field_diameters=1.0,
    )
    specimen = build_specimen(config, (60.0, 60.0), EXTENT, generator(3, "spacings"))
    wave = exit_wave(specimen.atoms, ExitWaveConfig(sampling=0.15, band_limit=2.2))
    lens = Conditions(defocus=0, cs=0, focal_spread=5, blur=0.1, sampling=EXTENT / GPTS, dose=1)
    series = [lens.model_copy(update={"defocus": defocus}) for defocus in FOCI]
    images = expected_intensity(np.stack([wave] * len(FOCI)), EXTENT, GPTS, 300e3, series)
    support = specimen.atoms.positions[specimen.atoms.numbers == 58][:, [1, 0]]
    centres = {"Au": specimen.hulls[0].mean(axis=0), "CeO2": support.mean(axis=0)}
    return {name: sum(windowed_power(image, centre) for image in images) for name, centre in centres.items()}


def windowed_power(image, centre):
    """Power spectrum of an image in a Gaussian window of 8.5 Å about ``centre`` (y, x) [Å]."""
    x = np.arange(GPTS) * EXTENT / GPTS
    window = np.exp(-((x[:, None] - centre[0]) ** 2 + (x[None, :] - centre[1]) ** 2) / (2 * 8.5**2))
    return np.abs(np.fft.fft2((image - np.average(image, weights=window)) * window, s=(PADDED, PADDED))) ** 2


def measured_spacing(power, near):
    """Spacing at the centre of gravity of the strongest spot within 6 % of ``near`` [Å]."""
    q = np.fft.fftfreq(PADDED, EXTENT / GPTS)
    radius = np.hypot(q[:, None], q[None, :])
    power = np.where(np.abs(radius * near - 1) < 0.06, power, 0)
    row, column = np.unravel_index(power.argmax(), power.shape)
    power[np.hypot(q[:, None] - q[row], q[None, :] - q[column]) > 0.03] = 0
    return 1 / np.average(radius, weights=power)


@pytest.mark.parametrize(
    ("crystal", "spacing"), [("Au", 2.355), ("Au", 2.039), ("Au", 1.442), ("CeO2", 3.124)], ids=str
)
def test_spacing_within_one_percent(power, crystal, spacing):
    """Au 111, 200, 220 (a = 4.08 Å) and CeO2 111 (a = 5.411 Å)."""
    assert measured_spacing(power[crystal], spacing) == pytest.approx(spacing, rel=0.01)


def test_the_measurement_would_see_another_lattice(power):
    """Asked for a lattice that is 3 % larger or smaller, it still gives that of gold."""
    for wrong in (0.97, 1.03):
        for spacing in (2.355, 2.039, 1.442):
            assert measured_spacing(power["Au"], wrong * spacing) != pytest.approx(wrong * spacing, rel=0.01)
