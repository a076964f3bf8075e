"""Cases on a Dask cluster: data sent once a worker, lost workers survived; see `door.run`."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fembed.errors import InputError, WorkerError
from fembed.parallel.workers import ATTEMPTS, Finish, Workers, alone, core_count
from fembed.threads import limit_for_good

if TYPE_CHECKING:
    from distributed import Client, Future

#: Beyond it and the import of Dask (1 to 2 s), a user would take the program for hanging.
CONNECT_SECONDS = 6.0
_POLL_SECONDS = 1.0


def run_on_dask(
    task: Any, shared: Any, cases: Sequence[Any], workers: Workers, finish: Finish
) -> None:
    """Run every case, calling ``finish`` as they come; the errors are those of `parallel.run`."""
    waiting = dict(enumerate(cases))
    with _client(workers.scheduler) as client:
        # Dask itself moves the cases of a lost worker to another. Only where the last worker with
        # the shared data is lost is there nothing left to move: then all is sent anew.
        for _ in range(ATTEMPTS):
            _wait_for_workers(client, workers.patience_seconds)
            if _run_once(client, task, shared, waiting, workers, finish):
                return
    raise WorkerError(
        f"{len(waiting)} of {len(cases)} cases are left after all workers of the Dask cluster were "
        f"lost {ATTEMPTS} times; see the workers' logs."
    )


def _run_once(
    client: Client,
    task: Any,
    shared: Any,
    waiting: dict[int, Any],
    workers: Workers,
    finish: Finish,
) -> bool:
    """Submit what is ``waiting`` and take away what finishes; False if the shared data are lost."""
    threads = _threads_by_worker(client, workers.threads)
    # hash=False: hashing a large matrix takes longer than sending it.
    sent = client.scatter(Sent(shared), broadcast=True, hash=False)
    futures: dict[int, Future] = {
        index: client.submit(case_on_worker, task, sent, case, threads, pure=False)
        for index, case in waiting.items()
    }
    seen_workers = time.monotonic()
    try:
        while futures:
            _wait_for_change(list(futures.values()))
            for index in [index for index, future in futures.items() if future.done()]:
                future = futures.pop(index)
                if future.cancelled():
                    return False
                result = _result(future)
                del waiting[index]
                finish(index, result)
            if _worker_count(client):
                seen_workers = time.monotonic()
            elif time.monotonic() - seen_workers > workers.patience_seconds:
                raise WorkerError(
                    f"All workers of the Dask cluster are lost and none has come for "
                    f"{workers.patience_seconds:.0f} s, with {len(waiting)} cases to do; see the "
                    "workers' logs."
                )
    finally:
        client.cancel(list(futures.values()))
    return True


@dataclass(frozen=True)
class Sent:
    """Shared data as one thing: Dask would take a tuple or a dict apart."""

    value: Any


def case_on_worker(task: Any, sent: Sent, case: Any, threads: dict[str, int]) -> Any:
    """One case on a Dask worker, which may run several at once."""
    from distributed import get_worker

    # A worker that came later is alone in not being counted, so it takes one thread.
    n_threads = threads.get(get_worker().address, 1)
    limit_for_good(n_threads)
    return alone(task, sent.value, case, n_threads)


def describe_worker() -> tuple[str, str, int]:
    """Of the worker this runs on: its machine, its fembed's version, its cores."""
    import socket

    from fembed import __version__

    return socket.gethostname(), __version__, core_count()


@contextmanager
def _client(scheduler: Any) -> Iterator[Client]:
    try:
        import distributed
    except ImportError as error:
        raise InputError('The backend dask needs Dask; run: pip install "fembed[dask]".') from error
    if isinstance(scheduler, distributed.Client):
        with scheduler.as_current():
            yield scheduler
        return
    try:
        client = distributed.Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"No Dask scheduler answers at {scheduler!r} ({error}); start one with 'dask scheduler'"
            " and give the address it prints, such as tcp://10.0.0.1:8786."
        ) from error
    with client, client.as_current():  # `distributed.wait` asks for the current one
        yield client


def _wait_for_workers(client: Client, patience_seconds: float) -> None:
    try:
        client.wait_for_workers(1, timeout=patience_seconds)
    except TimeoutError as error:
        raise WorkerError(
            f"The Dask cluster has had no worker for {patience_seconds:.0f} s; start some with "
            "'dask worker ADDRESS'."
        ) from error


def _threads_by_worker(client: Client, threads: int | None) -> dict[str, int]:
    """Threads a case by worker address, so that all cases of a machine use its cores once."""
    from fembed import __version__

    known: dict[str, tuple[str, str, int]] = {}
    for address, answer in client.run(describe_worker, on_error="return").items():
        if isinstance(answer, ImportError):
            raise InputError(
                f"The Dask worker {address} cannot import fembed ({answer}); install fembed "
                f"{__version__} there."
            ) from answer
        if isinstance(answer, BaseException):
            continue  # it is just being lost
        if answer[1] != __version__:
            raise InputError(
                f"The Dask worker {address} has fembed {answer[1]}, but this is {__version__}; "
                "install the same version."
            )
        known[address] = answer
    if threads is not None:
        return dict.fromkeys(known, threads)
    slots: dict[str, int] = defaultdict(int)
    for address, count in client.nthreads().items():
        if address in known:
            slots[known[address][0]] += count
    return {
        address: max(1, cores // max(1, slots[machine]))
        for address, (machine, _, cores) in known.items()
    }


def _wait_for_change(futures: list[Future]) -> None:
    """Return once a future has ended in any way, or after a moment."""
    from concurrent.futures import CancelledError

    from distributed import wait

    try:
        wait(futures, timeout=_POLL_SECONDS, return_when="FIRST_COMPLETED")
    except (TimeoutError, CancelledError):
        return  # the caller looks at each future itself


def _worker_count(client: Client) -> int:
    try:
        return len(client.nthreads())
    except (OSError, RuntimeError) as error:
        raise WorkerError(
            "The Dask scheduler is lost; start it again, and this run with it."
        ) from error


def _result(future: Future) -> Any:
    from distributed import KilledWorker

    try:
        return future.result()
    except KilledWorker as error:
        raise WorkerError(
            "A case was lost with every Dask worker it ran on, probably for want of memory; give "
            "the workers more, or see their logs."
        ) from error
