"""Twinned fcc crystals: lamellae between parallel (111) planes, each the mirror image of the one before."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from ase import Atoms

from framedose.specimen.crystal import Array, lattice_in_box

# The most planes of a particle, and how far from its centre they can lie, relative to its radius.
_PLANES, _REACH = 3, 0.7


def twinned_in_box(
    unit: Atoms, turn: Array, low: Array, high: Array, origin: Array, radius: float, rng: np.random.Generator
) -> tuple[Array, npt.NDArray[np.int64]]:
    """Return the atoms of a crystal with one to three parallel twin planes of any of the four {111}, in a box.

    A coherent twin boundary of fcc is a mirror plane through a layer of atoms (111): the stacking ABCABC becomes
    ABCBA. The planes lie within 0.7 of ``radius`` of the middle of the box, on layers of the crystal.

    Parameters
    ----------
    unit, turn, low, high, origin
        As those of :func:`framedose.specimen.crystal.lattice_in_box`; the unit cell is the cubic one of fcc.
    radius
        Size of the particle [Å].
    rng
        Source of the draws.

    Returns
    -------
    positions
        Shape (n, 3) [Å].
    numbers
        Atomic numbers, shape (n,).
    """
    signs = np.array([1, *rng.choice([-1, 1], size=2)])
    reciprocal = signs @ np.asarray(unit.cell.reciprocal())
    spacing = 1 / float(np.linalg.norm(reciprocal))
    normal = turn @ reciprocal * spacing
    wanted = rng.uniform(-_REACH * radius, _REACH * radius, int(rng.integers(1, _PLANES + 1)))
    # Every layer of atoms lies whole spacings from the origin of the lattice.
    layers = np.unique(np.round((wanted - origin @ normal) / spacing))
    planes = origin @ normal + layers * spacing
    grains = list(_grains(unit, turn, low, high, origin, normal, planes, spacing))
    return tuple(np.concatenate(part) for part in zip(*grains, strict=True))  # type: ignore[return-value]


def _grains(
    unit: Atoms, turn: Array, low: Array, high: Array, origin: Array, normal: Array, planes: Array, spacing: float
) -> Iterator[tuple[Array, npt.NDArray[np.int64]]]:
    """Yield positions and numbers of each lamella, from below the first plane to above the last."""
    mirror = np.eye(3) - 2 * np.outer(normal, normal)
    # Halfway between two layers, so that each belongs to one lamella.
    ends = [-np.inf, *(planes + spacing / 2), np.inf]
    for number, (bottom, top) in enumerate(pairwise(ends)):
        if number:
            turn, origin = mirror @ turn, mirror @ origin + 2 * planes[number - 1] * normal
        positions, numbers = lattice_in_box(unit, turn, low, high, origin)
        height = positions @ normal
        inside = (height > bottom) & (height <= top)
        yield positions[inside], numbers[inside]
