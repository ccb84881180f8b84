"""From expected intensity to a detected frame: Eq. 3 of the paper."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from array_api_compat import array_namespace, device, is_numpy_namespace
from pydantic import Field

from framedose.arrays import as_items, fft_of, per_item
from framedose.camera.mtf import mtf, nyquist_frequencies
from framedose.config import Range, Settings


class Camera(Settings):
    """A camera: its transfer function and its readout noise."""

    c0: float = Field(gt=0)
    """Frequency of half maximum of the MTF, over the Nyquist frequency."""
    c3: float = Field(gt=0)
    """Steepness of the MTF."""
    readout: float = Field(ge=0)
    """Readout noise N_0: its variance per pixel, in electrons squared."""
    readout_noise: Literal["poisson", "gaussian"] = "poisson"
    """Readout as the paper's Poisson counts (mean N_0) or as normal noise of zero mean; the variance is N_0 in both."""


class CameraRanges(Settings):
    """Ranges that a camera is drawn from; MTF4 of the paper's Table 3 by default."""

    c0: Range = Range(low=0.25, high=0.6)
    """Frequency of half maximum of the MTF, over the Nyquist frequency."""
    c3: Range = Range(low=2.0, high=5.0)
    """Steepness of the MTF."""
    readout: Range = Range(low=0.005, high=0.015)
    """Readout noise N_0 [electrons/pixel]."""
    readout_noise: Literal["poisson", "gaussian"] = "poisson"
    """Readout as Poisson counts or as normal noise."""

    def draw(self, rng: np.random.Generator) -> Camera:
        """Draw one camera."""
        return Camera(
            c0=self.c0.draw(rng), c3=self.c3.draw(rng), readout=self.readout.draw(rng), readout_noise=self.readout_noise
        )


def detect(intensity: Any, electrons: Any, camera: Camera | Sequence[Camera], rng: Any) -> Any:
    """Return frames in electrons: MTF[Poisson(N_D I)] + readout (Eq. 3).

    The MTF filters the electrons that were counted, noise and all. Filtering the expectation and drawing afterwards
    would leave the noise white. The result is a real number, negative in places, and is neither clipped nor rounded.
    The filter is periodic: detect a larger field and crop it, or the edges see each other.

    Parameters
    ----------
    intensity
        Expected intensity per incoming electron, vacuum 1, shape (..., y, x), not negative; NumPy or torch.
    electrons
        N_D, electrons per pixel in vacuum: a number, or an array that broadcasts against ``intensity``.
    camera
        MTF and readout. One for all, or one for each item of the first axis of ``intensity``.
    rng
        Source of the noise: a generator of NumPy's for NumPy arrays, or of torch's, on the same device, for torch.

    Returns
    -------
    array
        float32, shape (..., y, x), in electrons.

    Raises
    ------
    ValueError
        If there are not as many cameras as items, or if their readout noises are of two kinds.
    """
    xp, fft = array_namespace(intensity), fft_of(array_namespace(intensity))
    counted = xp.astype(_poisson(xp, electrons * xp.clip(intensity, min=0), rng), xp.float32)
    frequencies = xp.asarray(nyquist_frequencies(tuple(intensity.shape[-2:])), device=device(intensity))
    settings = per_item(camera, intensity)
    transfer = xp.astype(mtf(frequencies, settings.c0, settings.c3), xp.float32)
    spread = fft.irfftn(fft.rfftn(counted, axes=(-2, -1)) * transfer, s=intensity.shape[-2:], axes=(-2, -1))
    kinds = {item.readout_noise for item in as_items(camera)}
    if len(kinds) > 1:
        raise ValueError("The cameras of a batch must have one kind of readout_noise, got both: detect them apart.")
    variance = xp.broadcast_to(settings.readout, intensity.shape)
    readout = _poisson(xp, variance, rng) if kinds == {"poisson"} else xp.sqrt(variance) * _normal(xp, intensity, rng)
    return spread + xp.astype(readout, xp.float32)


def _poisson(xp: Any, mean: Any, rng: Any) -> Any:
    return rng.poisson(mean) if is_numpy_namespace(xp) else xp.poisson(mean, generator=rng)


def _normal(xp: Any, like: Any, rng: Any) -> Any:
    if is_numpy_namespace(xp):
        return rng.normal(size=like.shape)
    return xp.randn(like.shape, generator=rng, device=device(like))


def sum_pixels(frame: Any, binning: int) -> Any:
    """Return frames with ``binning`` x ``binning`` pixels summed, as a camera bins: electrons add.

    Parameters
    ----------
    frame
        Shape (..., y, x), both divisible by ``binning``; NumPy or torch.
    binning
        Pixels per side of a block.

    Examples
    --------
    >>> sum_pixels(np.ones((4, 4), np.float32), 2).tolist()
    [[4.0, 4.0], [4.0, 4.0]]
    """
    *leading, y, x = frame.shape
    if y % binning or x % binning:
        raise ValueError(f"binning must divide the shape, got {binning} for {tuple(frame.shape)}.")
    return frame.reshape(*leading, y // binning, binning, x // binning, binning).sum(axis=(-3, -1))
