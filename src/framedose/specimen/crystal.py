"""Oriented crystals: lattice points of a crystal turned to a zone axis, inside a box."""

import itertools

import numpy as np
import numpy.typing as npt
from ase import Atoms

Array = npt.NDArray[np.float64]


def orientation(beam: tuple[int, int, int], up: tuple[int, int, int]) -> Array:
    """Return the rotation (3, 3) that turns the cubic direction ``beam`` to z and ``up`` to y.

    Rows are the Cartesian axes x, y, z of the specimen in the axes of the crystal; ``up`` must be perpendicular to
    ``beam``.

    Raises
    ------
    ValueError
        If the directions are not perpendicular.

    Examples
    --------
    >>> np.round(orientation((0, 0, 1), (0, 1, 0)), 3).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    if np.dot(beam, up) != 0:
        raise ValueError(f"The directions beam {beam} and up {up} must be perpendicular.")
    z = np.asarray(beam) / np.linalg.norm(beam)
    y = np.asarray(up) / np.linalg.norm(up)
    return np.stack([np.cross(y, z), y, z])


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
