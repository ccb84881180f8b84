import numpy as np
import pytest
import zarr

from framedose.camera.noise import detect, sum_pixels
from framedose.config import Range, build
from framedose.dataset.generate import Shard, make_images, make_specimens, make_waves
from framedose.dataset.recipe import DatasetRecipe, Split, make_kinds, training_parts
from framedose.dataset.render import make_specimen, render
from framedose.dataset.store import ImageSet
from framedose.errors import ConfigurationError, FileFormatError, OutputExistsError, SpecimenError
from framedose.microscope.exit_wave import ExitWaveConfig
from framedose.random import generator
from framedose.specimen.config import SpecimenConfig

TINY = DatasetRecipe(
    structures=2,
    validation_structures=1,
    image_epochs=2,
    support_share=0.5,
    vacuum_share=0.5,
    gpts=256,
    margin=16,
    binning=4,
    specimen=SpecimenConfig(radius=Range(low=4, high=6), thickness=Range(low=5, high=8)),
    exit_wave=ExitWaveConfig(sampling=0.2, band_limit=1.6),
)
TRAIN = training_parts(TINY)[0][1]


def serial(task, indices, label, done):
    return [task(index) for index in indices]


def make(folder, recipe=TINY, seed=0, splits=(TRAIN,)):
    specimens = make_specimens(folder / "specimens.json", [(recipe, split) for split in splits], seed, serial)
    for split in splits:
        make_waves(folder / "waves.zarr", recipe, seed, split, specimens[split.name], serial)
        make_images(folder / "images.zarr", folder / "waves.zarr", recipe, seed, split, specimens[split.name], serial)
    return folder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make(tmp_path_factory.mktemp("dataset"))


def test_fields_have_the_kinds_and_masks_of_the_recipe(dataset):
    images = ImageSet(dataset / "images.zarr", "train")
    assert images.kinds == ["particle", "particle", "support", "vacuum"]
    assert images.shape == (4, 2, 64, 64)
    for index, kind in enumerate(images.kinds):
        for image in range(2):
            frame, mask = images.load(index, image)
            assert frame.dtype == np.float32
            assert (0.05 <= mask.mean() <= 0.40) if kind == "particle" else not mask.any()
    assert (images.conditions["sampling"] >= 0.28).all()
    assert (images.conditions["sampling"] <= 0.321).all()


def test_vacuum_counts_are_one_and_specimens_scatter(dataset):
    images = ImageSet(dataset / "images.zarr", "train")
    doses = images.conditions["dose"]
    for image in range(2):
        vacuum, _ = images.load(3, image)
        electrons = doses[3, image] * (images.conditions["sampling"][3, image]) ** 2
        readout = 16 * 0.01 / electrons
        error = np.sqrt(1 / electrons / vacuum.size) + 5e-4
        assert abs(vacuum.mean() - 1 - readout) < 5 * error + 0.5 * readout
    assert images.load(0, int(doses[0].argmax()))[0].std() > 0.02


def test_an_item_made_alone_is_the_same_bits(dataset):
    import zarr

    specimen = make_specimen(TINY, 0, TRAIN, 1)
    wave = zarr.open_group(dataset / "waves.zarr", mode="r")["train"][1]
    image, mask = render(TINY, 0, TRAIN, 1, 1, wave, specimen.hulls)
    stored = ImageSet(dataset / "images.zarr", "train").load(1, 1)
    assert np.array_equal(image.astype(np.float32), stored[0])
    assert np.array_equal(mask, stored[1])


def test_an_interrupted_dataset_goes_on_to_the_same_bits(dataset, tmp_path):
    class Killed(Exception):
        pass

    def dying(task, indices, label, done):
        results = []
        for number, index in enumerate(indices):
            if label.startswith("images") and number == 2:
                raise Killed
            results.append(task(index))
        return results

    specimens = make_specimens(tmp_path / "specimens.json", [(TINY, TRAIN)], 0, serial)["train"]
    make_waves(tmp_path / "waves.zarr", TINY, 0, TRAIN, specimens, serial)
    paths = tmp_path / "images.zarr", tmp_path / "waves.zarr"
    with pytest.raises(Killed):
        make_images(*paths, TINY, 0, TRAIN, specimens, dying)
    with pytest.raises(FileFormatError, match="2 of 4 fields"):
        ImageSet(paths[0], "train")
    made = []
    make_images(*paths, TINY, 0, TRAIN, specimens, lambda t, i, label, d: made.extend(i) or serial(t, i, label, d))
    assert [index for index, _ in made] == [2, 3]
    ours, theirs = ImageSet(paths[0], "train"), ImageSet(dataset / "images.zarr", "train")
    for index in range(4):
        for image in range(2):
            assert np.array_equal(ours.load(index, image)[0], theirs.load(index, image)[0])


