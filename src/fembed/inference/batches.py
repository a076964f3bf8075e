"""Which batches the samples given to a trained model are in, and their profiles without effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.data.expression import Expression
from fembed.data.labels import MISSING, columns_of, labels_of, values_of
from fembed.data.names import Names
from fembed.engine import Float32
from fembed.errors import InputError, shown
from fembed.inference.matching import Matched, training_rows
from fembed.model import Model
from fembed.solvers.batch_effects import COMMON, NO_BATCH, BatchColumn, BatchEffects, SampleEffects

Columns = str | Sequence[str] | Mapping[str, Any] | None


def effects_of(
    model: Model, expression: Expression, batch: Columns, covariates: Columns = None
) -> SampleEffects | None:
    """The effects on new samples that are in batches of the model; None at the common level.

    Parameters and errors as of `members_of`.
    """
    found = members_of(model, expression, batch, covariates)
    if found is None or model.batch_effects is None:
        return None
    return model.batch_effects.of_samples(*found, expression.n_samples)


Members = tuple[list[NDArray[np.int64]], list[NDArray[np.float64]]]


def members_of(
    model: Model, expression: Expression, batch: Columns, covariates: Columns = None
) -> Members | None:
    """The batches, and standardised covariates, of new samples; None if none are given.

    Parameters
    ----------
    model : Model
    expression : Expression
        The new samples.
    batch : str, sequence of str or mapping, optional
        Columns of the annotations, one for each of the model's batch columns (named as these are,
        if there are several); or, by name, a value per sample.
    covariates : the same, optional
        The model's covariates by name; one that is not given has its mean.

    Raises
    ------
    InputError
        Batches or a covariate that the model does not have, or a sample without a value.

    Returns
    -------
    codes : for each batch column of the model, int64, n_samples
    values : for each covariate of the model, float64, n_samples
    """
    if batch is None and covariates is None:
        return None
    effects = model.batch_effects
    if effects is None:
        raise InputError(
            "The model has no batches or covariates; leave them out, or fit it with them (fembed "
            "fit --batch COLUMN)."
        )
    given = labels_of(expression, batch, called="batch")
    n_samples = expression.n_samples
    codes, numbers = effects.nowhere(n_samples)
    for name, texts in given.items():
        number = _column_of(effects, name, len(given))
        codes[number] = _codes(effects.columns[number], texts, expression)
    known = [covariate.name for covariate in effects.covariates]
    for name, column in columns_of(expression, covariates, called="covariates").items():
        if name not in known:
            raise InputError(
                f"The model has no covariate '{name}'; it has {', '.join(known) or 'none'}."
            )
        covariate = effects.covariates[known.index(name)]
        values = np.array([_number(value) for value in column])
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            raise InputError(
                f"The covariate '{name}' in {expression.origin} is "
                f"{shown(list(column)[int(bad[0])])} for the sample "
                f"'{expression.sample_names[bad[0]]}', which is not a finite number; give each "
                "sample a number, or leave the covariate out."
            )
        numbers[known.index(name)] = (values - covariate.mean) / covariate.sd
    return codes, numbers


def by_sample(columns: Columns, sample_names: Names) -> Columns:
    """The same with values as Series by sample name, so that they fit parts of the samples, too.

    Raises
    ------
    InputError
        Values that do not fit the samples.
    """
    import pandas as pd

    if not isinstance(columns, Mapping):
        return columns
    found = {}
    for name, values in columns.items():
        in_order = values_of(values, sample_names, f"values of '{name}'")
        found[str(name)] = pd.Series(in_order.to_numpy(), pd.Index(sample_names))
    return found


def _column_of(effects: BatchEffects, name: str, n_given: int) -> int:
    """The model's batch column that a column of new samples stands for."""
    known = [column.name for column in effects.columns]
    if name in known:
        return known.index(name)
    if len(known) == n_given == 1:
        return 0
    raise InputError(
        f"The model has no batch column '{name}'; it has {', '.join(known) or 'none'}, and columns "
        "of new samples must be called as these are where there are several."
    )


def _codes(column: BatchColumn, texts: Names, expression: Expression) -> NDArray[np.int64]:
    number = {level: position for position, level in enumerate(column.levels)} | {COMMON: NO_BATCH}
    for row, text in enumerate(texts):
        if text not in number:
            what = "no batch" if text == MISSING else f"the batch '{text}'"
            raise InputError(
                f"The sample '{expression.sample_names[row]}' in {expression.origin} has {what}, "
                f"and the model knows {', '.join(column.levels[:8])}; correct it, or write "
                f"'{COMMON}' there to take the sample as it is."
            )
    return np.array([number[text] for text in texts], np.int64)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def at_common_level(found: Matched, effects: SampleEffects | None) -> Matched:
    """The same samples with their profiles at the common level, whose memory may be changed."""
    if effects is None:
        return found
    effects.take_genes(found.genes).remove(found.profiles)
    return replace(found, profiles=found.profiles)


def remove_of_training(
    model: Model,
    sample_names: Names,
    values: Float32,
    genes: NDArray[np.intp] | None = None,
) -> None:
    """Bring measured profiles to the common level, in place: those of training samples, by name.

    Parameters
    ----------
    sample_names : array of str, k
    values : float32, k x n_genes (or k x len(genes))
        On the model's scale.
    genes : row numbers in the model, optional
    """
    if model.batch_effects is None:
        return
    at = training_rows(model, sample_names, "the data")
    rows = np.flatnonzero(at >= 0)
    if not rows.size:
        return
    effects = model.batch_effects.of_training().take_samples(at[rows])
    if genes is not None:
        effects = effects.take_genes(genes)
    some = np.ascontiguousarray(values[rows])
    effects.remove(some)
    values[rows] = some
