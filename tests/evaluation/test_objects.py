"""Particles one by one and as a count, on masks whose scores are known."""

import numpy as np
import pytest

from framedose.evaluation.objects import f1_of_count, f1_of_particles, false_objects, particles_found


@pytest.fixture
def truth():
    """Return a mask of two particles, 4x4 and 4x6 pixels, eight columns apart."""
    mask = np.zeros((12, 30), bool)
    mask[4:8, 2:6] = mask[4:8, 14:20] = True
    return mask


def test_each_particle_has_its_own_f1(truth):
    found = truth.copy()
    assert f1_of_particles(found, truth) == [1, 1]
    # Half of the first: precision 1, recall 1/2.
    found[6:8, 2:6] = False
    assert f1_of_particles(found, truth) == pytest.approx([2 / 3, 1])
    # The mean over particles is not the F1 of all pixels, in which the larger one counts more.
    found[4:8, 14:20] = False
    assert f1_of_particles(found, truth) == pytest.approx([2 / 3, 0])


def test_a_mask_that_joins_two_particles_is_shared_between_them(truth):
    found = truth.copy()
    found[4:8, 6:14] = True
    # Eight columns between them, four of which are nearer to each: 16 pixels each that are false.
    assert f1_of_particles(found, truth) == pytest.approx([2 * 16 / (32 + 16), 2 * 24 / (40 + 24)])


def test_what_touches_no_particle_is_counted_and_belongs_to_none(truth):
    found = truth.copy()
    found[10:12, 24:30] = True
    assert f1_of_particles(found, truth) == [1, 1]
    # 12 pixels of 0.04 nm2 are no object, of 0.25 nm2 they are.
    assert false_objects(found, truth, 2.0) == 0
    assert false_objects(found, truth, 5.0) == 1
    assert f1_of_count(*particles_found(found, truth), false_objects(found, truth, 5.0)) == pytest.approx(4 / 5)


def test_as_a_count_a_missed_and_a_false_one_weigh_the_same():
    assert f1_of_count(found=3, particles=4, false=0) == pytest.approx(6 / 7)
    assert f1_of_count(found=3, particles=3, false=1) == pytest.approx(6 / 7)
    assert f1_of_count(found=0, particles=2, false=0) == 0
    assert np.isnan(f1_of_count(found=0, particles=0, false=0))


def test_no_particles_have_no_f1(truth):
    assert f1_of_particles(truth, np.zeros_like(truth)) == []
    assert f1_of_particles(np.zeros_like(truth), truth) == [0, 0]
