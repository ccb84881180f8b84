"""One specimen: particles on their support, turned at random and placed in a cell larger than the view."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from ase import Atoms
from pydantic import Field, model_validator
from scipy.spatial.transform import Rotation

from framedose.config import Range, Settings, digest
from framedose.errors import SpecimenError
from framedose.specimen.amorphous import amorphous
from framedose.specimen.mask import hull_area, overlapping, projected_hull
from framedose.specimen.nanoparticle import nanoparticle
from framedose.specimen.support import fluorite_slab

Kind = Literal["particle", "support"]
# Draws of one specimen before the request is called impossible, and of the place of one more particle.
_TRIES, _PLACES = 500, 10
# Free space before and behind the atoms along the beam, where their potential dies out [Å].
_VACUUM = 3.0
# No atom lies nearer to the side of the cell, so that none touches its neighbour's periodic image [Å].
_SEAM = 1.0
# Evaporated carbon: its density [g/cm3], and the bond of graphite, the shortest in it [Å].
_CARBON_DENSITY, _CARBON_BOND = 2.0, 1.42
# From the last atoms of a specimen to the carbon film behind them [Å].
_FILM_GAP = 2.5
# Least distance between the hulls of two particles [Å].
_APART = 2.0


class SpecimenConfig(Settings):
    """What the specimens are: the paper's supported Au particles by default."""

    element: str = "Au"
    """fcc metal of the particles."""
    lattice_constant: float = Field(4.08, gt=0)
    """Lattice constant of the particles [Å]."""
    radius: Range = Range(low=10.0, high=30.0)
    """Distance of the {111} facets from a particle's centre [Å]."""
    facet_variation: float = Field(0.2, ge=0, lt=1)
    """Relative half width of the distances of the single facets."""
    max_particles: int = Field(1, ge=1)
    """Particles of a field: any number from one to this that finds place."""
    support: str = "CeO2"
    """Fluorite oxide of the support."""
    support_lattice_constant: float = Field(5.411, gt=0)
    """Lattice constant of the support [Å]."""
    free_share: float = Field(0.0, ge=0, le=1)
    """Share of the fields without the crystalline support; their particles have any orientation and are not cut."""
    thickness: Range = Range(low=20.0, high=50.0)
    """Extent of the support along the beam [Å]."""
    gap: Range = Range(low=2.2, high=2.6)
    """Distance between the last plane of the support and the first of the particle [Å]."""
    on_zone_share: float = Field(1.0, ge=0, le=1)
    """Share of the supported fields in which particle and support have [110] along the beam and (111) interfaces; in
    the others both crystals have any orientation."""
    max_tilt: float = Field(3.0, ge=0, le=20)
    """Largest tilt of the specimen off the zone axis [degree]."""
    film: Range = Range(low=20.0, high=50.0)
    """Thickness of a film of amorphous carbon behind everything else, with an edge anywhere [Å]."""
    film_share: float = Field(0.0, ge=0, le=1)
    """Share of the fields that have the film."""
    whole: bool = True
    """The first particle lies in the view as a whole, as ``mask_fraction`` and ``field_diameters`` demand; if false,
    its centre does, whatever its size."""
    mask_fraction: Range = Range(low=0.05, high=0.40)
    """Share of the view that the first particle's mask may take, where it must be whole."""
    field_diameters: float = Field(1.5, gt=0)
    """Least width of the view over the largest width of the first particle, where it must be whole."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in ("radius", "thickness", "gap", "film"):
            if getattr(self, name).low <= 0:
                raise ValueError(f"{name}.low must be positive, got {getattr(self, name).low}")
        return self


@dataclass(frozen=True, eq=False)
class Specimen:
    """A specimen in its cell.

    Parameters
    ----------
    atoms
        ASE atoms in a cell (extent, extent, height) [Å], the beam along z, periodic in x and y.
    hulls
        Projected convex hull of every particle, corners (m, 2), columns (y, x) [Å].
    drawn
        The values drawn for this specimen, in Å and degrees.
    """

    atoms: Atoms
    hulls: tuple[npt.NDArray[np.float64], ...]
    drawn: dict[str, float]

    def digest(self) -> str:
        """Return the SHA-256 of the atoms, rounded to 1e-6 Å: equal for equal structures only."""
        return digest([self.atoms.numbers.tolist(), np.round(self.atoms.positions, 6).tolist()])


def build_specimen(
    config: SpecimenConfig, view: tuple[float, float], extent: float, rng: np.random.Generator, kind: Kind = "particle"
) -> Specimen:
    """Build one specimen as the paper describes (section 2), or its bare support.

    The particle's cut (111) face sits on the (111) face of the support; both are tilted together by up to
    ``max_tilt`` about a random axis in the image plane, turned about the beam by any angle, and placed so that the
    particle lies in the view, which is centred on the cell. By option there are more particles along the interface,
    other orientations, fields without the support, and a film of amorphous carbon behind it all.

    Parameters
    ----------
    config
        What to build.
    view
        Smallest and largest width of the view [Å] that this specimen will be imaged with.
    extent
        Side of the square cell [Å], larger than the view: the support is cut only outside of it.
    rng
        Source of all draws.
    kind
        ``"particle"``, or ``"support"`` for the same specimen without its particles. Where that leaves nothing, the
        film is there.

    Raises
    ------
    SpecimenError
        If the cell does not hold the view, or if no drawn particle fits the view as ``mask_fraction`` and
        ``field_diameters`` demand.
    """
    if extent < view[1]:
        raise SpecimenError(
            f"extent must be at least the view of {view[1]:.1f} Å, got {extent:.1f} Å: enlarge the cell."
        )
    free = rng.random() < config.free_share
    on_zone = not free and rng.random() < config.on_zone_share
    tilt, turn = _random_turn(config.max_tilt, rng)
    make = partial(_particle, config, free=free, on_zone=on_zone)
    radius, first = _fitting_particle(config, view, make, turn, rng)
    thickness, gap = config.thickness.draw(rng), config.gap.draw(rng)
    # From the base of the particle the support must reach every corner of the cell, wherever the view is placed.
    slab = Atoms()
    if not free:
        crystal = None if on_zone else _any_orientation(rng)
        lattice = config.support_lattice_constant
        slab = fluorite_slab(config.support, lattice, thickness, 1.5 * extent, rng, turn=crystal)
    particles = _group(first, int(rng.integers(1, config.max_particles + 1)), make, free, extent, rng)
    for particle in particles:
        particle.positions[:, 1] += 0.0 if free else gap
        particle.positions = particle.positions @ turn.T
    slab.positions = slab.positions @ turn.T
    # Without the particle the view is placed about its base, or it might miss the support behind a large one.
    anchor = projected_hull(particles[0].positions) if config.whole or kind == "particle" else np.zeros((1, 2))
    centre = _view_centre(anchor, view[0], config.whole, rng)
    atoms = sum(particles, slab) if kind == "particle" else slab
    offset = extent / 2 - np.array([centre[1], centre[0], 0.0])
    atoms.positions += offset * [1, 1, 0]
    hulls = [projected_hull(particle.positions + offset) for particle in particles] if kind == "particle" else []
    film = config.film.draw(rng) if rng.random() < config.film_share or not len(atoms) else 0.0
    if film:
        atoms = atoms + _carbon_film(film, extent, atoms, rng)
    drawn = {
        "radius": radius,
        "thickness": 0.0 if free else thickness,
        "gap": 0.0 if free else gap,
        "tilt": tilt,
        "film": film,
        "on_zone": float(on_zone),
        "particles": float(len(hulls)),
        "mask_area": sum(hull_area(hull) for hull in hulls),
    }
    return Specimen(_in_cell(atoms, extent), tuple(hulls), drawn)


def _particle(config: SpecimenConfig, rng: np.random.Generator, *, free: bool, on_zone: bool) -> tuple[float, Atoms]:
    radius = config.radius.draw(rng)
    turn = None if on_zone else _any_orientation(rng)
    shape = (config.element, config.lattice_constant, radius, config.facet_variation)
    return radius, nanoparticle(*shape, rng, turn=turn, cut=not free)


def _fitting_particle(
    config: SpecimenConfig,
    view: tuple[float, float],
    make: Callable[[np.random.Generator], tuple[float, Atoms]],
    turn: npt.NDArray[np.float64],
    rng: np.random.Generator,
) -> tuple[float, Atoms]:
    """Draw particles until one fits the view, where it must."""
    for _ in range(_TRIES):
        radius, particle = make(rng)
        if not config.whole:
            return radius, particle
        hull = projected_hull(particle.positions @ turn.T)
        diameter = max(np.linalg.norm(hull - corner, axis=1).max() for corner in hull)
        area = hull_area(hull)
        large, small = area / view[0] ** 2, area / view[1] ** 2
        fits = small >= config.mask_fraction.low and large <= config.mask_fraction.high
        if fits and config.field_diameters * diameter <= view[0]:
            return radius, particle
    raise SpecimenError(
        f"No particle with radius {config.radius.low}..{config.radius.high} Å fits a view of {view[0]:.1f} Å with a "
        f"mask of {config.mask_fraction.low:.0%} to {config.mask_fraction.high:.0%} and {config.field_diameters} "
        "particle widths; change specimen.radius or use more pixels."
    )


def _group(
    first: Atoms,
    count: int,
    make: Callable[[np.random.Generator], tuple[float, Atoms]],
    free: bool,
    extent: float,
    rng: np.random.Generator,
) -> list[Atoms]:
    """Add particles beside the first, along the interface or, where there is none, anywhere in the plane."""
    group, hulls = [first], [projected_hull(first.positions)]
    for _ in range(count - 1):
        _, particle = make(rng)
        for _ in range(_PLACES):
            x, y = rng.uniform(-extent / 2, extent / 2, 2)
            shift = np.array([x, y if free else 0.0, 0.0])
            hull = projected_hull(particle.positions + shift)
            if not any(overlapping(hull, other, _APART) for other in hulls):
                particle.positions += shift
                group.append(particle)
                hulls.append(hull)
                break
    return group


def _random_turn(max_tilt: float, rng: np.random.Generator) -> tuple[float, npt.NDArray[np.float64]]:
    """Return the tilt [degree] and the rotation (3, 3) of a specimen."""
    azimuth, turn = rng.uniform(0, 2 * np.pi, 2)
    tilt = rng.uniform(0, max_tilt)
    lean = Rotation.from_rotvec(np.deg2rad(tilt) * np.array([np.cos(azimuth), np.sin(azimuth), 0.0]))
    matrix: npt.NDArray[np.float64] = (Rotation.from_rotvec([0, 0, turn]) * lean).as_matrix()
    return tilt, matrix


def _any_orientation(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return a rotation (3, 3), uniform over all: a normal quaternion has no preferred direction."""
    matrix: npt.NDArray[np.float64] = Rotation.from_quat(rng.normal(size=4)).as_matrix()
    return matrix


