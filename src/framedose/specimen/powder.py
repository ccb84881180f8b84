"""A heap of whole crystallites of the support, as in a powder, with particles on any of their facets."""

from dataclasses import dataclass, field
from functools import partial

import numpy as np
from ase import Atoms
from scipy.ndimage import maximum_filter
from scipy.spatial.transform import Rotation
from scipy.stats import binned_statistic_2d

from framedose.specimen.config import SpecimenConfig
from framedose.specimen.crystal import Array, any_orientation
from framedose.specimen.mask import projected_hull
from framedose.specimen.nanoparticle import facets, nanoparticle
from framedose.specimen.particle import draw_particle, fitting_particle, placed
from framedose.specimen.support import Support, upright

# Relative half width of the distances of a crystallite's facets: none is lost by it.
_FACET_VARIATION = 0.1
# How far from the middle of its facet a particle sits, as a share of the way to its farthest corner.
_OFF_CENTRE = 0.4
# What would make the heap deeper along the beam is left out: little passes through more [Å].
_DEEPEST = 200.0
# Between crystallites along the beam, and the squares in which that is looked for [Å].
_CONTACT, _SQUARE = 2.5, 2.0


@dataclass
class _Crystallite:
    """One crystallite about the origin, and the particles on it."""

    atoms: Atoms
    normals: Array
    """Outward normals of the facets that may bear a particle, shape (n, 3)."""
    particles: list[Atoms] = field(default_factory=list)

    def moved(self, shift: Array) -> None:
        for part in (self.atoms, *self.particles):
            part.positions += shift

    def all(self) -> Array:
        return np.concatenate([part.positions for part in (self.atoms, *self.particles)])


def draw_heap(
    config: SpecimenConfig,
    support: Support,
    view: tuple[float, float],
    extent: float,
    turn: Array,
    on_zone: bool,
    rng: np.random.Generator,
) -> tuple[list[Atoms], list[Atoms], dict[str, float]]:
    """Draw the particles of a heap, the first with its base at the origin, its crystallites, and what was drawn.

    The first crystallite bears the first particle: in profile, both zone axes along the beam, if ``on_zone``, and
    otherwise in any orientation. The others have any orientation and lie anywhere, before or behind what is there
    already, and touch it. Further particles sit on a facet of any of them, where none is seen through another.
    """
    lay = np.eye(3) if on_zone else any_orientation(rng)
    make = partial(draw_particle, config, free=False, on_zone=on_zone, lay=lay, upright=on_zone)
    radius, particle = fitting_particle(config, view, make, turn, rng)
    gap = config.gap.draw(rng)
    particle.positions += gap * lay[:, 1]
    hulls = [projected_hull(particle.positions)]
    first = _crystallite(config, support, lay, rng)
    first.moved(-_place(first, lay[:, 1], 0.0, rng))
    first.particles.append(particle)
    heap = [first]
    wanted = int(rng.integers(1, config.max_crystallites + 1)) - 1
    extra = rng.integers(0, wanted + 1, size=int(rng.integers(1, config.max_particles + 1)) - 1)
    _populate(first, int((extra == 0).sum()), config, hulls, rng)
    for index in range(1, wanted + 1):
        other = _crystallite(config, support, any_orientation(rng), rng)
        other.moved(np.array([*rng.uniform(-0.6, 0.6, 2) * extent, 0.0]))
        _populate(other, int((extra == index).sum()), config, hulls, rng)
        there = np.concatenate([one.all() for one in heap])
        _drop(other, there, rng)
        if np.ptp(np.concatenate([there, other.all()])[:, 2]) <= _DEEPEST:
            heap.append(other)
    drawn = {"radius": radius, "gap": gap, "crystallites": float(len(heap))}
    return [p for one in heap for p in one.particles], [one.atoms for one in heap], drawn


def _crystallite(config: SpecimenConfig, support: Support, lay: Array, rng: np.random.Generator) -> _Crystallite:
    """Return a crystallite with a facet of the support's plane towards the y axis of ``lay``, its zone axis along z."""
    turn, shape = lay @ upright(support, rng), support.shape()
    radius = config.crystallite.draw(rng)
    atoms = nanoparticle(support.unit, shape, radius, _FACET_VARIATION, turn, rng, cut=False)
    normals = [turn @ normal for normal, ratio in facets(support.unit, shape) if ratio == 1]
    return _Crystallite(atoms, np.array(normals))


def _populate(
    crystallite: _Crystallite, count: int, config: SpecimenConfig, hulls: list[Array], rng: np.random.Generator
) -> None:
    """Put particles of any orientation on its facets, where none is seen before or behind another."""
    for _ in range(count):
        normal = crystallite.normals[int(rng.integers(len(crystallite.normals)))]
        lay = _frame(normal, rng)
        _, particle = draw_particle(config, rng, free=False, on_zone=False, lay=lay, upright=False)
        if placed(particle, hulls, partial(_place, crystallite, normal, config.gap.draw(rng), rng)):
            crystallite.particles.append(particle)


def _frame(normal: Array, rng: np.random.Generator) -> Array:
    """Return a rotation (3, 3) that turns y to the normal, uniform about it."""
    turn, _ = Rotation.align_vectors([normal], [[0.0, 1.0, 0.0]])
    matrix: Array = (turn * Rotation.from_euler("y", rng.uniform(0, 2 * np.pi))).as_matrix()
    return matrix


def _place(crystallite: _Crystallite, normal: Array, gap: float, rng: np.random.Generator) -> Array:
    """Return a point over the plane of the outermost atoms along ``normal``, around the middle of that facet."""
    heights = crystallite.atoms.positions @ normal
    facet = crystallite.atoms.positions[heights > heights.max() - 1.0]
    across = rng.normal(size=3)
    across -= (across @ normal) * normal
    reach = _OFF_CENTRE * np.linalg.norm(facet - facet.mean(axis=0), axis=1).max() * rng.random()
    point = facet.mean(axis=0) + reach * across / np.linalg.norm(across)
    place: Array = point + (heights.max() - point @ normal) * normal + gap * normal
    return place


def _drop(crystallite: _Crystallite, there: Array, rng: np.random.Generator) -> None:
    """Let it fall along the beam onto what is there, from before or from behind, until they touch."""
    side = 1.0 if rng.random() < 0.5 else -1.0
    mine = crystallite.all()
    low = np.minimum(mine[:, :2].min(axis=0), there[:, :2].min(axis=0)) - _SQUARE
    high = np.maximum(mine[:, :2].max(axis=0), there[:, :2].max(axis=0)) + _SQUARE
    edges = [np.arange(a, b + _SQUARE, _SQUARE) for a, b in zip(low, high, strict=True)]
    top, underside = (_surface(positions, side * sign, edges) for positions, sign in ((there, 1), (mine, -1)))
    # Neighbouring squares too: atoms there can be as near as those of the same.
    apart = (maximum_filter(top, 3) + underside).max()
    fall = apart + _CONTACT if np.isfinite(apart) else rng.uniform(-0.5, 0.5) * np.ptp(there[:, 2])
    crystallite.moved(np.array([0.0, 0.0, side * fall]))


def _surface(positions: Array, side: float, edges: list[Array]) -> Array:
    """Return the greatest ``side * z`` of each square, minus infinity where there is no atom."""
    highest = binned_statistic_2d(*positions[:, :2].T, side * positions[:, 2], "max", bins=edges).statistic
    surface: Array = np.where(np.isnan(highest), -np.inf, highest)
    return surface
