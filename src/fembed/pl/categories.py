"""A category for each sample, from a column of any kind: its order, what is missing, its colours.

Every figure and page takes its labels from here, so that a category has one place in the legend and
one colour, whichever of the samples are drawn.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fembed.errors import DataWarning, InputError
from fembed.pl.palette import FEW, MISSING_LABEL, Style, extended, styles

if TYPE_CHECKING:
    import pandas as pd

#: What a missing label reads once a program has made text of it; blank text is missing, too.
_MISSING_TEXTS = frozenset(("", MISSING_LABEL, "<NA>", "nan", "NaN", "NaT"))
#: Whole numbers beyond this are written as floats are.
_LARGEST_WHOLE = 1e15


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

    Parameters
    ----------
    values : Series, array, pandas extension array, or list
        One value a sample.
    title : str
        The column's name.
    colours : list, array or mapping, optional
        As scanpy keeps them in ``uns["<title>_colors"]``: one for each category in its order,
        unused ones too; or by category. What does not fit is left out with a word.

    Raises
    ------
    InputError
        If there is not one value a sample.

    Warns
    -----
    DataWarning
        Of colours that do not fit, or are none.
    """
    own, codes, truth = _own_categories(column_of(values))
    texts = _texts(own)
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


def column_of(values: Any) -> pd.Series:
    """Values of any kind as a pandas Series, one value a sample.

    Raises
    ------
    InputError
        For a table, or values that have no order.
    """
    import pandas as pd

    if hasattr(values, "to_pandas"):  # arrow, polars
        values = values.to_pandas()
    pandas_kind = (pd.Series, pd.Index, pd.api.extensions.ExtensionArray, np.ma.MaskedArray)
    if hasattr(values, "__array__") and not isinstance(values, pandas_kind):
        values = np.asarray(values)
    if getattr(values, "ndim", 1) != 1:
        raise InputError(f"The values to colour by have shape {values.shape}; give one a sample.")
    if isinstance(values, str | bytes | Mapping | set | frozenset):
        raise InputError(
            f"The values to colour by are a {type(values).__name__}; give one a sample, in order."
        )
    try:
        column = pd.Series(values)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"The values to colour by cannot be read ({error}).") from error
    nested = (list, tuple, dict, set, np.ndarray)
    is_object = pd.api.types.is_object_dtype(column.dtype)
    if is_object and any(isinstance(value, nested) for value in column):
        raise InputError("The values to colour by hold lists; give one value a sample.")
    return column


def numbers_of(column: pd.Series) -> NDArray[np.float64] | None:
    """A column of numbers as float64 (NaN: missing); None for one of anything else."""
    import pandas as pd

    kind = column.dtype
    if isinstance(kind, pd.CategoricalDtype) or pd.api.types.is_bool_dtype(kind):
        return None
    if pd.api.types.is_object_dtype(kind):
        if pd.api.types.infer_dtype(column, skipna=True) not in _NUMBERS or column.isna().all():
            return None
        try:
            found: NDArray[np.float64] = column.where(column.notna(), np.nan).to_numpy(np.float64)
        except (OverflowError, TypeError, ValueError):  # whole numbers beyond all floats
            return None
        return found
    if not pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_complex_dtype(kind):
        return None
    values: NDArray[np.float64] = column.to_numpy(np.float64, na_value=np.nan)
    return values


_NUMBERS = ("integer", "floating", "mixed-integer-float", "decimal")


def _own_categories(column: pd.Series) -> tuple[Any, NDArray[np.intp], bool]:
    """The column's categories in order, each sample's (-1: none), and whether they are truths."""
    import pandas as pd

    kind = column.dtype
    if isinstance(kind, pd.CategoricalDtype):
        return column.cat.categories, column.cat.codes.to_numpy().astype(np.intp), False
    missing = column.isna().to_numpy()
    is_object = kind.kind in "OSU"  # as pandas' own text is, too
    of = pd.api.types.infer_dtype(column, skipna=True) if is_object else ""
    if pd.api.types.is_bool_dtype(kind) or of == "boolean":  # both are known, if one is not there
        truths = [-1 if gone else int(bool(x)) for x, gone in zip(column, missing, strict=True)]
        return pd.Index([False, True]), np.array(truths, np.intp), True
    if not is_object:
        codes, own = pd.factorize(column, sort=True)
        return own, codes.astype(np.intp), False
    texts = [None if gone else as_text(x) for x, gone in zip(column, missing, strict=True)]
    order = natural_order({text for text in texts if text is not None})
    position = {text: code for code, text in enumerate(order)}
    codes = np.array([-1 if text is None else position[text] for text in texts], np.intp)
    return pd.Index(order, dtype=object), codes, False


def _texts(own: Any) -> list[str]:
    """Categories as text: whole numbers without a point, days without an hour."""
    import pandas as pd

    if pd.api.types.is_float_dtype(own.dtype):
        values = np.asarray(own, np.float64)
        if ((values == np.round(values)) & (np.abs(values) < _LARGEST_WHOLE)).all():
            return [str(int(value)) for value in values]
    if pd.api.types.is_datetime64_any_dtype(own.dtype):
        times = pd.DatetimeIndex(own)
        if (times == times.normalize()).all():
            return [str(text) for text in times.strftime("%Y-%m-%d")]
    return [as_text(value) for value in own]


def as_text(value: Any) -> str:
    """A label as text; bytes are read as UTF-8."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def natural_order(texts: Iterable[str]) -> list[str]:
    """Sorted as people count: 2 before 10, and -0.5 before 0.25 where all are numbers."""
    from natsort import natsorted

    found = sorted(texts)  # a set has no order
    try:
        numbers = {text: float(text) for text in found}
    except ValueError:
        return list(natsorted(found))
    return sorted(found, key=lambda text: (numbers[text], text))


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
            colour = _hexadecimal(asked[name])
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


def _hexadecimal(colour: Any) -> str | None:
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
