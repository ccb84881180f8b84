"""Metal nanoparticles: a crystal bounded by low-index facets and cut on the plane of its interface."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.build import bulk
from ase.data import atomic_numbers, reference_states
from ase.spacegroup import Spacegroup

from framedose.specimen.crystal import Array, Miller, lattice_in_box
from framedose.specimen.twins import twinned_in_box


@dataclass(frozen=True)
class Shape:
    """The facets that bound the crystals of one kind."""

    spacegroup: int
    """Number of the space group whose point group makes facets equivalent."""
    facets: dict[Miller, float]
    """Families of facets, with their distance from the centre over that of the first: near the Wulff shape."""


@dataclass(frozen=True)
class Lattice(Shape):
    """What is usual for the crystals of one lattice."""

    zone: Miller
    """Zone axis along the beam."""
    interface: Miller
    """Plane of the interface, which holds the zone axis."""


LATTICES = {
    # The regular truncated octahedron, close to Au's Wulff shape.
    "fcc": Lattice(225, {(1, 1, 1): 1.0, (1, 0, 0): 2 / np.sqrt(3)}, (1, 1, 0), (1, -1, 1)),
    "diamond": Lattice(225, {(1, 1, 1): 1.0, (1, 0, 0): 2 / np.sqrt(3)}, (1, 1, 0), (1, -1, 1)),
    "bcc": Lattice(229, {(1, 1, 0): 1.0, (1, 0, 0): 1.15}, (0, 0, 1), (1, 1, 0)),
    "hcp": Lattice(194, {(0, 0, 1): 1.0, (1, 0, 0): 1.05, (1, 0, 1): 1.1}, (1, 0, 0), (0, 0, 1)),
    "sc": Lattice(221, {(1, 0, 0): 1.0, (1, 1, 0): 1.1}, (0, 0, 1), (1, 0, 0)),
}


def lattice_of(element: str, lattice: str | None = None) -> str:
    """Return the lattice of an element, ``lattice`` if it is given and ASE's reference state if not.

    Raises
    ------
    ValueError
        If there is no such element, or its lattice is none that particles are made of.
    """
    if element not in atomic_numbers:
        raise ValueError(f"{element!r} is no element: give a symbol such as 'Au'")
    found = lattice or (reference_states[atomic_numbers[element]] or {}).get("symmetry", "unknown")
    if found not in LATTICES:
        raise ValueError(f"{element} is {found}, particles are built of {', '.join(LATTICES)}: give another lattice")
    return str(found)


def unit_cell(element: str, lattice: str | None, lattice_constant: float | None, strain: float = 0.0) -> Atoms:
    """Return the unit cell of a metal, cubic where the lattice is, scaled by 1 + ``strain``.

    Parameters
    ----------
    element
        Chemical symbol.
    lattice
        One of :data:`LATTICES`, or None for that of the element.
    lattice_constant
        a [Å], or None for ASE's reference (4.08 for Au). Hexagonal cells keep the element's c/a, or the ideal one.
    strain
        Relative change of all lengths.
    """
    kind = lattice_of(element, lattice)
    cell = bulk(element, kind, a=lattice_constant, cubic=kind in ("fcc", "bcc", "diamond"))
    cell.set_cell(cell.cell * (1 + strain), scale_atoms=True)
    return cell


def nanoparticle(
    unit: Atoms,
    shape: Shape,
    radius: float,
    facet_variation: float,
    turn: Array,
    rng: np.random.Generator,
    *,
    cut: bool = True,
    twinned: bool = False,
) -> Atoms:
    """Build one faceted particle, the face of its interface at the lowest y.

    Every facet lies at its own distance from the centre, ``radius`` times the family's ratio times a factor uniform in
    1 +- ``facet_variation``, and the centre lies anywhere in the unit cell. The particle is then cut on a plane of the
    interface, anywhere between the centre and 0.8 of the radius, towards -y (the paper, section 2).

    Parameters
    ----------
    unit, shape
        The crystal.
    radius
        Mean distance of the first family of facets from the centre [Å].
    facet_variation
        Relative half width of the facet distances.
    turn
        Rotation (3, 3) from crystal to specimen axes.
    rng
        Source of the draws.
    cut
        Whether the particle is cut at all; one that stands free is not.
    twinned
        Whether it has twin planes; its facets stay those of the crystal below the first. fcc only.

    Returns
    -------
    Atoms
        Positions (x, y, z) [Å]; the lowest layer has y = 0, and x and z are centred.
    """
    reach = radius * (1 + facet_variation) * max(shape.facets.values()) * np.sqrt(3)
    origin = rng.uniform(0, 1, 3) @ np.asarray(unit.cell) @ turn.T
    box = np.full(3, -reach), np.full(3, reach), origin
    positions, numbers = twinned_in_box(unit, turn, *box, radius, rng) if twinned else lattice_in_box(unit, turn, *box)
    keep = np.ones(len(positions), dtype=bool)
    for normal, ratio in facets(unit, shape):
        distance = radius * ratio * rng.uniform(1 - facet_variation, 1 + facet_variation)
        keep &= positions @ (turn @ normal) <= distance
    if cut:
        # What is left ends on a whole layer, wherever between two of them the cut falls.
        keep &= positions[:, 1] >= -rng.uniform(0, 0.8 * radius)
    return Atoms(numbers=numbers[keep], positions=_centred(positions[keep]))


def facets(unit: Atoms, shape: Shape) -> list[tuple[Array, float]]:
    """Return the outward unit normal of every facet, in the axes of the cell, and its relative distance."""
    reciprocal = np.asarray(unit.cell.reciprocal())
    found = []
    for family, ratio in shape.facets.items():
        for indices in Spacegroup(shape.spacegroup).equivalent_reflections([family]):
            normal = indices @ reciprocal
            found.append((normal / np.linalg.norm(normal), ratio))
    return found


def _centred(positions: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    if not len(positions):
        return positions
    middle = (positions.min(axis=0) + positions.max(axis=0)) / 2
    base: npt.NDArray[np.float64] = np.array([middle[0], positions[:, 1].min(), middle[2]])
    return positions - base
