"""The .h5 files of Cell Ranger, Space Ranger and Xenium.

Not by scanpy, which reads them too: it is an extra of ours, trusts the stored indices, and the
format is a compressed matrix with two lists.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.data.annotations import Source
from fembed.data.expression import Expression
from fembed.data.features import kept_genes
from fembed.data.memory import refuse_beyond_memory
from fembed.data.readers.stored_names import names
from fembed.data.sparse import Compressed, stored_shape
from fembed.errors import InputError

_PARTS = {"barcodes", "data", "indices", "indptr", "shape"}


def genome_groups(file: Any) -> list[str]:
    """The groups of a file of version 2: each a matrix, named by its genome."""
    return [name for name in file if _has(file, name, _PARTS | {"genes"})]


def is_version_3(file: Any) -> bool:
    """Whether there is a group ``matrix`` with ``features``."""
    return _has(file, "matrix", _PARTS | {"features"})


def _has(file: Any, name: str, members: set[str]) -> bool:
    import h5py

    group = file.get(name)
    return isinstance(group, h5py.Group) and members <= set(group)


def read(file: Any, path: Path, transpose: bool) -> Expression:
    """Cells x genes; the genes go by their identifiers, since symbols repeat."""
    if transpose:
        raise InputError(
            f"{path} is a 10x matrix, which is genes x cells by definition and is read as "
            "cells x genes; leave out --transpose."
        )
    if is_version_3(file):
        return _read_version_3(file["matrix"], path)
    genomes = genome_groups(file)
    _refuse_several(genomes, path)
    group = file[genomes[0]]
    genes = group["genes"]
    return _expression(group, genes, None, path, Source("CellRanger .h5 (version 2)", "counts"))


def _read_version_3(group: Any, path: Path) -> Expression:
    features = group["features"]
    n_features, _ = _shape(group, path)
    kept: NDArray[np.intp] | None = None
    notes: tuple[str, ...] = ()
    if "feature_type" in features:
        types = names(features["feature_type"], n_features, "feature", path)
        kept, notes = kept_genes(list(types), str(path))
    if "genome" in features:
        genomes = names(features["genome"], n_features, "feature", path)
        of_genes = genomes if kept is None else genomes[kept >= 0]
        _refuse_several(sorted(set(of_genes) - {""}), path)
    source = Source("CellRanger .h5 (version 3)", "counts", notes=notes)
    return _expression(group, features["id"], kept, path, source)


def _refuse_several(genomes: list[str], path: Path) -> None:
    if len(genomes) > 1:
        raise InputError(
            f"{path} holds several genomes ({', '.join(genomes)}); take one of them, for instance "
            f"by scanpy.read_10x_h5(path, genome='{genomes[0]}').write_h5ad('one.h5ad')."
        )


def _expression(
    group: Any, ids: Any, kept: NDArray[np.intp] | None, path: Path, source: Source
) -> Expression:
    n_features, n_cells = _shape(group, path)
    refuse_beyond_memory(n_cells, n_features if kept is None else int((kept >= 0).sum()), str(path))
    genes = names(ids, n_features, "gene", path)
    barcodes = names(group["barcodes"], n_cells, "cell", path)
    # Compressed columns of features x cells are compressed rows of cells x features.
    matrix = Compressed(
        "csr", (n_cells, n_features), group["data"], group["indices"], group["indptr"], kept
    )
    genes = genes if kept is None else genes[kept >= 0]
    expression = Expression.from_array(matrix, barcodes, genes, origin=str(path))
    return replace(expression, source=replace(source, oriented=True))


def _shape(group: Any, path: Path) -> tuple[int, int]:
    if group["shape"].shape != (2,):
        raise InputError(f"The shape of the matrix in {path} is not two numbers; it is damaged.")
    return stored_shape(group["shape"][:], str(path))
