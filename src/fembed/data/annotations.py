"""What comes with a matrix: where it is from, and what is known of its samples."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fembed.data.names import Names, as_text
from fembed.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


@dataclass(frozen=True)
class Source:
    """How a file was taken: what its format says, and what the reader did with it.

    Attributes
    ----------
    format : str
        The format as its users call it, such as ``"GCT 1.2"`` or ``"CellRanger .h5 (v3)"``.
    units : str or None
        What the format itself says of its values, such as ``"counts"``, ``"TPM"`` or ``"log1p"``;
        None where it says nothing.
    oriented : bool
        The format says which axis holds the samples, so that the names need not.
    notes : tuple of str
        Sentences about what the reader took for what, or left out. (What a user should see at
        once is a `DataWarning` besides.)
    """

    format: str = ""
    units: str | None = None
    oriented: bool = False
    notes: tuple[str, ...] = ()


def is_path(data: Any) -> bool:
    """Whether ``data`` is the path of a file or folder, not what is in it."""
    return isinstance(data, str | os.PathLike)


def refuse_other_objects(data: Any) -> None:
    """Raise InputError for an object in memory that is no expression of samples x genes."""
    if hasattr(data, "mod") and hasattr(data, "obs_names"):
        there = ", ".join(map(str, data.mod))
        raise InputError(
            f"The MuData object holds {there}; give one of them, such as data.mod[..]."
        )
    if hasattr(data, "obs_names") or (hasattr(data, "iloc") and not hasattr(data, "compute")):
        return
    if hasattr(data, "iloc"):
        raise InputError(f"The {type(data).__name__} is not computed yet; give data.compute().")
    if isinstance(data, list | tuple):
        _refuse_rows(data)
    if hasattr(data, "to_pandas"):
        raise InputError(
            f"A {type(data).__name__} has no names for its rows; give a pandas.DataFrame with the "
            "samples as its index (to_pandas() and set_index make one)."
        )
    nested = isinstance(data, list | tuple) and all(np.ndim(row) >= 1 for row in data)
    if not (nested or hasattr(data, "__array__") or hasattr(data, "shape")):
        raise InputError(
            f"Expression is needed, but this is of type {type(data).__name__}; give an AnnData, a "
            "DataFrame, an array (n_samples x n_genes), a sparse matrix or a path."
        )


def _refuse_rows(rows: Sequence[Any]) -> None:
    """Raise for rows that have names of their own, or that differ in length."""
    if any(hasattr(row, "iloc") or hasattr(row, "obs_names") for row in rows):
        raise InputError(
            f"A list of {type(rows[0]).__name__} objects, whose names may stand in different "
            "orders, is no matrix; put them together by name first (pandas.DataFrame(rows), "
            "pandas.concat or anndata.concat)."
        )
    if len({len(row) for row in rows if hasattr(row, "__len__")}) > 1:
        raise InputError(
            "The rows of the list have different lengths; give every sample the same genes."
        )


def rows_together(data: Any) -> Any:
    """A list of masked arrays as one, for NumPy drops their masks; anything else as it is."""
    if isinstance(data, list | tuple) and any(map(np.ma.isMaskedArray, data)):
        return np.ma.stack(data)
    return np.asarray(data) if isinstance(data, memoryview) else data


def as_labels(column: pd.Series) -> Names:
    """A column of annotations as an array of str; a missing label reads ``"NA"``."""
    known = column.dropna()
    # Whole numbers become decimals where one is missing, and are identifiers all the same.
    whole = all(isinstance(label, float) and label.is_integer() for label in known)
    text: Names = np.array([as_text(x) if whole else str(x) for x in column], dtype=object)
    text[column.isna().to_numpy()] = "NA"
    return text


def colours_in(uns: Mapping[str, Any]) -> dict[str, Any]:
    """The colours in an AnnData object's ``uns``, by the column that they are of."""
    ending = "_colors"
    found = {str(key): value for key, value in uns.items()}
    return {k.removesuffix(ending): v for k, v in found.items() if k.endswith(ending)}


def one_column(table: pd.DataFrame, name: str, origin: str) -> pd.Series:
    """The column ``name`` of a table that has it; InputError if it is there more than once."""
    places = [k for k, column in enumerate(table.columns) if str(column) == name]
    if len(places) > 1:
        raise InputError(
            f"{origin} has {len(places)} columns named '{name}'; rename or remove all but one."
        )
    return table.iloc[:, places[0]]


def matrix_in(adata: AnnData, layer: str | None, raw: bool, origin: str) -> tuple[Any, Any]:
    """The matrix of an AnnData object that was asked for, and the names of its genes."""
    layers = sorted(map(str, adata.layers))
    if raw and layer is not None:
        raise InputError("Choose either a layer or raw of the AnnData object, not both.")
    if raw:
        if adata.raw is None:
            raise InputError(f"{origin} has no raw matrix; {layers_there(layers)}.")
        return adata.raw.X, adata.raw.var_names
    if layer is not None and layer not in layers:
        raise InputError(f"{origin} has no layer '{layer}'; {layers_there(layers)}.")
    matrix = adata.X if layer is None else adata.layers[layer]
    if matrix is None:
        raise InputError(f"{origin} has no X; {layers_there(layers)}.")
    return matrix, adata.var_names


def layers_there(layers: list[str]) -> str:
    """The end of a message that says which layers can be chosen."""
    return f"its layers are {', '.join(layers)}" if layers else "it has no layers"
