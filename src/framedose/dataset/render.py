"""One item of a dataset, made alone from the recipe, the seed and its index."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from framedose.camera.noise import detect, sum_pixels
from framedose.dataset.recipe import DatasetRecipe, Split
from framedose.microscope.optics import expected_intensity
from framedose.random import generator
from framedose.specimen.assembly import Kind, Specimen, build_specimen
from framedose.specimen.mask import label, rasterise
from framedose.units import electrons_per_pixel


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
) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.bool_] | npt.NDArray[np.uint8]]:
    """Make one image and its mask.

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
    conditions = split.conditions(recipe, seed, index, image)
    electrons = electrons_per_pixel(conditions.dose, conditions.sampling)
    field = recipe.gpts + 2 * recipe.margin
    cell_gpts = round(recipe.extent / conditions.sampling)
    first = (cell_gpts - field) // 2
    if wave is None:
        intensity = np.ones((field, field), dtype=np.float32)
    else:
        whole = expected_intensity(wave, recipe.extent, cell_gpts, recipe.exit_wave.energy, conditions)
        whole = whole.mean(axis=0) if whole.ndim == 3 else whole
        intensity = whole[first : first + field, first : first + field]
    camera = split.camera(recipe, seed, index, image)
    frame = detect(intensity, electrons, camera, generator(seed, "noise", split.name, index, image))
    inside = slice(recipe.margin, recipe.margin + recipe.gpts)
    summed = sum_pixels(frame[inside, inside], recipe.binning) / (electrons * recipe.binning**2)
    return summed.astype(np.float16), mask_of(recipe, conditions.sampling, hulls, support_hulls)


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
