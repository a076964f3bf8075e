"""Points of an embedding, read from a table such as the commands write."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.data.readers import anndata_files, hdf5
from fembed.data.readers.damage import ANY_ERROR, damage_reported
from fembed.errors import InputError
from fembed.files import paths
from fembed.files.manifest import PathLike
from fembed.output.tables import Names, component_names, ending_of


def read(path: PathLike, n_components: int) -> tuple[Names, NDArray[np.float32]]:
    """Names and coordinates (k x n_components) of the points in a table, as `write` writes them.

    Parameters
    ----------
    path : path
        .csv, .tsv (both also .gz) or .parquet with the columns ``fembed_1`` to ``fembed_d`` and
        perhaps ``sample``, or .h5ad with ``obsm["X_fembed"]``.
    n_components : int
        The dimension of the model.

    Raises
    ------
    InputError
        The file is not there or not such a table, or its points have another dimension.
    """
    source = paths.check_input(path, "points")
    ending = ending_of(source)
    if not source.is_file() or source.stat().st_size == 0:
        state = "is empty" if source.is_file() else "is not a file that exists"
        raise InputError(f"{source} {state}; give a table of points.")
    # What h5py, anndata and pyarrow raise for damaged files is not public.
    with damage_reported(source, f"a {ending} table", *ANY_ERROR):
        if ending == ".h5ad":
            return _points_of_anndata(source, n_components)
        columns = _parquet_columns(source) if ending == ".parquet" else _text_columns(source)
    return _points_of_columns(columns, source, n_components)


def _points_of_anndata(path: Path, n_components: int) -> tuple[Names, NDArray[np.float32]]:
    with hdf5.opened(path, also=["obsm"]) as file:
        names, points = anndata_files.read_slot(file, path, "X_fembed")
    if points.shape[1] != n_components:
        raise InputError(
            f"The points in {path} have {points.shape[1]} component(s) but the model has "
            f"{n_components}; give points of this model."
        )
    beyond = np.argwhere(~np.isfinite(points))
    if beyond.size:
        raise InputError(
            f"{path} holds a coordinate that is not a finite number, of '{names[beyond[0][0]]}'; "
            "correct it or remove the row."
        )
    return np.array([str(name) for name in names], dtype=object), points


def _parquet_columns(path: Path) -> dict[str, list[Any]]:
    import pyarrow.parquet as pq

    columns: dict[str, list[Any]] = pq.read_table(path).to_pydict()  # ArrowException: ValueError...
    return columns


def _text_columns(path: Path) -> dict[str, list[Any]]:
    opened = gzip.open if path.name.lower().endswith(".gz") else open
    with opened(path, "rt", newline="", encoding="utf-8-sig") as stream:
        rows = csv.reader(stream, delimiter="\t" if ".tsv" in path.name.lower() else ",")
        header = next(rows, [])
        body = [row for row in rows if row]
    for number, row in enumerate(body, start=1):
        if len(row) != len(header):
            raise InputError(
                f"Row {number} of {path} has {len(row)} cells but the header has {len(header)}; "
                "make all rows equally long."
            )
    return {name: [row[k] for row in body] for k, name in enumerate(header)}


def _points_of_columns(
    columns: dict[str, list[Any]], path: Path, n_components: int
) -> tuple[Names, NDArray[np.float32]]:
    wanted = component_names(n_components)
    absent = [name for name in wanted if name not in columns]
    if absent:
        raise InputError(
            f"{path} has no column '{absent[0]}'; points of this model need the columns "
            f"{wanted[0]} to {wanted[-1]}."
        )
    if f"fembed_{n_components + 1}" in columns:
        raise InputError(
            f"{path} has a column 'fembed_{n_components + 1}' but the model has {n_components} "
            "component(s); give points of this model."
        )
    n_points = len(columns[wanted[0]])
    points = np.empty((n_points, n_components), np.float32)
    for k, name in enumerate(wanted):
        for row, cell in enumerate(columns[name]):
            points[row, k] = _coordinate(cell, path, row, name)
    names = columns.get("sample") or [f"point_{row}" for row in range(1, n_points + 1)]
    return np.array([str(name) for name in names], dtype=object), points


def _coordinate(cell: Any, path: Path, row: int, column: str) -> float:
    try:
        value = float(cell)
    except (TypeError, ValueError):
        value = float("nan")
    if not np.isfinite(value) or abs(value) > np.finfo(np.float32).max:
        raise InputError(
            f"{path} holds {cell!r} in row {row + 1} and column '{column}', which is not a finite "
            "number; correct it or remove the row."
        )
    return value
