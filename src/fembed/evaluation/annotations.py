"""Labels, groups and survival times of an expression's samples, from a file of either kind."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fembed.data.expression import Expression
from fembed.errors import DataWarning, InputError
from fembed.evaluation.tasks import Labels

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
        expression = replace(
            expression,
            values=expression.values[kept],
            sample_names=expression.sample_names[kept],
            obs=None if expression.obs is None else expression.obs[kept],
        )
        table = None if table is None else table[kept]
    parts = [_plain_array(column[kept]) for column in found]
    y = parts[0] if len(parts) == 1 else _side_by_side(parts)
    groups = None if group is None else _plain_array(_column(expression, table, group))
    return LabelledSamples(expression, y, groups)


def read_annotations(path: str, expression: Expression) -> pd.DataFrame:
    """The table at ``path``, a row for each of the samples, in their order."""
    import pandas as pd

    ending = next((end for end in ENDINGS if path.lower().endswith(end)), None)
    if ending is None:
        raise InputError(f"{path} has an unknown ending; the known ones are {', '.join(ENDINGS)}.")
    if not Path(path).is_file():
        raise InputError(f"{path} is not a file; check the path.")
    try:
        if ending == ".parquet":
            table = pd.read_parquet(path)
            if isinstance(table.index, pd.RangeIndex):
                table = table.set_index(table.columns[0])
        else:
            separator = "\t" if ".tsv" in ending else ","
            table = pd.read_csv(path, sep=separator, index_col=0, low_memory=False)
    except (ValueError, OSError, EOFError, IndexError, ImportError) as error:
        raise InputError(
            f"The table {path} cannot be read ({error}); give one row a sample, its name first."
        ) from error
    table.index = table.index.map(str)
    table.columns = table.columns.map(str)
    known = table.index.isin(expression.sample_names)
    if table.index[known].has_duplicates:
        twice = table.index[known][table.index[known].duplicated()][0]
        raise InputError(f"The table {path} has the sample '{twice}' twice; keep one row of it.")
    if not known.any():
        raise InputError(
            f"The table {path} has none of the samples of {expression.origin} (its first is "
            f"'{table.index[0] if len(table) else ''}', the data's is "
            f"'{expression.sample_names[0]}'); its first column should be their names."
        )
    return table.reindex(expression.sample_names)


def _column(expression: Expression, table: pd.DataFrame | None, name: str) -> Any:
    """A pandas Series, a value a sample."""
    if table is not None and name in table.columns:
        return table[name]
    if table is not None and (expression.obs is None or name not in expression.obs.columns):
        raise InputError(
            f"The annotations have no column '{name}'; they have {', '.join(table.columns)}."
        )
    expression.labels(name)  # it says which columns there are
    assert expression.obs is not None
    columns = [str(column) for column in expression.obs.columns]
    return expression.obs.iloc[:, columns.index(name)]


def _plain_array(column: Any) -> Labels:
    """A categorical as what its categories are; whole numbers stay whole."""
    array: Labels = np.asarray(column.tolist())
    return array if array.dtype.kind in "biuf" else np.array(column.tolist(), dtype=object)


def _side_by_side(parts: list[Labels]) -> Labels:
    pair = np.empty((len(parts[0]), len(parts)), dtype=object)
    for position, part in enumerate(parts):
        pair[:, position] = part
    return pair
