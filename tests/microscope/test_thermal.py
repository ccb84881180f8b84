"""Thermal motion: frozen phonons and the Debye-Waller factor."""

import numpy as np
import pytest
from ase import Atoms

from framedose.config import Range, build
from framedose.dataset.recipe import DatasetRecipe, Split
from framedose.dataset.render import render
from framedose.errors import ConfigurationError
from framedose.microscope.exit_wave import ExitWaveConfig, exit_wave
from framedose.microscope.thermal import displaced
from framedose.specimen.config import SpecimenConfig

GRID = {"sampling": 0.15, "band_limit": 2.2}
RMS = {"Au": 0.09, "O": 0.2}
CELL = [12.0, 12.0, 6.0]


def atoms(symbol="Au"):
    return Atoms(symbol, positions=[[5.0, 7.0, 3.0]], cell=CELL)


def test_displacements_have_the_stated_width_along_every_direction():
    specimen = Atoms(["Au"] * 20000 + ["O"] * 20000, positions=np.zeros((40000, 3)), cell=CELL)
    moves = displaced(specimen, RMS, np.random.default_rng(0)).positions
    for symbol, part in (("Au", moves[:20000]), ("O", moves[20000:])):
        assert np.abs(part.std(axis=0) / RMS[symbol] - 1).max() < 5 / np.sqrt(2 * 20000)
        assert np.abs(part.mean(axis=0)).max() < 5 * RMS[symbol] / np.sqrt(20000)
    assert not specimen.positions.any()


def test_mean_wave_of_frozen_phonons_is_that_of_debye_waller():
    """One light atom is a weak phase object, whose wave is linear in the potential and its mean the damped one."""
    rms, count = {"O": 0.15}, 150
    frozen = exit_wave(
        atoms("O"), ExitWaveConfig(**GRID, displacement=rms, configurations=count), np.random.default_rng(1)
    )
    damped, still = (exit_wave(atoms("O"), ExitWaveConfig(**GRID, displacement=d)) for d in (rms, {}))
    assert frozen.shape == (count, *still.shape)
    assert frozen.dtype == damped.dtype == np.complex64
    assert abs(agreement(frozen, damped)) < 5
    assert abs(agreement(frozen, still)) > 5
    for factor in (np.sqrt(3), 1 / np.sqrt(3)):
        wrong = exit_wave(atoms("O"), ExitWaveConfig(**GRID, displacement={"O": 0.15 * factor}))
        assert abs(agreement(frozen, wrong)) > 5


def agreement(frozen, model):
    """Deviation of the amplitude of ``model`` in ``frozen`` from 1, in standard errors, above 0.7 1/Å."""
    n = len(model)
    q = np.fft.fftfreq(n, 12.0 / n)
    expected = np.fft.fft2(model - 1) * (np.hypot(q[:, None], q[None, :]) > 0.7)
    amplitudes = (np.fft.fft2(frozen - 1) * expected.conj()).real.sum(axis=(1, 2)) / (np.abs(expected) ** 2).sum()
    return (amplitudes.mean() - 1) / (amplitudes.std() / np.sqrt(len(frozen)))


def test_debye_waller_factor_is_exp_of_two_pi_squared_u_squared_q_squared():
    rest, damped = (np.fft.fft2(exit_wave(atoms("O"), ExitWaveConfig(**GRID, displacement=d)) - 1) for d in ({}, RMS))
    n = len(rest)
    ratio = np.abs(damped / rest)[0, 1 : n // 3]
    q = np.arange(1, n // 3) / 12.0
    assert np.abs(ratio / np.exp(-2 * np.pi**2 * 0.2**2 * q**2) - 1).max() < 0.03


def test_frozen_phonons_are_the_same_from_the_same_generator():
    config = ExitWaveConfig(**GRID, displacement=RMS, configurations=2)
    first, again = (exit_wave(atoms(), config, np.random.default_rng(4)) for _ in range(2))
    assert np.array_equal(first, again)
    assert np.abs(first[0] - first[1]).max() > 0.01


def test_image_of_frozen_phonons_is_of_their_mean_intensity():
    small = SpecimenConfig(radius=Range(low=4, high=6), whole=False)
    recipe = DatasetRecipe(gpts=64, margin=8, specimen=small, exit_wave=ExitWaveConfig(**GRID))
    split = Split("test", ("particle",), 1, (1e6,))
    n = recipe.exit_wave.stored_gpts(recipe.extent)
    bright, dark = (np.full((n, n), amplitude, np.complex64) for amplitude in (1.5**0.5, 0.5**0.5))
    alone, twice, both = (
        render(recipe, 0, split, 0, 0, wave, [])[0].astype(float)
        for wave in (bright, np.stack([bright, bright]), np.stack([bright, dark]))
    )
    assert np.array_equal(alone, twice)
    assert alone.mean() == pytest.approx(1.5, rel=0.01)
    assert both.mean() == pytest.approx(1.0, rel=0.01)


def test_what_is_missing_is_named():
    with pytest.raises(ValueError, match="rng"):
        exit_wave(atoms(), ExitWaveConfig(**GRID, displacement=RMS, configurations=2))
    with pytest.raises(ConfigurationError, match="no value for Au"):
        exit_wave(atoms(), ExitWaveConfig(**GRID, displacement={"O": 0.1}))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"displacement": {"Gold": 0.1}}, "Gold"),
        ({"displacement": {"Au": -0.1}}, "at least 0"),
        ({"configurations": 3}, "set displacement"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        build(ExitWaveConfig, settings, where="exit_wave")
