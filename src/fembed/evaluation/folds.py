"""Which samples are tested in which fold; folds that would leak or measure nothing are refused."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.errors import InputError, shown
from fembed.evaluation.tasks import Labels, Names, Task, refuse_missing

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Fold:
    """One split; ``repeat`` and ``number`` count from 1.

    ``held_out`` is the group that it holds out, if it holds out one, and ``n_unseen`` how many of
    the group's samples are not tested, because no training sample has their label.
    """

    repeat: int
    number: int
    training: Rows
    test: Rows
    held_out: str | None = None
    n_unseen: int = 0

    def __str__(self) -> str:
        if self.held_out is not None:
            return f"The fold that holds out '{self.held_out}'"
        return f"Fold {self.number} of repeat {self.repeat}"


def make_folds(
    task: Task, y: Labels, groups: Labels | None, cv: Any, repeats: int, seed: int
) -> list[Fold]:
    """The folds of all repeats, checked.

    Parameters
    ----------
    cv : int, scikit-learn splitter, or iterable of (training, test) rows
        A number makes shuffled folds, anew for each repeat: stratified by label (by event for
        survival, not for regression), and with no group in two folds if there are groups.

    Raises
    ------
    InputError
        Fewer samples, members of a class or groups than folds; a test sample, or one of its
        group, in the training part; a part from which nothing can be learned or measured.
    """
    if isinstance(cv, int | np.integer) and not isinstance(cv, bool):
        if cv > len(y):
            raise InputError(
                f"{len(y)} samples are too few for {shown(int(cv))} folds; ask for fewer folds."
            )
        _check_counts(task, y, groups, int(cv), repeats)
        folds = _shuffled(task, y, groups, int(cv), repeats, seed)
    else:
        if repeats != 1:
            raise InputError(
                "repeats is for a number of folds; a splitter repeats by itself (RepeatedKFold, "
                "say)."
            )
        folds = _given(cv, y, groups)
    for fold in folds:
        check_fold(fold, task, y, groups)
    return folds


def checked_groups(groups: Any, names: Names, what: str = "group") -> Labels | None:
    """One group per sample, as an array; InputError for a missing one, called ``what``."""
    if groups is None:
        return None
    array = np.asarray(groups)
    if array.shape != names.shape:
        raise InputError(
            f"The groups have shape {array.shape} for {len(names)} samples; give one per sample."
        )
    refuse_missing(array, what, names)
    return array.astype(str) if array.dtype.kind == "O" else array


def _shuffled(
    task: Task, y: Labels, groups: Labels | None, n_folds: int, repeats: int, seed: int
) -> list[Fold]:
    from sklearn import model_selection as ms

    strata = task.strata(y)
    kinds = {
        (False, False): ms.KFold,
        (True, False): ms.StratifiedKFold,
        (False, True): ms.GroupKFold,
        (True, True): ms.StratifiedGroupKFold,
    }
    kind = kinds[strata is not None, groups is not None]
    folds = []
    for repeat in range(repeats):
        splitter = kind(n_folds, shuffle=True, random_state=seed + repeat)
        splits = splitter.split(np.empty((len(y), 0)), strata, groups)
        folds += [Fold(repeat + 1, k, *split) for k, split in enumerate(splits, start=1)]
    return folds


def _given(cv: Any, y: Labels, groups: Labels | None) -> list[Fold]:
    from sklearn.model_selection import check_cv

    try:
        with warnings.catch_warnings():
            # `check_fold` sees to it whether that parts a group.
            warnings.filterwarnings("ignore", "The groups parameter is ignored")
            splits = list(check_cv(cv).split(np.empty((len(y), 0)), y, groups))
    except (TypeError, ValueError) as error:
        raise InputError(f"cv cannot split these samples: {error}") from error
    if not splits:
        raise InputError("cv has no fold; give at least two.")
    rows = np.arange(len(y))
    return [
        Fold(1, k, rows[training], rows[test]) for k, (training, test) in enumerate(splits, start=1)
    ]


def _check_counts(task: Task, y: Labels, groups: Labels | None, n_folds: int, repeats: int) -> None:
    if n_folds < 2 or repeats < 1:
        raise InputError(
            f"{n_folds} fold(s) and {repeats} repeat(s) are asked for; 2 folds and 1 repeat are "
            "the least."
        )
    n_groups = len(y) if groups is None else len(np.unique(groups))
    if n_groups < n_folds:
        raise InputError(
            f"The groups are {n_groups}, fewer than the {n_folds} folds, so that some group would "
            "be in training and test; ask for fewer folds or finer groups."
        )
    strata = task.strata(y)
    if strata is None:
        return
    for label in np.unique(strata):
        members = strata == label
        called = _called(task, label)
        if members.sum() < n_folds:
            raise InputError(
                f"{called} has {members.sum()} member(s), fewer than the {n_folds} folds; ask for "
                "fewer folds, or merge or leave out that class."
            )
        if groups is not None and len(np.unique(groups[members])) < n_folds:
            raise InputError(
                f"{called} is in {len(np.unique(groups[members]))} group(s), fewer than the "
                f"{n_folds} folds; ask for fewer folds, or merge or leave out that class."
            )


def _called(task: Task, label: Any) -> str:
    if task.name == "survival":
        return "The event" if label else "The outcome without event"
    return f"The class '{label}'"


def check_fold(fold: Fold, task: Task, y: Labels, groups: Labels | None) -> None:
    """Raise InputError for a fold that would leak, or in which nothing is learned or measured."""
    if not len(fold.training) or not len(fold.test):
        raise InputError(f"{fold} has an empty part; choose other folds.")
    shared = np.intersect1d(fold.training, fold.test)
    if shared.size:
        raise InputError(
            f"{fold} has sample number {shared[0] + 1} in both training and test; choose other "
            "folds."
        )
    if groups is not None:
        tied = np.intersect1d(groups[fold.training], groups[fold.test])
        if tied.size:
            raise InputError(
                f"{fold} has samples of the group '{tied[0]}' in both training and test "
                f"({tied.size} such group(s)); choose a cv that keeps groups together, such as "
                "GroupKFold."
            )
    task.check_training(y[fold.training], str(fold))
    task.check_test(y[fold.test], str(fold))
