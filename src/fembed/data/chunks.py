"""Dense float32 arrays from whatever holds a matrix, piece by piece, and some of its rows."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fembed.data import sparse
from fembed.data.memory import refuse_beyond_memory, too_large
from fembed.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

# 2 M entries are 8 MB as float32 and 16 MB as float64: large enough that a Python step costs
# nothing beside the work, small enough to vanish beside the matrix.
ENTRIES_PER_CHUNK = 2_000_000
#: A stored chunk may be this large, whatever the size of its matrix.
MAX_CHUNK_BYTES = 256_000_000


class Matrix(Protocol):
    """What a source must offer: an array, an HDF5 or zarr dataset, or a sparse matrix."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> Any: ...
    def __getitem__(self, key: Any, /) -> Any: ...


def row_chunks(n_rows: int, n_columns: int) -> Iterator[slice]:
    """Slices over the rows, each of about ``ENTRIES_PER_CHUNK`` entries and at least one row."""
    step = max(1, ENTRIES_PER_CHUNK // max(1, n_columns))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def _tiles(shape: tuple[int, int], stored_chunk: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    """(rows, columns) pieces of a matrix in whole multiples of the chunks it is stored in.

    A piece that cut through compressed chunks would decompress each of them several times.
    """
    stored_rows, stored_columns = (
        max(1, min(n, chunk)) for n, chunk in zip(shape, stored_chunk, strict=True)
    )
    columns = max(1, ENTRIES_PER_CHUNK // stored_rows // stored_columns) * stored_columns
    columns = min(columns, max(1, shape[1]))
    rows = max(1, ENTRIES_PER_CHUNK // columns // stored_rows) * stored_rows
    for row in range(0, shape[0], rows):
        for column in range(0, shape[1], columns):
            yield (
                slice(row, min(row + rows, shape[0])),
                slice(column, min(column + columns, shape[1])),
            )


def _stored_chunk(matrix: Matrix) -> tuple[int, int]:
    """The shape of the pieces in which the entries of ``matrix`` lie together."""
    n_rows, n_columns = matrix.shape
    if isinstance(matrix, np.ndarray):
        by_columns = matrix.flags.f_contiguous and not matrix.flags.c_contiguous
        return (n_rows, 1) if by_columns else (1, n_columns)
    chunks = getattr(matrix, "shards", None) or getattr(matrix, "chunks", None)
    return (1, n_columns) if chunks is None else (int(chunks[0]), int(chunks[1]))


def empty_matrix(n_rows: int, n_columns: int, *, origin: str) -> NDArray[np.float32]:
    """An uninitialised float32 array; an `InputError` that says its size if there is no room."""
    refuse_beyond_memory(n_rows, n_columns, origin)
    try:
        return np.empty((n_rows, n_columns), np.float32)
    except (MemoryError, ValueError) as error:
        raise too_large(n_rows, n_columns, origin) from error


def to_float32(X: Any, *, origin: str, transpose: bool = False) -> NDArray[np.float32]:
    """A new C-contiguous float32 array with the entries of ``X``.

    Parameters
    ----------
    X : array, list of lists, h5py or zarr dataset, scipy sparse or on-disk sparse matrix
        Two-dimensional, of a boolean, integer or real type. It is read piece by piece; no second
        full copy is made.
    origin : str
        What to call the data in a message.
    transpose : bool
        Return the transposed matrix.

    Raises
    ------
    InputError
        If the matrix is not two-dimensional or does not hold numbers.
    """
    matrix = _as_matrix(X, origin)
    if len(matrix.shape) != 2:
        raise InputError(
            f"The matrix in {origin} has {len(matrix.shape)} dimension(s); "
            "give a two-dimensional one, samples x genes."
        )
    dtype = np.dtype(matrix.dtype)
    if dtype.kind not in "biuf":
        raise InputError(
            f"The matrix in {origin} holds values of type {dtype}; give real or integer numbers."
        )
    n_rows, n_columns = matrix.shape
    shape = (n_columns, n_rows) if transpose else (n_rows, n_columns)
    if sparse.is_sparse(matrix):
        values = empty_matrix(*shape, origin=origin)
        sparse.fill(values, matrix, origin, transpose=transpose)
        return values
    _refuse_large_chunks(matrix, origin)
    values = empty_matrix(*shape, origin=origin)
    target = values.T if transpose else values
    # A value beyond float32 becomes infinite here, and Expression.check names its place.
    with np.errstate(over="ignore"):
        for rows, columns in _tiles((n_rows, n_columns), _stored_chunk(matrix)):
            target[rows, columns] = matrix[rows, columns]
    return values


def _refuse_large_chunks(matrix: Any, origin: str) -> None:
    """A chunk is decompressed whole, so one much larger than its matrix is a trap or damage."""
    stored = getattr(matrix, "shards", None) or getattr(matrix, "chunks", None)
    if stored is None or isinstance(matrix, np.ndarray):
        return
    n_bytes = math.prod(stored) * np.dtype(matrix.dtype).itemsize
    whole = math.prod(matrix.shape) * np.dtype(matrix.dtype).itemsize
    if n_bytes > max(MAX_CHUNK_BYTES, 2 * whole):
        raise InputError(
            f"The matrix in {origin} ({' x '.join(map(str, matrix.shape))}) is stored in chunks of "
            f"{' x '.join(map(str, stored))}, far beyond its size; it is damaged, write it again."
        )


def _as_matrix(X: Any, origin: str) -> Matrix:
    """``X`` itself if it can be read in pieces, else an array of it."""
    matrix: Matrix
    if isinstance(X, np.ma.MaskedArray) and X.dtype.kind in "biufO":
        matrix = np.ma.filled(X.astype(np.float32), np.nan)
    elif _is_ready(X):
        matrix = X
    else:
        try:
            matrix = np.asarray(X, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"{origin} is not a matrix of numbers ({error}); give samples x genes."
            ) from error
    return matrix


def _is_ready(X: Any) -> bool:
    """Whether ``X`` can be read in pieces as it is."""
    if isinstance(X, np.ndarray):
        return bool(X.dtype.kind != "O")
    stored = hasattr(X, "chunks") and not hasattr(X, "compute")  # but no Dask array
    return sparse.is_sparse(X) or stored


def frame_to_float32(
    frame: pd.DataFrame, *, origin: str, transpose: bool = False
) -> NDArray[np.float32]:
    """As `to_float32`, for a DataFrame; a cell that is not a number is named in the error."""
    values = empty_matrix(*(frame.shape[::-1] if transpose else frame.shape), origin=origin)
    target = values.T if transpose else values
    _refuse_dates(frame, origin)
    for rows in row_chunks(*frame.shape):
        part = frame.iloc[rows]
        try:
            with np.errstate(over="ignore"):
                target[rows] = part.to_numpy(dtype=np.float32, na_value=np.nan)
        except (TypeError, ValueError) as error:
            raise InputError(_text_in_frame(part, origin)) from error
    return values


def _refuse_dates(frame: pd.DataFrame, origin: str) -> None:
    """Raise for columns of dates and complex numbers, which NumPy turns into numbers."""
    for position, dtype in enumerate(frame.dtypes):
        values = getattr(getattr(dtype, "categories", None), "dtype", dtype)
        if getattr(values, "kind", "O") in "cmM":
            raise InputError(
                f"The column '{frame.columns[position]}' of {origin} holds values of type {dtype}; "
                "give real or integer numbers, or remove the column if it is an annotation."
            )


def _text_in_frame(frame: pd.DataFrame, origin: str) -> str:
    """The sentence about the first cell that is not a number."""
    for name, column in frame.items():
        for row, cell in column.items():
            try:
                np.float32(cell)
            except (TypeError, ValueError):
                return not_a_number(origin, row, name, cell)
    return f"{origin} holds something that is not a number; give a matrix of numbers."


def not_a_number(origin: str, row: object, column: object, text: object) -> str:
    """The sentence about a cell of a table that is not a number."""
    return (
        f"{origin} holds '{text}', which is not a number, in row '{row}' and column '{column}'; "
        "correct it, leave it empty if it is missing, or remove the column if it is an annotation."
    )


def values_hash(values: NDArray[np.float32]) -> hashlib._Hash:
    """A SHA-256 of a matrix's shape and entries, to which more can be added."""
    total = hashlib.sha256(repr(values.shape).encode())
    for rows in row_chunks(*values.shape):
        total.update(np.ascontiguousarray(values[rows]).data)
    return total


def gene_limits(values: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The lowest and the highest observed entry of each column; inf and -inf where none is."""
    low = np.full(values.shape[1], np.inf, np.float32)
    high = np.full(values.shape[1], -np.inf, np.float32)
    for rows in row_chunks(*values.shape):
        low = np.fmin(low, np.fmin.reduce(values[rows], axis=0))
        high = np.fmax(high, np.fmax.reduce(values[rows], axis=0))
    return low, high


def observed_counts(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """How many entries of each row are not missing, without a mask of the whole matrix."""
    found = np.empty(len(values), np.int64)
    for rows in row_chunks(*values.shape):
        found[rows] = (~np.isnan(values[rows])).sum(axis=1)
    return found


def even_choice(total: int, most: int) -> NDArray[np.intp]:
    """Indices of all ``total`` things, or of ``most`` of them at even distances."""
    chosen: NDArray[np.intp] = np.linspace(0, total - 1, min(total, most)).round().astype(np.intp)
    return chosen
