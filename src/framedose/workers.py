"""Worker processes: tasks mapped over the cores of this machine, or over a Dask cluster that runs already."""

import logging
import os
import queue
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from threading import Lock
from typing import Any

from framedose.errors import ConfigurationError, WorkerError
from framedose.progress import progress

# What else would start threads of its own in a worker.
_ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
# Seconds until the workers must have started, and until a running scheduler must have answered.
_START, _ANSWER = 120, 10
# Deaths of workers, for each that there should be, after which the run ends if no task was finished in between.
_DEATHS = 4
_DIED = (
    "Worker processes die again and again, most often for lack of memory: use fewer --workers, or lighter work: "
    "coarser exit waves (exit_wave.sampling), smaller frames. What is finished is kept."
)

Runner = Callable[[Callable[[Any], Any], Sequence[Any], str, int], list[Any]]
"""Maps a task over items and returns the results in order; the label and the number done before are for the bar."""


def in_turn(task: Callable[[Any], Any], items: Sequence[Any], label: str, done: int) -> list[Any]:
    """Run a task on one item after the other in this process, with a bar: a ``Runner`` that needs no workers."""
    return [task(item) for item in progress(items, total=done + len(items), label=label, done=done)]


def cores() -> int:
    """Return the number of cores that this process may use, which on a cluster's node need not be all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def wanted_workers(count: int | None) -> int:
    """Return how many processes ``--workers`` asks for; one for each core where it does not say.

    Raises
    ------
    ConfigurationError
        If it is not positive.
    """
    if count is None:
        return cores()
    if count < 1:
        raise ConfigurationError(f"--workers must be at least 1, got {count}.")
    return count


@contextmanager
def workers(count: int) -> Iterator[Runner]:
    """Start ``count`` worker processes (Dask), and give a function that maps tasks over them with a progress bar.

    The scheduler lives in this process, so that the workers end when it ends, however it ends. They are started by
    command, not by importing the caller's script again, so that a script needs no ``if __name__ == "__main__"``. Each
    has one thread: the cores are filled by processes. One that dies is replaced, and its task is given out again.

    One worker is this process itself: another would only have to start, and to import everything once more.

    Raises
    ------
    ConfigurationError
        If ``count`` is not positive.
    WorkerError
        If the workers do not start, or keep dying.
    """
    if count < 1:
        raise ConfigurationError(f"workers must be at least 1, got {count}.")
    if count == 1:
        yield in_turn
        return
    from distributed import Client, LocalCluster

    # What was under way to a worker at its end is reported when the cluster, and its silence, are gone.
    logging.getLogger("distributed.batched").setLevel(logging.CRITICAL)
    # Any free port, and no dashboard: several runs on one machine must not meet.
    network = {"dashboard_address": "127.0.0.1:0", "scheduler_kwargs": {"dashboard": False}}
    with (
        LocalCluster(n_workers=0, silence_logs=logging.CRITICAL, **network) as cluster,
        Client(cluster, set_as_default=False) as client,
        tempfile.TemporaryDirectory() as scratch,
    ):
        crew = _Crew(count, cluster.scheduler_address, scratch)
        try:
            _wait_for_start(crew, lambda: len(cluster.scheduler.workers))
            yield partial(_run, client, crew.mend)
        finally:
            crew.end()


@contextmanager
def cluster_at(address: str) -> Iterator[Runner]:
    """Give the same for the workers of a Dask scheduler that runs already, for example on a cluster of machines.

    They must have framedose installed and see inputs and results under the same path. Restarting them is up to
    whoever started them; tasks wait until one joins.

    Raises
    ------
    ConfigurationError
        If no scheduler answers at ``address``.
    """
    from distributed import Client

    with ExitStack() as stack:
        try:
            client = stack.enter_context(Client(address, timeout=_ANSWER, set_as_default=False))
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"--scheduler {address!r} does not answer: give the address that the Dask scheduler printed, such as "
                f"tcp://node:8786 ({error})"
            ) from error
        yield partial(_run, client, _nothing)


def chosen_workers(count: int | None, scheduler: str | None) -> Callable[[], AbstractContextManager[Runner]]:
    """Return what starts those that ``--workers`` and ``--scheduler`` name; with neither, this process does the work.

    Raises
    ------
    ConfigurationError
        If both are given, or the number is not positive.
    """
    if count is not None and scheduler is not None:
        raise ConfigurationError("--workers starts processes here, --scheduler uses a cluster's: give one of them.")
    if scheduler is not None:
        return partial(cluster_at, scheduler)
    return partial(workers, 1 if count is None else wanted_workers(count))


def _nothing(*, progressed: bool) -> None:
    pass


class _Crew:
    """Worker processes, and their replacements."""

    def __init__(self, count: int, scheduler: str, scratch: str) -> None:
        # Dask would stop a worker above its share of the memory from taking tasks, without a word and for ever.
        options = ["--no-nanny", "--nthreads", "1", "--memory-limit", "0", "--no-dashboard"]
        command = [sys.executable, "-m", "distributed.cli.dask_worker", *options]
        self._command = [*command, "--local-directory", scratch, scheduler]
        self._deaths = 0
        self.processes = [self._start() for _ in range(count)]

    def _start(self) -> subprocess.Popen[bytes]:
        # What a task raises comes back to whoever asked for it; the worker need not print it as well.
        environment = os.environ | dict.fromkeys(_ONE_THREAD, "1") | {"DASK_LOGGING__DISTRIBUTED": "critical"}
        return subprocess.Popen(self._command, env=environment)

    def mend(self, *, progressed: bool) -> None:
        """Replace the workers that have died; if too many have since tasks ``progressed``, that is an error."""
        if progressed:
            self._deaths = 0
        for place, process in enumerate(self.processes):
            if process.poll() is not None:
                self._deaths += 1
                if self._deaths > _DEATHS * len(self.processes):
                    raise WorkerError(f"{_DIED} The last one ended with status {process.returncode}.")
                self.processes[place] = self._start()

    def end(self) -> None:
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()


def _wait_for_start(crew: _Crew, present: Callable[[], int]) -> None:
    deadline = time.monotonic() + _START
    while present() < len(crew.processes):
        crew.mend(progressed=False)
        if time.monotonic() > deadline:
            raise WorkerError(f"{present()} of {len(crew.processes)} worker processes started in {_START} s.")
        time.sleep(0.05)


def _run(
    client: Any,
    mend: Callable[..., None],
    task: Callable[[Any], Any],
    items: Sequence[Any],
    label: str,
    done: int,
) -> list[Any]:
    """Map a task over items; a :data:`Runner` but for its first two arguments."""
    from distributed import KilledWorker

    futures = client.map(partial(_alone, task), items, pure=False)
    try:
        for future in progress(_finished(futures, mend), total=done + len(futures), done=done, label=label):
            future.result()
        return [future.result() for future in futures]
    except KilledWorker as error:
        raise WorkerError(_DIED) from error
    finally:
        client.cancel(futures)


def _finished(futures: Sequence[Any], mend: Callable[..., None]) -> Iterator[Any]:
    """Yield futures as they finish, looking after the workers all the while."""
    finished: queue.SimpleQueue[Any] = queue.SimpleQueue()
    for future in futures:
        future.add_done_callback(finished.put)
    left = len(futures)
    while left:
        try:
            future = finished.get(timeout=0.5)
        except queue.Empty:
            mend(progressed=False)
            continue
        left -= 1
        mend(progressed=True)
        yield future


_ALONE = Lock()


def _alone(task: Callable[[Any], Any], item: Any) -> Any:
    """Do one task at a time in a process, whatever threads a cluster's workers have: abTEM's settings are global."""
    with _ALONE:
        return task(item)
