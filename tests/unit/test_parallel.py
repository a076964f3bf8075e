"""Parallel work on this machine: order, threads, lost processes."""

from __future__ import annotations

import numpy as np
import pytest

from fembed import fit, project
from fembed.config import FitConfig
from fembed.data.expression import Expression
from fembed.errors import InputError, WorkerError
from fembed.inference import projection
from fembed.parallel import Workers, run, workers
from tests import parallel_tasks as tasks
from tests.small_expression import frame

TWO = Workers(n_workers=2)


@pytest.mark.parametrize("workers", [Workers(n_workers=1), TWO])
def test_results_are_in_the_order_of_the_cases(workers):
    shared = np.random.default_rng(0).random((7, 40_000))  # large enough to be mapped
    cases = [5, 0, 3, 6, 1]
    done = {}
    results = run(tasks.row_sum, shared, cases, workers, on_done=done.__setitem__)
    assert [total for total, _, _ in results] == [float(shared[row].sum()) for row in cases]
    assert [done[index] for index in range(5)] == results


def test_the_callback_hears_of_a_case_before_the_last_one_ends():
    heard = []

    def stop_after_first(index, result):
        heard.append(index)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tasks.slow_square, None, range(20), TWO, on_done=stop_after_first)
    assert len(heard) == 1


def test_threads_never_multiply(monkeypatch):
    monkeypatch.setattr(workers, "core_count", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert Workers().share(100) == (8, 1)
    assert Workers().share(3) == (3, 2)
    assert Workers(n_threads=4).share(100) == (2, 4)
    assert Workers(n_workers=3).share(100) == (3, 2)
    assert Workers(n_workers=1).share(100) == (1, 8)
    assert Workers(n_workers=20).share(100) == (20, 1)  # one thread is the least
    with pytest.raises(InputError, match="3 workers of 4 threads"):
        Workers(n_workers=3, n_threads=4).share(100)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert Workers(n_workers=2).share(100) == (2, 1)


def test_pools_of_a_worker_are_limited():
    for n_threads, pools in run(tasks.pool_sizes, None, range(2), TWO):
        assert pools["blas"] == 1
        assert pools["openmp"] == n_threads


def test_case_of_a_lost_process_is_run_again(tmp_path):
    assert run(tasks.die_once, str(tmp_path), range(4), TWO) == [0, 1, 4, 9]
    assert (tmp_path / "died").exists()


def test_case_that_always_ends_its_process_is_an_error():
    with pytest.raises(WorkerError, match="left after 3 pools"):
        run(tasks.die_always, None, range(3), TWO)


@pytest.mark.parametrize("workers", [Workers(n_workers=1), TWO])
def test_error_of_a_task_reaches_the_caller(workers):
    with pytest.raises(InputError, match="Case 2 is impossible"):
        run(tasks.refuse, None, range(6), workers)


def test_large_arrays_reach_a_worker_as_maps_of_one_file():
    shared = {"X": np.zeros((100, 20_000), np.float32), "y": np.zeros(3)}
    assert run(tasks.kind_of_array, shared, range(3), TWO) == ["memmap"] * 3


@pytest.mark.parametrize("n_workers", [1, 2])
def test_parts_of_many_samples_are_placed_as_all_at_once(n_workers, monkeypatch):
    config = FitConfig(hidden=(8,), gene_components=4, epochs=2, n_threads=1)
    model = fit(Expression.from_array(frame()), config)
    new = Expression.from_array(frame(seed=1))
    new.values[3, 5:] = np.nan
    monkeypatch.setattr(projection, "SAMPLES_PER_PART", 7)
    together = project(model, new, n_threads=1)
    parts = project(model, new, workers=Workers(n_workers=n_workers))
    for name, wanted in vars(together).items():
        np.testing.assert_array_equal(getattr(parts, name), wanted)


def test_no_case_is_no_work():
    assert run(tasks.refuse, None, []) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"backend": "spark"}, "choose local or dask"),
        ({"backend": "dask"}, "needs the address"),
        ({"backend": "dask", "scheduler": "tcp://a:1", "n_workers": 2}, "leave n_workers out"),
        ({"scheduler": "tcp://a:1"}, "choose that backend"),
        ({"n_workers": 0}, "n_workers is 0"),
        ({"n_threads": 1.5}, "n_threads is 1.5"),
    ],
)
def test_impossible_workers_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        Workers(**options)
