"""Names as other programs spoil them: blanks around them, genes turned into dates."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence

from fembed.data.readers.layout import BLANKS
from fembed.errors import DataWarning

_MONTH = r"(jan|feb|mar|mär|mrz|apr|may|mai|jun|jul|aug|sep|sept|oct|okt|nov|dec|dez)[a-z]*"
# MARCH1, SEPT2 and DEC1 as spreadsheets show dates, and RIKEN clones such as 2310009E13 as numbers.
_DATE = re.compile(
    rf"\d{{1,2}}[-./ ]{{1,2}}{_MONTH}([-./ ]\d{{2,4}})?|{_MONTH}[-./ ]{{1,2}}\d{{1,4}}"
    r"|\d{4}-\d{2}-\d{2}( 00:00:00)?|\d{1,2}/\d{1,2}/\d{2,4}",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d[.,]?\d*E\+\d{1,3}", re.IGNORECASE)


def without_blanks(
    rows: list[str], columns: list[str], origin: str, stacklevel: int = 4
) -> tuple[list[str], list[str]]:
    """The names without blanks around them, and a `DataWarning` that counts what was changed."""
    both = [[name.strip(BLANKS) for name in names] for names in (rows, columns)]
    changed = [
        name
        for names, clean in zip((rows, columns), both, strict=True)
        for name, stripped in zip(names, clean, strict=True)
        if name != stripped
    ]
    if changed:
        warnings.warn(
            f"{len(changed)} name(s) in {origin} have blanks around them, such as "
            f"{changed[0]!r}; they are read without.",
            DataWarning,
            stacklevel=stacklevel,
        )
    return both[0], both[1]


def mangled(names: Sequence[str]) -> list[str]:
    """Those of the names that look like genes that a spreadsheet turned into dates or numbers.

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


def warn_of_mangled(genes: Sequence[str], origin: str, stacklevel: int = 4) -> None:
    """Issue a `DataWarning` if genes were turned into dates or numbers."""
    found = mangled(genes)
    if found:
        warnings.warn(
            f"{len(found)} gene name(s) of {origin} look like dates or numbers that a spreadsheet "
            f"made of gene names, such as '{found[0]}'; export the table again with the names as "
            "text, or they match no other data.",
            DataWarning,
            stacklevel=stacklevel,
        )
