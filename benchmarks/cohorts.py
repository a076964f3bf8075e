"""The real data of the benchmarks, and folds that keep a patient's samples together.

Libraries are imported where they are used: `benchmarks.train`, whose memory is measured, needs only
the path.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.errors import InputError
from fembed.expression import Expression

COHORTS = Path(__file__).parents[2] / "shared" / "data" / "tcga_11_cohorts.h5ad"

Fold = tuple[NDArray[np.int64], NDArray[np.int64]]


def read(path: Path) -> Expression:
    """The matrix; `InputError` if it is not there."""
    if not path.exists():
        raise InputError(
            f"The data {path} are not there; give their place with --data (see "
            "benchmarks/README.md)."
        )
    from fembed import readers

    return readers.read(path)


def grouped_folds(groups: NDArray[Any], n_folds: int) -> list[Fold]:
    """(train, test) rows; no group is in both parts of a fold, every row is tested once."""
    from sklearn.model_selection import GroupKFold

    rows = np.zeros(len(groups))
    return list(GroupKFold(n_folds).split(rows, groups=groups))


def complete_genes(values: NDArray[np.float32], n_genes: int | None = None) -> NDArray[np.int64]:
    """Columns without a missing entry: the first ``n_genes`` of them."""
    return np.flatnonzero(~np.isnan(values).any(axis=0))[:n_genes]
