"""What a dataset is made of, and the items in it."""

import math
from dataclasses import dataclass
from typing import Any, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from framedose.camera.noise import Camera, CameraRanges
from framedose.camera.passport import load_passport
from framedose.config import Range, Settings, digest, is_made
from framedose.kinds import FieldKind
from framedose.microscope.conditions import ConditionRanges, Conditions
from framedose.microscope.exit_wave import ExitWaveConfig
from framedose.random import generator
from framedose.specimen.config import SpecimenConfig

# Far beyond any use, but numbers that fit into a computer.
_MOST_FIELDS, _MOST_PIXELS = 10**7, 2**16
# The cut edges of the support and the cell's own period stay this far outside of every detected pixel [Å].
_EDGE = 2.5


class DatasetRecipe(Settings):
    """Everything that determines a dataset but its seed."""

    structures: int = Field(1000, ge=1, le=_MOST_FIELDS)
    """Particles to train on."""
    validation_structures: int = Field(500, ge=1, le=_MOST_FIELDS)
    """Particles to validate on, one image each."""
    image_epochs: int = Field(10, ge=1, le=_MOST_FIELDS)
    """Images of every training structure, each with its own conditions and noise."""
    support_share: float = Field(0.0, ge=0, le=1)
    """Fields of bare support added to the particles, as a share of their number."""
    vacuum_share: float = Field(0.0, ge=0, le=1)
    """Fields of vacuum added to the particles, as a share of their number."""
    gpts: int = Field(512, ge=32, le=_MOST_PIXELS)
    """Camera pixels per side of an image."""
    margin: int = Field(32, ge=0, le=_MOST_PIXELS)
    """Camera pixels detected around an image and cropped, because the MTF filter is periodic."""
    binning: int = Field(1, ge=1)
    """Pixels per side that are summed after the camera; 1 for the paper's full resolution."""
    support_class: bool = False
    """Label the support as a class of its own: masks hold 0 vacuum, 1 particle, 2 support."""
    specimen: SpecimenConfig = SpecimenConfig()
    """The specimens."""
    exit_wave: ExitWaveConfig = ExitWaveConfig()
    """The multislice calculation."""
    conditions: ConditionRanges = ConditionRanges()
    """Imaging conditions, Table 1."""
    camera: CameraRanges = CameraRanges()
    """The camera; or the name of a passport, such as mtf1 to mtf5 of Table 3."""

    @field_validator("camera", mode="before")
    @classmethod
    def _passport(cls, value: Any) -> Any:
        return load_passport(value).ranges() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check(self, info: ValidationInfo) -> Self:
        if self.gpts % self.binning:
            raise ValueError(f"binning must divide gpts, got binning {self.binning} and gpts {self.gpts}")
        specimen = self.specimen
        # Facets vary: these are the narrowest particles of either end of the range.
        low, high = (2 * (1 - specimen.facet_variation) * r for r in (specimen.radius.low, specimen.radius.high))
        too_large = high > self.extent or (specimen.whole and low * specimen.field_diameters > self.view[0])
        if too_large and specimen.structures is None:
            raise ValueError(
                f"specimen.radius {specimen.radius.low:g}..{specimen.radius.high:g} Å is too large for a view of "
                f"{self.view[0]:.1f} Å in a cell of {self.extent:.1f} Å: lower it, or raise gpts"
            )
        if not is_made(info) and (missing := self.missing_displacements(bare=self.support_share > 0)):
            raise ValueError(missing)
        return self

    def missing_displacements(self, *, bare: bool) -> str | None:
        """Return what to say where atoms of the fields, bare supports among them or not, have no displacement.

        Such a field would stop the simulation hours later.
        """
        known = self.exit_wave.displacement
        missing = sorted(self._elements(bare) - set(known)) if known else []
        if not missing:
            return None
        return (
            f"exit_wave.displacement names no value for {', '.join(missing)}, which specimens of this recipe have: "
            "add one [Å], 0 for atoms at rest"
        )

    def _elements(self, bare: bool) -> set[str]:
        """Return the elements that fields may have; those of the user's own structures are known to their files."""
        specimen = self.specimen
        if specimen.structures is not None:
            return {"C"} if specimen.film_share else set()
        support = specimen.crystal_support()
        elements = {specimen.element, *(set() if support is None else support.unit.symbols)}
        # A field with neither particle nor support has a film.
        has_film = bare and (specimen.free_share > 0 or support is None)
        return elements | {"C"} if specimen.film_share or has_film else elements

    @property
    def view(self) -> tuple[float, float]:
        """Smallest and largest width of an image [Å]."""
        return self.gpts * self.conditions.sampling.low, self.gpts * self.conditions.sampling.high

    @property
    def extent(self) -> float:
        """Side of the square cell [Å]: the widest detected field and its edge."""
        return round((self.gpts + 2 * self.margin) * self.conditions.sampling.high + 2 * _EDGE, 3)

    @property
    def sampling(self) -> Range:
        """Pixel sizes of stored images, whose pixels are summed [Å/px]."""
        drawn = self.conditions.sampling
        return Range(low=drawn.low * self.binning, high=drawn.high * self.binning)

    @property
    def image_size(self) -> int:
        """Pixels per side of a stored image."""
        return self.gpts // self.binning


