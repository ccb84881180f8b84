"""Particles drawn as the settings say, until one has an outline, or fits the view."""

from collections.abc import Callable
from contextlib import suppress

import numpy as np
from ase import Atoms

from framedose.errors import SpecimenError
from framedose.specimen.config import SpecimenConfig
from framedose.specimen.crystal import Array, any_orientation, orientation
from framedose.specimen.mask import hull_area, overlapping, projected_hull
from framedose.specimen.nanoparticle import nanoparticle

# Draws of one particle before the request is called impossible, and of the place of one more.
_TRIES, _PLACES = 500, 10
# Least distance between the hulls of two particles in projection [Å].
_APART = 2.0

Make = Callable[[np.random.Generator], tuple[float, Atoms]]


def draw_particle(
    config: SpecimenConfig, rng: np.random.Generator, *, free: bool, on_zone: bool, lay: Array, upright: bool
) -> tuple[float, Atoms]:
    """Return the radius of a particle, and it with its base in the surface; ``upright``, its zone axis is along z."""
    for _ in range(_TRIES):
        radius = config.radius.draw(rng)
        turn = None if on_zone else any_orientation(rng)
        unit, crystal = config.unit_cell(config.strain.draw(rng)), config.crystal()
        if turn is None:
            turn = orientation(unit, crystal.zone, crystal.interface)
            turn = lay.T @ turn if upright else turn
        # No draw without twins: particles of the same seed stay the same.
        twinned = config.twinned_share > 0 and rng.random() < config.twinned_share
        particle = nanoparticle(unit, crystal, radius, config.facet_variation, turn, rng, cut=not free, twinned=twinned)
        particle.positions = particle.positions @ lay.T
        # The smallest can be one atom, or a layer that is seen from its edge, which are no particle.
        with suppress(SpecimenError):
            projected_hull(particle.positions)
            return radius, particle
    raise SpecimenError(
        f"No particle with radius {config.radius.low}..{config.radius.high} Å has an outline; make specimen.radius "
        "larger."
    )


def fitting_particle(
    config: SpecimenConfig,
    view: tuple[float, float],
    make: Make,
    turn: Array,
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


def placed(particle: Atoms, hulls: list[Array], place: Callable[[], Array]) -> bool:
    """Move a particle by the first of ten draws of ``place`` that keeps it apart from the hulls, and add its own.

    Returns
    -------
    bool
        Whether there was one.
    """
    for _ in range(_PLACES):
        shift = place()
        hull = projected_hull(particle.positions + shift)
        if not any(overlapping(hull, other, _APART) for other in hulls):
            particle.positions += shift
            hulls.append(hull)
            return True
    return False
