"""How many threads the engine and the libraries may use, in this process and in its forks.

A process made by ``fork`` (the default of `multiprocessing` on Linux up to Python 3.13, and of
joblib's backend "multiprocessing") inherits the book-keeping of GNU OpenMP's threads but not the
threads, so that the first parallel region of more than one thread waits for ever. There is no way
to repair that from outside the library, but one thread needs no others: a forked process uses one,
with the same bits.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from threadpoolctl import ThreadpoolController, threadpool_limits

from fembed.config import MAX_THREADS, checked_whole, is_whole
from fembed.errors import InputError, shown

#: A bit of the flags in /proc/self/stat: forked, and no other program begun since (Linux).
_PF_FORKNOEXEC = 0x40


def thread_count(n_threads: int | None = None) -> int:
    """Threads to use: the argument, else OMP_NUM_THREADS, else the processors we may run on.

    More than the processors are used only where the argument asks for them, and never more than
    one in a forked process.
    """
    if n_threads is not None:
        n_threads = checked_whole("n_threads", n_threads, 1, MAX_THREADS)
    if _Fork.one_thread:
        return 1
    if n_threads is not None:
        return n_threads
    return min(omp_num_threads() or MAX_THREADS, processors())


def omp_num_threads() -> int | None:
    """What OMP_NUM_THREADS asks for (of a list, the first), or None where that is no number."""
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if not (first.isascii() and first.isdecimal()):
        return None
    return min(int(first.lstrip("0")[:9] or 0), MAX_THREADS) or None


def processors() -> int:
    """Processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def limited(n_threads: int | None = None, *, blas: bool = False) -> Iterator[None]:
    """Let scikit-learn and its like use `thread_count` threads, but no more than processors.

    They do not ask how many we want, and with ``OMP_NUM_THREADS=99999`` would start so many. BLAS
    gets one, because its last bits depend on the number; with ``blas`` as many as the rest.
    """
    _load_pools()
    most = min(thread_count(n_threads), processors())
    with threadpool_limits({"openmp": most, "blas": most if blas else 1}):
        yield


def limit_for_good(n_threads: int) -> None:
    """As `limited` in a worker process, where tasks may overlap: nothing undoes it."""
    _load_pools()
    threadpool_limits({"openmp": min(n_threads, processors()), "blas": 1})


def _load_pools() -> None:
    """Only pools that are loaded can be limited: these imports load BLAS and OpenMP."""
    import scipy.linalg  # noqa: F401
    import sklearn.neighbors  # noqa: F401


def is_forked() -> bool:
    """Whether this process is a fork of one that had loaded the engine, or OpenMP otherwise."""
    return _Fork.one_thread


class _Fork:
    """What a process prepares for its forks, and what a fork does with it."""

    one_thread = False
    #: The libraries with pools, found before the fork: no lock may be waited for after it.
    pools: ThreadpoolController | None = None
    n_modules = 0

    @classmethod
    def before(cls) -> None:
        # To look for them takes 10 ms; only an import brings new ones.
        if cls.pools is None or len(sys.modules) != cls.n_modules:
            cls.pools, cls.n_modules = ThreadpoolController(), len(sys.modules)

    @classmethod
    def in_child(cls) -> None:
        cls.one_thread = True
        if cls.pools is not None:
            cls.pools.limit(limits={"openmp": 1})  # for good: nothing undoes it


def _forked_with_openmp() -> bool:
    """Whether this process is a fork that may have inherited OpenMP's threads, unseen by us."""
    try:
        # The second field, a name in brackets, may hold spaces.
        fields = Path("/proc/self/stat").read_text("ascii", "replace").rpartition(")")[2].split()
        forked = int(fields[6]) & _PF_FORKNOEXEC
    except (OSError, IndexError, ValueError):
        return False  # no Linux
    return bool(forked) and bool(ThreadpoolController().select(user_api="openmp"))


if hasattr(os, "register_at_fork"):
    if _forked_with_openmp():
        _Fork.before()
        _Fork.in_child()
    os.register_at_fork(before=_Fork.before, after_in_child=_Fork.in_child)


def threads_of_jobs(n_jobs: Any) -> int | None:
    """What scikit-learn's ``n_jobs`` means: None and -1 all processors, -2 all but one, ...

    Raises
    ------
    InputError
        For what is no whole number other than 0.
    """
    if n_jobs is None:
        return None
    if not is_whole(n_jobs, -MAX_THREADS, MAX_THREADS) or n_jobs == 0:
        raise InputError(f"n_jobs is {shown(n_jobs)}; choose a whole number other than 0, or None.")
    if n_jobs == -1:
        return None
    return int(n_jobs) if n_jobs > 0 else max(1, thread_count() + 1 + int(n_jobs))
