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
    from fembed.data.expression import Expression

#: How a missing label reads; see `fembed.Expression.labels`.
MISSING = "NA"
#: The label of a sample of a kind that the model does not know.
UNKNOWN = "unknown"


def labels_of(
    expression: Expression, labels: str | Sequence[str] | Mapping[str, Any] | None
) -> dict[str, Names]:
    """The labels to keep with a model of these samples: by name, a text for each sample.

    Parameters
    ----------
    expression : Expression
    labels : str, sequence of str, mapping or None
        Columns of the annotations; or, by name, a value per sample (a Series by sample name).

    Raises
    ------
    InputError
        A column that is not there, or values that do not fit the samples.
    """
    if labels is None:
        return {}
    if isinstance(labels, Mapping):
        names = expression.sample_names
        return {str(name): texts_of(values, names) for name, values in labels.items()}
    columns = [labels] if isinstance(labels, str) else labels
    if not np.iterable(columns) or not all(isinstance(name, str) for name in columns):
        raise InputError(
            f"labels is {shown(labels)}; give a column of the annotations, a list of columns, or "
            "values by name."
        )
    return {name: expression.labels(name) for name in columns}


def texts_of(values: Any, sample_names: Names) -> Names:
    """Labels of any kind as texts in the order of the samples; a missing one reads ``"NA"``.

    Parameters
    ----------
    values : Series or array
        A Series whose index names samples is taken by name, and its other samples are left out;
        all else has a value for each sample, in order.
    sample_names : array of str, n
    """
    import pandas as pd

    if isinstance(values, str | bytes | Mapping) or not np.iterable(values):
        raise InputError(f"The labels are {shown(values)}; give a value for each sample.")
    column = values if isinstance(values, pd.Series) else pd.Series(list(values))
    index = column.index.map(str)
    if isinstance(values, pd.Series) and index.isin(sample_names).any():
        if index.has_duplicates:
            twice = index[index.duplicated()][0]
            raise InputError(f"The labels name the sample '{twice}' twice; give one label each.")
        return as_labels(column.set_axis(index).reindex(pd.Index(sample_names)))
    if len(column) != len(sample_names):
        raise InputError(
            f"There are {len(column)} labels for {len(sample_names)} samples; give one each, in "
            "order, or a pandas.Series with the samples' names."
        )
    return as_labels(column)


def known(labels: Names) -> NDArray[np.bool_]:
    """Which of some labels say what a sample is: not missing, blank or "unknown"."""
    return np.array([text.strip() not in ("", MISSING, UNKNOWN) for text in labels], bool)
