import numpy as np
import pytest
from ase.neighborlist import neighbor_list

from framedose.config import Range
from framedose.errors import SpecimenError
from framedose.random import generator
from framedose.specimen.assembly import SpecimenConfig, build_specimen
from framedose.specimen.mask import hull_area, projected_hull, rasterise
from framedose.specimen.nanoparticle import nanoparticle
from framedose.specimen.support import fluorite_slab

VIEW, EXTENT = (35.84, 40.96), 51.0
SMALL = SpecimenConfig(radius=Range(low=6, high=12.5))


def specimen(index, config=SMALL, kind="particle"):
    return build_specimen(config, VIEW, EXTENT, generator(0, "test", index), kind)


def test_particle_is_fcc_with_its_cut_plane_at_the_bottom():
    atoms = nanoparticle("Au", 4.08, 10.0, 0.2, generator(0, "p"))
    i, distance = neighbor_list("id", atoms, 3.2)
    assert distance == pytest.approx(np.full(len(distance), 4.08 / np.sqrt(2)))
    assert np.bincount(i).max() == 12
    layers = np.unique(atoms.positions[:, 1].round(6))
    assert layers[0] == 0
    assert np.diff(layers) == pytest.approx(np.full(len(layers) - 1, 4.08 / np.sqrt(3)))
    # [110] is along the beam: atoms repeat after a / sqrt(2).
    columns = np.unique(atoms.positions[:, 2].round(6))
    assert np.diff(columns) == pytest.approx(np.full(len(columns) - 1, 4.08 / np.sqrt(8)))


def test_support_ends_on_oxygen_and_is_stoichiometric_fluorite():
    atoms = fluorite_slab("CeO2", 5.411, 30.0, 25.0, generator(0, "s"))
    oxygen = atoms.numbers == 8
    top = atoms.positions[:, 1].max()
    assert top == pytest.approx(0.0, abs=1e-9)
    assert oxygen[np.isclose(atoms.positions[:, 1], top)].all()
    cerium_planes = np.unique(atoms.positions[~oxygen, 1].round(6))
    assert np.diff(cerium_planes) == pytest.approx(np.full(len(cerium_planes) - 1, 3.124), abs=1e-3)
    # Below the surface oxygen comes the metal, at a sqrt(3) / 12.
    assert cerium_planes.max() == pytest.approx(-5.411 * np.sqrt(3) / 12)
    _, distance = neighbor_list("id", atoms, 2.5)
    assert distance == pytest.approx(np.full(len(distance), 5.411 * np.sqrt(3) / 4))


@pytest.mark.parametrize("index", range(6))
def test_specimen_obeys_what_was_asked(index):
    found = specimen(index)
    gold = found.atoms.positions[found.atoms.numbers == 79]
    (hull,) = found.hulls
    area = hull_area(hull)
    assert 0.05 * VIEW[1] ** 2 <= area <= 0.40 * VIEW[0] ** 2
    low = (EXTENT - VIEW[0]) / 2
    assert gold[:, :2].min() >= low - 1e-6
    assert gold[:, :2].max() <= EXTENT - low + 1e-6
    widest = max(np.linalg.norm(hull - corner, axis=1).max() for corner in hull)
    assert 1.5 * widest <= VIEW[0]
    assert (found.atoms.positions[:, :2] >= 1).all()
    assert (found.atoms.positions[:, :2] <= EXTENT - 1).all()
    assert found.atoms.positions[:, 2].min() > 0
    assert found.atoms.positions[:, 2].max() < found.atoms.cell[2, 2]
    # Through the periodic sides too: the shortest bond is Ce-O, 2.34 Å, and the gap may be 2.2 Å.
    assert neighbor_list("d", found.atoms, 3.0).min() > 1.99
    alone = found.atoms.copy()
    alone.pbc = False
    assert neighbor_list("d", alone, 3.0).min() > 2.19


