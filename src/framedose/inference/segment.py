"""One micrograph in, mask and area out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from framedose.errors import ConfigurationError
from framedose.inference.predict import check, predict
from framedose.micrograph import Micrograph

if TYPE_CHECKING:
    from framedose.networks.weights import LoadedNetwork


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What a network sees in one micrograph."""

    probability: npt.NDArray[np.float32]
    """Probability of particle, shape (y, x) of the micrograph."""
    mask: npt.NDArray[np.bool_]
    """Where the probability reaches the threshold, same shape."""
    area_nm2: float
    """Area of the mask [nm2]."""
    fraction: float
    """Share of the frame that the mask covers."""
    warnings: tuple[str, ...]
    """Why the result may not be trusted, one sentence each; empty if nothing speaks against it."""


def segment(micrograph: Micrograph, network: LoadedNetwork, *, threshold: float = 0.9) -> Segmentation:
    """Segment the particles in one micrograph.

    Parameters
    ----------
    micrograph
        The frame, any quantity, with its pixel size.
    network
        From :func:`framedose.networks.weights.load_network`.
    threshold
        Least probability of a pixel in the mask, between 0 and 1.

    Raises
    ------
    ConfigurationError
        If the threshold is not between 0 and 1.
    CalibrationError
        If the pixels are too coarse to carry the lattice of the particle.
    ImageError
        If the field of view is smaller than the network needs.
    """
    check_threshold(threshold)
    warnings = check(micrograph, network)
    probability = predict(micrograph, network)
    mask = probability >= threshold
    if not mask.any():
        highest = f"the highest probability is {probability.max():.2g}"
        warnings += (
            f"empty mask: no pixel reaches threshold {threshold:g} ({highest}); no particle, or too few electrons",
        )
    area = int(mask.sum()) * (micrograph.sampling / 10) ** 2
    return Segmentation(probability, mask, area, float(mask.mean()), warnings)


def check_threshold(threshold: float) -> None:
    """Raise ConfigurationError unless ``threshold`` lies between 0 and 1."""
    if not 0 < threshold < 1:
        raise ConfigurationError(f"--threshold must lie between 0 and 1, both excluded, got {threshold}.")
