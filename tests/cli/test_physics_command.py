"""The command that computes what physics allows, on a tiny simulated series."""

import json
import shutil

import pytest
import yaml

from framedose.cli import main

RECIPE = {
    "gpts": 128,
    "margin": 8,
    "binning": 4,
    "specimen": {"radius": {"low": 3.0, "high": 3.5}, "thickness": {"low": 5.0, "high": 6.0}},
    "exit_wave": {"sampling": 0.25, "band_limit": 1.3},
}


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """The folder of a replica series of two particles."""
    folder = tmp_path_factory.mktemp("physics")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    words = ["--series", "replica", "--particles", "2", "--frames", "4", "--empty", "1", "--workers", "1"]
    assert main(["simulate", str(folder / "recipe.yaml"), *words, "--out", str(folder / "replica")]) == 0
    return folder / "replica"


def test_series_of_simulate_gets_its_three_curves_and_they_are_drawn_beside_a_network(series, tmp_path, capsys):
    out = tmp_path / "physics"
    assert main(["physics", str(series), "--templates", "2", "--workers", "1", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "95% of the particles are found at 1% false fields" in printed
    content = json.loads((out / "physics.json").read_text())
    # One frame in a hundred without a particle may be called one: two structures give that many frames.
    assert content["same_task"]["null_frames"] >= 100
    floor, known = content["likelihood_ratio"]["dose"]["value"], content["prewhitening"]["dose"]["value"]
    assert 0 < floor < known
    words = ["--network", "unet", "--physics", str(out / "physics.json"), "--out", str(tmp_path / "evaluation")]
    assert main(["evaluate", str(series), "--resamples", "100", *words]) == 0
    assert json.loads((tmp_path / "evaluation" / "results.json").read_text())["physics"]["templates"] == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--split", "ramp"], "holds replica, and no series ramp"),
        (["--templates", "1"], "templates"),
        (["--workers", "0"], "--workers must be at least 1, got 0"),
        (["--threshold", "1.5"], "threshold"),
    ],
)
def test_what_cannot_be_computed_is_refused_in_one_line(series, tmp_path, capsys, words, message):
    assert main(["physics", str(series), *words, "--out", str(tmp_path / "out")]) != 0
    errors = capsys.readouterr().err
    assert message in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "out").exists()


def test_series_of_another_recipe_than_its_folder_says_is_refused(series, tmp_path, capsys):
    copied = tmp_path / "copied"
    shutil.copytree(series, copied)
    card = copied / "recipe" / "complete.yaml"
    card.write_text(yaml.safe_dump({**yaml.safe_load(card.read_text()), "seed": 7}))
    assert main(["physics", str(copied), "--out", str(tmp_path / "out")]) != 0
    assert "made by another recipe or version" in capsys.readouterr().err
    assert main(["physics", str(tmp_path), "--out", str(tmp_path / "out")]) != 0
    assert "holds no dataset" in capsys.readouterr().err
