"""Folds that hold out one group of samples (a study) at a time, and which samples they measure."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.errors import DataWarning, InputError
from fembed.evaluation.folds import Fold, check_fold, checked_groups
from fembed.evaluation.tasks import Labels, Names, Task

#: With fewer samples, R2 is not defined, and an accuracy is 0 or 1.
MIN_MEASURED = 2


def held_out_folds(
    task: Task, y: Labels, held_out: Any, groups: Labels | None, names: Names
) -> list[Fold]:
    """A fold for every group: all others are its training part, and the group is its test part.

    Samples with a label that no other group has are in no test part, because nothing that was
    learned from the others can predict them.

    Parameters
    ----------
    held_out : array, n_samples
        The group of every sample.
    groups : array, n_samples, or None
        Samples of one of these (a patient) may not be in training and test.

    Raises
    ------
    InputError
        A sample without a group; a single group; a group with fewer than two samples that can be
        measured; a part from which nothing can be learned or measured.

    Warns
    -----
    DataWarning
        About samples whose label no other group has.
    """
    of_sample = _checked(held_out, names)
    values = np.unique(of_sample)
    if len(values) < 2:
        raise InputError(
            f"All {len(y)} samples are in the group '{values[0]}', so there is no other to train "
            "on; hold out groups of a column with two or more."
        )
    folds, unseen = [], []
    for number, value in enumerate(values, start=1):
        training, test = np.flatnonzero(of_sample != value), np.flatnonzero(of_sample == value)
        seen = _seen(task, y[training], y[test])
        _check_size(value, seen)
        unseen.append(test[~seen])
        n_unseen = int((~seen).sum())
        folds.append(Fold(1, number, training, test[seen], str(value), n_unseen))
    for fold in folds:
        check_fold(fold, task, y, groups)
    _warn_of_unseen(np.concatenate(unseen), y, of_sample)
    return folds


def _checked(held_out: Any, names: Names) -> Labels:
    """One group per sample; a text of blanks is none, as where labels are read."""
    array = np.asarray(held_out)
    if array.ndim == 1 and array.dtype.kind in "OU":
        array = array.astype(object)
        array[[isinstance(cell, str) and not cell.strip() for cell in array]] = None
    checked = checked_groups(array, names, "group to hold out")
    assert checked is not None  # which only None is
    return checked


def _seen(task: Task, training: Labels, test: Labels) -> NDArray[np.bool_]:
    """Which test samples have a label that training knows."""
    if task.name != "classification":
        return np.ones(len(test), bool)
    return np.isin(test, training)


def _check_size(group: Any, seen: NDArray[np.bool_]) -> None:
    if len(seen) >= MIN_MEASURED and not seen.any():
        raise InputError(
            f"None of the {len(seen)} samples of the group '{group}' has a label that another "
            "group has, so nothing can be measured when it is held out; choose another label, or "
            "leave that group out."
        )
    if seen.sum() < MIN_MEASURED:
        known = "" if seen.all() else " with a label that another group has"
        raise InputError(
            f"The group '{group}' has {seen.sum()} sample(s){known}, and measures need "
            f"{MIN_MEASURED} or more; merge it with another group, or leave it out."
        )


def _warn_of_unseen(rows: NDArray[np.intp], y: Labels, of_sample: Labels) -> None:
    if not len(rows):
        return
    warnings.warn(
        f"{len(rows)} sample(s) have a label that no other group has (such as '{y[rows[0]]}' in "
        f"the group '{of_sample[rows[0]]}'); it cannot be predicted when their group is held out, "
        "so these samples are left out of the measures.",
        DataWarning,
        stacklevel=3,
    )
