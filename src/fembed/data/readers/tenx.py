"""A folder with a 10x Genomics matrix: matrix.mtx, features.tsv or genes.tsv, barcodes.tsv."""

from __future__ import annotations

import csv
import gzip
import warnings
import zlib
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from fembed.data import chunks
from fembed.data.chunks import empty_matrix
from fembed.data.expression import Expression
from fembed.data.readers.damage import damage_reported
from fembed.errors import InputError

_ERRORS = (OSError, EOFError, ValueError, OverflowError, zlib.error)


def read(folder: Path, transpose: bool) -> Expression:
    """Cells x genes; the genes go by the first column of their table, the unique identifiers.

    Symbols, the second column, repeat within every 10x reference and cannot name a gene.
    """
    matrix_file = _find(folder, "matrix.mtx")
    gene_file = _find(folder, "features.tsv", "genes.tsv")
    barcode_file = _find(folder, "barcodes.tsv")
    if transpose:
        raise InputError(
            f"{folder} is a 10x folder, which is genes x cells by definition and is read as "
            "cells x genes; leave out --transpose."
        )
    genes, barcodes = _first_column(gene_file), _first_column(barcode_file)
    with damage_reported(matrix_file, "a Matrix Market file", *_ERRORS):
        values = _read_matrix(matrix_file, len(genes), len(barcodes))
    return Expression.adopt(values, barcodes, genes, origin=str(folder))


def _opened(path: Path) -> IO[bytes]:
    return gzip.open(path) if path.name.endswith(".gz") else path.open("rb")  # type: ignore[return-value]


def _read_matrix(path: Path, n_genes: int, n_cells: int) -> NDArray[np.float32]:
    """Cells x genes, filled entry by entry from the genes x cells file.

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
        size = next((line.split() for line in stream if line.strip() and line[:1] != b"%"), [])
        if len(size) != 3 or not all(count.isdigit() for count in size):
            raise InputError(f"{path} has no line with its numbers of genes, cells and entries.")
        shape, n_entries = (int(size[0]), int(size[1])), int(size[2])
        if shape != (n_genes, n_cells):
            raise InputError(
                f"{path} is {shape[0]} genes x {shape[1]} cells, but there are {n_genes} gene "
                f"names and {n_cells} barcodes; take the three files from one run."
            )
        values = empty_matrix(n_cells, n_genes, origin=str(path))
        values[:] = 0
        n_read = 0
        with closing(_entries(stream)) as entries:
            for gene, cell, value in entries:
                if min(gene.min(), cell.min()) < 1 or gene.max() > n_genes or cell.max() > n_cells:
                    raise InputError(
                        f"{path} has an entry outside its {n_genes} genes x {n_cells} cells; "
                        "make or fetch it again."
                    )
                np.add.at(values, (cell - 1, gene - 1), value)
                n_read += len(value)
    if n_read != n_entries:
        raise InputError(
            f"{path} announces {n_entries} entries but has {n_read}; make or fetch it again."
        )
    return values


def _entries(
    stream: IO[bytes],
) -> Generator[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]:
    """Gene, cell (from 1) and value of many entries at a time."""
    import pandas as pd

    with warnings.catch_warnings():
        # A first line that is too long fills the fourth column, which is refused below.
        warnings.simplefilter("ignore", pd.errors.ParserWarning)
        reader = pd.read_csv(
            stream,
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


def _find(folder: Path, *names: str) -> Path:
    candidates = [folder / f"{name}{gz}" for name in names for gz in ("", ".gz")]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise InputError(
        f"{folder} lacks {' or '.join(names)} (plain or .gz), so it is not a 10x folder, "
        "nor does its name end in .zarr; a 10x folder holds matrix.mtx, features.tsv or genes.tsv, "
        "and barcodes.tsv."
    )


def _first_column(path: Path) -> list[str]:
    opened = gzip.open if path.name.endswith(".gz") else open
    with (
        damage_reported(path, "a list of names", *_ERRORS),
        opened(path, "rt", encoding="utf-8", newline="") as stream,
    ):
        rows = csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [row[0] for row in rows if row]
