"""Text tables, .csv and .tsv, plain or gzipped: names in the first column and the first row."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fembed.data.chunks import empty_matrix, not_a_number
from fembed.data.expression import Expression
from fembed.data.readers.damage import damage_reported
from fembed.errors import InputError

# Text is parsed in pieces of this many bytes; pandas has a fixed cost per column and piece, so
# pieces of a wide table must hold many rows.
BYTES_PER_PIECE = 16_000_000
_MISSING = ["", "NA", "N/A", "NaN", "nan", "NAN", "#N/A", "null", "NULL", "None"]


def read(path: Path, transpose: bool) -> Expression:
    """Two passes: the first counts the rows and their cells, the second parses."""
    text = "gzipped text" if path.name.lower().endswith(".gz") else "text"
    with damage_reported(path, text, OSError, EOFError, zlib.error):
        table = _scan(path)
        shape = (table.n_rows, len(table.columns))
        shape = shape[::-1] if transpose else shape
        values = empty_matrix(*shape, origin=str(path))
        target = values.T if transpose else values
        row_names: list[str] = []
        for piece in _pieces(path):
            names, block = _parse(piece, table)
            target[len(row_names) : len(row_names) + len(names)] = block
            row_names += names
    _refuse_lost_column(table, row_names)
    samples, genes = (table.columns, row_names) if transpose else (row_names, table.columns)
    return Expression.adopt(values, samples, genes, origin=str(path))


@dataclass(frozen=True)
class _Table:
    path: Path
    separator: str
    columns: list[str]
    n_rows: int
    corner: str  # what stands above the names of the rows


def _refuse_lost_column(table: _Table, row_names: list[str]) -> None:
    """A first column of measurements is not one of names (whole numbers may be)."""
    if not table.corner or all(name.isdigit() for name in row_names):
        return
    try:
        for name in row_names:
            float(name)
    except ValueError:
        return
    raise InputError(
        f"The first column of {table.path}, '{table.corner}', holds numbers such as {row_names[0]} "
        "where the names of the rows belong; write the table with its row names first, or, if they "
        f"are names, leave '{table.corner}' out of the header."
    )


_SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons"}
_INSTEAD = {
    ",": "name it .csv",
    "\t": "name it .tsv",
    ";": "save it with commas, and with points in its numbers",
}


def _refuse_other_separator(header: list[str], separator: str, path: Path) -> None:
    if len(header) != 1:
        return
    for other, called in _SEPARATORS.items():
        if other != separator and other in header[0]:
            raise InputError(
                f"{path} is separated by {called}, not by {_SEPARATORS[separator]}; "
                f"{_INSTEAD[other]}."
            )


def _separator(path: Path) -> str:
    return "\t" if ".tsv" in path.name.lower()[-7:] else ","


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """(number, line) of every line that is not blank; the first one is the header."""
    opened = gzip.open if path.name.lower().endswith(".gz") else open
    with opened(path, "rb") as stream:
        for number, line in enumerate(stream, start=1):
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")  # the mark that Excel puts first
            if line.strip(b" \r\n"):
                yield number, line


def _cells(line: bytes, path: Path, number: int) -> list[str]:
    try:
        return next(csv.reader([line.decode("utf-8").rstrip("\r\n")], delimiter=_separator(path)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"Line {number} of {path} cannot be read as UTF-8 text ({error}); "
            "save the table as UTF-8."
        ) from error


def _scan(path: Path) -> _Table:
    """The header and the number of rows; raises if a row is longer or shorter than the header."""
    separator = _separator(path)
    header: list[str] = []
    n_cells = n_rows = 0
    for number, line in _lines(path):
        if not header:
            header = _cells(line, path, number)
            _refuse_other_separator(header, separator, path)
            continue
        # Counting bytes is 20 times faster than splitting; only quotes can hide a separator.
        quoted = b'"' in line
        found = len(_cells(line, path, number)) if quoted else line.count(separator.encode()) + 1
        if n_rows == 0:
            # R's write.table gives the column of row names no header.
            n_cells = found if found == len(header) + 1 else len(header)
        if found != n_cells:
            name = _cells(line, path, number)[0]
            raise InputError(
                f"Line {number} of {path} (row '{name}') has {found} cells but the header asks "
                f"for {n_cells}; make all rows equally long."
            )
        n_rows += 1
    if not header:
        raise InputError(f"{path} holds no text; give a table with a header and one row a sample.")
    bare = n_cells == len(header) + 1
    columns = header if bare else header[1:]
    if not columns:
        character = "tab" if separator == "\t" else "comma"
        raise InputError(
            f"{path} has a single column when split at every {character}; "
            "give row names and at least one column of numbers, or the right ending (.csv, .tsv)."
        )
    return _Table(path, separator, columns, n_rows, "" if bare else header[0].strip())


def _pieces(path: Path) -> Iterator[list[tuple[int, bytes]]]:
    piece: list[tuple[int, bytes]] = []
    size = 0
    lines = _lines(path)
    next(lines)
    for number, line in lines:
        piece.append((number, line))
        size += len(line)
        if size >= BYTES_PER_PIECE:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


def _parse(piece: list[tuple[int, bytes]], table: _Table) -> tuple[list[str], NDArray[np.float32]]:
    import pandas as pd

    n_columns = len(table.columns)
    # A last line without an end of line would swallow nothing, but a line that ends in a bare
    # carriage return would start a new row for pandas alone.
    text = b"".join(line.rstrip(b"\r\n") + b"\n" for _, line in piece)
    try:
        # Beyond float32 becomes infinite, which Expression.check reports.
        with np.errstate(over="ignore"):
            frame = pd.read_csv(
                io.BytesIO(text),
                sep=table.separator,
                header=None,
                names=range(n_columns + 1),
                index_col=False,
                dtype=dict.fromkeys(range(1, n_columns + 1), np.float32),
                converters={0: str},  # a sample may be called NA
                keep_default_na=False,
                na_values=_MISSING,
                encoding="utf-8",
                low_memory=False,
            )
    except ValueError as error:
        raise InputError(_first_fault(piece, table, str(error))) from error
    if len(frame) != len(piece):
        raise InputError(
            f"{table.path} has quotes that do not close between lines {piece[0][0]} and "
            f"{piece[-1][0]}; remove or close them."
        )
    names = [str(name) for name in frame[0]]
    return names, frame.iloc[:, 1:].to_numpy(dtype=np.float32)


def _first_fault(piece: list[tuple[int, bytes]], table: _Table, detail: str) -> str:
    """The sentence about the first cell that is not a number."""
    for number, line in piece:
        name, *cells = _cells(line, table.path, number)
        for column, cell in zip(table.columns, cells, strict=False):
            if cell in _MISSING:
                continue
            try:
                float(cell)
            except ValueError:
                return not_a_number(str(table.path), name, column, cell)
    return f"{table.path} cannot be read as a table of numbers ({detail}); correct it."
