"""Labels, groups and survival times of an expression's samples, from a file of either kind."""

from __future__ import annotations

import csv
import gzip
import io
import re
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fembed.data.account import warn_of_spelling
from fembed.data.expression import Expression
from fembed.data.lookup import look_up
from fembed.data.names import as_text
from fembed.data.readers.damage import ANY_ERROR, damage_reported
from fembed.errors import DataWarning, InputError
from fembed.evaluation.tasks import Labels
from fembed.files import paths

if TYPE_CHECKING:
    import pandas as pd

ENDINGS = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")


@dataclass(frozen=True)
class LabelledSamples:
    """Samples that have what a task needs: ``y`` and ``groups`` as `fembed.evaluate` takes them."""

    expression: Expression
    y: Labels
    groups: Labels | None


def labelled(
    expression: Expression,
    columns: list[str],
    group: str | None = None,
    annotations: str | None = None,
) -> LabelledSamples:
    """Take the samples whose ``columns`` (a label, or time and event) are all there.

    Parameters
    ----------
    expression : Expression
        Its ``obs`` holds the columns, unless ``annotations`` is given.
    columns : list of str
        One makes ``y`` a column, two make it n_samples x 2.
    group : str, optional
        Another column.
    annotations : str, optional
        A table to look in first, samples by name; what it lacks is looked up in ``obs``.

    Raises
    ------
    InputError
        If a column is nowhere, no sample has a label, or the table cannot be read or has none of
        the samples.

    Warns
    -----
    DataWarning
        Of samples left out because something is missing.
    """
    table = None if annotations is None else read_annotations(annotations, expression)
    found = [_column(expression, table, name) for name in columns]
    # AnnData and tables keep a label that nobody gave as empty text, too.
    kept = np.logical_and.reduce(
        [(column.notna() & (column.astype(str).str.strip() != "")).to_numpy() for column in found]
    )
    called = " and ".join(columns)
    if not kept.any():
        raise InputError(f"No sample of {expression.origin} has a value for {called}.")
    if not kept.all():
        warnings.warn(
            f"{(~kept).sum()} of {len(kept)} samples have no value for {called} and are left out.",
            DataWarning,
            stacklevel=2,
        )
        expression = expression.take_samples(kept)
        table = None if table is None else table[kept]
    parts = [_plain_array(column[kept]) for column in found]
    y = parts[0] if len(parts) == 1 else _side_by_side(parts)
    groups = None if group is None else _plain_array(_column(expression, table, group))
    return LabelledSamples(expression, y, groups)


def read_annotations(path: str, expression: Expression) -> pd.DataFrame:
    """The table at ``path``, a row for each of the samples, in their order.

    Raises
    ------
    InputError
        It cannot be read, or has none of the samples, or one of them twice.

    Warns
    -----
    DataWarning
        Of samples that the table spells otherwise.
    """
    table = read_table(path)
    found = look_up(expression.sample_names, table.index)
    if not found.n_found:
        raise InputError(
            f"The table {path} has none of the samples of {expression.origin} (its first is "
            f"'{table.index[0] if len(table) else ''}', the data's is "
            f"'{expression.sample_names[0]}'); {_where_names_are(table, expression)}."
        )
    named = table.index[found.position[found.found]]
    twice = table.index[table.index.duplicated()].intersection(named)
    if len(twice):
        raise InputError(f"The table {path} has the sample '{twice[0]}' twice; keep one row of it.")
    warn_of_spelling(found, "sample", path, stacklevel=3)
    table = table.iloc[np.where(found.found, found.position, 0)].set_axis(expression.sample_names)
    return table.where(np.broadcast_to(found.found[:, None], table.shape))


def _where_names_are(table: pd.DataFrame, expression: Expression) -> str:
    """The column that has the samples' names, where it is not the first."""
    known = set(expression.sample_names)
    for name in table.columns:
        if known & set(table[name].astype(str)):
            return f"its column '{name}' has them, so put it first"
    return "its first column should be their names"


def read_table(path: str) -> pd.DataFrame:
    """A table of annotations, its first column as the index; identifiers stay texts.

    A column is one of numbers only if every cell is, and none is written as an identifier, with a
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
        text = re.sub(r"\A(\s*(#.*)?\r?\n)+", "", stream.read())
    separator = max("\t,;", key=text.partition("\n")[0].count)
    table = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows = [[cell.strip() for cell in row] for row in table if any(row)]
    if not rows:
        raise InputError(f"The table {path} cannot be read (it is empty); give one row a sample.")
    header, body = rows[0], rows[1:]
    lengths = {len(row) for row in body}
    if lengths == {len(header) + 1}:
        if all(not row[-1] for row in body) and header[0]:  # rows that end in a separator
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


_MISSING = frozenset(("", "NA", "N/A", "NaN", "nan", "NAN", "#N/A", "null", "NULL", "None", "<NA>"))
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


def _column(expression: Expression, table: pd.DataFrame | None, name: str) -> Any:
    """A pandas Series, a value a sample."""
    if table is not None and name in table.columns:
        return table[name]
    if table is not None and (expression.obs is None or name not in expression.obs.columns):
        raise InputError(
            f"The annotations have no column '{name}'; they have {', '.join(table.columns)}."
        )
    return expression.column(name)


def _plain_array(column: Any) -> Labels:
    """A categorical as what its categories are; whole numbers stay whole."""
    cells = column.tolist()
    if any(isinstance(cell, list | tuple | dict | np.ndarray) for cell in cells):
        raise InputError(
            f"The column '{column.name}' holds lists or tables; give one with a value a sample."
        )
    array: Labels = np.asarray(cells)
    return array if array.dtype.kind in "biuf" else np.array(cells, dtype=object)


def _side_by_side(parts: list[Labels]) -> Labels:
    pair = np.empty((len(parts[0]), len(parts)), dtype=object)
    for position, part in enumerate(parts):
        pair[:, position] = part
    return pair
