"""What real frames have and the simulation has not: uneven backgrounds, and pixels that were coarser once."""

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from framedose.config import Range, Settings

# Knots per side of a random background: a slope. One that were uneven on the scale of a particle would teach that the
# darkness of a particle, all that is seen of one far off its zone axis, means nothing.
_KNOTS = 2


class Disturbances(Settings):
    """How training images are disturbed; each image by its own draw."""

    background: float = Field(0.0, ge=0)
    """Largest standard deviation of a smooth random background, relative to that of the image; uniform from 0."""
    coarse_share: float = Field(0.0, ge=0, le=1)
    """Share of the images that are reduced to coarser pixels and interpolated back, as coarse frames are."""
    coarse: Range = Range(low=1.2, high=2.6)
    """By how much coarser."""


def disturbed(image: Tensor, settings: Disturbances, rng: np.random.Generator) -> Tensor:
    """Return one image (y, x) as ``settings`` disturb it; the draws are always the same in number."""
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
    return pixels[0, 0]


def _interpolated(pixels: Tensor, shape: torch.Size) -> Tensor:
    return F.interpolate(pixels, size=shape, mode="bicubic", align_corners=False)
