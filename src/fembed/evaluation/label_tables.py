"""Tables of labels, groups and survival times: text or Parquet, a row per sample."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fembed.data.names import as_text
from fembed.data.readers.damage import ANY_ERROR, damage_reported
from fembed.data.readers.layout import is_id_like
from fembed.errors import InputError
from fembed.files import paths

if TYPE_CHECKING:
    import pandas as pd

ENDINGS = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")


def read_table(path: str) -> pd.DataFrame:
    """A table of annotations, its first column as the index; identifiers stay texts.

    A column holds numbers only if every cell does, and none is written as an identifier, with a
    zero before other digits.

    Raises
    ------
    InputError
        It is not there or cannot be read.
    """
    import pandas as pd

    ending = next((end for end in ENDINGS if path.lower().endswith(end)), None)
    if ending is None:
        excel = " Save the sheet of an Excel workbook as .csv." if ".xls" in path.lower() else ""
        raise InputError(
            f"{path} has an unknown ending; the known ones are {', '.join(ENDINGS)}.{excel}"
        )
    if not paths.check_input(path, "annotations").is_file():
        raise InputError(f"{path} is not a file; check the path.")
    # What pandas and pyarrow raise for damaged files and metadata is not public.
    errors = ANY_ERROR if ending == ".parquet" else (ValueError, OSError, EOFError, csv.Error)
    with damage_reported(Path(path), "a table of annotations", *errors, zlib.error):
        if ending == ".parquet":
            columns, names = _parquet_columns(path)
        else:
            names, cells = _text_cells(path)
            columns = {name: _typed(column) for name, column in cells.items()}
    index = pd.Index(names, dtype=object)
    return pd.DataFrame(
        {str(name): _series(column, index) for name, column in columns.items()}, index=index
    )


def _parquet_columns(path: str) -> tuple[dict[Any, Any], list[str]]:
    import pandas as pd

    table = pd.read_parquet(path)
    if table.index.equals(pd.RangeIndex(len(table))):  # pandas' own numbers, no names
        table = table.set_index(table.columns[0])
    return dict(table.items()), [as_text(name) for name in table.index]


def _series(column: Any, index: Any) -> pd.Series:
    import pandas as pd

    if isinstance(column, pd.Series):
        return column.set_axis(index)
    return pd.Series(column, index, dtype=object).infer_objects()


def _text_cells(path: str) -> tuple[list[str], dict[str, list[str]]]:
    """Names of the rows, and the cells of every column, as texts without blanks around them."""
    opened = gzip.open if path.lower().endswith(".gz") else open
    with opened(path, "rt", newline="", encoding="utf-8-sig") as stream:
        text = _without_comments(stream.read())
    separator = max("\t,;", key=text.partition("\n")[0].count)
    table = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows = [[cell.strip() for cell in row] for row in table if any(row)]
    if not rows:
        raise InputError(f"The table {path} cannot be read (it is empty); give one row per sample.")
    header, body = rows[0], rows[1:]
    lengths = {len(row) for row in body}
    if lengths == {len(header) + 1}:
        if all(not row[-1] for row in body) and header[0]:  # rows that end in a separator
            if not is_id_like(header[0]):  # or a last column without values
                raise InputError(
                    f"The rows of {path} end in an empty cell, and its header begins with "
                    f"'{header[0]}': is that the first column or does it stand above the names of "
                    "the rows? Call the names of the rows 'sample' in the header."
                )
            body = [row[:-1] for row in body]
        else:  # R's write.table gives the column of row names no header
            header = ["", *header]
    for number, row in enumerate(body, start=1):
        if len(row) != len(header):
            raise InputError(
                f"The table {path} cannot be read (row {number}, '{row[0]}', has {len(row)} cells "
                f"and the header {len(header)}); make all rows equally long."
            )
    if len(set(header[1:])) < len(header) - 1:
        twice = next(name for name in header[1:] if header[1:].count(name) > 1)
        raise InputError(f"The table {path} has two columns '{twice}'; rename one.")
    columns = {name: [row[k] for row in body] for k, name in enumerate(header) if k}
    return [row[0] for row in body], columns


def _without_comments(text: str) -> str:
    """The text from its header on, which may itself begin with ``#``."""
    found = re.match(r"(\s*(#.*)?\r?\n)+", text)
    if found is None:
        return text
    last, rest = found[0].strip("\r\n").rpartition("\n")[2], text[found.end() :]
    first = rest.partition("\n")[0]
    counts = [last.count(separator) for separator in "\t,;"]
    is_header = any(counts) and counts == [first.count(separator) for separator in "\t,;"]
    if last.startswith("#") and is_header:
        return f"{last.lstrip('#')}\n{rest}"
    return rest


_MISSING = frozenset(
    ("", "NA", "N/A", "n/a", "NaN", "nan", "NAN", "-nan", "#N/A", "#NA", "null", "NULL", "None")
) | {"<NA>"}
_WHOLE = re.compile(r"[+-]?(0|[1-9]\d{0,17})")
_DECIMAL = re.compile(r"[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


def _typed(cells: list[str]) -> list[Any]:
    """Whole numbers, decimals, truth values or texts; None where a value is missing."""
    known = [cell for cell in cells if cell not in _MISSING]
    kind: Callable[[str], Any] = str
    if known and all(_WHOLE.fullmatch(cell) for cell in known):
        kind = int
    elif known and all(_DECIMAL.fullmatch(cell) for cell in known):
        kind = float
    elif known and {cell.lower() for cell in known} <= {"true", "false"}:
        kind = _truth
    return [None if cell in _MISSING else kind(cell) for cell in cells]


def _truth(cell: str) -> bool:
    return cell.lower() == "true"
