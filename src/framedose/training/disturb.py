"""What real frames have and the simulation has not: uneven backgrounds, dark parts, pixels that were coarser once."""

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import expit
from torch import Tensor
from torch.nn import functional as F

from framedose.training.config import Disturbances

# Knots per side of a random background: a slope. One that were uneven on the scale of a particle would teach that the
# darkness of a particle, all that is seen of one far off its zone axis, means nothing.
_KNOTS = 2
# Of the dark: the share of the light that is left there, how soft its edge is [px], and the width of a stop that throws
# it, as a share of the image's.
_LEFT, _SOFT, _STOP = 0.05, (1.0, 15.0), (0.03, 0.3)
# Where less of the light is left, nothing counts as particle.
_DARK = 0.2


def disturbed(image: Tensor, label: Tensor, settings: Disturbances, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Return one image (y, x), vacuum 1, and its label as ``settings`` disturb them.

    What is drawn for one disturbance does not depend on another. In the dark nothing is particle.
    """
    knots, strength = rng.normal(size=(_KNOTS, _KNOTS)), rng.uniform(0, settings.background)
    is_coarse, factor = rng.random() < settings.coarse_share, settings.coarse.draw(rng)
    pixels = image[None, None]
    if is_coarse:
        y, x = (max(2, round(side / factor)) for side in image.shape)
        pixels = _interpolated(F.adaptive_avg_pool2d(pixels, (y, x)), image.shape)
    if strength:
        coarse = torch.from_numpy(knots.astype(np.float32)).to(image.device)
        surface = _interpolated(coarse[None, None], image.shape)
        pixels = pixels + strength * pixels.std() / surface.std() * surface
    image = pixels[0, 0]
    if rng.random() < settings.dark_share:
        light = torch.from_numpy(partly_dark(image.shape, rng)).to(image.device)
        noise = torch.from_numpy(rng.normal(size=image.shape).astype(np.float32)).to(image.device)
        image = darkened(image, light, noise)
        label = label.masked_fill(light < _DARK, 0)
    return image, label


def darkened(image: Tensor, light: Tensor, noise: Tensor) -> Tensor:
    """Return an image of counts with a share ``light`` of its electrons, all (y, x).

    Of Poisson counts of variance v a share s has the variance s v; s times the counts has s² v, and the rest is made
    up by ``noise``, white and of variance 1. v is that of neighbours on the diagonal.
    """
    variance = (image[1:, 1:] - image[:-1, :-1]).square().mean() / 2
    return light * image + (light * (1 - light) * variance).sqrt() * noise


def partly_dark(shape: tuple[int, ...], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return the share of the light (y, x): all on one side of a straight edge, or on both of a stop."""
    side = max(shape)
    y, x = (np.arange(pixels) - pixels / 2 for pixels in shape)
    angle = rng.uniform(0, 2 * np.pi)
    across = np.cos(angle) * x[None] + np.sin(angle) * y[:, None] - rng.uniform(-0.5, 0.5) * side
    if rng.random() < 0.5:
        across = np.abs(across) - rng.uniform(*_STOP) * side / 2
    left = rng.uniform(0, _LEFT)
    light: npt.NDArray[np.float32] = (left + (1 - left) * expit(across / rng.uniform(*_SOFT))).astype(np.float32)
    return light


def _interpolated(pixels: Tensor, shape: torch.Size) -> Tensor:
    return F.interpolate(pixels, size=shape, mode="bicubic", align_corners=False)
