"""Scale bars that were drawn into the pixels of a picture, with their lettering, as programs export micrographs.

They are all contrast and no noise: a network takes them for particle, or loses what is beside them.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from framedose.cleaning.accident import is_accident

Image = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Slices = tuple[slice, slice]

# What is drawn has the highest or the lowest value, but for what JPEG makes of it: this share of all values between.
_TOLERANCE = 0.03
# A bar is a filled rectangle along x: its least width and height [px], its width as a share of the image's, how many
# times it is as wide as high, and how much of the rectangle is filled.
_LEAST_WIDTH, _LEAST_HEIGHT, _WIDTHS, _ASPECT, _FILLED = 12, 2, (0.04, 0.7), 3.0, 0.98
# It lies in this share of the image at its top or its bottom, touches no side, and is the only one of its value, which
# no more than this share of the pixels have: of clipped fringes there are many, and more.
_MARGIN, _MOST_DRAWN = 0.3, 0.1
# Its lettering lies so far above or below, as a share of the image's height, or beyond its ends, of its own width, and
# is so high, in pixels and as a share of the image's height.
_ABOVE, _BEYOND, _LETTER, _LETTERS = 0.14, 0.3, 5, 0.015
# How wide the soft edge of what is drawn may be [px].
_SOFT = 3
# A box around bar and lettering leaves the opposite value on this share of their rectangle, at least.
_BOXED = 0.3
# What covers more of an image is no scale bar in it.
_MOST = 0.25


@dataclass(frozen=True)
class ScaleBar:
    """A rectangle of pixels: rows ``top`` to ``bottom``, columns ``left`` to ``right``, the last ones not in it."""

    top: int
    bottom: int
    left: int
    right: int
    boxed: bool
    """Whether all of it is drawn, and not only bar and letters."""

    @property
    def pixels(self) -> Slices:
        """To index an image (y, x) with."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def overlaps(self, other: "ScaleBar") -> bool:
        """Return whether both have a pixel in common."""
        rows = min(self.bottom, other.bottom) > max(self.top, other.top)
        return rows and min(self.right, other.right) > max(self.left, other.left)

    def joined(self, other: "ScaleBar") -> "ScaleBar":
        """Return the rectangle around both."""
        return ScaleBar(
            min(self.top, other.top),
            max(self.bottom, other.bottom),
            min(self.left, other.left),
            max(self.right, other.right),
            self.boxed or other.boxed,
        )


def scale_bars(image: Image) -> tuple[ScaleBar, ...]:
    """Return where scale bars are drawn into an image, each with its lettering and the box around both.

    A bar is a filled rectangle along x, of the highest or the lowest value, near the top or the bottom of the image.
    What noise, clipping or few electrons leave at that value is none. Lettering without a bar is not found.

    Parameters
    ----------
    image
        Shape (y, x), any unit.

    Examples
    --------
    >>> picture = np.random.default_rng(0).normal(100, 20, (200, 200)).clip(0, 255).round()
    >>> scale_bars(picture)
    ()
    >>> picture[180:186, 20:80] = 255
    >>> scale_bars(picture)
    (ScaleBar(top=177, bottom=189, left=17, right=83, boxed=False),)
    """
    bright, dark = _extremes(image)
    found: list[ScaleBar] = []
    for drawn, other in ((bright, dark), (dark, bright)):
        if (bar := _bar(drawn)) is not None:
            box = _with_lettering(bar, drawn, other)
            # Of a box around a bar the rim is found too.
            found = [found[0].joined(box)] if found and found[0].overlaps(box) else [*found, box]
    area = sum((bar.bottom - bar.top) * (bar.right - bar.left) for bar in found)
    return tuple(found) if area <= _MOST * image.size else ()


