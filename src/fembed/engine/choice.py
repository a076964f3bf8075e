"""Which engine computes: the native one, unless a caller further out has chosen another.

The choice is a context, so that nothing between a command and a call of the engine has to hand it
on. A thread that is started within it has the native engine; work for other processes is wrapped by
`carried`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from fembed.engine.interface import Engine
from fembed.engine.native import Native
from fembed.errors import InputError, imported, shown

ENGINES = ("native", "torch")
NO_TORCH = (
    "The engine 'torch' needs PyTorch, which is not installed here; pip install 'fembed[torch]', "
    "or leave the engine out."
)


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
    with asked(engine, device):
        yield


@contextmanager
def working_with(engine: Engine, choice: Choice = Choice()) -> Iterator[None]:
    """As `using`, with an engine that is there; ``choice`` says how other processes find it."""
    token = _chosen.set((choice, engine))
    try:
        yield
    finally:
        _chosen.reset(token)


@contextmanager
def together(engine: str = "torch", device: str = "auto") -> Iterator[bool]:
    """As `using`, where ``torchrun`` may have started several processes: they train together.

    Parameters
    ----------
    engine, device : str
        As for `using`. Without a number, "cuda" is one GPU for each process of a machine.

    Yields
    ------
    bool
        Whether this process leads. The others have done their part then, and must leave alone what
        the leader does: reading, training, writing. One process leads, of course.

    Examples
    --------
    >>> from fembed import engine
    >>> with engine.together("native") as leads:
    ...     if leads:
    ...         print(engine.chosen().describe().split()[0])
    native
    """
    if engine == "torch":
        imported("torch", NO_TORCH)
        from fembed.engine.on_torch import OnTorch, partners

        if partners.are_there():
            here = partners.Partners(device)
            shared = OnTorch(partners=here)
            try:
                if not here.leads:
                    shared.serve()
                with working_with(shared, Choice(engine, device)):
                    yield here.leads
            finally:
                here.leave()
            return
    with using(engine, device):
        yield True


def _found(engine: str, device: str) -> Engine:
    if engine not in ENGINES:
        raise InputError(f"The engine {shown(engine)} is not known; choose 'native' or 'torch'.")
    if engine == "torch":
        imported("torch", NO_TORCH)
        from fembed.engine.on_torch import OnTorch  # PyTorch takes seconds to import

        return OnTorch(device)
    if device not in ("auto", "cpu"):
        raise InputError(
            f"The native engine works on the processor and not on {shown(device)}; choose the "
            "engine 'torch' for other devices."
        )
    return _NATIVE


def asked(engine: str | None, device: str | None) -> AbstractContextManager[None]:
    """As `using`, for arguments of a function: without both of them the choice stays as it is.

    An `InputError` is raised at once, and not only when the context is entered.
    """
    if engine is None and device is None:
        return nullcontext()
    # A device alone is for the engine that is chosen already.
    choice = Choice(engine or _chosen.get()[0].engine, device or "auto")
    return working_with(_found(choice.engine, choice.device), choice)


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
