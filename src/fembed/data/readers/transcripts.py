"""Transcripts summed to the genes they belong to."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from fembed.data.account import units_of
from fembed.data.chunks import empty_matrix
from fembed.data.expression import Expression
from fembed.data.readers.layout import BLANKS, split
from fembed.data.readers.text import TextFile, decoded
from fembed.errors import DataWarning, InputError

#: Attributes of GTF and GFF.
_TRANSCRIPT = re.compile(r'(?:transcript_id[ =]"?|ID=transcript:)([^";\s]+)')
_GENE = re.compile(r'(?:gene_id[ =]"?|Parent=gene:)([^";\s]+)')
_CALLED_GENE = re.compile(r"gene([ _.]?(stable )?(id|name)( version)?)?s?|geneid", re.IGNORECASE)
_MAX_COLUMNS = 8


def summed(expression: Expression, tx2gene: str | os.PathLike[str]) -> Expression:
    """The matrix with its transcripts summed to genes, genes in the order of their transcripts.

    Parameters
    ----------
    expression : Expression
        Samples x transcripts, on a linear scale.
    tx2gene : path
        A table of transcripts and their genes, with or without a header, or the GTF or GFF file
        of the annotation.

    Raises
    ------
    InputError
        If ``tx2gene`` is no such table, gives a transcript two genes or has less than half of the
        transcripts, or the values are logarithms.

    Warns
    -----
    DataWarning
        If some transcripts are in no gene and were left out.
    """
    path = Path(tx2gene)
    units = units_of(expression.values, expression.source.units)
    if units.kind in ("log", "centred"):
        raise InputError(
            f"{expression.origin} looks like {units}, and sums of logarithms mean nothing; give "
            "counts or TPM of transcripts."
        )
    names = [str(name) for name in expression.gene_names]
    gene_of = _read(path, {_bare(name) for name in names})
    genes = [gene_of.get(name) for name in names]
    if _n_lacking(genes) > 0:  # versions: ENST00000456328.2 is ENST00000456328 of another release
        plain: dict[str, str | None] = {}
        for transcript, gene in gene_of.items():
            stem = _bare(transcript)  # of two genes, it tells neither
            plain[stem] = gene if plain.get(stem, gene) == gene else None
        genes = [
            plain.get(_bare(name)) if gene is None else gene
            for name, gene in zip(names, genes, strict=True)
        ]
    n_lacking = _n_lacking(genes)
    if n_lacking > len(names) / 2:
        example = next(name for name, gene in zip(names, genes, strict=True) if gene is None)
        raise InputError(
            f"{path} has no gene for {n_lacking} of the {len(names)} transcripts of "
            f"{expression.origin}, such as '{example}'; give the table of the annotation that the "
            "reads were counted with."
        )
    if n_lacking:
        example = next(name for name, gene in zip(names, genes, strict=True) if gene is None)
        warnings.warn(
            f"{path} has no gene for {n_lacking} of the {len(names)} transcripts of "
            f"{expression.origin}, such as '{example}'; they are left out.",
            DataWarning,
            stacklevel=3,
        )
    return _sum(expression, genes, path)


def _n_lacking(genes: Iterable[str | None]) -> int:
    return sum(gene is None for gene in genes)


def _sum(expression: Expression, genes: list[str | None], path: Path) -> Expression:
    kept = np.array([j for j, gene in enumerate(genes) if gene is not None], np.intp)
    known = [gene for gene in genes if gene is not None]
    place = {gene: k for k, gene in enumerate(dict.fromkeys(known))}
    to = np.array([place[gene] for gene in known], np.intp)
    order = np.argsort(to, kind="stable")
    starts = np.searchsorted(to[order], np.arange(len(place)))
    columns = kept[order]
    values = empty_matrix(expression.n_samples, len(place), origin=expression.origin)
    for i, row in enumerate(expression.values):
        values[i] = np.add.reduceat(row[columns], starts, dtype=np.float64)
    note = f"{len(kept)} transcripts were summed to {len(place)} genes by {path}."
    source = replace(expression.source, notes=(*expression.source.notes, note))
    names = np.array(list(place), dtype=object)
    return replace(expression, values=values, gene_names=names, source=source)


def _bare(name: str) -> str:
    """A transcript without its version, and without what GENCODE puts after it."""
    name = name.split("|", 1)[0]
    stem, point, version = name.rpartition(".")
    return stem if point and version.isdigit() else name


def _read(path: Path, wanted: set[str]) -> dict[str, str]:
    """Transcript to gene; ``wanted`` are transcripts without versions."""
    if not path.is_file():
        raise InputError(
            f"{path} is not a file; give a table with transcripts in its first column and their "
            "genes in its second."
        )
    pairs: dict[str, str] = {}
    rows: list[list[str]] = []
    for number, line in TextFile(path).lines():
        text = decoded(line, path, number)
        if text.startswith("#"):
            continue
        if text.count("\t") == 8:  # GTF or GFF
            transcript, gene = (form.search(text) for form in (_TRANSCRIPT, _GENE))
            if transcript and gene:
                _add(pairs, transcript[1], gene[1], path)
            continue
        separator = next((one for one in "\t,;" if one in text), " ")
        cells = [cell.strip(BLANKS) for cell in split(text, separator, path, number)]
        if len(cells) < 2:
            raise InputError(
                f"Line {number} of {path} has no second column; give a table with transcripts "
                "in its first column and their genes in its second, separated by tabs or commas."
            )
        rows.append(cells[:_MAX_COLUMNS])
    if rows:
        transcripts, genes = _columns(rows, wanted)
        for cells in rows:
            if len(cells) > max(transcripts, genes) and cells[transcripts] and cells[genes]:
                _add(pairs, cells[transcripts], cells[genes], path)
    if not pairs:
        raise InputError(f"{path} names no transcripts and genes; give a table of both.")
    return pairs


def _add(pairs: dict[str, str], transcript: str, gene: str, path: Path) -> None:
    other = pairs.setdefault(transcript, gene)
    if other != gene:
        raise InputError(
            f"{path} gives the transcript '{transcript}' two genes, '{other}' and '{gene}'; leave "
            "one of them."
        )


def _columns(rows: list[list[str]], wanted: set[str]) -> tuple[int, int]:
    """Which columns hold transcripts, by their names, and genes, by the header.

    R writes the numbers of the rows first, and BioMart genes before transcripts.
    """
    n = min(len(rows[0]), _MAX_COLUMNS)
    n_known = [sum(len(row) > j and _bare(row[j]) in wanted for row in rows) for j in range(n)]
    transcripts = max(range(n), key=n_known.__getitem__)
    others = [j for j in range(n) if j != transcripts]
    called = [j for j in others if _CALLED_GENE.fullmatch(rows[0][j])]
    if called:
        return transcripts, called[0]
    return transcripts, transcripts + 1 if transcripts + 1 < n else others[0]
