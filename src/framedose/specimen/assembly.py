"""One specimen: particles on their support, turned at random and placed in a cell larger than the view."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from ase import Atoms

from framedose.config import digest
from framedose.errors import SpecimenError
from framedose.specimen.amorphous import amorphous
from framedose.specimen.config import SpecimenConfig
from framedose.specimen.mask import hull_area, projected_hull
from framedose.specimen.structure import draw_structure, has_outline

Kind = Literal["particle", "support"]
# Free space before and behind the atoms along the beam, where their potential dies out [Å].
_VACUUM = 3.0
# No atom lies nearer to the side of the cell, so that none touches its neighbour's periodic image [Å].
_SEAM = 1.0
# The bond of graphite, the shortest in evaporated carbon [Å].
_CARBON_BOND = 1.42
# From the first atoms of a specimen to the carbon film before them [Å].
_FILM_GAP = 2.5


@dataclass(frozen=True, eq=False)
class Specimen:
    """A specimen in its cell.

    Parameters
    ----------
    atoms
        ASE atoms in a cell (extent, extent, height) [Å], the beam along z, periodic in x and y. The atoms of the
        particles have the tag 1, all others 0.
    hulls
        Projected convex hull of every particle, corners (m, 2), columns (y, x) [Å].
    support_hulls
        The same of the support and of the film.
    drawn
        The values drawn for this specimen, in Å and degrees.
    """

    atoms: Atoms
    hulls: tuple[npt.NDArray[np.float64], ...]
    support_hulls: tuple[npt.NDArray[np.float64], ...]
    drawn: dict[str, float]

    def bare(self) -> Atoms:
        """Return the atoms without the particles, possibly none, in the same cell and at the same places."""
        return self.atoms[self.atoms.get_tags() == 0]

    def digest(self) -> str:
        """Return the SHA-256 of the atoms, rounded to 1e-6 Å: equal for equal structures only."""
        return digest([self.atoms.numbers.tolist(), np.round(self.atoms.positions, 6).tolist()])


def build_specimen(
    config: SpecimenConfig, view: tuple[float, float], extent: float, rng: np.random.Generator, kind: Kind = "particle"
) -> Specimen:
    """Build one specimen as the paper describes (section 2), or its bare support.

    The particle's cut face sits on the face of the support, (111) on (111) for the paper's Au on CeO2. Both are tilted
    together by up to ``max_tilt`` about a random axis in the image plane, turned about the beam by any angle, and
    placed so that the particle lies in the view, which is centred on the cell. By option there are more particles along
    the interface, other orientations, fields without the support, and a film of amorphous carbon before it all; or the
    structures come from files.

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
    structure = draw_structure(config, view, extent, rng)
    particles, supports = structure.particles, structure.supports
    # Without the particle the view is placed about its base, or it might miss the support behind a large one.
    anchor = projected_hull(particles[0].positions) if config.whole or kind == "particle" else np.zeros((1, 2))
    centre = _view_centre(anchor, view[0], config.whole, rng)
    offset = extent / 2 - np.array([centre[1], centre[0], 0.0])
    for tag, parts in enumerate((supports, particles)):
        for part in parts:
            part.positions += offset * [1, 1, 0]
            # Files may bring tags of their own.
            part.set_tags(tag)
    atoms = sum((*supports, *particles) if kind == "particle" else supports, Atoms())
    hulls = [projected_hull(particle.positions) for particle in particles] if kind == "particle" else []
    film = config.film.draw(rng) if rng.random() < config.film_share or not _inside(atoms, extent).any() else 0.0
    if film:
        carbon = _carbon_film(film, config.film_density, extent, atoms, rng)
        supports.append(carbon)
        atoms = atoms + carbon
    drawn = structure.drawn | {
        "film": film,
        "particles": float(len(hulls)),
        "mask_area": sum(hull_area(hull) for hull in hulls),
    }
    support_hulls = tuple(projected_hull(part.positions) for part in supports if has_outline(part))
    return Specimen(_in_cell(atoms, extent), tuple(hulls), support_hulls, drawn)


def _view_centre(
    hull: npt.NDArray[np.float64], width: float, whole: bool, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Return the centre (y, x) of a view of ``width`` that holds the whole hull, or the hull's middle, at random."""
    top, bottom = hull.max(axis=0), hull.min(axis=0)
    if not whole:
        top = bottom = (top + bottom) / 2
    if (top - bottom > width).any():
        raise SpecimenError(
            f"The particle is {(top - bottom).max():.1f} Å wide, and the view {width:.1f} Å: raise gpts, or set "
            "specimen.whole to false."
        )
    centre: npt.NDArray[np.float64] = rng.uniform(top - width / 2, bottom + width / 2)
    return centre


def _carbon_film(thickness: float, density: float, extent: float, atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """Return a film before ``atoms`` that fills the cell up to an edge, which in half of the cases lies outside.

    Electrons travel towards greater z.
    """
    top = (atoms.positions[:, 2].min() if len(atoms) else 0.0) - _FILM_GAP
    low, high = (0.0, 0.0, top - thickness), (extent, extent, top)
    positions = amorphous("C", density, _CARBON_BOND, low, high, rng)
    angle = rng.uniform(0, 2 * np.pi)
    across = (positions[:, :2] - extent / 2) @ [np.cos(angle), np.sin(angle)]
    positions = positions[across <= rng.uniform(-0.3, 1.7) * extent]
    return Atoms(f"C{len(positions)}", positions=positions)


def _inside(atoms: Atoms, extent: float) -> npt.NDArray[np.bool_]:
    inside: npt.NDArray[np.bool_] = (
        (atoms.positions[:, :2] >= _SEAM) & (atoms.positions[:, :2] <= extent - _SEAM)
    ).all(axis=1)
    return inside


def _in_cell(atoms: Atoms, extent: float) -> Atoms:
    atoms = atoms[_inside(atoms, extent)]
    bottom, top = atoms.positions[:, 2].min(), atoms.positions[:, 2].max()
    atoms.positions[:, 2] += _VACUUM - bottom
    atoms.set_cell([extent, extent, top - bottom + 2 * _VACUUM])
    atoms.set_pbc([True, True, False])
    return atoms