def without(image: Image, bars: tuple[ScaleBar, ...]) -> Image:
    """Return an image (y, x) in which what is drawn is the mirror image of what lies above the bar, or below it."""
    if not bars:
        return image
    filled = image.copy()
    drawn = ndimage.maximum_filter(np.logical_or(*_extremes(image)), 2 * _SOFT - 1)
    for bar in bars:
        rows = np.arange(bar.top, bar.bottom)
        edge = bar.top if bar.top >= len(image) - bar.bottom else bar.bottom
        mirrored = image[np.clip(2 * edge - 1 - rows, 0, len(image) - 1), bar.pixels[1]]
        filled[bar.pixels] = np.where(drawn[bar.pixels] | bar.boxed, mirrored, image[bar.pixels])
    return filled


def _extremes(image: Image) -> tuple[Bools, Bools]:
    """Return which pixels have the highest, and which the lowest value."""
    low, high = float(image.min()), float(image.max())
    margin = _TOLERANCE * (high - low)
    return image >= high - margin, image <= low + margin


def _bar(drawn: Bools) -> Slices | None:
    """Return the filled rectangle along x among the ``drawn`` pixels, if there is one."""
    height, width = drawn.shape
    least, share = max(_LEAST_WIDTH, round(_WIDTHS[0] * width)), drawn.mean()
    if share > _MOST_DRAWN or (drawn.sum(axis=1) >= least).sum() < _LEAST_HEIGHT:
        return None
    size = (_LEAST_HEIGHT, least)
    # An opening; the second filter is the mirror image of the first, which matters for even sizes.
    eroded = ndimage.minimum_filter(drawn, size, mode="constant")
    opened = ndimage.maximum_filter(eroded, size, mode="constant", origin=[-1 if side % 2 == 0 else 0 for side in size])
    bars = []
    for bar in ndimage.find_objects(ndimage.label(opened)[0]):
        tall, wide = (side.stop - side.start for side in bar)
        middle = (bar[0].start + bar[0].stop) / 2 / height
        is_flat = wide >= _ASPECT * tall and wide <= _WIDTHS[1] * width and drawn[bar].mean() >= _FILLED
        is_outside = min(middle, 1 - middle) <= _MARGIN
        is_inside = all(side.start > 0 and side.stop < size for side, size in zip(bar, drawn.shape, strict=True))
        if is_flat and is_outside and is_inside and not is_accident(drawn.size, share, tall * wide):
            bars.append(bar)
    return bars[0] if len(bars) == 1 else None


def _with_lettering(bar: Slices, drawn: Bools, other: Bools) -> ScaleBar:
    """Return the rectangle of a bar and its lettering, or of the box of the ``other`` value around them."""
    height = len(drawn)
    above, beyond = round(_ABOVE * height), round(_BEYOND * (bar[1].stop - bar[1].start))
    window = _grown(bar, above, beyond, drawn.shape)
    # Dilated, for a letter of thin soft strokes is in pieces.
    letters, _ = ndimage.label(ndimage.binary_dilation(drawn[window], np.ones((3, 3))))
    parts = [bar]
    for part in ndimage.find_objects(letters):
        if part[0].stop - part[0].start - 2 >= max(_LETTER, _LETTERS * height):
            rows, columns = (
                slice(first.start + side.start + 1, first.start + side.stop - 1)
                for first, side in zip(window, part, strict=True)
            )
            parts.append((rows, columns))
    rows, columns = (slice(min(s.start for s in side), max(s.stop for s in side)) for side in zip(*parts, strict=True))
    found = rows, columns
    boxed = bool(other[found].mean() >= _BOXED)
    if boxed:
        solid, _ = ndimage.label(ndimage.binary_opening(other | drawn, np.ones((3, 3))))
        around = ndimage.find_objects(solid)[np.bincount(solid[found].ravel())[1:].argmax()]
        near = _grown(found, above, height, drawn.shape)
        rows, columns = (slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(around, near, strict=True))
        found = rows, columns
    rows, columns = _grown(found, _SOFT, _SOFT, drawn.shape)
    return ScaleBar(rows.start, rows.stop, columns.start, columns.stop, boxed)


def _grown(part: Slices, rows: int, columns: int, shape: tuple[int, ...]) -> Slices:
    sides = [
        slice(max(0, side.start - more), min(size, side.stop + more))
        for side, more, size in zip(part, (rows, columns), shape, strict=True)
    ]
    return sides[0], sides[1]
