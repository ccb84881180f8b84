"""A process that opens files that it is told of, so that a crash, a hang or a flood of memory is seen and survived.

Each line on standard input is the JSON [kind, path], each line of the answer the JSON [outcome, words, peak], with
outcome ``read``, ``refused`` (a FramedoseError or OSError of one line) or ``fault`` (anything else), and the greatest
resident memory so far [MB].
"""

import contextlib
import itertools
import json
import resource
import sys
import traceback
import warnings
from pathlib import Path

import numpy as np

from framedose.errors import FramedoseError

sys.path.insert(0, str(Path(__file__).parents[1]))
from peak_memory import peak_memory

# A backstop for the machine, far above the bound that the tests hold [bytes].
ADDRESS_SPACE = 6 << 30


def micrograph(path):
    from framedose.files import read

    frames = read(path, sampling=0.5)
    # A file may claim any number of frames: the first ones and the last.
    for index in {*range(min(3, len(frames))), len(frames) - 1} if len(frames) else ():
        assert np.isfinite(frames[index].image).all()


def weights(path):
    from framedose.networks.weights import load_network

    load_network(path)


def passport(path):
    from framedose.camera.passport import load_passport

    loaded = load_passport(path)
    loaded.ranges()
    camera = loaded.simulated()
    assert np.isfinite(camera.mtf(np.linspace(0, 1, 5))).all()


def recipe(path):
    _command("simulate", path, "--print-recipe")


def study(path):
    _command("study", "--config", path, "--print-settings")


def training(path):
    _command("train", "--config", path, "--print-settings")


def doses(path):
    from framedose.study.recorded import _read_doses

    assert all(0 < dose < np.inf for dose in _read_doses(path, 3))


def checkpoint(path):
    import torch

    from framedose.training.checkpoint import State

    network = torch.nn.Conv2d(1, 2, 3)
    State({"network": network}, torch.optim.Adam(network.parameters()), "run", 0, {}).load(path)


def measured(path):
    from framedose.cli.compare import compare

    compare(path, path, resamples=100)


def evaluated(path):
    from framedose.cli.plan import plan

    plan(str(path.parent), dose_rate=100.0)


def _command(name, *words):
    from framedose.cli import main

    # Its own handling of errors is not looked at here.
    main([name, *map(str, words), "--debug"])


def main():
    kinds = {kind.__name__: kind for kind in (micrograph, weights, passport, recipe, study, training)}
    kinds |= {kind.__name__: kind for kind in (doses, checkpoint, measured, evaluated)}
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in itertools.chain(sys.stdin):
        kind, path = json.loads(line)
        with warnings.catch_warnings(), contextlib.redirect_stdout(None):
            # As users have them: a warning of a library is no error.
            warnings.simplefilter("ignore")
            outcome = _tried(kinds[kind], Path(path))
        print(json.dumps([*outcome, peak_memory()]), file=answers, flush=True)


def _tried(opened, path):
    try:
        opened(path)
    except (FramedoseError, OSError) as error:
        words = str(error)
        return ("fault", f"of several lines: {words}") if "\n" in words.strip() else ("refused", words)
    except BaseException:
        return "fault", traceback.format_exc()
    return "read", ""


if __name__ == "__main__":
    main()
