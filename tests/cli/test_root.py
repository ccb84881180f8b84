import subprocess
import sys
import time

import pytest

import framedose
from framedose.cli import main
from framedose.errors import FramedoseError


def run(*arguments):
    return subprocess.run([sys.executable, "-m", "framedose", *arguments], capture_output=True, text=True, check=False)


def test_help_is_quick_and_names_the_commands():
    start = time.perf_counter()
    done = run("--help")
    seconds = time.perf_counter() - start
    assert done.returncode == 0, done.stderr
    assert "segment      Segment the particles" in done.stdout
    assert "study        Make a dose-limit report" in done.stdout
    # Under a second alone; a busy machine gets three.
    assert seconds < 3


@pytest.mark.parametrize(
    "module", ["torch", "numba", "abtem", "ase", "matplotlib", "skimage", "zarr", "framedose.cli.study"]
)
def test_help_imports_nothing_heavy(module, loaded_by_help):
    assert module not in loaded_by_help


@pytest.fixture(scope="module")
def loaded_by_help():
    code = "import sys; from framedose.cli import main; main(['--help']); print('LOADED', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split("LOADED")[1].split()


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == framedose.__version__


@pytest.mark.parametrize("command", [[], ["segment"], ["calibrate"]])
def test_help_of_a_command(command, capsys):
    assert main([*command, "--help"]) == 0
    assert "Usage: framedose" in capsys.readouterr().out


def test_help_of_segment_shows_examples_and_units(capsys):
    main(["segment", "--help"])
    said = capsys.readouterr().out
    assert "framedose segment frame.dm4" in said
    assert "Å per pixel" in said


def test_unknown_command(capsys):
    assert main(["segmet"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert 'Did you mean "segment"?' in said


@pytest.mark.parametrize(
    "words", [["--debug", "segment", "a.tif", "--threshold", "7"], ["segment", "a.tif", "--threshold", "7", "--debug"]]
)
def test_debug_anywhere_shows_the_traceback(words):
    with pytest.raises(FramedoseError, match="threshold"):
        main(words)


def test_debug_as_a_process():
    done = run("segment", "no.tif", "--threshold", "7", "--debug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "ConfigurationError: --threshold must lie between 0 and 1" in done.stderr
