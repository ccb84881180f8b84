"""Supports that are heaps of whole crystallites, as a powder."""

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.sparse.csgraph import connected_components
from scipy.spatial import ConvexHull, cKDTree
from specimens import VARIED, specimen

from framedose.config import Range
from framedose.random import generator
from framedose.specimen.config import SpecimenConfig
from framedose.specimen.mask import rasterise
from framedose.specimen.powder import draw_heap
from framedose.specimen.support import find_support

POWDER = VARIED.model_copy(
    update={
        "free_share": 0.0,
        "film_share": 0.0,
        "max_tilt": 0.0,
        "powder_share": 1.0,
        "radius": Range(low=5, high=12),
        "crystallite": Range(low=12, high=25),
        "max_particles": 5,
    }
)
CERIA = find_support("CeO2")
EXTENT = 60.0


def heap(index: int, *, on_zone: bool = False, **values):
    config = POWDER.model_copy(update=values)
    rng = generator(0, "heap", index)
    return draw_heap(config, CERIA, (50.0, 52.0), EXTENT, np.eye(3), on_zone, rng)


@pytest.fixture(scope="module")
def heaps():
    return [heap(index, on_zone=index % 3 == 0) for index in range(24)]


def nearest(one, other) -> float:
    return float(cKDTree(one.positions).query(other.positions)[0].min())


def test_nothing_in_a_heap_touches_more_than_it_should(heaps):
    for particles, crystallites, _ in heaps:
        parts = [*particles, *crystallites]
        for index, part in enumerate(parts):
            for other in parts[:index]:
                assert nearest(part, other) > 1.99


def test_second_crystallite_touches_the_first_unless_it_lies_beside_it():
    touching, beside = 0, 0
    for index in range(30):
        particles, crystallites, _ = heap(index, max_crystallites=2)
        if len(crystallites) == 2:
            parts = [*particles, *crystallites]
            # Squares of 2 Å, the neighbouring ones too, and 2.5 Å along the beam.
            near = np.array([[nearest(one, other) < 6.3 for other in parts] for one in parts])
            apart, group = connected_components(near)
            touching, beside = touching + (apart == 1), beside + (apart == 2)
            for one in range(1, apart):
                halves = [
                    np.concatenate(
                        [part.positions for part, its in zip(parts, group, strict=True) if (its == one) == side]
                    )
                    for side in (True, False)
                ]
                flat, other = (cKDTree(half[:, :2]) for half in halves)
                assert not flat.count_neighbors(other, 1.0)
    assert touching > 5
    assert beside > 0


def test_every_particle_lies_by_a_gap_over_a_facet():
    """All atoms of the crystallite lie on one side of a plane, the particle on the other, a gap from it."""
    for index in range(8):
        particles, (crystallite,), drawn = heap(index, max_crystallites=1)
        hull = ConvexHull(crystallite.positions)
        normals, offsets = hull.equations[:, :3], hull.equations[:, 3]
        gaps = [((particle.positions @ normals.T).min(axis=0) + offsets).max() for particle in particles]
        assert gaps[0] == pytest.approx(drawn["gap"], abs=0.01)
        assert all(POWDER.gap.low - 1e-3 <= gap < POWDER.gap.high + 0.01 for gap in gaps)


def test_crystallites_are_whole_octahedra_with_their_corners_cut(heaps):
    """As many atoms as their hull and the cell of CeO2 say, bounded by {111} and {100}."""
    for _, crystallites, _ in heaps[:8]:
        for crystallite in crystallites:
            cerium = crystallite[crystallite.numbers == 58].positions
            hull = ConvexHull(cerium)
            volume, surface = hull.volume, hull.area
            # Of the atoms on the hull, nearly all on {111}, half are outside.
            expected = 4 / 5.411**3 * volume + 2 / (np.sqrt(3) * 5.411**2) * surface
            assert len(cerium) == pytest.approx(expected, rel=0.1)
            assert volume ** (2 / 3) / surface > 0.15  # A regular octahedron has 0.176, a sphere 0.207.


