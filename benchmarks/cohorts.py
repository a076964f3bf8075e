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

from benchmarks.options import Common, option
from fembed import Expression, InputError

COHORTS = "tcga_11_cohorts"
N_FOLDS = 5

Fold = tuple[NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True)
class DataSet:
    """A file of the data folder and how its samples are used."""

    name: str
    label: str  # column of the classes
    group: str | None  # whose groups stay together in a fold; None: stratified by the label
    transform: Literal["log10", "none"]  # every rival gets log10(x + 1), or the file's values


DATA_SETS = {
    data.name: data
    for data in (
        DataSet(COHORTS, "label", "patient", "none"),
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
    names: tuple[NDArray[Any], NDArray[Any]] | None = None  # of samples, and of genes

    def folds(self, n_folds: int = N_FOLDS, seed: int | None = None) -> list[Fold]:
        """(train, test) rows: groups kept whole, else every class in every fold.

        Every row is tested once. Without a seed the folds are always the same.
        """
        from sklearn.model_selection import GroupKFold, StratifiedKFold

        kind = StratifiedKFold if self.groups is None else GroupKFold
        splitter = kind(n_folds, shuffle=seed is not None, random_state=seed)
        return list(splitter.split(np.zeros(len(self.labels)), self.labels, self.groups))

    def part(self, rows: NDArray[Any], genes: NDArray[Any] | slice = slice(None)) -> Expression:
        """Some samples, and some genes, under their names."""
        assert self.names is not None
        values = np.ascontiguousarray(self.values[rows][:, genes])
        return Expression.adopt(values, self.names[0][rows], self.names[1][genes])


@dataclass(frozen=True, kw_only=True)
class OnData(Common):
    """Options of a benchmark on real data."""

    data: tuple[str, ...] = option(
        (COHORTS,), "data sets by name, or .h5ad files of the same columns, with commas"
    )

    @property
    def files(self) -> list[Path]:
        """Where they are: known by their names, or files."""
        return [
            Path(name) if name.endswith(".h5ad") else self.folder / f"{name}.h5ad"
            for name in self.data
        ]

    def read(self) -> Labelled:
        """The first of them."""
        return labelled(self.files[0])


def labelled(path: Path) -> Labelled:
    """Read and transform a data set; an unknown file is read as the default data set is."""
    from fembed.data import readers

    if not path.exists():
        raise InputError(f"{path} is not there; choose --data of {', '.join(DATA_SETS)}, or files.")
    about = DATA_SETS.get(path.stem, DATA_SETS[COHORTS])
    expression = readers.read(path)
    values, names = expression.values, (expression.sample_names, expression.gene_names)
    if about.transform == "log10":
        values = np.log10(values + np.float32(1.0))
    labels = expression.labels(about.label)
    groups = None if about.group is None else expression.labels(about.group)
    return Labelled(path.stem, values, labels, groups, names)
