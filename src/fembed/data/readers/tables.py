"""Text tables to matrices: which format, which axis holds the genes, what is left out."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

from fembed.data.annotations import Source
from fembed.data.expression import Expression
from fembed.data.names import gene_kind
from fembed.data.readers import binary, counters, plain, portals, refused, table_names
from fembed.data.readers.first_rows import FirstRows
from fembed.data.readers.layout import BLANKS, Columns, Layout, Rows, fit, is_gene_word
from fembed.data.readers.rows import fill, scan
from fembed.data.readers.text import Head, TextFile
from fembed.data.statistics import warn_left_out
from fembed.errors import DataWarning, InputError


def recognise(head: Head, text: TextFile) -> Layout | None:
    """The layout of a format that counters or portals write; None for any other table."""
    if not head.lines:
        return None
    for by_first_line in (portals.gct, portals.series_matrix):
        layout = by_first_line(head, text)
        if layout is not None:
            return layout
    table = FirstRows.of(plain.after_comments(head), head.path)
    for by_columns in (*counters.RECOGNISERS, *portals.RECOGNISERS):
        layout = by_columns(table)
        if layout is not None:
            return layout
    return None


def read(
    path: Path, transpose: bool | None = None, *, transcripts_wanted: bool = False
) -> Expression:
    """A table of a known format, or one with names in its first column and first row.

    Parameters
    ----------
    path : Path
    transpose : bool, optional
        Whether the table is genes x samples; by default as the format says.
    transcripts_wanted : bool
        The caller sums transcripts to genes; else a table of transcripts is refused.
    """
    text = TextFile(path)
    binary.refuse_binary(text.start, path)
    head = text.head()
    refused.refuse_text(head)
    layout = recognise(head, text) or plain.layout(head)
    if not layout.oriented:
        refused.refuse_sheet(head)
    if layout.transcripts and not transcripts_wanted:
        raise InputError(
            f"{path} is {layout.format}, a table of transcripts; give a table of transcripts and "
            "their genes with --tx2gene FILE (tx2gene=FILE) and they are summed to genes."
        )
    return take(text, layout, transpose)


def take(text: TextFile, layout: Layout, transpose: bool | None) -> Expression:
    """The table of ``text``, of which ``layout`` is known."""
    path = text.path
    if layout.oriented and transpose is not None and transpose != layout.genes_in_rows:
        raise InputError(
            f"{path} is {layout.format}, which is genes x samples and is read as samples x genes; "
            "leave out --no-transpose."
        )
    rows = scan(text, layout)
    columns = fit(layout, rows, path)
    if not columns.positions:
        raise InputError(
            f"{path} has a single column, for its first lines hold no tabs, commas or semicolons "
            "between cells; give row names and at least one column of numbers."
        )
    layout = _settled(layout, rows, columns, transpose, path)
    values, row_names = fill(text, layout, rows, columns)
    if not layout.oriented:
        table_names.refuse_lost_names(columns, layout, row_names, path)
    row_names, column_names = table_names.without_blanks(row_names, columns.names, str(path))
    _tell_left_out(columns, rows, path)
    samples, genes = row_names, column_names
    if layout.genes_in_rows:
        samples, genes = genes, samples
    expression = Expression.adopt(values, samples, genes, origin=str(path))
    expression = replace(
        expression,
        source=Source(layout.format, layout.units, layout.oriented, layout.notes),
    )
    expression = table_names.without_unnamed(expression, bool(layout.genes_in_rows))
    return expression if layout.finish is None else layout.finish(expression)


def _settled(
    layout: Layout, rows: Rows, columns: Columns, transpose: bool | None, path: Path
) -> Layout:
    """The layout with its axes decided, as far as anything but the names decides them."""
    if transpose is not None:
        return replace(layout, genes_in_rows=transpose)
    if rows.statistics or columns.statistics:  # only genes have them among their names
        return replace(layout, genes_in_rows=bool(rows.statistics))
    corner = layout.header[0].strip(BLANKS)
    says_gene = not columns.bare and is_gene_word(corner)
    # "gene" may also be what columns are called: then they are genes, and the rows are none.
    if says_gene and gene_kind(columns.names) and not gene_kind(rows.some_names):
        says_gene = False
    genes_in_rows = layout.genes_in_rows or says_gene
    if genes_in_rows and not layout.oriented:
        says = f"columns such as '{columns.names[0]}'" if layout.genes_in_rows else f"'{corner}'"
        warnings.warn(
            f"{path} is taken for genes x samples, as its header says ({says}); --transpose "
            "says so without this warning, --no-transpose reads it as it stands.",
            DataWarning,
            stacklevel=4,
        )
    return replace(layout, genes_in_rows=genes_in_rows)


def _tell_left_out(columns: Columns, rows: Rows, path: Path) -> None:
    warn_left_out([*rows.statistics, *columns.statistics], str(path), stacklevel=4)
    if columns.n_dropped:
        warnings.warn(
            f"The rows or the header of {path} end in {columns.n_dropped} empty cell(s), which "
            "are left out.",
            DataWarning,
            stacklevel=4,
        )
