"""From exit wave to expected intensity: lens, square, blur and drift, over the array API.

Every function takes NumPy or torch arrays, with leading batch axes where said, and stays on their device.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace, device
from scipy.fft import next_fast_len

from framedose.arrays import as_items, fft_of, per_item
from framedose.microscope.conditions import Conditions
from framedose.microscope.transfer import is_round, transfer, turned
from framedose.units import wavelength

_AXES = (-2, -1)


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
    return expected_view(wave_spectrum(wave), extent, gpts, gpts, energy, conditions)


def wave_spectrum(wave: Any) -> Any:
    """Return the spectrum of an exit wave, which all its images share: see :func:`expected_view`.

    Parameters
    ----------
    wave
        Exit wave, shape (..., n, n), axes (y, x).

    Returns
    -------
    array
        Amplitudes of the plane waves of the cell, shape and type of ``wave``, zero frequency at (n // 2, n // 2).
    """
    fft = fft_of(array_namespace(wave))
    return fft.fftshift(fft.fftn(wave, axes=_AXES, norm="forward"), axes=_AXES)


def expected_view(
    spectrum: Any, extent: float, cell: int, gpts: int, energy: float, conditions: Conditions | Sequence[Conditions]
) -> Any:
    """Return the middle of an image of ``cell`` pixels per side: :func:`expected_intensity`, cropped.

    Parameters
    ----------
    spectrum
        Of the exit wave, by :func:`wave_spectrum`, shape (..., n, n).
    extent
        Side of the cell [Å].
    cell
        Pixels on the side of the cell; the sampling is ``extent / cell`` [Å/px].
    gpts
        Pixels per side of the result, at most ``cell``; its first pixel is pixel ``(cell - gpts) // 2`` of the cell.
    energy
        Electron energy [eV].
    conditions
        As those of :func:`expected_intensity`.

    Returns
    -------
    array
        Real, shape (..., gpts, gpts), the real type of ``spectrum``.
    """
    return _sampled(_intensity_spectrum(spectrum, extent, cell, energy, conditions), cell, gpts)


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
    spectrum = _intensity_spectrum(wave_spectrum(wave), extent, max(cells), energy, conditions)
    return xp.stack([_sampled(spectrum[i], cell, gpts) for i, cell in enumerate(cells)])


def fourier_resample(wave: Any, gpts: int) -> Any:
    """Return a periodic complex array (..., n, n) on ``gpts`` pixels per side, values kept.

    Frequencies that the smaller grid cannot hold are cut; a plane wave that both grids hold keeps its amplitude. The
    Nyquist frequency of an even grid, whose sign is not defined, is dropped when the number of pixels changes.
    """
    xp = array_namespace(wave)
    fft = fft_of(xp)
    return fft.ifftn(_resized(xp, fft.fftn(wave, axes=_AXES), gpts), axes=_AXES)


def _intensity_spectrum(
    spectrum: Any, extent: float, cell: int, energy: float, conditions: Conditions | Sequence[Conditions]
) -> Any:
    """Return the half spectrum of an image, all that ``cell`` pixels per side can show of it.

    Rows are the frequencies 0..k, -k..-1, columns 0..k. Only what envelope and blur leave is computed: all else is less
    than the rounding of the numbers.
    """
    xp, n = array_namespace(spectrum), spectrum.shape[-1]
    fft, items = fft_of(xp), as_items(conditions)
    least = -math.log(xp.finfo(spectrum.dtype).eps)
    highest = min((n - 1) // 2, _reach(extent * _envelope_reach(least, energy, min(c.focal_spread for c in items))))
    kept = min((cell - 1) // 2, 2 * highest, _reach(extent * _blur_reach(least, min(c.blur for c in items))))
    fine = _fine_gpts(highest, kept)
    inside = slice(n // 2 - highest, n // 2 + highest + 1)
    band = spectrum[..., inside, inside]
    band = band * _lens(band, extent, energy, conditions)
    # The first frequency of the band is taken for 0, which turns the phase of the wave and leaves its intensity.
    columns = fft.ifft(band, n=fine, axis=-2, norm="forward")
    wave = fft.ifft(columns, n=fine, axis=-1, norm="forward")
    intensity = xp.real(wave) ** 2 + xp.imag(wave) ** 2
    half = fft.rfft(intensity, axis=-1, norm="forward")[..., : kept + 1]
    half = fft.fft(half, axis=-2, norm="forward")
    half = xp.concat([half[..., : kept + 1, :], half[..., fine - kept :, :]], axis=-2)
    return half * xp.astype(_damping(half, extent, conditions), intensity.dtype)


def _fine_gpts(highest: int, kept: int) -> int:
    """Return the pixels per side for squaring a wave: frequencies alias, but none that are kept.

    The wave reaches frequency m of the cell and its square 2m. On N pixels 2m appears at 2m - N, which must lie beyond
    the highest that is kept. The FFT of this many pixels is fast, which that of the image's own need not be.
    """
    return int(next_fast_len(2 * highest + kept + 1, real=True))


def _reach(frequency: float) -> int:
    """Return the highest whole frequency of the cell up to ``frequency``, which may be infinite."""
    return math.floor(min(frequency, 1e9))


def _envelope_reach(least: float, energy: float, focal_spread: float) -> float:
    """Return the frequency [1/Å] at which the envelope is exp(-least)."""
    width = 0.5 * math.pi * wavelength(energy) * focal_spread
    return math.sqrt(math.sqrt(least) / width) if width else math.inf


def _blur_reach(least: float, blur: float) -> float:
    """Return the frequency [1/Å] at which the blur leaves exp(-least)."""
    return math.sqrt(0.5 * least) / (math.pi * blur) if blur else math.inf


def _lens(band: Any, extent: float, energy: float, conditions: Conditions | Sequence[Conditions]) -> Any:
    """Return the transfer function on a spectrum with zero frequency in its middle."""
    c, round_lens = per_item(conditions, band), is_round(as_items(conditions))
    xp, highest = array_namespace(band), band.shape[-1] // 2
    if not round_lens:
        q = _frequencies(band, np.arange(-highest, highest + 1), extent)
        return xp.astype(transfer(q[:, None], q[None, :], energy, c, round_lens), band.dtype)
    # Cosines and exponentials are what costs time here: one quadrant of them is enough.
    q = _frequencies(band, np.arange(highest + 1), extent)
    quadrant = xp.astype(transfer(q[:, None], q[None, :], energy, c, round_lens), band.dtype)
    mirror = xp.asarray(np.abs(np.arange(-highest, highest + 1)), device=device(band))
    return xp.take(xp.take(quadrant, mirror, axis=-2), mirror, axis=-1)


def _damping(half: Any, extent: float, conditions: Conditions | Sequence[Conditions]) -> Any:
    """Return what blur and drift leave of a half spectrum of frequencies 0..k, -k..-1."""
    xp, c, k = array_namespace(half), per_item(conditions, half), half.shape[-1] - 1
    qy = _frequencies(half, np.r_[0 : k + 1, -k:0], extent)[:, None]
    qx = qy[: k + 1, 0][None, :]
    damping = xp.exp(-2 * math.pi**2 * c.blur**2 * qy**2) * xp.exp(-2 * math.pi**2 * c.blur**2 * qx**2)
    if any(item.drift for item in as_items(conditions)):
        along, _ = turned(xp, qy, qx, c.drift_angle)
        damping = damping * xp.sinc(c.drift * along)
    return damping


def _sampled(half: Any, cell: int, gpts: int) -> Any:
    """Return the middle ``gpts`` pixels per side of the ``cell`` pixels per side that a half spectrum describes."""
    xp = array_namespace(half)
    fft, kept, first = fft_of(xp), min((cell - 1) // 2, half.shape[-1] - 1), (cell - gpts) // 2
    columns = xp.zeros((*half.shape[:-2], cell, kept + 1), dtype=half.dtype, device=device(half))
    columns[..., : kept + 1, :] = half[..., : kept + 1, : kept + 1]
    columns[..., cell - kept :, :] = half[..., half.shape[-2] - kept :, : kept + 1]
    rows = fft.ifft(columns, axis=-2, norm="forward")[..., first : first + gpts, :]
    # Two rows of real pixels are one of complex pixels: many lengths have no fast real transform.
    pairs = (gpts + 1) // 2
    upper, lower = rows[..., :pairs, :], 1j * rows[..., gpts - pairs :, :]
    both = xp.zeros((*half.shape[:-2], pairs, cell), dtype=half.dtype, device=device(half))
    both[..., : kept + 1] = upper + lower
    both[..., cell - kept :] = xp.flip(xp.conj(upper - lower)[..., 1:], axis=-1)
    pixels = fft.ifft(both, axis=-1, norm="forward")[..., first : first + gpts]
    return xp.concat([xp.real(pixels)[..., : gpts - pairs, :], xp.imag(pixels)], axis=-2)


def _frequencies(like: Any, numbers: npt.NDArray[np.int_], extent: float) -> Any:
    """Return the spatial frequencies [1/Å] of plane waves with whole numbers of periods, in double precision."""
    # From NumPy for every namespace: torch's own are in single precision.
    return array_namespace(like).asarray(numbers / extent, device=device(like))


def _resized(xp: Any, spectrum: Any, gpts: int) -> Any:
    """Crop or pad a spectrum (..., n, n), zero frequency first, so that its inverse transform keeps its values."""
    n = spectrum.shape[-1]
    if n == gpts:
        return spectrum
    keep = (min(n, gpts) - 1) // 2
    result = xp.zeros((*spectrum.shape[:-2], gpts, gpts), dtype=spectrum.dtype, device=device(spectrum))
    for rows in (slice(0, keep + 1), slice(-keep, None)):
        for columns in (slice(0, keep + 1), slice(-keep, None)):
            result[..., rows, columns] = spectrum[..., rows, columns] * (gpts / n) ** 2
    return result
