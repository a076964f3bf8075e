"""NumPy's own files, .npy and .npz, never with pickled objects."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError
from typing import Any, BinaryIO

import numpy as np

from fembed.data.expression import Expression
from fembed.data.readers.damage import damage_reported
from fembed.errors import InputError

# What numpy, zipfile and scipy raise for damaged headers, members and indices.
_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
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
    # An open stream rather than the path: np.load leaves a broken archive open.
    with damage_reported(path, "an .npz archive", *_ERRORS), path.open("rb") as stream:
        archive = np.load(stream, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise InputError(f"{path} is a .npy array by its content; rename it to .npy.")
        if set(archive.files) >= _SPARSE_FIELDS:
            stream.seek(0)
            return Expression.from_array(
                _load_sparse(stream), origin=str(path), transpose=transpose
            )
        return _read_arrays(archive, path, transpose)


def _load_sparse(stream: BinaryIO) -> Any:
    from scipy import sparse

    return sparse.load_npz(stream)


def _read_arrays(archive: Any, path: Path, transpose: bool) -> Expression:
    named = {name: archive[name] for name in archive.files}
    names = {key: named.pop(key, None) for key in ("sample_names", "gene_names")}
    matrices = [name for name, array in named.items() if array.ndim == 2]
    if len(matrices) != 1:
        raise InputError(
            f"{path} holds {len(matrices)} two-dimensional arrays among "
            f"{', '.join(archive.files) or 'no arrays'}; it should hold one, "
            "with sample_names and gene_names beside it if you like."
        )
    for key, array in names.items():
        if array is not None and array.ndim != 1:
            raise InputError(f"{key} of {path} has {array.ndim} dimensions; it should have one.")
    return Expression.from_array(named[matrices[0]], **names, origin=str(path), transpose=transpose)
