"""Where a text table keeps its names and numbers, and how its header fits its rows."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fembed.data.expression import Expression
from fembed.data.statistics import is_statistic
from fembed.errors import InputError

#: Blanks, also those that text processors and web pages leave.
BLANKS = " \t\r\n\v\f\xa0\u2007\u202f\u200b\ufeff"

# What stands above names of rows. A gene may be called BID or CELA1, a sample cell_0 or Tumor, so
# these are whole words, and some of them only in pairs ("mouse number").
_ALONE = (
    "sample|gene|cell|patient|case|subject|individual|donor|participant|probe|probe ?set|feature"
    "|transcript|tx|target|symbol|barcode|library|specimen|aliquot|accession|name|index|id|identifier"
    "|entrez|ensembl|hugo|hgnc|rownames?|row name|sample ?id|sample ?name|gene ?id|gene ?name"
    "|cell ?id|patient ?id|obs ?names?|var ?names?"
)
_OWNER = (
    _ALONE + "|run|file|mouse|animal|tumou?r|bcr|tcga|gsm|geo|experiment|well|plate|replicate"
    "|isoform|tracking|protein|locus|orf|mirna|submitter|study|array|hyb|refseq|observation|bar|row"
)
_OWNED = "id|name|number|no|nr|symbol|barcode|accession|label|key|code|identifier|ref"
_ID_LIKE = re.compile(
    rf"#? ?({_ALONE})s?|unnamed 0|#|x|({_OWNER})s?( ({_OWNER})s?)* ({_OWNED})s?|id ref",
    re.IGNORECASE,
)
_GENE_WORDS = re.compile(
    r"#? ?(genes?|gene ?(ids?|names?|symbols?)|(ensembl|entrez|hgnc|hugo|refseq)( ?gene)?"
    r"( ?(ids?|symbol))?|symbols?|probes?|probe ?(sets?|ids?)|probe ?set ?ids?|id ref"
    r"|features?|feature ?(ids?|names?)|transcripts?|transcript ?ids?|tx|target ids?|tracking ids?"
    r"|mirna ?ids?)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Layout:
    """The layout of a table, as far as its first lines say.

    Attributes
    ----------
    format : str
        As its users call it.
    separator : str
    start : int
        The number of the first line of rows, counted from 1.
    header : list of str
        What the first lines call the cells of a row, the names of the rows first.
    values : list of int or None
        The cells with the numbers; None: all but the first.
    corner : bool
        The header's first cell stands above the names of the rows for certain; else R's form,
        which leaves it out, is possible.
    genes_in_rows : bool or None
        Where the genes are, if anything says so.
    oriented : bool
        The format itself says where the genes are; it was not guessed.
    units : str or None
    end : bytes
        The table ends before the line that begins with this.
    announced : int or None
        The number of rows that the file says it has.
    name : int
        The cell that names a row.
    other_name : int or None
        The cell that names a row whose name is missing.
    decimal : str
    spaced : bool
        Blanks follow the separators.
    transcripts : bool
        The rows are transcripts, which must be summed to genes.
    finish : callable, optional
        A function that makes the final expression of what was read.
    notes : tuple of str
    """

    format: str
    separator: str
    start: int
    header: list[str]
    values: list[int] | None = None
    corner: bool = True
    genes_in_rows: bool | None = None
    oriented: bool = False
    units: str | None = None
    end: bytes = b""
    announced: int | None = None
    name: int = 0
    other_name: int | None = None
    decimal: str = "."
    spaced: bool = False
    transcripts: bool = False
    finish: Callable[[Expression], Expression] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rows:
    """What the first pass over the rows found."""

    n_rows: int
    n_cells: int
    n_trailing: int  # empty cells at the end of every row
    first: tuple[int, str] = (0, "")  # the number of the first row's line, and its name
    some_names: tuple[str, ...] = ()  # of the first rows
    statistics: tuple[str, ...] = ()  # rows that are left out


@dataclass(frozen=True)
class Columns:
    """The cells of a row that hold numbers, and what they are called."""

    n_cells: int
    positions: list[int]
    names: list[str]
    bare: bool = False  # nothing stands above the names of the rows
    statistics: tuple[str, ...] = ()  # columns that are left out
    n_dropped: int = 0  # empty cells at the end of every row


def split(text: str, separator: str, path: Path, number: int) -> list[str]:
    """The cells of a line."""
    try:
        cells = next(csv.reader([text], delimiter=separator), [])
        if ' "' in text and any(cell[:1] == " " and cell.lstrip(" ")[:1] == '"' for cell in cells):
            cells = next(csv.reader([text], delimiter=separator, skipinitialspace=True))
    except csv.Error as error:
        raise InputError(
            f"Line {number} of {path} cannot be read as a row of a table ({error}); correct it."
        ) from error
    return cells


def words(name: str) -> str:
    """A header's cell with its words apart: ``sampleID`` and ``sample_id`` are both "sample ID"."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.strip(BLANKS))
    return re.sub(r"[\s_.:/-]+", " ", name).strip()


