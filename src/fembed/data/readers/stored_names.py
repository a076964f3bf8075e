"""Names and annotations in HDF5 files: sizes are compared before a list is read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.data.memory import BYTES_PER_NAME, refuse_bytes
from fembed.data.names import as_text
from fembed.errors import InputError

#: Longer names are refused: a file full of them would fill the memory.
MAX_NAME_BYTES = 10_000


def is_list(item: Any, n: int | None = None) -> bool:
    """Whether ``item`` is a dataset of one dimension (with ``n`` entries)."""
    shape = getattr(item, "shape", None)
    return shape is not None and len(shape) == 1 and (n is None or shape[0] == n)


def names(dataset: Any, n: int, what: str, path: Path) -> NDArray[np.object_]:
    """A stored list of ``n`` names of ``what`` ("sample", "gene"), as texts."""
    where = dataset.name.strip("/") if dataset.name else what
    if len(dataset.shape) != 1:
        raise InputError(
            f"{where} of {path} has {len(dataset.shape)} dimensions; it should be one list."
        )
    if dataset.shape[0] != n:
        raise InputError(
            f"{path} has {dataset.shape[0]} {what} names for {n} {what}s (in {where}); "
            "give one name each, or say that the matrix is genes x samples (--transpose)."
        )
    refuse_large(dataset, where, path)
    return as_names(dataset[:])


def refuse_large(dataset: Any, where: str, path: Path) -> None:
    """Raise `InputError` for a list too large for memory, by its own size or that of its chunks."""
    if dataset.dtype.itemsize > MAX_NAME_BYTES:
        raise InputError(
            f"{where} of {path} holds texts of {dataset.dtype.itemsize} letters; it is damaged."
        )
    n_bytes = math.prod(dataset.shape) * (dataset.dtype.itemsize + BYTES_PER_NAME)
    refuse_bytes(n_bytes, where, str(path))
    stored = getattr(dataset, "chunks", None)
    if stored is not None:
        chunk_bytes = math.prod(stored) * dataset.dtype.itemsize
        if chunk_bytes > max(256_000_000, 4 * n_bytes):
            raise InputError(
                f"{where} of {path} has {dataset.shape[0]} entries in chunks of {stored[0]}; it is "
                "damaged."
            )


def as_names(values: Iterable[Any]) -> NDArray[np.object_]:
    """Texts of names that may be stored as bytes or numbers; 1001.0 is the name 1001."""
    listed = [as_text(value) for value in values]
    found = np.empty(len(listed), dtype=object)
    found[:] = listed
    return found


def first_unique(
    group: Any, keys: Sequence[str], n: int, what: str, path: Path
) -> tuple[str, NDArray[np.object_]] | None:
    """The first list of names under ``keys`` in which none repeats, else the first there is."""
    found = None
    for key in keys:
        item = group.get(key) if hasattr(group, "get") else None
        if item is None or not is_list(item):
            continue
        listed = names(item, n, what, path)
        if len(set(listed)) == n:
            return key, listed
        found = found or (key, listed)
    return found


def sample_table(group: Any, n: int, index: NDArray[np.object_], path: Path) -> Any:
    """A table of the lists of ``n`` entries in ``group``: texts and numbers, one row per sample."""
    import pandas as pd

    columns: dict[str, Any] = {}
    for key in group:
        item = group.get(key)
        if is_list(item, n) and item.dtype.kind in "biufSO":
            refuse_large(item, f"{key}", path)
            stored = item[:]
            columns[str(key)] = as_names(stored) if item.dtype.kind in "SO" else stored
    return pd.DataFrame(columns, index=pd.Index(index, dtype=object))
