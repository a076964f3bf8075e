"""Files that are no expression matrix, each refused by its name and with what to give instead."""

from __future__ import annotations

import re
from collections.abc import Callable

from fembed.data.readers import plain
from fembed.data.readers.binary import MATRIX, refuse
from fembed.data.readers.cells import is_missing, is_number
from fembed.data.readers.layout import split
from fembed.data.readers.text import Head

#: How text files begin, in lower case.
_TEXT: tuple[tuple[str, str, str], ...] = (
    (
        "<!doctype html",
        "a web page (HTML), perhaps an error in place of a download",
        "fetch it again",
    ),
    ("<html", "a web page (HTML), perhaps an error in place of a download", "fetch it again"),
    ("<?xml", "XML", MATRIX),
    ("<error", "an error message of a server", "fetch it again"),
    ("{\\rtf", "a text document (RTF)", MATRIX),
    ("[cel]", "the intensities of a microarray (CEL)", "normalise it to genes first"),
    (
        "[header]",
        "a report of Illumina with sections",
        "export its table alone, with a line of names and a row per gene",
    ),
    ("<header>", "the counts of NanoString (RCC)", "merge such files to a table of genes first"),
    ("<table", "a web page (HTML), as some programs write for Excel", "save it as .csv"),
    ("@relation", "an ARFF file", "save it as .csv"),
    ("{", "JSON", MATRIX),
    ("[", "JSON", MATRIX),
    ("%%matrixmarket", "one file of a 10x matrix", "give the folder that holds it"),
    ("##gff-version", "GFF annotation of genes", MATRIX),
    ("##gtf", "GTF annotation of genes", MATRIX),
    ("#!genome-build", "GTF annotation of genes", MATRIX),
    ("##fileformat=vcf", "a VCF file of variants", MATRIX),
    ("track ", "a BED or bedGraph track", MATRIX),
    ("browser ", "a BED track", MATRIX),
    ("fixedstep ", "a wiggle track", MATRIX),
    ("variablestep ", "a wiggle track", MATRIX),
    ("^database", "a GEO SOFT file", "fetch the series matrix or the supplementary files"),
    ("^series", "a GEO SOFT file", "fetch the series matrix or the supplementary files"),
    ("^platform", "a GEO SOFT file", "fetch the series matrix or the supplementary files"),
    ("^sample", "a GEO SOFT file", "fetch the series matrix or the supplementary files"),
    (">", "FASTA sequences", "count reads per gene first"),
    ("@hd\t", "a SAM file of aligned reads", "count its reads per gene first"),
    ("@sq\t", "a SAM file of aligned reads", "count its reads per gene first"),
    ("version https://git-lfs", "a pointer of Git LFS", "fetch the file itself (git lfs pull)"),
    ("/annex/objects", "a pointer of git-annex", "fetch the file itself (git annex get)"),
)

#: Numbers in a spelling that is not read, which is told with the cell, not as text.
_NUMBER_LIKE = re.compile(
    r"\s*[<>~=≤≥]*\s*[+\-−]?\s*(\d[\d.,'’_\s]*(e[+-]?\d+|d[+-]?\d+)?\s*[%*]?|0x[0-9a-f]+)\s*"
    r"|true|false|-|\.|",
    re.IGNORECASE,
)
_LOOKED_AT = 200  # columns of a table that is perhaps a sheet of annotations
_RESULTS = {
    *("log2foldchange", "log2fc", "logfc", "basemean", "lfcse", "pvalue", "p.value", "pval"),
    *("padj", "adj.p.val", "fdr", "qvalue", "q_value", "p_value", "p_val", "p_val_adj"),
    *("avg_log2fc", "avg_logfc", "aveexpr", "logcpm", "pvals_adj", "logfoldchanges", "foldchange"),
}


def refuse_text(head: Head) -> None:
    """Raise an `InputError` that names what a text file is, if it is no matrix for certain."""
    first = head.first.lstrip("\ufeff \t")
    for beginning, what, advice in _TEXT:
        if first.lower().startswith(beginning):
            refuse(head.path, what, advice)
    if first.startswith("@") and len(head.lines) > 2 and head.lines[2][1].startswith("+"):
        refuse(head.path, "a FASTQ file of reads", "count reads per gene first")
    lines = [text.split("\t") for _, text in head.lines if not text.startswith("#")]
    if not lines:
        return
    for looks, what, advice in _TABLES:
        if looks(lines):
            refuse(head.path, what, advice)
    if "," in head.lines[0][1]:
        lines = [[cell.strip(' "') for cell in text.split(",")] for _, text in head.lines]
        if _is_result(lines):
            refuse(head.path, _RESULT, _COUNTS)


def _is_gtf(lines: list[list[str]]) -> bool:
    return all(
        len(row) == 9 and row[3].isdigit() and row[4].isdigit() and row[6] in ("+", "-", ".", "?")
        for row in lines
    )


def _is_bed(lines: list[list[str]]) -> bool:
    rows = [row for row in lines if len(row) >= 3]
    return (
        len(rows) == len(lines)
        and all(row[1].strip().isdigit() and row[2].strip().isdigit() for row in rows)
        and all(int(row[1]) <= int(row[2]) for row in rows)
        and all(re.fullmatch(r"(chr)?([0-9]{1,2}|[XYM]|MT|Un.*)(_.+)?", row[0]) for row in rows)
        and not _is_idxstats(lines)
    )


