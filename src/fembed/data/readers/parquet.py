"""Parquet tables: one row a sample (or a gene), read batch by batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.data import chunks
from fembed.data.chunks import empty_matrix
from fembed.data.expression import Expression
from fembed.data.readers.damage import damage_reported
from fembed.errors import InputError


def read(path: Path, transpose: bool) -> Expression:
    """Rows go by the stored pandas index, else by the first column of text, else by number."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise InputError(
            f"Reading {path} needs pyarrow; run: pip install 'fembed[parquet]'."
        ) from error

    with (
        damage_reported(path, "a .parquet table", OSError, ValueError, pa.ArrowException),
        pq.ParquetFile(path) as file,
    ):
        schema = file.schema_arrow
        name_column = _name_column(schema)
        columns = [j for j in range(len(schema)) if j != name_column]
        _refuse_text(schema, columns, path)
        shape = (file.metadata.num_rows, len(columns))
        shape = shape[::-1] if transpose else shape
        values = empty_matrix(*shape, origin=str(path))
        target = values.T if transpose else values
        row_names: list[str] = []
        start = 0
        for batch in file.iter_batches(batch_size=max(1, chunks.ENTRIES_PER_CHUNK // len(schema))):
            rows = slice(start, start + batch.num_rows)
            for k, j in enumerate(columns):
                target[rows, k] = _float32(batch.column(j))
            if name_column is not None:
                row_names += map(str, batch.column(name_column).to_pylist())
            start = rows.stop
    by_row = row_names if name_column is not None else None
    by_column = [schema.field(j).name for j in columns]
    samples, genes = (by_column, by_row) if transpose else (by_row, by_column)
    return Expression.adopt(values, samples, genes, origin=str(path))


def _name_column(schema: Any) -> int | None:
    """Position of the column that names the rows."""
    stored_index = (schema.pandas_metadata or {}).get("index_columns", [])
    for index in stored_index:
        if isinstance(index, str):  # pandas describes an index that it did not store by a dict
            return int(schema.get_field_index(index))
    texts = [j for j in range(len(schema)) if _is_text(schema.field(j).type)]
    return texts[0] if texts else None


def _is_text(kind: Any) -> bool:
    import pyarrow.types as types

    if types.is_dictionary(kind):
        kind = kind.value_type
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _refuse_text(schema: Any, columns: list[int], path: Path) -> None:
    import pyarrow.types as types

    numbers = (types.is_floating, types.is_integer, types.is_boolean, types.is_decimal)
    for j in columns:
        field = schema.field(j)
        if not (types.is_null(field.type) or any(is_kind(field.type) for is_kind in numbers)):
            raise InputError(
                f"Column '{field.name}' of {path} holds values of type {field.type}, not numbers; "
                "remove it (only the index or the first column of text may name the rows)."
            )


def _float32(column: Any) -> NDArray[np.float32]:
    import pyarrow as pa

    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan, np.float32)
    values: NDArray[np.float32] = column.cast(pa.float32(), safe=False).to_numpy(
        zero_copy_only=False
    )
    return values
