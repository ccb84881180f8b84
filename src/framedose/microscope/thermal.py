"""Thermal motion of the atoms, for exit waves of frozen phonons."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from ase import Atoms

from framedose.errors import ConfigurationError


def displacements(atoms: Atoms, rms: Mapping[str, float]) -> npt.NDArray[np.float64]:
    """Return the root mean square displacement of every atom [Å], shape (atoms,).

    Parameters
    ----------
    atoms
        A specimen.
    rms
        Root mean square displacement [Å] along each direction, by element; others of the specimen's are a mistake.

    Raises
    ------
    ConfigurationError
        If an element of the specimen has none.

    Examples
    --------
    >>> displacements(Atoms("AuCe"), {"Au": 0.09, "Ce": 0.07}).tolist()
    [0.09, 0.07]
    """
    symbols = atoms.get_chemical_symbols()
    missing = sorted(set(symbols) - set(rms))
    if missing:
        raise ConfigurationError(
            f"displacement names no value for {', '.join(missing)}, got {dict(rms)}: add one [Å], 0 for atoms at rest."
        )
    return np.array([rms[symbol] for symbol in symbols], dtype=np.float64)


def displaced(atoms: Atoms, rms: Mapping[str, float], rng: np.random.Generator) -> Atoms:
    """Return one configuration of frozen phonons: every atom moved on its own, as in Einstein's model.

    Parameters
    ----------
    atoms
        A specimen.
    rms
        Root mean square displacement [Å] along each direction, by element.
    rng
        Source of the displacements.
    """
    moved = atoms.copy()
    moved.positions += displacements(atoms, rms)[:, None] * rng.normal(size=(len(atoms), 3))
    return moved
