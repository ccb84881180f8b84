"""How the fuzz tests run: how many examples, and the process that opens the damaged files."""

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, settings

_COMMON = {"deadline": None, "suppress_health_check": list(HealthCheck)}
# A new example each time in the campaign; the same ones in CI, which must not fail by chance.
settings.register_profile("ci", max_examples=25, derandomize=True, database=None, **_COMMON)
settings.register_profile("campaign", max_examples=1000, **_COMMON)
# Greatest resident memory of a process that has read all files of a test module, of which the libraries are half [MB].
MOST_MEMORY = 1000
PROFILE = settings.get_profile(os.environ.get("FRAMEDOSE_FUZZ", "ci"))


class Victim:
    """Another process that opens files; started anew when one has killed it.

    Parameters
    ----------
    seconds
        Of the processor's time after which a file that is still not read counts as a hang, whatever else the machine
        does meanwhile; sixty times as long on the clock.
    """

    def __init__(self, seconds=30):
        self._seconds, self._process = seconds, None
        self.peak = 0.0

    def opens(self, kind, path):
        """Return ``("read", "")`` or ``("refused", words)``; fail the test for everything else."""
        if self._process is None:
            self._start()
        self._process.stdin.write(json.dumps([kind, str(path)]) + "\n")
        self._process.stdin.flush()
        if not self._answers():
            self.end()
            pytest.fail(f"{path} was not read within {self._seconds} s")
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            self.end()
            pytest.fail(f"{path} ended the process with status {status}")
        outcome, words, self.peak = json.loads(line)
        if outcome == "fault":
            pytest.fail(f"{path}: {words}")
        return outcome, words

    def _answers(self):
        process, deadline = psutil.Process(self._process.pid), time.monotonic() + 60 * self._seconds
        most = sum(process.cpu_times()[:2]) + self._seconds
        while not select.select([self._process.stdout], [], [], 0.5)[0]:
            if sum(process.cpu_times()[:2]) > most or time.monotonic() > deadline:
                return False
        return True

    def _start(self):
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "victim.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def end(self):
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
