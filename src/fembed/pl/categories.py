"""A category for each sample, from a column of any kind: its order, what is missing, its colours.

Every figure and page takes its labels from here, so that a category has one place in the legend and
one colour, whichever of the samples are drawn.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.errors import DataWarning
from fembed.pl.columns import as_text, category_texts, column_of, numbers_of, own_categories
from fembed.pl.palette import FEW, MISSING_LABEL, STEPS, Style, extended, styles

#: What a missing label reads once a program has made text of it; blank text is missing, too.
_MISSING_TEXTS = frozenset(("", MISSING_LABEL, "<NA>", "nan", "NaN", "NaT"))
#: More different numbers than this, not all of them whole, are measurements and not classes.
_MAX_NUMBERS = 20


@dataclass(frozen=True)
class Categories:
    """A category for each sample.

    Attributes
    ----------
    names : tuple of str
        In the order of the legend, with those that no sample has: a part of the samples keeps the
        colours of the whole. ``"NA"`` is the last one where labels are missing.
    codes : array of int, n
        Positions in ``names``.
    title : str
    colours : str by name
        ``#rrggbb``, where the data ask for colours; else the palette decides.
    """

    names: tuple[str, ...]
    codes: NDArray[np.intp]
    title: str = ""
    colours: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def counts(self) -> NDArray[np.intp]:
        """How many samples each of ``names`` has."""
        return np.bincount(self.codes, minlength=len(self.names))

    @property
    def present(self) -> tuple[str, ...]:
        """The names that a sample has, in their order."""
        return tuple(self.names[code] for code in np.flatnonzero(self.counts))

    @property
    def texts(self) -> NDArray[np.object_]:
        """The name of every sample's category."""
        names = np.array([*self.names, ""], dtype=object)  # numpy makes no array of nothing else
        return names[self.codes]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which samples have a label."""
        if MISSING_LABEL not in self.names:
            return np.ones(len(self.codes), bool)
        known: NDArray[np.bool_] = self.codes != self.names.index(MISSING_LABEL)
        return known

    def styles(self) -> dict[str, Style]:
        """Colour and marker of each of ``names``."""
        return styles(self.names, self.colours)

    def take(self, rows: NDArray[Any]) -> Categories:
        """Some samples, by position (-1 is a missing label) or as a mask."""
        if rows.dtype == bool or not (rows < 0).any():
            return Categories(self.names, self.codes[rows], self.title, self.colours)
        names = tuple(dict.fromkeys((*self.names, MISSING_LABEL)))
        codes = np.full(len(rows), names.index(MISSING_LABEL), np.intp)
        codes[rows >= 0] = self.codes[rows[rows >= 0]]
        return Categories(names, codes, self.title, self.colours)


def joined(parts: Sequence[Categories]) -> Categories:
    """The samples of all parts; names of the first come first, and so keep their colours."""
    names = dict.fromkeys(name for part in parts for name in part.names)
    names = dict.fromkeys((*(name for name in names if name != MISSING_LABEL), *_na(names)))
    position = {name: code for code, name in enumerate(names)}
    codes = [np.array([position[n] for n in p.names], np.intp)[p.codes] for p in parts]
    colours = {name: colour for part in reversed(parts) for name, colour in part.colours.items()}
    first = {n: style.colour for n, style in parts[0].styles().items() if n != MISSING_LABEL}
    if 0 < len(first) <= len(FEW) < len(names.keys() - {MISSING_LABEL}):
        # More names have another palette, which the first ones should not change to.
        colours = extended(first, names) | colours
    return Categories(tuple(names), np.concatenate(codes), parts[0].title, colours)


def categories(values: Any, title: str = "", colours: Any = None) -> Categories:
    """Categories of a column of any kind.

    A pandas categorical keeps its order; truth values, numbers and times are sorted as such, text
    as people count (2 before 10). Missing values of every kind, and blank text, are ``"NA"``.
    Many different numbers with decimals become eight intervals of as many samples each.

    Parameters
    ----------
    values : Series, array, pandas extension array, or list
        One value per sample.
    title : str
        The column's name.
    colours : list, array or mapping, optional
        As scanpy keeps them in ``uns["<title>_colors"]``: one for each category in its order,
        unused ones too; or by category. What does not fit is left out with a warning.

    Raises
    ------
    InputError
        If there is not one value per sample.

    Warns
    -----
    DataWarning
        About colours that do not fit, or are no colours.
    """
    column = column_of(values)
    measured = numbers_of(column)
    if measured is not None and _is_measured(measured):
        return _intervals(measured, title)
    own, codes, truth = own_categories(column)
    texts = category_texts(own)
    names = list(dict.fromkeys(text for text in texts if not _is_missing(text)))
    missing = len(names)
    position = {name: code for code, name in enumerate(names)}
    # One more at the end, for the code -1 of a missing value.
    to_name = np.array([*(position.get(text, missing) for text in texts), missing], np.intp)
    found = to_name[codes]
    if (found == missing).any():
        names.append(MISSING_LABEL)
    made = Categories(tuple(names), found, title)
    if colours is None:
        return made
    return Categories(made.names, found, title, _asked_colours(colours, texts, made, truth))


def _is_measured(values: NDArray[np.float64]) -> bool:
    """Whether numbers are too many, and too fine, to be names of classes."""
    finite = values[np.isfinite(values)]
    return bool((finite != np.round(finite)).any()) and len(np.unique(finite)) > _MAX_NUMBERS


def _intervals(values: NDArray[np.float64], title: str) -> Categories:
    """Numbers as intervals between their quantiles, from dark to light; none is NA."""
    finite = np.isfinite(values)
    edges = np.unique(np.quantile(values[finite], np.linspace(0.0, 1.0, len(STEPS) + 1)))
    digits = next(k for k in range(3, 18) if len({f"{e:.{k}g}" for e in edges}) == len(edges))
    texts = [f"{edge:.{digits}g}" for edge in edges]
    names = [f"{low} to {high}" for low, high in pairwise(texts)]
    codes = np.searchsorted(edges[1:-1], values, side="right")
    codes[~finite] = len(names)
    colours = dict(zip(names, STEPS, strict=False))
    named = names if finite.all() else [*names, MISSING_LABEL]
    return Categories(tuple(named), codes.astype(np.intp), title, colours)


def _is_missing(text: str) -> bool:
    return text.strip() in _MISSING_TEXTS


def _na(names: Iterable[str]) -> list[str]:
    return [MISSING_LABEL] if MISSING_LABEL in names else []


def _asked_colours(colours: Any, own: list[str], made: Categories, truth: bool) -> dict[str, str]:
    """The colour of each category, ``#rrggbb``; none at all if they do not fit."""
    there = [name for name in made.names if name != MISSING_LABEL]
    if isinstance(colours, Mapping):
        asked = {as_text(name): colour for name, colour in colours.items()}
        lacking = [name for name in made.present if name != MISSING_LABEL and name not in asked]
        if lacking:
            return _refused(made.title, f"has no colour for '{lacking[0]}'")
    else:
        listed = [colours] if isinstance(colours, str | bytes) else list(colours)
        present = [name for name in made.present if name != MISSING_LABEL]
        # Of truth values scanpy counts those that are there.
        fitting = [own, there, *([present] if truth else [])]
        names = next((names for names in fitting if len(names) == len(listed)), None)
        if names is None:
            what = f"has {len(listed)} colour(s) for {len(own)} categories"
            return _refused(made.title, what)
        asked = dict(zip(names, listed, strict=True))
    found = {}
    for name in there:
        if name in asked:
            colour = hexadecimal(asked[name])
            if colour is None:
                return _refused(made.title, f"has {asked[name]!r}, which is no colour,")
            found[name] = colour
    return found


def _refused(title: str, fault: str) -> dict[str, str]:
    warnings.warn(
        f"uns['{title}_colors'] {fault} of the column '{title}'; fembed's palette is used instead.",
        DataWarning,
        stacklevel=2,
    )
    return {}


def hexadecimal(colour: Any) -> str | None:
    """``#rrggbb`` of what matplotlib takes as a colour; None for anything else."""
    from matplotlib import colors

    if isinstance(colour, bytes):
        colour = colour.decode("utf-8", "replace")
    try:
        red, green, blue, opacity = colors.to_rgba(colour)
    except (TypeError, ValueError):
        return None
    visible = np.isfinite([red, green, blue, opacity]).all() and opacity > 0
    return str(colors.to_hex((red, green, blue))) if visible else None
