"""Which engine computes: the native one, unless a caller further out has chosen another.

The choice is a context, so that nothing between a command and a call of the engine has to hand it
on. A thread that is started within it has the native engine; work for other processes is wrapped by
`carried`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from fembed.engine.interface import Engine
from fembed.engine.native import Native
from fembed.errors import InputError, shown

P = ParamSpec("P")
T = TypeVar("T")

ENGINES = ("native", "torch")
#: What `using` takes as the device, beside ``cuda:1`` and so on.
DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True)
class Choice:
    """What `using` was asked for."""

    engine: str = "native"
    device: str = "auto"


_NATIVE = Native()
_chosen: ContextVar[tuple[Choice, Engine]] = ContextVar("engine", default=(Choice(), _NATIVE))


def chosen() -> Engine:
    """The engine of the calls that follow."""
    return _chosen.get()[1]


@contextmanager
def using(engine: str = "native", device: str = "auto") -> Iterator[None]:
    """Let another engine, or another device, do the work of all calls within.

    Parameters
    ----------
    engine : {"native", "torch"}
        "native" is compiled C++ on processors. "torch" is PyTorch, for graphics processors.
    device : str
        Of PyTorch: "cpu", "cuda" (or "cuda:1", ...), "mps", or "auto", which is a graphics
        processor where there is one. The native engine takes "auto" and "cpu".

    Raises
    ------
    InputError
        If there is no such engine, or PyTorch or the device is absent.

    Examples
    --------
    >>> import numpy as np
    >>> import fembed
    >>> counts = np.random.default_rng(0).poisson(5.0, size=(30, 20))
    >>> with fembed.using("native"):
    ...     model = fembed.fit(counts, hidden=(8,), gene_components=4, epochs=2)
    """
    with working_with(_found(engine, device), Choice(engine, device)):
        yield


@contextmanager
def working_with(engine: Engine, choice: Choice = Choice()) -> Iterator[None]:  # noqa: B008
    """As `using`, with an engine that is there; ``choice`` says how other processes find it."""
    token = _chosen.set((choice, engine))
    try:
        yield
    finally:
        _chosen.reset(token)


def _found(engine: str, device: str) -> Engine:
    if engine not in ENGINES:
        raise InputError(f"The engine {shown(engine)} is not known; choose 'native' or 'torch'.")
    if engine == "torch":
        from fembed.engine.on_torch import OnTorch  # PyTorch is large, and may be absent

        return OnTorch(device)
    if device not in ("auto", "cpu"):
        raise InputError(
            f"The native engine works on the processor and not on {shown(device)}; choose the "
            "engine 'torch' for other devices."
        )
    return _NATIVE


def choosing(function: Callable[P, T]) -> Callable[P, T]:
    """Let a function's own arguments ``engine`` and ``device`` choose, where they are not None.

    They are given by keyword; the function itself has no further use for them.
    """

    @functools.wraps(function)
    def within(*arguments: P.args, **options: P.kwargs) -> T:
        engine, device = options.get("engine"), options.get("device")
        if engine is None and device is None:
            return function(*arguments, **options)
        now = _chosen.get()[0]
        # A device alone is for the engine that is chosen already.
        with using(str(engine or now.engine), str(device or "auto")):
            return function(*arguments, **options)

    return within


def carried(task: Callable[..., Any]) -> Callable[..., Any]:
    """``task`` as another process has to be given it, to compute as it would here."""
    choice = _chosen.get()[0]
    return task if choice.engine == "native" else _Carried(task, choice)


@dataclass(frozen=True)
class _Carried:
    task: Callable[..., Any]
    choice: Choice

    def __call__(self, *arguments: Any) -> Any:
        with using(self.choice.engine, self.choice.device):
            return self.task(*arguments)
