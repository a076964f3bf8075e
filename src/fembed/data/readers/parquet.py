"""Parquet and feather tables: one row per sample (or a gene), read batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from fembed.data import chunks
from fembed.data.annotations import Source
from fembed.data.chunks import empty_matrix
from fembed.data.expression import Expression
from fembed.data.names import as_text
from fembed.data.readers import row_names
from fembed.data.readers.damage import ANY_ERROR, damage_reported
from fembed.data.readers.row_names import RowNames, is_text
from fembed.data.readers.stored_names import MAX_NAME_BYTES
from fembed.errors import InputError, imported


@dataclass(frozen=True)
class _Part:
    """One file of a table.

    Attributes
    ----------
    path : Path
    file : pyarrow.parquet.ParquetFile, or the reader of an Arrow file
    schema : pyarrow.Schema
    n_rows : int
    partition : dict of str to str
        What the folders ``column=value`` above a file of a partitioned table say.
    """

    path: Path
    file: Any
    schema: Any
    n_rows: int
    partition: dict[str, str]

    def batches(self, n_rows: int, columns: list[str] | None = None) -> Iterator[Any]:
        """Record batches of about ``n_rows``, with some of the columns or all."""
        if hasattr(self.file, "iter_batches"):
            yield from self.file.iter_batches(batch_size=n_rows, columns=columns)
            return
        for number in range(self.file.num_record_batches):
            batch = self.file.get_batch(number)
            batch.validate(full=True)  # an Arrow file is taken from the disk as it is
            yield from (
                batch.slice(start, n_rows) for start in range(0, batch.num_rows, max(1, n_rows))
            )


def read(path: Path, transpose: bool) -> Expression:
    """A file, or a folder of files with the same columns.

    Rows go by the stored pandas index, else by the first column of text, else by a column of
    identifiers, else by number: see `fembed.data.readers.row_names`.
    """
    imported("pyarrow", f"Reading {path} needs pyarrow; run: pip install 'fembed[parquet]'.")
    with damage_reported(path, f"a {_called(path)} table", *ANY_ERROR), ExitStack() as stack:
        parts = [_opened(file, path, stack) for file in _files(path)]
        return _read(parts, path, transpose)


def is_folder(path: Path) -> bool:
    """Whether ``path`` is a folder with Parquet files, perhaps in folders ``column=value``."""
    return next(_parts_of(path), None) is not None


def _parts_of(folder: Path) -> Iterator[Path]:
    for file in folder.glob("*"):
        if file.name.startswith((".", "_")):
            continue
        if file.is_dir():
            if "=" in file.name:
                yield from _parts_of(file)
        elif file.name.lower().endswith((".parquet", ".parq", ".pq")):
            yield file


def _called(path: Path) -> str:
    return ".feather" if path.name.lower().endswith(".feather") else ".parquet"


def _files(path: Path) -> list[Path]:
    """The files of a table; those that begin with . or _ are notes of the program that wrote it."""
    if not path.is_dir():
        return [path]
    files = sorted(_parts_of(path))
    if not files:
        raise InputError(f"{path} is a folder without .parquet files; give a file with a matrix.")
    return files


def _opened(file: Path, table: Path, stack: ExitStack) -> _Part:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with file.open("rb") as stream:
        start = stream.read(6)
    if start[:4] == b"FEA1":
        raise InputError(f"{file} is feather of version 1; write it again with pandas.to_feather.")
    folders = file.relative_to(table).parts[:-1] if file != table else ()
    partition = dict(folder.split("=", 1) for folder in folders if "=" in folder)
    partition = {name: unquote(value) for name, value in partition.items()}
    if start == b"ARROW1":
        source = stack.enter_context(pa.memory_map(str(file), "r"))
        reader = stack.enter_context(pa.ipc.open_file(source))
        n_rows = sum(reader.get_batch(k).num_rows for k in range(reader.num_record_batches))
        return _Part(file, reader, reader.schema, n_rows, partition)
    # Texts are read by their dictionary: a long one that all rows share is then kept once.
    schema = pq.read_schema(file)
    texts = [field.name for field in schema if is_text(field.type)]
    parquet = stack.enter_context(pq.ParquetFile(file, read_dictionary=texts))
    n_rows = parquet.metadata.num_rows
    return _Part(file, parquet, parquet.schema_arrow, n_rows, partition)


def _read(parts: list[_Part], path: Path, transpose: bool) -> Expression:
    schema, n_rows = parts[0].schema, sum(part.n_rows for part in parts)
    for part in parts[1:]:
        if part.schema.names != schema.names:
            raise InputError(
                f"{part.path} has other columns than {parts[0].path}; a folder is read as one "
                "table, so all its files need the same columns."
            )
    if len(set(schema.names)) < len(schema.names):
        doubled = next(name for name in schema.names if schema.names.count(name) > 1)
        raise InputError(f"{path} has several columns named '{doubled}'; rename all but one.")
    found = row_names.find(schema, parts[0].n_rows, lambda j: _column(parts[0], j), str(path))
    if len(parts) > 1 and found.counted is not None:
        found = RowNames([], None, "The rows have no names.")
    columns = [j for j in range(len(schema)) if j not in found.columns]
    _refuse_text(schema, columns, path)
    shape = (len(columns), n_rows) if transpose else (n_rows, len(columns))
    values = empty_matrix(*shape, origin=str(path))
    by_row = _fill(values.T if transpose else values, parts, columns, found, path)
    by_column = [schema.field(j).name for j in columns]
    samples, genes = (by_column, by_row) if transpose else (by_row, by_column)
    expression = Expression.adopt(values, samples, genes, origin=str(path))
    if parts[0].partition and not transpose:
        expression = replace(expression, obs=_partitions(parts, expression))
    called = "feather" if not hasattr(parts[0].file, "iter_batches") else "Parquet"
    return replace(expression, source=Source(called, notes=(found.note,)))


def _fill(
    target: NDArray[np.float32], parts: list[_Part], columns: list[int], found: RowNames, path: Path
) -> list[Any] | None:
    """Write the columns to ``target``, rows x columns, and give the names of the rows."""
    names: list[Any] = []
    start = 0
    step = max(1, chunks.ENTRIES_PER_CHUNK // max(1, len(parts[0].schema)))
    for part in parts:
        for batch in part.batches(step):
            rows = slice(start, start + batch.num_rows)
            if rows.stop > len(target):
                raise ValueError(f"it has more than the {len(target)} rows that it announces")
            for k, j in enumerate(columns):
                target[rows, k] = _float32(batch.column(j))
            levels = [_names(batch.column(j), path) for j in found.columns]
            names += levels[0] if len(levels) == 1 else map("_".join, zip(*levels, strict=True))
            start = rows.stop
    if start != len(target):
        raise ValueError(f"it announces {len(target)} rows and has {start}")
    if found.counted is not None:
        return list(found.counted)
    return names if found.columns else None


def _column(part: _Part, j: int) -> NDArray[Any]:
    name = part.schema.field(j).name
    batches = part.batches(100_000, [name])
    pieces = [batch.column(batch.schema.get_field_index(name)) for batch in batches]
    arrays = [piece.to_numpy(zero_copy_only=False) for piece in pieces]
    return np.concatenate(arrays) if arrays else np.empty(0)


def _names(column: Any, path: Path) -> list[str]:
    """A batch of names; one that all rows share is made once."""
    import pyarrow as pa

    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    dictionary = column.dictionary
    if is_text(dictionary.type):
        longest = pa.compute.max(pa.compute.binary_length(dictionary.cast(pa.large_string())))
        if longest.is_valid and longest.as_py() > MAX_NAME_BYTES:
            raise InputError(f"{path} has a name of {longest.as_py()} letters; it is damaged.")
    known = [None if name is None else as_text(name) for name in dictionary.to_pylist()]
    return ["" if k is None else str(known[k]) for k in column.indices.to_pylist()]


def _partitions(parts: list[_Part], expression: Expression) -> Any:
    """The folders of a partitioned table as annotations of its samples."""
    import pandas as pd

    table = {
        name: [value for part in parts for value in [part.partition.get(name)] * part.n_rows]
        for name in parts[0].partition
    }
    return pd.DataFrame(table, index=pd.Index(expression.sample_names, dtype=object))


def _refuse_text(schema: Any, columns: list[int], path: Path) -> None:
    import pyarrow.types as types

    numbers = (types.is_floating, types.is_integer, types.is_boolean, types.is_decimal)
    for j in columns:
        field = schema.field(j)
        kind = field.type.value_type if types.is_dictionary(field.type) else field.type
        if not (types.is_null(kind) or any(is_kind(kind) for is_kind in numbers)):
            raise InputError(
                f"Column '{field.name}' of {path} holds values of type {field.type}, not numbers; "
                "remove it (only the index or the first column of text may name the rows)."
            )


def _float32(column: Any) -> NDArray[np.float32]:
    import pyarrow as pa

    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan, np.float32)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    values: NDArray[np.float32] = column.cast(pa.float32(), safe=False).to_numpy(
        zero_copy_only=False
    )
    return values
