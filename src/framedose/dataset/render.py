"""One item of a dataset, or one field, made alone from the recipe, the seed and its index."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from framedose.camera.noise import detect, sum_pixels
from framedose.dataset.recipe import DatasetRecipe, Split
from framedose.microscope.conditions import Conditions
from framedose.microscope.optics import expected_view, wave_spectrum
from framedose.random import generator
from framedose.specimen.assembly import Kind, Specimen, build_specimen
from framedose.specimen.mask import label, rasterise
from framedose.units import electrons_per_pixel

Pair = tuple[npt.NDArray[np.float16], npt.NDArray[np.bool_] | npt.NDArray[np.uint8]]
"""An image and its mask."""


def make_specimen(recipe: DatasetRecipe, seed: int, split: Split, index: int) -> Specimen:
    """Build the specimen of one field."""
    kind: Kind = "support" if split.kinds[index] == "support" else "particle"
    return build_specimen(
        recipe.specimen, recipe.view, recipe.extent, generator(seed, "specimen", split.name, index), kind
    )


def render(
    recipe: DatasetRecipe,
    seed: int,
    split: Split,
    index: int,
    image: int,
    wave: npt.NDArray[np.complex64] | None,
    hulls: Sequence[npt.NDArray[np.float64]],
    support_hulls: Sequence[npt.NDArray[np.float64]] = (),
) -> Pair:
    """Make one image and its mask; :func:`render_field` makes all images of a field.

    The order is: transfer function and envelope on the wave, intensity, blur, Poisson electrons at the drawn pixel
    size, MTF, readout, crop, pixels summed, divided by the electrons that vacuum has on a summed pixel.

    Parameters
    ----------
    recipe, seed, split, index, image
        Which image.
    wave
        Exit wave of the field over the whole cell, shape (y, x), or (configurations, y, x); None for vacuum.
    hulls
        Projected hulls of the particles in the cell, (m, 2) each, columns (y, x) [Å].
    support_hulls
        The same of the support and the film, used where the support is a class.

    Returns
    -------
    image
        float16, shape (y, x); vacuum is 1 on average (plus the readout's mean).
    mask
        Shape (y, x): bool, or with ``recipe.support_class`` the classes 0 vacuum, 1 particle, 2 support as uint8.
    """
    return next(render_field(recipe, seed, split, index, [image], wave, hulls, support_hulls))


def render_field(
    recipe: DatasetRecipe,
    seed: int,
    split: Split,
    index: int,
    images: Iterable[int],
    wave: npt.NDArray[np.complex64] | None,
    hulls: Sequence[npt.NDArray[np.float64]],
    support_hulls: Sequence[npt.NDArray[np.float64]] = (),
) -> Iterator[Pair]:
    """Make images of one field and their masks, one after the other, with what they share computed once.

    Parameters as those of :func:`render`, with the numbers of the images in ``images``.
    """
    spectrum = None if wave is None else wave_spectrum(wave)
    inside = slice(recipe.margin, recipe.margin + recipe.gpts)
    for image in images:
        conditions, camera = split.conditions(recipe, seed, index, image), split.camera(recipe, seed, index, image)
        electrons = electrons_per_pixel(conditions.dose, conditions.sampling)
        intensity = expected_field(recipe, conditions, spectrum)
        frame = detect(intensity, electrons, camera, generator(seed, "noise", split.name, index, image))
        summed = sum_pixels(frame[inside, inside], recipe.binning) / (electrons * recipe.binning**2)
        yield summed.astype(np.float16), mask_of(recipe, conditions.sampling, hulls, support_hulls)


def expected_field(
    recipe: DatasetRecipe, conditions: Conditions, spectrum: npt.NDArray[np.complexfloating] | None
) -> npt.NDArray[np.float32]:
    """Return the expected intensity of an image and its margin, per incoming electron, at camera pixels.

    Parameters
    ----------
    recipe
        Field of view, margin and energy.
    conditions
        Imaging conditions; a whole number of pixels of ``sampling`` must fill the cell.
    spectrum
        Of the exit wave, by ``wave_spectrum``, (y, x) or (configurations, y, x); None for vacuum.

    Returns
    -------
    array
        float32, ``gpts + 2 * margin`` pixels per side.
    """
    field = recipe.gpts + 2 * recipe.margin
    if spectrum is None:
        return np.ones((field, field), dtype=np.float32)
    cell = round(recipe.extent / conditions.sampling)
    intensity = expected_view(spectrum, recipe.extent, cell, field, recipe.exit_wave.energy, conditions)
    return np.asarray(intensity.mean(axis=0) if intensity.ndim == 3 else intensity)


def mask_of(
    recipe: DatasetRecipe,
    sampling: float,
    hulls: Sequence[npt.NDArray[np.float64]],
    support_hulls: Sequence[npt.NDArray[np.float64]],
) -> npt.NDArray[np.bool_] | npt.NDArray[np.uint8]:
    """Return the mask (y, x) of an image whose camera pixels have the side ``sampling`` [Å]; the rest as `render`."""
    first = (round(recipe.extent / sampling) - recipe.gpts - 2 * recipe.margin) // 2
    # The centre of a summed pixel is the mean of its camera pixels, which are sampled at multiples of the sampling.
    corner = (first + recipe.margin + (recipe.binning - 1) / 2) * sampling
    grid = (corner, corner), sampling * recipe.binning, (recipe.image_size,) * 2
    return label(hulls, support_hulls, *grid) if recipe.support_class else rasterise(hulls, *grid)
