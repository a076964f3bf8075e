"""How objects are shown: a title and a few facts, as text or as a table in a notebook."""

from __future__ import annotations

from html import escape
from typing import Any

#: Characters of a fact that are shown: a name or a list of settings can be of any length.
MAX_LENGTH = 72


class ShowsFacts:
    """A base class with a short ``repr``; dataclasses need ``repr=False`` beside it."""

    def _facts(self) -> tuple[str, dict[str, Any]]:
        """A title, and what is worth knowing at a glance; None is left out."""
        raise NotImplementedError

    def __repr__(self) -> str:
        title, facts = self._facts()
        lines = [f"    {name}: {_short(fact)}" for name, fact in facts.items() if fact is not None]
        return "\n".join([f"{type(self).__name__}: {title}", *lines])

    def _repr_html_(self) -> str:
        title, facts = self._facts()
        rows = "".join(
            f'<tr><th style="text-align:left">{escape(name)}</th>'
            f'<td style="text-align:left">{escape(_short(fact))}</td></tr>'
            for name, fact in facts.items()
            if fact is not None
        )
        head = f"<b>{escape(type(self).__name__)}</b>: {escape(title)}"
        return f"<div>{head}<table>{rows}</table></div>"


def counted(number: int, noun: str) -> str:
    """``1,204 samples`` or ``1 sample``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def first_names(names: Any) -> str:
    """The first few names, and how many there are more."""
    few = ", ".join(map(str, names[:3]))
    return few if len(names) <= 3 else f"{few}, ..."


def _short(fact: Any) -> str:
    text = f"{fact:.4g}" if isinstance(fact, float) else str(fact)
    text = " ".join(text.split())
    return text if len(text) <= MAX_LENGTH else f"{text[: MAX_LENGTH - 3]}..."
