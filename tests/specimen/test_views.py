"""Supports in plan view, on surfaces that lean, and with a second grain."""

import numpy as np
import pytest
from ase.neighborlist import neighbor_list
from pydantic import ValidationError
from scipy.ndimage import binary_dilation
from specimens import VARIED, specimen

from framedose.config import Range
from framedose.specimen.config import SpecimenConfig
from framedose.specimen.mask import rasterise

PLAN = VARIED.model_copy(
    update={"free_share": 0.0, "film_share": 0.0, "plan_view_share": 1.0, "max_tilt": 0.0, "on_zone_share": 0.5}
)


@pytest.fixture(scope="module")
def plan_views():
    return [specimen(index, PLAN) for index in range(24)]


def test_particles_in_plan_view_lie_before_or_behind_the_plate_by_the_gap(plan_views):
    sides = set()
    for found in plan_views:
        assert found.drawn["plan_view"] == 1
        particle = found.atoms.get_tags() == 1
        gold, plate = found.atoms.positions[particle, 2], found.atoms.positions[~particle, 2]
        before = gold.max() < plate.min()
        sides.add(before)
        assert before or gold.min() > plate.max()
        # Cut at any height off the zone axis, the plate's last atoms lie up to a plane's distance below its surface.
        apart = plate.min() - gold.max() if before else gold.min() - plate.max()
        assert -1e-6 <= apart - found.drawn["gap"] < (1e-5 if found.drawn["on_zone"] else 1.0)
        assert found.drawn["thickness"] - 3.2 < np.ptp(plate) <= found.drawn["thickness"] + 1e-5
        alone = found.atoms.copy()
        alone.pbc = False
        assert neighbor_list("d", alone, 2.5).min() > 2.19
    assert sides == {True, False}


def test_plate_in_plan_view_bears_every_particle_and_may_end_beyond_them(plan_views):
    covered = []
    for found in plan_views:
        (plate,) = found.support_hulls
        inside = rasterise([plate], (0, 0), 0.2, (255, 255))
        # The middle of the corners lies up to 2 Å from that of the atoms.
        near = binary_dilation(inside, np.ones((21, 21)))
        for y, x in (np.round(hull.mean(axis=0) / 0.2).astype(int) for hull in found.hulls):
            beyond_the_cell = min(y, x) < 2 or max(y, x) > 252
            assert beyond_the_cell or near[y, x]
        covered.append(inside[8:-8, 8:-8].mean())
    assert min(covered) < 0.9
    assert np.sum(np.array(covered) > 0.99) >= 3


def test_plan_view_on_zone_shows_gold_along_111():
    """The planes of the interface lie across the beam: heights of a perfect crystal are whole layers apart."""
    config = PLAN.model_copy(update={"on_zone_share": 1.0, "max_particles": 1, "twinned_share": 0.0})
    for index in range(4):
        found = specimen(index, config)
        layers = np.unique(found.atoms.positions[found.atoms.numbers == 79, 2].round(5))
        assert np.diff(layers) == pytest.approx(np.full(len(layers) - 1, 4.08 / np.sqrt(3)), abs=1e-4)


def test_share_of_plan_views_is_that_of_the_supported_fields():
    half = VARIED.model_copy(update={"plan_view_share": 0.5})
    drawn = [specimen(index, half).drawn for index in range(40)]
    supported = [values["plan_view"] for values in drawn if values["thickness"] > 0]
    assert 0.25 < np.mean(supported) < 0.75
    assert not any(values["plan_view"] for values in drawn if values["thickness"] == 0)


LEANING = VARIED.model_copy(
    update={
        "free_share": 0.0,
        "film_share": 0.0,
        "max_tilt": 0.0,
        "lean": Range(low=10.0, high=50.0),
        "thickness": Range(low=20, high=30),
    }
)
PROFILE = LEANING.model_copy(update={"lean": Range(low=0.0, high=0.0)})


@pytest.fixture(scope="module")
def leaning():
    return [specimen(index, LEANING) for index in range(16)]


