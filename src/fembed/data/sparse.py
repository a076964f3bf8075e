"""Sparse matrices to dense ones, every index checked before it is used as an address.

scipy trusts the indices of a matrix once it is made, and anndata those of a file: one that lies
outside writes outside the memory of the matrix, or into the next row. Here pieces are checked and
added up (entries stored twice are summed, as everywhere) without a second copy of the matrix.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.errors import InputError

#: Entries that are looked at together, for the reason of `fembed.data.chunks.ENTRIES_PER_CHUNK`.
ENTRIES_PER_PIECE = 2_000_000

Spill = Callable[[NDArray[np.int64], NDArray[np.int64], NDArray[Any]], None]


@dataclass(frozen=True)
class Compressed:
    """A matrix in compressed rows or columns, in memory or on disk, not yet trusted.

    Attributes
    ----------
    format : {"csr", "csc"}
    stored_shape : (int, int)
        Rows x columns.
    data, indices, indptr : array, or HDF5 or zarr dataset
    kept : intp array, optional
        For every line across the compressed ones (columns of a CSR, rows of a CSC) its place
        among those that are wanted, -1 for one that is left out.
    """

    format: str
    stored_shape: tuple[int, int]
    data: Any
    indices: Any
    indptr: Any
    kept: NDArray[np.intp] | None = None

    @property
    def dtype(self) -> Any:
        return self.data.dtype

    @property
    def shape(self) -> tuple[int, int]:
        if self.kept is None:
            return self.stored_shape
        n_kept = int(np.count_nonzero(self.kept >= 0))
        n_rows, n_columns = self.stored_shape
        return (n_rows, n_kept) if self.format == "csr" else (n_kept, n_columns)

    @property
    def nnz(self) -> int:
        return int(self.data.shape[0]) if len(self.data.shape) else 0


def stored_shape(stored: Any, origin: str) -> tuple[int, int]:
    """Rows and columns as a file says them: two whole numbers."""
    shape = np.asarray(stored)
    if shape.shape != (2,) or shape.dtype.kind not in "iu" or bool((shape < 0).any()):
        raise _broken(origin, "its shape is not two whole numbers")
    return int(shape[0]), int(shape[1])


def is_sparse(X: Any) -> bool:
    """Whether ``X`` is sparse: ours, scipy's, or an AnnData's on disk."""
    return hasattr(X, "format") and isinstance(X.format, str)


def n_entries(X: Any) -> int:
    """How many entries a sparse matrix stores."""
    stored = _compressed(X) if X.format in ("csr", "csc") else X
    if X.format in ("coo", "dia", "bsr"):
        return int(np.asarray(X.data).size)
    return int(stored.nnz)


def check_sparse(X: Any, origin: str) -> None:
    """Raise `InputError` if a sparse matrix has an entry outside its shape, or broken storage."""
    _spill(X, origin, lambda rows, columns, entries: None)


def fill(values: NDArray[np.float32], X: Any, origin: str, *, transpose: bool = False) -> None:
    """Write the entries of the sparse ``X`` to ``values``, zeros elsewhere.

    Parameters
    ----------
    values : float32 array, C-contiguous
        Of the shape of ``X``, or of its transpose if ``transpose``.
    X : `Compressed`, scipy sparse matrix or array, or AnnData's sparse matrix on disk
    origin : str
        What to call the data in a message.

    Raises
    ------
    InputError
        If an entry lies outside the matrix, or its storage contradicts itself.
    """
    values[:] = 0
    flat = values.reshape(-1)
    width = values.shape[1]

    def add(rows: NDArray[np.int64], columns: NDArray[np.int64], entries: NDArray[Any]) -> None:
        if transpose:
            rows, columns = columns, rows
        np.add.at(flat, rows * width + columns, entries.astype(np.float32))

    # A value beyond float32 becomes infinite here, and Expression.check names its place.
    with np.errstate(over="ignore", invalid="ignore"):
        _spill(X, origin, add)


def pointers_of(matrix: Compressed, origin: str) -> NDArray[np.int64]:
    """Where each compressed line begins, checked; of n lines n + 1 numbers."""
    n_rows, n_columns = matrix.stored_shape
    return _pointers(matrix, n_rows if matrix.format == "csr" else n_columns, origin)


def some_rows(matrix: Compressed, pointers: NDArray[np.int64], rows: slice) -> Compressed:
    """Rows of a CSR by their slice, read into memory; its ``pointers`` are those of `pointers_of`.

    The pointers of a file on disk are read once, since those of many rows take long.
    """
    start, stop = int(pointers[rows.start]), int(pointers[rows.stop])
    return Compressed(
        matrix.format,
        (rows.stop - rows.start, matrix.stored_shape[1]),
        np.asarray(matrix.data[start:stop]),
        np.asarray(matrix.indices[start:stop]),
        pointers[rows.start : rows.stop + 1] - start,
        matrix.kept,
    )


def _spill(X: Any, origin: str, spill: Spill) -> None:
    """Give all entries of ``X`` to ``spill``, checked, a piece at a time."""
    if X.format in ("csr", "csc"):
        _spill_compressed(_compressed(X), origin, spill)
    elif X.format == "bsr":
        _spill_blocks(X, origin, spill)
    elif X.format == "dia":
        _spill_diagonals(X, origin, spill)
    else:
        _spill_triples(X if X.format == "coo" else X.tocoo(), origin, spill)


def _compressed(X: Any) -> Compressed:
    if isinstance(X, Compressed):
        return X
    group = getattr(X, "group", None)  # an AnnData's matrix on disk
    if group is not None:
        parts = group["data"], group["indices"], group["indptr"]
        return Compressed(X.format, tuple(X.shape), *parts)
    return Compressed(X.format, tuple(X.shape), X.data, X.indices, X.indptr)


def _spill_compressed(matrix: Compressed, origin: str, spill: Spill) -> None:
    n_rows, n_columns = matrix.stored_shape
    by_rows = matrix.format == "csr"
    n_lines, n_across = (n_rows, n_columns) if by_rows else (n_columns, n_rows)
    pointers = _pointers(matrix, n_lines, origin)
    for start in range(0, matrix.nnz, ENTRIES_PER_PIECE):
        stop = min(start + ENTRIES_PER_PIECE, matrix.nnz)
        lines = _lines(pointers, start, stop)
        across = _inside(matrix.indices[start:stop], n_across, matrix.stored_shape, origin)
        entries = np.asarray(matrix.data[start:stop])
        if matrix.kept is not None:
            across = matrix.kept[across].astype(np.int64)
            wanted = across >= 0
            lines, across, entries = lines[wanted], across[wanted], entries[wanted]
        spill(*((lines, across) if by_rows else (across, lines)), entries)


def _pointers(matrix: Any, n_lines: int, origin: str) -> NDArray[np.int64]:
    """Where each line begins, checked: the only part of a matrix on disk that is read whole."""
    n_stored, n_indices = (_length(part) for part in (matrix.data, matrix.indices))
    if _length(matrix.indptr) != n_lines + 1:
        raise _broken(origin, f"{_length(matrix.indptr)} pointers for {n_lines} lines")
    if n_stored != n_indices:
        raise _broken(origin, f"{n_stored} values for {n_indices} indices")
    pointers = np.asarray(matrix.indptr[:])
    if pointers.dtype.kind not in "iu":
        raise _broken(origin, f"pointers of type {pointers.dtype}")
    # The last one may be beyond int64 if it is unsigned; so compare before the conversion.
    ordered = bool((pointers[1:] >= pointers[:-1]).all())
    if pointers[0] != 0 or int(pointers[-1]) != n_stored or not ordered:
        raise _broken(
            origin,
            f"its pointers lead from {pointers[0]} to {pointers[-1]} in {n_stored} values"
            + ("" if ordered else " and go back"),
        )
    return pointers.astype(np.int64)


def _lines(pointers: NDArray[np.int64], start: int, stop: int) -> NDArray[np.int64]:
    """The line of each of the entries from ``start`` to ``stop``."""
    first = int(np.searchsorted(pointers, start, "right")) - 1
    last = int(np.searchsorted(pointers, stop, "left"))
    bounds = np.clip(pointers[first : last + 1], start, stop)
    return np.repeat(np.arange(first, last, dtype=np.int64), bounds[1:] - bounds[:-1])


def _inside(stored: Any, n: int, shape: tuple[int, ...], origin: str) -> NDArray[np.int64]:
    indices: NDArray[Any] = np.asarray(stored)
    if indices.dtype.kind not in "iu":
        raise _broken(origin, f"indices of type {indices.dtype}")
    if indices.size and (int(indices.min()) < 0 or int(indices.max()) >= n):
        raise InputError(
            f"The sparse matrix in {origin} has an entry outside its {shape[0]} samples x "
            f"{shape[1]} genes (as stored); it is damaged, make or fetch it again."
        )
    places: NDArray[np.int64] = indices.astype(np.int64)
    return places


def _spill_triples(matrix: Any, origin: str, spill: Spill) -> None:
    n_stored = _length(matrix.data)
    if not _length(matrix.row) == _length(matrix.col) == n_stored:
        raise _broken(origin, "rows, columns and values that are not equally many")
    for start in range(0, n_stored, ENTRIES_PER_PIECE):
        piece = slice(start, start + ENTRIES_PER_PIECE)
        rows = _inside(matrix.row[piece], matrix.shape[0], matrix.shape, origin)
        columns = _inside(matrix.col[piece], matrix.shape[1], matrix.shape, origin)
        spill(rows, columns, np.asarray(matrix.data[piece]))


def _spill_diagonals(matrix: Any, origin: str, spill: Spill) -> None:
    """Diagonal k holds the entries (j - k, j); those outside the matrix are room unused."""
    offsets = np.asarray(matrix.offsets)
    if offsets.dtype.kind not in "iu" or len(offsets) != len(matrix.data):
        raise _broken(origin, f"{len(matrix.data)} diagonals for {len(offsets)} offsets")
    n_rows, n_columns = matrix.shape
    for offset, diagonal in zip(offsets.tolist(), matrix.data, strict=True):
        first, last = max(0, offset), min(n_columns, len(diagonal), n_rows + offset)
        if last > first:
            columns = np.arange(first, last, dtype=np.int64)
            spill(columns - offset, columns, diagonal[first:last])


def _spill_blocks(matrix: Any, origin: str, spill: Spill) -> None:
    """Every index stands for a block of R x C entries."""
    data: Any = np.asarray(matrix.data)
    n_rows, n_columns = matrix.shape
    if data.ndim != 3 or 0 in data.shape[1:]:
        raise _broken(origin, f"blocks of shape {data.shape[1:]}")
    _, height, width = data.shape
    if n_rows % height or n_columns % width:
        raise _broken(origin, f"blocks of {height} x {width} in {n_rows} x {n_columns}")
    pointers = _pointers(matrix, n_rows // height, origin)
    down, along = np.arange(height)[None, :, None], np.arange(width)[None, None, :]
    step = max(1, ENTRIES_PER_PIECE // (height * width))
    for start in range(0, len(data), step):
        stop = min(start + step, len(data))
        lines = _lines(pointers, start, stop)[:, None, None] * height
        across = _inside(matrix.indices[start:stop], n_columns // width, matrix.shape, origin)
        rows, columns = np.broadcast_arrays(lines + down, across[:, None, None] * width + along)
        spill(rows.reshape(-1), columns.reshape(-1), data[start:stop].reshape(-1))


def _length(part: Any) -> int:
    shape: Any = getattr(part, "shape", ())
    return int(shape[0]) if len(shape) else 0


def _broken(origin: str, what: str) -> InputError:
    return InputError(
        f"The sparse matrix in {origin} contradicts itself ({what}); it is damaged, "
        "make or fetch it again."
    )
