"""From expected intensity to a detected frame: Eq. 3 of the paper."""

from typing import Any, Literal, Self, cast

import numpy as np
import numpy.typing as npt
import scipy.fft
from pydantic import Field, model_validator

from framedose.camera.mtf import TransferCurve, mtf, nyquist_frequencies
from framedose.config import Range, Settings


class Camera(Settings):
    """A camera: its transfer function, as Eq. 1 (``c0`` and ``c3``) or as a table, and its noise."""

    c0: float | None = Field(default=None, gt=0)
    """Frequency of half maximum of the MTF, over the Nyquist frequency."""
    c3: float | None = Field(default=None, gt=0)
    """Steepness of the MTF."""
    floor: float = Field(default=0.0, ge=0, lt=1)
    """C of Eq. 1; 0 where the readout makes the tail."""
    mtf_table: TransferCurve | None = None
    """The MTF as a table, in place of c0, c3 and floor."""
    noise_transfer: TransferCurve | None = None
    """What the noise of the counted electrons is filtered by where it is not the MTF, as on counting detectors."""
    excess_noise: float = Field(default=1.0, gt=0)
    """F: variance of what one electron leaves, relative to counting; 1 for a camera that adds none."""
    readout: float = Field(ge=0)
    """Readout noise N_0: its variance per pixel, in electrons squared."""
    readout_noise: Literal["poisson", "gaussian"] = "poisson"
    """Readout as the paper's Poisson counts (mean N_0) or as normal noise of zero mean; the variance is N_0 in both."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        by_formula = self.c0 is not None and self.c3 is not None
        if by_formula == (self.mtf_table is not None) or (self.c0 is None) != (self.c3 is None):
            raise ValueError("a camera needs either c0 and c3, or mtf_table")
        return self

    def mtf(self, frequency: Any) -> Any:
        """Return the MTF at frequencies over the Nyquist frequency, any shape."""
        if self.mtf_table is not None:
            return self.mtf_table.at(frequency)
        return mtf(frequency, cast(float, self.c0), cast(float, self.c3), self.floor)


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

    Where the camera's noise transfer is not its MTF, or its excess noise not 1, the expectation goes through the MTF
    and the noise, times the root of the excess noise, through the noise transfer.

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
    expected = electrons * np.maximum(intensity, 0)
    counted = rng.poisson(expected).astype(np.float32)
    shape = (counted.shape[0], counted.shape[1])
    frequency = nyquist_frequencies(shape)
    if camera.noise_transfer is None and camera.excess_noise == 1:
        spread = _filtered(counted, camera.mtf(frequency))
    else:
        noise = np.sqrt(camera.excess_noise).astype(np.float32) * (counted - expected.astype(np.float32))
        transfer = camera.mtf(frequency)
        coloured = transfer if camera.noise_transfer is None else camera.noise_transfer.at(frequency)
        spread = _filtered(expected.astype(np.float32), transfer) + _filtered(noise, coloured)
    return spread + _readout(camera, shape, rng)


def _filtered(values: npt.NDArray[np.float32], transfer: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    spectrum = scipy.fft.rfft2(values) * transfer.astype(np.float32)
    filtered: npt.NDArray[np.float32] = scipy.fft.irfft2(spectrum, s=values.shape)
    return filtered


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
