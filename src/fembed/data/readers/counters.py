"""Files of programs that count reads: mostly one per sample, with several columns."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from fembed.data.expression import Expression
from fembed.data.names import gene_kind
from fembed.data.readers.cells import is_number
from fembed.data.readers.first_rows import FirstRows
from fembed.data.readers.layout import Layout
from fembed.data.readers.table_names import sample_name
from fembed.data.statistics import is_statistic
from fembed.errors import DataWarning

_TRANSCRIPTS = ("Ensembl transcript IDs", "RefSeq transcript IDs")
#: A library is stranded if this share of its reads lies on one strand; unstranded ones are even.
_STRANDED = 0.8


@dataclass(frozen=True)
class _Kind:
    """A format with a file per sample, known by the columns in its header."""

    format: str
    first: str  # the header of the first column
    others: tuple[str, ...]  # more columns that it has
    value: str  # the column that is read
    units: str | None
    transcripts: bool = False
    note: str = ""


_KINDS = (
    _Kind(
        *("GDC star_counts", "gene_id", ("unstranded",), "unstranded", "counts"),
        note="The unstranded counts are read; GDC's TPM and FPKM stand in other columns.",
    ),
    _Kind(
        *("RSEM genes.results", "gene_id", ("expected_count", "tpm"), "expected_count"),
        "expected counts",
        note="expected_count is read; TPM and FPKM stand in other columns of the file.",
    ),
    _Kind(
        *("RSEM isoforms.results", "transcript_id", ("expected_count", "tpm"), "expected_count"),
        *("expected counts", True),
        note="expected_count is read; RSEM writes genes.results beside this file.",
    ),
    _Kind(
        *("salmon quant.sf", "name", ("numreads", "tpm"), "numreads", "estimated counts", True),
        note="NumReads is read; TPM stands in another column of the file.",
    ),
    _Kind(
        *("kallisto abundance.tsv", "target_id", ("est_counts", "tpm"), "est_counts"),
        *("estimated counts", True),
        note="est_counts is read; TPM stands in another column of the file.",
    ),
    _Kind(
        *("QoRTs geneCounts", "geneid", ("count", "count_cds"), "count", "counts"),
        note="COUNT is read, not its parts.",
    ),
    _Kind(
        *("StringTie gene_abund.tab", "gene id", ("gene name", "fpkm", "tpm"), "tpm", "TPM"),
        note="TPM is read; StringTie counts no reads.",
    ),
    _Kind(
        *("Cufflinks fpkm_tracking", "tracking_id", ("gene_short_name", "fpkm"), "fpkm", "FPKM"),
    ),
    _Kind(
        *("GDC miRNA quantification", "mirna_id", ("read_count",), "read_count", "counts"),
    ),
)


def _by_columns(table: FirstRows) -> Layout | None:
    header = [name.lower() for name in table.header]
    for kind in _KINDS:
        if header[0] == kind.first and set(header) >= {*kind.others, kind.value}:
            break
    else:
        return None
    wanted = [header.index(kind.value)]
    if kind.value == "unstranded":
        strands = ("stranded_first", "stranded_second")
        wanted += [header.index(name) for name in strands if name in header]
    genes = kind.transcripts and _are_genes(table)
    notes = [kind.note] if kind.note else []
    if genes:
        notes.append("The rows are genes by their names, and are not summed.")
    return _sample(
        table,
        kind.format,
        wanted,
        kind.units,
        transcripts=kind.transcripts and not genes,
        notes=tuple(notes),
    )


def _are_genes(table: FirstRows) -> bool:
    """Whether a table of a program that counts transcripts holds genes instead."""
    name = table.path.name.lower()
    return ".genes." in name or gene_kind(table.genes) not in (None, *_TRANSCRIPTS)


def _star(table: FirstRows) -> Layout | None:
    """STAR's ``ReadsPerGene.out.tab``: no header, unstranded counts and those of both strands."""
    named = "readspergene" in table.path.name.lower() and is_number((*table.header, "", "")[1])
    if len(table.header) != 4 or not (named or table.header[0].startswith("N_unmapped")):
        return None
    note = "The unstranded counts are read, the first of STAR's three columns."
    return _sample(
        table, "STAR ReadsPerGene.out.tab", [1, 2, 3], "counts", headless=True, notes=(note,)
    )


