"""Cases on a Dask cluster: data sent once per worker, lost workers survived; see `dispatch.run`."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fembed.errors import InputError, WorkerError
from fembed.parallel.scheduler import POLL_SECONDS, Scheduler, connected, scheduler_lost
from fembed.parallel.workers import ATTEMPTS, Finish, Workers, alone, core_count
from fembed.threads import limit_for_good

if TYPE_CHECKING:
    from distributed import Future


def run_on_dask(
    task: Any, shared: Any, cases: Sequence[Any], workers: Workers, finish: Finish
) -> None:
    """Run every case and call ``finish`` with each result; errors are those of `parallel.run`."""
    waiting = dict(enumerate(cases))
    with connected(workers.scheduler, workers.patience_seconds) as scheduler:
        # Dask itself moves the cases of a lost worker to another. Only where the last worker with
        # the shared data is lost is there nothing left to move: then all is sent anew.
        for _ in range(ATTEMPTS):
            scheduler.wait_for_worker()
            if _run_once(scheduler, task, shared, waiting, workers, finish):
                return
    raise WorkerError(
        f"{len(waiting)} of {len(cases)} cases are left after all workers of the Dask cluster were "
        f"lost {ATTEMPTS} times; see the workers' logs."
    )


def _run_once(
    scheduler: Scheduler,
    task: Any,
    shared: Any,
    waiting: dict[int, Any],
    workers: Workers,
    finish: Finish,
) -> bool:
    """Submit what is ``waiting`` and take away what finishes; False if the shared data are lost."""
    patience = workers.patience_seconds
    submitted = _Submitted(scheduler, task, shared, waiting, workers)
    seen_workers = time.monotonic()
    try:
        while waiting:
            scheduler.look()
            if submitted.lacks_any():
                try:
                    submitted.add_all()
                except TimeoutError:
                    return False  # a worker that it was for has ended or fallen silent
            _wait_for_change(submitted.everything())
            if not submitted.take_finished(finish):
                return False
            if scheduler.live:
                seen_workers = time.monotonic()
            elif time.monotonic() - seen_workers > (0 if scheduler.silent else patience):
                raise WorkerError(
                    f"No worker of the Dask cluster has answered for {patience:.0f} s, with "
                    f"{len(waiting)} cases to do; see the workers' logs."
                )
    finally:
        with suppress(WorkerError, TimeoutError):  # they are of no use to anybody
            scheduler.ask(lambda: scheduler.client.cancel(submitted.everything()), set())
    return True


class _Submitted:
    """The cases of a round on the cluster; of a case there may be several copies.

    ``waiting`` loses each case that finishes; the other arguments are those of `run_on_dask`.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        task: Any,
        shared: Any,
        waiting: dict[int, Any],
        workers: Workers,
    ) -> None:
        self._scheduler = scheduler
        self._task = task
        self._shared = shared
        self._waiting = waiting
        self._workers = workers
        self._futures: dict[int, list[Future]] = {index: [] for index in waiting}
        self._given_up: set[str] = set()  # workers whose silence has been answered

    def everything(self) -> list[Future]:
        return [future for copies in self._futures.values() for future in copies]

    def lacks_any(self) -> bool:
        """Whether a case has no copy, or a worker fell silent, so that some may never come.

        What a silent worker has to do is only part of the loss: it may be the last to have the
        shared data. So all cases are submitted again; the first to come counts.
        """
        scheduler = self._scheduler
        fell_silent = scheduler.silent - self._given_up and scheduler.live
        return not all(self._futures.values()) or bool(fell_silent)

    def add_all(self) -> None:
        """One more copy of every case; TimeoutError if a worker is lost meanwhile."""
        scheduler = self._scheduler
        self._given_up |= scheduler.silent
        threads = _threads_by_worker(scheduler, self._workers.n_threads)
        sent = _scattered(scheduler, self._shared, set(threads))
        # Strictly to those that answer, if some do not: Dask takes a silent worker for idle, and
        # would let it steal what is meant for others.
        places = sorted(scheduler.live) if scheduler.silent else None
        with scheduler_lost():
            for index, copies in self._futures.items():
                case = self._waiting[index]
                copies.append(
                    scheduler.client.submit(
                        case_on_worker, self._task, sent, case, threads, pure=False, workers=places
                    )
                )

    def take_finished(self, finish: Finish) -> bool:
        """Pass on the results that are there; False if the shared data are lost."""
        futures = self._futures
        for index in [i for i, copies in futures.items() if any(f.done() for f in copies)]:
            future = next(future for future in futures[index] if future.done())
            if future.cancelled():
                futures[index].remove(future)
                if futures[index]:
                    continue
                self._scheduler.look()  # says so if it is the scheduler that is lost
                return False
            found = _result(future, self._workers.patience_seconds)
            if not found:  # it lies on a worker that does not answer
                futures[index].remove(future)
                continue
            (result,) = found
            # The other copies of the case are dropped with it.
            del self._waiting[index], futures[index]
            finish(index, result)
        return True


