"""A Dask scheduler, whose silence or end is an error in time and never a hang."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from fembed.errors import InputError, WorkerError, imported

if TYPE_CHECKING:
    from distributed import Client

#: Beyond this and the import of Dask (1 to 2 s), a user would think that the program hangs.
CONNECT_SECONDS = 6.0
POLL_SECONDS = 1.0
_CLOSE_SECONDS = 2.0
#: What a client raises whose scheduler has gone.
GONE = (OSError, RuntimeError, asyncio.CancelledError, CancelledError)


class Scheduler:
    """A client, and which workers of its cluster answer.

    Attributes
    ----------
    client : distributed.Client
    live, silent : set of str
        Addresses of the workers that were heard within the patience, and of the others.
    slots : dict
        Cases that a worker runs at once, by its address.
    """

    def __init__(self, client: Client, patience_seconds: float) -> None:
        self.client = client
        self.live: set[str] = set()
        self.silent: set[str] = set()
        self.slots: dict[str, int] = {}
        self._patience = patience_seconds
        self._heard: dict[str, tuple[Any, float]] = {}
        self._looked = -POLL_SECONDS

    def look(self) -> None:
        """Learn who is there; WorkerError if the scheduler does not say within the patience."""
        if time.monotonic() - self._looked < POLL_SECONDS:
            return

        async def identity() -> Any:
            return await self.client.scheduler.identity()

        asked = self._begin(identity)
        try:
            with scheduler_lost():
                workers = asked.result(self._patience)["workers"]
        except TimeoutError as error:
            if self.client.status != "running":  # it tries to connect again
                raise _lost() from error
            raise WorkerError(
                f"The Dask scheduler has not answered for {self._patience:.0f} s; see its log, or "
                "start it again, and this run with it."
            ) from error
        finally:
            asked.cancel()
        now = self._looked = time.monotonic()
        for address, facts in workers.items():
            # By the scheduler's clock; only whether it moves is of use here.
            beat = facts.get("last_seen", now)
            if self._heard.get(address, (None,))[0] != beat:
                self._heard[address] = (beat, now)
        self.silent = {a for a in workers if now - self._heard[a][1] > self._patience}
        self.live = set(workers) - self.silent
        self.slots = {address: int(facts["nthreads"]) for address, facts in workers.items()}

    def wait_for_worker(self) -> None:
        """Return as soon as a worker answers; WorkerError after the patience."""
        until = time.monotonic() + self._patience
        self.look()
        while not self.live:
            if time.monotonic() > until:
                raise WorkerError(
                    f"The Dask cluster has had no worker that answers for {self._patience:.0f} s; "
                    "start some with 'dask worker ADDRESS'."
                )
            time.sleep(0.2)
            self.look()

    def ask(self, call: Callable[[], Any], workers: set[str]) -> Any:
        """What ``call`` answers in the client's loop; it may take long while all are heard.

        Raises
        ------
        TimeoutError
            One of ``workers``, whom it is about, has fallen silent or has gone.
        WorkerError
            The scheduler has.
        """
        asked = self._begin(call)
        try:
            while True:
                try:
                    with scheduler_lost():
                        return asked.result(POLL_SECONDS)
                except TimeoutError:
                    if asked.done():
                        raise
                    self.look()
                    if not workers <= self.live:
                        raise
        finally:
            asked.cancel()

    def _begin(self, call: Callable[[], Any]) -> Any:
        async def called() -> Any:  # in the loop, where what a client does is awaited
            return await call()

        return asyncio.run_coroutine_threadsafe(called(), self.client.loop.asyncio_loop)


@contextmanager
def scheduler_lost() -> Iterator[None]:
    """Turn what a client raises whose scheduler has ended into a sentence; not what is late."""
    try:
        yield
    except TimeoutError:
        raise
    except GONE as error:
        raise _lost() from error


def _lost() -> WorkerError:
    return WorkerError("The Dask scheduler is lost; start it again, and this run with it.")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask from logging tracebacks of what we say in a sentence."""
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def connected(scheduler: Any, patience_seconds: float) -> Iterator[Scheduler]:
    """The scheduler at an address, or of a client, which stays open.

    Raises
    ------
    InputError
        Dask is not installed, or no scheduler answers there within 6 s.
    """
    sentence = 'The backend dask needs Dask; run: pip install "fembed[dask]".'
    distributed = imported("distributed", sentence)
    if isinstance(scheduler, distributed.Client):
        with scheduler.as_current():
            yield Scheduler(scheduler, patience_seconds)
        return
    # Before there is a client: one that fails half-made leaves a thread, which the garbage
    # collector may stop at a time when that is a deadlock.
    _check_answers(scheduler)
    with _quiet():
        try:
            client = distributed.Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise _refused(scheduler, error) from error
        try:
            with client.as_current():  # `distributed.wait` asks for the current one
                yield Scheduler(client, patience_seconds)
        finally:
            with suppress(TimeoutError, *GONE):  # to a scheduler that is lost or silent
                client.close(timeout=_CLOSE_SECONDS)


def _check_answers(scheduler: Any) -> None:
    """Ask who is at the address, in a thread of its own: even to resolve it may hang."""
    answer: list[str | Exception] = []

    def ask() -> None:
        try:
            answer.append(asyncio.run(_kind(scheduler)))
        except Exception as error:  # whatever it is, and MemoryError is one: no scheduler
            answer.append(error)

    thread = threading.Thread(target=ask, name="fembed asks a scheduler", daemon=True)
    thread.start()
    thread.join(CONNECT_SECONDS + 1.0)
    if not answer:
        raise _refused(scheduler, f"no answer within {CONNECT_SECONDS:.0f} s")
    if isinstance(answer[0], Exception):
        raise _refused(scheduler, answer[0]) from answer[0]
    if answer[0] != "Scheduler":
        raise _refused(scheduler, f"a Dask {answer[0]} does")


async def _kind(scheduler: Any) -> str:
    """Of what is at the address, its kind: ``Scheduler``, ``Worker`` or ``Nanny``."""
    from distributed import rpc
    from distributed.comm import resolve_address
    from distributed.security import Security

    # A cluster object (LocalCluster, say) has both; an address is one.
    address = getattr(scheduler, "scheduler_address", scheduler)
    security = getattr(scheduler, "security", None) or Security()
    arguments = security.get_connection_args("client")
    async with rpc(
        resolve_address(address), timeout=CONNECT_SECONDS, connection_args=arguments
    ) as server:
        answer = await asyncio.wait_for(server.identity(), CONNECT_SECONDS)
    return str(answer["type"])


def _refused(scheduler: Any, reason: Exception | str) -> InputError:
    why = str(reason) or type(reason).__name__
    return InputError(
        f"No Dask scheduler answers at {scheduler!r} ({why}); start one with 'dask scheduler'"
        " and give the address it prints, such as tcp://10.0.0.1:8786."
    )
