"""Which column of a Parquet or feather table names its rows."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.errors import DataWarning

#: Names of columns that hold identifiers, whatever the type: ``patient_id``, ``Sample``, ``index``.
_CALLED = re.compile(
    r"(.*[\W_])?(ids?|uuid|barcodes?|names?|samples?|patients?|subjects?|donors?|participants?"
    r"|cases?|cells?|index|genes?|entrez|rownames|unnamed: 0|level_0)([\W_]*\d*)?"
    r"|(sample|patient|subject|case|cell|gene|entrez|donor)[\W_]?(id|name|no|number|index)"
    r"|(entrez|gene)[\W_]?gene[\W_]?(id)?|__index_level_\d+__|",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class RowNames:
    """Where the names of the rows are.

    Attributes
    ----------
    columns : list of int
        Positions of the columns that hold them, joined by ``_`` where there are several.
    counted : range or None
        The names themselves, where they are numbers that pandas did not store.
    note : str
        A sentence about what was taken for names.
    """

    columns: list[int]
    counted: range | None
    note: str


def find(
    schema: Any, n_rows: int, values_of: Callable[[int], NDArray[Any]], origin: str
) -> RowNames:
    """Pandas' index if it is stored, else the first column of text, else one of identifiers.

    Parameters
    ----------
    schema : pyarrow.Schema
    n_rows : int
    values_of : function of a position
        Gives the values of a column; called for those that may be identifiers.
    origin : str
        What to call the data.

    Warns
    -----
    DataWarning
        If numbers that are not marked as an index are taken for names.
    """
    stored = _index_of_pandas(schema, n_rows)
    if stored is not None:
        return stored
    texts = [j for j in range(len(schema)) if is_text(schema.field(j).type)]
    if texts:
        return RowNames(texts[:1], None, f"Rows are named by '{schema.field(texts[0]).name}'.")
    for j in _candidates(schema):
        called = schema.field(j).name
        if _are_identifiers(values_of(j), n_rows):
            warnings.warn(
                f"The column '{called}' of {origin} holds whole numbers of which none repeats, and "
                "is taken for the names of the rows, not for a measurement; store it as the index "
                "or as text to be sure.",
                DataWarning,
                stacklevel=2,
            )
            return RowNames([j], None, f"Rows are named by the numbers in '{called}'.")
    return RowNames([], None, "The rows have no names.")


def _index_of_pandas(schema: Any, n_rows: int) -> RowNames | None:
    described = schema.pandas_metadata or {}  # ValueError where they are no JSON
    index = described.get("index_columns", []) if isinstance(described, dict) else []
    levels = [level for level in index if isinstance(level, str)]
    places = [int(schema.get_field_index(level)) for level in levels]
    if levels and min(places) >= 0:
        joined = " and ".join(f"'{level}'" for level in levels)
        how = ", joined by '_'" if len(levels) > 1 else ""
        return RowNames(places, None, f"Rows are named by the index of pandas, {joined}{how}.")
    for level in index:
        if isinstance(level, dict) and level.get("kind") == "range":
            return _counted(level, n_rows)
    return None


def _counted(level: dict[str, Any], n_rows: int) -> RowNames | None:
    """An index of equal steps, unless it is the one pandas gives to tables without names."""
    bounds = [level.get(key) for key in ("start", "stop", "step")]
    if not all(isinstance(bound, int) for bound in bounds) or bounds[2] == 0:
        return None
    counted = range(*bounds)  # type: ignore[arg-type]  # numbers, as just seen
    is_default = level.get("name") is None and bounds[0] == 0 and bounds[2] == 1
    if is_default or len(counted) != n_rows:
        return None
    return RowNames([], counted, f"Rows are named by the index of pandas, {counted}.")


def _candidates(schema: Any) -> list[int]:
    """Columns of whole numbers that may be identifiers: the first one, and those called so."""
    import pyarrow.types as types

    def is_number(j: int) -> bool:
        kind = schema.field(j).type
        return bool(types.is_integer(kind) or types.is_floating(kind))

    called = [j for j in range(len(schema)) if _CALLED.fullmatch(schema.field(j).name)]
    found = [j for j in called if is_number(j)][:3]
    # Among counts the first column may be a gene; among other numbers whole ones stand out.
    others = [schema.field(j).type for j in range(1, len(schema))]
    stands_out = len(others) > 0 and not any(types.is_integer(kind) for kind in others)
    if len(schema) and 0 not in found and types.is_integer(schema.field(0).type) and stands_out:
        found.append(0)
    return found


def _are_identifiers(values: NDArray[Any], n_rows: int) -> bool:
    numbers = np.asarray(values)
    if numbers.dtype.kind not in "iuf" or n_rows < 2:
        return False
    whole = bool(np.isfinite(numbers).all()) and bool((numbers == np.floor(numbers)).all())
    return whole and len(np.unique(numbers)) == n_rows


def is_text(kind: Any) -> bool:
    """Whether a type of pyarrow is of texts, perhaps by a dictionary."""
    import pyarrow.types as types

    if types.is_dictionary(kind):
        kind = kind.value_type
    texts = (types.is_string, types.is_large_string, types.is_string_view)
    return any(is_kind(kind) for is_kind in (*texts, types.is_binary, types.is_large_binary))
