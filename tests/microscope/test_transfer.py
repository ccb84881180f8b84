"""The transfer function against abTEM's own, in double precision."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framedose.microscope.conditions import Conditions
from framedose.microscope.optics import expected_intensity
from framedose.microscope.transfer import transfer_function

EXTENT, GPTS = 20.0, 96
ANGLES = st.floats(0, 360)
LENSES = st.fixed_dictionaries(
    {
        "defocus": st.floats(-200, 200),
        "cs": st.floats(0, 1.245e5),
        # The wavelengths differ by 5e-9, CODATA 2014 against 2018. Beyond the envelope of 5 Å that shifts chi by 1e-6.
        "focal_spread": st.floats(5, 20),
        "astigmatism": st.floats(0, 200),
        "astigmatism_angle": ANGLES,
        "coma": st.floats(0, 5e3),
        "coma_angle": ANGLES,
        "trefoil": st.floats(0, 5e3),
        "trefoil_angle": ANGLES,
    }
)


def conditions(lens):
    return Conditions(**lens, blur=0.0, sampling=0.1, dose=1.0)


def abtem_ctf(lens, energy):
    """abTEM's CTF of the same lens; its angles are in radians."""
    import abtem

    names = {"cs": "Cs", "focal_spread": "focal_spread", "defocus": "defocus"}
    round_part = {ours: lens[name] for name, ours in names.items()}
    polar = {"C12": lens["astigmatism"], "C21": lens["coma"], "C23": lens["trefoil"]} | {
        symbol: np.deg2rad(lens[name])
        for symbol, name in (("phi12", "astigmatism_angle"), ("phi21", "coma_angle"), ("phi23", "trefoil_angle"))
    }
    return abtem.CTF(energy=energy, semiangle_cutoff=np.inf, **round_part, **polar)


@settings(max_examples=25, deadline=None)
@given(LENSES, st.sampled_from([80e3, 200e3, 300e3]))
def test_transfer_function_is_abtems_on_the_whole_plane(lens, energy):
    import abtem

    with abtem.config.set({"precision": "float64"}):
        ctf = abtem_ctf(lens, energy)
        ctf.gpts, ctf.extent = GPTS, EXTENT
        theirs = ctf._evaluate_kernel()
    q = np.fft.fftfreq(GPTS, EXTENT / GPTS)
    ours = transfer_function(q[:, None], q[None, :], energy, conditions(lens))
    assert np.abs(ours - theirs.T).max() < 1e-6


@pytest.mark.parametrize("is_round", [True, False])
def test_image_is_abtems_of_the_same_wave(is_round):
    """Through abTEM's public path, with its axes (x, y) turned: the image of a wave without symmetry."""
    import abtem

    rng = np.random.default_rng(0)
    wave = 1 + 0.1 * (rng.normal(size=(GPTS, GPTS)) + 1j * rng.normal(size=(GPTS, GPTS)))
    q = np.fft.fftfreq(GPTS, EXTENT / GPTS)
    # Within half of the grid's frequencies, so that abTEM's squared wave does not alias on it.
    wave = np.fft.ifft2(np.fft.fft2(wave) * (np.maximum(abs(q[:, None]), abs(q[None, :])) < GPTS / EXTENT / 4.01))
    lens = {"defocus": 70.0, "cs": 4e4, "focal_spread": 8.0, "astigmatism": 60.0, "astigmatism_angle": 25.0}
    lens |= {"coma": 2e3, "coma_angle": 100.0, "trefoil": 3e3, "trefoil_angle": 310.0}
    if is_round:
        lens |= {"astigmatism": 0.0, "coma": 0.0, "trefoil": 0.0}
    with abtem.config.set({"precision": "float64", "diagnostics.progress_bar": False}):
        waves = abtem.Waves(np.ascontiguousarray(wave.T), energy=300e3, extent=EXTENT)
        theirs = waves.apply_ctf(abtem_ctf(lens, 300e3)).intensity().array.T
    ours = expected_intensity(wave, EXTENT, GPTS, 300e3, conditions(lens))
    assert np.abs(ours - theirs).max() < 1e-6
    assert theirs.std() > 0.05
