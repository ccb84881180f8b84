"""From exit wave to expected intensity: contrast transfer, envelope and blur, over the array API.

Every function takes NumPy or torch arrays, with leading batch axes where said, and stays on their device.
"""

import math
from typing import Any

import numpy as np
import scipy.fft
from array_api_compat import array_namespace, device, is_numpy_namespace
from scipy.fft import next_fast_len

from framedose.microscope.conditions import Conditions
from framedose.units import wavelength


def transfer_function(q_squared: Any, energy: float, conditions: Conditions) -> Any:
    """Return the transfer function of the objective lens, exp(-i chi) E, at squared frequencies [1/Å2].

    chi = -pi lambda defocus q^2 + pi/2 Cs lambda^3 q^4, and the quasi-coherent envelope of the focal spread
    E = exp(-(pi lambda focal_spread q^2 / 2)^2), both as in abTEM (doi 10.12688/openreseurope.13015.2), where the
    focal spread is a 1/e width. Defocus is positive for underfocus.

    Parameters
    ----------
    q_squared
        Squared spatial frequencies [1/Å2], any shape, real.
    energy
        Electron energy [eV].
    conditions
        Defocus, Cs and focal spread are used.

    Returns
    -------
    array
        Complex, the shape of ``q_squared``.
    """
    xp = array_namespace(q_squared)
    length = wavelength(energy)
    chi = math.pi * length * q_squared * (-conditions.defocus + 0.5 * conditions.cs * length**2 * q_squared)
    envelope = xp.exp(-((0.5 * math.pi * length * conditions.focal_spread * q_squared) ** 2))
    return envelope * (xp.cos(chi) - 1j * xp.sin(chi))


def expected_intensity(wave: Any, extent: float, gpts: int, energy: float, conditions: Conditions) -> Any:
    """Return the expected intensity of an image, per incoming electron: vacuum is exactly 1.

    The wave is multiplied by the transfer function, squared, blurred by a Gaussian of standard deviation
    ``conditions.blur``, and Fourier-interpolated to ``gpts`` pixels per side. The envelope removes electrons (it stands
    for waves that no longer interfere), so the mean of a specimen's image is below 1; that is the model and is not
    renormalised.

    Parameters
    ----------
    wave
        Exit wave, shape (..., n, n), axes (y, x), periodic on a square of side ``extent`` [Å].
    extent
        Side of the cell [Å].
    gpts
        Pixels per side of the result; its sampling is ``extent / gpts`` [Å/px].
    energy
        Electron energy [eV].
    conditions
        Defocus, Cs, focal spread and blur.

    Returns
    -------
    array
        Real, shape (..., gpts, gpts), the real type of ``wave``.
    """
    xp = array_namespace(wave)
    fft = _fft(xp)
    q2 = squared_frequencies(xp, wave.shape[-1], extent, device(wave))
    transfer = xp.astype(transfer_function(q2, energy, conditions), wave.dtype)
    # The square of a wave has twice its band: this grid holds it without aliasing, and its FFT is fast, which that of
    # the image's own number of pixels need not be.
    fine = next_fast_len(2 * wave.shape[-1], real=True)
    wave = fft.ifftn(_resized(xp, fft.fftn(wave, axes=(-2, -1)) * transfer, fine), axes=(-2, -1))
    spectrum = fft.rfftn(xp.real(wave) ** 2 + xp.imag(wave) ** 2, axes=(-2, -1))
    q2 = squared_frequencies(xp, fine, extent, device(wave))[:, : fine // 2 + 1]
    spectrum = spectrum * xp.astype(xp.exp(-2 * math.pi**2 * conditions.blur**2 * q2), xp.real(wave).dtype)
    return fft.irfftn(_resized_half(xp, spectrum, gpts), s=(gpts, gpts), axes=(-2, -1))


def squared_frequencies(xp: Any, gpts: int, extent: float, on: Any) -> Any:
    """Return squared spatial frequencies [1/Å2] of a periodic square, shape (gpts, gpts), zero frequency first."""
    # From NumPy for every namespace: torch's own are in single precision.
    q = xp.asarray(np.fft.fftfreq(gpts, extent / gpts), device=on)
    return q[:, None] ** 2 + q[None, :] ** 2


def fourier_resample(wave: Any, gpts: int) -> Any:
    """Return a periodic complex array (..., n, n) on ``gpts`` pixels per side, values kept.

    Frequencies that the smaller grid cannot hold are cut; a plane wave that both grids hold keeps its amplitude. The
    Nyquist frequency of an even grid, whose sign is not defined, is dropped when the number of pixels changes.
    """
    xp = array_namespace(wave)
    fft = _fft(xp)
    return fft.ifftn(_resized(xp, fft.fftn(wave, axes=(-2, -1)), gpts), axes=(-2, -1))


def _fft(xp: Any) -> Any:
    """Return the FFT of a namespace; SciPy's for NumPy, which is several times as fast in two dimensions."""
    return scipy.fft if is_numpy_namespace(xp) else xp.fft


def _resized(xp: Any, spectrum: Any, gpts: int) -> Any:
    """Crop or pad a spectrum (..., n, n), zero frequency first, so that its inverse transform keeps its values."""
    n = spectrum.shape[-1]
    if n == gpts:
        return spectrum
    keep = (min(n, gpts) - 1) // 2
    return _moved(xp, spectrum, (gpts, gpts), keep, (slice(0, keep + 1), slice(-keep, None)), (gpts / n) ** 2)


def _resized_half(xp: Any, spectrum: Any, gpts: int) -> Any:
    """Do the same to the half spectrum (..., n, n // 2 + 1) of a real array."""
    n = spectrum.shape[-2]
    if n == gpts:
        return spectrum
    keep = (min(n, gpts) - 1) // 2
    return _moved(xp, spectrum, (gpts, gpts // 2 + 1), keep, (slice(0, keep + 1),), (gpts / n) ** 2)


def _moved(xp: Any, spectrum: Any, shape: tuple[int, int], keep: int, columns: tuple[slice, ...], scale: float) -> Any:
    result = xp.zeros((*spectrum.shape[:-2], *shape), dtype=spectrum.dtype, device=device(spectrum))
    for rows in (slice(0, keep + 1), slice(-keep, None)):
        for part in columns:
            result[..., rows, part] = spectrum[..., rows, part] * scale
    return result