@pytest.mark.parametrize("index", range(4))
def test_interface_planes_are_parallel_and_the_gap_is_as_drawn(index):
    config = SMALL.model_copy(update={"max_tilt": 0.0})
    found = specimen(index, config)
    gold = found.atoms.positions[found.atoms.numbers == 79, :2]
    oxygen = found.atoms.positions[found.atoms.numbers == 8, :2]
    # Without tilt the planes are seen edge on: along their normal both crystals have few distinct heights.
    angles = np.deg2rad(np.arange(0, 360, 0.05))
    for _ in range(2):
        normals = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        gaps = (gold @ normals.T).min(axis=0) - (oxygen @ normals.T).max(axis=0)
        angles = angles[gaps.argmax()] + np.deg2rad(np.linspace(-0.05, 0.05, 1001))
    assert gaps.max() == pytest.approx(found.drawn["gap"], abs=1e-3)


def test_tilt_stays_within_its_limit():
    tilts = []
    for index in range(30):
        found = specimen(index)
        gold = found.atoms.positions[found.atoms.numbers == 79]
        # Along the beam axis the nearest neighbours are the [110] rows of the zone axis.
        i, j = np.triu_indices(len(gold), 1)
        bond = gold[j] - gold[i]
        bond = bond[np.isclose(np.linalg.norm(bond, axis=1), 4.08 / np.sqrt(2), atol=1e-3)]
        tilts.append(np.rad2deg(np.arccos(np.abs(bond[:, 2]).max() / (4.08 / np.sqrt(2)))))
    assert max(tilts) <= 3.0 + 1e-6
    assert max(tilts) > 2.0
    assert np.std(tilts) > 0.3


def test_bare_support_is_the_same_specimen_without_its_particle():
    whole, bare = specimen(1), specimen(1, kind="support")
    assert bare.hulls == ()
    assert set(bare.atoms.numbers) == {8, 58}
    support = whole.atoms.numbers != 79
    assert bare.atoms.positions[:, :2] == pytest.approx(whole.atoms.positions[support, :2])


def test_support_fills_its_side_of_the_cell():
    """No edge of the slab but its surface may lie inside the cell."""
    found = specimen(2, kind="support")
    filled, _, _ = np.histogram2d(*found.atoms.positions[:, :2].T, bins=12, range=[[0, EXTENT]] * 2)
    corners = filled[[0, 0, -1, -1], [0, -1, 0, -1]] > 0
    assert corners.any()
    # The empty side is convex: along every row and column the filled bins are one run that reaches an edge.
    for lines in (filled > 0, (filled > 0).T):
        for line in lines:
            assert not line.any() or line[0] or line[-1]
            assert np.abs(np.diff(line.astype(int))).sum() <= 1


def test_specimen_is_made_again_from_its_seed_and_only_from_it():
    assert specimen(3).digest() == specimen(3).digest()
    assert specimen(3).digest() != specimen(4).digest()


def test_impossible_requests_are_refused_with_a_remedy():
    with pytest.raises(SpecimenError, match="change specimen.radius or use more pixels"):
        specimen(0, SpecimenConfig(radius=Range(low=25, high=30)))
    with pytest.raises(SpecimenError, match="enlarge the cell"):
        build_specimen(SMALL, VIEW, 30.0, generator(0, "x"))


def test_hull_and_mask_of_a_square():
    corners = np.array([[1.0, 1.0, 0], [1, 5, 0], [4, 1, 9], [4, 5, 2], [2, 2, 0]])  # x, y, z
    hull = projected_hull(corners)
    assert sorted(map(tuple, hull)) == [(1, 1), (1, 4), (5, 1), (5, 4)]  # y, x
    assert hull_area(hull) == pytest.approx(12)
    mask = rasterise([hull], (0.05, 0.05), 0.1, (80, 60))
    assert mask.sum() * 0.01 == pytest.approx(12, rel=0.01)
    rows, columns = np.nonzero(mask)
    assert rows.mean() * 0.1 + 0.05 == pytest.approx(3.0, abs=0.05)
    assert columns.mean() * 0.1 + 0.05 == pytest.approx(2.5, abs=0.05)


def test_mask_without_particle_is_empty():
    assert not rasterise([], (0, 0), 0.3, (8, 8)).any()
