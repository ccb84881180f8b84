"""Particles of known size and place."""

import numpy as np
import pytest

from framedose.inference.particles import find_particles

SAMPLING = 0.5  # Å/px


def disc(shape, centre, radius):
    y, x = np.indices(shape)
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2


def whole(mask):
    return slice(0, mask.shape[0]), slice(0, mask.shape[1])


def test_discs_have_their_area_diameter_place_and_perimeter():
    shape = (300, 400)
    large, small = disc(shape, (100, 120), 60), disc(shape, (230, 300), 30)
    speck = disc(shape, (20, 380), 5)  # 0.2 nm2: noise, no particle.
    probability = np.where(large, 0.95, 0.91).astype(np.float32)
    found = find_particles(large | small | speck, probability, SAMPLING, whole(large))
    assert len(found) == 2
    for particle, centre, radius in zip(found, ((100, 120), (230, 300)), (60, 30), strict=True):
        radius_nm = radius * SAMPLING / 10
        assert particle.area_nm2 == pytest.approx(np.pi * radius_nm**2, rel=0.01)
        assert particle.equivalent_diameter_nm == pytest.approx(2 * radius_nm, rel=0.005)
        assert particle.perimeter_nm == pytest.approx(2 * np.pi * radius_nm, rel=0.03)
        assert particle.centroid_y_nm == pytest.approx(centre[0] * SAMPLING / 10)
        assert particle.centroid_x_nm == pytest.approx(centre[1] * SAMPLING / 10)
        assert not particle.at_edge
    assert [particle.mean_probability for particle in found] == pytest.approx([0.95, 0.91])


@pytest.mark.parametrize("centre", [(0, 100), (100, 0), (199, 100), (100, 199)])
def test_what_goes_on_outside_of_the_frame_is_marked(centre):
    mask = disc((200, 200), centre, 50)
    (particle,) = find_particles(mask, np.ones(mask.shape, np.float32), SAMPLING, whole(mask))
    assert particle.at_edge
    assert particle.area_nm2 == pytest.approx(mask.sum() * (SAMPLING / 10) ** 2)


def test_so_is_what_goes_on_in_a_border_without_data():
    mask = disc((200, 200), (100, 100), 50)
    for window, at_edge in (((40, 160), False), ((50, 160), True), ((0, 151), True), ((0, 200), False)):
        sides = slice(*window), slice(0, 200)
        for within in (sides, sides[::-1]):
            (particle,) = find_particles(mask, np.ones(mask.shape, np.float32), SAMPLING, within)
            assert particle.at_edge == at_edge


def test_pixels_that_meet_at_a_corner_are_one_particle_and_an_empty_mask_has_none():
    mask = np.zeros((80, 80), dtype=bool)
    mask[:40, :40] = mask[40:, 40:] = True
    assert len(find_particles(mask, np.ones(mask.shape, np.float32), SAMPLING, whole(mask))) == 1
    assert find_particles(np.zeros_like(mask), np.zeros(mask.shape, np.float32), SAMPLING, whole(mask)) == ()
