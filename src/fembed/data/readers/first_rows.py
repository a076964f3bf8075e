"""The first rows of a table, by which the program that wrote it is recognised."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fembed.data.readers.cells import is_number
from fembed.data.readers.layout import BLANKS, split
from fembed.data.statistics import is_statistic


@dataclass(frozen=True)
class FirstRows:
    """The first lines of a table, split at tabs (or commas, if it has none).

    Attributes
    ----------
    path : Path
    number : int
        Of the line of ``header``.
    header : list of str
        The first line, without blanks and quotes around its cells.
    rows : list of list of str
    """

    path: Path
    separator: str
    number: int
    header: list[str]
    rows: list[list[str]]

    @classmethod
    def of(cls, lines: list[tuple[int, str]], path: Path) -> FirstRows:
        separator = "\t" if "\t" in lines[0][1] else ","
        cells = [
            [cell.strip(BLANKS) for cell in split(text, separator, path, number)]
            for number, text in lines
        ]
        return cls(path, separator, lines[0][0], cells[0], cells[1:])

    @property
    def genes(self) -> list[str]:
        return [row[0] for row in self.rows if not is_statistic(row[0])]

    def has_numbers(self, column: int) -> bool:
        """Whether a column holds numbers in every row that is no statistic."""
        rows = [row for row in self.rows if not is_statistic(row[0])]
        return all(len(row) > column and is_number(row[column]) for row in rows)
