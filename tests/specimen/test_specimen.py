import numpy as np
import pytest
from ase.neighborlist import neighbor_list
from scipy.ndimage import binary_dilation
from scipy.spatial import ConvexHull, cKDTree
from specimens import EXTENT, SMALL, VARIED, VIEW, specimen

from framedose.config import Range
from framedose.errors import SpecimenError
from framedose.random import generator
from framedose.specimen.amorphous import amorphous
from framedose.specimen.assembly import build_specimen
from framedose.specimen.config import SpecimenConfig
from framedose.specimen.crystal import orientation
from framedose.specimen.mask import hull_area, overlapping, projected_hull, rasterise
from framedose.specimen.nanoparticle import LATTICES, nanoparticle, unit_cell
from framedose.specimen.support import find_support, slab


def test_particle_is_fcc_with_its_cut_plane_at_the_bottom():
    gold, fcc = unit_cell("Au", None, None), LATTICES["fcc"]
    turn = orientation(gold, fcc.zone, fcc.interface)
    atoms = nanoparticle(gold, fcc, 10.0, 0.2, turn, generator(0, "p"))
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
    atoms = slab(find_support("CeO2"), 30.0, 25.0, None, generator(0, "s"))
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
        specimen(0, SpecimenConfig(radius=Range(low=15, high=15.5)))
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


def test_masks_are_those_of_a_test_of_every_pixel():
    """Convex polygons of any shape, also with edges along the rows and partly outside of the image."""
    from skimage.draw import polygon2mask

    rng = np.random.default_rng(0)
    for number in range(60):
        points = rng.uniform(-20, 90, (12, 2))
        points[:2, 0] = points[:, 0].min() - 3
        hull = points[ConvexHull(points).vertices][:: 1 if number % 2 else -1]
        assert np.array_equal(rasterise([hull], (0, 0), 1.0, (80, 60)), polygon2mask((80, 60), hull))


def test_mask_without_particle_is_empty():
    assert not rasterise([], (0, 0), 0.3, (8, 8)).any()


@pytest.fixture(scope="module")
def varied():
    return [specimen(index, VARIED) for index in range(24)]


def test_varied_specimens_have_no_atoms_too_close(varied):
    for found in varied:
        alone = found.atoms.copy()
        alone.pbc = False
        assert neighbor_list("d", alone, 1.8).min(initial=2) >= 1.42  # Carbon's bond; no other pair is below 2.19 Å.
        assert neighbor_list("d", alone[alone.numbers != 6], 2.5).min(initial=3) > 2.19


def test_varied_specimens_are_as_varied_as_asked(varied):
    drawn = {name: np.array([found.drawn[name] for found in varied]) for name in varied[0].drawn}
    supported = np.array([58 in found.atoms.numbers for found in varied])
    assert 0 < (~supported).sum() < 24
    assert ((drawn["thickness"] > 0) == supported).all()
    assert 0 < (drawn["on_zone"] > 0).sum() < supported.sum()
    assert {len(found.hulls) for found in varied} > {1, 2}
    assert 0 < (drawn["film"] > 0).sum() < 24


def test_every_particle_has_its_own_hull_and_they_do_not_overlap(varied):
    for found in varied:
        masks = [rasterise([hull], (0, 0), 0.2, (255, 255)) for hull in found.hulls]
        assert not (np.sum(masks, axis=0) > 1).any()
        gold = found.atoms.positions[found.atoms.numbers == 79][:, 1::-1]
        inside = rasterise(found.hulls, (0, 0), 0.2, (255, 255))
        # Atoms on the outline round to either side of it.
        y, x = np.round(gold / 0.2).astype(int).T.clip(0, 254)
        assert binary_dilation(inside, np.ones((5, 5)))[y, x].all()


def test_middle_of_the_first_particle_lies_in_the_view(varied):
    low = (EXTENT - VIEW[0]) / 2
    for found in varied:
        middle = (found.hulls[0].min(axis=0) + found.hulls[0].max(axis=0)) / 2
        assert ((middle >= low - 1e-6) & (middle <= EXTENT - low + 1e-6)).all()


def test_any_orientation_is_used_off_the_zone_axis(varied):
    """On the zone axis the [110] rows lie along the beam; free particles point anywhere."""
    cosines = []
    for found in varied:
        if found.drawn["on_zone"]:
            continue
        d = neighbor_list("D", found.atoms[found.atoms.numbers == 79], 3.0)
        cosines.append(np.abs(d[:, 2]).max() / (4.08 / np.sqrt(2)))
    # The nearest of the six <110> axes to a random direction: its cosine lies between sqrt(1/2) and 1, 0.93 on average.
    assert np.min(cosines) < 0.93
    assert np.max(cosines) < 0.9999
    assert np.std(cosines) > 0.015


def test_bare_support_is_in_the_cell_however_large_its_particle():
    large = VARIED.model_copy(update={"radius": Range(low=20, high=25), "free_share": 0.0, "film_share": 0.0})
    for index in range(20):
        assert len(specimen(index, large, "support").atoms) > 100


def test_bare_field_without_a_support_is_film():
    config = VARIED.model_copy(update={"free_share": 1.0, "film_share": 0.0})
    assert set(specimen(0, config, "support").atoms.numbers) == {6}


def test_amorphous_carbon_has_its_density_and_bond():
    low, high = np.zeros(3), np.array([40.0, 30.0, 20.0])
    atoms = amorphous("C", 2.0, 1.42, low, high, generator(0, "carbon"))
    mass = len(atoms) * 12.011 / 6.02214076e23
    assert mass / (np.prod(high) * 1e-24) == pytest.approx(2.0, rel=1e-3)
    distances = cKDTree(atoms).query(atoms, k=2)[0][:, 1]
    assert 1.42 <= distances.min() < 1.5
    assert ((atoms >= low) & (atoms <= high)).all()
    # No crystal: beyond the first shell pairs are as frequent as in a gas.
    inside = ((atoms > low + 5) & (atoms < high - 5)).all(axis=1)
    pairs = np.diff(cKDTree(atoms[inside]).count_neighbors(cKDTree(atoms), [4.0, 5.0]))[0] / inside.sum()
    assert pairs == pytest.approx(len(atoms) / np.prod(high) * 4 / 3 * np.pi * (125 - 64), rel=0.03)


def test_too_dense_a_film_is_refused():
    with pytest.raises(ValueError, match="lower the density"):
        amorphous("C", 12.0, 1.42, np.zeros(3), np.full(3, 12.0), generator(0, "dense"))


def test_distance_of_polygons_along_their_normals():
    square = np.array([[0.0, 0], [0, 1], [1, 1], [1, 0]])
    assert overlapping(square, square + np.array([0, 1.9]), 1.0)
    assert not overlapping(square, square + np.array([0, 2.1]), 1.0)
    assert overlapping(square, square * 0.1 + 0.4, 0.0)
    assert not overlapping(square, square @ np.array([[0.6, 0.8], [-0.8, 0.6]]) + np.array([2.5, 0.5]), 0.5)
