"""Dispatch of parallel work: independent cases on this machine's processes or on Dask.

`run` is the whole interface. A task is a function ``task(shared, case, n_threads)`` of a module
that the workers can import; ``shared`` (the expression, the labels, ...) is sent to each worker
once and must not be changed, a case (a fold, a setting, a piece of new samples) with every task,
and ``n_threads`` is how many threads of the engine the task may use, so that workers x threads =
cores. BLAS has one thread in every task: its last bits depend on the number, and results must not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from fembed.config import checked_kind
from fembed.engine import carried
from fembed.parallel.cluster import run_on_dask
from fembed.parallel.processes import run_here, run_on_processes
from fembed.parallel.workers import Workers
from fembed.threads import is_forked

Shared = TypeVar("Shared")
Case = TypeVar("Case")
Result = TypeVar("Result")


def run(
    task: Callable[[Shared, Case, int], Result],
    shared: Shared,
    cases: Sequence[Case],
    workers: Workers | None = None,
    on_done: Callable[[int, Result], None] | None = None,
) -> list[Result]:
    """Run ``task(shared, case, n_threads)`` for every case.

    Parameters
    ----------
    task : callable
        A function of a module (workers import it); it must not change ``shared``.
    shared : object
        What all cases need, sent once per worker. Large arrays in it reach local workers as
        read-only maps of one file.
    cases : sequence
        What differs between the cases; they should be small.
    workers : Workers, optional
        By default one process per core of this machine. With one worker, or in a forked process,
        everything runs here.
    on_done : callable, optional
        Called as ``on_done(index, result)`` in this process, as soon as a case has finished and
        in that order, so that results can be stored one by one.

    Returns
    -------
    list
        The results in the order of ``cases``. The cases of a worker that is lost are run again on
        another one.

    Raises
    ------
    InputError
        The scheduler cannot be reached (within 10 s), or Dask or, on a worker, fembed is missing.
    WorkerError
        All workers are lost for good, or a case ends whatever worker it runs on.
    Exception
        What a task raised; the other cases are given up.
    """
    results: dict[int, Result] = {}

    def finish(index: int, result: Result) -> None:
        results[index] = result
        if on_done is not None:
            on_done(index, result)

    task = carried(task)
    workers = Workers() if workers is None else workers
    checked_kind("workers", workers, Workers, "a fembed.Workers, or leave it out")
    if workers.backend == "dask":
        run_on_dask(task, shared, cases, workers, finish)
    else:
        n_workers, n_threads = workers.share(len(cases))
        # A forked process has its parent's pool in joblib's books, without the processes.
        if n_workers == 1 or is_forked():
            run_here(task, shared, cases, n_threads, finish)
        else:
            run_on_processes(task, shared, cases, n_workers, n_threads, finish)
    return [results[index] for index in range(len(cases))]
