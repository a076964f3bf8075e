"""The one door to parallel work: independent cases on this machine's processes or on Dask.

`run` is the whole interface. A task is a function ``task(shared, case, n_threads)`` of a module
that the workers can import; ``shared`` (the expression, the labels, ...) is sent once a worker and
must not be changed, a case (a fold, a setting, a piece of new samples) with every task, and
``n_threads`` is what the task may use of the engine, so that workers x threads = cores. BLAS has
one thread in every task: its last bits depend on the number, and results must not.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from fembed.errors import InputError, WorkerError

Shared = TypeVar("Shared")
Case = TypeVar("Case")
Result = TypeVar("Result")
Finish = Callable[[int, Any], None]

Backend = Literal["local", "dask"]
BACKENDS: tuple[Backend, ...] = ("local", "dask")

#: Times that a lost pool of processes, or lost shared data on a cluster, are made anew.
ATTEMPTS = 3
#: Beyond it and the import of Dask (1 to 2 s), a user would take the program for hanging.
CONNECT_SECONDS = 6.0


@dataclass(frozen=True)
class Workers:
    """Where cases run.

    Attributes
    ----------
    backend : {"local", "dask"}
        Processes of this machine (joblib), or the workers of a Dask cluster.
    scheduler : str or distributed.Client, optional
        Of a Dask cluster: its address, such as ``tcp://10.0.0.1:8786``, or a client of yours (for
        TLS, say), which stays open.
    n_workers : int, optional
        Processes; at most one a case. Default: cores / ``threads``. A Dask cluster's are its own.
    threads : int, optional
        Threads a case. Default: cores / ``n_workers``; on Dask, the cores of a machine divided by
        the Dask threads of all workers there.
    patience_seconds : float, default 30
        How long a cluster may be without any worker before that is an error.
    """

    backend: Backend = "local"
    scheduler: Any = None
    n_workers: int | None = None
    threads: int | None = None
    patience_seconds: float = 30.0

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            raise InputError(f"The backend {self.backend!r} is not known; choose local or dask.")
        for name in ("n_workers", "threads"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise InputError(f"{name} is {value!r}; choose a whole number of at least 1.")
        if self.backend == "dask" and self.scheduler is None:
            raise InputError(
                "The backend dask needs the address of a scheduler, such as tcp://10.0.0.1:8786."
            )
        if self.backend == "dask" and self.n_workers is not None:
            raise InputError(
                "A Dask cluster has the workers that were started for it; leave n_workers out."
            )
        if self.backend == "local" and self.scheduler is not None:
            raise InputError("A scheduler is for the backend dask; choose that backend too.")

    def share(self, n_cases: int) -> tuple[int, int]:
        """Processes and threads a process for ``n_cases`` cases on this machine."""
        cores = core_count()
        wanted = self.n_workers or max(1, cores // (self.threads or 1))
        n_workers = max(1, min(wanted, n_cases))
        threads = self.threads or _at_most_omp(max(1, cores // n_workers))
        if threads > 1 and n_workers * threads > cores:
            raise InputError(
                f"{n_workers} workers of {threads} threads are more than this machine's {cores} "
                "cores; ask for fewer workers or threads."
            )
        return n_workers, threads


def core_count() -> int:
    """Processors this process may use (affinity, container quota)."""
    import joblib

    return int(joblib.cpu_count())


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
        What all cases need, sent once a worker. Large arrays in it reach local workers as
        read-only maps of one file.
    cases : sequence
        What differs; small.
    workers : Workers, optional
        By default one process a core of this machine. With one worker, everything runs here.
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

    workers = workers or Workers()
    if workers.backend == "dask":
        from fembed.cluster import run_on_dask

        run_on_dask(task, shared, cases, workers, finish)
    else:
        n_workers, n_threads = workers.share(len(cases))
        if n_workers == 1:
            _run_here(task, shared, cases, n_threads, finish)
        else:
            _run_local(task, shared, cases, n_workers, n_threads, finish)
    return [results[index] for index in range(len(cases))]


def _run_here(task: Any, shared: Any, cases: Sequence[Any], n_threads: int, finish: Finish) -> None:
    from threadpoolctl import threadpool_limits

    for index, case in enumerate(cases):
        with threadpool_limits(1, user_api="blas"):
            result = task(shared, case, n_threads)
        finish(index, result)


def _run_local(
    task: Any, shared: Any, cases: Sequence[Any], n_workers: int, n_threads: int, finish: Finish
) -> None:
    """Through joblib; a process that dies takes its pool along, and a new pool does the rest."""
    import joblib
    from joblib.externals.loky.process_executor import BrokenProcessPool

    waiting = dict(enumerate(cases))
    for _ in range(ATTEMPTS):
        calls = [
            joblib.delayed(local_case)(task, shared, index, case, n_threads)
            for index, case in waiting.items()
        ]
        try:
            with joblib.parallel_config("loky", inner_max_num_threads=n_threads):
                pool = joblib.Parallel(n_workers, return_as="generator_unordered", batch_size=1)
                with warnings.catch_warnings(), closing(pool(calls)) as outputs:
                    # Of results that nobody waits for, when the caller gives up.
                    warnings.filterwarnings("ignore", r"\d+ tasks ")
                    for index, result in outputs:
                        del waiting[index]
                        finish(index, result)
            return
        except BrokenProcessPool:
            continue
    raise WorkerError(
        f"{len(waiting)} of {len(cases)} cases are left after {ATTEMPTS} pools of worker processes "
        "were lost, probably for want of memory; use fewer workers or a larger machine."
    )


def local_case(task: Any, shared: Any, index: int, case: Any, n_threads: int) -> tuple[int, Any]:
    """One case in a process of its own, with all its threads limited."""
    limit_threads(n_threads)
    return index, alone(task, shared, case, n_threads)


def limit_threads(n_threads: int) -> None:
    """Limit the thread pools of a worker process, for good: tasks may overlap there."""
    # Only pools that are loaded can be limited: these imports load BLAS and OpenMP.
    import scipy.linalg  # noqa: F401
    import sklearn.neighbors  # noqa: F401
    from threadpoolctl import threadpool_limits

    threadpool_limits({"openmp": n_threads, "blas": 1})


def alone(task: Any, shared: Any, case: Any, n_threads: int) -> Any:
    """Run a task on a worker: whatever it parallelises through joblib itself runs in line."""
    import joblib

    with joblib.parallel_config("sequential"):
        return task(shared, case, n_threads)


def _at_most_omp(threads: int) -> int:
    """``threads``, or OMP_NUM_THREADS where that is less: it is the user's word for a process."""
    given = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return min(threads, int(given)) if given.isdigit() and int(given) > 0 else threads
