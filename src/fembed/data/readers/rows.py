"""Rows of a text table: a first pass counts them and their cells, a second parses them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fembed.data.chunks import empty_matrix, not_a_number
from fembed.data.memory import refuse_beyond_memory
from fembed.data.readers.cells import is_missing, is_number, with_advice
from fembed.data.readers.layout import BLANKS, Columns, Layout, Rows, split
from fembed.data.readers.text import Line, TextFile, decoded
from fembed.data.statistics import INITIALS, is_statistic
from fembed.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

# Text is parsed in pieces of this many bytes; pandas has a fixed cost per column and piece, so
# pieces of a wide table must hold many rows.
BYTES_PER_PIECE = 16_000_000
#: Longer tables are refused if most names repeat, as in a file made to fill the memory.
_LOOKED_AT = 100_000
#: So many names decide whether the rows are genes.
_SHOWN = 2000
_MAX_STATISTICS = 10_000
#: Spellings of a missing value: those of pandas, and of spreadsheets.
MISSING = [
    *("", "NA", "N/A", "n/a", "na", "Na", "NaN", "nan", "NAN", "-nan", "-NaN", "<NA>"),
    *("#N/A", "#NA", "#N/A N/A", "null", "NULL", "None", "none", "1.#QNAN", "-1.#IND", "1.#IND"),
]
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
_INITIAL_BYTES = frozenset(ord(letter) for letter in INITIALS) | {ord('"'), ord(" ")}


# ------------------------------------------------------------------------------------ first pass


def _rows(text: TextFile, layout: Layout) -> Iterator[Line]:
    """The lines with rows of numbers, read statistics among them."""
    for number, line in text.lines(layout.start):
        if layout.end and line.startswith(layout.end):
            return
        yield number, line


def _statistic(line: bytes, separator: bytes) -> str | None:
    """The name of a row that is a read statistic."""
    if line[0] not in _INITIAL_BYTES:
        return None
    name = line[:80].split(separator, 1)[0].decode("utf-8", "replace").strip(BLANKS + '"')
    return name if is_statistic(name) else None


def scan(text: TextFile, layout: Layout) -> Rows:
    """Count the rows; raises if one is longer or shorter than the first, or if there is no room."""
    separator = layout.separator.encode()
    n_rows = n_cells = 0
    n_trailing = -1
    first = (0, "")
    statistics: list[str] = []
    some_names: dict[bytes, None] = {}
    for number, line in _rows(text, layout):
        # Counting bytes is 20 times faster than splitting; only quotes can hide a separator.
        if b'"' in line:
            cells = split(decoded(line, text.path, number), layout.separator, text.path, number)
            found, empty = len(cells), _n_empty(cells)
        else:
            found = line.count(separator) + 1
            empty = len(line) - len(line.rstrip(separator)) if n_trailing else 0
        if n_cells == 0:
            n_cells, first = found, (number, _name(line, text.path, number, layout.separator))
        if found != n_cells:
            raise InputError(
                f"Line {number} of {text.path} (row "
                f"'{_name(line, text.path, number, layout.separator)}') has {found} cells but the "
                f"header asks for {n_cells}; make all rows equally long."
            )
        statistic = _statistic(line, separator)
        if statistic is not None:
            statistics.append(statistic)
            if len(statistics) > _MAX_STATISTICS:
                raise InputError(
                    f"{text.path} has more than {_MAX_STATISTICS:,} rows of read statistics such "
                    f"as '{statistic[:40]}', so it is no table of genes; make or fetch it again."
                )
            continue
        n_trailing = empty if n_trailing < 0 else min(n_trailing, empty)
        n_rows += 1
        if n_rows <= _LOOKED_AT:
            some_names[line[:200].split(separator, 1)[0]] = None
        if n_rows % _LOOKED_AT == 0:
            _refuse_repetition(len(some_names), n_rows, line, layout.separator, text.path)
            refuse_beyond_memory(n_rows, max(0, n_cells - 1), str(text.path))
    if layout.announced is not None and layout.announced != n_rows + len(statistics):
        raise InputError(
            f"{text.path} announces {layout.announced} rows but has {n_rows}; it may be truncated, "
            "fetch it again."
        )
    refuse_beyond_memory(n_rows, max(0, n_cells - 1), str(text.path))
    names = tuple(
        name.decode("utf-8", "replace").strip(BLANKS + '"') for name in islice(some_names, _SHOWN)
    )
    return Rows(n_rows, n_cells, max(0, n_trailing), first, names, tuple(statistics))


def _n_empty(cells: list[str]) -> int:
    n = 0
    while n < len(cells) and not cells[-1 - n]:
        n += 1
    return n


def _name(line: bytes, path: Path, number: int, separator: str) -> str:
    return split(decoded(line, path, number), separator, path, number)[0]


def _refuse_repetition(n_names: int, n_rows: int, line: bytes, separator: str, path: Path) -> None:
    if n_names < min(n_rows, _LOOKED_AT) / 2:
        name = line.split(separator.encode(), 1)[0][:40].decode("utf-8", "replace")
        raise InputError(
            f"{path} has only {n_names} names for its first {min(n_rows, _LOOKED_AT):,} rows, such "
            f"as '{name}', so it is no table with a row per sample or gene; make or fetch it again."
        )


# ----------------------------------------------------------------------------------- second pass


def fill(
    text: TextFile, layout: Layout, rows: Rows, columns: Columns
) -> tuple[NDArray[np.float32], list[str]]:
    """The values, samples x genes, and the names of the rows as they are written."""
    shape = (rows.n_rows, len(columns.positions))
    shape = shape[::-1] if layout.genes_in_rows else shape
    values = empty_matrix(*shape, origin=str(text.path))
    target = values.T if layout.genes_in_rows else values
    row_names: list[str] = []
    for piece in _pieces(text, layout):
        names, block = _parse(piece, layout, columns, text.path)
        target[len(row_names) : len(row_names) + len(names)] = block
        row_names += names
    return values, row_names


def _pieces(text: TextFile, layout: Layout) -> Iterator[list[Line]]:
    piece: list[Line] = []
    size = 0
    separator = layout.separator.encode()
    for number, line in _rows(text, layout):
        if _statistic(line, separator) is not None:
            continue
        piece.append((number, line))
        size += len(line)
        if size >= BYTES_PER_PIECE:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


def _parse(
    piece: list[Line], layout: Layout, columns: Columns, path: Path
) -> tuple[list[str], NDArray[np.float32]]:
    texts = [layout.name] if layout.other_name is None else [layout.name, layout.other_name]
    used = [*texts, *columns.positions]
    content = b"\n".join(line for _, line in piece)
    _refuse_true_and_false(piece[0], layout, columns, path)
    try:
        frame = _frame(content, layout, columns, texts)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} cannot be read as UTF-8 text ({error}); save the table as UTF-8."
        ) from error
    except ValueError as error:
        content = _without_blanks(piece, layout, columns, path)
        try:
            frame = _frame(content, layout, columns, texts)
        except ValueError:
            raise InputError(_first_fault(piece, layout, columns, path, str(error))) from error
    if len(frame) != len(piece):
        raise InputError(
            f"{path} has quotes that do not close between lines {piece[0][0]} and {piece[-1][0]}; "
            "remove or close them."
        )
    names = frame[layout.name].tolist()
    if layout.other_name is not None:
        others = frame[layout.other_name].tolist()
        names = [
            other if is_missing(name) else name for name, other in zip(names, others, strict=True)
        ]
    if len(used) == columns.n_cells and texts == [0]:
        return names, frame.iloc[:, 1:].to_numpy(dtype=np.float32)
    return names, frame[columns.positions].to_numpy(dtype=np.float32)


def _refuse_true_and_false(line: Line, layout: Layout, columns: Columns, path: Path) -> None:
    """Raise for a column of TRUE and FALSE, which pandas takes for 1 and 0 if all of it is so."""
    lowered = line[1].lower()
    if b"true" in lowered or b"false" in lowered:
        cells = split(decoded(line[1], path, line[0]), layout.separator, path, line[0])
        for position, column in zip(columns.positions, columns.names, strict=True):
            if cells[position].strip(BLANKS).lower() in ("true", "false"):
                raise InputError(not_a_number(str(path), cells[0], column, cells[position]))


def _frame(content: bytes, layout: Layout, columns: Columns, texts: list[int]) -> pd.DataFrame:
    """Rows of numbers; a ValueError where a cell is none."""
    import pandas as pd

    used = [*texts, *columns.positions]
    with np.errstate(over="ignore"):  # infinite beyond float32, which Expression.check reports
        return pd.read_csv(
            io.BytesIO(content),
            sep=layout.separator,
            header=None,
            names=range(columns.n_cells),
            usecols=None if len(used) == columns.n_cells else sorted(used),
            index_col=False,
            dtype=dict.fromkeys(columns.positions, np.dtype(np.float32)),
            converters=dict.fromkeys(texts, str),  # a sample may be called NA
            keep_default_na=False,
            na_values=MISSING,
            decimal=layout.decimal,
            skipinitialspace=layout.spaced,
            encoding="utf-8",
            low_memory=False,
        )


def _without_blanks(piece: list[Line], layout: Layout, columns: Columns, path: Path) -> bytes:
    """The rows without blanks around numbers, of which pandas knows only some."""
    content = io.StringIO()
    writer = csv.writer(content, delimiter=layout.separator, lineterminator="\n")
    numbers = set(columns.positions)
    for number, line in piece:
        cells = split(decoded(line, path, number), layout.separator, path, number)
        writer.writerow(
            cell.strip(BLANKS) if j in numbers else cell for j, cell in enumerate(cells)
        )
    return content.getvalue().encode()


def _first_fault(
    piece: list[Line], layout: Layout, columns: Columns, path: Path, detail: str
) -> str:
    """The sentence about the first cell that is not a number."""
    for number, line in piece:
        cells = split(decoded(line, path, number), layout.separator, path, number)
        for position, column in zip(columns.positions, columns.names, strict=True):
            cell = cells[position]
            if cell.strip(BLANKS) in MISSING:
                continue
            number_like = cell
            if layout.decimal == ",":  # and a point is none
                number_like = cell.translate(str.maketrans(",.", ".,"))
            if not is_number(number_like) and not _INFINITE.fullmatch(number_like.strip()):
                return with_advice(not_a_number(str(path), cells[0], column, cell), cell)
    return f"{path} cannot be read as a table of numbers ({detail}); correct it."
