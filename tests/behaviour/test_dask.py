"""Parallel work on a real Dask cluster: a scheduler and workers in processes of their own."""

from __future__ import annotations

import signal
import socket
import threading
import time
from contextlib import suppress

import numpy as np
import pandas as pd
import pytest

from fembed import FactorizedEmbedding, evaluate
from fembed.commands import app
from fembed.errors import InputError, WorkerError
from fembed.parallel import Workers, run
from tests import parallel_tasks as tasks
from tests.dask_cluster import cluster
from tests.small_expression import frame, write_h5ad


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory):
    with cluster(tmp_path_factory.mktemp("dask"), 2) as started:
        yield Workers("dask", started.address)


def test_results_are_in_the_order_of_the_cases(two_workers):
    shared = np.random.default_rng(0).random((7, 1000))
    cases = [5, 0, 3, 6, 1]
    done = {}
    results = run(tasks.row_sum, shared, cases, two_workers, on_done=done.__setitem__)
    assert [total for total, _, _ in results] == [float(shared[row].sum()) for row in cases]
    assert [done[index] for index in range(5)] == results
    assert len({process for _, process, _ in run(tasks.row_sum, shared, [0] * 9, two_workers)}) == 2


def test_shared_data_reach_every_worker_once(two_workers, tmp_path):
    processes = run(tasks.process, tasks.Counted(str(tmp_path)), range(12), two_workers)
    assert len(set(processes)) == 2
    notes = [int(path.name.split()[0]) for path in tmp_path.iterdir()]
    # Dask may fetch a piece twice that two of its parts ask for at the same time.
    assert set(notes) == set(processes) and len(notes) <= 3


def test_shared_data_may_be_a_tuple_or_a_dict(two_workers):
    for shared in ((1, [2]), {"a": (3,)}):
        assert run(tasks.shared_itself, shared, [0], two_workers) == [shared]


def test_pools_of_a_worker_are_limited(two_workers):
    for n_threads, pools in run(tasks.pool_sizes, None, range(2), two_workers):
        assert pools == {"blas": 1, "openmp": n_threads}


def test_error_of_a_task_reaches_the_caller(two_workers):
    with pytest.raises(InputError, match="Case 2 is impossible"):
        run(tasks.refuse, None, range(6), two_workers)


def test_a_client_of_ones_own_stays_open(two_workers):
    import distributed

    with distributed.Client(two_workers.scheduler, set_as_default=False) as client:
        assert run(tasks.slow_square, None, [3], Workers("dask", client)) == [9]
        assert client.status == "running"


def test_all_workers_lost(tmp_path):
    """The shared data are lost with the last worker: sent anew to one that comes, or an error."""
    shared = np.arange(10.0)
    with cluster(tmp_path, 1) as started:

        def replace_it(index, result):
            if index == 1 and len(started.workers) == 1:
                started.kill_worker(0)
                started.add_worker()

        places = Workers("dask", started.address)
        squares = run(tasks.slow_square, shared, range(5), places, replace_it)
        assert squares == [0, 1, 4, 9, 16] and len(started.workers) == 2

        impatient = Workers("dask", started.address, patience_seconds=1.0)
        begin = time.monotonic()
        with pytest.raises(WorkerError, match="worker"):
            run(tasks.slow_square, shared, range(5), impatient, lambda *_: started.kill_worker(1))
        assert time.monotonic() - begin < 20


def ended_after(signal_of, places, n_cases=40):
    """The message of the WorkerError after a signal at the first result; no thread is left."""
    begin = [0.0]

    def send(index, result):
        if not begin[0]:
            begin[0] = time.monotonic()
            signal_of()

    with pytest.raises(WorkerError) as caught:
        run(tasks.slow_square, np.arange(9.0), range(n_cases), places, send)
    assert time.monotonic() - begin[0] < 15
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("IO loop")]
    return str(caught.value)


@pytest.mark.parametrize(
    ("number", "words"),
    [(signal.SIGKILL, "scheduler is lost"), (signal.SIGSTOP, "scheduler has not answered for 5 s")],
)
def test_scheduler_killed_or_stopped_in_a_run_is_one_sentence(tmp_path, number, words):
    with cluster(tmp_path, 1) as started:
        places = Workers("dask", started.address, patience_seconds=5.0)
        assert words in ended_after(lambda: started.scheduler.send_signal(number), places)


