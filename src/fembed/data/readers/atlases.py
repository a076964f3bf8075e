"""HDF5 files of large collections: ARCHS4, CMap's GCTX, and loom."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.data.annotations import Source
from fembed.data.expression import Expression
from fembed.data.memory import refuse_beyond_memory
from fembed.data.readers.stored_names import first_unique, is_list, names, sample_table
from fembed.errors import InputError

_GENES = ("symbol", "gene_symbol", "genes", "ensembl_gene", "ensembl_gene_id", "ensembl_id")
_TRANSCRIPTS = ("ensembl_id", "transcripts", "transcript", "ensembl_transcript_id", "id")
_LOOM_GENES = ("Gene", "var_names", "Accession", "GeneName", "gene_names", "gene_ids", "Genes")
_LOOM_CELLS = ("CellID", "obs_names", "cell_id", "CellId", "cell_names", "Barcode", "barcode")


def read_archs4(file: Any, path: Path, transpose: bool) -> Expression:
    """Samples x genes (or transcripts) of an ARCHS4 file, which is the other way round.

    Version 1 has ``meta/genes`` and ``meta/Sample_geo_accession``; version 2 has
    ``meta/genes/symbol`` and ``meta/samples/geo_accession``.
    """
    _refuse_transpose("an ARCHS4 file", path, transpose)
    matrix, meta = file["data/expression"], file["meta"]
    n_genes, n_samples = _size(matrix, path)
    refuse_beyond_memory(n_samples, n_genes, str(path))
    genes = _archs4_genes(meta, n_genes, path)
    table = meta.get("samples", meta)
    prefix = "" if "samples" in meta else "Sample_"
    samples = first_unique(table, (f"{prefix}geo_accession",), n_samples, "sample", path)
    if samples is None:
        raise InputError(f"{path} looks like ARCHS4 but names no samples (geo_accession).")
    obs = sample_table(table, n_samples, samples[1], path)
    return _turned(
        matrix, samples[1], genes, obs, path, Source("ARCHS4 .h5", "counts", oriented=True)
    )


def _archs4_genes(meta: Any, n_genes: int, path: Path) -> NDArray[np.object_]:
    for what, keys in (("genes", _GENES), ("transcripts", _TRANSCRIPTS)):
        if what not in meta:
            continue
        if is_list(meta[what]):  # version 1
            return names(meta[what], n_genes, "gene", path)
        found = first_unique(meta[what], keys, n_genes, "gene", path)
        if found is not None:
            return found[1]
    raise InputError(
        f"{path} looks like ARCHS4 but names no genes (meta/genes or meta/genes/symbol)."
    )


def read_gctx(file: Any, path: Path, transpose: bool) -> Expression:
    """Samples x genes of a GCTX file; CMap calls samples its columns, and stores them as rows."""
    _refuse_transpose("a GCTX file", path, transpose)
    matrix, meta = file["0/DATA/0/matrix"], file["0/META"]
    n_samples, n_genes = _size(matrix, path)
    refuse_beyond_memory(n_samples, n_genes, str(path))
    genes = _stripped(names(meta["ROW/id"], n_genes, "gene", path))
    samples = _stripped(names(meta["COL/id"], n_samples, "sample", path))
    obs = sample_table(meta["COL"], n_samples, samples, path)
    expression = Expression.from_array(matrix, samples, genes, origin=str(path), obs=obs)
    return replace(expression, source=Source("GCTX", oriented=True))


def _stripped(padded: NDArray[np.object_]) -> NDArray[np.object_]:
    return np.array([name.strip() for name in padded], dtype=object)


def read_loom(file: Any, path: Path, transpose: bool) -> Expression:
    """Cells x genes of a loom file, which is genes x cells.

    The genes go by the first of ``Gene``, ``var_names`` and ``Accession`` in which no name
    repeats, the cells by ``CellID`` or ``obs_names``. Not by anndata, which reads loom with the
    package loompy alone, and both copies of the matrix at once.
    """
    _refuse_transpose("a .loom file", path, transpose)
    matrix = file["matrix"]
    n_genes, n_cells = _size(matrix, path)
    refuse_beyond_memory(n_cells, n_genes, str(path))
    genes = first_unique(file["row_attrs"], _LOOM_GENES, n_genes, "gene", path)
    cells = first_unique(file["col_attrs"], _LOOM_CELLS, n_cells, "cell", path)
    if genes is None:
        there = ", ".join(map(str, file["row_attrs"])) or "nothing"
        raise InputError(
            f"{path} names no genes: its row_attrs hold {there}, none of {', '.join(_LOOM_GENES)}."
        )
    notes = [f"Genes are named by row_attrs/{genes[0]}."]
    notes.append(
        "The cells have no names." if cells is None else f"Cells are named by col_attrs/{cells[0]}."
    )
    samples = np.array([f"sample_{i}" for i in range(n_cells)], object) if not cells else cells[1]
    obs = sample_table(file["col_attrs"], n_cells, samples, path)
    source = Source("loom", oriented=True, notes=tuple(notes))
    return _turned(matrix, samples, genes[1], obs, path, source)


def _turned(
    matrix: Any,
    samples: NDArray[np.object_],
    genes: NDArray[np.object_],
    obs: Any,
    path: Path,
    source: Source,
) -> Expression:
    expression = Expression.from_array(
        matrix, samples, genes, origin=str(path), transpose=True, obs=obs
    )
    return replace(expression, source=source)


def _size(matrix: Any, path: Path) -> tuple[int, int]:
    shape: Any = getattr(matrix, "shape", ())
    if len(shape) != 2:
        raise InputError(f"The matrix in {path} has {len(shape)} dimension(s); it should have two.")
    return int(shape[0]), int(shape[1])


def _refuse_transpose(what: str, path: Path, transpose: bool) -> None:
    if transpose:
        raise InputError(
            f"{path} is {what}, which is genes x samples by definition and is read as samples x "
            "genes; leave out --transpose."
        )
