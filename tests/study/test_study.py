"""The whole command on tiny generated data."""

import json
import shutil

import numpy as np
import pytest
import yaml

from framedose.cli import main
from framedose.config import merged
from framedose.errors import ConfigurationError
from framedose.study import evaluate as study_evaluate
from framedose.study import run as study_run
from framedose.study.config import study_config

TINY = {
    "seed": 4,
    "dataset": {
        "structures": 4,
        "validation_structures": 2,
        "image_epochs": 2,
        "support_share": 0.25,
        "vacuum_share": 0.25,
        "gpts": 256,
        "margin": 16,
        "specimen": {"radius": {"low": 4.0, "high": 6.0}, "thickness": {"low": 5.0, "high": 8.0}},
        "exit_wave": {"sampling": 0.2, "band_limit": 1.6},
    },
    "unet": {
        "network": {"width": 2, "poolings": 2, "kernel": 3},
        "training": {"steps": 12, "batch": 2, "validate_every": 6, "checkpoint_every": 4},
    },
    "msdnet": {
        "network": {"layers": 3, "kernel": 3},
        "training": {"steps": 12, "batch": 2, "validate_every": 6, "checkpoint_every": 4},
    },
    "evaluation": {
        "structures": 3,
        "vacuum_frames": 2,
        "support_frames": 1,
        "threshold": 0.3,
        "doses": {"count": 4},
        "resamples": 100,
    },
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study made by the command line."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    out = folder / "my study"
    assert main(["study", "--config", str(folder / "tiny.yaml"), "--out", str(out), "--workers", "2"]) == 0
    return out


def numbers(out):
    content = json.loads((out / "results.json").read_text())
    return content["networks"]


def test_the_folder_holds_what_the_readme_promises(finished):
    for name in ("report.html", "results.json", "curves.csv", "limits.csv", "area.png", "overlays.png"):
        assert (finished / name).stat().st_size > 500
    content = json.loads((finished / "results.json").read_text())
    assert content["wall_seconds"] > 0
    for name in ("unet", "msdnet"):
        result = content["networks"][name]
        assert 0 <= result["f1_high_dose"] <= 1
        assert set(result["dose_50_area"]) >= {"value", "low", "high"}
        assert 0 <= result["vacuum_false_area_max"] <= 1
        assert len(result["curves"]["doses"]) == 4
    assert content["config"]["seed"] == 4


def test_a_finished_study_is_not_made_again(finished, monkeypatch, capsys):
    before = numbers(finished)

    def never(*_, **__):
        raise AssertionError("a finished stage was made again")

    monkeypatch.setattr(study_evaluate, "measure", never)
    for stage in ("workers", "train_network"):
        monkeypatch.setattr(study_run, stage, never)
    config = finished.parent / "tiny.yaml"
    assert main(["study", "--config", str(config), "--out", str(finished)]) == 0
    assert numbers(finished) == before
    assert "50 % of the area" in capsys.readouterr().out


def test_a_study_killed_in_each_stage_ends_with_the_same_numbers(finished, tmp_path, monkeypatch):
    out = tmp_path / "killed"
    config = study_config("quick", TINY)
    originals = {
        stage: getattr(study_run, stage) for stage in ("make_waves", "make_images", "train_network", "measured_once")
    }

    class Killed(Exception):
        pass

    for stage, original in originals.items():

        def dying(*arguments, _original=original, **options):
            _original(*arguments, **options)
            raise Killed

        monkeypatch.setattr(study_run, stage, dying)
        with pytest.raises(Killed):
            study_run.run_study(config, out, processes=1)
        monkeypatch.setattr(study_run, stage, original)
    study_run.run_study(config, out, processes=1)
    assert numbers(out) == numbers(finished)
    for name in ("unet", "msdnet"):
        with np.load(out / f"{name}.measured.npz") as ours, np.load(finished / f"{name}.measured.npz") as theirs:
            for key in theirs:
                np.testing.assert_array_equal(ours[key], theirs[key])


@pytest.mark.parametrize("option", [["--seed", "5"], ["--dataset.binning=2"]])
def test_a_folder_of_another_study_is_refused(finished, option, capsys):
    before = numbers(finished)
    config = finished.parent / "tiny.yaml"
    assert main(["study", "--config", str(config), "--out", str(finished), *option]) == 2
    error = capsys.readouterr().err
    assert "other settings or another seed" in error
    assert error.count("\n") == 1
    assert numbers(finished) == before


def test_a_foreign_folder_is_left_alone(tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("dear reader")
    assert main(["study", "--out", str(tmp_path)]) == 2
    assert "is not a study's" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset.conditions.dose.low", "-5"], "dose.low must be at least 0|a log range needs low > 0"),
        (["--dataset.bining", "2"], "did you mean 'binning'"),
        (["--sed", "2"], "did you mean --seed"),
        (["--preset", "quik"], "must be one of quick"),
        (["--dataset.binning"], "needs a value"),
        (["--dataset.structures", "many"], "dataset.structures"),
        (["--workers", "0"], "processes must be at least 1"),
        (["--config", "missing.yaml"], "missing.yaml"),
        (["hello"], "Unexpected argument 'hello'"),
    ],
)
def test_bad_input_is_one_clear_line_and_writes_nothing(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["study", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("framedose: error: ")
    assert error.count("\n") == 1
    assert any(part in error for part in message.split("|"))
    assert not list(tmp_path.iterdir())


def test_printed_settings_are_settings_again(tmp_path, capsys):
    assert main(["study", "--print-settings", "--seed", "9", "--evaluation.doses.high", "2e4"]) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert study_config("quick", printed) == study_config("quick", {"seed": 9, "evaluation": {"doses": {"high": 2e4}}})


def test_quick_preset_keeps_the_papers_ranges():
    conditions = study_config("quick").dataset.conditions
    assert (conditions.defocus.low, conditions.defocus.high, conditions.cs.high) == (-200, 200, 1.245e5)
    assert (conditions.dose.low, conditions.dose.high, conditions.dose.scale) == (1e2, 1e6, "log")
    camera = study_config("quick").dataset.camera
    assert (camera.c0.low, camera.c0.high, camera.c3.low, camera.c3.high) == (0.25, 0.6, 2.0, 5.0)


def test_unknown_preset():
    with pytest.raises(ConfigurationError, match="preset must be one of quick"):
        study_config("fast")


def test_a_damaged_study_card_is_refused(finished, tmp_path):
    out = tmp_path / "copy"
    out.mkdir()
    shutil.copy(finished / "specimens.json", out)
    (out / "study.json").write_text("{")
    with pytest.raises(Exception, match="other settings"):
        study_run.run_study(study_config("quick", TINY), out)


def test_a_study_is_evaluated_on_a_named_series(tmp_path):
    """The dose ramp of the paper's experiment, in place of frames like those of the training."""
    ramp = merged(TINY, {"evaluation": {"series": "ramp", "frames": 4, "high_dose": 500}})
    results = study_run.run_study(study_config("quick", ramp), tmp_path / "ramp", processes=1)
    assert results["networks"]["msdnet"]["curves"]["doses"] == [10, 440, 870, 1300]
    assert (tmp_path / "ramp" / "images.zarr" / "ramp").is_dir()
    assert not (tmp_path / "ramp" / "images.zarr" / "test").exists()
