"""Figures of a model and its samples.

Names are loaded when they are first used, so that importing this package is quick and asks for
no drawing library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fembed.pl.interactive import interactive_map as interactive_map

_HOME = {
    "interactive_map": "interactive",
}

__all__ = [*_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'fembed.pl' has no attribute {name!r}")
    found = getattr(importlib.import_module(f"fembed.pl.{_HOME[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
