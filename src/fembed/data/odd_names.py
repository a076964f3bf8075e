"""Names that are hardly those of genes or samples: annotations, totals, dates."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from fembed.data import features, statistics
from fembed.data.names import Names
from fembed.errors import DataWarning

if TYPE_CHECKING:
    import pandas as pd

    from fembed.data.expression import Expression

_MONTH = r"(jan|feb|mar|mär|mrz|apr|may|mai|jun|jul|aug|sep|sept|oct|okt|nov|dec|dez)[a-z]*"
# MARCH1, SEPT2 and DEC1 as spreadsheets show dates, and RIKEN clones such as 2310009E13 as numbers.
_DATE = re.compile(
    rf"\d{{1,2}}[-./ ]{{1,2}}{_MONTH}([-./ ]\d{{2,4}})?|{_MONTH}[-./ ]{{1,2}}\d{{1,4}}"
    r"|\d{4}-\d{2}-\d{2}( 00:00:00)?|\d{1,2}/\d{1,2}/\d{2,4}",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d[.,]?\d*E\+\d{1,3}", re.IGNORECASE)
#: Names of columns and rows that are no genes or samples, with blanks in place of `_PARTS`. A gene
#: with such a name causes a warning and nothing else.
_BESIDE = re.compile(
    r"(grand )?total( ?(counts?|umis?|reads))?|sum|mean|median|average"
    r"|(row|col|column) ?(sums?|means?)|n ?(counts?|genes?|features?|umis?)( rna)?"
    r"|n genes by counts|library ?sizes?|size factors?|pct counts mt|percent ?(mt|mito)"
    r"|(gene|transcript|exon|effective|eff)? ?length( (bp|kb))?|gc( content)?"
    r"|chr|chromosome( name)?|(start|end) position|strand|biotype|description"
    r"|gene ?(biotype|type|name|id|symbol)|(entrez|ensembl|ncbi)( ?gene)?( ?id)?"
    r"|hgnc( ?(id|symbol))?|hugo symbol|unnamed \d+|index|level \d|row ?names?"
    r"|(sample|patient|subject|donor|cell|case)s? ?(id|name|no)|age( at diagnosis)?|sex|gender"
    r"|batch|label|class|target|diagnosis|treatment|condition|(tumou?r )?(stage|grade)"
    r"|(vital )?status|(survival|follow ?up)( ?(time|days|months))?|cluster|louvain|leiden"
    r"|(os|dfs|pfs|rfs) (time|status|event|days|months)|unmapped|unassigned|\*"
    r"|log2? ?fc|log2 ?fold ?change|p ?val(ue)?|padj|adj p val|fdr|base ?mean",
    re.IGNORECASE,
)
_PARTS = re.compile(r"[\s_.:/-]+")


def accounted(expression: Expression, var: pd.DataFrame | None = None) -> Expression:
    """The matrix without features and read statistics that are no genes; odd names are warned of.

    Parameters
    ----------
    expression : Expression
    var : pandas.DataFrame, optional
        ``var`` of an AnnData object, one row per gene.

    Warns
    -----
    DataWarning
        About what was left out, and as `warn_of_names`.
    """
    if var is not None:
        expression = features.genes_only(expression, var)
    expression = statistics.left_out(expression)
    warn_of_names(expression, stacklevel=4)
    return expression


def warn_of_names(expression: Expression, stacklevel: int = 2) -> None:
    """Issue a `DataWarning` for names that are hardly those of genes or samples."""
    for doubt in odd_names(expression.sample_names, expression.gene_names, expression.origin):
        warnings.warn(doubt, DataWarning, stacklevel=stacklevel + 1)


def odd_names(samples: Names, genes: Names, origin: str) -> Iterator[str]:
    """Warnings about names that are hardly those of genes or samples."""
    found = mangled(list(genes))
    if found:
        yield (
            f"{len(found)} gene name(s) of {origin} look like dates or numbers that a spreadsheet "
            f"made of gene names, such as '{found[0]}'; export the table again with the names as "
            "text, or they match no other data."
        )
    for what, names in (("gene", genes), ("sample", samples)):
        found = beside(names)
        if found:
            listed = ", ".join(f"'{name}'" for name in found[:4]) + ", ..." * bool(found[4:])
            yield (
                f"{len(found)} {what}(s) of {origin} bear names of annotations, totals or comments "
                f"({listed}) and are taken for {what}s; remove them if they are none."
            )


def mangled(names: Sequence[str]) -> list[str]:
    """The names that look like genes that a spreadsheet turned into dates or numbers.

    Examples
    --------
    >>> mangled(["TP53", "1-Mar", "2-Sep", "2.31E+13"])
    ['1-Mar', '2-Sep', '2.31E+13']
    """
    found = [
        name
        for name in names
        if name[:1].isdigit() or name[:1].isalpha()
        if _DATE.fullmatch(name) or _NUMBER.fullmatch(name)
    ]
    return found if len(found) < len(names) else []  # dates alone are days, not genes


def beside(names: Sequence[str] | Names) -> list[str]:
    """The names that look like annotations, totals or comments; none if all of them do.

    Examples
    --------
    >>> beside(["TP53", "Total", "Unnamed: 0", "patient_id", "#S1"])
    ['Total', 'Unnamed: 0', 'patient_id', '#S1']
    >>> beside(["#1", "#2"])
    []
    """
    found = [
        name
        for name in names
        if name[:1] == "#" or (len(name) < 30 and _BESIDE.fullmatch(_PARTS.sub(" ", name).strip()))
    ]
    return found if len(found) < len(names) else []