def test_host_on_the_zone_axis_is_in_profile_with_both_zone_axes_along_the_beam():
    for index in range(6):
        particles, crystallites, _ = heap(index, on_zone=True, max_particles=1, max_crystallites=1, twinned_share=0.0)
        for part in (particles[0], crystallites[0][crystallites[0].numbers == 58]):
            columns = np.unique(part.positions[:, :2].round(3), axis=0)
            assert len(columns) < len(part) / 2
        gap = particles[0].positions[:, 1].min() - crystallites[0].positions[:, 1].max()
        assert POWDER.gap.low <= gap <= POWDER.gap.high


def test_hosts_off_the_zone_axis_have_their_particle_on_any_side():
    directions = []
    for index in range(40):
        particles, crystallites, _ = heap(index, max_particles=1, max_crystallites=1)
        away = particles[0].positions.mean(axis=0) - crystallites[0].positions.mean(axis=0)
        directions.append(away / np.linalg.norm(away))
    # Uniform directions have no mean, and a third of their square along each axis.
    assert np.linalg.norm(np.mean(directions, axis=0)) < 0.35
    assert np.mean(np.square(directions), axis=0) == pytest.approx(np.full(3, 1 / 3), abs=0.15)


def test_number_of_crystallites_is_the_one_drawn_and_the_heap_is_not_too_deep(heaps):
    numbers = [len(crystallites) for _, crystallites, _ in heaps]
    assert numbers == [drawn["crystallites"] for _, _, drawn in heaps]
    assert set(numbers) == {1, 2, 3, 4}
    assert all(
        np.ptp(sum(crystallites[1:], crystallites[0].copy()).positions[:, 2]) <= 200 for _, crystallites, _ in heaps
    )
    large = [heap(index, crystallite=Range(low=45, high=50), max_crystallites=8) for index in range(2)]
    for particles, crystallites, _ in large:
        parts = [*particles, *crystallites]
        assert np.ptp(np.concatenate([part.positions[:, 2] for part in parts])) <= 200
        # One alone is already up to 190 Å deep.
        assert len(crystallites) < 4


def test_no_particle_is_seen_through_another():
    for index in range(8):
        found = specimen(index, POWDER)
        together = rasterise(found.hulls, (0, 0), 0.2, (255, 255)).sum()
        assert together == sum(rasterise([hull], (0, 0), 0.2, (255, 255)).sum() for hull in found.hulls)


def test_bare_heap_is_the_same_heap_without_particles():
    whole, bare = specimen(3, POWDER), specimen(3, POWDER, kind="support")
    assert whole.drawn["crystallites"] == bare.drawn["crystallites"]
    assert 79 not in bare.atoms.numbers
    assert not bare.hulls
    assert 1 <= len(bare.support_hulls) <= whole.drawn["crystallites"]


def test_share_of_powders_is_that_of_the_supported_fields():
    half = VARIED.model_copy(update={"powder_share": 0.5, "crystallite": POWDER.crystallite})
    drawn = [specimen(index, half).drawn for index in range(40)]
    heaps = np.array([values["crystallites"] > 0 for values in drawn])
    slabs = np.array([values["thickness"] > 0 for values in drawn])
    assert not (heaps & slabs).any()
    assert 0.25 < heaps.sum() / (heaps | slabs).sum() < 0.75
    assert not (heaps | slabs).all()


@pytest.mark.parametrize("name", ["CeO2", "MgO", "TiO2"])
def test_known_supports_have_crystallites(name):
    config = POWDER.model_copy(update={"support": name, "max_particles": 2})
    found = specimen(1, config)
    assert found.drawn["crystallites"] >= 1
    assert (found.atoms.numbers == 8).sum() > 100


@pytest.mark.parametrize("values", [{"support_plane": (1, 0, 0), "support_zone_axis": (0, 0, 1)}])
def test_unknown_crystallites_are_refused_with_the_remedy(values):
    with pytest.raises(ValidationError, match="a powder needs one of the supports CeO2.*set powder_share to 0"):
        SpecimenConfig(powder_share=0.1, **values)
    SpecimenConfig(**values)


def test_crystallites_too_small_for_facets_are_refused():
    with pytest.raises(ValidationError, match=r"crystallite.low must be at least 8 Å, got 3"):
        SpecimenConfig(crystallite=Range(low=3, high=20))
