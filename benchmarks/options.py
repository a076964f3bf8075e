"""The options of every benchmark: each is said once, as a field of a dataclass.

A field's type says how its words are read (``tuple`` takes a list with commas, ``bool`` none), its
name what it is called: ``most_folds`` is ``--most-folds``.
"""

from __future__ import annotations

import argparse
import types
import typing
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

RESULTS = Path(__file__).parent / "results"
#: The data folder beside the checkout.
FOLDER = Path(__file__).parents[2] / "shared" / "data"

T = TypeVar("T")


def option(
    default: Any, words: str, *, least: float | None = 1, among: tuple[str, ...] = (), **more: Any
) -> Any:
    """A field of a benchmark's options; ``among`` are the words that a list may have.

    ``more`` are ``short`` (``-o``), and ``repeated`` for an option that may be given several times.
    """
    return field(default=default, metadata={"words": words, "least": least, "among": among} | more)


def repeats_option(default: int, words: str) -> Any:
    """``--repeats``."""
    return option(default, f"how often {words}")


def seed_option() -> Any:
    """``--seed``."""
    return option(0, "of all that is random", least=0)


@dataclass(frozen=True, kw_only=True)
class Common:
    """What every measuring command is asked."""

    threads: int = option(2, "threads of the engine and of its rivals")
    folder: Path = option(FOLDER, "where the data sets are")
    output: Path | None = option(
        None, "the JSON file; benchmarks/results/NAME.json if not given", short="-o"
    )

    def shown(self) -> dict[str, Any]:
        """For the result file."""
        return {name: value for name, value in vars(self).items() if name != "output"}


def parsed(kind: type[T], words: list[str], command: str, about: str) -> T:
    """The options that ``words`` say; ends with the help or an error as argparse does."""
    parser = argparse.ArgumentParser(
        f"python -m benchmarks {command}", description=about, allow_abbrev=False
    )
    hints = typing.get_type_hints(kind)
    for one in fields(kind):  # type: ignore[arg-type]
        about_it, default = one.metadata, one.default
        flags = [f"--{one.name.replace('_', '-')}", *filter(None, [about_it.get("short")])]
        if hints[one.name] is bool:
            parser.add_argument(*flags, action="store_true", help=about_it["words"])
        else:
            parser.add_argument(
                *flags,
                dest=one.name,
                default=default,
                type=_reader(hints[one.name], about_it),
                action="append" if about_it.get("repeated") else "store",
                help=about_it["words"] + ("" if default is None else f" [{_text(default)}]"),
            )
    return kind(**vars(parser.parse_args(words)))


def _text(default: Any) -> str:
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    return str(default).replace("%", "%%")


def _reader(hint: Any, about: typing.Mapping[str, Any]) -> Any:
    """How one word of this type is read."""
    inner = typing.get_args(hint)
    if isinstance(hint, types.UnionType):  # ``int | None``
        return _reader(inner[0], about)
    if about.get("repeated") or hint in (str, Path):
        return hint if hint is Path else str
    if typing.get_origin(hint) is not tuple:
        return lambda word: _number(hint, word, about["least"])
    n_wanted = None if inner[-1] is Ellipsis else len(inner)

    def several(text: str) -> tuple[Any, ...]:
        parts = [part.strip() for part in text.split(",") if part.strip()]
        if not parts or n_wanted not in (None, len(parts)):
            raise argparse.ArgumentTypeError(f"{text!r} is not a list such as 2,8")
        wrong = [part for part in parts if about["among"] and part not in about["among"]]
        if wrong:
            raise argparse.ArgumentTypeError(f"{wrong[0]!r} is none of {', '.join(about['among'])}")
        if inner[0] is str:
            return tuple(parts)
        return tuple(_number(inner[0], part, about["least"]) for part in parts)

    return several


def _number(kind: Any, word: str, least: float | None) -> Any:
    try:
        value = kind(word)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{word!r} is not a number") from None
    if least is not None and value < least:
        raise argparse.ArgumentTypeError(f"{word} is below {least:g}")
    return value
