"""The script that makes the shipped weights: its commands, in their order, are such as framedose takes."""

import json
import os
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

from framedose.cli import main
from framedose.networks.sharpen import Sharpening
from framedose.networks.weights import SHIPPED, load_network

SCRIPT = Path(__file__).parents[2] / "weights" / "shipped.sh"

# Stands for framedose: fails where an input is not made yet, writes down the command, and makes an empty output.
STAND_IN = """#!{python}
import itertools, json, pathlib, sys
words = sys.argv[1:]
options = dict(zip(words, words[1:]))
inputs = list(itertools.takewhile(lambda word: not word.startswith("--"), words[2 if words[0] == "weights" else 1:]))
inputs += [options["--start-from"]] if words[0] == "train" else []
missing = [name for name in inputs if not pathlib.Path(name).exists()]
if missing:
    sys.exit(f"{{words}} needs {{missing}}")
with open({log!r}, "a") as log:
    log.write(json.dumps(words) + "\\n")
out = pathlib.Path(options["--out"])
if out.suffix:
    out.touch()
else:
    out.mkdir(exist_ok=True)
    if words[0] == "train":
        (out / (options["--network"] + ".safetensors")).touch()
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The folder of the script, its commands, and those when it goes on after a stop."""
    folder = tmp_path_factory.mktemp("shipped script")
    log, stand_in = folder / "log", folder / "bin" / "framedose"
    stand_in.parent.mkdir()
    stand_in.write_text(STAND_IN.format(python=sys.executable, log=str(log)))
    stand_in.chmod(0o755)
    environment = os.environ | {"PATH": f"{stand_in.parent}{os.pathsep}{os.environ['PATH']}"}
    commands = []
    for _ in range(2):
        log.unlink(missing_ok=True)
        subprocess.run(["bash", SCRIPT, folder / "made"], env=environment, check=True)
        commands.append([json.loads(line) for line in log.read_text().splitlines()])
    made = {path.name for path in (folder / "made").iterdir()}
    assert {"best.safetensors", "unet.safetensors", "msdnet.safetensors"} <= made
    return folder / "made", commands


def test_recipes_and_settings_are_valid(runs, monkeypatch, capsys):
    folder, (first, _) = runs
    # The crystals that it writes are read.
    monkeypatch.chdir(folder)
    checked = 0
    for words in first:
        if words[0] == "simulate":
            assert main([*words, "--print-recipe"]) == 0, capsys.readouterr().err
        elif words[0] == "train":
            start = words.index("--start-from")
            assert main([*words[:start], *words[start + 2 :], "--print-settings"]) == 0, capsys.readouterr().err
        else:
            continue
        checked += 1
    assert checked >= 35


def test_files_of_weights_are_made_once(runs):
    made = [" ".join(words) for words in chain(*runs[1]) if words[0] == "weights"]
    assert made
    assert len(set(made)) == len(made)


@pytest.mark.parametrize("name", SHIPPED)
def test_it_reads_the_networks_as_they_ship(runs, name):
    made = {words[words.index("--out") + 1]: words for words in runs[1][0] if words[:2] == ["weights", "sharpen"]}
    words = made[f"{name}.safetensors"]
    said = {key: float(words[words.index(f"--{key.replace('_', '-')}") + 1]) for key in Sharpening.model_fields}
    assert load_network(name).metadata.sharpening == Sharpening.model_validate(said)