def test_stopped_worker_gives_its_cases_to_the_others(tmp_path):
    with cluster(tmp_path, 2) as started:
        run(tasks.slow_square, None, range(4), Workers("dask", started.address))  # imports
        places = Workers("dask", started.address, patience_seconds=3.0)
        begin = time.monotonic()

        def stop_one(index, result):
            started.workers[0].send_signal(signal.SIGSTOP)

        squares = run(tasks.slow_square, np.arange(9.0), range(12), places, stop_one)
        assert squares == [case * case for case in range(12)]
        assert run(tasks.slow_square, None, [3], places) == [9]  # a run that begins with it
        assert time.monotonic() - begin < 30
        assert "No worker" in ended_after(
            lambda: started.workers[1].send_signal(signal.SIGSTOP), places
        )


def test_worker_is_no_scheduler(two_workers):
    import distributed

    with distributed.Client(two_workers.scheduler, set_as_default=False) as client:
        worker = next(iter(client.nthreads()))
    with pytest.raises(InputError, match="a Dask Worker does"):
        run(tasks.slow_square, None, [1], Workers("dask", worker))


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_other_servers_are_refused(answer):
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            with suppress(OSError):
                held = []
                while True:
                    held.append(listening.accept()[0])
                    held[-1].sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        address = f"tcp://127.0.0.1:{listening.getsockname()[1]}"
        begin = time.monotonic()
        with pytest.raises(InputError, match=f"No Dask scheduler answers at '{address}'"):
            run(tasks.slow_square, None, [1], Workers("dask", address))
        assert time.monotonic() - begin < 10


def test_scheduler_that_cannot_be_reached_is_an_error_within_10_seconds():
    begin = time.monotonic()
    with pytest.raises(InputError, match=r"No Dask scheduler answers at 'tcp://127\.0\.0\.1:9'"):
        run(tasks.slow_square, None, [1], Workers("dask", "tcp://127.0.0.1:9"))
    assert time.monotonic() - begin < 10


@pytest.mark.parametrize("address", ["nonsense", "http://127.0.0.1:9", ""])
def test_address_that_is_none_is_refused(address):
    with pytest.raises(InputError, match="No Dask scheduler answers"):
        run(tasks.slow_square, None, [1], Workers("dask", address))


def test_evaluation_survives_a_killed_worker_with_the_same_table(tmp_path):
    counts = frame().to_numpy()
    labels = np.where(np.arange(len(counts)) % 5 == 0, 0, np.arange(len(counts)) % 3)
    options = {
        "embedding": FactorizedEmbedding(
            hidden=(8,), gene_components=4, epochs=2, random_state=0, preprocessing="log10"
        ),
        "dims": [2],
        "cv": 3,
        "repeats": 2,
    }
    here = evaluate(counts, labels, workers=Workers(n_workers=1), **options)
    with cluster(tmp_path, 2) as started:

        def kill_one(n_done, n_cases, case):
            if n_done == 2:
                started.kill_worker(0)

        there = evaluate(
            counts, labels, workers=Workers("dask", started.address), callback=kill_one, **options
        )
        assert started.workers[0].poll() is not None
    seconds = ["seconds_fit", "seconds_score"]
    pd.testing.assert_frame_equal(
        here.folds.drop(columns=seconds), there.folds.drop(columns=seconds), check_exact=True
    )
    pd.testing.assert_frame_equal(here.predictions, there.predictions)


def test_command_runs_on_the_cluster(two_workers, tmp_path, capsys):
    data = write_h5ad(tmp_path / "small.h5ad")
    words = ["--label", "group", "--dims", "2", "--folds", "2", "--epochs", "1", "--hidden", "8"]
    places = ["--backend", "dask", "--scheduler", two_workers.scheduler]
    assert app.run(["evaluate", str(data), *words, *places]) == 0
    assert "fembed  2" in capsys.readouterr().out
