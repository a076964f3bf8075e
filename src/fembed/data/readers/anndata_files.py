"""AnnData on disk, .h5ad and .zarr: the matrix is read in pieces, without the rest of the file."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fembed.data.expression import Expression, colours_in, layers_there
from fembed.data.readers.damage import damage_reported
from fembed.errors import DataWarning, InputError

if TYPE_CHECKING:
    import pandas as pd

#: More colours than this are no colours of categories that a figure shows.
_MOST_COLOURS = 100_000


def read_h5ad(path: Path, layer: str | None, raw: bool, transpose: bool) -> Expression:
    """``X``, a layer or ``raw`` of an .h5ad file."""
    import h5py

    # Truncated files raise OSError at the opening or at a chunk, KeyError or RuntimeError at a
    # lost object header; anndata adds its own OSError.
    with (
        damage_reported(path, "an .h5ad file", OSError, KeyError, RuntimeError, ValueError),
        h5py.File(path, "r") as file,
    ):
        return _read(file, path, layer, raw, transpose)


def read_zarr(path: Path, layer: str | None, raw: bool, transpose: bool) -> Expression:
    """As `read_h5ad`, for the zarr form of AnnData."""
    try:
        import zarr
    except ImportError as error:
        raise InputError(f"Reading {path} needs zarr; run: pip install zarr.") from error

    errors = (OSError, KeyError, RuntimeError, ValueError, TypeError)
    with damage_reported(path, "an AnnData .zarr", *errors):
        return _read(zarr.open_group(path, mode="r"), path, layer, raw, transpose)


def _read(root: Any, path: Path, layer: str | None, raw: bool, transpose: bool) -> Expression:
    """``root`` is an h5py or a zarr group with the members of an AnnData."""
    matrix, genes = _choose(root, path, layer, raw)
    obs, var = _table(root, "obs", path), _table(root, genes, path)
    if transpose:
        obs, var = var, obs
    made = Expression.from_array(
        matrix, obs.index, var.index, origin=str(path), transpose=transpose, obs=obs
    )
    return made if transpose else replace(made, colours=_colours(root, path))


def _colours(root: Any, path: Path) -> dict[str, Any]:
    """The colours of categories that scanpy keeps in ``uns``, by column."""
    from anndata.io import read_elem

    uns = root.get("uns", {})
    found = {}
    for key in uns if hasattr(uns, "keys") else ():
        if not str(key).endswith("_colors") or getattr(uns[key], "size", 0) > _MOST_COLOURS:
            continue
        try:
            found[str(key)] = read_elem(uns[key])
        # As for a table: what anndata raises for a damaged one is not public.
        except Exception as error:
            warnings.warn(
                f"The colours uns['{key}'] of {path} cannot be read "
                f"({str(error).splitlines()[0]}); fembed's palette is used instead.",
                DataWarning,
                stacklevel=2,
            )
    return colours_in(found)


def _choose(root: Any, path: Path, layer: str | None, raw: bool) -> tuple[Any, str]:
    """The stored matrix that is asked for, and where its genes are described."""
    layers = sorted(root["layers"].keys()) if "layers" in root else []
    if raw:
        where, missing = "raw/X", "raw matrix"
    elif layer is not None:
        where, missing = f"layers/{layer}", f"layer '{layer}'"
    else:
        where, missing = "X", "matrix X"
    there = layer in layers if layer is not None else where in root
    if there:
        stored = root[where]
        there = getattr(stored, "shape", None) != ()  # anndata writes a missing X as a null scalar
    if not there:
        there_are = [layers_there(layers)]
        if not raw:
            there_are.append("it has a raw matrix" if "raw" in root else "it has no raw matrix")
        remedy = "; choose with --layer NAME" if layers else ""
        raise InputError(f"{path} has no {missing}; {', and '.join(there_are)}{remedy}.")
    return _open_matrix(stored, path, where), "raw/var" if raw else "var"


def _open_matrix(stored: Any, path: Path, where: str) -> Any:
    from anndata.io import sparse_dataset

    if hasattr(stored, "dtype"):
        return stored
    encoding = stored.attrs.get("encoding-type", "")
    if encoding not in ("csr_matrix", "csc_matrix"):
        raise InputError(
            f"{where} of {path} is stored as '{encoding}', which is neither a dense nor a sparse "
            "matrix; write it again with anndata."
        )
    return sparse_dataset(stored)


def _table(root: Any, where: str, path: Path) -> pd.DataFrame:
    from anndata.io import read_elem

    if where not in root or hasattr(root[where], "dtype"):
        raise InputError(
            f"{path} has no table '{where}' in the form of anndata 0.7 or later; "
            "open it with anndata and write it again."
        )
    try:
        table: pd.DataFrame = read_elem(root[where])
    # Only anndata's own code runs here, and what it raises for a damaged table is not public.
    except Exception as error:
        raise InputError(
            f"The table '{where}' of {path} cannot be read ({str(error).splitlines()[0]}); "
            "open it with anndata and write it again."
        ) from error
    return table
