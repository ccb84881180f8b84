"""The atoms of one specimen before they are placed: particles on their support, drawn or from a file."""

from dataclasses import dataclass
from functools import cache, partial
from glob import glob
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from framedose.errors import SpecimenError
from framedose.specimen.config import SpecimenConfig
from framedose.specimen.crystal import Array, any_orientation
from framedose.specimen.mask import projected_hull
from framedose.specimen.particle import Make, draw_particle, fitting_particle, placed
from framedose.specimen.powder import draw_heap
from framedose.specimen.support import Support, slab

# Atoms farther from each other than this belong to different particles [Å]; metals' bonds are up to 3.5.
_BOND = 4.0
# From everything else to a second grain of the support [Å].
_GRAIN_GAP = 2.5

# Rotations that turn the normal of the interface from y to along the beam, and to against it.
_FLAT = (
    np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]),
    np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),
)

# What a specimen has drawn for itself where it does not have that.
_UNUSED = {"plan_view": 0.0, "lean": 0.0, "thickness": 0.0, "gap": 0.0, "grain": 0.0, "crystallites": 0.0}


@dataclass(frozen=True, eq=False)
class Structure:
    """Atoms about the origin, the beam along z.

    Parameters
    ----------
    particles
        The particles, at least one; the view is placed about the first.
    supports
        Everything else: the support, its second grain if there is one; possibly without an atom.
    drawn
        The values drawn for it, in Å and degrees.
    """

    particles: list[Atoms]
    supports: list[Atoms]
    drawn: dict[str, float]


def draw_structure(
    config: SpecimenConfig, view: tuple[float, float], extent: float, rng: np.random.Generator
) -> Structure:
    """Draw particles and their support, tilted and turned.

    Raises
    ------
    SpecimenError
        If no drawn particle fits the view as ``mask_fraction`` and ``field_diameters`` demand, or a structure of the
        user's cannot be used.
    """
    tilt, turn = _random_turn(config.max_tilt, rng)
    if config.structures is None:
        particles, supports, drawn = _drawn(config, view, extent, turn, rng)
    else:
        particles, supports, drawn = *_own(config, rng), {}
    for part in (*particles, *supports):
        part.positions = part.positions @ turn.T
    return Structure(particles, supports, drawn | {"tilt": tilt})


def _drawn(
    config: SpecimenConfig, view: tuple[float, float], extent: float, turn: Array, rng: np.random.Generator
) -> tuple[list[Atoms], list[Atoms], dict[str, float]]:
    crystal = config.crystal_support()
    free = crystal is None or rng.random() < config.free_share
    on_zone = not free and rng.random() < config.on_zone_share
    # No draw where none is asked for: specimens of the same seed stay the same.
    if crystal is not None and not free and config.powder_share > 0 and rng.random() < config.powder_share:
        particles, supports, heap = draw_heap(config, crystal, view, extent, turn, on_zone, rng)
        return particles, supports, _UNUSED | {"on_zone": float(on_zone)} | heap
    plan = not free and config.plan_view_share > 0 and rng.random() < config.plan_view_share
    lean = 0.0 if free or plan else _lean(config, rng)
    # From the axes of a particle on its surface to those of the specimen.
    lay = _FLAT[int(rng.integers(2))] if plan else Rotation.from_euler("x", lean, degrees=True).as_matrix()
    make = partial(draw_particle, config, free=free, on_zone=on_zone, lay=lay, upright=not plan)
    radius, first = fitting_particle(config, view, make, turn, rng)
    particles = _group(first, int(rng.integers(1, config.max_particles + 1)), make, free or plan, extent, rng)
    drawn = _UNUSED | {"radius": radius, "on_zone": float(on_zone), "plan_view": float(plan), "lean": lean}
    if crystal is None or free:
        return particles, [Atoms()], drawn
    drawn |= {"thickness": config.thickness.draw(rng), "gap": config.gap.draw(rng)}
    # From the base of the particle the support must reach every corner of the cell, wherever the view is placed.
    any_other = None if on_zone else any_orientation(rng)
    support = slab(crystal, drawn["thickness"], 1.5 * extent, any_other, rng, plate=plan, lean=lean)
    if plan:
        support.positions = support.positions @ lay.T
        support = _with_edge(support, particles, extent, rng)
    for particle in particles:
        particle.positions += drawn["gap"] * lay[:, 1]
    supports = [support]
    if config.grain_share > 0 and rng.random() < config.grain_share:
        drawn["grain"] = config.thickness.draw(rng)
        supports.append(_grain(crystal, drawn["grain"], sum(particles, support), _lean(config, rng), extent, rng))
    return particles, supports, drawn


def _lean(config: SpecimenConfig, rng: np.random.Generator) -> float:
    """Return the angle [degree] of a surface to the beam, to either side."""
    return float(config.lean.draw(rng) * rng.choice([-1, 1])) if config.lean.high > 0 else 0.0


