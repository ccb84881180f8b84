import numpy as np
import pytest

from framedose.config import Range
from framedose.dataset.generate import make_images, make_specimens, make_waves
from framedose.dataset.recipe import DatasetRecipe
from framedose.dataset.series import SERIES, named_series
from framedose.dataset.store import ImageSet
from framedose.errors import ConfigurationError
from framedose.microscope.exit_wave import ExitWaveConfig
from framedose.specimen.config import SpecimenConfig

TINY = DatasetRecipe(
    gpts=256,
    margin=16,
    binning=4,
    specimen=SpecimenConfig(
        radius=Range(low=4, high=6), thickness=Range(low=5, high=8), free_share=1.0, film_share=1.0, max_particles=3
    ),
    exit_wave=ExitWaveConfig(sampling=0.2, band_limit=1.6),
)


def serial(task, items, label, done):
    return [task(item) for item in items]


def test_replica_has_the_conditions_of_the_paper():
    """A.4: 1000 images, blur 0.1-0.2 Å, focal spread 5-6 Å, defocus 48-50 Å, Cs 7-8 µm, 10..1e4 e/Å2, MTF3."""
    recipe, split = named_series("replica", DatasetRecipe(), structures=30)
    assert split.images == 1000
    assert (split.doses[0], split.doses[-1]) == (10, 1e4)
    drawn = [split.conditions(recipe, 0, index, 500) for index in range(30)]
    for name, low, high in (
        ("blur", 0.1, 0.2),
        ("focal_spread", 5, 6),
        ("defocus", 48, 50),
        ("cs", 7e4, 8e4),
        ("sampling", 0.07, 0.0801),
    ):
        values = [getattr(conditions, name) for conditions in drawn]
        assert low <= min(values) < max(values) <= high
    own = DatasetRecipe(conditions={"astigmatism": Range(low=50, high=60), "drift": Range(low=2, high=3)})
    undisturbed = named_series("replica", own)[0].conditions
    assert (undisturbed.astigmatism.high, undisturbed.drift.high) == (0, 0)
    assert named_series("test", own)[0].conditions.drift.high == 3
    cameras = [split.camera(recipe, 0, index, 0) for index in range(30)]
    assert all(0.2 <= camera.c0 <= 0.3 and 1 <= camera.c3 <= 5 for camera in cameras)
    # A series keeps what it drew.
    assert split.camera(recipe, 0, 3, 0) == split.camera(recipe, 0, 3, 999)
    assert split.conditions(recipe, 0, 3, 0).defocus == split.conditions(recipe, 0, 3, 999).defocus


def test_ramp_rises_evenly_to_the_dose_of_the_experiment():
    _, split = named_series("ramp", DatasetRecipe())
    assert np.diff(split.doses) == pytest.approx(np.full(129, 10), abs=1e-2)
    assert (split.doses[0], split.doses[-1]) == (10, 1300)
    assert named_series("ramp", DatasetRecipe(), frames=5)[1].images == 5


def test_series_need_a_name_and_something_in_them():
    with pytest.raises(ConfigurationError, match="test, replica, ramp"):
        named_series("replika", DatasetRecipe())
    for nothing in ({"structures": 0}, {"frames": 0}):
        with pytest.raises(ConfigurationError, match="at least one"):
            named_series("ramp", DatasetRecipe(), **nothing)
    assert list(SERIES) == ["test", "replica", "ramp"]


def test_a_test_series_draws_what_the_recipe_draws():
    recipe, split = named_series("test", TINY, structures=3)
    assert recipe.specimen == TINY.specimen
    assert recipe.conditions.blur == TINY.conditions.blur
    assert (split.doses[0], split.doses[-1], split.images) == (10, 1e4, 13)
    assert split.conditions(recipe, 0, 1, 0).defocus == split.conditions(recipe, 0, 1, 12).defocus


@pytest.mark.parametrize("name", ["replica", "ramp"])
def test_what_was_asked_for_holds_in_place_of_what_the_series_has(name):
    given = {
        "camera": {"c0": {"low": 0.7, "high": 0.8}},
        "conditions": {"defocus": {"low": 100, "high": 101}, "dose": {"low": 20, "high": 80}},
        "specimen": {"film_share": 1.0},
    }
    recipe, split = named_series(name, TINY, frames=4, given=given)
    assert 0.7 <= split.camera(recipe, 0, 0, 0).c0 <= 0.8
    assert 100 <= split.conditions(recipe, 0, 0, 0).defocus <= 101
    assert split.conditions(recipe, 0, 0, 0).blur <= 0.2
    assert (split.doses[0], split.doses[-1]) == (20, 80)
    assert (recipe.specimen.film_share, recipe.specimen.free_share) == (1.0, 0.0)


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    """A ramp of one particle, a bare support and vacuum, its support a class of its own."""
    folder = tmp_path_factory.mktemp("classes")
    recipe = TINY.model_copy(update={"support_class": True})
    part = named_series("ramp", recipe, frames=2, supports=1, vacuum=1)
    specimens = make_specimens(folder / "specimens.json", [part], 0, serial)["ramp"]
    make_waves(folder / "waves.zarr", part[0], 0, part[1], specimens, serial)
    make_images(folder / "images.zarr", folder / "waves.zarr", part[0], 0, part[1], specimens, serial)
    return ImageSet(folder / "images.zarr", "ramp")


def test_a_series_is_of_whole_supported_particles_on_their_zone_axis(classes):
    assert classes.kinds == ["particle", "support", "vacuum"]
    assert classes.doses == [10, 1300]
    _, mask = classes.load(0, 0)
    assert 0.05 <= mask.mean() <= 0.4


def test_three_classes(classes):
    particle, support, vacuum = (classes.labels(index, 0) for index in range(3))
    assert particle.dtype == np.uint8
    assert set(np.unique(particle)) == {0, 1, 2}
    assert set(np.unique(support)) == {0, 2}
    assert not vacuum.any()
    image, mask = classes.load(0, 1)
    assert mask.dtype == bool
    assert np.array_equal(mask, particle == 1)
    # The support scatters: where it is, the image at 1300 e/Å2 varies more than in vacuum.
    assert image[particle == 2].std() > 1.2 * image[particle == 0].std()