def _htseq(table: FirstRows) -> Layout | None:
    """htseq-count: no header, a count last, perhaps attributes of the gene before it."""
    lines = [table.header, *table.rows]
    genes = [line for line in lines if not is_statistic(line[0])]
    last = len(table.header) - 1
    if last < 1 or not genes or any(len(line) != last + 1 for line in lines):
        return None
    if not all(line[last].isdigit() for line in genes) or is_number(table.header[0]):
        return None
    attributes = range(1, last)
    if any(all(is_number(line[j]) for line in genes) for j in attributes):
        return None  # columns of several samples, which have lost their names
    if table.separator == "," and not any(is_statistic(line[0]) for line in lines):
        return None
    notes = ("Columns with attributes of the genes are left out.",) if attributes else ()
    return _sample(table, "htseq-count", [last], "counts", headless=True, notes=notes)


#: Columns that are named by what they hold, not by their sample.
_MEASURES = {
    **dict.fromkeys(("count", "counts", "read_count", "raw_count", "reads"), "counts"),
    **dict.fromkeys(("numreads", "n_reads", "raw_counts", "read_counts"), "counts"),
    **{"tpm": "TPM", "fpkm": "FPKM", "rpkm": "RPKM", "cpm": "CPM"},
}


def _one_count(table: FirstRows) -> Layout | None:
    """As htseq-count, under a header that names the column but not the sample."""
    header = [name.lower().replace(" ", "_") for name in table.header]
    if len(header) != 2 or header[1] not in _MEASURES or not table.has_numbers(1):
        return None
    units = _MEASURES[header[1]]
    return _sample(table, f"{units} of one sample", [1], units)


def _one_value(table: FirstRows) -> Layout | None:
    """As htseq-count, with other numbers than counts: FPKM of GDC's older files, for instance."""
    lines = [table.header, *table.rows]
    if any(len(line) != 2 or not is_number(line[1]) or line[1][0] == "-" for line in lines):
        return None  # scores of ranked genes are negative too
    if len(lines) < 2 or gene_kind([line[0] for line in lines]) in (None, *_TRANSCRIPTS):
        return None
    note = "The file has no header; its numbers are of one sample."
    return _sample(table, "values of one sample", [1], None, headless=True, notes=(note,))


def _feature_counts(table: FirstRows) -> Layout | None:
    """Many samples; the columns that tell where a gene lies are left out, also extra ones."""
    known = ["geneid", "chr", "start", "end", "strand", "length"]
    if [name.lower() for name in table.header[:6]] != known:
        return None
    values = range(6, len(table.header))
    while values and not table.has_numbers(values[0]):  # --extraAttributes
        values = values[1:]
    left_out = ", ".join(table.header[1 : values.start])
    return Layout(
        "featureCounts",
        table.separator,
        _next(table),
        table.header,
        list(values),
        genes_in_rows=True,
        oriented=True,
        units="counts",
        notes=(f"Columns that describe genes are left out: {left_out}.",),
    )


def _sample(
    table: FirstRows,
    format: str,
    wanted: list[int],
    units: str | None,
    *,
    headless: bool = False,
    transcripts: bool = False,
    notes: tuple[str, ...] = (),
) -> Layout:
    """The layout of a file that holds one sample, which goes by the name of the file."""
    header = list(table.header)
    for j, strand in zip(wanted, ("", " (first strand)", " (second strand)"), strict=False):
        header[j] = f"{sample_name(table.path)}{strand}"
    return Layout(
        format,
        table.separator,
        table.number if headless else _next(table),
        header,
        wanted,
        genes_in_rows=True,
        oriented=True,
        units=units,
        transcripts=transcripts,
        finish=_unstranded if wanted[2:] else None,
        notes=notes,
    )


def _next(table: FirstRows) -> int:
    """The number of the line after the header; lines without text do not matter."""
    return table.number + 1


def _unstranded(strands: Expression) -> Expression:
    """The first of the three rows; a warning if the other two say that the library is stranded."""
    first, second = (float(np.nansum(row, dtype=np.float64)) for row in strands.values[1:])
    share = max(first, second) / max(1.0, first + second)
    if share >= _STRANDED:
        name = "first" if first > second else "second"
        warnings.warn(
            f"{strands.origin} looks stranded ({share:.0%} of its reads are on the {name} strand); "
            "its unstranded counts, which are read, miss genes that overlap on the other strand.",
            DataWarning,
            stacklevel=5,
        )
    return replace(strands, values=strands.values[:1].copy(), sample_names=strands.sample_names[:1])


RECOGNISERS: tuple[Callable[[FirstRows], Layout | None], ...] = (
    _feature_counts,
    _by_columns,
    _star,
    _htseq,
    _one_count,
    _one_value,
)
