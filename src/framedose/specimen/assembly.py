"""One specimen: a particle on its support, turned at random and placed in a cell larger than the view."""

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from ase import Atoms
from pydantic import Field, model_validator
from scipy.spatial.transform import Rotation

from framedose.config import Range, Settings, digest
from framedose.errors import SpecimenError
from framedose.specimen.mask import hull_area, projected_hull
from framedose.specimen.nanoparticle import nanoparticle
from framedose.specimen.support import fluorite_slab

Kind = Literal["particle", "support"]
# Draws of one specimen before the request is called impossible.
_TRIES = 500
# Free space before and behind the atoms along the beam, where their potential dies out [Å].
_VACUUM = 3.0
# No atom lies nearer to the side of the cell, so that none touches its neighbour's periodic image [Å].
_SEAM = 1.0


class SpecimenConfig(Settings):
    """What the specimens are: the paper's supported Au particles by default."""

    element: str = "Au"
    """fcc metal of the particle."""
    lattice_constant: float = Field(4.08, gt=0)
    """Lattice constant of the particle [Å]."""
    radius: Range = Range(low=10.0, high=30.0)
    """Distance of the {111} facets from the particle's centre [Å]."""
    facet_variation: float = Field(0.2, ge=0, lt=1)
    """Relative half width of the distances of the single facets."""
    support: str = "CeO2"
    """Fluorite oxide of the support."""
    support_lattice_constant: float = Field(5.411, gt=0)
    """Lattice constant of the support [Å]."""
    thickness: Range = Range(low=20.0, high=50.0)
    """Extent of the support along the beam [Å]."""
    gap: Range = Range(low=2.2, high=2.6)
    """Distance between the last plane of the support and the first of the particle [Å]."""
    max_tilt: float = Field(3.0, ge=0, le=20)
    """Largest tilt of the specimen off the zone axis [degree]."""
    mask_fraction: Range = Range(low=0.05, high=0.40)
    """Share of the view that the particle's mask may take."""
    field_diameters: float = Field(1.5, gt=0)
    """Least width of the view over the largest width of the particle."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in ("radius", "thickness", "gap"):
            if getattr(self, name).low <= 0:
                raise ValueError(f"{name}.low must be positive, got {getattr(self, name).low}")
        return self


@dataclass(frozen=True, eq=False)
class Specimen:
    """A specimen in its cell.

    Parameters
    ----------
    atoms
        ASE atoms in a cell (extent, extent, height) [Å], the beam along z, periodic in x and y.
    hull
        Projected convex hull of the particle, corners (m, 2), columns (y, x) [Å]; shape (0, 2) without a particle.
    drawn
        The values drawn for this specimen, in Å and degrees.
    """

    atoms: Atoms
    hull: npt.NDArray[np.float64]
    drawn: dict[str, float]

    def digest(self) -> str:
        """Return the SHA-256 of the atoms, rounded to 1e-6 Å: equal for equal structures only."""
        return digest([self.atoms.numbers.tolist(), np.round(self.atoms.positions, 6).tolist()])


def build_specimen(
    config: SpecimenConfig, view: tuple[float, float], extent: float, rng: np.random.Generator, kind: Kind = "particle"
) -> Specimen:
    """Build one specimen as the paper describes (section 2), or its bare support.

    The particle's cut (111) face sits on the (111) face of the support; both are tilted together by up to
    ``max_tilt`` about a random axis in the image plane, turned about the beam by any angle, and placed so that the
    whole particle lies in the view, which is centred on the cell.

    Parameters
    ----------
    config
        What to build.
    view
        Smallest and largest width of the view [Å] that this specimen will be imaged with.
    extent
        Side of the square cell [Å], larger than the view: the support is cut only outside of it.
    rng
        Source of all draws.
    kind
        ``"particle"``, or ``"support"`` for the same specimen without its particle.

    Raises
    ------
    SpecimenError
        If the cell does not hold the view, or if no drawn particle fits the view as ``mask_fraction`` and
        ``field_diameters`` demand.
    """
    if extent < view[1]:
        raise SpecimenError(
            f"extent must be at least the view of {view[1]:.1f} Å, got {extent:.1f} Å: enlarge the cell."
        )
    radius, particle, turn = _fitting_particle(config, view, rng)
    thickness, gap = config.thickness.draw(rng), config.gap.draw(rng)
    # From the base of the particle the support must reach every corner of the cell, wherever the view is placed.
    slab = fluorite_slab(config.support, config.support_lattice_constant, thickness, 1.5 * extent, rng)
    particle.positions[:, 1] += gap
    metal = particle.positions @ turn.T
    centre = _view_centre(projected_hull(metal), view[0], rng)
    offset = extent / 2 - np.array([centre[1], centre[0], 0.0])
    slab.positions = slab.positions @ turn.T
    atoms = slab + Atoms(numbers=particle.numbers, positions=metal) if kind == "particle" else slab
    atoms.positions += offset * [1, 1, 0]
    hull = projected_hull(metal + offset * [1, 1, 0]) if kind == "particle" else np.empty((0, 2))
    drawn = {"radius": radius, "thickness": thickness, "gap": gap, "mask_area": hull_area(hull) if len(hull) else 0.0}
    return Specimen(_in_cell(atoms, extent), hull, drawn)


def _fitting_particle(
    config: SpecimenConfig, view: tuple[float, float], rng: np.random.Generator
) -> tuple[float, Atoms, npt.NDArray[np.float64]]:
    for _ in range(_TRIES):
        radius = config.radius.draw(rng)
        particle = nanoparticle(config.element, config.lattice_constant, radius, config.facet_variation, rng)
        turn = _random_turn(config.max_tilt, rng)
        hull = projected_hull(particle.positions @ turn.T)
        diameter = max(np.linalg.norm(hull - corner, axis=1).max() for corner in hull)
        area = hull_area(hull)
        large, small = area / view[0] ** 2, area / view[1] ** 2
        fits = small >= config.mask_fraction.low and large <= config.mask_fraction.high
        if fits and config.field_diameters * diameter <= view[0]:
            return radius, particle, turn
    raise SpecimenError(
        f"No particle with radius {config.radius.low}..{config.radius.high} Å fits a view of {view[0]:.1f} Å with a "
        f"mask of {config.mask_fraction.low:.0%} to {config.mask_fraction.high:.0%} and {config.field_diameters} "
        "particle widths; change specimen.radius or use more pixels."
    )


def _random_turn(max_tilt: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    azimuth, turn = rng.uniform(0, 2 * np.pi, 2)
    tilt = np.deg2rad(rng.uniform(0, max_tilt))
    lean = Rotation.from_rotvec(tilt * np.array([np.cos(azimuth), np.sin(azimuth), 0.0]))
    matrix: npt.NDArray[np.float64] = (Rotation.from_rotvec([0, 0, turn]) * lean).as_matrix()
    return matrix


def _view_centre(hull: npt.NDArray[np.float64], width: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return the centre (y, x) of a view of ``width`` that holds the whole hull, at random."""
    low, high = hull.max(axis=0) - width / 2, hull.min(axis=0) + width / 2
    centre: npt.NDArray[np.float64] = rng.uniform(low, high)
    return centre


def _in_cell(atoms: Atoms, extent: float) -> Atoms:
    inside = ((atoms.positions[:, :2] >= _SEAM) & (atoms.positions[:, :2] <= extent - _SEAM)).all(axis=1)
    atoms = atoms[inside]
    bottom, top = atoms.positions[:, 2].min(), atoms.positions[:, 2].max()
    atoms.positions[:, 2] += _VACUUM - bottom
    atoms.set_cell([extent, extent, top - bottom + 2 * _VACUUM])
    atoms.set_pbc([True, True, False])
    return atoms
