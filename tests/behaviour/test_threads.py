"""Threads: of the libraries as asked for, and one in a forked process, which must never hang."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from threadpoolctl import threadpool_info

from fembed import threads
from fembed.config import MAX_THREADS

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

#: What a child prints has to be what its parent printed.
PRELUDE = """
import os, sys, warnings
import numpy as np
warnings.simplefilter("ignore")
X = np.random.default_rng(0).gamma(1, 10, size=(200, 60))

def used_by_two_threads():
    from sklearn.neighbors import KNeighborsRegressor
    KNeighborsRegressor(5).fit(X, X).predict(np.tile(X, (20, 1)))

def in_child(work):
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        work()
        sys.stdout.flush()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
"""

AFTER_USE = """
from fembed import Expression, FactorizedEmbedding, Workers, calibrate, fit, impute, project
from fembed.parallel import run
from tests import parallel_tasks as tasks

def all_verbs():
    est = FactorizedEmbedding(epochs=1, random_state=0, n_jobs=4).fit(X)
    placed = project(est.model_, X[:9], n_threads=4)
    holes = X[:5].copy(); holes[:, ::7] = np.nan
    full = impute(est.model_, Expression.from_array(holes), n_threads=4)
    near = calibrate(est.model_, Expression.from_array(X), n_threads=4).calibration
    used_by_two_threads()
    print(est.embedding_.sum(), est.inverse_transform([[0.0, 1.0]]).sum(), placed.covariance.sum())
    print(full.values.sum(), near.ellipse_factor)

def cases():
    print(run(tasks.slow_square, None, range(3), Workers(n_workers=2, n_threads=1)))

if __name__ == "__main__":
    for work in (all_verbs, cases):
        work()
        in_child(work)
    in_child(lambda: in_child(all_verbs))
"""

IMPORTED_IN_THE_CHILD = """
def fitted():
    from fembed import FactorizedEmbedding
    print(FactorizedEmbedding(epochs=1, random_state=0, n_jobs=4).fit(X).embedding_.sum())

if __name__ == "__main__":
    used_by_two_threads()
    in_child(fitted)
    fitted()
"""


def lines(program, tmp_path):
    file = tmp_path / "program.py"
    file.write_text(PRELUDE + program)
    done = subprocess.run(
        [sys.executable, str(file)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_fork_gives_the_same_bits_and_never_hangs(tmp_path):
    *verbs, here, there, first, second = lines(AFTER_USE, tmp_path)
    assert verbs[:2] == verbs[2:] == [first, second]
    assert here == there == "[0, 1, 4]"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="known by /proc")
def test_fork_that_imports_fembed_itself_never_hangs(tmp_path):
    there, here = lines(IMPORTED_IN_THE_CHILD, tmp_path)
    assert there == here


@pytest.mark.parametrize(
    ("word", "number"),
    [
        ("3", 3),
        (" 4,2", 4),
        ("99999", MAX_THREADS),
        ("1" + "0" * 5000, MAX_THREADS),
        *((word, None) for word in ("", "0", "-1", "abc", "1e9", "²", ",", "2.5")),
    ],
)
def test_odd_omp_num_threads(word, number, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", word)
    assert threads.omp_num_threads() == number
    processors = threads.processors()
    assert threads.thread_count() == min(number or processors, processors)
    assert threads.thread_count(7) == 7


def test_libraries_get_the_threads_asked_for_but_no_more_than_processors(monkeypatch):
    def sizes():
        return {(pool["user_api"], pool["num_threads"]) for pool in threadpool_info()}

    monkeypatch.setenv("OMP_NUM_THREADS", "99999")
    with threads.limited(1):
        assert sizes() == {("openmp", 1), ("blas", 1)}
    with threads.limited():
        assert sizes() == {("openmp", threads.processors()), ("blas", 1)}
    with threads.limited(200, blas=True):
        assert {size for _, size in sizes()} == {threads.processors()}
