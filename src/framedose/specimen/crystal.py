"""Oriented crystals: lattice points of a crystal turned to a zone axis, inside a box."""

import itertools

import numpy as np
import numpy.typing as npt
from ase import Atoms
from scipy.spatial.transform import Rotation

Array = npt.NDArray[np.float64]
Miller = tuple[int, int, int]


def orientation(unit: Atoms, zone: Miller, plane: Miller) -> Array:
    """Return the rotation (3, 3) that turns a zone axis to z and the normal of a lattice plane to y.

    Rows are the Cartesian axes x, y, z of the specimen in the axes of the crystal.

    Parameters
    ----------
    unit
        The unit cell (ASE).
    zone
        Direction [uvw] of the zone axis.
    plane
        Indices (hkl) of a plane that holds it: h u + k v + l w = 0.

    Raises
    ------
    ValueError
        If the plane does not hold the zone axis, or either has no index but 0.

    Examples
    --------
    >>> from ase.build import bulk
    >>> np.round(orientation(bulk("Au", cubic=True), (0, 0, 1), (0, 1, 0)), 3).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    if not any(zone) or not any(plane):
        raise ValueError(f"a zone axis and a plane need an index other than 0, got {zone} and {plane}")
    if np.dot(zone, plane) != 0:
        raise ValueError(f"the zone axis {zone} does not lie in the plane {plane}: h u + k v + l w must be 0")
    z, y = zone @ np.asarray(unit.cell), plane @ np.asarray(unit.cell.reciprocal())
    z, y = z / np.linalg.norm(z), y / np.linalg.norm(y)
    return np.stack([np.cross(y, z), y, z])


def any_orientation(rng: np.random.Generator) -> Array:
    """Return a rotation (3, 3), uniform over all: a normal quaternion has no preferred direction."""
    matrix: Array = Rotation.from_quat(rng.normal(size=4)).as_matrix()
    return matrix


def lattice_in_box(
    unit: Atoms, turn: Array, low: Array, high: Array, origin: Array
) -> tuple[Array, npt.NDArray[np.int64]]:
    """Return the atoms of an infinite crystal that lie in a box.

    Parameters
    ----------
    unit
        The unit cell (ASE).
    turn
        Rotation from crystal to specimen axes, shape (3, 3).
    low, high
        Corners of the box in specimen axes (x, y, z) [Å].
    origin
        Where the lattice origin lies in specimen axes [Å].

    Returns
    -------
    positions
        Shape (n, 3) in specimen axes [Å].
    numbers
        Atomic numbers, shape (n,).
    """
    cell = np.asarray(unit.cell) @ turn.T
    basis = unit.positions @ turn.T
    corners = np.array(list(itertools.product(*zip(low, high, strict=True)))) - origin
    fractional = corners @ np.linalg.inv(cell)
    first = np.floor(fractional.min(axis=0)).astype(int) - 1
    last = np.ceil(fractional.max(axis=0)).astype(int) + 1
    grid = np.stack(
        np.meshgrid(*[np.arange(a, b + 1) for a, b in zip(first, last, strict=True)], indexing="ij"), axis=-1
    )
    cells = grid.reshape(-1, 3) @ cell + origin
    # A cell whose origin is farther from the box than the cell's own size holds no atom of it.
    reach = np.abs(cell).sum(axis=0) + np.abs(basis).max(axis=0)
    cells = cells[((cells > low - reach) & (cells < high + reach)).all(axis=1)]
    positions = (cells[:, None, :] + basis[None, :, :]).reshape(-1, 3)
    numbers = np.tile(unit.numbers, len(cells))
    inside = ((positions >= low) & (positions < high)).all(axis=1)
    return positions[inside], numbers[inside]
