"""AnnData on disk, .h5ad and .zarr: the matrix is read in pieces, without the rest of the file."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fembed.data.annotations import Source, colours_in, layers_there
from fembed.data.backed import Backed, changed, is_large
from fembed.data.expression import Expression
from fembed.data.features import genes_only
from fembed.data.memory import refuse_beyond_memory
from fembed.data.names import listed
from fembed.data.readers.damage import ANY_ERROR, damage_reported
from fembed.data.readers.stored_names import is_list, refuse_large
from fembed.data.readers.zarr_codecs import refuse_codecs
from fembed.data.sparse import Compressed, pointers_of, some_rows, stored_shape
from fembed.errors import DataWarning, InputError, imported

if TYPE_CHECKING:
    import pandas as pd

Opening = Callable[[], AbstractContextManager[Any]]

#: What a column of a table is stored as where it is not one array.
_COLUMNS = {"categorical", "nullable-integer", "nullable-boolean", "nullable-string-array"}
#: A column with more categories than this, and than rows, is damaged.
_MAX_CATEGORIES = 1_000_000
#: Longer lists in ``uns`` are not read as colours of categories.
_MAX_COLOURS = 100_000


def read_zarr(path: Path, layer: str | None, raw: bool, transpose: bool) -> Expression:
    """``X``, a layer or ``raw`` of the zarr form of AnnData."""
    zarr = imported("zarr", f"Reading {path} needs zarr; run: pip install 'fembed[zarr]'.")
    with damage_reported(path, "an AnnData .zarr", *ANY_ERROR):
        refuse_codecs(path)
        root = zarr.open_group(path, mode="r")
        return read_open(root, path, layer, raw, transpose)


def zarr_backed(path: Path, layer: str | None, raw: bool) -> Backed | None:
    """A large AnnData in a zarr folder, left on disk; None for another one."""
    zarr = imported("zarr", f"Reading {path} needs zarr; run: pip install 'fembed[zarr]'.")

    @contextmanager
    def opened() -> Iterator[Any]:
        with damage_reported(path, "an AnnData .zarr", *ANY_ERROR):
            yield zarr.open_group(path, mode="r")

    with damage_reported(path, "an AnnData .zarr", *ANY_ERROR):
        refuse_codecs(path)
    with opened() as root:
        return backed(root, opened, path, layer, raw)


def backed(root: Any, opened: Opening, path: Path, layer: str | None, raw: bool) -> Backed | None:
    """A large matrix of an AnnData on disk, left there; None for another one.

    ``root`` is as for `read_open`, and ``opened`` opens it again for every part.
    """
    matrix, genes = _choose(root, path, layer, raw)
    n_rows, n_columns = (int(n) for n in matrix.shape)
    by_columns = isinstance(matrix, Compressed) and matrix.format == "csc"
    if by_columns or not is_large(n_rows, n_columns):
        return None
    obs, var = _table(root, "obs", n_rows, path), _table(root, genes, n_columns, path)
    pointers = pointers_of(matrix, str(path)) if isinstance(matrix, Compressed) else None
    source, colours = _source(root, layer, raw), _colours(root, path)
    names = listed(obs.index, n_rows, "sample", str(path))
    state = _state(path)

    def read(rows: slice) -> Expression:
        with opened() as root:
            stored, _ = _choose(root, path, layer, raw)
            if _state(path) != state or tuple(stored.shape) != (n_rows, n_columns):
                raise changed(str(path))
            part = stored[rows] if pointers is None else some_rows(stored, pointers, rows)
        found = Expression.from_array(
            part, names[rows], var.index, origin=str(path), obs=obs.iloc[rows]
        )
        return genes_only(replace(found, source=source, colours=colours), var)

    return Backed(names, n_columns, obs, str(path), read)


def _state(path: Path) -> tuple[int, int]:
    """When a file was last written, and its size."""
    state = path.stat()
    return state.st_mtime_ns, state.st_size


def read_open(root: Any, path: Path, layer: str | None, raw: bool, transpose: bool) -> Expression:
    """As `read_zarr`; ``root`` is an h5py or a zarr group with the members of an AnnData."""
    matrix, genes = _choose(root, path, layer, raw)
    n_rows, n_columns = (int(n) for n in matrix.shape)
    refuse_beyond_memory(n_rows, n_columns, str(path))
    obs = _table(root, "obs", n_rows, path)
    var = _table(root, genes, n_columns, path)
    if transpose:
        obs, var = var, obs
    expression = Expression.from_array(
        matrix, obs.index, var.index, origin=str(path), transpose=transpose, obs=obs
    )
    source = _source(root, layer, raw)
    colours = {} if transpose else _colours(root, path)
    expression = replace(expression, source=source, colours=colours)
    return expression if transpose else genes_only(expression, var)


def read_slot(root: Any, path: Path, key: str) -> tuple[Any, Any]:
    """The array ``obsm[key]`` of an open file, and the names of its samples.

    Raises
    ------
    InputError
        It is not there, or not a matrix of numbers with a row per sample.
    """
    import numpy as np

    stored = root["obsm"].get(key) if hasattr(root.get("obsm"), "keys") else None
    if stored is None:
        raise InputError(f"{path} has no obsm['{key}'] with points; project samples first.")
    if not hasattr(stored, "dtype") or len(stored.shape) != 2 or stored.dtype.kind not in "biuf":
        raise InputError(
            f"obsm['{key}'] of {path} is no matrix of numbers; give a table of points."
        )
    n_rows, n_columns = (int(n) for n in stored.shape)
    refuse_beyond_memory(n_rows, n_columns, str(path))
    names = _table(root, "obs", n_rows, path).index
    with np.errstate(over="ignore"):
        return names, stored[()].astype(np.float32)


def _source(root: Any, layer: str | None, raw: bool) -> Source:
    """With the units that scanpy noted, if it took logarithms of ``X``."""
    uns = root.get("uns")
    is_log1p = layer is None and not raw and hasattr(uns, "keys") and "log1p" in uns
    return Source("AnnData", "log1p" if is_log1p else None, oriented=True)


def _colours(root: Any, path: Path) -> dict[str, Any]:
    """The colours of categories that scanpy keeps in ``uns``, by column."""
    from anndata.io import read_elem

    uns = root.get("uns", {})
    found = {}
    for key in uns if hasattr(uns, "keys") else ():
        if not str(key).endswith("_colors") or not hasattr(uns[key], "dtype"):
            continue
        try:
            if getattr(uns[key], "size", 0) <= _MAX_COLOURS:
                found[str(key)] = read_elem(uns[key])
        # As for a table: what anndata raises for a damaged one is not public.
        except Exception as error:
            warnings.warn(
                f"The colours uns['{key}'] of {path} cannot be read "
                f"({(str(error).splitlines() or [''])[0]}); fembed's palette is used instead.",
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
    if hasattr(stored, "dtype"):
        if len(stored.shape) != 2:
            raise InputError(
                f"{where} of {path} has {len(stored.shape)} dimension(s); it should have two."
            )
        return stored
    encoding = stored.attrs.get("encoding-type", "")
    if encoding not in ("csr_matrix", "csc_matrix"):
        raise InputError(
            f"{where} of {path} is stored as '{encoding}', which is neither a dense nor a sparse "
            "matrix; write it again with anndata."
        )
    shape = stored_shape(stored.attrs["shape"], str(path))
    parts = [stored[name] for name in ("data", "indices", "indptr")]
    if not all(is_list(part) for part in parts):
        raise InputError(f"{where} of {path} is no sparse matrix of two dimensions; it is damaged.")
    for part in parts:
        refuse_large(part, where, path)
    return Compressed(str(encoding)[:3], shape, *parts)


def _table(root: Any, where: str, n: int, path: Path) -> pd.DataFrame:
    from anndata.io import read_elem

    if where not in root or hasattr(root[where], "dtype"):
        raise InputError(
            f"{path} has no table '{where}' in the form of anndata 0.7 or later; "
            "open it with anndata and write it again."
        )
    try:
        _check_table(root[where], where, n, path)
        table: pd.DataFrame = read_elem(root[where])
    except InputError:
        raise
    # Only anndata's own code runs here, and what it raises for a damaged table is not public.
    except Exception as error:
        detail = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"The table '{where}' of {path} cannot be read ({detail}); "
            "open it with anndata and write it again."
        ) from error
    if not hasattr(table, "iloc") or len(table) != n:
        raise InputError(f"'{where}' of {path} is no table of {n} rows; it is damaged.")
    return table


def _check_table(group: Any, where: str, n: int, path: Path) -> None:
    """Compare the lengths of all columns before one is read; a small file may claim any."""
    index = group.attrs.get("_index", "_index")
    listed = [str(name) for name in group.attrs.get("column-order", [])]
    for name in [index.decode() if isinstance(index, bytes) else str(index), *listed]:
        column = group[name]
        if hasattr(column, "dtype"):
            _check_length(column, f"{where}/{name}", n, path)
            continue
        encoding = column.attrs.get("encoding-type", "")
        # A nested table may contain itself, and h5py keeps its lock after a RecursionError.
        if encoding not in _COLUMNS:
            raise InputError(
                f"'{where}/{name}' of {path} is stored as '{encoding}', which is no column of a "
                "table; write it again with anndata."
            )
        for part in column:
            stored = column[part]
            if part == "categories":
                # Nullable texts as categories are a group of two.
                nested = [] if hasattr(stored, "dtype") else [stored[k] for k in stored]
                for one in nested or [stored]:
                    _check_categories(one, f"{where}/{name}", n, path)
            elif hasattr(stored, "dtype") and len(stored.shape) > 0:
                _check_length(stored, f"{where}/{name}", n, path)
    if "__categories" in group:  # of anndata before 0.8
        for name in group["__categories"]:
            _check_categories(group["__categories"][name], f"{where}/{name}", n, path)


def _check_length(column: Any, where: str, n: int, path: Path) -> None:
    if len(column.shape) == 0 or column.shape[0] != n:
        there = column.shape[0] if len(column.shape) else "no"
        of = "samples" if where.startswith("obs") else "genes"
        raise InputError(
            f"'{where}' of {path} has {there} entries for {n} {of}; it is damaged, write it again."
        )
    refuse_large(column, where, path)


def _check_categories(categories: Any, where: str, n: int, path: Path) -> None:
    shape: Any = getattr(categories, "shape", ())
    if len(shape) != 1 or shape[0] > max(_MAX_CATEGORIES, n):
        raise InputError(
            f"'{where}' of {path} has categories of shape {tuple(shape)} for {n} "
            "entries; it is damaged, write it again."
        )
    refuse_large(categories, where, path)
