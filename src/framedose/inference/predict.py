"""The probability of particle for one micrograph, at its own pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from framedose.camera.noise_fall import noise_fall
from framedose.cleaning.cleaned import Cleaned, cleaned
from framedose.cleaning.scale_bars import ScaleBar
from framedose.errors import CalibrationError, ImageError
from framedose.inference.rim import ATOM_RADIUS, with_rim
from framedose.inference.thon_rings import thon_defocus
from framedose.micrograph import Micrograph
from framedose.resample import probability_to_shape, resample, resampled_shape

if TYPE_CHECKING:
    from framedose.networks.weights import LoadedNetwork

# Coarser pixels cannot hold the (200) fringes of Au, 2.04 Å: two pixels a period, less a margin for tilt.
COARSEST_SAMPLING = 1.0
# By so much a defocus near the end of the training is overestimated at most, in small fields.
_DEFOCUS_MARGIN = 1.25
# Offsets, in standard deviations, and scales beyond which networks and filters lose digits.
_LARGE_OFFSET, _LARGE_SCALE = 1e3, 1e6


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a network sees in one micrograph."""

    probability: npt.NDArray[np.float32]
    """Probability of particle 0..1, shape (y, x) of the micrograph."""
    warnings: tuple[str, ...]
    """Why it may not be trusted, one sentence each."""
    window: tuple[slice, slice]
    """Rows and columns that have data; in a border without any the probability is 0."""


def predict(micrograph: Micrograph, network: LoadedNetwork, *, rim: float = ATOM_RADIUS) -> Prediction:
    """Return the probability of particle for every pixel of a micrograph, and why it may not be trusted.

    The image is resampled to the pixel size of the network, predicted as a whole, and the probability resampled back.

    A network tells the hull of the centres of the particle's atoms, which is its label; the rim is added to that.

    Parameters
    ----------
    micrograph
        Any quantity: the network normalises.
    network
        From :func:`framedose.networks.weights.load_network`.
    rim
        How far the outline lies outside of the centres of the outer atoms [Å] (:mod:`framedose.inference.rim`).

    Raises
    ------
    CalibrationError, ImageError
        As :func:`check`.
    """
    warnings = check(micrograph, network)
    seen = cleaned(_within_digits(micrograph.image))
    micrograph = replace(micrograph, image=seen.image)
    image, _ = resample(micrograph.image, micrograph.sampling, network.sampling)
    hull = network.probability(image[np.newaxis])[0]
    probability = probability_to_shape(with_rim(hull, network.sampling, rim), micrograph.image.shape)
    probability[seen.hidden] = 0
    warnings += (*_borders(seen), *_scale_bars(seen.bars), *_spikes(seen.spikes))
    warnings += (*_noise(micrograph, image, network), *_defocus(micrograph, image, network))
    return Prediction(probability, warnings, seen.window)


