"""Labels, groups and survival times of samples, from ``obs`` or from a table of annotations."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fembed.data.account import warn_of_spelling
from fembed.data.expression import Expression
from fembed.data.lookup import look_up
from fembed.data.names import as_text
from fembed.data.readers.layout import is_id_like
from fembed.errors import DataWarning, InputError
from fembed.evaluation.label_tables import read_table
from fembed.evaluation.tasks import Labels

if TYPE_CHECKING:
    import pandas as pd


#: What people and spreadsheets write where a value is missing, though it may be a label.
_PLACEHOLDER = re.compile(
    r"[-.?*\u2013\u2014]+|na|n\.?[ad]\.?|#(div/0|value|ref|name|num|null)[!?]?"
    r"|\[?(not[ _])?(available|applicable|evaluated|reported|known|determined)\]?"
    r"|\[?(un|not )known\]?|missing",
    re.IGNORECASE,
)
_WITH_COMMA = re.compile(r"[+-]?\d+,\d+")


@dataclass(frozen=True)
class LabelledSamples:
    """Samples that have what a task needs, as `fembed.evaluate` takes it."""

    expression: Expression
    y: Labels
    groups: Labels | None
    hold_out_groups: Labels | None = None


def labelled(
    expression: Expression,
    columns: list[str],
    group: str | None = None,
    annotations: str | None = None,
    hold_out: str | None = None,
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
    hold_out : str, optional
        The column of the groups that are held out, each in turn.

    Raises
    ------
    InputError
        If a column is nowhere, no sample has a label, or the table cannot be read or has none of
        the samples.

    Warns
    -----
    DataWarning
        About samples left out because something is missing.
    """
    table = None if annotations is None else read_annotations(annotations, expression)
    found = [_column(expression, table, name) for name in columns]
    # In AnnData and in tables, a missing label may also be an empty text.
    kept = np.logical_and.reduce(
        [(column.notna() & (column.astype(str).str.strip() != "")).to_numpy() for column in found]
    )
    for column in found:
        _warn_of_texts(column)
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
    groups, held_out = (
        None if name is None else _plain_array(_column(expression, table, name))
        for name in (group, hold_out)
    )
    if hold_out is not None:
        _warn_of_texts(_column(expression, table, hold_out))
    return LabelledSamples(expression, y, groups, held_out)


def _warn_of_texts(column: pd.Series) -> None:
    """Issue a `DataWarning` for cells that are taken as labels, and hardly are."""
    cells = [cell for cell in column if isinstance(cell, str)]
    empty = sorted({cell for cell in cells if _PLACEHOLDER.fullmatch(cell.strip())})
    if empty:
        n = sum(cell in empty for cell in cells)
        warnings.warn(
            f"{n} cell(s) of the column '{column.name}' are '{empty[0]}', which is taken as a "
            "label; leave such cells empty if the value is missing.",
            DataWarning,
            stacklevel=3,
        )
    if cells and all(_WITH_COMMA.fullmatch(cell.strip()) for cell in cells):
        warnings.warn(
            f"The column '{column.name}' holds texts such as '{cells[0]}', not numbers; write "
            "numbers with a decimal point and no thousands separators.",
            DataWarning,
            stacklevel=3,
        )


def read_annotations(path: str, expression: Expression) -> pd.DataFrame:
    """The table at ``path``, a row for each of the samples, in their order.

    Raises
    ------
    InputError
        It cannot be read, or has none of the samples, or one of them twice.

    Warns
    -----
    DataWarning
        About samples that the table spells differently.
    """
    table = read_table(path)
    _refuse_two_columns_of_names(table, expression, path)
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


def _refuse_two_columns_of_names(table: pd.DataFrame, expression: Expression, path: str) -> None:
    """Raise where the first column numbers the rows and another names them, each for all samples.

    Samples that are called 1, 2, 3, ... would be taken by the number of the row.
    """
    known = set(expression.sample_names)
    for name in table.columns:
        if not (name.strip() and is_id_like(name)):
            continue
        column = [as_text(cell) for cell in table[name]]
        if column != list(table.index) and known <= set(column) & set(table.index):
            raise InputError(
                f"The first column of {path} and its column '{name}' both hold the names of the "
                "samples and differ; remove the one that only numbers the rows."
            )


def _where_names_are(table: pd.DataFrame, expression: Expression) -> str:
    """The column that has the samples' names, where it is not the first."""
    known = set(expression.sample_names)
    for name in table.columns:
        if known & set(table[name].astype(str)):
            return f"its column '{name}' has them, so put it first"
    return "its first column should be their names"


def _column(expression: Expression, table: pd.DataFrame | None, name: str) -> Any:
    """A pandas Series, a value per sample."""
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
            f"The column '{column.name}' holds lists or tables; give one with a value per sample."
        )
    array: Labels = np.asarray(cells)
    return array if array.dtype.kind in "biuf" else np.array(cells, dtype=object)


def _side_by_side(parts: list[Labels]) -> Labels:
    pair = np.empty((len(parts[0]), len(parts)), dtype=object)
    for position, part in enumerate(parts):
        pair[:, position] = part
    return pair
