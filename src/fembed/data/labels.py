"""Labels of samples, one text each: columns of annotations, or values that a caller has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fembed.data.annotations import as_labels
from fembed.data.names import Names
from fembed.errors import InputError, shown

if TYPE_CHECKING:
    import pandas as pd

    from fembed.data.expression import Expression

#: How a missing label reads; see `fembed.Expression.labels`.
MISSING = "NA"
#: The label of a sample of a kind that the model does not know.
UNKNOWN = "unknown"


def labels_of(
    expression: Expression,
    labels: str | Sequence[str] | Mapping[str, Any] | None,
    *,
    called: str = "labels",
) -> dict[str, Names]:
    """The labels to keep with a model of these samples: by name, a text for each sample.

    Parameters
    ----------
    expression : Expression
    labels : str, sequence of str, mapping or None
        Columns of the annotations; or, by name, a value per sample (a Series by sample name).
    called : str
        What a message calls them.

    Raises
    ------
    InputError
        A column that is not there, or values that do not fit the samples.
    """
    found = columns_of(expression, labels, called=called)
    return {name: as_labels(column) for name, column in found.items()}


def columns_of(
    expression: Expression,
    columns: str | Sequence[str] | Mapping[str, Any] | None,
    *,
    called: str,
) -> dict[str, pd.Series]:
    """The same as values of any kind, in the order of the samples; raises as `labels_of`."""
    if columns is None:
        return {}
    if isinstance(columns, Mapping):
        names = expression.sample_names
        return {
            str(name): values_of(
                values, names, called if called == "labels" else f"values of '{name}'"
            )
            for name, values in columns.items()
        }
    named = [columns] if isinstance(columns, str) else columns
    if not np.iterable(named) or not all(isinstance(name, str) for name in named):
        raise InputError(
            f"{called} is {shown(columns)}; give a column of the annotations, a list of columns, "
            "or values by name."
        )
    what = "label column" if called == "labels" else "column"
    return {name: expression.column(name, what) for name in named}


def texts_of(values: Any, sample_names: Names) -> Names:
    """Labels of any kind as texts in the order of the samples; a missing one reads ``"NA"``.

    Parameters
    ----------
    values : Series or array
        A Series whose index names samples is taken by name, and its other samples are left out;
        all else has a value for each sample, in order.
    sample_names : array of str, n
    """
    return as_labels(values_of(values, sample_names))


def values_of(values: Any, sample_names: Names, called: str = "labels") -> pd.Series:
    """Values of any kind in the order of the samples; arguments and errors as of `texts_of`.

    ``called`` is what a message calls them.
    """
    import pandas as pd

    if isinstance(values, str | bytes | Mapping) or not np.iterable(values):
        raise InputError(f"The {called} are {shown(values)}; give a value for each sample.")
    column = values if isinstance(values, pd.Series) else pd.Series(list(values))
    index = column.index.map(str)
    if isinstance(values, pd.Series) and index.isin(sample_names).any():
        if index.has_duplicates:
            twice = index[index.duplicated()][0]
            raise InputError(f"The {called} name the sample '{twice}' twice; give one value each.")
        return column.set_axis(index).reindex(pd.Index(sample_names))
    if len(column) != len(sample_names):
        raise InputError(
            f"There are {len(column)} {called} for {len(sample_names)} samples; give one each, in "
            "order, or a pandas.Series with the samples' names."
        )
    return column


def known(labels: Names) -> NDArray[np.bool_]:
    """Which of some labels say what a sample is: not missing, blank or "unknown"."""
    return np.array([text.strip() not in ("", MISSING, UNKNOWN) for text in labels], bool)
