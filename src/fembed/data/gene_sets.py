"""Sets of genes, such as pathways: read from a .gmt file, and found among the genes of a model."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.data.account import warn_of_spelling
from fembed.data.lookup import look_up
from fembed.data.names import Names
from fembed.data.readers.text import TextFile, decoded
from fembed.errors import DataWarning, InputError, shown
from fembed.facts import counted

_HOW = "a line of a .gmt file has the set's name, a description and its genes, with tabs between"

Sets = dict[str, list[str]]


def gene_sets(source: Any) -> tuple[Sets, str]:
    """The genes of each set by its name, and what to call the collection.

    Parameters
    ----------
    source : path, or mapping of str to sequence of str
        A .gmt file (also .gz, .bz2, .zip), or genes by the name of their set.

    Raises
    ------
    InputError
        It is neither, the file is damaged, or holds no set.

    Warns
    -----
    DataWarning
        Lines that hold no gene, which are left out; names that stand on two lines, whose genes are
        joined.
    """
    if isinstance(source, str | os.PathLike):
        return _read(Path(source)), str(source)
    if not isinstance(source, Mapping):
        raise InputError(
            f"The gene sets are {shown(source)}; give a .gmt file, or a dict of lists of genes."
        )
    found: Sets = {}
    for name, genes in source.items():
        if isinstance(genes, str) or not np.iterable(genes):
            raise InputError(f"The gene set {shown(name)} is {shown(genes)}; give a list of genes.")
        found[str(name)] = list(dict.fromkeys(map(str, genes)))
    return found, "the collection"


def _read(path: Path) -> Sets:
    if not path.is_file():
        raise InputError(f"{path} is not a file that exists; give a .gmt file of gene sets.")
    found: dict[str, dict[str, None]] = {}
    first_line: dict[str, int] = {}
    empty: list[int] = []
    twice: list[tuple[str, int]] = []
    for number, line in TextFile(path).lines():
        text = decoded(line, path, number)
        if not text.strip() or text.startswith("#"):
            continue
        name, *rest = (cell.strip() for cell in text.split("\t"))
        genes = [gene for gene in rest[1:] if gene]
        if not name or not genes:
            empty.append(number)
            continue
        if name in found:
            twice.append((name, number))
        first_line.setdefault(name, number)
        found.setdefault(name, {}).update(dict.fromkeys(genes))
    if not found:
        raise InputError(f"{path} holds no gene set; {_HOW}.")
    if empty:
        _warn(
            f"{path} has {counted(len(empty), 'line')} without a gene, the first of them line "
            f"{empty[0]}, left out; {_HOW}."
        )
    if twice:
        name, number = twice[0]
        _warn(
            f"{path} names {counted(len({one for one, _ in twice}), 'set')} more than once (such "
            f"as '{name}', lines {first_line[name]} and {number}); the genes of these are joined."
        )
    return {name: list(genes) for name, genes in found.items()}


def members(
    sets: Sets, origin: str, gene_names: Names, min_genes: int
) -> tuple[list[str], NDArray[np.bool_]]:
    """Which of some genes belong to which set.

    Returns
    -------
    names : list of str
        The sets that have ``min_genes`` of the genes, and lack as many; of sets with the same
        genes the first.
    members : bool, n_genes x n_sets

    Raises
    ------
    InputError
        No such set.

    Warns
    -----
    DataWarning
        Sets that are left out, and genes that were found in another spelling.
    """
    wanted = list(dict.fromkeys(gene for genes in sets.values() for gene in genes))
    found = look_up(wanted, gene_names)
    if not found.n_found:
        raise InputError(
            f"No gene in {origin} is one of the model's: they are such as {shown(wanted[0])}, and "
            f"the model's such as {shown(gene_names[0])}; give sets with names of the same kind."
        )
    warn_of_spelling(found, "gene", origin, stacklevel=3)
    place = dict(zip(wanted, found.position, strict=True))
    rows = {
        name: frozenset(int(place[gene]) for gene in genes if place[gene] >= 0)
        for name, genes in sets.items()
    }
    sized = {
        name: row
        for name, row in rows.items()
        if min_genes <= len(row) <= len(gene_names) - min_genes
    }
    if not sized:
        largest = max(map(len, rows.values()))
        raise InputError(
            f"No set of {origin} has between {min_genes} and {len(gene_names) - min_genes} of the "
            f"model's {len(gene_names)} genes (the largest has {largest}); give larger sets, or a "
            "model of more genes."
        )
    if len(sized) < len(rows):
        _warn(
            f"{len(rows) - len(sized)} of {counted(len(rows), 'set')} in {origin} have fewer than "
            f"{min_genes} of the model's genes, or lack fewer, and are left out."
        )
    first: dict[frozenset[int], str] = {}
    for name, row in sized.items():
        first.setdefault(row, name)
    if len(first) < len(sized):
        other = next(name for name, row in sized.items() if first[row] != name)
        _warn(
            f"{len(sized) - len(first)} of {counted(len(sized), 'set')} in {origin} have the same "
            f"genes of the model as an earlier one (such as '{other}' and '{first[sized[other]]}')"
            ", and are left out."
        )
    table = np.zeros((len(gene_names), len(first)), bool)
    for column, row in enumerate(first):
        table[list(row), column] = True
    return list(first.values()), table


def _warn(message: str) -> None:
    warnings.warn(message, DataWarning, stacklevel=4)