def _is_idxstats(lines: list[list[str]]) -> bool:
    return all(len(row) == 4 and all(cell.isdigit() for cell in row[1:]) for row in lines) and all(
        re.fullmatch(r"(chr.+|[0-9]{1,2}|[XYM]|MT|\*)", row[0]) for row in lines[:5]
    )


def _is_sam(lines: list[list[str]]) -> bool:
    return all(
        len(row) >= 11 and row[1].isdigit() and row[3].isdigit() and "M" in row[5] for row in lines
    )


def _is_summary(lines: list[list[str]]) -> bool:
    return lines[0][0] == "Status" and lines[1:2] != [] and lines[1][0] == "Assigned"


def _is_chromosomes(lines: list[list[str]]) -> bool:
    columns = [name for name in lines[0][1:] if name]
    chromosomes = sum(
        re.fullmatch(r"chr([0-9]+|[XYM]|Un)([_.].+)?", n) is not None for n in columns
    )
    return len(columns) > 2 and chromosomes > len(columns) / 2


def _is_result(lines: list[list[str]]) -> bool:
    header = {name.strip(' "').lower().replace(" ", "_") for name in lines[0]}
    return len(header & _RESULTS) >= 2


def _is_multiqc(lines: list[list[str]]) -> bool:
    header = lines[0]
    return header[0].strip('"') in ("Sample", "Sample Name") and any(
        "mqc-generalstats" in name
        or name in ("Total Sequences", "%GC", "total_reads")
        or name.startswith(("percent_", "avg_sequence_length", "uniquely_mapped"))
        for name in header[1:]
    )


def _is_star_log(lines: list[list[str]]) -> bool:
    return "Started job on |" in lines[0][0]


def _is_junctions(lines: list[list[str]]) -> bool:
    return all(
        len(row) == 9 and all(cell.isdigit() for cell in row[1:]) and row[3] in "012"
        for row in lines
    )


def _is_mutations(lines: list[list[str]]) -> bool:
    header = {name.lower() for name in lines[0]}
    return "hugo_symbol" in header and bool(
        header & {"variant_classification", "ncbi_build", "start_position"}
    )


def _is_segments(lines: list[list[str]]) -> bool:
    header = {name.strip(' "').lower() for name in lines[0]}
    return {"loc.start", "loc.end"} <= header or {"chromosome", "segment_mean"} <= header


def _is_gene_sets(lines: list[list[str]]) -> bool:
    return len(lines[0]) > 2 and all(
        len(row) > 2
        and (row[1].startswith("http") or row[1] in ("", "na", "NA", row[0]))
        and not any(is_number(cell) for cell in row[2:5])
        for row in lines
    )


_COUNTS = "give the counts or the normalised expression that it was made of"
_RESULT = "a table of differential expression (fold changes and p-values)"
_TABLES: tuple[tuple[Callable[[list[list[str]]], bool], str, str], ...] = (
    (_is_summary, "a featureCounts summary, with the reads it assigned", "give the file of counts"),
    (_is_idxstats, "the reads per chromosome of samtools idxstats", "count reads per gene"),
    (_is_junctions, "a STAR table of splice junctions", "give ReadsPerGene.out.tab"),
    (_is_gtf, "GTF or GFF annotation of genes", MATRIX),
    (_is_bed, "a BED file of regions", MATRIX),
    (_is_sam, "a SAM file of aligned reads", "count its reads per gene first"),
    (_is_star_log, "a log of STAR", "give ReadsPerGene.out.tab"),
    (
        _is_chromosomes,
        "a table of reads per chromosome, such as Rail-RNA's counts",
        "give counts per gene",
    ),
    (_is_multiqc, "a MultiQC table of quality measures", MATRIX),
    (_is_result, _RESULT, _COUNTS),
    (_is_mutations, "a list of mutations (MAF)", MATRIX),
    (_is_segments, "a list of copy number segments", MATRIX),
    (_is_gene_sets, "a list of gene sets (GMT)", MATRIX),
)


def refuse_sheet(head: Head) -> None:
    """A sheet of annotations has more columns of text than of numbers."""
    lines = plain.after_comments(head)
    separator = max("\t,;", key=lines[0][1].count)
    rows = [split(text, separator, head.path, number) for number, text in lines]
    header, rows = rows[0], rows[1:]
    if len(rows) < 2 or len(header) < 3 or any(len(row) != len(header) for row in rows):
        return
    texts = [
        j
        for j in range(1, min(len(header), _LOOKED_AT))
        if sum(not is_number(row[j]) and not is_missing(row[j]) for row in rows) > len(rows) / 2
        and not all(_NUMBER_LIKE.fullmatch(row[j]) for row in rows)
    ]
    names = [row[0] for row in rows]
    if texts and len(header) - 1 - len(texts) == 1 and len(set(names)) <= len(names) / 2:
        refuse(
            head.path,
            f"a long table with a row for every value ('{names[0]}' has several)",
            "make it a matrix first, with pivot of pandas or pivot_wider of R",
        )
    if len(texts) > (min(len(header), _LOOKED_AT) - 1) / 2:
        called = ", ".join(header[j] for j in texts[:3])
        refuse(
            head.path,
            f"a sheet of annotations (columns of text such as {called})",
            "give the matrix, and the sheet with --annotations where a command takes them",
        )
