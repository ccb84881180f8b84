import itertools
import subprocess
import sys

import numpy as np
import pytest
from ase import Atoms

from framedose.config import build
from framedose.errors import ConfigurationError
from framedose.microscope.conditions import Conditions
from framedose.microscope.exit_wave import ExitWaveConfig, exit_wave
from framedose.microscope.optics import expected_intensity

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


@pytest.mark.gpu
def test_the_wave_of_a_gpu_is_that_of_the_cpu_but_for_rounding():
    pytest.importorskip("cupy", reason="needs CuPy and a CUDA device")
    rng = np.random.default_rng(3)
    gold = Atoms("Au40", positions=rng.uniform([3, 3, 2], [17, 17, 12], (40, 3)), cell=[20.0, 20.0, 14.0])
    cpu, gpu = (exit_wave(gold, QUICK, device=device) for device in ("cpu", "cuda"))
    assert isinstance(gpu, np.ndarray)
    assert gpu.dtype == np.complex64
    assert np.linalg.norm(gpu - cpu) < 1e-4 * np.linalg.norm(cpu - 1)


def test_stored_band_changes_no_image_of_table_1():
    """Less than 1e-3 of an image's standard deviation at all corners of Table 1; a band of 2.2 1/Å is caught."""
    rng = np.random.default_rng(2)
    gold = Atoms("Au40", positions=rng.uniform([3, 3, 2], [17, 17, 12], (40, 3)), cell=[20.0, 20.0, 14.0])
    bands = {band: exit_wave(gold, ExitWaveConfig(band_limit=band)) for band in (3.7, 3.5, 2.2)}
    assert ExitWaveConfig().band_limit == 3.5
    assert bands[3.5].shape < bands[3.7].shape
    changes = {3.5: 0.0, 2.2: 0.0}
    for defocus, cs, spread, blur in itertools.product((-200, 0, 200), (0, 1.245e5), (5, 20), (0.1, 0.8)):
        lens = Conditions(defocus=defocus, cs=cs, focal_spread=spread, blur=blur, sampling=0.08, dose=1)
        images = {band: expected_intensity(wave, 20.0, 250, 300e3, lens) for band, wave in bands.items()}
        for band in changes:
            difference = images[band] - images[3.7]
            changes[band] = max(changes[band], np.sqrt((difference**2).mean()) / images[3.7].std())
    assert changes[3.5] < 1e-3
    assert changes[2.2] > 1e-2


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