@dataclass(frozen=True)
class Split:
    """One part of a dataset; structures of different splits are drawn from different streams and never shared.

    Parameters
    ----------
    name
        ``"train"``, ``"validation"`` or ``"test"``; part of every item's stream of random numbers.
    kinds
        The kind of every field, in order: particles, then bare supports, then vacuum.
    images
        Images of each field, where ``doses`` is None.
    doses
        Frame doses [e/Å2]: then every field keeps one draw of its conditions at all of these doses.
    """

    name: str
    kinds: tuple[FieldKind, ...]
    images: int
    doses: tuple[float, ...] | None = None

    @property
    def specimens(self) -> int:
        """Fields that have a specimen, which come first."""
        return sum(kind != "vacuum" for kind in self.kinds)

    def conditions(self, recipe: DatasetRecipe, seed: int, index: int, image: int) -> Conditions:
        """Draw the imaging conditions of one image.

        The sampling is rounded up so that the cell holds a whole number of pixels, one less at most, and this rounded
        value is what the image has and what its electrons per pixel come from.
        """
        rng = generator(seed, "conditions", self.name, index, image if self.doses is None else 0)
        drawn = recipe.conditions.draw(rng)
        exact = {"sampling": recipe.extent / math.floor(recipe.extent / drawn.sampling)}
        if self.doses is not None:
            exact["dose"] = self.doses[image]
        return drawn.model_copy(update=exact)

    def sampling(self, recipe: DatasetRecipe, seed: int, index: int, image: int) -> float:
        """Return the pixel size of one stored image, whose pixels are summed [Å/px]."""
        return self.conditions(recipe, seed, index, image).sampling * recipe.binning

    def camera(self, recipe: DatasetRecipe, seed: int, index: int, image: int) -> Camera:
        """Draw the camera of one image."""
        return recipe.camera.draw(generator(seed, "camera", self.name, index, image if self.doses is None else 0))

    def specimens_digest(self, recipe: DatasetRecipe, seed: int) -> str:
        """Return the hash of everything that this split's specimens and their exit waves are made from.

        Datasets of other conditions, cameras and image epochs have the same specimens, as long as the view is the same.
        """
        specimen, wave = (part.model_dump(mode="json") for part in (recipe.specimen, recipe.exit_wave))
        return digest([specimen, wave, recipe.view, recipe.extent, seed, self.name, self.kinds[: self.specimens]])

    def digest(self, recipe: DatasetRecipe, seed: int) -> str:
        """Return the hash of everything that this split's images are made from."""
        return digest([recipe.model_dump(mode="json"), seed, self.name, self.kinds, self.images, self.doses])


def make_kinds(particles: int, supports: int, vacuum: int) -> tuple[FieldKind, ...]:
    """Return the kinds of a split's fields in order."""
    counts: list[tuple[FieldKind, int]] = [("particle", particles), ("support", supports), ("vacuum", vacuum)]
    return tuple(kind for kind, count in counts for _ in range(count))


Part = tuple[DatasetRecipe, Split]
"""A split and the recipe that it is made by."""


def training_parts(recipe: DatasetRecipe) -> tuple[Part, Part]:
    """Return the training and the validation split of a recipe."""

    def kinds(particles: int) -> tuple[FieldKind, ...]:
        return make_kinds(particles, round(particles * recipe.support_share), round(particles * recipe.vacuum_share))

    train = Split("train", kinds(recipe.structures), recipe.image_epochs)
    return (recipe, train), (recipe, Split("validation", kinds(recipe.validation_structures), 1))
