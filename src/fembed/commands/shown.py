"""What the commands that show a model share: their data, and the file that they write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fembed.data import readers
from fembed.errors import InputError
from fembed.files.durable import Place
from fembed.output import tables

if TYPE_CHECKING:
    from fembed.data.expression import Expression


def check_request(
    output: str,
    endings: Sequence[str],
    data: str | None,
    columns: Sequence[str],
    *,
    model: str,
    overwrite: bool,
) -> tuple[str, Place]:
    """The ending of ``output`` and its place; InputError for what could not be shown or written.

    A check before anything is read; the columns are looked up when the data are.
    """
    name = Path(output).name.lower()
    ending = next((end for end in endings if name.endswith(end)), None)
    if ending is None:
        known = " or ".join(endings)
        raise InputError(f"{output} has an unknown ending; give a file that ends in {known}.")
    if columns and data is None:
        raise InputError(f"The column '{columns[0]}' is read from the data; give --data FILE too.")
    sources = [] if data is None else [data]
    return ending, tables.check_beside_model(output, model, overwrite, sources)


def read(
    data: str | None,
    *,
    layer: str | None,
    use_raw: bool,
    transpose: bool | None,
    tx2gene: str | None,
) -> Expression | None:
    """The data, where there are any."""
    if data is None:
        return None
    return readers.read(data, layer=layer, use_raw=use_raw, transpose=transpose, tx2gene=tx2gene)
