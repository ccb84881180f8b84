"""The script that trains in minutes of a GPU: its commands are such as framedose takes, within its time."""

import importlib.util
import itertools
import sys
from pathlib import Path

import pytest

from framedose.cli import main

SCRIPT = Path(__file__).parents[2] / "weights" / "gpu.py"


@pytest.fixture
def script(monkeypatch):
    spec = importlib.util.spec_from_file_location("gpu_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    clock = itertools.count(0, 0.5)
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    return module


def run(script, monkeypatch, folder, broken=()):
    """Run the script with a framedose that makes nothing, and fails for some; return the commands."""
    commands = {}

    def framedose(*words, out, until, **environment):
        commands[out.name] = words
        return out.name not in broken

    monkeypatch.setattr(script, "framedose", framedose)
    monkeypatch.setattr(sys, "argv", ["gpu.py", str(folder), "--seconds", "300"])
    script.main()
    return commands


def inputs(words):
    return [Path(word).name for word in itertools.takewhile(lambda word: not word.startswith("--"), words[1:])]


def test_recipes_and_settings_are_valid_and_all_seeds_differ(script, monkeypatch, tmp_path, capsys):
    commands = run(script, monkeypatch, tmp_path)
    training = commands.pop("unet-wide")
    assert list(commands) == list(script.DATASETS)
    assert inputs(training) == list(script.DATASETS)
    for words in commands.values():
        assert main([*words, "--print-recipe"]) == 0, capsys.readouterr().err
    options = [word for word in training[1:] if word not in {str(tmp_path / name) for name in script.DATASETS}]
    assert main(["train", *options, "--print-settings"]) == 0, capsys.readouterr().err
    assert len({options["seed"] for options in script.DATASETS.values()}) == len(script.DATASETS)
    # What is left of five minutes when the training starts and ends.
    assert 0 < 60 * float(training[training.index("--max-minutes") + 1]) < 300 - script.AROUND


def test_it_trains_on_what_is_complete_and_goes_on_with_the_same(script, monkeypatch, tmp_path):
    first = run(script, monkeypatch, tmp_path, broken={"low2", "nulls3"})
    assert set(inputs(first["unet-wide"])) == set(script.DATASETS) - {"low2", "nulls3"}
    # More is complete now; another mixture would be another training.
    assert inputs(run(script, monkeypatch, tmp_path)["unet-wide"]) == inputs(first["unet-wide"])
    with pytest.raises(SystemExit, match="not complete are wide1"):
        run(script, monkeypatch, tmp_path, broken={"wide1"})


@pytest.mark.parametrize(("broken", "message"), [("all", "no dataset is complete"), ("unet-wide", "unet-wide.log")])
def test_failures_are_said(script, monkeypatch, tmp_path, broken, message):
    with pytest.raises(SystemExit, match=message):
        run(script, monkeypatch, tmp_path, broken=set(script.DATASETS) if broken == "all" else {broken})


def test_a_command_ends_with_its_time(script, monkeypatch, tmp_path):
    monkeypatch.undo()
    out = tmp_path / "data"
    begun = script.time.monotonic()
    assert not script.framedose("simulate", "--preset", "paper", out=out, until=begun + 3)
    assert script.time.monotonic() - begun < 30
    assert not script.framedose("simulate", "--preset", "papper", out=out, until=begun + 60)
    assert "papper" in (tmp_path / "data.log").read_text()
