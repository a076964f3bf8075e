"""The options ``--engine`` and ``--device``, which every command has that calls the engine."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

Engine = Annotated[
    str,
    typer.Option(help="What computes: native (processors) or torch (PyTorch, for GPUs)."),
]
Device = Annotated[
    str,
    typer.Option(
        help="With --engine torch: cpu, cuda (or cuda:1, ...), mps, or auto, a GPU where there is "
        "one."
    ),
]


def with_engine(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command with the two options, whose work the chosen engine does.

    Of several processes that ``torchrun`` has started, one carries the command out.

    The options are added here, to all commands in one place, since no command has a use for them.
    """
    plain = inspect.signature(command, eval_str=True)
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, default, kind in (("engine", "native", Engine), ("device", "auto", Device))
    ]

    @functools.wraps(command)
    def on_engine(*, engine: str, device: str, **options: Any) -> Any:
        if (engine, device) == ("native", "auto"):
            return command(**options)
        from fembed import engine as engines
        from fembed.output.streams import tell

        with engines.together(engine, device) as leads:
            if not leads:  # one process of several, which has trained along
                return None
            if engine != "native" and not options.get("quiet"):
                tell(f"The engine is {engines.chosen().describe()}.")
            return command(**options)

    signature = plain.replace(parameters=[*plain.parameters.values(), *options])
    on_engine.__signature__ = signature  # type: ignore[attr-defined]
    on_engine.__annotations__ = {it.name: it.annotation for it in signature.parameters.values()}
    return on_engine
