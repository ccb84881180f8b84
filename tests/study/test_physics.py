"""The three curves of a tiny series, end to end."""

import json

import numpy as np
import pytest

from framedose.config import Range
from framedose.dataset.recipe import DatasetRecipe, Split, make_kinds
from framedose.dataset.render import make_specimen
from framedose.errors import ConfigurationError, OutputExistsError
from framedose.evaluation.summary import DoseGrid, EvaluationConfig
from framedose.microscope.exit_wave import ExitWaveConfig
from framedose.random import generator
from framedose.specimen.assembly import build_specimen
from framedose.specimen.config import SpecimenConfig
from framedose.study.physics import load_physics, physics_curves
from framedose.study.physics_field import PhysicsConfig
from framedose.study.series import evaluation_series
from framedose.workers import in_turn

RECIPE = DatasetRecipe(
    structures=1,
    validation_structures=1,
    gpts=96,
    margin=8,
    binning=2,
    specimen=SpecimenConfig(radius=Range(low=3.5, high=4), thickness=Range(low=5, high=6)),
    exit_wave=ExitWaveConfig(sampling=0.25, band_limit=1.3),
    conditions={"sampling": {"low": 0.19, "high": 0.21}},
)
EVALUATION = EvaluationConfig(structures=3, resamples=100, high_dose=1000.0)
_, SPLIT = evaluation_series(RECIPE, EVALUATION)
CONFIG = PhysicsConfig(
    templates=4, doses=DoseGrid(low=10, high=1e4, count=4), frames=1, null_frames=4, false_share=0.1, patch=2.0
)


class Interrupted(Exception):
    """In place of a killed process."""


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """Curves that were interrupted at every third item and went on; with the folder."""
    folder = tmp_path_factory.mktemp("physics")

    def two_items(task, items, label, done):
        in_turn(task, items[:2], label, done)
        if len(items) > 2:
            raise Interrupted

    for _ in range(2):
        # Four templates, then three structures: each is begun twice.
        with pytest.raises(Interrupted):
            physics_curves(RECIPE, SPLIT, EVALUATION, CONFIG, seed=1, folder=folder, run=two_items)
    return folder, physics_curves(RECIPE, SPLIT, EVALUATION, CONFIG, seed=1, folder=folder, run=two_items)


def test_the_curves_are_in_the_order_that_physics_has(computed):
    _, result = computed
    assert result.likelihood_ratio.label == result.prewhitening.label == "signal known exactly"
    # Who knows the signal needs less dose than who does not, and who sees the counts least of all.
    floor, known = result.likelihood_ratio.dose.value, result.prewhitening.dose.value
    assert floor < known
    for curve in (result.likelihood_ratio, result.prewhitening, result.patch):
        assert (np.diff(curve.d_prime) > 0).all()
        assert (np.diff(curve.reached) >= 0).all()
    assert result.patch.dose.value is None or result.patch.dose.value > known
    assert result.same_task.null_frames == 15
    assert result.same_task.found[-1] == 1
    assert result.segmentation.doses == result.same_task.doses == [10, 100, 1000, 10000]
    assert result.segmentation.area_ratio.mean[-1] > 0.3
    assert max(result.segmentation.vacuum_false_area) < 0.2


def test_the_result_is_written_and_made_from_the_same_numbers_again(computed):
    folder, result = computed
    content = json.loads((folder / "physics.json").read_text())
    assert content.pop("made_from")
    assert content.pop("series")
    assert content == json.loads(result.model_dump_json())
    times = {path: path.stat().st_mtime_ns for path in folder.glob("*/*")}
    assert len(times) == 7

    def nothing(*_):
        raise AssertionError("All was finished.")

    again = physics_curves(RECIPE, SPLIT, EVALUATION, CONFIG, seed=1, folder=folder, run=nothing)
    assert again == result
    assert times == {path: path.stat().st_mtime_ns for path in folder.glob("*/*")}


def test_bare_specimen_is_the_same_without_its_particle():
    split = Split("test", make_kinds(3, 0, 0), 1)
    for index in range(3):
        specimen = make_specimen(RECIPE, 1, split, index)
        rng = generator(1, "specimen", "test", index)
        alone = build_specimen(RECIPE.specimen, RECIPE.view, RECIPE.extent, rng, "support")
        bare = specimen.bare()
        assert set(bare.symbols) == {"Ce", "O"}
        assert bare.cell[2, 2] == specimen.atoms.cell[2, 2]
        # The whole specimen may reach lower along the beam than its support.
        shifted = bare.positions - [0, 0, bare.positions[:, 2].min() - alone.atoms.positions[:, 2].min()]
        assert shifted == pytest.approx(alone.atoms.positions, abs=1e-9)
        assert (specimen.atoms.numbers == 79).sum() + len(bare) == len(specimen.atoms)


def test_free_particles_leave_vacuum_and_films_stay():
    film = RECIPE.specimen.model_copy(update={"support": "none", "film_share": 1.0, "film": Range(low=5, high=6)})
    free = RECIPE.specimen.model_copy(update={"support": "none"})
    carbon, nothing = (
        build_specimen(config, RECIPE.view, RECIPE.extent, generator(1, "film", 0)) for config in (film, free)
    )
    assert set(carbon.bare().symbols) == {"C"}
    assert len(nothing.bare()) == 0


def test_settings_that_cannot_give_the_curves_are_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="false_share 0.01 needs at least 100"):
        physics_curves(
            RECIPE, SPLIT, EVALUATION, CONFIG.model_copy(update={"false_share": 0.01}), seed=1, folder=tmp_path
        )
    low = CONFIG.model_copy(update={"doses": DoseGrid(low=1, high=500, count=4)})
    with pytest.raises(ConfigurationError, match=r"doses\.high"):
        physics_curves(RECIPE, SPLIT, EVALUATION, low, seed=1, folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_curves_of_another_series_are_refused(computed, tmp_path):
    folder, result = computed
    series = SPLIT.digest(RECIPE, 1)
    assert load_physics(folder / "physics.json", series) == result
    with pytest.raises(ConfigurationError, match="of another series"):
        load_physics(folder / "physics.json", SPLIT.digest(RECIPE, 2))
    with pytest.raises(OutputExistsError, match="curves of another series"):
        physics_curves(RECIPE, SPLIT, EVALUATION, CONFIG, seed=2, folder=folder)
    with pytest.raises(ConfigurationError, match="needs at least two, got 1"):
        one = Split("test", make_kinds(1, 0, 0), 1)
        config = CONFIG.model_copy(update={"null_frames": 99})
        physics_curves(RECIPE, one, EVALUATION, config, seed=1, folder=tmp_path / "one")