def _view_centre(
    hull: npt.NDArray[np.float64], width: float, whole: bool, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Return the centre (y, x) of a view of ``width`` that holds the whole hull, or the hull's middle, at random."""
    top, bottom = hull.max(axis=0), hull.min(axis=0)
    if not whole:
        top = bottom = (top + bottom) / 2
    centre: npt.NDArray[np.float64] = rng.uniform(top - width / 2, bottom + width / 2)
    return centre


def _carbon_film(thickness: float, extent: float, atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """Return a film behind ``atoms`` that fills the cell up to an edge, which in half of the cases lies outside."""
    top = (atoms.positions[:, 2].min() if len(atoms) else 0.0) - _FILM_GAP
    low, high = (0.0, 0.0, top - thickness), (extent, extent, top)
    positions = amorphous("C", _CARBON_DENSITY, _CARBON_BOND, low, high, rng)
    angle = rng.uniform(0, 2 * np.pi)
    across = (positions[:, :2] - extent / 2) @ [np.cos(angle), np.sin(angle)]
    positions = positions[across <= rng.uniform(-0.3, 1.7) * extent]
    return Atoms(f"C{len(positions)}", positions=positions)


def _in_cell(atoms: Atoms, extent: float) -> Atoms:
    inside = ((atoms.positions[:, :2] >= _SEAM) & (atoms.positions[:, :2] <= extent - _SEAM)).all(axis=1)
    atoms = atoms[inside]
    bottom, top = atoms.positions[:, 2].min(), atoms.positions[:, 2].max()
    atoms.positions[:, 2] += _VACUUM - bottom
    atoms.set_cell([extent, extent, top - bottom + 2 * _VACUUM])
    atoms.set_pbc([True, True, False])
    return atoms
