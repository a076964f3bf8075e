"""A folder with a 10x Genomics matrix: matrix.mtx, features.tsv or genes.tsv, barcodes.tsv."""

from __future__ import annotations

import csv
import gzip
import warnings
import zlib
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from fembed.data import chunks
from fembed.data.annotations import Source
from fembed.data.chunks import empty_matrix
from fembed.data.expression import Expression
from fembed.data.features import kept_genes
from fembed.data.readers.damage import damage_reported
from fembed.errors import InputError

#: Longer lines are refused; without a limit a small compressed file could fill the memory.
MAX_LINE_BYTES = 100_000
_ERRORS = (OSError, EOFError, ValueError, OverflowError, zlib.error)


def read(folder: Path, transpose: bool) -> Expression:
    """Cells x genes; the genes go by the first column of their table, the unique identifiers.

    Symbols, the second column, repeat within every 10x reference and cannot name a gene. Features
    of another type than Gene Expression, the third column, are left out with a warning. The three
    files may share a prefix, as GEO gives them one.
    """
    matrix_file, gene_file, barcode_file = _files(folder)
    if transpose:
        raise InputError(
            f"{folder} is a 10x folder, which is genes x cells by definition and is read as "
            "cells x genes; leave out --transpose."
        )
    features, barcodes = _rows(gene_file), _rows(barcode_file)
    types = [row[2] if len(row) > 2 else "" for row in features]
    kept, notes = kept_genes(types, str(folder))
    genes = [row[0] for row in features]
    with damage_reported(matrix_file, "a Matrix Market file", *_ERRORS):
        values = _read_matrix(matrix_file, len(features), len(barcodes), kept)
    if kept is not None:
        genes = [gene for gene, place in zip(genes, kept, strict=True) if place >= 0]
    expression = Expression.adopt(values, [row[0] for row in barcodes], genes, origin=str(folder))
    source = Source("10x folder", "counts", oriented=True, notes=notes)
    return replace(expression, source=source)


def _opened(path: Path) -> IO[bytes]:
    return gzip.open(path) if path.name.endswith(".gz") else path.open("rb")  # type: ignore[return-value]


def _read_matrix(
    path: Path, n_genes: int, n_cells: int, kept: NDArray[np.intp] | None
) -> NDArray[np.float32]:
    """Cells x genes (those ``kept``), filled entry by entry from the genes x cells file.

    Not scipy's mmread: it ends the process on some malformed files (scipy issue 19949), and takes
    "1e" or "1 2 3" for the value 1 on others.
    """
    with _opened(path) as stream:
        banner = stream.readline(200).decode("latin-1").lower().split()
        if banner[:3] != ["%%matrixmarket", "matrix", "coordinate"] or banner[3:] not in (
            ["real", "general"],
            ["integer", "general"],
        ):
            raise InputError(
                f"{path} does not begin as a 10x matrix does, with '%%MatrixMarket matrix "
                "coordinate integer general' (or real); write it in that form."
            )
        size = _size_line(stream)
        if len(size) != 3 or not all(count.isdigit() for count in size):
            raise InputError(f"{path} has no line with its numbers of genes, cells and entries.")
        shape, n_entries = (int(size[0]), int(size[1])), int(size[2])
        if shape != (n_genes, n_cells):
            raise InputError(
                f"{path} is {shape[0]} genes x {shape[1]} cells, but there are {n_genes} gene "
                f"names and {n_cells} barcodes; take the three files from one run."
            )
        n_kept = n_genes if kept is None else int((kept >= 0).sum())
        values = empty_matrix(n_cells, n_kept, origin=str(path))
        values[:] = 0
        flat = values.reshape(-1)
        n_read = 0
        # An infinite index becomes one that lies outside, and is refused as such.
        with np.errstate(invalid="ignore"), closing(_entries(stream)) as entries:
            for gene, cell, value in entries:
                if min(gene.min(), cell.min()) < 1 or gene.max() > n_genes or cell.max() > n_cells:
                    raise InputError(
                        f"{path} has an entry outside its {n_genes} genes x {n_cells} cells; "
                        "make or fetch it again."
                    )
                n_read += len(value)
                gene = gene - 1
                if kept is not None:
                    gene = kept[gene]
                    wanted = gene >= 0
                    gene, cell, value = gene[wanted], cell[wanted], value[wanted]
                np.add.at(flat, (cell - 1) * n_kept + gene, value)
    if n_read != n_entries:
        raise InputError(
            f"{path} announces {n_entries} entries but has {n_read}; make or fetch it again."
        )
    return values