def _grain(
    crystal: Support, thickness: float, others: Atoms, lean: float, extent: float, rng: np.random.Generator
) -> Atoms:
    """Return a second grain, of any orientation, behind or before the others, up to an edge anywhere near them."""
    grain = slab(crystal, thickness, 2 * extent, any_orientation(rng), rng, lean=lean)
    grain.positions[:, 1] += rng.uniform(-0.5, 0.5) * extent
    grain.positions = grain.positions @ Rotation.from_euler("z", rng.uniform(0, 2 * np.pi)).as_matrix().T
    heights, mine = others.positions[:, 2], grain.positions[:, 2]
    behind = heights.min() - mine.max() - _GRAIN_GAP
    before = heights.max() - mine.min() + _GRAIN_GAP
    grain.positions[:, 2] += behind if rng.random() < 0.5 else before
    return grain


def _with_edge(plate: Atoms, particles: list[Atoms], extent: float, rng: np.random.Generator) -> Atoms:
    """Return the plate up to a straight edge, in any direction, anywhere beyond the middle of every particle."""
    angle = rng.uniform(0, 2 * np.pi)
    across = np.array([np.cos(angle), np.sin(angle), 0.0])
    outermost = max(float(particle.positions.mean(axis=0) @ across) for particle in particles)
    edge = outermost + rng.uniform(0, 1) * extent
    return plate[plate.positions @ across <= edge]


def _group(
    first: Atoms,
    count: int,
    make: Make,
    anywhere: bool,
    extent: float,
    rng: np.random.Generator,
) -> list[Atoms]:
    """Add particles beside the first, along the interface or, where asked, anywhere in the plane."""

    def place() -> Array:
        x, y = rng.uniform(-extent / 2, extent / 2, 2)
        return np.array([x, y if anywhere else 0.0, 0.0])

    group, hulls = [first], [projected_hull(first.positions)]
    for _ in range(count - 1):
        _, particle = make(rng)
        if placed(particle, hulls, place):
            group.append(particle)
    return group


def _own(config: SpecimenConfig, rng: np.random.Generator) -> tuple[list[Atoms], list[Atoms]]:
    """Return the particles of one of the user's structures, apart from each other, and the rest of it."""
    paths = sorted(glob(str(config.structures)))
    if not paths:
        raise SpecimenError(f"structures: no file matches {config.structures!r}; give the path of a structure file.")
    path = paths[int(rng.integers(len(paths)))]
    atoms = _structure_file(path).copy()
    if (atoms.numbers == 0).any():
        raise SpecimenError(f"{path}: holds atoms of no element (X), which cannot be imaged: take them out.")
    chosen = np.isin(atoms.symbols, config.mask_elements)
    if config.mask_indices:
        if max(config.mask_indices) >= len(atoms) or min(config.mask_indices) < 0:
            raise SpecimenError(f"mask_indices must be atoms of {path!r}, which has {len(atoms)}.")
        chosen[list(config.mask_indices)] = True
    if chosen.sum() < 3:
        found = ", ".join(sorted(set(atoms.symbols)))
        raise SpecimenError(
            f"{path}: {chosen.sum()} atoms are particle by mask_elements {list(config.mask_elements)}, at least three "
            f"are needed; it holds {found}."
        )
    metal = atoms[chosen]
    middle = (metal.positions.min(axis=0) + metal.positions.max(axis=0)) / 2
    atoms.positions -= middle
    metal.positions -= middle
    groups = connected_components(cKDTree(metal.positions).sparse_distance_matrix(cKDTree(metal.positions), _BOND))
    particles = [metal[groups[1] == group] for group in range(groups[0])]
    # Atoms on their own, or in a row, have no outline: they are imaged, but no mask is theirs.
    outlined: list[Atoms] = []
    alone: list[Atoms] = []
    for particle in particles:
        if has_outline(particle):
            outlined.append(particle)
        else:
            alone += (particle[i : i + 1] for i in range(len(particle)))
    return (outlined, [atoms[~chosen], *alone]) if outlined else ([metal], [atoms[~chosen]])


def has_outline(particle: Atoms) -> bool:
    """Return whether the atoms of a group do not lie on one line."""
    if len(particle) < 3:
        return False
    return bool(np.linalg.matrix_rank(particle.positions - particle.positions.mean(axis=0), tol=0.1) > 1)


@cache
def _structure_file(path: str) -> Atoms:
    try:
        atoms = read(path)
    except Exception as error:  # ASE's parsers fail with anything.
        raise SpecimenError(f"structures: {Path(path)} cannot be read: {error or type(error).__name__}") from error
    if not isinstance(atoms, Atoms):
        raise SpecimenError(f"structures: {Path(path)} holds no single structure.")
    return atoms


def _random_turn(max_tilt: float, rng: np.random.Generator) -> tuple[float, Array]:
    """Return the tilt [degree] and the rotation (3, 3) of a specimen."""
    azimuth, turn = rng.uniform(0, 2 * np.pi, 2)
    tilt = rng.uniform(0, max_tilt)
    lean = Rotation.from_rotvec(np.deg2rad(tilt) * np.array([np.cos(azimuth), np.sin(azimuth), 0.0]))
    matrix: Array = (Rotation.from_rotvec([0, 0, turn]) * lean).as_matrix()
    return tilt, matrix
