"""What comes with a matrix: where it is from, and what is known of its samples."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fembed.data.names import Names, as_text
from fembed.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


@dataclass(frozen=True)
class Source:
    """Where a matrix comes from: what the format of its file says, and what the reader did.

    Attributes
    ----------
    format : str
        The format as its users call it, such as ``"GCT 1.2"`` or ``"CellRanger .h5 (v3)"``.
    units : str or None
        What the format itself says of its values, such as ``"counts"``, ``"TPM"`` or ``"log1p"``;
        None where it says nothing.
    oriented : bool
        The format says which axis holds the samples, so that names are not consulted.
    notes : tuple of str
        Sentences about what the reader assumed or left out. (What a user should see at once is also
        issued as a `DataWarning`.)
    """

    format: str = ""
    units: str | None = None
    oriented: bool = False
    notes: tuple[str, ...] = ()


def is_path(data: Any) -> bool:
    """Whether ``data`` is the path of a file or folder, not what is in it."""
    return isinstance(data, str | os.PathLike)


def is_layered(data: Any) -> bool:
    """Whether ``data`` has several measurements of the samples: a dict, or a MuData object."""
    return isinstance(data, Mapping) or isinstance(getattr(data, "mod", None), Mapping)


def layers_in(data: Any) -> Mapping[str, Any]:
    """The measurements by name: a dict, or the ``mod`` of a MuData object, which is known by it."""
    found: Mapping[str, Any] = data if isinstance(data, Mapping) else data.mod
    return found


def refuse_layers(data: Any, who: str) -> None:
    """Raise InputError for data with several layers, which ``who`` does not take."""
    named = layers_in(data) if is_layered(data) else None
    if named is None and getattr(data, "layers", None) and hasattr(data, "find_genes"):
        named = {part.name: part for part in data.layers}  # an Expression
    if named is not None:
        there = ", ".join(map(str, named)) or "none"
        raise InputError(
            f"{who} takes one matrix, and the data hold layers ({there}); give one of them, or use "
            "fembed.fit and fembed.project, which take all."
        )


def checked_object(data: Any) -> Any:
    """``data`` if it is an object that can hold samples x genes; InputError if not.

    A list of masked arrays comes back as one array, since NumPy would drop their masks, and a
    memoryview as an array; anything else is returned as it is.
    """
    if hasattr(data, "obs_names") or (hasattr(data, "iloc") and not hasattr(data, "compute")):
        return data
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
    if isinstance(data, list | tuple) and any(map(np.ma.isMaskedArray, data)):
        return np.ma.stack(data)
    return np.asarray(data) if isinstance(data, memoryview) else data


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


def as_labels(column: pd.Series) -> Names:
    """A column of annotations as an array of str; a missing label reads ``"NA"``."""
    known = column.dropna()
    # pandas makes floats of whole numbers where one is missing; they are identifiers all the same.
    whole = all(isinstance(label, float) and label.is_integer() for label in known)
    text: Names = np.array([as_text(x) if whole else str(x) for x in column], dtype=object)
    text[column.isna().to_numpy()] = "NA"
    return text


def colours_in(uns: Mapping[str, Any]) -> dict[str, Any]:
    """The colours in an AnnData object's ``uns``, by the column that they are of."""
    ending = "_colors"
    found = {str(key): value for key, value in uns.items()}
    return {k.removesuffix(ending): v for k, v in found.items() if k.endswith(ending)}


def column_in(
    table: pd.DataFrame | None, name: str, origin: str, called: str = "label column"
) -> pd.Series:
    """The column ``name`` of the samples' annotations, as it is; ``called`` so in a message.

    Raises
    ------
    InputError
        If there is no such column, or more than one; the message lists those there are.
    """
    columns = [] if table is None else [str(column) for column in table.columns]
    if table is None or name not in columns:
        there = f"it has {', '.join(columns)}" if columns else "it has no sample annotations"
        raise InputError(f"{origin} has no {called} '{name}'; {there}.")
    return one_column(table, name, origin)


def one_column(table: pd.DataFrame, name: str, origin: str) -> pd.Series:
    """The column ``name`` of a table that has it; InputError if it is there more than once."""
    places = [k for k, column in enumerate(table.columns) if str(column) == name]
    if len(places) > 1:
        raise InputError(
            f"{origin} has {len(places)} columns named '{name}'; rename or remove all but one."
        )
    return table.iloc[:, places[0]]


def refuse_two_matrices(layer: str | None, use_raw: bool) -> None:
    """Raise InputError if both a layer and ``raw`` of an AnnData object are asked for."""
    if use_raw and layer is not None:
        raise InputError("Choose either a layer or raw, not both.")


def matrix_in(
    adata: AnnData,
    layer: str | None,
    use_raw: bool,
    mask_var: str | NDArray[np.bool_] | None,
    origin: str,
) -> tuple[Any, pd.DataFrame]:
    """The matrix of an AnnData object that was asked for, and the ``var`` of its genes."""
    refuse_two_matrices(layer, use_raw)
    layers = sorted(map(str, adata.layers))
    if use_raw and adata.raw is None:
        raise InputError(f"{origin} has no raw matrix; {layers_there(layers)}.")
    if layer is not None and layer not in layers:
        raise InputError(f"{origin} has no layer '{layer}'; {layers_there(layers)}.")
    holder = adata.raw if use_raw else adata
    matrix, var = holder.X if layer is None else adata.layers[layer], holder.var
    if matrix is None:
        raise InputError(f"{origin} has no X; {layers_there(layers)}.")
    if mask_var is None:
        return matrix, var
    genes = _masked(var, mask_var)
    return matrix[:, genes], var.iloc[genes]


def _masked(var: pd.DataFrame, mask: str | NDArray[np.bool_]) -> NDArray[np.intp]:
    """The numbers of the genes that a mask keeps."""
    if isinstance(mask, str):
        if mask not in var.columns:
            there = ", ".join(map(str, var.columns)) or "nothing"
            raise InputError(
                f"There is no column var['{mask}'] (var has {there}); mark the genes first, as "
                "scanpy.pp.highly_variable_genes does, or leave mask_var out."
            )
        mask = var[mask].to_numpy()
    chosen = np.asarray(mask)
    if chosen.dtype != bool or chosen.shape != (len(var),):
        raise InputError(
            f"mask_var is of {chosen.dtype} and shape {chosen.shape}; give a column of var, or an "
            f"array, of True and False for each of the {len(var)} genes."
        )
    if not chosen.any():
        raise InputError("mask_var keeps no gene; give a mask that keeps some.")
    return np.flatnonzero(chosen)


def layers_there(layers: list[str]) -> str:
    """The end of a message that says which layers can be chosen."""
    return f"its layers are {', '.join(layers)}" if layers else "it has no layers"
