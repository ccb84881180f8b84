"""From expected intensity to a detected frame: Eq. 3 of the paper."""

from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy.fft
from pydantic import Field

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


def detect(
    intensity: npt.NDArray[np.floating], electrons: float, camera: Camera, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Return one frame in electrons: MTF[Poisson(N_D I)] + readout (Eq. 3).

    The MTF filters the electrons that were counted, noise and all. Filtering the expectation and drawing afterwards
    would leave the noise white. The result is a real number, negative in places, and is neither clipped nor rounded.
    The filter is periodic: detect a larger field and crop it, or the edges see each other.

    Parameters
    ----------
    intensity
        Expected intensity per incoming electron, vacuum 1, shape (y, x), not negative.
    electrons
        N_D, electrons per pixel in vacuum.
    camera
        MTF and readout.
    rng
        Source of the noise.

    Returns
    -------
    array
        float32, shape (y, x), in electrons.
    """
    counted = rng.poisson(electrons * np.maximum(intensity, 0)).astype(np.float32)
    shape = (counted.shape[0], counted.shape[1])
    transfer = mtf(nyquist_frequencies(shape), camera.c0, camera.c3).astype(np.float32)
    spread: npt.NDArray[np.float32] = scipy.fft.irfft2(scipy.fft.rfft2(counted) * transfer, s=shape)
    return spread + _readout(camera, shape, rng)


def _readout(camera: Camera, shape: tuple[int, int], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    if camera.readout_noise == "poisson":
        return rng.poisson(camera.readout, shape).astype(np.float32)
    return rng.normal(0.0, np.sqrt(camera.readout), shape).astype(np.float32)


def sum_pixels(frame: npt.NDArray[np.float32], binning: int) -> npt.NDArray[np.float32]:
    """Return the frame with ``binning`` x ``binning`` pixels summed, as a camera bins: electrons add.

    Parameters
    ----------
    frame
        Shape (y, x), both divisible by ``binning``.
    binning
        Pixels per side of a block.

    Examples
    --------
    >>> sum_pixels(np.ones((4, 4), np.float32), 2).tolist()
    [[4.0, 4.0], [4.0, 4.0]]
    """
    y, x = frame.shape
    if y % binning or x % binning:
        raise ValueError(f"binning must divide the shape, got {binning} for {frame.shape}.")
    blocks: npt.NDArray[np.float32] = frame.reshape(y // binning, binning, x // binning, binning).sum(axis=(1, 3))
    return blocks
