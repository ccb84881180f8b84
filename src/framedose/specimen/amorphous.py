"""Amorphous films: atoms at random places, none closer to another than a bond."""

import numpy as np
import numpy.typing as npt
from ase.data import atomic_masses, atomic_numbers
from scipy.spatial import cKDTree

# One Å3 of a substance of one g/cm3 holds this many unified atomic mass units (CODATA 2018).
_MASS_UNITS = 0.602214076
# Random placing jams at a packing fraction of 0.38; far below that a few rounds fill the box.
_ROUNDS = 200


def amorphous(
    element: str, density: float, bond: float, low: npt.ArrayLike, high: npt.ArrayLike, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Return atoms placed at random in a box, none nearer to another than ``bond`` (random sequential addition).

    The pair distribution beyond the first shell is that of a gas of hard spheres: enough for the speckle that a carbon
    film shows at HR-TEM resolution, but not a relaxed network.

    Parameters
    ----------
    element
        The element.
    density
        Mass density [g/cm3].
    bond
        Least distance of two atoms [Å].
    low, high
        Corners of the box (x, y, z) [Å].
    rng
        Source of the places.

    Returns
    -------
    array
        Positions, shape (n, 3) [Å].

    Raises
    ------
    ValueError
        If so many atoms of that size do not fit at random.

    Examples
    --------
    >>> film = amorphous("C", 2.0, 1.4, (0, 0, 0), (30, 30, 20), np.random.default_rng(0))
    >>> len(film)
    1805
    """
    low, high = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
    wanted = round(density * _MASS_UNITS / atomic_masses[atomic_numbers[element]] * float(np.prod(high - low)))
    placed = np.empty((0, 3))
    for _ in range(_ROUNDS):
        missing = wanted - len(placed)
        if missing <= 0:
            return placed[:wanted]
        candidates = np.concatenate([placed, rng.uniform(low, high, (missing, 3))])
        pairs = cKDTree(candidates).query_pairs(bond, output_type="ndarray")
        # Of two that are too close the later one goes, so that what is placed stays.
        keep = np.ones(len(candidates), dtype=bool)
        keep[pairs[:, 1]] = False
        placed = candidates[keep]
    raise ValueError(f"{wanted} atoms of {element} do not fit at random with bonds of {bond} Å: lower the density.")