def _within_digits(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return an image without an offset, or a scale, that would take digits from what varies in single precision."""
    mean, deviation = float(image.mean(dtype=np.float64)), float(image.std(dtype=np.float64))
    if abs(mean) < _LARGE_OFFSET * deviation and 1 / _LARGE_SCALE < deviation < _LARGE_SCALE:
        return image
    return np.asarray((image.astype(np.float64) - mean) / deviation, dtype=np.float32)


def check(micrograph: Micrograph, network: LoadedNetwork) -> tuple[str, ...]:
    """Refuse a micrograph that the network cannot see, and return warnings about one that it may not see well.

    Raises
    ------
    CalibrationError
        If the pixels are too coarse to carry the lattice of the particle.
    ImageError
        If the field of view is smaller than the network needs.
    """
    sampling = micrograph.sampling
    if sampling > COARSEST_SAMPLING:
        raise CalibrationError(
            f"{micrograph.origin}: sampling {sampling:g} Å/px is too coarse, lattice fringes of Au need at most "
            f"{COARSEST_SAMPLING:g} Å/px. Record at higher magnification, or correct the pixel size with --sampling."
        )
    shape = resampled_shape(micrograph.image.shape, sampling, network.sampling)
    if min(shape) < network.minimum_size:
        height, width = (size * sampling / 10 for size in micrograph.image.shape)
        raise ImageError(
            f"{micrograph.origin}: the field of {height:.3g} x {width:.3g} nm ({shape[0]} x {shape[1]} pixels of "
            f"{network.sampling:g} Å) is too small, network {network.name!r} needs at least "
            f"{network.minimum_size * network.sampling / 10:.3g} nm ({network.minimum_size} pixels) each way. "
            "Give a larger field, or correct the pixel size with --sampling."
        )
    return (*_outside_training(micrograph, network), *_not_raw(micrograph))


def _outside_training(micrograph: Micrograph, network: LoadedNetwork) -> list[str]:
    warnings = []
    # Finer pixels are summed, as in training; coarser ones lack detail that the network has learned to use.
    sampling, trained = micrograph.sampling, network.metadata.sampling
    if sampling > trained.high:
        warnings.append(
            f"pixel size {sampling:g} Å/px is coarser than the {trained.low:g} to {trained.high:g} Å/px of the images "
            f"that network {network.name!r} was trained on: the image is interpolated and the result less certain"
        )
    dose, trained = micrograph.dose_per_area, network.metadata.dose
    if dose is not None and not trained.low <= dose <= trained.high:
        consequence = "particles may be missed" if dose < trained.low else "nothing is known of such frames"
        warnings.append(
            f"dose {dose:.3g} e/Å2 lies outside the {trained.low:g} to {trained.high:g} e/Å2 that network "
            f"{network.name!r} was trained on: {consequence}"
        )
    return warnings


def _spikes(count: int) -> list[str]:
    if not count:
        return []
    stand = "pixel stands" if count == 1 else "pixels stand"
    return [f"{count} {stand} far out of those around (X-rays, hot pixels): seen as the median of these"]


def _borders(seen: Cleaned) -> list[str]:
    rows, columns = seen.window
    if seen.window == tuple(slice(0, size) for size in seen.image.shape):
        return []
    return [
        f"only rows {rows.start} to {rows.stop - 1} and columns {columns.start} to {columns.stop - 1} have data, there "
        "is one value around them (drift correction?): nothing there counts as particle"
    ]


def _scale_bars(bars: tuple[ScaleBar, ...]) -> list[str]:
    said = []
    for bar in bars:
        what = "a scale bar in a box" if bar.boxed else "a scale bar"
        seen = (
            "nothing of it counts as particle" if bar.boxed else "it is seen as the mirror image of what is beside it"
        )
        said.append(
            f"{what} is drawn into the frame (rows {bar.top} to {bar.bottom - 1}, columns {bar.left} to "
            f"{bar.right - 1}): {seen}, give the frame without it"
        )
    return said


def _noise(micrograph: Micrograph, image: npt.NDArray[np.float32], network: LoadedNetwork) -> list[str]:
    """Return a warning where the noise at the network's pixels has another colour than that of the training images.

    Coarser pixels than in training are interpolated, which has its own warning.
    """
    trained = network.metadata.noise_fall
    if trained is None or micrograph.sampling > network.metadata.sampling.high:
        return []
    fall = noise_fall(image)
    if fall is None or trained.low <= fall <= trained.high:
        return []
    how = "falls faster" if fall < trained.low else "falls less"
    return [
        f"the noise {how} towards high frequencies (ln ratio {fall:.2f}) than in the images that network "
        f"{network.name!r} was trained on ({trained.low:.2f} to {trained.high:.2f}): the camera, or what became of the "
        "frame, is unlike them"
    ]


def _defocus(micrograph: Micrograph, image: npt.NDArray[np.float32], network: LoadedNetwork) -> list[str]:
    """Return a warning where Thon rings show a defocus well outside of the training."""
    trained, energy = network.metadata.defocus, network.metadata.energy
    if trained is None or energy is None:
        return []
    largest = max(abs(trained.low), abs(trained.high))
    # Interpolated pixels have an empty rim in their spectrum.
    coarse = micrograph.sampling > network.sampling
    pixels, sampling = (micrograph.image, micrograph.sampling) if coarse else (image, network.sampling)
    found = thon_defocus(pixels, sampling, energy)
    if found is None or found <= _DEFOCUS_MARGIN * largest:
        return []
    return [
        f"Thon rings show a defocus of about {found:.0f} Å in size (at {energy / 1e3:g} keV), network {network.name!r} "
        f"was trained up to {largest:g} Å: fringes have another contrast than it has learned, record nearer to focus"
    ]


def _not_raw(micrograph: Micrograph) -> list[str]:
    if not micrograph.flags:
        return []
    names = [flag.split(":")[0] for flag in micrograph.flags]
    if "scanned" in names:
        return ["recorded in STEM, as its file says: the network knows HR-TEM contrast only, do not trust this mask"]
    return [f"not a raw frame ({', '.join(names)}): the network was trained on raw ones"]
