"""Crystalline supports: a slab of an oxide, or of any crystal from a file, that ends on a chosen lattice plane."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.io import read
from ase.spacegroup import crystal

from framedose.specimen.crystal import Array, Miller, lattice_in_box, orientation
from framedose.specimen.nanoparticle import Shape


@dataclass(frozen=True, eq=False)
class Support:
    """A crystal and the surface that it ends on."""

    unit: Atoms
    """Unit cell."""
    zone: Miller
    """Zone axis along the beam."""
    plane: Miller
    """Plane of the surface, which holds the zone axis."""
    top: float
    """Height of the last plane of atoms over the lattice plane through the origin of the cell [Å]."""
    crystallite: Shape | None = None
    """What bounds its crystallites in a powder, the family of ``plane`` first, if that is known."""

    def shape(self) -> Shape:
        """Return what bounds its crystallites.

        Raises
        ------
        ValueError
            If that is not known: of a crystal from a file, or with another surface than the usual one.
        """
        if self.crystallite is None:
            raise ValueError(
                f"a powder needs one of the supports {', '.join(SUPPORTS)} with its own support_plane, whose "
                "crystallites are known: change support and support_plane, or set powder_share to 0"
            )
        return self.crystallite


def _ceria(a: float) -> Support:
    # Trilayers O-Ce-O along [111], oxygen a sqrt(3)/12 over the metal: between two of them the cut is stoichiometric.
    # Octahedra with their corners cut: Z. L. Wang and X. Feng, J. Phys. Chem. B 107, 13563 (2003).
    octahedron = Shape(225, {(1, 1, 1): 1.0, (1, 0, 0): 1.1})
    return Support(bulk("CeO2", "fluorite", a=a, cubic=True), (1, 1, 0), (1, -1, 1), a * np.sqrt(3) / 12, octahedron)


def _magnesia(a: float) -> Support:
    # Smoke of burning magnesium is cubes.
    return Support(bulk("MgO", "rocksalt", a=a, cubic=True), (0, 0, 1), (1, 0, 0), 0.0, Shape(225, {(1, 0, 0): 1.0}))


def _rutile(a: float) -> Support:
    # c/a and u of S. C. Abrahams and J. L. Bernstein, doi 10.1063/1.1676569; the surface ends on bridging oxygen.
    c, u = a * 2.9587 / 4.5937, 0.3048
    cell = crystal(["Ti", "O"], [(0, 0, 0), (u, u, 0)], spacegroup=136, cellpar=[a, a, c, 90, 90, 90])
    # Prisms of {110} with pyramids of {101}, near M. Ramamoorthy et al., Phys. Rev. B 49, 16721 (1994).
    prism = Shape(136, {(1, 1, 0): 1.0, (1, 0, 1): 1.5})
    return Support(cell, (0, 0, 1), (1, 1, 0), (1 - 2 * u) * a / np.sqrt(2), prism)


# By name, with the lattice constant a [Å]: the project's decision for CeO2; MgO of R. M. Hazen (1976), Am. Mineral. 61.
SUPPORTS = {"CeO2": (_ceria, 5.411), "MgO": (_magnesia, 4.212), "TiO2": (_rutile, 4.5937)}


def find_support(
    name: str, lattice_constant: float | None = None, zone: Miller | None = None, plane: Miller | None = None
) -> Support:
    """Return a support by name, or the crystal of a file such as a CIF.

    Parameters
    ----------
    name
        One of :data:`SUPPORTS`, or the path of a file with a periodic crystal that ASE reads.
    lattice_constant
        a [Å], or None for the known one; the whole cell is scaled by it.
    zone, plane
        Zone axis [uvw] and surface plane (hkl) in place of the known ones; a crystal from a file needs both. Such a
        surface ends on the lattice plane through the origin of the cell, or the first plane of atoms below that.

    Raises
    ------
    ValueError
        If there is no such support or file, or it lacks its zone axis and plane, or they do not fit.
    """
    if name in SUPPORTS:
        make, known = SUPPORTS[name]
        usual = make(lattice_constant or known)
        unit, zone, plane = usual.unit, zone or usual.zone, plane or usual.plane
    elif Path(name).is_file():
        if zone is None or plane is None:
            raise ValueError(f"a support from a file needs support_zone_axis and support_plane, got {zone} and {plane}")
        usual, unit = None, _crystal_file(name, lattice_constant)
    else:
        raise ValueError(f"there is no support {name!r}: give {', '.join(SUPPORTS)}, none, or the path of a CIF file")
    orientation(unit, zone, plane)  # Refuses what does not fit.
    if usual is not None and plane == usual.plane:
        return replace(usual, zone=zone)
    return Support(unit, zone, plane, _last_plane(unit, plane))


def _last_plane(unit: Atoms, plane: Miller) -> float:
    """Return the height of the first plane of atoms at or below the lattice plane through the cell's origin [Å]."""
    normal = np.asarray(plane) @ np.asarray(unit.cell.reciprocal())
    # In spacings of the lattice planes; rounding must not lift an atom to the next one.
    heights = (unit.positions @ normal - 1e-6) % 1 - 1 + 1e-6
    return float(heights.max() / np.linalg.norm(normal))


