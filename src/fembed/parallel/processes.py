"""Cases in this process, or in processes of this machine by joblib."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from fembed.errors import WorkerError
from fembed.parallel.workers import ATTEMPTS, Finish, alone
from fembed.threads import limit_for_good, limited


def run_here(task: Any, shared: Any, cases: Sequence[Any], n_threads: int, finish: Finish) -> None:
    """One case after the other in this process."""
    for index, case in enumerate(cases):
        with limited(n_threads):
            result = task(shared, case, n_threads)
        finish(index, result)


def run_on_processes(
    task: Any, shared: Any, cases: Sequence[Any], n_workers: int, n_threads: int, finish: Finish
) -> None:
    """Through joblib. A process that dies takes its pool along, and a new pool does the rest."""
    import joblib
    from joblib.externals.loky.process_executor import BrokenProcessPool

    _start_trackers()
    waiting = dict(enumerate(cases))
    for _ in range(ATTEMPTS):
        calls = [
            joblib.delayed(local_case)(task, shared, index, case, n_threads)
            for index, case in waiting.items()
        ]
        try:
            follow = {"initializer": follow_parent, "initargs": (os.getpid(),)}
            with joblib.parallel_config("loky", inner_max_num_threads=n_threads, **follow):
                pool = joblib.Parallel(n_workers, return_as="generator_unordered", batch_size=1)
                with _blocked("SIGINT"):  # until a worker ignores it, see `follow_parent`
                    started = pool(calls)
                with warnings.catch_warnings(), closing(started) as outputs:
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


def _start_trackers() -> None:
    """Start the trackers of shared files where a terminal's SIGHUP does not reach them.

    They heed no other signal either, and end with this process. Were one ended first, another would
    take its place that knows of nothing, and say so in tracebacks. Both are started here, Python's
    and joblib's: Python 3.11 unblocks SIGINT as it starts its own, in the middle of a worker's
    start.
    """
    from multiprocessing import resource_tracker

    from joblib.externals.loky.backend import resource_tracker as joblib_tracker

    if os.name == "nt":  # which has no SIGHUP
        return
    with _blocked("SIGHUP"):
        resource_tracker.ensure_running()
        joblib_tracker.ensure_running()


@contextmanager
def _blocked(name: str) -> Iterator[None]:
    """Hold a signal back in this thread; processes that are started in the meantime inherit it."""
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {getattr(signal, name)})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def follow_parent(parent: int) -> None:
    """In a worker: end when the process that started it ends, however that came about.

    Ctrl-C reaches all processes of a terminal, and is for that one alone to heed.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if os.name == "nt":  # there a process keeps the number of a parent that is gone
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, name="fembed-parent", daemon=True).start()


def local_case(task: Any, shared: Any, index: int, case: Any, n_threads: int) -> tuple[int, Any]:
    """One case in a process of its own, with all its threads limited."""
    limit_for_good(n_threads)
    return index, alone(task, shared, case, n_threads)
