"""Columns of any kind (of pandas, numpy, arrow, or lists) as numbers, or as categories in order."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fembed.errors import DataWarning, InputError

if TYPE_CHECKING:
    import pandas as pd

#: Whole numbers beyond this are written as floats are.
_MAX_WHOLE = 1e15


def column_of(values: Any) -> pd.Series:
    """Values of any kind as a pandas Series, one value per sample.

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
        raise InputError(f"The values to colour by have shape {values.shape}; give one per sample.")
    if isinstance(values, str | bytes | Mapping | set | frozenset):
        raise InputError(
            f"The values to colour by are a {type(values).__name__}; give one per sample, in order."
        )
    try:
        column = pd.Series(values)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"The values to colour by cannot be read ({error}).") from error
    nested = (list, tuple, dict, set, np.ndarray)
    is_object = pd.api.types.is_object_dtype(column.dtype)
    if is_object and any(isinstance(value, nested) for value in column):
        raise InputError("The values to colour by hold lists; give one value per sample.")
    return column


def in_order(values: Any, names: Iterable[Any] | None) -> Any:
    """A Series or table whose index names the samples, in the samples' order; all else as it is.

    Raises
    ------
    InputError
        If a sample is named twice.

    Warns
    -----
    DataWarning
        About samples that it does not name; their values are missing.
    """
    if names is None or not hasattr(values, "reindex"):
        return values
    wanted = [str(name) for name in names]
    index = values.index.map(str)
    known = index.isin(wanted)
    if list(index) == wanted or not known.any():
        return values
    if index[known].has_duplicates:
        twice = index[known][index[known].duplicated()][0]
        raise InputError(f"The values name '{twice}' twice; give one value each.")
    n_absent = len(set(wanted) - set(index))
    if n_absent:
        warnings.warn(
            f"The values name all but {n_absent} of the {len(wanted)}; those are drawn as missing.",
            DataWarning,
            stacklevel=2,
        )
    return values.set_axis(index, axis=0).reindex(wanted)


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


def own_categories(column: pd.Series) -> tuple[Any, NDArray[np.intp], bool]:
    """The categories in order, each sample's code (-1: none), and whether they are truth values."""
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


def category_texts(own: Any) -> list[str]:
    """Categories as text: whole numbers without a point, days without an hour."""
    import pandas as pd

    if pd.api.types.is_float_dtype(own.dtype):
        values = np.asarray(own, np.float64)
        if ((values == np.round(values)) & (np.abs(values) < _MAX_WHOLE)).all():
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
