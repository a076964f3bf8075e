"""What a cell of a text table holds: a number, with which decimal mark, or no value."""

from __future__ import annotations

import re
from pathlib import Path

from fembed.data.readers.layout import BLANKS
from fembed.errors import InputError

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_WITH_COMMA = re.compile(r"[+-]?\d+,\d+(e[+-]?\d+)?", re.IGNORECASE)
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?")
_THOUSANDS_BY_POINTS = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+")
#: So many numbers with three digits after a point, beside whole ones below 1000, are thousands.
_MIN_BY_POINTS = 5


def is_number(cell: str) -> bool:
    """Whether a cell is a number as programs write it."""
    return _NUMBER.fullmatch(cell.strip(BLANKS)) is not None


def is_missing(cell: str) -> bool:
    """Whether a cell says that there is no value."""
    return cell.strip(BLANKS).lower() in ("", "na", "nan", "n/a", "null", "none")


def decimal(rows: list[list[str]], separator: str, path: Path) -> str:
    """The decimal mark; InputError where it could also separate thousands."""
    _refuse_thousands_by_points(rows, path)
    if separator == "," or not any("," in cell for row in rows for cell in row[1:]):
        return "."
    cells = [cell.strip(BLANKS) for row in rows for cell in row[1:] if "," in cell]
    with_comma = [cell for cell in cells if _WITH_COMMA.fullmatch(cell)]
    if not with_comma or len(with_comma) < len(cells):
        return "."
    thousands = [cell for cell in with_comma if _THOUSANDS.fullmatch(cell)]
    if len(thousands) < len(with_comma):
        return ","
    raise InputError(
        f"{path} holds numbers such as '{thousands[0]}', in which the comma may part thousands or "
        "decimals; write numbers with a decimal point and without thousands separators."
    )


def _refuse_thousands_by_points(rows: list[list[str]], path: Path) -> None:
    """Raise for counts as much of Europe writes them: 1.234 beside 56, and none of 1234 or 5.6."""
    found: list[str] = []
    n_whole = 0
    for row in rows:
        for cell in row[1:]:
            if "." in cell:
                if not _THOUSANDS_BY_POINTS.fullmatch(cell.strip(BLANKS)):
                    return
                found.append(cell)
            elif cell.isdigit():
                if len(cell) > 3:
                    return
                n_whole += cell != "0"
    if len(found) >= _MIN_BY_POINTS and n_whole:
        raise InputError(
            f"{path} holds numbers such as '{found[0]}' beside whole ones below 1000, in which the "
            "point may part thousands or decimals; write numbers without thousands separators."
        )


def with_advice(sentence: str, cell: str) -> str:
    """The sentence about a cell that is not a number, and what the cell may be."""
    if _THOUSANDS.fullmatch(cell.strip(BLANKS)) or _WITH_COMMA.fullmatch(cell.strip(BLANKS)):
        return f"{sentence[:-1]} (write numbers with a decimal point and no thousands separators)."
    return sentence
