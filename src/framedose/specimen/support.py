"""Oxide supports: a fluorite slab whose (111) face ends on oxygen."""

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.build import bulk

from framedose.specimen.crystal import lattice_in_box, orientation
from framedose.specimen.nanoparticle import BEAM, INTERFACE


def fluorite_slab(
    formula: str,
    lattice_constant: float,
    thickness: float,
    reach: float,
    rng: np.random.Generator,
    *,
    turn: npt.NDArray[np.float64] | None = None,
) -> Atoms:
    """Build a fluorite slab below y = 0, [110] along z, its (111) surface at y = 0 ending on oxygen.

    Fluorite stacks O-M-O trilayers along [111], oxygen at a sqrt(3)/12 above and below the metal plane; cutting between
    two trilayers leaves the stable, stoichiometric oxygen-terminated surface. In half of the cases the crystal is
    turned by 180 degrees about the surface normal, so that particle and support are twins of each other.

    Parameters
    ----------
    formula, lattice_constant
        A fluorite oxide such as ``"CeO2"`` and its lattice constant [Å].
    thickness
        Extent along the beam (z) [Å].
    reach
        The slab fills -reach <= x < reach and -reach <= y <= 0 [Å].
    rng
        Source of the position of the lattice in the plane, of the height of the beam side, and of the twin.
    turn
        Rotation (3, 3) from crystal to specimen axes for a slab of any other orientation, cut at y = 0 wherever that
        falls; the (111) surface above if None.

    Returns
    -------
    Atoms
        Positions (x, y, z) [Å], the highest oxygen layer (or the cut) at y = 0.
    """
    oxygen_height = 0.0
    if turn is None:
        turn = orientation(BEAM, INTERFACE)
        if rng.random() < 0.5:
            turn = np.diag([-1.0, 1.0, -1.0]) @ turn
        oxygen_height = lattice_constant * np.sqrt(3) / 12
    # The metal sits on the lattice points, so this origin puts the topmost oxygen layer at y = 0.
    shift = rng.uniform(0, 2 * lattice_constant, 2)
    origin = np.array([shift[0], -oxygen_height, shift[1]])
    offset = rng.uniform(-0.25, 0.25) * thickness
    low = np.array([-reach, -reach, offset - thickness / 2])
    high = np.array([reach, oxygen_height, offset + thickness / 2])
    unit = bulk(formula, "fluorite", a=lattice_constant, cubic=True)
    positions, numbers = lattice_in_box(unit, turn, low, high, origin)
    return Atoms(numbers=numbers, positions=positions)
