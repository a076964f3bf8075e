"""NumPy's own files, .npy and .npz, never with pickled objects."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from fembed.data.chunks import empty_matrix, row_chunks
from fembed.data.expression import Expression
from fembed.data.memory import refuse_bytes
from fembed.data.readers.damage import damage_reported
from fembed.data.sparse import Compressed, stored_shape
from fembed.errors import InputError

# What numpy, zipfile and scipy raise for damaged headers, members and indices.
_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    SyntaxError,
    OverflowError,
    RuntimeError,
    TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
_SPARSE_FIELDS = {"format", "shape", "data"}


def read_npy(path: Path, transpose: bool) -> Expression:
    """One 2-D array, mapped from the disk so that only pieces of it are in memory."""
    with damage_reported(path, "a .npy array", *_ERRORS):
        if zipfile.is_zipfile(path):
            raise InputError(f"{path} is an .npz archive by its content; rename it to .npz.")
        matrix = np.lib.format.open_memmap(path, mode="r")
        return Expression.from_array(matrix, origin=str(path), transpose=transpose)


def read_npz(path: Path, transpose: bool) -> Expression:
    """A scipy sparse matrix, or one 2-D array with perhaps ``sample_names`` and ``gene_names``."""
    with damage_reported(path, "an .npz archive", *_ERRORS), path.open("rb") as stream:
        if stream.read(6) == b"\x93NUMPY":
            raise InputError(f"{path} is a .npy array by its content; rename it to .npy.")
        with zipfile.ZipFile(stream) as archive:
            members = _members(archive, path)
            if members.keys() >= _SPARSE_FIELDS:
                matrix = _sparse(members, path)
                return Expression.from_array(matrix, origin=str(path), transpose=transpose)
            return _read_arrays(members, path, transpose)


@dataclass(frozen=True)
class _Member:
    """An array in an archive, known by its header: its size is judged before it is read."""

    archive: zipfile.ZipFile
    info: zipfile.ZipInfo
    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    by_columns: bool

    def read(self) -> NDArray[Any]:
        refuse_bytes(self.info.file_size, self.info.filename, str(self.path))
        with self.archive.open(self.info) as stream:
            array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
        return array

    def read_float32(self, transpose: bool) -> NDArray[np.float32]:
        """The matrix by pieces: an archive is a stream and cannot be mapped."""
        shape = self.shape[::-1] if transpose else self.shape
        values = empty_matrix(*shape, origin=str(self.path))
        target = values.T if transpose != self.by_columns else values
        with self.archive.open(self.info) as stream, np.errstate(over="ignore"):
            _header(stream)
            for rows in row_chunks(*target.shape):
                piece = target[rows]
                text = _read_exactly(stream, piece.size * self.dtype.itemsize)
                piece[:] = np.frombuffer(text, self.dtype).reshape(piece.shape)
        return values


def _members(archive: zipfile.ZipFile, path: Path) -> dict[str, _Member]:
    members = {}
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        if name in members:
            raise InputError(f"{path} holds {name} twice; it is damaged, write it again.")
        with archive.open(info) as stream:
            shape, by_columns, dtype = _header(stream)
            n_header = stream.tell()
        if dtype.hasobject:
            raise InputError(
                f"{name} of {path} holds Python objects, which are never loaded since that can "
                "run any program; save numbers and texts (dtype=str)."
            )
        # Python's integers: a damaged shape overflows those of NumPy.
        n_bytes = dtype.itemsize
        for n in shape:
            n_bytes *= n
        if n_header + n_bytes != info.file_size:
            raise ValueError(
                f"{name} should have {n_bytes} bytes and has {info.file_size - n_header}"
            )
        members[name] = _Member(archive, info, path, shape, dtype, by_columns)
    return members


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether columns are contiguous, and type."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)
    # (3, 0) differs from (2, 0) only in field names that are not Latin, which no matrix has.
    return np.lib.format.read_array_header_2_0(stream)


def _read_exactly(stream: IO[bytes], n_bytes: int) -> bytes:
    text = stream.read(n_bytes)
    if len(text) != n_bytes:
        raise EOFError("its end is missing")
    return text


def _sparse(members: dict[str, _Member], path: Path) -> Any:
    """The matrix that `scipy.sparse.save_npz` wrote, not yet trusted."""
    from scipy import sparse

    kind = members["format"].read().item()
    kind = kind.decode("ascii") if isinstance(kind, bytes) else str(kind)
    shape = stored_shape(members["shape"].read(), str(path))
    data = members["data"].read()
    if kind in ("csr", "csc"):
        return Compressed(kind, shape, data, members["indices"].read(), members["indptr"].read())
    if kind == "coo":
        if "coords" in members:
            row, column = members["coords"].read()
        else:
            row, column = members["row"].read(), members["col"].read()
        return _Triples(shape, data, row, column)
    if kind == "dia":
        return sparse.dia_array((data, members["offsets"].read()), shape=shape)
    if kind == "bsr":
        parts = (data, members["indices"].read(), members["indptr"].read())
        return sparse.bsr_array(parts, shape=shape)
    raise ValueError(f"a sparse matrix of the unknown format '{kind}'")


@dataclass(frozen=True)
class _Triples:
    """As scipy's COO matrix, which would change indices beyond its type before they are checked."""

    shape: tuple[int, int]
    data: NDArray[Any]
    row: NDArray[Any]
    col: NDArray[Any]
    format: str = "coo"

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.data.dtype


def _read_arrays(members: dict[str, _Member], path: Path, transpose: bool) -> Expression:
    named = dict(members)
    stored = {key: named.pop(key, None) for key in ("sample_names", "gene_names")}
    matrices = [member for member in named.values() if len(member.shape) == 2]
    if len(matrices) != 1:
        raise InputError(
            f"{path} holds {len(matrices)} two-dimensional arrays among "
            f"{', '.join(members) or 'no arrays'}; it should hold one, "
            "with sample_names and gene_names beside it if you like."
        )
    matrix = matrices[0]
    if matrix.dtype.kind not in "biuf":
        raise InputError(
            f"The matrix in {path} holds values of type {matrix.dtype}; give real or integer "
            "numbers."
        )
    shape = matrix.shape[::-1] if transpose else matrix.shape
    names: dict[str, NDArray[Any] | None] = {}
    for (key, member), n in zip(stored.items(), shape, strict=True):
        if member is not None and len(member.shape) != 1:
            raise InputError(
                f"{key} of {path} has {len(member.shape)} dimensions; it should have one."
            )
        if member is not None and member.shape[0] != n:
            what = key.removesuffix("_names")
            raise InputError(
                f"{path} has {member.shape[0]} {what} names for {n} {what}s; "
                "give one name each, or say that the matrix is genes x samples (--transpose)."
            )
        names[key] = None if member is None else member.read()
    return Expression.adopt(matrix.read_float32(transpose), **names, origin=str(path))
