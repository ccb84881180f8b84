"""The linear prewhitening observer on frames, knowing the signal exactly: curve (b), which is not a bound."""

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.fft
from scipy.optimize import brentq

from framedose.errors import ImageError
from framedose.evaluation.physics.counts import Separation
from framedose.evaluation.physics.frames import Floats, FrameModel


def frame_d_prime(
    model: FrameModel, difference: npt.ArrayLike, electrons: npt.ArrayLike, *, mean: float = 1.0
) -> Floats:
    """Return d' of the linear prewhitening observer that knows the signal exactly, curve (b).

    ``d'^2 = (N_D^2 / N_px) sum_q MTF^2 |dI_q|^2 / (N_D mean(I) MTF^2 + N_0)`` at camera pixels, dI_q the
    unnormalised DFT of the difference of the expected images. For summed pixels signal and noise are those of
    :class:`FrameModel`. It is the best linear statistic for this noise spectrum. It is not a bound: the counts are
    sparse and Poisson.

    Parameters
    ----------
    model
        The camera and the frames.
    difference
        Expected image with the particle less that without it, per incoming electron, shape (y, x) of
        ``model.detected``.
    electrons
        N_D, electrons on a camera pixel of vacuum, any shape.
    mean
        Mean expected intensity of the image, for its shot noise.

    Returns
    -------
    ndarray
        d', shape of ``electrons``.
    """
    return signal_d_prime(model, model.transferred(difference), electrons, mean=mean)


def signal_d_prime(
    model: FrameModel, signal: npt.NDArray[Any], electrons: npt.ArrayLike, *, mean: float = 1.0
) -> Floats:
    """Return d' as :func:`frame_d_prime`, for a difference that the camera has passed already (``transferred``)."""
    power = np.abs(scipy.fft.rfft2(np.asarray(signal, dtype=np.float64))) ** 2
    each = np.asarray(electrons, dtype=np.float64)
    squared = [model.over_plane(_over(power, model.noise(n, mean))) * n**2 for n in each.ravel()]
    return np.sqrt(np.asarray(squared) / signal.size).reshape(each.shape)


def observer_template(
    model: FrameModel, difference: npt.ArrayLike, electrons: float, *, mean: float = 1.0
) -> npt.NDArray[Any]:
    """Return the template (y, x) of the prewhitening observer: the expected difference frame over the noise spectrum.

    Parameters as those of :func:`frame_d_prime`.
    """
    spectrum = scipy.fft.rfft2(electrons * model.transferred(difference))
    return np.asarray(scipy.fft.irfft2(_over(spectrum, model.noise(electrons, mean)), s=model.shape))


def observer_statistic(frames: npt.ArrayLike, template: npt.ArrayLike, background: npt.ArrayLike) -> Floats:
    """Return the prewhitening observer's statistic: the sum of template times frame less background.

    Without the particle its mean is 0, with it d'^2, and its variance d'^2 in both.

    Parameters
    ----------
    frames
        Frames (..., y, x) [electrons].
    template
        From :func:`observer_template`.
    background
        Mean frame without the particle (y, x) [electrons], from :meth:`FrameModel.expected`.

    Returns
    -------
    ndarray
        Shape (...).
    """
    seen, mean, weights = (np.asarray(values, dtype=np.float64) for values in (frames, background, template))
    return np.asarray(((seen - mean) * weights).sum(axis=(-2, -1)))


def frame_separation(d_prime: npt.ArrayLike) -> Separation:
    """Return the separation of a statistic of equal spread with and without the particle, from its d'."""
    value = np.asarray(d_prime, dtype=np.float64)
    return Separation(value**2, value, value)


def electrons_for(
    model: FrameModel,
    difference: npt.ArrayLike,
    d_prime: float,
    *,
    mean: float = 1.0,
    bracket: tuple[float, float] = (1e-6, 1e6),
) -> float:
    """Return the electrons per camera pixel at which curve (b) reaches ``d_prime``.

    3.971 is 95 % found at 1 % false fields (2.326 + 1.645); 3.290 is an error of 5 % between two equally likely
    hypotheses. d' rises with the dose, so there is one answer; infinite beyond ``bracket``.
    """
    signal = model.transferred(difference)

    def excess(log_electrons: float) -> float:
        return float(signal_d_prime(model, signal, np.exp(log_electrons), mean=mean)) - d_prime

    low, high = np.log(bracket)
    if excess(high) < 0:
        return float("inf")
    return float(np.exp(brentq(excess, low, high, rtol=1e-10))) if excess(low) < 0 else bracket[0]


def patch_d_primes(
    model: FrameModel,
    difference: npt.ArrayLike,
    mask: npt.ArrayLike,
    side: int,
    electrons: npt.ArrayLike,
    *,
    mean: float = 1.0,
) -> Floats:
    """Return d' of single patches being particle or not, all else known.

    The mask is tiled with squares, and each that lies within the particle as a whole is one patch. Its signal is the
    difference of the expected images inside of it. The nearest of the two hypotheses is wrong with Phi(-d' / 2): 5 %
    at d' = 3.290.

    Parameters
    ----------
    model, difference, electrons, mean
        As those of :func:`frame_d_prime`.
    mask
        The particle (y, x), at the pixels of the frames.
    side
        Side of a patch, in pixels of the frames.

    Returns
    -------
    ndarray
        Shape (patches, ...), ``electrons`` having (...); no patch where the particle holds none.
    """
    if side < 1:
        raise ImageError(f"side must be at least one pixel of the frames, got {side}: take a larger patch.")
    difference, mask = np.asarray(difference), np.asarray(mask, dtype=bool)
    if mask.shape != model.shape:
        raise ImageError(f"mask must have the shape of the frames, {model.shape}, got {mask.shape}.")
    inside = np.argwhere(mask)
    first, last = (inside.min(axis=0), inside.max(axis=0) + 1) if inside.size else (np.zeros(2, int), np.zeros(2, int))
    found = []
    for y in range(first[0], last[0] - side + 1, side):
        for x in range(first[1], last[1] - side + 1, side):
            if mask[y : y + side, x : x + side].all():
                alone = np.zeros_like(difference)
                rows, columns = (
                    slice(model.margin + at * model.binning, model.margin + (at + side) * model.binning)
                    for at in (y, x)
                )
                alone[rows, columns] = difference[rows, columns]
                found.append(frame_d_prime(model, alone, electrons, mean=mean))
    return np.asarray(found).reshape(len(found), *np.shape(electrons))


def _over(spectrum: npt.NDArray[Any], noise: Floats) -> npt.NDArray[Any]:
    """Return a spectrum over the noise; where there is no noise there is no signal either (an MTF of 0)."""
    return np.asarray(np.divide(spectrum, noise, out=np.zeros_like(spectrum), where=noise > 0))
