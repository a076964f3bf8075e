"""Measurements in a fresh process: own thread pools, own peak of memory."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any, Self

_made: Any = None  # in the measured process


class Worker:
    """A process that makes one object and calls it whenever it is asked to.

    It sleeps between the calls, so that two workers can be measured in turn without their thread
    pools meeting. What fails in it is raised here; `RuntimeError` if it was killed.
    """

    def __init__(self, make: Callable[..., Callable[..., Any]], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would share the pools' locks
        self._make = make, arguments
        self._pool = ProcessPoolExecutor(1, mp_context=context, initializer=_end_with_parent)

    def __call__(self, *arguments: Any) -> Any:
        return self._pool.submit(_call, *self._make, arguments).result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown()


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """The value of ``function(*arguments)`` in a process of its own; both from a module."""
    with Worker(_itself, function) as worker:
        return worker(*arguments)


def _itself(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


def _call(make: Callable[..., Any], arguments: tuple[Any, ...], call: tuple[Any, ...]) -> Any:
    global _made
    _made = _made or make(*arguments)
    return _made(*call)


def _end_with_parent() -> None:
    """A killed benchmark must not leave a measurement behind that slows the next one."""

    def wait() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
