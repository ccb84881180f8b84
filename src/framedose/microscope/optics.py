"""From exit wave to expected intensity: contrast transfer, envelope, blur and drift, over the array API.

Every function takes NumPy or torch arrays, with leading batch axes where said, and stays on their device.
"""

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device
from scipy.fft import next_fast_len

from framedose.arrays import as_items, fft_of, per_item
from framedose.microscope.conditions import Conditions
from framedose.units import wavelength

_AXES = (-2, -1)


def transfer_function(qy: Any, qx: Any, energy: float, conditions: Conditions) -> Any:
    """Return the transfer function of the objective lens, exp(-i chi) E, at spatial frequencies (qy, qx).

    With q^2 = qy^2 + qx^2 and phi the azimuth from x towards y,

    chi = pi lambda q^2 (-defocus + C12 cos 2(phi - phi12)) + pi/2 Cs lambda^3 q^4
    + 2 pi/3 lambda^2 q^3 (C21 cos(phi - phi21) + C23 cos 3(phi - phi23)),

    and the quasi-coherent envelope of the focal spread E = exp(-(pi lambda focal_spread q^2 / 2)^2), both as in abTEM
    (doi 10.12688/openreseurope.13015.2), where the focal spread is a 1/e width. Defocus is positive for underfocus.

    Parameters
    ----------
    qy, qx
        Spatial frequencies [1/Å] along the columns and the rows, real, of shapes that broadcast.
    energy
        Electron energy [eV].
    conditions
        Defocus, Cs, the further aberrations and the focal spread are used.

    Returns
    -------
    array
        Complex, of the shape that ``qy`` and ``qx`` broadcast to.

    Examples
    --------
    >>> lens = Conditions(defocus=0, cs=0, focal_spread=0, blur=0, sampling=0.1, dose=1)
    >>> transfer_function(np.zeros((2, 1)), np.zeros((1, 1)), 300e3, lens).real.tolist()
    [[1.0], [1.0]]
    """
    return _transfer(qy, qx, energy, per_item(conditions, qy), _is_round([conditions]))


def expected_intensity(
    wave: Any, extent: float, gpts: int, energy: float, conditions: Conditions | Sequence[Conditions]
) -> Any:
    """Return the expected intensity of an image, per incoming electron: vacuum is exactly 1.

    The wave is multiplied by the transfer function, squared, blurred by a Gaussian of standard deviation
    ``conditions.blur`` and by the drift, and Fourier-interpolated to ``gpts`` pixels per side. The envelope removes
    electrons (it stands for waves that no longer interfere), so the mean of a specimen's image is below 1; that is the
    model and is not renormalised.

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
        Everything but sampling and dose is used. One for all, or one for each item of the first axis of ``wave``.

    Returns
    -------
    array
        Real, shape (..., gpts, gpts), the real type of ``wave``.
    """
    spectrum = _intensity_spectrum(wave, extent, gpts, energy, conditions)
    return _sampled(spectrum, gpts)


