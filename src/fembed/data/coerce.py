"""One way in: whatever a user has in hand, as an `Expression`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from fembed.data import readers
from fembed.data.expression import Expression
from fembed.errors import InputError


def as_expression(data: Any, *, gene_names: Iterable[Any] | None = None) -> Expression:
    """``data`` as an Expression: itself, or a copy of the values with names.

    Parameters
    ----------
    data : Expression, AnnData, DataFrame, Series, array, sparse matrix, path or list of paths
        n_samples x n_genes. A Series is one sample, its index the genes. A path is read as
        `fembed.read` does.
    gene_names : iterable of str, optional
        The genes of an array that has no names of its own.

    Raises
    ------
    InputError
        For something else, or for an array that does not fit ``gene_names``.

    Examples
    --------
    >>> import pandas as pd
    >>> one = as_expression(pd.Series([1.0, 2.0], index=["TP53", "EGFR"], name="S1"))
    >>> one.values.shape, one.sample_names.tolist()
    ((1, 2), ['S1'])
    """
    if isinstance(data, Expression):
        return data
    if isinstance(data, str | os.PathLike):
        return readers.read(data)
    if hasattr(data, "mod") and hasattr(data, "obs_names"):
        there = ", ".join(map(str, data.mod))
        raise InputError(
            f"The MuData object holds {there}; give one of them, such as data.mod[..]."
        )
    if hasattr(data, "obs_names"):
        return Expression.from_anndata(data)
    if hasattr(data, "iloc"):
        if data.ndim == 1:
            data = data.to_frame("sample" if data.name is None else data.name).T
        return Expression.from_array(data, origin="the table")
    if hasattr(data, "to_pandas"):
        raise InputError(
            f"A {type(data).__name__} has no names for its rows; give a pandas.DataFrame with the "
            "samples as its index (to_pandas() and set_index make one)."
        )
    if isinstance(data, list | tuple) and data and isinstance(data[0], str | os.PathLike):
        return readers.read(data)  # of files that are a sample each
    if not hasattr(data, "__array__") and not hasattr(data, "shape") and not _is_nested(data):
        raise InputError(
            f"Expression is needed, but this is of type {type(data).__name__}; give an AnnData, a "
            "DataFrame, an array (n_samples x n_genes), a sparse matrix or a path."
        )
    names = None if gene_names is None else list(gene_names)
    shape = np.shape(data)
    if names is not None and len(shape) == 2 and shape[1] != len(names):
        raise InputError(
            f"The array has {shape[1]} genes but the model has {len(names)}; give the genes' "
            "names (a DataFrame or AnnData) so that they can be matched."
        )
    return Expression.from_array(data, gene_names=names)


def _is_nested(data: Any) -> bool:
    return isinstance(data, list | tuple) and all(np.ndim(row) >= 1 for row in data)
