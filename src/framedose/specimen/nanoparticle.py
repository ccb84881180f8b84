"""Metal nanoparticles: an fcc crystal bounded by {111} and {100} facets and cut on the plane of its interface."""

import itertools

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.build import bulk

from framedose.specimen.crystal import lattice_in_box, orientation

# The zone axis along the beam, and the (111) plane whose normal lies in the image: the interface.
BEAM = (1, 1, 0)
INTERFACE = (1, -1, 1)

_FACETS = [np.array(n) / np.sqrt(3) for n in itertools.product((-1, 1), repeat=3)]
_CUBES = [sign * axis for axis in np.eye(3) for sign in (-1.0, 1.0)]
# Distance of {100} over {111} in the regular truncated octahedron, close to Au's Wulff shape.
_CUBE_RATIO = 2 / np.sqrt(3)


def nanoparticle(
    element: str,
    lattice_constant: float,
    radius: float,
    facet_variation: float,
    rng: np.random.Generator,
    *,
    turn: npt.NDArray[np.float64] | None = None,
    cut: bool = True,
) -> Atoms:
    """Build one truncated fcc particle, [110] along z and its cut (111) face at the lowest y.

    Every facet lies at its own distance from the centre, ``radius`` times a factor uniform in 1 +- ``facet_variation``,
    and the centre lies anywhere in the unit cell. The particle is then cut on a (1-11) plane at a random layer between
    the centre and 0.8 of the radius, towards -y (the paper, section 2).

    Parameters
    ----------
    element, lattice_constant
        The fcc metal and its lattice constant [Å].
    radius
        Mean distance of the {111} facets from the centre [Å].
    facet_variation
        Relative half width of the facet distances.
    rng
        Source of the draws.
    turn
        Rotation (3, 3) from crystal to specimen axes; the paper's zone axis and interface if None. Along any other
        direction the cut lies anywhere between the centre and 0.8 of the radius.
    cut
        Whether the particle is cut at all; one that stands free is not.

    Returns
    -------
    Atoms
        Positions (x, y, z) [Å]; the lowest layer has y = 0, and x and z are centred.
    """
    layered = turn is None
    turn = orientation(BEAM, INTERFACE) if turn is None else turn
    reach = radius * (1 + facet_variation) * _CUBE_RATIO + lattice_constant
    unit = bulk(element, "fcc", a=lattice_constant, cubic=True)
    origin = rng.uniform(0, lattice_constant, 3)
    positions, _ = lattice_in_box(unit, turn, np.full(3, -reach), np.full(3, reach), origin)
    keep = np.ones(len(positions), dtype=bool)
    for normals, distance in ((_FACETS, radius), (_CUBES, radius * _CUBE_RATIO)):
        for normal in normals:
            facet = distance * rng.uniform(1 - facet_variation, 1 + facet_variation)
            keep &= positions @ (turn @ normal) <= facet
    positions = positions[keep]
    if cut:
        depth = rng.uniform(0, 0.8 * radius)
        if layered:
            spacing = lattice_constant / np.sqrt(3)
            depth = (int(depth / spacing) + 0.5) * spacing
        positions = positions[positions[:, 1] >= -depth]
    return Atoms(f"{element}{len(positions)}", positions=_centred(positions))


def _centred(positions: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    middle = (positions.min(axis=0) + positions.max(axis=0)) / 2
    base: npt.NDArray[np.float64] = np.array([middle[0], positions[:, 1].min(), middle[2]])
    return positions - base
