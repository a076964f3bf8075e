"""What varies in a sweep: options of a fit and their values."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fembed.config import FitConfig, is_number
from fembed.errors import InputError, shown

#: Types of the options of a fit, as their annotations read.
_TYPES = {field.name: str(field.type) for field in dataclasses.fields(FitConfig)}
#: What the command line calls an option, where it is not the option's own name.
_ALIASES = {"components": "n_components"}
#: More cases would take months, and fit into no table or figure.
MAX_CASES = 10_000
#: The number of threads changes no model.
_FIXED = ("n_threads",)


@dataclass(frozen=True)
class Grid:
    """Options and their values, in the order given; every combination is a case.

    Attributes
    ----------
    values : mapping from the option's name to its values
    """

    values: Mapping[str, tuple[Any, ...]]

    @classmethod
    def of(cls, values: Mapping[str, Sequence[Any]]) -> Grid:
        """A grid of values as Python has them.

        Raises
        ------
        InputError
            An unknown option, an option without values, or a value twice.
        """
        if not isinstance(values, Mapping) or not values:
            raise InputError("The grid is empty; give options of the fit with several values each.")
        checked = {}
        for option, several in values.items():
            name = known_option(option)
            if isinstance(several, str | bytes | Mapping) or not np.iterable(several):
                raise InputError(f"The values of {name} are {shown(several)}; give a list of them.")
            made = tuple(_plain(name, value) for value in itertools.islice(several, MAX_CASES + 1))
            if not made:
                raise InputError(f"The option {name} has no values; give at least one.")
            if len(made) > MAX_CASES:
                raise InputError(f"The option {name} has more than {MAX_CASES:,} values.")
            _refuse_repeats(name, made)
            checked[name] = made
        return cls(checked)

    @classmethod
    def parse(cls, words: Sequence[tuple[str, str]]) -> Grid:
        """A grid of the command line's words: pairs of an option and ``v1,v2,...``.

        Raises
        ------
        InputError
            As `of`; or a value that is not of the option's kind.
        """
        values: dict[str, list[Any]] = {}
        for option, text in words:
            name = known_option(option)
            if name in values:
                raise InputError(
                    f"The option {name} is in the grid twice; give all values at once."
                )
            values[name] = [_read(name, word.strip()) for word in text.split(",")]
        return cls.of(values)

    @property
    def varying(self) -> tuple[str, ...]:
        """Options with more than one value."""
        return tuple(name for name, values in self.values.items() if len(values) > 1)

    def cases(self, base: FitConfig) -> list[FitConfig]:
        """``base`` with every combination of values; the last option varies fastest.

        Raises
        ------
        InputError
            For a combination that no fit can have.
        """
        names = list(self.values)
        count = math.prod(len(values) for values in self.values.values())
        if count > MAX_CASES:
            raise InputError(
                f"The grid has {count:,} combinations, and {MAX_CASES:,} are the most; give fewer "
                "values."
            )
        return [
            dataclasses.replace(base, n_threads=None, **dict(zip(names, some, strict=True)))
            for some in itertools.product(*self.values.values())
        ]


def _refuse_repeats(name: str, values: tuple[Any, ...]) -> None:
    seen = set()
    for value in values:
        try:
            hash(value)
        except TypeError:  # a list in a list, say, which no option takes
            raise InputError(f"The value {shown(value)} of {name} is impossible.") from None
        if value in seen:
            raise InputError(f"The option {name} has the value {value!r} twice; give once.")
        seen.add(value)


def known_option(option: str) -> str:
    """The name of an option of a fit, also as the command line writes it; InputError for others."""
    if not isinstance(option, str):
        raise InputError(f"The option {shown(option)} is not a name; give one of a fit.")
    name = option.strip().replace("-", "_")
    name = _ALIASES.get(name, name)
    if name in _FIXED:
        raise InputError(f"The option {name} changes no model, so it is no option of a grid.")
    if name not in _TYPES:
        known = ", ".join(known for known in _TYPES if known not in _FIXED)
        raise InputError(f"The option '{option}' is not one of a fit; those are {known}.")
    return name


def option_text(value: Any) -> str:
    """A value as a person writes it: ``0.0001`` is ``1e-4``, ``(100, 50)`` is ``100-50``."""
    if isinstance(value, tuple):
        return "-".join(map(str, value))
    if isinstance(value, float):
        small = 0.0 < abs(value) < 0.01  # in a row of 1e-5, 1e-4, 1e-3 none is to look different
        digits, _, exponent = (f"{value:.5e}" if small else f"{value:g}").partition("e")
        if "." in digits:
            digits = digits.rstrip("0").rstrip(".")
        return digits + (f"e{int(exponent)}" if exponent else "")
    return "default" if value is None else str(value)


def _plain(name: str, value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, list):
        value = tuple(value)
    if _TYPES[name].startswith("float") and type(value) is int and is_number(value):
        return float(value)  # or 0 and 0.0 would be two cases
    return value


def _read(name: str, word: str) -> Any:
    kind = _TYPES[name]
    if "None" in kind and word.lower() in ("none", "default"):
        return None
    try:
        if kind.startswith("int"):
            return int(word)
        if kind.startswith("float"):
            return float(word)
        if kind.startswith("tuple"):
            return tuple(int(width) for width in word.split("-"))
    except ValueError:
        wanted = {"i": "a whole number", "f": "a number", "t": "widths such as 100-50-50"}[kind[0]]
        raise InputError(f"The value '{word}' of {name} is not {wanted}; correct it.") from None
    if kind == "bool":
        if word.lower() not in ("true", "false"):
            raise InputError(f"The value '{word}' of {name} is not true or false; correct it.")
        return word.lower() == "true"
    return word
