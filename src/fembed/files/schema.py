"""JSON from a file: parsed within bounds, and checked field by field against a schema.

A document is checked once, where it is read, so that nothing which uses it has to. A checksum says
that nobody changed a document by accident; that its fields make sense is another matter.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from fembed import errors
from fembed.errors import InputError

#: How deep lists and objects may be nested; ours have five levels.
MAX_LEVELS = 32
#: Largest number in a document: no loss, size or time is near it, and its square is finite.
MAX_NUMBER = 1e100
#: Digits of a whole number: Python itself refuses to read or write some thousand.
MAX_DIGITS = 40

#: What is wrong in a field: the place within it, the value, and what it should be; or None.
Problem = tuple[str, Any, str] | None
Kind = Callable[[Any], Problem]


def parsed(text: bytes) -> Any:
    """The JSON value of a UTF-8 text.

    Raises
    ------
    ValueError
        The text is not JSON, or is JSON that cannot be used: a key twice, more than `MAX_LEVELS`
        levels, a number beyond 64-bit floats, half of a surrogate pair.
    """
    try:
        value = json.loads(
            text.decode(),
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_of_few_digits,
            object_pairs_hook=_without_repeats,
        )
    except RecursionError:
        raise ValueError(f"more than {MAX_LEVELS} levels") from None
    _check_values(value)
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"the number {shown_json(text)} is beyond 64-bit floats")
    return value


def _of_few_digits(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a whole number of {len(text)} digits")
    return int(text)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {shown_json(twice)} is there twice")
    return found


def _check_values(value: Any) -> None:
    """Depth and texts, without recursion, which depth would end."""
    level = [value]
    for _ in range(MAX_LEVELS):
        below: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                below += one
                below += one.values()
            elif isinstance(one, list):
                below += one
            elif isinstance(one, str) and not one.isascii():
                _check_text(one)
        level = below
        if not level:
            return
    raise ValueError(f"more than {MAX_LEVELS} levels")


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"half of a surrogate pair in the text {shown_json(text)}") from None


def shown_json(value: Any) -> str:
    """A value as a message repeats it, in the words of JSON: on one line, and short."""
    if isinstance(value, dict | list):
        noun = "an object" if isinstance(value, dict) else "a list"
        return noun if value else f"{noun} without anything"
    return errors.shown(value) if isinstance(value, str) else json.dumps(value)


@dataclass(frozen=True)
class Record:
    """A kind: an object with these fields.

    Attributes
    ----------
    fields : mapping of str to kind
    optional : mapping of str to kind
        Fields that may be absent.
    other : bool
        Whether there may be fields of other names, which then hold anything.
    """

    fields: Mapping[str, Kind]
    optional: Mapping[str, Kind]
    other: bool = False

    def __call__(self, value: Any) -> Problem:
        """What is wrong with ``value``, or None."""
        if not isinstance(value, dict):
            return "", value, "an object"
        for name, kind in self._kinds():
            if name not in value:
                if name in self.fields:
                    return f".{name}", _ABSENT, ""
                continue
            problem = kind(value[name])
            if problem is not None:
                where, found, wanted = problem
                return f".{name}{where}", found, wanted
        known = {*self.fields, *self.optional}
        unknown = None if self.other else next((n for n in value if n not in known), None)
        return None if unknown is None else (f".{unknown}", _UNKNOWN, "")

    def _kinds(self) -> Iterator[tuple[str, Kind]]:
        yield from self.fields.items()
        yield from self.optional.items()


_ABSENT, _UNKNOWN = object(), object()


def number(
    low: float = -MAX_NUMBER, high: float = MAX_NUMBER, *, above: float | None = None
) -> Kind:
    """A kind: a number from ``low`` to ``high``, perhaps only above a bound."""
    begin = f"above {above:g}" if above is not None else f"from {low:g}"
    wanted = (
        "a number" if (low, high) == (-MAX_NUMBER, MAX_NUMBER) else f"a number {begin} to {high:g}"
    )

    def kind(value: Any) -> Problem:
        right = isinstance(value, int | float) and not isinstance(value, bool)
        right = right and low <= value <= high and (above is None or value > above)
        return None if right else ("", value, wanted)

    return kind


def whole(low: int = 0, high: int = 2**53) -> Kind:
    """A kind: a whole number from ``low`` to ``high``."""

    def kind(value: Any) -> Problem:
        right = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        return None if right else ("", value, f"a whole number from {low} to {high}")

    return kind


def truth(value: Any) -> Problem:
    """A kind: true or false."""
    return None if isinstance(value, bool) else ("", value, "true or false")


def text(value: Any) -> Problem:
    """A kind: a text."""
    return None if isinstance(value, str) else ("", value, "a text")


def nullable(kind: Kind) -> Kind:
    """The same kind, or null."""

    def or_null(value: Any) -> Problem:
        problem = None if value is None else kind(value)
        return problem if problem is None else (*problem[:2], f"{problem[2]} or null")

    return or_null


def several(kind: Kind, least: int = 0, most: int | None = None) -> Kind:
    """A kind: a list of values of a kind."""
    limits = f" of {least} to {most}" if most is not None else f" of at least {least}"
    wanted = "a list" if (least, most) == (0, None) else f"a list{limits} values"

    def listed(value: Any) -> Problem:
        if not isinstance(value, list):
            return "", value, wanted
        if len(value) < least or (most is not None and len(value) > most):
            return "", value, wanted
        for position, item in enumerate(value):
            problem = kind(item)
            if problem is not None:
                return f"[{position}]{problem[0]}", *problem[1:]
        return None

    return listed


def by_name(kind: Kind) -> Kind:
    """A kind: an object of any names whose values are of a kind."""

    def named(value: Any) -> Problem:
        return Record(dict.fromkeys(value, kind), {})(value) if isinstance(value, dict) else (
            "", value, "an object"
        )  # fmt: skip

    return named


def anything(value: Any) -> Problem:
    """A kind: whatever `parsed` lets through."""
    del value
    return None


def check(value: Any, kind: Kind, place: str) -> None:
    """Raise InputError unless ``value`` is of ``kind``; ``place`` begins the message.

    Examples
    --------
    >>> check({"seed": "7"}, Record({"seed": whole()}, {}), "model.json")
    Traceback (most recent call last):
    ...
    fembed.errors.InputError: model.json: the field 'seed' is '7', not a whole number from ...
    """
    problem = kind(value)
    if problem is None:
        return
    where, found, wanted = problem
    called = f"the field '{where.removeprefix('.')}'" if where else "what is there"
    if found is _ABSENT:
        raise InputError(f"{place}: {called} is absent.")
    if found is _UNKNOWN:
        raise InputError(f"{place}: {called} is not known to this version of fembed.")
    raise InputError(f"{place}: {called} is {shown_json(found)}, not {wanted}.")
