"""Genes of new data renamed by a table of the user's: a name in the data, a name in the model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.data.account import units_of
from fembed.data.chunks import empty_matrix, row_chunks
from fembed.data.expression import Expression
from fembed.data.names import Names
from fembed.data.readers.layout import BLANKS, split
from fembed.data.readers.text import TextFile, decoded
from fembed.errors import InputError, shown

_HOW = "give a table with names of the data in its first column and of the model in its second"


def renamed(expression: Expression, gene_map: Any, model_genes: Names) -> Expression:
    """The data with the genes of the map called as the model calls them.

    Genes that the map lacks keep their names. Where several genes become one, their values are
    added up, so these must be on a linear scale: the logarithm of a sum is not the sum of
    logarithms, and without the values before the logarithm it is not known.

    Parameters
    ----------
    expression : Expression
        It is not changed.
    gene_map : mapping of str to str, or path
        The model's name of each gene by its name in the data; or a table of two columns
        (.csv, .tsv, also .gz), with or without a header.
    model_genes : array of str
        Other names in the map are ignored.

    Raises
    ------
    InputError
        The map is no such table, gives a gene two names or renames none; data with several layers;
        or several genes would become one and the values are logarithms.
    """
    if expression.layers:
        raise InputError(
            "A gene map is for data of one measurement, not for several layers; rename the genes "
            "in the file of the layer."
        )
    pairs, origin = _pairs(gene_map)
    known = set(model_genes)
    wanted = {name: pairs[name] for name in expression.gene_names if pairs.get(name) in known}
    if not wanted:
        first = next(iter(pairs.items()))
        raise InputError(
            f"{origin} renames no gene of {expression.origin} (such as "
            f"'{expression.gene_names[0]}') to one of the model (such as '{model_genes[0]}'); it "
            f"begins with '{first[0]}' and '{first[1]}': {_HOW}."
        )
    names = np.array([wanted.get(name, name) for name in expression.gene_names], dtype=object)
    targets = set(wanted.values())
    place: dict[str, int] = {}
    to = np.empty(len(names), np.intp)
    for column, name in enumerate(names):
        # Other names may stand twice: whether that matters is for those who look for them.
        key = name if name in targets else f"\n{column}"
        to[column] = place.setdefault(key, len(place))
    if len(place) == len(names):
        return replace(expression, gene_names=names)
    return _added_up(expression, names, to, len(place), origin)


def _added_up(
    expression: Expression, names: Names, to: NDArray[np.intp], n_genes: int, origin: str
) -> Expression:
    """Columns with the same number in ``to`` added up; NaN where none of them is observed."""
    counts = np.bincount(to, minlength=n_genes)
    units = units_of(expression.values, expression.source.units)
    if units.kind not in ("counts", "linear"):
        one, other = np.flatnonzero(to == int(np.argmax(counts > 1)))[:2]
        raise InputError(
            f"{origin} makes one gene, '{names[one]}', of '{expression.gene_names[one]}' and "
            f"'{expression.gene_names[other]}' (and {int((counts > 1).sum()) - 1} more such), but "
            f"{expression.origin} looks like {units}, and only counts and other linear values can "
            "be added up; leave one gene for each name of the model, or give linear values."
        )
    order = np.argsort(to, kind="stable")
    starts = np.searchsorted(to[order], np.arange(n_genes))
    values = empty_matrix(expression.n_samples, n_genes, origin=expression.origin)
    for rows in row_chunks(*expression.values.shape):
        block = expression.values[rows][:, order]
        lacking = np.isnan(block)
        sums = np.add.reduceat(np.where(lacking, 0, block), starts, axis=1, dtype=np.float64)
        sums[np.logical_and.reduceat(lacking, starts, axis=1)] = np.nan
        values[rows] = sums
    first = order[starts]
    return replace(expression, values=values, gene_names=names[first])


def _pairs(gene_map: Any) -> tuple[dict[str, str], str]:
    """The map, and what to call it."""
    if isinstance(gene_map, Mapping):
        pairs, origin = {str(k): str(v) for k, v in gene_map.items()}, "The gene map"
    elif isinstance(gene_map, str | os.PathLike):
        pairs, origin = _read(Path(gene_map)), str(gene_map)
    else:
        raise InputError(
            f"gene_map is {shown(gene_map)}; give a dict of names, or the path of a table."
        )
    if not pairs:
        raise InputError(f"{origin} holds no names; {_HOW}.")
    return pairs, origin


def _read(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise InputError(f"{path} is not a file that exists; {_HOW}.")
    pairs: dict[str, str] = {}
    for number, line in TextFile(path).lines():
        text = decoded(line, path, number)
        if not text.strip() or text.startswith("#"):
            continue
        separator = "\t" if "\t" in text else ","
        cells = [cell.strip(BLANKS) for cell in split(text, separator, path, number)]
        if len(cells) != 2:
            raise InputError(f"Line {number} of {path} has {len(cells)} column(s); {_HOW}.")
        if not all(cells):
            continue  # a gene that the other side lacks, as tables of BioMart have them
        other = pairs.setdefault(cells[0], cells[1])
        if other != cells[1]:
            raise InputError(
                f"{path} gives '{cells[0]}' two names, '{other}' and '{cells[1]}' (line {number});"
                " leave one of them."
            )
    return pairs
