import os
import signal
import time

import pytest

from framedose import workers as module
from framedose.errors import ConfigurationError, WorkerError
from framedose.workers import cluster_at, workers

# The tasks are Python's own functions: a worker cannot import those of a test.


def test_results_come_in_order_and_a_killed_worker_is_replaced(tmp_path, monkeypatch):
    crews = []
    start = module._Crew.__init__

    def seen(crew, *arguments):
        start(crew, *arguments)
        crews.append(crew)

    monkeypatch.setattr(module._Crew, "__init__", seen)
    with workers(2) as run:
        victim = crews[0].processes[0]
        victim.send_signal(signal.SIGKILL)
        assert run(abs, [-3, 2, -1], "numbers", 0) == [3, 2, 1]
        deadline = time.monotonic() + 30
        while victim in crews[0].processes and time.monotonic() < deadline:
            run(abs, [1], "numbers", 0)
        assert victim not in crews[0].processes
    assert all(process.poll() is not None for process in crews[0].processes)


def test_a_task_that_kills_its_workers_is_an_error_not_a_wait(capfd):
    with workers(2) as run, pytest.raises(WorkerError, match="die again and again.*What is finished is kept"):
        run(os._exit, [3], "deadly", 0)


def test_workers_that_do_not_start_are_an_error(monkeypatch, capfd):
    monkeypatch.setattr(module.sys, "executable", "/bin/false")
    with pytest.raises(WorkerError, match="status 1"), workers(2):
        pass


@pytest.mark.parametrize("count", [1, 2])
def test_the_error_of_a_task_comes_through(count):
    with workers(count) as run, pytest.raises(FileNotFoundError, match="no such folder"):
        run(os.listdir, ["no such folder"], "folders", 0)


def test_one_worker_is_this_process():
    with workers(1) as run:
        assert run(_own, [0, 0], "processes", 0) == [os.getpid()] * 2


def _own(_):
    return os.getpid()


def test_a_running_cluster_is_used():
    from distributed import LocalCluster

    options = {"threads_per_worker": 2, "processes": False, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(n_workers=1, **options) as cluster, cluster_at(cluster.scheduler_address) as run:
        assert run(abs, [-1, -2], "numbers", 0) == [1, 2]


def test_an_unreachable_scheduler(monkeypatch):
    monkeypatch.setattr(module, "_ANSWER", 1)
    with (
        pytest.raises(ConfigurationError, match="'tcp://127.0.0.1:9' does not answer"),
        cluster_at("tcp://127.0.0.1:9"),
    ):
        pass
    with pytest.raises(ConfigurationError, match="does not answer"), cluster_at("no address at all"):
        pass


def test_no_workers():
    with pytest.raises(ConfigurationError, match="at least 1, got 0"), workers(0):
        pass
