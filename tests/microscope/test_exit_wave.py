import subprocess
import sys

import numpy as np
import pytest
from ase import Atoms

from framedose.config import build
from framedose.errors import ConfigurationError
from framedose.microscope.exit_wave import ExitWaveConfig, exit_wave

QUICK = ExitWaveConfig(sampling=0.15, band_limit=2.2)


def one_atom(x, y):
    return Atoms("Au", positions=[[x, y, 3.0]], cell=[16.0, 16.0, 6.0])


def test_wave_is_indexed_y_x():
    wave = exit_wave(one_atom(4.0, 10.0), QUICK)
    n = wave.shape[0]
    assert wave.shape == (n, n) == (QUICK.stored_gpts(16.0),) * 2
    assert wave.dtype == np.complex64
    row, column = np.unravel_index(np.abs(np.angle(wave)).argmax(), wave.shape)
    assert row * 16 / n == pytest.approx(10.0, abs=16 / n)
    assert column * 16 / n == pytest.approx(4.0, abs=16 / n)


def test_vacuum_wave_has_unit_intensity_and_atoms_scatter_without_loss_of_many_electrons():
    wave = exit_wave(one_atom(8.0, 8.0), QUICK)
    intensity = np.abs(wave) ** 2
    assert intensity.mean() == pytest.approx(1.0, abs=0.01)
    assert np.ptp(np.angle(wave)) > 0.3


def test_cropping_loses_nothing_below_the_band_limit():
    """Against abTEM's own wave on its full grid."""
    import abtem

    atoms = one_atom(7.3, 9.1)
    with abtem.config.set({"diagnostics.progress_bar": False}):
        potential = abtem.Potential(atoms, gpts=(108, 108), slice_thickness=1, parametrization="lobato")
        reference = abtem.PlaneWave(energy=300e3).multislice(potential, lazy=False).array.T
    ours = np.fft.fft2(exit_wave(atoms, QUICK)) / QUICK.stored_gpts(16.0) ** 2
    theirs = np.fft.fft2(reference) / 108**2
    keep = np.r_[0:35, -34:0]
    assert np.abs(ours[np.ix_(keep, keep)] - theirs[np.ix_(keep, keep)]).max() < 1e-5


def test_band_limit_beyond_the_grid_is_refused():
    with pytest.raises(ConfigurationError, match="antialias limit"):
        build(ExitWaveConfig, {"sampling": 0.15, "band_limit": 3.0}, where="exit_wave")


def test_wave_is_the_same_bits_in_another_process():
    script = (
        "import hashlib; from ase import Atoms; from framedose.microscope.exit_wave import *; "
        "a = Atoms('Au', positions=[[4.0, 10.0, 3.0]], cell=[16.0, 16.0, 6.0]); "
        "w = exit_wave(a, ExitWaveConfig(sampling=0.15, band_limit=2.2)); "
        "print(hashlib.sha256(w.tobytes()).hexdigest())"
    )
    runs = [
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True) for _ in range(2)
    ]
    assert runs[0].stdout == runs[1].stdout
    assert len(runs[0].stdout.strip()) == 64