def _size_line(stream: IO[bytes]) -> list[bytes]:
    """The first line that is no comment; a line without an end is cut."""
    while line := stream.readline(MAX_LINE_BYTES):
        if line.strip() and not line.startswith(b"%"):
            return line.split()
    return []


class _ShortLines:
    """A stream for pandas, which would keep a line without an end whole."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._length = 0

    def read(self, n_bytes: int = -1) -> bytes:
        block = self._stream.read(n_bytes if 0 <= n_bytes <= MAX_LINE_BYTES else MAX_LINE_BYTES)
        end = block.rfind(b"\n")
        self._length = self._length + len(block) if end < 0 else len(block) - end - 1
        if self._length > MAX_LINE_BYTES:
            raise ValueError(f"a line has more than {MAX_LINE_BYTES} letters")
        return block

    def __iter__(self) -> Iterator[bytes]:  # pandas asks for it, and calls read
        return iter(self._stream)


def _entries(
    stream: IO[bytes],
) -> Generator[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]:
    """Gene, cell (from 1) and value of many entries at a time."""
    import pandas as pd

    with warnings.catch_warnings():
        # A first line that is too long fills the fourth column, which is refused below.
        warnings.simplefilter("ignore", pd.errors.ParserWarning)
        reader = pd.read_csv(
            _ShortLines(stream),
            sep=r"\s+",
            header=None,
            names=range(4),
            index_col=False,
            dtype={0: np.int64, 1: np.int64, 2: np.float32, 3: str},
            keep_default_na=False,
            na_values={2: ["nan", "NaN", "NA"], 3: [""]},
            comment="%",
            chunksize=chunks.ENTRIES_PER_CHUNK,
        )
        with reader as pieces:
            for piece in pieces:
                if not piece[3].isna().all():
                    raise ValueError("a line has more than a gene, a cell and a value")
                if len(piece):
                    yield piece[0].to_numpy(), piece[1].to_numpy(), piece[2].to_numpy()


def _files(folder: Path) -> tuple[Path, Path, Path]:
    """The matrix, the genes and the barcodes, plain or gzipped, all with the same prefix or none.

    Raises
    ------
    InputError
        If one of them lacks, or there are several matrices.
    """
    found = {what: _by_prefix(folder, *names) for what, names in _NAMES.items()}
    matrices = found["matrix"]
    if len(matrices) > 1:
        several = ", ".join(sorted(path.name for path in matrices.values()))
        raise InputError(
            f"{folder} holds several 10x matrices ({several}); give a folder for each of them."
        )
    prefix = next(iter(matrices), "")
    for what, names in _NAMES.items():
        if prefix not in found[what]:
            called = " or ".join(f"{prefix}{name}" for name in names)
            raise InputError(
                f"{folder} lacks {called} (plain or .gz), so it is not a 10x folder, "
                "nor does its name end in .zarr; a 10x folder holds matrix.mtx, features.tsv or "
                "genes.tsv, and barcodes.tsv."
            )
    return matrices[prefix], found["genes"][prefix], found["barcodes"][prefix]


_NAMES = {
    "matrix": ("matrix.mtx",),
    "genes": ("features.tsv", "genes.tsv"),
    "barcodes": ("barcodes.tsv",),
}


def _by_prefix(folder: Path, *names: str) -> dict[str, Path]:
    """Files in ``folder`` by what stands before one of ``names``; the first of these goes first."""
    found: dict[str, Path] = {}
    for ending in (f"{name}{gz}" for name in names for gz in ("", ".gz")):
        for path in sorted(folder.glob(f"*{ending}")):
            if path.is_file():
                found.setdefault(path.name.removesuffix(ending), path)
    return found


def _rows(path: Path) -> list[list[str]]:
    """The cells of every line that is not blank; no name is as long as `MAX_LINE_BYTES`."""
    opened = gzip.open if path.name.endswith(".gz") else open
    with (
        damage_reported(path, "a list of names", *_ERRORS, csv.Error),
        opened(path, "rt", encoding="utf-8", newline="") as stream,
    ):
        rows = csv.reader(_lines(stream, path), delimiter="\t", quoting=csv.QUOTE_NONE)
        # Only what is used is kept: peak annotations are longer than names.
        return [row[:3] for row in rows if row]


def _lines(stream: IO[str], path: Path) -> Iterator[str]:
    while line := stream.readline(MAX_LINE_BYTES):
        if len(line) == MAX_LINE_BYTES:
            raise InputError(
                f"{path} has a line of more than {MAX_LINE_BYTES} letters, which is no name; it is "
                "damaged."
            )
        yield line
