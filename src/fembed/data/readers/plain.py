"""Tables of no particular format: where the header is, what separates cells, what is no sample."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from fembed.data.names import gene_kind
from fembed.data.readers.cells import decimal, is_missing, is_number
from fembed.data.readers.layout import BLANKS, Layout, is_gene_word, split, words
from fembed.data.readers.table_names import refuse_lost_header
from fembed.data.readers.text import Head
from fembed.errors import InputError

#: What separates the cells of a row, in the order in which they are tried, and what it is called.
SEPARATORS = {"\t": "tabs", ";": "semicolons", ",": "commas", " ": "blanks", "|": "bars"}
_OF_EXCEL = re.compile(r'"?sep=."?', re.IGNORECASE)  # a line by which Excel knows the separator
#: Columns with annotations of genes, beside their names, as counters and pipelines write them.
_OF_GENES = re.compile(
    r"(gene ?)?(names?|symbols?|types?|biotypes?|descriptions?|titles?|ids?)|external gene name"
    r"|(hgnc|mgi|hugo) symbol|entrez ?(gene)? ?ids?|chr(omosome)?|start|end|strand|length"
    r"|effective ?length|transcript ids?\(s\)|tx|refseq|ensembl ?(gene)? ?ids?|locus|cytoband"
    r"|unigene",
    re.IGNORECASE,
)


def layout(head: Head) -> Layout:
    """The layout of a table with names in its first column and first row.

    Raises
    ------
    InputError
        If the table has no header, a single column, or numbers that could mean two things.
    """
    if not head.lines:
        raise InputError(f"{head.path} holds no text; give a table with a header and its rows.")
    lines = after_comments(head)
    separator = _separator(lines, head.path)
    number, first = lines[0]
    _refuse_title(lines, separator, head.path)
    header = split(first, separator, head.path, number)
    rows = [split(text, separator, head.path, line) for line, text in lines[1:]]
    refuse_lost_header(header, rows, head.path)
    start = lines[1][0] if rows else number + 1
    values = _without_annotations(header, rows)
    notes = [f"The separator is found from the content: {SEPARATORS[separator]}."]
    if values is not None:
        left = [header[j].strip(BLANKS) for j in range(1, len(header)) if j not in values]
        notes.append(f"Columns that describe genes are left out: {', '.join(left)}.")
    return Layout(
        "a text table",
        separator,
        start,
        header,
        values,
        corner=False,
        genes_in_rows=None if values is None else True,
        decimal=decimal(rows, separator, head.path),
        spaced=any(f'{separator} "' in text for _, text in lines),
        notes=() if _expected(head.path) == separator and values is None else tuple(notes),
    )


def after_comments(head: Head) -> list[tuple[int, str]]:
    """The lines from the header on; a header may itself begin with ``#``."""
    lines = head.lines
    n = 0
    while n < len(lines) and (
        lines[n][1].lstrip(' "').startswith("#") or _OF_EXCEL.fullmatch(lines[n][1])
    ):
        n += 1
    if n == len(lines):
        if n > 1 and all(len(text.split("\t")) > 1 for _, text in lines):
            return lines  # samples called #1, #2, ...
        raise InputError(f"{head.path} holds only comments (#) at its beginning; give a table.")
    if n and _counts(lines[n - 1][1]) == _counts(lines[n][1]) != Counter():
        rest = re.split(r"[\t,;]", lines[n][1])[1:]
        if all(is_number(cell.strip(BLANKS + '"')) for cell in rest):
            n -= 1
    return lines[n:]


def _counts(text: str) -> Counter[str]:
    return Counter(letter for letter in text if letter in "\t,;")


def _expected(path: Path) -> str:
    return "," if ".csv" in path.name.lower() else "\t"


def _separator(lines: list[tuple[int, str]], path: Path) -> str:
    """The one that cuts all lines into equally many cells; the one of the ending comes first."""
    expected = _expected(path)
    order = [expected, *(separator for separator in SEPARATORS if separator != expected)]
    fitting = [separator for separator in order if _fits(lines, separator, path)]
    if fitting:
        return fitting[0]
    order = [separator for separator in order if separator in "\t,;"]
    cuts_header = [one for one in order if len(split(lines[0][1], one, path, lines[0][0])) > 1]
    if cuts_header:
        return cuts_header[0]  # and the first row that differs is named
    if len(lines) > 1:
        cuts_rows = [one for one in order if one in lines[1][1]]
        if cuts_rows and len(split(lines[1][1], cuts_rows[0], path, lines[1][0])) == 2:
            return cuts_rows[0]  # R's form of a single column
        if cuts_rows and len(split(lines[1][1], cuts_rows[0], path, lines[1][0])) > 2:
            raise InputError(
                f"Line {lines[0][0]} of {path} is no header of the rows below it, which are "
                f"separated by {SEPARATORS[cuts_rows[0]]}; remove the lines above the header."
            )
    return expected


def _refuse_title(lines: list[tuple[int, str]], separator: str, path: Path) -> None:
    """Raise for a title above the header that a spreadsheet filled up with empty cells."""
    if len(lines) < 3 or separator in lines[0][1].strip(separator + BLANKS):
        return
    filled = [
        sum(bool(cell.strip(BLANKS)) for cell in split(text, separator, path, number))
        for number, text in lines[:3]
    ]
    if filled[0] == 1 and filled[1] > 2 and filled[2] > 2:
        raise InputError(
            f"Line {lines[0][0]} of {path} is no header of the rows below it, for it has a single "
            f"cell, '{lines[0][1].strip(separator + BLANKS)[:40]}'; remove the lines above the "
            "header."
        )


def _fits(lines: list[tuple[int, str]], separator: str, path: Path) -> bool:
    counts = [len(split(text, separator, path, number)) for number, text in lines[:50]]
    if counts[0] < 2:
        return False
    if len(counts) == 1:
        return True
    if len(set(counts[1:])) > 1:
        return False
    if separator == " ":  # words of a sentence are no table
        return counts[1] - counts[0] in (0, 1)
    return counts[1] >= 2 and counts[1] >= counts[0] - _n_empty(lines[0][1], separator)


def _n_empty(text: str, separator: str) -> int:
    return len(text) - len(text.rstrip(separator))


def _without_annotations(header: list[str], rows: list[list[str]]) -> list[int] | None:
    """The columns of samples, where the first ones describe genes; None if none does.

    Pipelines write ``gene_id, gene_name, S1, S2, ...``. The columns go by their names, and only
    beside a first column of genes, for a sample may have any name.
    """
    if not rows or not is_gene_word(header[0]) or {*map(len, rows)} != {len(header)}:
        return None
    n = 1
    while n < len(header) and _OF_GENES.fullmatch(words(header[n])):
        n += 1
    if n == 1 or n == len(header):
        return None
    texts = any(
        not is_number(row[j]) and not is_missing(row[j]) for row in rows for j in range(1, n)
    )
    if not texts and gene_kind([row[0] for row in rows]) is None:
        return None
    return list(range(n, len(header)))