def expected_views(wave: Any, extent: float, gpts: int, energy: float, conditions: Sequence[Conditions]) -> Any:
    """Return the middle of the images of a batch, each at its own pixel size: :func:`expected_intensity`, cropped.

    Parameters
    ----------
    wave
        Exit waves, shape (items, ..., n, n).
    extent
        Side of the cell [Å].
    gpts
        Pixels per side of the results.
    energy
        Electron energy [eV].
    conditions
        One for each item. The cell has ``round(extent / sampling)`` pixels per side, at least ``gpts``.

    Returns
    -------
    array
        Real, shape (items, ..., gpts, gpts).

    Raises
    ------
    ValueError
        If ``gpts`` pixels of some item reach beyond the cell.
    """
    xp = array_namespace(wave)
    cells = [round(extent / item.sampling) for item in conditions]
    if min(cells) < gpts:
        raise ValueError(
            f"gpts must be at most the {min(cells)} pixels that the coarsest sampling has on {extent} Å, got {gpts}."
        )
    spectrum = _intensity_spectrum(wave, extent, max(cells), energy, conditions)
    first = [(cell - gpts) // 2 for cell in cells]
    return xp.stack(
        [
            _sampled(spectrum[i], cell)[..., start : start + gpts, start : start + gpts]
            for i, (cell, start) in enumerate(zip(cells, first, strict=True))
        ]
    )


def fourier_resample(wave: Any, gpts: int) -> Any:
    """Return a periodic complex array (..., n, n) on ``gpts`` pixels per side, values kept.

    Frequencies that the smaller grid cannot hold are cut; a plane wave that both grids hold keeps its amplitude. The
    Nyquist frequency of an even grid, whose sign is not defined, is dropped when the number of pixels changes.
    """
    xp = array_namespace(wave)
    fft = fft_of(xp)
    return fft.ifftn(_resized(xp, fft.fftn(wave, axes=_AXES), gpts), axes=_AXES)


def _transfer(qy: Any, qx: Any, energy: float, c: SimpleNamespace, is_round: bool) -> Any:
    xp = array_namespace(qy, qx)
    length = wavelength(energy)
    q2 = qy**2 + qx**2
    chi = math.pi * length * q2 * (-c.defocus + 0.5 * c.cs * length**2 * q2)
    if not is_round:
        chi = chi + _azimuthal_phase(xp, qy, qx, length, c)
    envelope = xp.exp(-((0.5 * math.pi * length * c.focal_spread * q2) ** 2))
    return envelope * (xp.cos(chi) - 1j * xp.sin(chi))


def _azimuthal_phase(xp: Any, qy: Any, qx: Any, length: float, c: SimpleNamespace) -> Any:
    """Return the part of chi that depends on the azimuth; q^m cos m(phi - phi_m) is a polynomial in turned axes."""
    u, v = _turned(xp, qy, qx, c.astigmatism_angle)
    astigmatism = math.pi * length * c.astigmatism * (u**2 - v**2)
    u, v = _turned(xp, qy, qx, c.coma_angle)
    coma = c.coma * (u**2 + v**2) * u
    u, v = _turned(xp, qy, qx, c.trefoil_angle)
    trefoil = c.trefoil * (u**2 - 3 * v**2) * u
    return astigmatism + 2 * math.pi / 3 * length**2 * (coma + trefoil)


def _turned(xp: Any, qy: Any, qx: Any, angle: Any) -> tuple[Any, Any]:
    """Return frequencies along and across a direction [degree]."""
    cosine, sine = xp.cos(math.pi / 180 * angle), xp.sin(math.pi / 180 * angle)
    return cosine * qx + sine * qy, cosine * qy - sine * qx


def _is_round(items: Sequence[Conditions]) -> bool:
    return not any(item.astigmatism or item.coma or item.trefoil for item in items)


def _intensity_spectrum(
    wave: Any, extent: float, gpts: int, energy: float, conditions: Conditions | Sequence[Conditions]
) -> Any:
    """Return the half spectrum of an image on a grid that holds all frequencies of ``gpts`` pixels per side."""
    xp = array_namespace(wave)
    fft = fft_of(xp)
    transfer = xp.astype(_lens(wave, extent, energy, conditions), wave.dtype)
    fine = _fine_gpts(wave.shape[-1], gpts)
    wave = fft.ifftn(_resized(xp, fft.fftn(wave, axes=_AXES) * transfer, fine), axes=_AXES)
    intensity = xp.real(wave) ** 2 + xp.imag(wave) ** 2
    damping = _damping(intensity, extent, conditions)
    return fft.rfftn(intensity, axes=_AXES) * xp.astype(damping, intensity.dtype)


def _fine_gpts(n: int, gpts: int) -> int:
    """Return the pixels per side for squaring a wave of ``n``: frequencies alias, but none that ``gpts`` can show.

    The wave reaches frequency m of the cell and its square 2m. On N pixels 2m appears at 2m - N, which must lie beyond
    the highest that is kept. The FFT of this many pixels is fast, which that of the image's own need not be.
    """
    highest = (n - 1) // 2
    kept = min((gpts - 1) // 2, 2 * highest)
    return int(next_fast_len(2 * highest + kept + 1, real=True))


def _lens(wave: Any, extent: float, energy: float, conditions: Conditions | Sequence[Conditions]) -> Any:
    """Return the transfer function on the grid of ``wave``."""
    c, is_round = per_item(conditions, wave), _is_round(as_items(conditions))
    n = wave.shape[-1]
    q = _frequencies(wave, n, extent)
    if not is_round:
        return _transfer(q[:, None], q[None, :], energy, c, is_round)
    # Cosines and exponentials are what costs time here: one quadrant of them is enough.
    xp, quadrant = array_namespace(wave), q[: n // 2 + 1]
    values = _transfer(quadrant[:, None], quadrant[None, :], energy, c, is_round)
    mirror = xp.asarray(np.minimum(np.arange(n), n - np.arange(n)), device=device(wave))
    return xp.take(xp.take(values, mirror, axis=-2), mirror, axis=-1)


def _damping(intensity: Any, extent: float, conditions: Conditions | Sequence[Conditions]) -> Any:
    """Return what blur and drift leave of the half spectrum of ``intensity``."""
    xp, c, n = array_namespace(intensity), per_item(conditions, intensity), intensity.shape[-1]
    qy = _frequencies(intensity, n, extent)[:, None]
    qx = qy[: n // 2 + 1, 0][None, :]
    damping = xp.exp(-2 * math.pi**2 * c.blur**2 * qy**2) * xp.exp(-2 * math.pi**2 * c.blur**2 * qx**2)
    if any(item.drift for item in as_items(conditions)):
        along, _ = _turned(xp, qy, qx, c.drift_angle)
        damping = damping * xp.sinc(c.drift * along)
    return damping


def _sampled(spectrum: Any, gpts: int) -> Any:
    """Return the real array of a half spectrum, on ``gpts`` pixels per side."""
    xp = array_namespace(spectrum)
    return fft_of(xp).irfftn(_resized_half(xp, spectrum, gpts), s=(gpts, gpts), axes=_AXES)


def _frequencies(like: Any, gpts: int, extent: float) -> Any:
    """Return the spatial frequencies [1/Å] of a periodic row, zero first, in double precision."""
    # From NumPy for every namespace: torch's own are in single precision.
    return array_namespace(like).asarray(np.fft.fftfreq(gpts, extent / gpts), device=device(like))


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
