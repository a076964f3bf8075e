"""Transcripts summed to the genes they belong to."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from fembed.data.chunks import empty_matrix
from fembed.data.expression import Expression
from fembed.data.readers.layout import BLANKS
from fembed.data.readers.text import TextFile, decoded
from fembed.errors import DataWarning, InputError

_ATTRIBUTE = re.compile(r'(transcript_id|gene_id) "([^"]+)"')
# No digits: ENST00000456328 is a transcript, ensembl_transcript_id stands above some.
_HEADER = re.compile(r"(tx|transcript|target|feature|ensembl|refseq|name)[a-z_. ]*", re.IGNORECASE)


def summed(expression: Expression, tx2gene: str | os.PathLike[str]) -> Expression:
    """The matrix with its transcripts summed to genes, genes in the order of their transcripts.

    Parameters
    ----------
    expression : Expression
        Samples x transcripts, on a linear scale.
    tx2gene : path
        A table with transcripts in its first column and their genes in its second, with or
        without a header, or the GTF file of the annotation.

    Raises
    ------
    InputError
        If ``tx2gene`` is no such table, or has less than half of the transcripts.

    Warns
    -----
    DataWarning
        If some transcripts are in no gene and were left out.
    """
    path = Path(tx2gene)
    gene_of = _read(path)
    names = [str(name) for name in expression.gene_names]
    genes = [gene_of.get(name) for name in names]
    if _n_lacking(genes) > 0:  # versions: ENST00000456328.2 is ENST00000456328 of another release
        plain = {_bare(transcript): gene for transcript, gene in gene_of.items()}
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


def _read(path: Path) -> dict[str, str]:
    """Transcript to gene."""
    if not path.is_file():
        raise InputError(
            f"{path} is not a file; give a table with transcripts in its first column and their "
            "genes in its second."
        )
    pairs: dict[str, str] = {}
    first = True
    for number, line in TextFile(path).lines():
        text = decoded(line, path, number)
        if text.startswith("#"):
            continue
        found = dict(_ATTRIBUTE.findall(text)) if "transcript_id" in text else {}
        if len(found) == 2:
            pairs[found["transcript_id"]] = found["gene_id"]
            continue
        if text.count("\t") >= 8:
            continue  # a gene of a GTF, which has no transcript
        cells = [cell.strip(BLANKS + '"') for cell in re.split(r"[\t,;]", text)]
        if len(cells) < 2 or not cells[0] or not cells[1]:
            if len(cells) < 2:
                raise InputError(
                    f"Line {number} of {path} has no second column; give a table with transcripts "
                    "in its first column and their genes in its second, separated by tabs or "
                    "commas."
                )
            continue
        if not (first and _HEADER.fullmatch(cells[0])):
            pairs[cells[0]] = cells[1]
        first = False
    if not pairs:
        raise InputError(f"{path} names no transcripts and genes; give a table of both.")
    return pairs