def _crystal_file(name: str, lattice_constant: float | None) -> Atoms:
    try:
        unit = read(name)
    except Exception as error:  # ASE's parsers fail with anything.
        raise ValueError(f"the support {name!r} cannot be read: {error or type(error).__name__}") from error
    if not isinstance(unit, Atoms) or not unit.cell.rank == 3:
        raise ValueError(f"the support {name!r} has no periodic cell in three dimensions")
    if lattice_constant is not None:
        unit.set_cell(unit.cell * (lattice_constant / unit.cell.lengths()[0]), scale_atoms=True)
    # Files may have atoms outside of their cell.
    unit.wrap()
    return unit


def upright(support: Support, rng: np.random.Generator) -> Array:
    """Return the rotation (3, 3) from crystal to specimen axes that brings the zone axis to z and the surface to y.

    In half of the cases the crystal is turned by 180 degrees about the surface normal, too.
    """
    turn = orientation(support.unit, support.zone, support.plane)
    return np.diag([-1.0, 1.0, -1.0]) @ turn if rng.random() < 0.5 else turn


def slab(
    support: Support,
    thickness: float,
    reach: float,
    turn: Array | None,
    rng: np.random.Generator,
    *,
    plate: bool = False,
    lean: float = 0.0,
) -> Atoms:
    """Build a slab below y = 0, its zone axis along z and its surface plane at y = 0.

    In half of the cases the crystal is turned by 180 degrees about the surface normal, so that particle and support
    are twins of each other.

    Parameters
    ----------
    support
        What it is made of.
    thickness
        Extent along the beam (z) [Å]; of a plate, below its surface (-y).
    reach
        The slab fills -reach <= x < reach and -reach <= y <= 0 [Å]; a plate -reach <= x, z < reach.
    turn
        Rotation (3, 3) from crystal to specimen axes for a slab of any other orientation, cut at y = 0 wherever that
        falls; the zone axis and the plane of ``support`` if None.
    rng
        Source of the position of the lattice in the plane, of the height of the beam side, and of the twin.
    plate
        Whether it is thin below its surface, and not along z.
    lean
        Angle [degree] by which the surface, but not the crystal, is turned about the x axis, so that the slab ends in a
        wedge: it lies below the plane y cos(lean) + z sin(lean) = 0.

    Returns
    -------
    Atoms
        Positions (x, y, z) [Å], the highest plane of atoms (or the cut) at y = 0.
    """
    top = 0.0
    if turn is None:
        turn, top = upright(support, rng), support.top
    # Anywhere in the plane: by more than a unit cell of any crystal.
    origin = np.array([rng.uniform(0, 30), -top, rng.uniform(0, 30)])
    # Rounding must not lose the highest plane.
    highest = 1e-6
    if plate:
        low, high = np.array([-reach, -thickness, -reach]), np.array([reach, highest, reach])
    else:
        offset = rng.uniform(-0.25, 0.25) * thickness
        near, far = offset - thickness / 2, offset + thickness / 2
        ridge = -np.tan(np.deg2rad(lean)) * (near if lean > 0 else far)
        low, high = np.array([-reach, -reach, near]), np.array([reach, ridge + highest, far])
    positions, numbers = lattice_in_box(support.unit, turn, low, high, origin)
    if lean:
        below = positions @ [0.0, np.cos(np.deg2rad(lean)), np.sin(np.deg2rad(lean))] <= highest
        positions, numbers = positions[below], numbers[below]
    return Atoms(numbers=numbers, positions=positions)
