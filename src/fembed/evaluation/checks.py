"""Arguments of `evaluate`, checked and in one form: matrix, labels, task, model, dimensions."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import _safe_indexing

from fembed.config import MAX_COMPONENTS, checked_whole
from fembed.data import account
from fembed.data.annotations import checked_object
from fembed.data.chunks import even_choice
from fembed.data.expression import Expression
from fembed.data.names import listed
from fembed.data.sparse import check_sparse, is_sparse
from fembed.errors import DataWarning, InputError, shown
from fembed.evaluation.folds import Fold
from fembed.evaluation.methods import OURS, Method
from fembed.evaluation.survival import Survival
from fembed.evaluation.tasks import Classification, Regression, Task, guess

TASKS: dict[str, Task] = {task.name: task for task in (Classification(), Regression(), Survival())}


def matrix(X: Any) -> tuple[Any, NDArray[np.object_]]:
    """What estimators are given, n_samples x n_genes, and the samples' names.

    A table, array or sparse matrix is passed on as it is, so that baselines keep its precision.
    """
    if isinstance(X, Expression):
        return X.values, X.sample_names
    X = checked_object(X)
    if not hasattr(X, "shape"):
        X = np.asarray(X)
    if len(X.shape) != 2:
        raise InputError(f"X has shape {X.shape}; give a matrix, n_samples x n_genes.")
    if is_sparse(X):
        check_sparse(X, "X")
        X = X.tocsr()  # rows are taken
    return X, listed(getattr(X, "index", None), X.shape[0], "sample", "X")


def warn_of_units(X: Any, transform: str) -> None:
    """Warn of unlikely units once, since warnings are not shown within folds."""
    rows = even_choice(X.shape[0], account.MAX_SAMPLES)
    some = Expression.from_array(_safe_indexing(X, rows), origin="X")
    doubt = account.unit_doubt(some.values, transform, "X")
    if doubt is not None:
        warnings.warn(doubt, DataWarning, stacklevel=3)


def column_of(X: Any, column: Any) -> Any:
    """``column``, or the annotation of that name."""
    if not isinstance(column, str):
        return column
    obs = getattr(X, "obs", None)
    if obs is None or column not in obs.columns:
        there = "no annotations" if obs is None else ", ".join(map(str, obs.columns))
        raise InputError(f"There is no column '{column}' in the annotations of X ({there}).")
    return obs[column].to_numpy()


def task_of(name: str | None, y: Any) -> Task:
    """The task of that name; without a name, the one that ``y`` looks like."""
    if name is None:
        name = guess(y)
    if not isinstance(name, str) or name not in TASKS:
        raise InputError(f"There is no task {shown(name)}; choose among {', '.join(TASKS)}.")
    return TASKS[name]


def model_of(task: Task, estimator: Any) -> Any:
    """The model of the task by its name, the task's first by default; any other as it is."""
    if estimator is None:
        return task.model(task.models[0])
    if not isinstance(estimator, str):
        return estimator
    if estimator not in task.models:
        raise InputError(
            f"There is no model '{estimator}' for {task.name}; choose among "
            f"{', '.join(task.models)}."
        )
    return task.model(estimator)


def checked_dims(dims: Sequence[int]) -> list[int]:
    """Different dimensions, or an `InputError`."""
    if isinstance(dims, int | np.integer):
        dims = [int(dims)]
    if isinstance(dims, str | bytes) or not np.iterable(dims):
        raise InputError(f"dims is {shown(dims)}; give whole numbers, such as [2, 8].")
    # Only so many, since an iterable may be endless.
    some = itertools.islice(dims, MAX_COMPONENTS + 1)
    checked = [checked_whole("A dimension in dims", d, 1, MAX_COMPONENTS) for d in some]
    if not checked or len(set(checked)) < len(checked):
        raise InputError("The dimensions are none, or one of them is given twice.")
    return checked


def check_sizes(
    task: Task, compared: Sequence[Method], folds: Sequence[Fold], n_genes: int, estimator: Any
) -> None:
    """Raise `InputError` for more dimensions or genes than the training samples determine."""
    smallest = min(len(fold.training) for fold in folds)
    largest = max((m.dimension or 0 for m in compared if m.name == OURS), default=0)
    if largest >= smallest:
        raise InputError(
            f"{largest} dimensions need more than the {smallest} training samples of a fold; ask "
            "for fewer dimensions or more folds."
        )
    # Cox's model on all genes would have a coefficient per gene, which needs more samples.
    own_model = estimator is None or isinstance(estimator, str)
    raw = task.name == "survival" and own_model and any(m.name == "raw" for m in compared)
    if raw and n_genes >= smallest:
        raise InputError(
            f"Cox's model cannot take {n_genes} genes with {smallest} training samples, so "
            "raw is no baseline for survival here; leave it out of baselines."
        )
