"""One micrograph in, mask and area out."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from framedose.errors import CalibrationError, ConfigurationError, ImageError
from framedose.inference.particles import Particle, find_particles
from framedose.inference.predict import Prediction, predict
from framedose.inference.rim import ATOM_RADIUS, check_rim
from framedose.micrograph import Micrograph

if TYPE_CHECKING:
    from framedose.networks.weights import LoadedNetwork


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What a network sees in one micrograph."""

    probability: npt.NDArray[np.float32]
    """Probability of particle, its rim included, shape (y, x) of the micrograph."""
    mask: npt.NDArray[np.bool_]
    """Where the probability reaches the threshold, same shape."""
    area_nm2: float
    """Area of the mask [nm2]."""
    area_interval_nm2: tuple[float, float] | None
    """Between these the area lies in nine of ten frames like those of the training [nm2]; None if not known."""
    fraction: float
    """Share of the frame that the mask covers."""
    sampling: float
    """Side of a pixel [Å/px]."""
    window: tuple[slice, slice]
    """Rows and columns that have data: those of the frame, but for a border without any."""
    warnings: tuple[str, ...]
    """Why the result may not be trusted, one sentence each; empty if nothing speaks against it."""

    @property
    def particles(self) -> tuple[Particle, ...]:
        """The particles of the mask, one by one, from the top down."""
        return find_particles(self.mask, self.probability, self.sampling, self.window)


def segment(
    image: Micrograph | npt.NDArray[Any],
    network: LoadedNetwork | str | Path = "best",
    *,
    threshold: float = 0.9,
    rim: float = ATOM_RADIUS,
    sampling: float | None = None,
    dose: float | None = None,
) -> Segmentation:
    """Segment the particles in one micrograph.

    Parameters
    ----------
    image
        A frame of :func:`framedose.read`, any quantity; or an array (y, x), together with ``sampling``.
    network
        ``"best"``, ``"unet"``, ``"msdnet"``, the path of a weights file, or, to load it once for many frames, what
        :func:`framedose.load_network` returns.
    threshold
        Least probability of a pixel in the mask, between 0 and 1.
    rim
        How far the outline lies outside of the centres of the particle's outer atoms [Å]: by default the radius of an
        atom. 0 takes the outline of the training's labels, the hull of the centres; compare with these only so.
    sampling
        Side of a pixel [Å/px]. An array needs it; with a micrograph it is taken in place of its own.
    dose
        Dose of the frame [e/Å2], if it is known better than the micrograph has it.

    Raises
    ------
    ConfigurationError
        If the threshold is not between 0 and 1, the rim is negative, or the dose is not a positive number.
    CalibrationError
        If there is no pixel size, or the pixels are too coarse to carry the lattice of the particle.
    ImageError
        If the field of view is smaller than the network needs, or an array is not an image.
    WeightsError
        If the network cannot be loaded.

    Examples
    --------
    >>> result = framedose.segment(framedose.read("frame.dm4")[0])  # doctest: +SKIP
    >>> result.area_nm2, result.warnings  # doctest: +SKIP
    (12.4, ())
    """
    check_options(threshold=threshold, dose=dose)
    check_rim(rim)
    micrograph = _micrograph(image, sampling=sampling, dose=dose)
    if isinstance(network, str | Path):
        from framedose.networks.weights import load_network  # Loads torch.

        network = load_network(network)
    prediction = predict(micrograph, network, rim=rim)
    return segmentation_of(prediction, network, threshold=threshold, sampling=micrograph.sampling)


def segmentation_of(
    prediction: Prediction, network: LoadedNetwork, *, threshold: float, sampling: float
) -> Segmentation:
    """Return mask and area for a prediction that is there already: another threshold needs no run of the network.

    Parameters
    ----------
    prediction
        From :func:`framedose.inference.predict.predict`.
    network
        The network that it came from, for the interval of the area.
    threshold
        Least probability of a pixel in the mask, between 0 and 1.
    sampling
        Side of a pixel [Å/px].
    """
    probability, warnings = prediction.probability, prediction.warnings
    mask = probability >= threshold
    if not mask.any():
        most = probability.max()
        highest = f"{most:.2g}" if most >= 1e-3 else "below 0.001"
        warnings += (
            f"empty mask: no pixel reaches threshold {threshold:g} (the highest probability is {highest}); "
            "no particle, or too few electrons",
        )
    pixel = (sampling / 10) ** 2
    known = network.metadata.area_interval
    interval = None
    if known is not None:
        low, high = known.of(probability)
        interval = low * mask.size * pixel, high * mask.size * pixel
    area, fraction = int(mask.sum()) * pixel, float(mask.mean())
    return Segmentation(probability, mask, area, interval, fraction, sampling, prediction.window, warnings)


def check_options(*, threshold: float, dose: float | None) -> None:
    """Raise ConfigurationError unless ``threshold`` lies between 0 and 1 and ``dose`` is positive."""
    if not 0 < threshold < 1:
        raise ConfigurationError(f"--threshold must lie between 0 and 1, both excluded, got {threshold}.")
    if dose is not None and not (math.isfinite(dose) and dose > 0):
        raise ConfigurationError(f"--dose must be a positive number of electrons per Å2 and frame, got {dose}.")


def _micrograph(image: Micrograph | npt.NDArray[Any], *, sampling: float | None, dose: float | None) -> Micrograph:
    if not isinstance(image, Micrograph):
        if sampling is None:
            raise CalibrationError("An array has no pixel size; give it with sampling (Å per pixel).")
        pixels = np.asarray(image)
        if pixels.dtype.kind not in "iuf":
            raise ImageError(f"array: its values have the type {pixels.dtype}; give real numbers.")
        image = Micrograph(pixels.astype(np.float32), sampling)
    elif sampling is not None:
        dose_before = image.dose_per_area
        if dose_before is not None and image.quantity == "electrons":
            # The electrons of a pixel stay, its area does not.
            dose_before *= (image.sampling / sampling) ** 2
        image = replace(image, sampling=sampling, dose_per_area=dose_before)
    return image if dose is None else replace(image, dose_per_area=dose)
