"""Names in a text table: lost ones, blanks around them, absent ones, those of the file."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np

from fembed.data.expression import Expression
from fembed.data.readers.cells import is_missing, is_number
from fembed.data.readers.layout import BLANKS, Columns, Layout, is_id_like
from fembed.errors import DataWarning, InputError

#: What programs and people add to the name of a sample.
_SUFFIX = re.compile(
    r"\.(gz|bz2|xz|zip|txt|tsv|tab|csv|out|sf|results|genes|isoforms|quant|counts?|htseq"
    r"|fpkm(-uq)?|fpkm_tracking|star_counts|(rna_seq|mirnaseq)\.\w+|mirnas\.quantification)$"
    r"|[._-]?ReadsPerGene$|[._-](gene_abund|abundance|geneCounts|(gene_|raw_|htseq_|star_)?counts)$",
    re.IGNORECASE,
)
_OF_PROGRAMS = re.compile(
    r"quant|abundance|readspergene|gene_abund|genes|isoforms|qc|counts", re.IGNORECASE
)


def refuse_lost_header(header: list[str], rows: list[list[str]], path: Path) -> None:
    """Raise InputError if the first line holds measurements and no names.

    Whole numbers may be names (Entrez IDs, or the columns of a table without any), where they all
    differ and what stands before them is not itself a name or number.
    """
    bare = bool(rows) and len(rows[0]) == len(header) + 1
    names = [name.strip(BLANKS) for name in (header if bare else header[1:])]
    cells = [name for name in names if not is_missing(name)]
    if not cells or not all(is_number(name) for name in cells):
        return
    whole = all(name.isdigit() for name in cells) and len(set(cells)) == len(names)
    if whole and (bare or is_id_like(header[0])):
        return
    raise InputError(
        f"The first line of {path} holds numbers such as {cells[0]} where the names of the columns "
        "belong; write the table with a header."
    )


def refuse_lost_names(columns: Columns, layout: Layout, names: list[str], path: Path) -> None:
    """Raise InputError if the first column holds measurements and no names.

    It may be one if nothing or a word such as "id" stands above it, or if the names are numbered
    (1, 2, 3, ... or 001, 017).
    """
    corner = layout.header[0].strip(BLANKS)
    if columns.bare or is_id_like(corner):
        return
    cells = [name.strip(BLANKS) for name in names if not is_missing(name)]
    if not cells or not all(is_number(cell) for cell in cells):
        return
    if all(cell.isdigit() for cell in cells) and _are_numbered(cells):
        warnings.warn(
            f"The numbers in the first column of {path}, '{corner}', are taken for the names of "
            f"the rows ({cells[0]}, ...); if '{corner}' holds values, write the table with its row "
            "names first.",
            DataWarning,
            stacklevel=5,
        )
        return
    raise InputError(
        f"The first column of {path}, '{corner}', holds numbers such as {cells[0]} "
        "where the names of the rows belong; write the table with its row names first, or, if they "
        f"are names, call them 'id' in the header instead of '{corner}'."
    )


def _are_numbered(cells: list[str]) -> bool:
    if len({len(cell) for cell in cells}) == 1 and any(cell[0] == "0" for cell in cells):
        return len(cells[0]) > 1
    numbers = [int(cell) for cell in cells]
    return len(cells) > 2 and numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def without_blanks(
    rows: list[str], columns: list[str], origin: str, stacklevel: int = 4
) -> tuple[list[str], list[str]]:
    """The names without blanks around them, and a `DataWarning` that counts what was changed."""
    both = [[name.strip(BLANKS) for name in names] for names in (rows, columns)]
    changed = [
        name
        for names, clean in zip((rows, columns), both, strict=True)
        for name, stripped in zip(names, clean, strict=True)
        if name != stripped
    ]
    if changed:
        warnings.warn(
            f"{len(changed)} name(s) in {origin} have blanks around them, such as "
            f"{changed[0]!r}; they are read without.",
            DataWarning,
            stacklevel=stacklevel,
        )
    return both[0], both[1]


def without_unnamed(expression: Expression, columns_are_samples: bool) -> Expression:
    """Without columns that have neither a name nor values, as spreadsheets leave them."""
    names = expression.sample_names if columns_are_samples else expression.gene_names
    unnamed = [j for j, name in enumerate(names) if not name]
    if not unnamed:
        return expression
    part = expression.values[unnamed] if columns_are_samples else expression.values[:, unnamed]
    if not np.isnan(part).all():
        raise InputError(
            f"Column {unnamed[0] + 2} of {expression.origin} has no name in the header but holds "
            "values; name every column."
        )
    keep = np.delete(np.arange(len(names)), unnamed)
    warnings.warn(
        f"{len(unnamed)} column(s) of {expression.origin} have neither a name nor values and are "
        "left out.",
        DataWarning,
        stacklevel=4,
    )
    if columns_are_samples:
        return replace(
            expression,
            values=expression.values[keep],
            sample_names=expression.sample_names[keep],
        )
    values = np.ascontiguousarray(expression.values[:, keep])
    return replace(expression, values=values, gene_names=expression.gene_names[keep])


def sample_name(path: Path) -> str:
    """What the sample in a file is called: as the file, or as its folder if that says nothing.

    Examples
    --------
    >>> sample_name(Path("run/S1_ReadsPerGene.out.tab")), sample_name(Path("run/S2/quant.sf"))
    ('S1', 'S2')
    """
    name = path.name
    while shorter := _SUFFIX.sub("", name):
        if shorter == name:
            break
        name = shorter
    if _SUFFIX.sub("", name) and not _OF_PROGRAMS.fullmatch(name):
        return name
    return path.absolute().parent.name or name
