"""Titration: what one recorded frame would have been at a lower dose.

A frame of Eq. 3 is y = MTF[Poisson(N I)] + readout. Scaled by p < 1 its mean is that of the lower dose p N, but its
noise has p² times the power where p times is right, and its readout p² N_0 where N_0 is right. The rest is added here,
with the camera's own spectrum. The derivation stands in ``docs/titration.md``.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import scipy.fft
from scipy.ndimage import gaussian_filter

from framedose.camera.mtf import nyquist_frequencies
from framedose.camera.noise import Camera
from framedose.camera.passport import CameraPassport
from framedose.cleaning.borders import data_window
from framedose.errors import CalibrationError, ConfigurationError, ImageError
from framedose.micrograph import Micrograph

Floats = npt.NDArray[np.float64]
Image = npt.NDArray[np.float32]

GREATEST_SHARE = 0.1
"""Mean, covariance and spectrum are right at any share p; the third moment of the counts is p (1 - p + p²) N in place
of p N. At a tenth that is 9 % too small, and it falls with p."""
# The expectation that the added counts are drawn from is smoothed until this many electrons stand behind it.
_SMOOTHED_ELECTRONS = 100.0
# The noise is drawn on a field that is larger by this much on each side [px]: the filter is periodic, the frame is not.
_MARGIN = 64
# A dead line stays dead at a lower dose; what the other flags tell of cannot be undone.
_HARMLESS = ("dead rows", "dead columns")


def titrated(frame: npt.NDArray[np.floating], camera: Camera, share: float, rng: np.random.Generator) -> Image:
    """Return a frame as it would be at ``share`` of its dose.

    With p the share, y the frame, F the excess noise, T the noise transfer (the MTF unless the camera has one) and N_0
    the readout,

        y_low = p y + sqrt(F) T[Poisson(l) - l] + r,    l = p (1 - p) max(smooth(y) - m, 0),

    where r has the variance (1 - p²) N_0 and the mean (1 - p) m, and m is the mean of the readout: N_0 where it is
    Poisson, 0 where it is Gaussian. The added noise has the power p (1 - p) N F T² + (1 - p²) N_0, so that the sum has
    the mean and the power of a frame at the lower dose, p N F T² + N_0. Drawing from the frame itself (thinning) would
    add white noise, and filtering that would apply the MTF twice.

    ``smooth`` is a Gaussian of sqrt(100 / (4 pi N)) pixels, N the mean electrons per pixel: where noise is white,
    100 electrons then stand behind each value of l. Less would let l follow the noise of the frame, and be cut off at
    0; more would level the expectation across fringes and edges.

    A camera that counts electrons one by one (no readout, white noise, F = 1) and gave whole numbers is thinned, each
    count kept with probability p, which is exact at any p.

    Parameters
    ----------
    frame
        Shape (y, x), in electrons, finite, as :func:`framedose.camera.noise.detect` makes them: the mean of a Poisson
        readout is in it.
    camera
        The camera that recorded it.
    share
        Low dose over the dose of the frame: above 0, and at most 0.1, or 1 where electrons were counted one by one.
    rng
        Source of the noise.

    Returns
    -------
    ndarray
        Shape (y, x), in electrons, float32. It may be negative.

    Raises
    ------
    ImageError
        If the frame has another shape, is not finite, or holds no electrons.
    ConfigurationError
        If the share is out of range.

    Examples
    --------
    >>> camera = Camera(c0=0.4, c3=2.5, readout=0.01)
    >>> rng = np.random.default_rng(0)
    >>> frame = rng.poisson(100, (64, 64)).astype(np.float32)
    >>> round(float(titrated(frame, camera, 0.05, rng).mean()), 1)
    5.0
    """
    values = np.asarray(frame, dtype=np.float64)
    electrons = _electrons(values, camera)
    counted = counted_singly(values, camera)
    greatest = 1.0 if counted else GREATEST_SHARE
    if not 0 < share <= greatest:
        raise ConfigurationError(
            f"share must lie above 0 and not above {greatest:g} of the dose of the frame, got {share:g}. "
            "Ask for a lower dose, or give a frame of more electrons."
        )
    if counted:
        return rng.binomial(np.rint(values).astype(np.int64), share).astype(np.float32)
    smooth = gaussian_filter(values, np.sqrt(_SMOOTHED_ELECTRONS / (4 * np.pi * electrons)), mode="reflect")
    missing = share * (1 - share) * np.clip(smooth - _readout_mean(camera), 0, None)
    added = _counting_noise(missing, camera, rng) + _readout(values.shape, camera, share, rng)
    return np.asarray(share * values + added, dtype=np.float32)


def titrate(
    micrograph: Micrograph, camera: Camera, dose: float, *, full_dose: float | None = None, rng: np.random.Generator
) -> Micrograph:
    """Return a micrograph as it would be at a lower dose, by :func:`titrated`.

    Neither radiation damage nor motion of the specimen, nor what a lower dose rate would change of them, is modelled.

    Parameters
    ----------
    micrograph
        A raw frame in electrons, from :func:`in_electrons`.
    camera
        The camera that recorded it, for example ``load_passport("camera.yaml").simulated()``.
    dose
        The dose to come down to [e/Å2].
    full_dose
        Dose of the frame [e/Å2]; its own ``dose_per_area`` if None.
    rng
        Source of the noise.

    Raises
    ------
    CalibrationError
        If the frame is not in electrons, or its dose is not known.
    ImageError
        If the frame is not raw (8-bit, resampled, denoised, saturated), or holds no electrons.
    ConfigurationError
        If the dose is not positive, or more than a tenth of that of the frame.
    """
    share = share_of_dose(micrograph, camera, dose, full_dose=full_dose)
    image = titrated(micrograph.image, camera, share, rng)
    return replace(micrograph, image=image, dose_per_area=float(dose))


def share_of_dose(micrograph: Micrograph, camera: Camera, dose: float, *, full_dose: float | None = None) -> float:
    """Return p = dose / full dose, or raise what :func:`titrate` raises, before anything is drawn."""
    origin, full = micrograph.origin, micrograph.dose_per_area if full_dose is None else full_dose
    if micrograph.quantity != "electrons" or full is None:
        raise CalibrationError(
            f"{origin}: titration needs a frame in electrons and its dose, got {micrograph.quantity}, "
            f"dose {full}. Convert it with in_electrons and the passport of the camera."
        )
    _refuse_processed(micrograph)
    counted = counted_singly(micrograph.image, camera)
    greatest = full if counted else GREATEST_SHARE * full
    # A tenth of the dose, asked for in decimal figures, must not fail by rounding.
    if not (np.isfinite(dose) and 0 < dose <= greatest * (1 + 1e-9)):
        limit = "that of the frame" if counted else f"a tenth of that of the frame, {full:.4g} e/Å2"
        raise ConfigurationError(
            f"{origin}: doses must be positive and at most {limit}, so at most {greatest:.4g} e/Å2, got {dose:g}. "
            "Ask for lower doses, or give a frame of more electrons."
        )
    return min(dose / full, 1.0 if counted else GREATEST_SHARE)


def in_electrons(micrograph: Micrograph, passport: CameraPassport) -> Micrograph:
    """Return a micrograph in electrons as :func:`framedose.camera.noise.detect` makes them, with its dose.

    Counts are y = (counts - b) / g. An offset b that was measured holds the mean of a Poisson readout, which is put
    back: y = (counts - b) / g + N_0. The dose is the mean without readout over the area of a pixel; where there is a
    specimen, that is the dose behind it.

    Parameters
    ----------
    micrograph
        In counts; or in electrons, where the file knew them, dark reference taken off.
    passport
        The camera.

    Raises
    ------
    ImageError
        If the frame is not raw.
    CalibrationError
        If the gain or the readout is not known on its own, the frame is neither in counts nor in electrons, or no
        electrons are left.
    """
    _refuse_processed(micrograph)
    camera, image = passport.simulated(), micrograph.image.astype(np.float64)
    mean = _readout_mean(camera)
    if micrograph.quantity == "electrons":
        image += mean
    elif micrograph.quantity == "counts":
        if passport.gain is None or passport.gain.quantity is not None:
            raise CalibrationError(
                f"The passport of {passport.camera!r} does not know the gain on its own, so counts cannot become "
                "electrons. Calibrate with --dose."
            )
        offset = 0.0 if passport.offset is None else passport.offset.value
        image = (image - offset) / passport.gain.value + (0.0 if passport.offset is None else mean)
    else:
        raise CalibrationError(
            f"{micrograph.origin}: a frame in {micrograph.quantity} values cannot become electrons. "
            "Give the frame as the camera stored it."
        )
    dose = (float(image.mean()) - mean) / micrograph.sampling**2
    if not dose > 0:
        raise CalibrationError(
            f"{micrograph.origin}: no electrons are left in the frame, mean {image.mean():.4g} per pixel, after the "
            f"offset and gain of {passport.camera!r}. Give the passport of the camera that recorded it."
        )
    return replace(micrograph, image=image.astype(np.float32), quantity="electrons", dose_per_area=dose)


def counted_singly(frame: npt.NDArray[np.floating], camera: Camera) -> bool:
    """Return whether every electron made one count in one pixel: white noise, no readout, and whole numbers."""
    white = camera.noise_transfer is not None and all(value == 1 for value in camera.noise_transfer.value)
    if not white or camera.readout or camera.excess_noise != 1:
        return False
    return bool(frame.min() > -1e-3 and np.abs(frame - np.rint(frame)).max() < 1e-3)


def _refuse_processed(micrograph: Micrograph) -> None:
    processed = [flag for flag in micrograph.flags if flag.split(":")[0] not in _HARMLESS]
    if processed:
        raise ImageError(
            f"{micrograph.origin}: only a frame as the camera gave it can be titrated, but it is not raw: "
            f"{'; '.join(processed)}. Give the raw frame."
        )
    rows, columns = data_window(micrograph.image)
    if micrograph.image[rows, columns].size < micrograph.image.size:
        raise ImageError(
            f"{micrograph.origin}: has borders without data, beyond rows {rows.start} to {rows.stop} and columns "
            f"{columns.start} to {columns.stop}. Crop them away first."
        )


def _electrons(frame: Floats, camera: Camera) -> float:
    """Return the mean electrons per pixel of a frame that can be titrated."""
    if frame.ndim != 2 or not frame.size or not np.isfinite(frame).all():
        raise ImageError(
            f"frame must be finite and of shape (y, x), got shape {frame.shape}. Mask or interpolate bad pixels first."
        )
    electrons = float(frame.mean()) - _readout_mean(camera)
    if not electrons > 0:
        raise ImageError(
            f"frame must hold electrons, got {electrons:.4g} per pixel without the readout. "
            "Convert it with the camera's own gain and offset."
        )
    return electrons


def _readout_mean(camera: Camera) -> float:
    return camera.readout if camera.readout_noise == "poisson" else 0.0


def _counting_noise(expected: Floats, camera: Camera, rng: np.random.Generator) -> Image:
    """Return sqrt(F) T[Poisson(l) - l] for l (y, x)."""
    y, x = expected.shape
    shape = tuple(scipy.fft.next_fast_len(side + 2 * _MARGIN, real=True) for side in (y, x))
    after = [(_MARGIN, large - side - _MARGIN) for large, side in zip(shape, (y, x), strict=True)]
    field = np.pad(expected, after, mode="symmetric")
    frequency = nyquist_frequencies((shape[0], shape[1]))
    transfer = camera.mtf(frequency) if camera.noise_transfer is None else camera.noise_transfer.at(frequency)
    white = np.float32(np.sqrt(camera.excess_noise)) * (_poisson(field, rng) - field.astype(np.float32))
    noise: Image = scipy.fft.irfft2(scipy.fft.rfft2(white) * transfer.astype(np.float32), s=shape)
    return noise[_MARGIN : _MARGIN + y, _MARGIN : _MARGIN + x]


def _readout(shape: tuple[int, ...], camera: Camera, share: float, rng: np.random.Generator) -> Floats:
    """Return r (y, x): variance (1 - p²) N_0, mean (1 - p) times that of the camera's readout."""
    variance = (1 - share**2) * camera.readout
    if camera.readout_noise == "gaussian":
        return rng.normal(scale=np.sqrt(variance), size=shape)
    # Poisson counts have the mean (1 - p²) N_0, and p y brings p N_0: together p (1 - p) N_0 too much.
    counts = _poisson(np.full(shape, variance), rng).astype(np.float64)
    return counts - share * (1 - share) * camera.readout


def _poisson(mean: Floats, rng: np.random.Generator) -> Image:
    from framedose.camera.poisson import poisson  # numba is imported only where it computes

    return poisson(mean, rng)
