"""One run of a command that can be killed: a process group of its own, forked with its modules loaded already."""

import importlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from unittest import mock

# Threads do not survive a fork, and locks that they hold do: there must be none.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")

# What commands load when they begin.
_MODULES = (
    "framedose.cli.simulate",
    "framedose.cli.train",
    "framedose.paper.results",
    "framedose.study.run",
    "framedose.study.physics",
    "framedose.study.titrate",
    "framedose.study.evaluate",
    "framedose.inference.batch",
    "framedose.camera.calibrate",
    "framedose.camera.page",
    "framedose.dataset.folder",
)
_LOG = "said.txt"


class Process:
    """A command that runs.

    Parameters
    ----------
    number
        Of the process, and of its group.
    log
        What it says.
    """

    def __init__(self, number: int, log: Path) -> None:
        self._number, self._log = number, log

    def killed_after(self, seconds: float) -> bool:
        """Kill the whole group after a time; return whether it still ran."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if os.waitpid(self._number, os.WNOHANG)[0]:
                return False
            time.sleep(min(0.002, max(0.0, deadline - time.monotonic())))
        os.killpg(self._number, signal.SIGKILL)
        _, status = os.waitpid(self._number, 0)
        return os.WIFSIGNALED(status)

    def end(self) -> tuple[int, str]:
        """Wait for the end; return the exit status and what was said."""
        _, status = os.waitpid(self._number, 0)
        return os.waitstatus_to_exitcode(status), self._log.read_text(encoding="utf-8", errors="replace")


def start(words: Sequence[str], folder: Path, *, workers: bool) -> Process:
    """Start a command in ``folder``."""
    for name in _MODULES:
        importlib.import_module(name)
    log = folder.parent / _LOG
    number = os.fork()
    if number == 0:
        # Nothing of the parent may run on in the child, whatever happens.
        status = 70
        try:
            status = _child(words, folder, log, workers)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    # Also here: the group must be there before it is killed.
    os.setpgid(number, number)
    return Process(number, log)


def run_here(words: Sequence[str], folder: Path) -> None:
    """Run a command in this process, which then has compiled what its children would have to compile each time."""
    from framedose.cli import main

    before = Path.cwd()
    os.chdir(folder)
    try:
        with _no_workers():
            if status := main(list(words)):
                raise SystemExit(f"{' '.join(words)} fails with status {status}")
    finally:
        os.chdir(before)


def run(words: Sequence[str], folder: Path, *, workers: bool) -> tuple[int, str]:
    """Run a command in ``folder`` to its end; return the exit status and what was said."""
    return start(words, folder, workers=workers).end()


def _child(words: Sequence[str], folder: Path, log: Path, workers: bool) -> int:
    from framedose.cli import main

    os.setpgid(0, 0)
    os.chdir(folder)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    with nullcontext() if workers else _no_workers():
        return main(list(words))


@contextmanager
def _no_workers() -> Iterator[None]:
    """Let simulations run their tasks in their own process."""
    from framedose import workers
    from framedose.study import run as study

    def alone(_: int) -> AbstractContextManager[workers.Runner]:
        return nullcontext(workers.in_turn)

    with mock.patch.object(workers, "workers", alone), mock.patch.object(study, "workers", alone):
        yield
