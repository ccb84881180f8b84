"""From expected intensity to a detected frame: Eq. 3 of the paper."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, Literal, Self, cast

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace, device, is_numpy_namespace
from pydantic import Field, model_validator

from framedose.arrays import as_items, fft_of, per_item
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
    floor: float = Field(default=0.0, ge=0, lt=1)
    """C of Eq. 1; 0 where the readout makes the tail."""
    mtf_table: TransferCurve | None = None
    """The MTF as a table, the same for all, in place of c0, c3 and floor."""
    noise_transfer: TransferCurve | None = None
    """What the noise of the counted electrons is filtered by where it is not the MTF."""
    excess_noise: float = Field(default=1.0, gt=0)
    """F: variance of what one electron leaves, relative to counting."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in ("c0", "c3"):
            if getattr(self, name).low <= 0:
                raise ValueError(f"{name}.low must be positive, got {getattr(self, name).low}")
        if self.readout.low < 0:
            raise ValueError(f"readout.low must not be negative, got {self.readout.low}")
        return self

    def draw(self, rng: np.random.Generator) -> Camera:
        """Draw one camera."""
        c0, c3, readout = self.c0.draw(rng), self.c3.draw(rng), self.readout.draw(rng)
        return Camera(
            c0=None if self.mtf_table else c0,
            c3=None if self.mtf_table else c3,
            floor=self.floor,
            mtf_table=self.mtf_table,
            noise_transfer=self.noise_transfer,
            excess_noise=self.excess_noise,
            readout=readout,
            readout_noise=self.readout_noise,
        )


def detect(intensity: Any, electrons: Any, camera: Camera | Sequence[Camera], rng: Any) -> Any:
    """Return frames in electrons: MTF[Poisson(N_D I)] + readout (Eq. 3).

    Where the camera's noise transfer is not its MTF, or its excess noise not 1, the expectation goes through the MTF
    and the noise, times the root of the excess noise, through the noise transfer.

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
    xp, cameras = array_namespace(intensity), as_items(camera)
    if len({item.readout_noise for item in cameras}) > 1:
        raise ValueError("The cameras of a batch must have one kind of readout_noise, got both: detect them apart.")
    settings = per_item(camera, intensity)
    expected = electrons * xp.clip(intensity, min=0)
    counted = _poisson(xp, expected, rng)
    transfer = _transfer(xp, intensity, camera, settings)
    if all(item.noise_transfer is None and item.excess_noise == 1 for item in cameras):
        spread = _filtered(xp, counted, transfer)
    else:
        expected = xp.astype(expected, xp.float32)
        noise = xp.astype(xp.sqrt(settings.excess_noise), xp.float32) * (counted - expected)
        colour = _per_camera(
            xp, intensity, camera, lambda item, q: item.noise_transfer.at(q) if item.noise_transfer else item.mtf(q)
        )
        spread = _filtered(xp, expected, transfer) + _filtered(xp, noise, colour)
    if cameras[0].readout_noise == "poisson":
        return _with_readout(xp, spread, settings.readout, rng)
    variance = xp.broadcast_to(settings.readout, intensity.shape)
    return spread + xp.astype(xp.sqrt(variance) * _normal(xp, intensity, rng), xp.float32)


def _transfer(xp: Any, like: Any, camera: Camera | Sequence[Camera], settings: SimpleNamespace) -> Any:
    """Return the MTF of each camera over the half plane of frequencies, float32."""
    if is_numpy_namespace(xp) or any(item.mtf_table is not None for item in as_items(camera)):
        return _per_camera(xp, like, camera, lambda item, q: item.mtf(q))
    # By formula, and where the frames are: curves made on the CPU would take longer than the frames themselves.
    frequencies = _frequencies_on(xp, tuple(like.shape[-2:]), device(like))
    one = [xp.astype(getattr(settings, name), xp.float32) for name in ("c0", "c3", "floor")]
    return mtf(frequencies, *one)


@lru_cache(maxsize=2)
def _frequencies_on(xp: Any, shape: tuple[int, int], where: Any) -> Any:
    return xp.asarray(nyquist_frequencies(shape), dtype=xp.float32, device=where)


def _per_camera(
    xp: Any,
    like: Any,
    camera: Camera | Sequence[Camera],
    curve: Callable[[Camera, npt.NDArray[np.float64]], npt.NDArray[np.float64]],
) -> Any:
    """Return a curve of each camera over the half plane of frequencies, float32, to be combined with ``like``."""
    frequencies, places = _different_frequencies(tuple(like.shape[-2:]))
    curves = [np.asarray(curve(item, frequencies), np.float32)[places] for item in as_items(camera)]
    many = np.stack(curves).reshape(len(curves), *(1,) * (like.ndim - 3), *places.shape)
    return xp.asarray(curves[0] if isinstance(camera, Camera) else many, device=device(like))


@lru_cache(maxsize=2)
def _different_frequencies(shape: tuple[int, int]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
    """Return the frequencies of the half plane that differ, a fifth of it, and which of them stands at each place."""
    different, places = np.unique(nyquist_frequencies(shape), return_inverse=True)
    return different, places.astype(np.int32)


def _filtered(xp: Any, values: Any, transfer: Any) -> Any:
    fft = fft_of(xp)
    return fft.irfftn(fft.rfftn(values, axes=(-2, -1)) * transfer, s=values.shape[-2:], axes=(-2, -1))


def _poisson(xp: Any, mean: Any, rng: Any) -> Any:
    """Return Poisson counts, float32."""
    if is_numpy_namespace(xp):
        from framedose.camera.poisson import poisson  # numba is imported only where it computes

        return poisson(mean, rng)
    return xp.astype(xp.poisson(mean, generator=rng), xp.float32)


def _with_readout(xp: Any, frames: Any, mean: Any, rng: Any) -> Any:
    """Return frames with Poisson counts added, of one mean for each frame."""
    if not is_numpy_namespace(xp) or mean.max() > 1:
        return frames + _poisson(xp, xp.broadcast_to(mean, frames.shape), rng)
    # Few counts: drawing their number, and a place for each, has the same distribution as drawing every pixel.
    frames = np.ascontiguousarray(frames)
    for frame, each in zip(frames.reshape(mean.size, -1), mean.ravel(), strict=True):
        np.add.at(frame, rng.integers(frame.size, size=rng.poisson(each * frame.size)), np.float32(1))
    return frames


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
