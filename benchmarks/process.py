"""Measurements in a fresh process: own thread pools, own peak of memory."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self


class Worker:
    """A process that makes one object and calls it whenever it is asked to.

    It sleeps between the calls, so that two workers can be measured in turn without their thread
    pools meeting.
    """

    def __init__(self, make: Callable[..., Callable[..., Any]], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would share the pools' locks
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, make, arguments), daemon=True)
        self._process.start()
        theirs.close()

    def __call__(self, *arguments: Any) -> Any:
        self._pipe.send(arguments)
        return _value(self._pipe)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._pipe.close()
        self._process.join(timeout=10)
        if self._process.is_alive():
            self._process.terminate()


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """The value of ``function(*arguments)`` in a process of its own; both from a module."""
    with Worker(_itself, function) as worker:
        return worker(*arguments)


def _itself(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


def _serve(pipe: Connection, make: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    made: Any = None
    while True:
        try:
            call = pipe.recv()
        except EOFError:
            return
        try:
            made = made or make(*arguments)
            pipe.send((True, made(*call)))
        except Exception as error:
            pipe.send((False, f"{type(error).__name__}: {error}"))


def _end_with_parent() -> None:
    """A killed benchmark must not leave a measurement behind that slows the next one."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _value(pipe: Connection) -> Any:
    try:
        succeeded, value = pipe.recv()
    except (EOFError, ConnectionResetError):
        raise RuntimeError("the measured process ended without an answer (killed?)") from None
    if not succeeded:
        raise RuntimeError(f"in the measured process: {value}")
    return value