def test_leaning_surface_is_a_plane_at_the_angle_drawn_and_the_particles_lie_on_it_by_the_gap(leaning):
    for found in leaning:
        particle = found.atoms.get_tags() == 1
        gold, support = found.atoms.positions[particle], found.atoms.positions[~particle]
        lean = np.deg2rad(abs(found.drawn["lean"]))
        assert 10 <= np.rad2deg(lean) <= 50
        # The surface's normal is turned about the beam by any angle, and lies by the lean out of the image plane.
        angles = np.deg2rad(np.arange(0, 360, 0.1))
        side = np.sign(found.drawn["lean"])
        for _ in range(2):
            flat = np.cos(lean) * np.stack([np.cos(angles), np.sin(angles)])
            normals = np.concatenate([flat, np.full((1, len(angles)), side * np.sin(lean))]).T
            gaps = (gold @ normals.T).min(axis=0) - (support @ normals.T).max(axis=0)
            angles = angles[gaps.argmax()] + np.deg2rad(np.linspace(-0.1, 0.1, 1001))
        # The last atom below a cut lies up to the distance of two planes under it.
        assert -1e-3 <= gaps.max() - found.drawn["gap"] < 1.0
        alone = found.atoms.copy()
        alone.pbc = False
        assert neighbor_list("d", alone, 2.5).min() > 2.19


def test_leaning_support_is_a_wedge_and_its_particles_are_seen_before_or_behind_it(leaning):
    """In profile no particle on its zone axis overlaps with the support; on a surface that leans most do."""
    overlaps = {}
    for name, fields in {"leaning": leaning, "upright": [specimen(i, PROFILE) for i in range(16)]}.items():
        shares = []
        for found in fields:
            support = rasterise(found.support_hulls, (0, 0), 0.2, (255, 255))
            particle = rasterise(found.hulls, (0, 0), 0.2, (255, 255))
            shares.append((particle & support).sum() / max(1, particle.sum()))
        overlaps[name] = np.array(shares)
    assert overlaps["upright"].max() < 0.02
    assert np.median(overlaps["leaning"]) > 0.1
    assert {np.sign(found.drawn["lean"]) for found in leaning} == {-1, 1}


def test_leaning_crystals_keep_their_zone_axis_along_the_beam():
    config = LEANING.model_copy(update={"on_zone_share": 1.0})
    for index in range(4):
        found = specimen(index, config)
        gold = found.atoms[found.atoms.numbers == 79]
        # Rows of [110], a bond apart, along the beam.
        bonds = neighbor_list("D", gold, 3.0)
        assert np.abs(bonds[:, 2]).max() == pytest.approx(4.08 / np.sqrt(2), abs=1e-3)


def test_second_grain_lies_before_or_behind_everything_with_an_edge():
    config = PROFILE.model_copy(update={"grain_share": 1.0, "lean": Range(low=0.0, high=40.0)})
    sides, covered = set(), []
    for index in range(20):
        found = specimen(index, config)
        assert found.drawn["grain"] >= 20
        _, grain = found.support_hulls
        inside = rasterise([grain], (0, 0), 0.2, (255, 255))
        covered.append(inside[8:-8, 8:-8].mean())
        heights = np.sort(found.atoms.positions[:, 2])
        # Nothing lies between the grain and all else.
        widest = np.diff(heights).argmax()
        assert np.diff(heights)[widest] > 2.4
        sides.add(found.atoms.get_tags()[found.atoms.positions[:, 2] > heights[widest]].any())
        alone = found.atoms.copy()
        alone.pbc = False
        assert neighbor_list("d", alone, 2.5).min() > 2.19
    assert sides == {True, False}
    assert np.std(covered) > 0.15
    assert not any(specimen(index, PROFILE).drawn["grain"] for index in range(4))


def test_share_of_second_grains_is_as_asked():
    half = VARIED.model_copy(update={"grain_share": 0.5})
    drawn = [specimen(index, half).drawn for index in range(40)]
    supported = [values["grain"] > 0 for values in drawn if values["thickness"] > 0]
    assert 0.25 < np.mean(supported) < 0.75
    assert not any(values["grain"] for values in drawn if values["thickness"] == 0)


@pytest.mark.parametrize(("low", "high"), [(-5.0, 10.0), (0.0, 75.0)])
def test_lean_beyond_what_is_profile_is_refused(low, high):
    with pytest.raises(ValidationError, match="lean must lie within 0 and 60 degrees"):
        SpecimenConfig(lean=Range(low=low, high=high))
