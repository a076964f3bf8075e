"""Ctrl-C, SIGTERM and SIGHUP end a command in the same orderly way, and within seconds."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn

#: The message of a command that is stopped.
STOPPED = "Interrupted; no output is half-written."
#: Seconds in which a command may tidy up. A library that computes for longer without a look at
#: signals, or one that swallows the exception, is ended with the process.
GRACE = 3.0


#: The signal that asked this process to stop, once one did.
_asked: int | None = None


class Stopped(KeyboardInterrupt):
    """A signal asks the process to stop; ``number`` says which."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def status_of(error: BaseException | None) -> int:
    """The exit status of a process stopped by ``error``, as shells count: 128 and the signal."""
    return 128 + int(getattr(error, "number", signal.SIGINT))


def asked() -> int | None:
    """The signal that asked this process to stop, if one did.

    What is raised after that may be its consequence: `Stopped` in the middle of an import can come
    out as a library that cannot be imported.
    """
    return _asked


@contextmanager
def heeded() -> Iterator[None]:
    """Turn the signals into `Stopped` in the main thread, where they are not to be ignored.

    Whatever is not caught within ends the process with one line; so does the end of `GRACE`.
    """
    kinds = [getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGHUP")]
    heard = [
        kind
        for kind in kinds
        if kind is not None and signal.getsignal(kind) not in (signal.SIG_IGN, None)
    ]
    for kind in heard:
        signal.signal(kind, _stop)
    if os.name != "nt":  # Windows wants a socket there, and has no SIGHUP
        _watch(heard)
    told, sys.unraisablehook = sys.unraisablehook, _quiet(sys.unraisablehook)
    try:
        yield
    except KeyboardInterrupt as error:
        print(f"fembed: {STOPPED}", file=sys.stderr, flush=True)
        sys.exit(status_of(error))
    finally:
        sys.unraisablehook = told
        for kind in heard:  # what is left to do needs no tidying up
            signal.signal(kind, signal.SIG_DFL)
        if _asked is not None:
            _leave(128 + _asked)


def _quiet(told: Callable[[Any], Any]) -> Callable[[Any], None]:
    """A hook that is silent on `Stopped`.

    In a ``__del__``, for instance, Python drops the exception; then the end of `GRACE` ends the
    process.
    """

    def hook(unraisable: Any) -> None:
        if not isinstance(unraisable.exc_value, Stopped):
            told(unraisable)

    return hook


def _leave(status: int) -> NoReturn:
    """End without Python's own dismantling, which libraries interrupted in an import can crash."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def _stop(number: int, frame: FrameType | None) -> None:
    del frame
    global _asked
    _asked = number
    for kind in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, kind):  # a second one must not disturb the tidying up
            signal.signal(getattr(signal, kind), signal.SIG_IGN)
    raise Stopped(number)


def _watch(heard: list[signal.Signals]) -> None:
    """Start a thread that the system tells of a signal at once, whatever the main one does."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)

    def wait() -> None:
        while (number := os.read(reading, 1)[0]) not in heard:
            continue
        time.sleep(GRACE)
        os.write(2, f"fembed: {STOPPED}\n".encode())
        os._exit(128 + number)

    threading.Thread(target=wait, name="fembed-stopping", daemon=True).start()
