"""Names of samples and genes: as text, and of what kind."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.errors import InputError, readable

Names = NDArray[np.object_]

# ------------------------------------------------------------------------- names as they are kept

#: What NaN, pandas.NA and NaT read as text. (A text that reads so is a name.)
_NO_NAME = frozenset(("nan", "<NA>", "NaT"))


def as_text(name: Any) -> str:
    """A name as text, empty where it is missing (None, NaN, NA).

    pandas makes floats of whole numbers in an index with gaps; they become whole again.
    """
    if isinstance(name, str):
        return readable(name)  # otherwise a model could not be read again
    if isinstance(name, bytes):
        try:
            return name.decode()
        except UnicodeDecodeError as error:
            raise InputError(f"The name {name!r} is not UTF-8 text; give names as text.") from error
    if isinstance(name, tuple):  # of a pandas MultiIndex
        return "_".join(map(as_text, name))
    if name is None or str(name) in _NO_NAME:
        return ""
    if isinstance(name, float | np.floating) and float(name).is_integer():
        return str(int(name))
    return str(name)


def listed(names: Iterable[Any] | None, n: int, what: str, origin: str) -> Names:
    """Names as text, ``n`` of them; ``sample_0``, ``sample_1``, ... where there are none."""
    if names is None:
        return np.array([f"{what}_{i}" for i in range(n)], dtype=object)
    texts = [as_text(name) for name in names]
    if len(texts) != n:
        raise InputError(
            f"{origin} has {len(texts)} {what} names for {n} {what}s; "
            "give one name each, or say that the matrix is genes x samples (--transpose)."
        )
    return np.array(texts, dtype=object)


def refuse_blank(names: Names, what: str, origin: str) -> None:
    """Raise InputError for a name without a letter."""
    blank = [position for position, name in enumerate(names) if not name.strip()]
    if blank:
        raise InputError(
            f"The {what} number {blank[0] + 1} of {origin} has no name ({len(blank)} such "
            f"{what}(s)); name it, or remove it."
        )


def refuse_duplicates(names: Iterable[str], what: str, origin: str) -> None:
    """Raise InputError for a name that stands twice."""
    repeated = [(name, count) for name, count in Counter(names).items() if count > 1]
    if repeated:
        name, count = repeated[0]
        how = ""
        if what == "gene":  # portals write one row per probe, or two genes with one symbol
            how = (
                ", or take their mean (with pandas, of a table with a row per gene: "
                "table.groupby(level=0).mean(), or .sum() of counts)"
            )
        raise InputError(
            f"{origin} holds the {what} name '{name}' {count} times ({len(repeated)} {what} "
            f"name(s) are not unique); merge, remove or rename the repeated ones{how}."
        )


# ---------------------------------------------------------------------------- kinds of names

#: Kinds of gene names, most specific first: what a reader calls them, and how one is recognised.
_GENE_KINDS: dict[str, re.Pattern[str]] = {
    "Ensembl gene IDs with version": re.compile(r"ENS[A-Z]{0,6}G\d{11}\.\d+(_PAR_Y)?"),
    "Ensembl gene IDs": re.compile(r"ENS[A-Z]{0,6}G\d{11}(_PAR_Y)?"),
    "Ensembl transcript IDs": re.compile(r"ENS[A-Z]{0,6}T\d{11}(\.\d+)?"),
    "RefSeq transcript IDs": re.compile(r"[NX][MR]_\d+(\.\d+)?"),
    "FlyBase gene IDs": re.compile(r"FBgn\d{7}"),
    "WormBase gene IDs": re.compile(r"WBGene\d{8}"),
    "yeast gene names": re.compile(r"Y[A-P][LR]\d{3}[WC](-[A-Z])?|Q0\d{3}"),
    "Arabidopsis gene IDs": re.compile(r"AT[1-5CM]G\d{5}"),
    "symbols with Entrez IDs": re.compile(r"(\?|[A-Za-z][\w.@-]*)\|\d+"),
    "array probe sets": re.compile(r"(AFFX-)?[\w/-]+_at|ILMN_\d+|A_\d{2}_P\d+"),
}
# A gene symbol looks like any other word, but every list of symbols has members of the large
# families (HGNC, https://www.genenames.org/data/genegroup/) and genes that everybody measures.
_SYMBOL = re.compile(
    r"RP[LS]P?\d+[AXYL]?\d*|M[TtRr][-.].+|M?RP[LS]\d+|ZNF\d+|Zfp\d+|SLC\d+A\d+|TMEM\d+[A-Z]?"
    r"|FAM\d+[A-Z]\d?|COL\d+A\d|KRT\d+|CD\d{1,3}[A-Z]?|IL\d+[AR]?[A-Z]?\d?|HLA[-.].+|H2[-.].+"
    r"|LINC\d{5}|LOC\d+|MIR\d+.*|SNOR[AD]\d+.*|OR\d+[A-Z]\d+|CXC[LR]\d+|CCL\d+|HOX[ABCD]\d+"
    r"|NDUF[ABS]\d+|PSM[ABCD]\d+|EIF\d[A-Z]?\d?|KIF\d+[A-C]?|ABC[A-G]\d+|GPR\d+|RAB\d+[A-D]?"
    r"|ACT[AB]|ACTG1|GAPDH|TP53|EGFR|MYC|B2M|PTEN|KRAS|BRCA[12]|ERBB2|ESR1|VIM|TUBB|TUBA1A"
    r"|ALB|AFP|HPRT1|PGK1|TBP|PPIA|GUSB|STAT\d[AB]?|JUN|FOS|MKI67|PTPRC|EPCAM|CDH1|FN1|SOX2"
    r"|GATA[1-6]|NANOG|POU5F1|NOTCH[1-4]|BRAF|RB1|AKT[1-3]|MTOR|TNF|TGFB[1-3]|IFNG|FOXP3|MS4A1"
    r"|A1BG|A1CF|A2M|A2ML1|A4GALT|AAAS|AACS|DDR1|RFC2|HSPA[1568][AB]?|NEAT1|MALAT1|XIST",
    re.IGNORECASE,
)
_SAMPLE_KINDS: dict[str, re.Pattern[str]] = {
    "TCGA barcodes": re.compile(r"TCGA[-.]\w{2}[-.]\w{4}([-.].*)?"),
    "GEO samples": re.compile(r"GSM\d+.*"),
    "sequencing runs": re.compile(r"[SED]R[RSX]\d{5,}.*"),
    "BioSamples": re.compile(r"SAM(N|D|EA)\d+.*"),
    "GTEx samples": re.compile(r"GTEX-.+"),
    "cell barcodes": re.compile(r"(.*[_#:-])?[ACGT]{12,}([-_.].+|x)?"),
}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")

#: More than this share of the names must be of one kind for a list to be of that kind.
_MIN_SHARE = 0.5
#: At least this share, and this number, of a list of gene symbols is of the families above.
_SYMBOL_SHARE, _SYMBOL_COUNT = 0.05, 3
_LOOKED_AT = 2000  # names of a long list that decide, at even distances


def gene_kind(names: Sequence[str] | Names) -> str | None:
    """What kind of gene names these are, such as ``"Ensembl gene IDs"``; None if no kind fits.

    Examples
    --------
    >>> gene_kind(["ENSG00000141510.16", "ENSG00000146648.17"])
    'Ensembl gene IDs with version'
    >>> gene_kind(["TP53", "EGFR", "MYC", "RPL3"])
    'gene symbols'
    >>> gene_kind(["S1", "S2"]) is None
    True
    """
    looked_at = _some(names)
    kind = _most_common(looked_at, _GENE_KINDS)
    if kind is not None:
        return kind
    n_symbols = sum(_SYMBOL.fullmatch(name) is not None for name in looked_at)
    if n_symbols >= max(_SYMBOL_COUNT, _SYMBOL_SHARE * len(looked_at)):
        return "gene symbols"
    return None


def sample_kind(names: Sequence[str] | Names) -> str | None:
    """As `gene_kind`, for samples: ``"TCGA barcodes"``, ``"cell barcodes"``, ..."""
    return _most_common(_some(names), _SAMPLE_KINDS)


def are_numbers(names: Sequence[str] | Names) -> bool:
    """Whether every name is a number, which happens if values are mistaken for names."""
    return len(names) > 0 and all(_NUMBER.fullmatch(name) for name in names)


def reversed_axes(rows: NDArray[np.object_], columns: Names) -> bool:
    """Whether the names say that a matrix taken for samples x genes is genes x samples.

    They say so where the rows are genes and the columns are not; or, where neither look like genes,
    if the columns look like samples and the rows do not.
    """
    rows_are, columns_are = gene_kind(rows), gene_kind(columns)
    if rows_are is not None:
        return columns_are is None
    if columns_are is not None:
        return False
    return sample_kind(columns) is not None and sample_kind(rows) is None


def _some(names: Sequence[str] | Names) -> list[str]:
    step = max(1, len(names) // _LOOKED_AT)
    return [str(name).strip() for name in names[::step]]


def _most_common(names: list[str], kinds: dict[str, re.Pattern[str]]) -> str | None:
    found: Counter[str] = Counter()
    for name in names:
        kind = next((kind for kind, form in kinds.items() if form.fullmatch(name)), None)
        if kind is not None:
            found[kind] += 1
    if not names or found.total() <= _MIN_SHARE * len(names):
        return None
    return found.most_common(1)[0][0]