@dataclass(frozen=True)
class Sent:
    """Shared data as one thing: Dask would take a tuple or a dict apart."""

    value: Any


def case_on_worker(task: Any, sent: Sent, case: Any, threads: dict[str, int]) -> Any:
    """One case on a Dask worker, which may run several at once."""
    from distributed import get_worker

    # A worker that joined later was not counted, so it takes one thread.
    n_threads = threads.get(get_worker().address, 1)
    limit_for_good(n_threads)
    return alone(task, sent.value, case, n_threads)


def describe_worker() -> tuple[str, str, int]:
    """Of the worker this runs on: its machine, its fembed's version, its cores."""
    import socket

    from fembed import __version__

    return socket.gethostname(), __version__, core_count()


def _threads_by_worker(scheduler: Scheduler, threads: int | None) -> dict[str, int]:
    """Threads per case, by worker address: together, the cases of a machine use each core once."""
    from fembed import __version__

    asked = sorted(scheduler.live)
    answers = scheduler.ask(
        lambda: scheduler.client.run(describe_worker, workers=asked, on_error="return"), set(asked)
    )
    known: dict[str, tuple[str, str, int]] = {}
    for address, answer in answers.items():
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
    for address in known:
        slots[known[address][0]] += scheduler.slots.get(address, 1)
    return {
        address: max(1, cores // max(1, slots[machine]))
        for address, (machine, _, cores) in known.items()
    }


def _scattered(scheduler: Scheduler, shared: Any, workers: set[str]) -> Future:
    """``shared`` on every one of ``workers``."""

    async def send() -> Future:
        # hash=False: hashing a large matrix takes longer than sending it.
        sent: Future = await scheduler.client.scatter(
            Sent(shared), workers=sorted(workers), broadcast=True, hash=False
        )
        return sent

    return scheduler.ask(send, workers)


def _wait_for_change(futures: list[Future]) -> None:
    """Return once a future has ended in any way, or after a moment."""
    from concurrent.futures import CancelledError

    from distributed import wait

    try:
        wait(futures, timeout=POLL_SECONDS, return_when="FIRST_COMPLETED")
    except (TimeoutError, CancelledError):
        return  # the caller looks at each future itself


def _result(future: Future, patience_seconds: float) -> tuple[()] | tuple[Any]:
    """The result alone in a tuple; nothing if it does not come within the patience."""
    from distributed import KilledWorker

    if future.status == "error":
        try:
            future.result()  # raises it
        except KilledWorker as error:
            raise WorkerError(
                "A case was lost with every Dask worker it ran on, probably for want of memory; "
                "give the workers more, or see their logs."
            ) from error
    try:
        with scheduler_lost():
            return (future.result(timeout=patience_seconds),)
    except TimeoutError:
        return ()
