"""Which batches and covariates the samples of a training have, checked before it begins."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.data.expression import Expression
from fembed.data.labels import MISSING, columns_of, labels_of
from fembed.data.names import Names
from fembed.errors import DataWarning, InputError, shown
from fembed.facts import counted
from fembed.solvers.batch_effects import COMMON, BatchColumn, BatchEffects, Covariate
from fembed.train.batch_shifts import Design

Columns = str | Sequence[str] | Mapping[str, Any] | None

#: Where shifts of a column's batches explain less of the variance than this, they are none.
NEGLIGIBLE = 0.002


def design_of(expression: Expression, batches: Columns, covariates: Columns) -> Design | None:
    """The batches and covariates of a training; None without any.

    Parameters
    ----------
    expression : Expression
    batches, covariates : str, sequence of str, mapping or None
        Columns of the annotations; or, by name, a value per sample (a Series by sample name).

    Raises
    ------
    InputError
        A column that is not there, has gaps or is constant; a batch of a single sample; a covariate
        that is not made of numbers; a name twice.
    """
    columns = tuple(
        _batch_column(name, texts, expression)
        for name, texts in labels_of(expression, batches, called="batches").items()
    )
    numbers = tuple(
        _covariate(name, values, expression)
        for name, values in columns_of(expression, covariates, called="covariates").items()
    )
    names = [column.name for column in columns] + [covariate.name for covariate in numbers]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"The column '{name}' is given twice, as batches and as a covariate.")
    return Design(columns, numbers) if names else None


def _batch_column(name: str, texts: Names, expression: Expression) -> BatchColumn:
    called = f"The batch column '{name}' in {expression.origin}"
    lacking = [row for row, text in enumerate(texts) if text == MISSING or not text.strip()]
    if lacking:
        raise InputError(
            f"{called} has no value for {counted(len(lacking), 'sample')}, such as "
            f"'{expression.sample_names[lacking[0]]}'; give each sample its batch, or leave these "
            "samples out."
        )
    levels, codes, counts = np.unique(texts.astype(str), return_inverse=True, return_counts=True)
    if len(levels) == 1:
        raise InputError(
            f"{called} has the one batch '{levels[0]}', so there is nothing to compare; leave it "
            "out."
        )
    if counts.min() == 1:
        alone = levels[int(np.argmin(counts))]
        row = int(np.argmin(counts[codes]))
        raise InputError(
            f"{called} has the one sample '{expression.sample_names[row]}' in the batch '{alone}', "
            "which cannot tell the batch from itself; put it into another batch, or leave it out."
        )
    if COMMON in levels:
        raise InputError(
            f"{called} has a batch called '{COMMON}', which is the name of the common level; "
            "rename it."
        )
    return BatchColumn(name, tuple(map(str, levels)), codes.astype(np.int64))


def _covariate(name: str, column: Any, expression: Expression) -> Covariate:
    called = f"The covariate '{name}' in {expression.origin}"
    values = np.array([_number(value) for value in column], np.float64)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        value = list(column)[int(bad[0])]
        raise InputError(
            f"{called} is {shown(value)} for the sample '{expression.sample_names[bad[0]]}', which "
            "is not a finite number; give each sample a number, or leave these samples out."
        )
    mean, sd = float(values.mean()), float(values.std())
    if not sd > 1e-9 * max(1.0, abs(mean)):
        raise InputError(f"{called} is {mean:g} for all samples, which says nothing; leave it out.")
    return Covariate(name, mean, sd, values)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def digest(design: Design) -> str:
    """SHA-256 of the batches and covariates, for the digest of a fit."""
    total = hashlib.sha256()
    for column in design.columns:
        total.update(repr((column.name, column.levels)).encode() + column.codes.tobytes())
    for covariate in design.covariates:
        total.update(repr(covariate.name).encode() + covariate.values.tobytes())
    return total.hexdigest()


def warn_of_doubts(effects: BatchEffects, apart: Sequence[NDArray[np.bool_]]) -> None:
    """Warn where batches cannot be told from what their samples are, and where there are none.

    Parameters
    ----------
    effects : BatchEffects
    apart : for each column, a bool per batch
        Whether its samples had none of the other batches' beside them, before the effects were
        removed.
    """
    for column, share, alone in zip(effects.columns, effects.explained, apart, strict=False):
        if column.left:
            warnings.warn(
                f"What sets the batch {_listed(column.left)} of '{column.name}' apart may be the "
                "kinds of its samples: they vary among each other in other ways than those of the "
                "other batches do. Its values are left as they are.",
                DataWarning,
                stacklevel=4,
            )
        others = [
            level
            for level, is_alone in zip(column.levels, alone, strict=True)
            if is_alone and level not in column.left
        ]
        if others:
            warnings.warn(
                f"The samples of the batch {_listed(others)} of '{column.name}' have none of "
                "another batch beside them; if batches hold different kinds of samples, what "
                "differs between the kinds is taken for the batch, too.",
                DataWarning,
                stacklevel=4,
            )
        if abs(share) < NEGLIGIBLE and len(column.left) < len(column.levels):
            warnings.warn(
                f"The batches of '{column.name}' explain {max(share, 0.0):.2%} of the variance: "
                "they differ in nothing that matters, and could be left out.",
                DataWarning,
                stacklevel=4,
            )


def _listed(names: Sequence[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(f"'{name}'" for name in names[:most]) + more
