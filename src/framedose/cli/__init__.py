"""The command line: a thin layer over the Python functions, and the only place that prints or exits."""

import os
import sys
from collections.abc import Sequence

from cyclopts import App
from cyclopts.exceptions import CycloptsError

from framedose import __version__
from framedose.errors import FramedoseError

_WRONG_USE, _INTERRUPTED = 2, 130

# Each is the function (of weights, the App) of this name in the module of this name, which loads only when the command
# is used.
_COMMANDS = {
    "study": "Make a dose-limit report, from atoms to trained networks.",
    "simulate": "Make a dataset of simulated images and masks.",
    "show": "Draw a sheet of a dataset's images and masks, to look at before training.",
    "train": "Train a network on a dataset.",
    "segment": "Segment the particles in real micrographs.",
    "evaluate": "Find the dose limits of networks on a series of rising dose.",
    "compare": "Compare two evaluated networks on the same frames.",
    "physics": "Compute the doses that physics allows on a simulated series.",
    "plan": "Plan an experiment from dose limits: exposure, frame rate, frames to sum.",
    "calibrate": "Measure the noise of a camera on vacuum frames.",
    "titrate": "Show what a network would see of a real micrograph at lower doses.",
    "reproduce": "Make the paper's figures and tables anew.",
    "weights": "List, show, average, turn, sharpen, halve and export trained networks.",
}
_USAGE = {
    "study": "[OPTIONS]",
    "simulate": "RECIPE.yaml [OPTIONS]",
    "show": "DATASET [OPTIONS]",
    "train": "DATASET [OPTIONS]",
    "segment": "FILES... [OPTIONS]",
    "calibrate": "FILES... [OPTIONS]",
    "evaluate": "INPUTS... [OPTIONS]",
    "compare": "FIRST SECOND [OPTIONS]",
    "physics": "SERIES [OPTIONS]",
    "plan": "[EVALUATION or RECIPE.yaml] --dose-rate RATE [OPTIONS]",
    "reproduce": "[IDS...] [OPTIONS]",
    "titrate": "FILE --camera CAMERA --doses DOSES [OPTIONS]",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0, or with one line on standard error 2, or 130 for Ctrl-C.

    Parameters
    ----------
    arguments
        Words of the command line without the program's name; those of this process if None.
    """
    # Before torch loads: its idle threads then sleep. Spinning, they take the cores from the MSD-net's own threads, and
    # from whatever else runs on a laptop.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    app = _app(chosen=words[0] if words else "")
    try:
        app(words, exit_on_error=False, print_error=False, verbose=False, result_action="return_none")
    except (FramedoseError, CycloptsError, OSError, KeyboardInterrupt) as error:
        if debug:
            raise
        line, status = _one_line(error), _INTERRUPTED if isinstance(error, KeyboardInterrupt) else _WRONG_USE
    else:
        return 0
    # Out here the error is gone, and with it its frames and a progress bar that was under way: the line begins anew.
    print(f"framedose: {line}", file=sys.stderr)
    return status


def _app(*, chosen: str) -> App:
    """Return the commands; the chosen one is described by its own docstring, the others by one line."""
    app = App(
        name="framedose",
        version=__version__,
        help="At what electron dose can a neural network still see a nanoparticle? And where is one in a micrograph?",
        help_epilogue="Any command takes --debug, which shows the traceback of an error.",
        help_format="plaintext",
        suppress_keyboard_interrupt=False,
    )
    for name, summary in _COMMANDS.items():
        # An App knows its own help and usage, and may be given neither once it is loaded.
        help_ = {} if name == chosen else {"help": summary}
        usage = {"usage": f"Usage: framedose {name} {_USAGE[name]}"} if name in _USAGE else {}
        app.command(f"framedose.cli.{name}:{name}", name=name, **help_, **usage)
    return app


def _one_line(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, OSError) and error.strerror:
        place = f": {error.filename}" if error.filename else ""
        return f"error: {error.strerror}{place}"
    return "error: " + " ".join(str(error).split())
