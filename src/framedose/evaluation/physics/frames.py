"""What the frames of one camera look like on average: signal and noise spectrum of Eq. 3, pixels summed or not."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.fft

from framedose.camera.mtf import nyquist_frequencies
from framedose.camera.noise import Camera, sum_pixels
from framedose.errors import ImageError

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FrameModel:
    """Signal and noise of frames in electrons by Eq. 3, MTF[Poisson(N_D I)] + readout, cropped and summed.

    The noise is taken as stationary: its spectrum is that of an even illumination with the image's mean. The shot noise
    of a frame with contrast is a little stronger where the frame is bright.

    Parameters
    ----------
    camera
        MTF and noise.
    shape
        Pixels (y, x) of a frame, after cropping and summing.
    binning
        Camera pixels per side of a pixel of the frame, summed after the camera.
    margin
        Camera pixels that are detected around a frame and cropped.
    level_known
        Whether the mean of the frame tells anything. With False the zero frequency has infinite noise: whoever does
        not know the dose of a frame exactly, or normalises frames as the networks do, cannot use it.

    Raises
    ------
    ImageError
        If shape, binning or margin is not positive (the margin may be 0).
    """

    camera: Camera
    shape: tuple[int, int]
    binning: int = 1
    margin: int = 0
    level_known: bool = True

    def __post_init__(self) -> None:
        if min(*self.shape, self.binning) < 1 or self.margin < 0:
            raise ImageError(
                "A frame model needs shape and binning of at least 1 and margin of at least 0, got shape "
                f"{self.shape}, binning {self.binning} and margin {self.margin}."
            )

    @property
    def detected(self) -> tuple[int, int]:
        """Camera pixels (y, x) of the expected images that frames are made from."""
        y, x = (self.binning * n + 2 * self.margin for n in self.shape)
        return y, x

    @cached_property
    def shot(self) -> Floats:
        """Noise spectrum of one electron a camera pixel, half plane (y, x // 2 + 1), without readout.

        Summing b x b pixels multiplies the spectrum by the squared Dirichlet kernel of b points along each axis and
        folds it: S(p) = b^-2 sum F T(q)^2 |D(q_y) D(q_x)|^2 over the b x b frequencies q that alias to p. T is the
        noise transfer (the MTF unless the camera has one of its own), F the excess noise.
        """
        (y, x), b = self.shape, self.binning
        along = [np.fft.fftfreq(n * b) for n in (y, x)]
        q = 2 * np.hypot(along[0][:, None], along[1][None, :])
        curve = self.camera.noise_transfer
        transfer = np.asarray(curve.at(q) if curve else self.camera.mtf(q), dtype=np.float64)
        rows, columns = (np.abs(np.exp(-2j * np.pi * np.outer(f, np.arange(b))).sum(axis=1)) ** 2 for f in along)
        power = transfer**2 * rows[:, None] * columns[None, :]
        folded = power.reshape(b, y, b, x).sum(axis=(0, 2)) / b**2
        shot: Floats = self.camera.excess_noise * folded[:, : x // 2 + 1]
        return shot

    def noise(self, electrons: npt.ArrayLike, mean: float = 1.0) -> Floats:
        """Return the noise power spectrum [electrons squared per pixel], half plane (..., y, x // 2 + 1).

        Parameters
        ----------
        electrons
            N_D, electrons on a camera pixel of vacuum: a number, or any shape (...).
        mean
            Mean expected intensity of the image, vacuum 1.
        """
        each = np.asarray(electrons, dtype=np.float64)[..., None, None]
        # Readout is white, and the variances of the summed pixels add.
        spectrum: Floats = each * mean * self.shot + self.binning**2 * self.camera.readout
        if not self.level_known:
            spectrum[..., 0, 0] = np.inf
        return spectrum

    def transferred(self, images: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return expected images as the camera passes them on: filtered by the MTF, cropped, summed.

        Parameters
        ----------
        images
            Expected intensity per incoming electron, or a difference of two, shape (..., y, x), y and x
            those of ``detected``.

        Returns
        -------
        ndarray
            Shape (..., y, x) of the frames; times N_D it is the expected frame without the mean of the readout.

        Raises
        ------
        ImageError
            If the images have another shape than :attr:`detected`.
        """
        images = np.asarray(images)
        images = images.astype(np.result_type(images, np.float32), copy=False)
        if images.shape[-2:] != self.detected:
            raise ImageError(
                f"images must have {self.detected} camera pixels for frames of {self.shape}, {self.binning} x "
                f"{self.binning} summed, margin {self.margin}, got {images.shape[-2:]}: crop them or change the model."
            )
        spectrum = scipy.fft.rfft2(images) * self._mtf.astype(images.dtype)
        passed = scipy.fft.irfft2(spectrum, s=self.detected)
        (y, x), m = self.detected, self.margin
        return np.asarray(sum_pixels(passed[..., m : y - m, m : x - m], self.binning))

    @cached_property
    def _mtf(self) -> Floats:
        return np.asarray(self.camera.mtf(nyquist_frequencies(self.detected)), dtype=np.float64)

    def expected(self, intensity: npt.ArrayLike, electrons: float) -> npt.NDArray[Any]:
        """Return the mean frames (..., y, x) [electrons] of an ``intensity`` whose pixels are those of ``detected``."""
        level = self.camera.readout * self.binning**2 if self.camera.readout_noise == "poisson" else 0.0
        return electrons * self.transferred(intensity) + level

    def over_plane(self, half: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the sum over the whole Fourier plane of what is given on its half (..., y, x // 2 + 1)."""
        x = self.shape[1]
        # Columns 0 and, for an even number of pixels, x / 2 are their own mirror images.
        once = half[..., 0].sum(axis=-1) + (half[..., -1].sum(axis=-1) if x % 2 == 0 else 0)
        return np.asarray(2 * half.sum(axis=(-2, -1)) - once)
