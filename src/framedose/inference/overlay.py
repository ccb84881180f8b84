"""A picture of a mask on its micrograph, to be looked at."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from framedose.atomic import write_aside
from framedose.resample import resample_to_shape

_CYAN = (0, 255, 255)
# Short side of the picture [px]: small frames are enlarged, and large ones reduced, by whole numbers.
_SMALLEST, _LARGEST = 512, 1024
_TINT = 0.2


def write_overlay(
    path: str | Path, image: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_], sampling: float
) -> None:
    """Write a PNG: the image in grey, the mask tinted and outlined in cyan, a scale bar.

    Parameters
    ----------
    path
        The file, written atomically.
    image, mask
        Shape (y, x). Grey levels span the central 99 % of the pixels.
    sampling
        Side of a pixel [Å/px].
    """
    with write_aside(path) as aside:
        overlay(image, mask, sampling).save(aside)


def overlay(image: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_], sampling: float) -> Image.Image:
    """Return the picture that :func:`write_overlay` writes."""
    from scipy.ndimage import minimum_filter  # Slow to import.

    short = min(image.shape)
    reduce, enlarge = max(1, short // _LARGEST), -(-_SMALLEST // short)
    shape = tuple(side // reduce for side in image.shape)
    grey = resample_to_shape(image, shape).repeat(enlarge, axis=0).repeat(enlarge, axis=1)
    mask = (resample_to_shape(mask, shape) >= 0.5).repeat(enlarge, axis=0).repeat(enlarge, axis=1)
    low, high = np.percentile(grey, (0.5, 99.5))
    grey = np.clip((grey - low) / max(high - low, np.finfo(np.float32).tiny), 0, 1) * 255
    colours = np.repeat(grey[..., np.newaxis], 3, axis=-1)
    thickness = max(2, min(mask.shape) // 256)
    outline = mask & ~minimum_filter(mask, size=2 * thickness + 1)
    colours[mask] += _TINT * (np.array(_CYAN) - colours[mask])
    colours[outline] = _CYAN
    picture = Image.fromarray(colours.astype(np.uint8))
    _draw_scale_bar(picture, nanometres_per_pixel=sampling / 10 * reduce / enlarge)
    return picture


def _draw_scale_bar(picture: Image.Image, *, nanometres_per_pixel: float) -> None:
    """Draw a bar of 1, 2 or 5 times a power of ten nm, at most a quarter of the width, white with a black edge."""
    quarter = picture.width / 4 * nanometres_per_pixel
    power = 10.0 ** np.floor(np.log10(quarter))
    length = max(step * power for step in (1, 2, 5) if step * power <= quarter * (1 + 1e-9))
    unit = min(picture.size) // 64
    bottom = picture.height - 2 * unit
    right = 2 * unit + round(length / nanometres_per_pixel)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((2 * unit, bottom - unit, right, bottom), fill="white", outline="black")
    font = ImageFont.load_default(size=3 * unit)
    middle = (2 * unit + right) / 2
    label = f"{length:g} nm"
    draw.text(
        (middle, bottom - 1.5 * unit),
        label,
        "white",
        font,
        anchor="mb",
        stroke_width=max(1, unit // 5),
        stroke_fill="black",
    )
