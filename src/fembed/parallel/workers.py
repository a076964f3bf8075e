"""Which processes run the cases, with how many threads each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from fembed.config import MAX_THREADS, MAX_WORKERS, checked_whole, is_number
from fembed.errors import InputError, shown
from fembed.threads import omp_num_threads

#: Called with the number of a case and its result as soon as the case has finished.
Finish = Callable[[int, Any], None]

Backend = Literal["local", "dask"]
BACKENDS: tuple[Backend, ...] = ("local", "dask")

#: Times that a lost pool of processes, or lost shared data on a cluster, are made anew.
ATTEMPTS = 3
#: Seconds that a cluster may be waited for: a month.
MAX_PATIENCE = 31 * 24 * 3600


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
        Processes; at most one per case. Default: cores / ``n_threads``. A Dask cluster has its own.
    n_threads : int, optional
        Threads per case. Default: cores / ``n_workers``; on Dask, the cores of a machine divided by
        the Dask threads of all workers there.
    patience_seconds : float, default 30
        How long a cluster may be without any worker, or its scheduler without an answer, before
        that is an error; a worker that is silent for so long (stopped, or cut off) loses its cases
        to the others.

    Examples
    --------
    >>> fembed.Workers(n_workers=2, n_threads=1).backend
    'local'
    """

    backend: Backend = "local"
    scheduler: Any = None
    n_workers: int | None = None
    n_threads: int | None = None
    patience_seconds: float = 30.0

    def __post_init__(self) -> None:
        if not isinstance(self.backend, str) or self.backend not in BACKENDS:
            raise InputError(
                f"The backend {shown(self.backend)} is not known; choose local or dask."
            )
        for name, most in (("n_workers", MAX_WORKERS), ("n_threads", MAX_THREADS)):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, checked_whole(name, value, 1, most))
        if not is_number(self.patience_seconds) or not 0 <= self.patience_seconds <= MAX_PATIENCE:
            raise InputError(
                f"patience_seconds is {shown(self.patience_seconds)}; choose a number from 0 to "
                f"{MAX_PATIENCE}."
            )
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
        """Processes on this machine for ``n_cases`` cases, and threads in each of them."""
        cores = core_count()
        wanted = self.n_workers or max(1, cores // (self.n_threads or 1))
        n_workers = max(1, min(wanted, n_cases))
        threads = self.n_threads or _at_most_omp(max(1, cores // n_workers))
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


def alone(task: Any, shared: Any, case: Any, n_threads: int) -> Any:
    """Run a task on a worker: whatever it parallelises through joblib itself runs in line."""
    import joblib

    with joblib.parallel_config("sequential"):
        return task(shared, case, n_threads)


def _at_most_omp(threads: int) -> int:
    """``threads``, or OMP_NUM_THREADS where that is less: it is the user's word for a process."""
    return min(threads, omp_num_threads() or threads)
