"""Curves and kinds that follow from the joint fit: noise transfer ring by ring, DQE, kind of readout noise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from framedose.camera.joint_fit import JointFit
from framedose.camera.mtf import mtf, nyquist_frequencies
from framedose.camera.pattern import FixedPattern
from framedose.camera.spectrum import Floats, Spectrum
from framedose.errors import CalibrationError

_GRID = 256
_RESOLVED = 0.15


@dataclass(frozen=True, eq=False)
class TransferEstimate:
    """The noise transfer T without a formula, scaled as the fitted one is."""

    frequency: Floats
    """Over the Nyquist frequency."""
    value: Floats
    error: Floats
    """One standard error, the scale taken as known."""


def noise_transfer(
    spectra: Sequence[Spectrum], joint: JointFit, pattern: FixedPattern | None = None
) -> TransferEstimate:
    """Return T of each ring: what is left of the power without readout and fixed pattern, over the shot noise."""
    count = len(spectra)
    shot = joint.shot_power[:count, None]
    power = np.array([spectrum.power for spectrum in spectra]) - joint.readout_power.value
    if pattern is not None:
        power = power - joint.signal[:count, None] ** 2 * pattern.power
    variance = np.array([spectrum.variance for spectrum in spectra])
    precision = (shot**2 / variance).sum(axis=0)
    square = (shot * power / variance).sum(axis=0) / precision
    value = np.sqrt(np.maximum(square, 0))
    error = np.minimum(0.5 / np.sqrt(precision) / np.maximum(value, 1e-6), precision**-0.25)
    return TransferEstimate(spectra[0].frequency, value, error)


def dqe(spectra: Sequence[Spectrum], joint: JointFit, mtf_of_rings: Floats) -> Floats:
    """Return DQE(q) = g^2 N MTF(q)^2 / power(q) of each frame, shape (frames, rings).

    Parameters
    ----------
    spectra
        The frames.
    joint
        Their fit, with a known dose.
    mtf_of_rings
        MTF from another measurement, such as a knife edge, at the frequencies of the spectra.

    Raises
    ------
    CalibrationError
        If the gain is not known apart from the excess noise.
    """
    if joint.gain is None or joint.electrons is None or joint.gain.quantity != "g":
        raise CalibrationError("The DQE needs a known dose and frames of at least two doses: give --dose.")
    power = np.array([spectrum.power for spectrum in spectra])
    electrons = joint.electrons[: len(spectra), None]
    return np.asarray(joint.gain.value**2 * electrons * mtf_of_rings**2 / power)


def readout_kind(spectra: Sequence[Spectrum], joint: JointFit) -> tuple[str, bool]:
    """Return ``"poisson"`` or ``"gaussian"``, and whether the frames leave that open.

    The third central moment of a frame is g^3 (N sum h^3 + N_0) with Poisson readout, h the point spread function,
    and without the last term with Gaussian readout.
    """
    if joint.gain is None:
        return "gaussian", True
    transfer = mtf(nyquist_frequencies((_GRID, _GRID)), joint.c0.value, joint.c3.value)
    cubed = float((np.fft.irfft2(transfer, s=(_GRID, _GRID)) ** 3).sum())
    squared = np.fft.irfft2(transfer**2, s=(_GRID, _GRID))
    white = np.zeros_like(squared)
    white[0, 0] = 1
    shares, precisions = [], []
    readout = joint.readout_power.value
    for spectrum, shot in zip(spectra, joint.shot_power, strict=False):
        third = joint.gain.value * readout
        if third <= 0:
            return "gaussian", True
        # The variance of a third moment of a Gaussian field is 6 times the sum of its cubed autocovariance.
        variance = 6 * float(((shot * squared + readout * white) ** 3).sum()) / spectrum.pixels
        shares.append((spectrum.third - joint.gain.value * shot * cubed) / third)
        precisions.append(third**2 / variance)
    share = float(np.average(shares, weights=precisions))
    unsure = 1 / np.sqrt(sum(precisions)) > _RESOLVED
    return ("poisson" if share > 0.5 and not unsure else "gaussian"), unsure