def test_a_flipped_bit_is_found(dataset, tmp_path):
    make(tmp_path)
    shard = next(p for p in (tmp_path / "images.zarr/train/images/c/1").rglob("*") if p.is_file())
    data = bytearray(shard.read_bytes())
    data[len(data) // 4] ^= 1
    shard.write_bytes(data)
    images = ImageSet(tmp_path / "images.zarr", "train")
    with pytest.raises(FileFormatError, match="damaged"):
        for image in range(2):
            images.load(1, image)


def test_another_recipe_or_seed_in_the_folder_is_refused(dataset):
    paths = dataset / "images.zarr", dataset / "waves.zarr"
    specimens = make_specimens(dataset / "specimens.json", [(TINY, TRAIN)], 0, serial)["train"]
    for make_again in (
        lambda: make_specimens(dataset / "specimens.json", [(TINY, TRAIN)], 1, serial),
        lambda: make_waves(dataset / "waves.zarr", TINY, 1, TRAIN, specimens, serial),
        lambda: make_images(*paths, TINY, 1, TRAIN, specimens, serial),
    ):
        with pytest.raises(OutputExistsError, match="of another recipe or seed"):
            make_again()


def test_a_damaged_list_of_specimens_is_refused(tmp_path):
    (tmp_path / "specimens.json").write_text('{"splits": 3')
    with pytest.raises(FileFormatError, match="damaged"):
        make_specimens(tmp_path / "specimens.json", [(TINY, TRAIN)], 0, serial)


def test_a_specimen_that_changed_is_refused(tmp_path):
    specimens = make_specimens(tmp_path / "specimens.json", [(TINY, TRAIN)], 0, serial)["train"]
    specimens[1]["digest"] = "0" * 64
    with pytest.raises(SpecimenError, match="came out differently"):
        make_waves(tmp_path / "waves.zarr", TINY, 0, TRAIN, specimens, serial)


def test_splits_share_no_structure(tmp_path, monkeypatch):
    same = make_specimen(TINY, 0, TRAIN, 0)
    monkeypatch.setattr("framedose.dataset.generate.make_specimen", lambda *_: same)
    with pytest.raises(SpecimenError, match="must not share"):
        make_specimens(tmp_path / "specimens.json", training_parts(TINY), 0, serial)
    assert not (tmp_path / "specimens.json").exists()


def test_specimens_are_resumed_one_by_one_and_shared_between_shards(dataset, tmp_path):
    made = []

    def counting(task, indices, label, done):
        made.extend(indices)
        return serial(task, indices, label, done)

    class Killed(Exception):
        pass

    def dying(task, indices, label, done):
        task(indices[0])
        raise Killed

    path = tmp_path / "specimens.json"
    with pytest.raises(Killed):
        make_specimens(path, [(TINY, TRAIN)], 0, dying, Shard(1, 2))
    first = make_specimens(path, [(TINY, TRAIN)], 0, counting, Shard(1, 2))["train"]
    assert (sorted(first), made) == ([0, 2], [2])
    assert not path.exists()
    second = make_specimens(path, [(TINY, TRAIN)], 0, counting, Shard(2, 2))["train"]
    assert (sorted(second), made) == ([0, 1, 2], [2, 1])
    assert path.read_bytes() == (dataset / "specimens.json").read_bytes()
    assert [entry.name for entry in tmp_path.iterdir()] == ["specimens.json"]


def test_half_precision_costs_nothing():
    """Relative counts in float16: the rounding is far below the noise even at the highest dose and 4 x 4 summed."""
    electrons, camera = 1e6 * 0.08**2, TINY.camera.draw(generator(0))
    frame = detect(np.ones((256, 256)), electrons, camera, generator(0, "noise"))
    relative = sum_pixels(frame, 4) / (electrons * 16)
    rounding = relative.astype(np.float16).astype(np.float64) - relative
    assert rounding.var() < 0.05 * relative.var()
    # Fringes of a few percent are the weakest thing that anyone looks for.
    assert rounding.std() < 0.01 * 0.05
    # The electrons themselves would not fit.
    assert electrons * 16 > float(np.finfo(np.float16).max)


def test_a_dose_series_keeps_its_conditions_and_draws_new_noise():
    doses = (10.0, 100.0, 1000.0)
    split = Split("test", make_kinds(1, 0, 0), 3, doses)
    drawn = [split.conditions(TINY, 0, 0, image) for image in range(3)]
    assert [c.dose for c in drawn] == list(doses)
    assert len({(c.defocus, c.cs, c.blur, c.sampling) for c in drawn}) == 1
    assert split.camera(TINY, 0, 0, 0) == split.camera(TINY, 0, 0, 2)
    train = [TRAIN.conditions(TINY, 0, 0, image) for image in range(2)]
    assert train[0].defocus != train[1].defocus


def test_conditions_follow_table_1():
    recipe = DatasetRecipe()
    split = Split("train", make_kinds(400, 0, 0), 1)
    drawn = [split.conditions(recipe, 0, index, 0) for index in range(400)]
    for name, low, high in (("defocus", -200, 200), ("cs", 0, 1.245e5), ("focal_spread", 5, 20), ("blur", 0.1, 0.8)):
        values = np.array([getattr(c, name) for c in drawn])
        assert low <= values.min() < low + 0.03 * (high - low)
        assert high - 0.03 * (high - low) < values.max() <= high
    logs = np.log10([c.dose for c in drawn])
    assert logs.mean() == pytest.approx(4.0, abs=5 * 4 / np.sqrt(12 * 400))
    assert logs.std() == pytest.approx(4 / np.sqrt(12), rel=0.12)


def test_impossible_recipes_are_refused():
    with pytest.raises(ConfigurationError, match="binning must divide gpts"):
        build(DatasetRecipe, {"gpts": 510, "binning": 4}, where="settings")
    with pytest.raises(ConfigurationError, match="low must not exceed high"):
        build(DatasetRecipe, {"conditions": {"blur": {"low": 2, "high": 1}}}, where="settings")
    with pytest.raises(ConfigurationError, match="gpts.*less than or equal to 65536"):
        build(DatasetRecipe, {"gpts": 10**400}, where="recipe")
    with pytest.raises(ConfigurationError, match=r"c0\.low must be positive"):
        build(DatasetRecipe, {"camera": {"c0": {"low": 0, "high": 1}}}, where="recipe")
    with pytest.raises(ConfigurationError, match="dose.low must be positive"):
        build(DatasetRecipe, {"conditions": {"dose": {"low": -1, "high": 1}}}, where="settings")
    with pytest.raises(ConfigurationError, match="did you mean 'binning'"):
        build(DatasetRecipe, {"bining": 4}, where="settings")


def test_no_such_dataset():
    with pytest.raises(FileFormatError, match="holds no images"):
        ImageSet("nowhere.zarr", "train")


def test_frozen_phonons_are_stored_one_wave_each_and_can_be_made_again(tmp_path):
    moving = TINY.exit_wave.model_copy(update={"displacement": {"Au": 0.1, "Ce": 0.1, "O": 0.1}, "configurations": 2})
    recipe = TINY.model_copy(update={"exit_wave": moving})
    split = Split("train", make_kinds(1, 0, 0), 1)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        make(tmp_path / name, recipe, splits=(split,))
    waves, again = (zarr.open_group(tmp_path / name / "waves.zarr", mode="r")["train"][0] for name in ("one", "two"))
    assert waves.shape == (2, *(moving.stored_gpts(recipe.extent),) * 2)
    assert np.array_equal(waves, again)
    assert np.abs(waves[0] - waves[1]).max() > 0.01
    assert ImageSet(tmp_path / "one" / "images.zarr", "train").load(0, 0)[0].std() > 0


def test_ranges_of_the_paper_have_names():
    recipe = build(DatasetRecipe, {"conditions": {"dose": "low"}, "camera": "mtf3"}, where="recipe")
    assert (recipe.conditions.dose.low, recipe.conditions.dose.high, recipe.conditions.dose.scale) == (10, 1e4, "log")
    assert (recipe.camera.c0.low, recipe.camera.c0.high, recipe.camera.c3.low) == (0.2, 0.3, 1)
    with pytest.raises(ConfigurationError, match="one of high, low, full"):
        build(DatasetRecipe, {"conditions": {"dose": "lwo"}}, where="recipe")
    with pytest.raises(ConfigurationError, match="mtf1, mtf2"):
        build(DatasetRecipe, {"camera": "mtf9"}, where="recipe")


def test_datasets_of_other_cameras_and_doses_share_specimens_and_exit_waves():
    recipe = DatasetRecipe()
    _, split = training_parts(recipe)[0]
    other = DatasetRecipe(camera="mtf1", conditions={"dose": "low"})
    assert split.specimens_digest(recipe, 0) == split.specimens_digest(other, 0)
    assert split.digest(recipe, 0) != split.digest(other, 0)
    for changes in (
        {"specimen": {"radius": {"low": 4.0, "high": 12.0}}},
        {"exit_wave": {"slice_thickness": 0.5}},
        {"conditions": {"sampling": {"low": 0.06, "high": 0.08}}},
    ):
        assert split.specimens_digest(recipe, 0) != split.specimens_digest(DatasetRecipe.model_validate(changes), 0)
    assert split.specimens_digest(recipe, 0) != split.specimens_digest(recipe, 1)
