"""What portals serve: GCT, GEO series matrices, Xena, cBioPortal, Firehose."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice

from fembed.data.expression import Expression
from fembed.data.names import sample_kind
from fembed.data.readers.cells import is_number
from fembed.data.readers.first_rows import FirstRows
from fembed.data.readers.layout import BLANKS, Layout, split
from fembed.data.readers.text import Head, TextFile, decoded
from fembed.errors import InputError

_GCT = re.compile(r"#1\.([23])\s*")
_KEPT = ("!Sample_title", "!Sample_source_name_ch1", "!Sample_characteristics_ch1")
_BEGIN, _END = "!series_matrix_table_begin", "!series_matrix_table_end"
_MAX_METADATA, _MAX_LINES_BEFORE = 5000, 1_000_000


def gct(head: Head, text: TextFile) -> Layout | None:
    """GCT 1.2 and 1.3 of the Broad Institute: the second line says the numbers of rows."""
    found = _GCT.fullmatch(head.first.strip('", \t'))
    if found is None:
        return None
    second = head.lines[1][1] if len(head.lines) > 2 else ""
    separator = "," if "," in second and "\t" not in second else "\t"  # of Excel
    sizes = [cell.strip(BLANKS + '#"') for cell in second.split(separator)]
    counts = [int(size) for size in sizes if size.isdigit()]
    n_wanted = 2 if found[1] == "2" else 4
    if len(counts) < n_wanted or max(counts) > 10**9:
        raise InputError(
            f"{head.path} begins as GCT 1.{found[1]}, but its second line lacks the {n_wanted} "
            "numbers of its rows and columns; make or fetch it again."
        )
    n_rows, n_columns = counts[:2]
    n_about_rows, n_about_columns = counts[2:4] if n_wanted == 4 else (1, 0)
    lines = list(islice(text.lines(), 3 + min(n_about_columns, _MAX_METADATA)))
    cells = [
        split(decoded(line, head.path, number), separator, head.path, number)
        for number, line in lines[2:]
    ]
    header = cells[0]
    # GTEx sets a column of numbers before the names.
    name = int([cell.lower() for cell in header[1:3]] == ["name", "description"])
    first = name + 1 + n_about_rows
    while len(header) > first + n_columns and not header[-1].strip(BLANKS):
        header = header[:-1]
    if len(header) != first + n_columns:
        raise InputError(
            f"{head.path} announces {n_columns} samples but its header names "
            f"{len(header) - first}; it may be truncated, fetch it again."
        )
    about = {row[0]: row[first : first + n_columns] for row in cells[1:]}
    return Layout(
        f"GCT 1.{found[1]}",
        separator,
        lines[-1][0] + 1,
        header,
        list(range(first, len(header))),
        genes_in_rows=True,
        oriented=True,
        announced=n_rows,
        name=name,
        finish=partial(_annotated, about) if about else None,
        notes=("Rows go by their names; what else describes them is left out.",),
    )


def series_matrix(head: Head, text: TextFile) -> Layout | None:
    """A series matrix of GEO, with the titles and characteristics of its samples."""
    if not head.first.lower().startswith(("!series_", "!sample_")):
        return None
    about: list[list[str]] = []
    lines = text.lines()
    for number, line in lines:
        if line.lower().startswith(_BEGIN.encode()):
            break
        if number > _MAX_LINES_BEFORE:
            raise InputError(
                f"{head.path} begins as a GEO series matrix but has no table in its first "
                f"{_MAX_LINES_BEFORE:,} lines; fetch it again."
            )
        if line.startswith(tuple(name.encode() for name in _KEPT)) and len(about) < _MAX_METADATA:
            about.append(split(decoded(line, head.path, number), "\t", head.path, number))
    table = list(islice(lines, 2))
    if len(table) < 2 or any(line.lower().startswith(_END.encode()) for _, line in table):
        raise InputError(
            f"{head.path} is a GEO series matrix without a table: the series keeps its values in "
            "supplementary files; fetch those."
        )
    number, line = table[0]
    header = split(decoded(line, head.path, number), "\t", head.path, number)
    columns = _called(about, len(header) - 1)
    return Layout(
        "GEO series matrix",
        "\t",
        number + 1,
        header,
        genes_in_rows=True,
        oriented=True,
        end=_END.encode(),
        finish=partial(_annotated, columns) if columns else None,
        notes=("Rows go by ID_REF, which are probes or genes of the platform.",),
    )


def _called(about: Sequence[Sequence[str]], n_samples: int) -> dict[str, list[str]]:
    """Columns of annotations: characteristics read "tissue: liver" in every cell."""
    columns: dict[str, list[str]] = {}
    for name, *cells in about:
        if len(cells) != n_samples:
            continue
        called = name.removeprefix("!Sample_")
        keys = {cell.partition(": ")[0] for cell in cells if cell}
        if "characteristics" in called:
            if len(keys) == 1 and all(": " in cell for cell in cells if cell):
                called = keys.pop()
                cells = [cell.partition(": ")[2] for cell in cells]
            elif called in columns:
                called = f"{called}_{len(columns)}"
        columns.setdefault(called, list(cells))
    return columns


def _annotated(about: dict[str, list[str]], expression: Expression) -> Expression:
    import pandas as pd

    index = pd.Index(list(expression.sample_names), dtype=object)
    if any(len(column) != len(index) for column in about.values()):
        return expression  # samples were left out
    return replace(expression, obs=pd.DataFrame(about, index=index))


def _cbioportal(table: FirstRows) -> Layout | None:
    """Genes by their Hugo symbol, or by their Entrez ID where they have none."""
    first, second = (*(name.lower() for name in table.header[:2]), "", "")[:2]
    if first != "hugo_symbol":
        return None
    n = 2 if second == "entrez_gene_id" else 1
    while n < len(table.header) and table.rows and not table.has_numbers(n):
        if not any(not is_number(row[n]) and row[n] for row in table.rows if len(row) > n):
            break  # missing values
        if any(is_number(row[n]) for row in table.rows if len(row) > n):
            break  # a cell among numbers that is not one is told where it is parsed
        n += 1
    return Layout(
        "cBioPortal",
        table.separator,
        table.number + 1,
        table.header,
        list(range(n, len(table.header))),
        genes_in_rows=True,
        oriented=True,
        other_name=1 if second == "entrez_gene_id" else None,
        notes=("Genes go by Hugo_Symbol.",),
    )


def _xena(table: FirstRows) -> Layout | None:
    """Genes x samples under a first cell that reads "sample"."""
    if table.header[0].lower() not in ("sample", "ensembl_id", "xena_sample"):
        return None
    if sample_kind(table.header[1:]) not in ("TCGA barcodes", "GTEx samples"):
        return None
    return Layout(
        "Xena",
        table.separator,
        table.number + 1,
        table.header,
        genes_in_rows=True,
        notes=("Xena serves most expression as log2(x + 1) or log2(x + 0.001).",),
    )


def _firehose(table: FirstRows) -> Layout | None:
    """A second line says what every column holds, such as ``raw_count``."""
    if table.header[0].lower() != "hybridization ref" or not table.rows:
        return None
    kinds = table.rows[0]
    wanted = list(range(1, len(table.header)))
    note = "Values are " + ", ".join(sorted(set(kinds[1:]))) + "."
    if "raw_count" in kinds:
        wanted = [j for j in wanted if j < len(kinds) and kinds[j] == "raw_count"]
        note = "raw_count is read, of the columns that every sample has."
    return Layout(
        "TCGA Firehose",
        table.separator,
        table.number + 2,
        table.header,
        wanted,
        genes_in_rows=True,
        oriented=True,
        units="counts" if "raw_count" in kinds else None,
        notes=(note,),
    )


RECOGNISERS: tuple[Callable[[FirstRows], Layout | None], ...] = (_cbioportal, _xena, _firehose)