def is_id_like(name: str) -> bool:
    """Whether ``name`` is one that stands above names, such as ``""``, ``id`` or ``Sample ID``."""
    text = words(name)
    return not text or _ID_LIKE.fullmatch(text) is not None


def is_gene_word(name: str) -> bool:
    """Whether ``name`` stands above names of genes, such as ``gene_id`` or ``ID_REF``."""
    return _GENE_WORDS.fullmatch(words(name)) is not None


def fit(layout: Layout, rows: Rows, path: Path) -> Columns:
    """Which cell of a row belongs to which cell of the header.

    R leaves the header one cell short, and other programs end rows or headers in a separator. A
    value must never go to its neighbour, so what can be read both ways is refused.
    """
    header = layout.header
    n_header, n_cells = len(header), rows.n_cells
    if rows.n_rows == 0:
        return _named(layout, header, max(n_header, 1), bare=False, n_dropped=0)
    n_named = n_header - _n_empty_at_end(header)
    n_filled = n_cells - rows.n_trailing
    certain = layout.corner or is_id_like(header[0])
    if n_cells == n_header == n_named:
        return _named(layout, header, n_cells, bare=False, n_dropped=0)
    if n_cells == n_header and n_filled > n_named:
        raise InputError(
            f"The last column of {path} has no name in the header but holds values; name every "
            "column, and give the header a first cell above the names of the rows."
        )
    if not certain and n_cells > n_header and n_filled == n_named + 1:  # R's form
        n_dropped = n_cells - n_filled
        return _named(layout, ["", *header[:n_named]], n_cells, bare=True, n_dropped=n_dropped)
    if n_filled <= n_named <= n_cells:  # rows or header end in separators
        if certain or n_cells == n_named:
            n_dropped = max(n_cells, n_header) - n_named
            return _named(layout, header[:n_named], n_cells, bare=False, n_dropped=n_dropped)
        raise InputError(
            f"The rows of {path} end in an empty cell, and its header begins with '{header[0]}': "
            "is that the first column or does it stand above the names of the rows? Call the names "
            "of the rows 'sample' in the header."
        )
    number, name = rows.first
    raise InputError(
        f"Line {number} of {path} (row '{name}') has {n_cells} cells but the header asks for "
        f"{n_header}; make all rows equally long."
    )


def _n_empty_at_end(header: list[str]) -> int:
    n = 0
    while n < len(header) - 1 and not header[-1 - n].strip(BLANKS):
        n += 1
    return n


def _named(
    layout: Layout, header: list[str], n_cells: int, *, bare: bool, n_dropped: int
) -> Columns:
    wanted = range(1, len(header)) if layout.values is None else layout.values
    wanted = [j for j in wanted if j < len(header)]
    left_out = [j for j in wanted if is_statistic(header[j].strip(BLANKS))]
    positions = [j for j in wanted if j not in left_out] if left_out else wanted
    return Columns(
        n_cells,
        positions,
        [header[j] for j in positions],
        bare,
        tuple(header[j] for j in left_out),
        n_dropped,
    )
