"""Which label each training sample has: kept in the model, given, or in a reference."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.data.expression import Expression
from fembed.data.labels import known, texts_of
from fembed.data.names import Names, refuse_duplicates
from fembed.errors import DataWarning, InputError, shown
from fembed.facts import counted
from fembed.inference.matching import training_rows
from fembed.model import Model

#: With fewer labelled samples it is not known how probable a label is.
MIN_LABELLED = 20
#: The probabilities of a label with fewer samples are uncertain.
FEW = 5


def of_training(model: Model, labels: Any, reference: Any) -> tuple[Names, str]:
    """A text for every training sample, and what the labels are called in messages.

    Parameters and errors as of `fembed.annotate`.
    """
    if reference is not None:
        return _labels_in(reference, labels, model)
    if labels is not None and not isinstance(labels, str):
        return texts_of(labels, model.sample_names), "label"
    if labels is None and len(model.labels) == 1:
        (labels,) = model.labels
    if labels in model.labels:
        return model.labels[labels], f"label '{labels}'"
    there = ", ".join(model.labels) or "no labels"
    asked = "" if labels is None else f", not {shown(labels)}"
    do = "name one of these" if model.labels else "fit with fembed fit --label or labels="
    raise InputError(
        f"The model keeps {there}{asked}; {do}, or give a reference with the labels of the "
        "training samples."
    )


def _labels_in(reference: Any, column: Any, model: Model) -> tuple[Names, str]:
    """The column of a reference, for the training samples."""
    import pandas as pd

    if not isinstance(column, str):
        raise InputError("reference needs the name of its column; give labels=COLUMN.")
    table = reference if isinstance(reference, pd.DataFrame) else getattr(reference, "obs", None)
    if isinstance(table, pd.DataFrame) and not isinstance(reference, Expression):
        nothing = np.empty((len(table), 0), np.float32)  # the expression is not needed
        held = Expression.adopt(nothing, table.index, [], origin="the reference", obs=table)
    else:
        held = Expression.of(reference)
    texts = held.labels(column)
    at = training_rows(model, held.sample_names, held.origin)
    if not (at >= 0).any():
        raise InputError(
            f"{held.origin} has none of the model's {model.n_samples} training samples (its first "
            f"is '{held.sample_names[0]}', the model's is '{model.sample_names[0]}'); give the "
            "data that the model was trained on."
        )
    ours = set(model.sample_names)
    refuse_duplicates((name for name in held.sample_names if name in ours), "sample", held.origin)
    found = texts_of([None] * model.n_samples, model.sample_names)
    found[at[at >= 0]] = texts[at >= 0]
    return found, f"label '{column}'"


def labelled_rows(texts: Names, called: str) -> NDArray[np.intp]:
    """The rows of the training samples that have a label.

    Raises
    ------
    InputError
        Fewer than 20 have one.

    Warns
    -----
    DataWarning
        About those that have none.
    """
    there = known(texts)
    rows = np.flatnonzero(there)
    if len(rows) < MIN_LABELLED:
        raise InputError(
            f"{counted(len(rows), 'training sample')} of {len(texts)} have a {called}, and "
            f"{MIN_LABELLED} are needed; give labels of more."
        )
    if len(rows) < len(texts):
        warnings.warn(
            f"{len(texts) - len(rows)} of {len(texts)} training samples have no {called} and have "
            "no part in the reference.",
            DataWarning,
            stacklevel=3,
        )
    return rows


def check_labels(names: NDArray[Any], codes: NDArray[np.intp], called: str) -> None:
    """Raise InputError for a single label, and warn of labels of a handful of samples."""
    if len(names) == 1:
        raise InputError(
            f"All training samples have the {called} {shown(str(names[0]))}, so there is nothing "
            "to tell apart; give labels of two kinds or more."
        )
    counts = np.bincount(codes)
    if counts.min() < FEW:
        few = np.flatnonzero(counts < FEW)
        warnings.warn(
            f"{counted(len(few), 'label')} of {len(names)} have fewer than {FEW} training samples, "
            f"such as '{names[few[0]]}' with {counts[few[0]]}; their probabilities are uncertain.",
            DataWarning,
            stacklevel=3,
        )
