"""The real data of the benchmarks, and folds that keep a patient's samples together.

Libraries are imported where they are used: `benchmarks.train`, whose memory is measured, needs only
the path.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fembed.data.expression import Expression
from fembed.errors import InputError

FOLDER = Path(__file__).parents[2] / "shared" / "data"
COHORTS = FOLDER / "tcga_11_cohorts.h5ad"

Fold = tuple[NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True)
class DataSet:
    """A file of the data folder and how its samples are used.

    Attributes
    ----------
    label : str
        Column of the classes.
    group : str or None
        Column whose groups stay together in a fold; None for folds stratified by the label.
    transform : {"log10", "none"}
        What every rival gets: log10(x + 1) of counts, or the file's values.
    """

    name: str
    label: str
    group: str | None
    transform: Literal["log10", "none"]


DATA_SETS = {
    data.name: data
    for data in (
        DataSet("tcga_11_cohorts", "label", "patient", "none"),
        DataSet("tcga_7_types_counts", "cancer_type", None, "log10"),
    )
}


@dataclass(frozen=True)
class Labelled:
    """A matrix as every rival gets it (float32, NaN where missing), its classes and its groups."""

    name: str
    values: NDArray[np.float32]
    labels: NDArray[Any]
    groups: NDArray[Any] | None

    def folds(self, n_folds: int, seed: int) -> list[Fold]:
        """(train, test) rows: groups kept whole, else every class in every fold."""
        from sklearn.model_selection import StratifiedKFold

        if self.groups is not None:
            return grouped_folds(self.groups, n_folds, seed)
        splitter = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
        return list(splitter.split(np.zeros(len(self.labels)), self.labels))


def labelled(data: DataSet, folder: Path = FOLDER, most_genes: int | None = None) -> Labelled:
    """Read and transform a data set; with ``most_genes``, evenly many of its genes (a trial)."""
    expression = read(folder / f"{data.name}.h5ad")
    values, name = expression.values, data.name
    if most_genes is not None and most_genes < expression.n_genes:
        chosen = np.linspace(0, expression.n_genes - 1, most_genes).round().astype(np.int64)
        values, name = np.ascontiguousarray(values[:, chosen]), f"{name}, {most_genes} genes"
    if data.transform == "log10":
        values = np.log10(values + np.float32(1.0))
    groups = None if data.group is None else expression.labels(data.group)
    return Labelled(name, values, expression.labels(data.label), groups)


def read(path: Path) -> Expression:
    """The matrix; `InputError` if it is not there."""
    if not path.exists():
        raise InputError(
            f"The data {path} are not there; say where with --data or --folder (see "
            "benchmarks/README.md)."
        )
    from fembed.data import readers

    return readers.read(path)


def grouped_folds(groups: NDArray[Any], n_folds: int, seed: int | None = None) -> list[Fold]:
    """(train, test) rows; no group is in both parts of a fold, every row is tested once.

    Without a seed the folds are always the same.
    """
    from sklearn.model_selection import GroupKFold

    rows = np.zeros(len(groups))
    folds = GroupKFold(n_folds, shuffle=seed is not None, random_state=seed)
    return list(folds.split(rows, groups=groups))


def complete_genes(values: NDArray[np.float32], n_genes: int | None = None) -> NDArray[np.int64]:
    """Columns without a missing entry: the first ``n_genes`` of them."""
    return np.flatnonzero(~np.isnan(values).any(axis=0))[:n_genes]
