"""Which batches and covariates the samples of a training have, checked before it begins."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.data.expression import Expression
from fembed.data.labels import MISSING, columns_of, known, labels_of
from fembed.data.names import Names
from fembed.errors import DataWarning, InputError, shown
from fembed.facts import counted
from fembed.solvers.batch_effects import COMMON, BatchColumn, BatchEffects, Covariate
from fembed.train.batch_shifts import Design

Columns = str | Sequence[str] | Mapping[str, Any] | None

#: Where shifts of a column's batches explain less of the variance than this, they are none.
NEGLIGIBLE = 0.002


def design_of(expression: Expression, batch: Columns, covariates: Columns) -> Design | None:
    """The batches and covariates of a training; None without any.

    Parameters
    ----------
    expression : Expression
    batch, covariates : str, sequence of str, mapping or None
        Columns of the annotations; or, by name, a value per sample (a Series by sample name).

    Raises
    ------
    InputError
        A column that is not there, has gaps or is constant; a batch of a single sample; a covariate
        that is not made of numbers; a name twice.
    """
    columns = tuple(
        _batch_column(name, texts, expression)
        for name, texts in labels_of(expression, batch, called="batch").items()
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


def warn_of_doubts(
    effects: BatchEffects, apart: Sequence[NDArray[np.bool_]], labels: Mapping[str, Names]
) -> None:
    """Warn where batches cannot be told from what their samples are, and where there are none.

    Parameters
    ----------
    effects : BatchEffects
    apart : for each column, a bool per batch
        Whether its samples have none of the other batches' beside them, with the effects removed.
    labels : dict of arrays of str, n_samples
        What is known of the samples, by name.
    """
    for column, share, alone in zip(effects.columns, effects.explained, apart, strict=False):
        kept = [level for level in column.levels if level not in column.left]
        if column.left:
            _warn(
                f"The samples of {_batches(column.left)} of '{column.name}' vary among each other "
                "in other ways than those of the other batches, so what sets them apart may be "
                "their kinds and not the batch; their values are left as they are."
            )
        lonely = [
            level
            for level, is_alone in zip(column.levels, alone, strict=True)
            if is_alone and level in kept
        ]
        if lonely:
            _warn(
                f"The samples of {_batches(lonely)} of '{column.name}' lie beside none of another "
                "batch, also with the shifts removed: batch and kind of sample cannot be told "
                "apart there."
            )
        for name, texts in labels.items():
            own = [level for level in _without_common_label(column, texts) if level in kept]
            if own:
                _warn(
                    f"The samples of {_batches(own)} of '{column.name}' share no value of '{name}' "
                    "with another batch, so batch and kind of sample cannot be told apart, and "
                    f"removing the batches may remove differences between values of '{name}'."
                )
        if abs(share) < NEGLIGIBLE and kept:
            _warn(
                f"The batches of '{column.name}' explain {max(share, 0.0):.2%} of the variance: "
                "they differ in nothing that matters, and could be left out."
            )


def _warn(sentence: str) -> None:
    warnings.warn(sentence, DataWarning, stacklevel=5)


def _without_common_label(column: BatchColumn, texts: Names) -> list[str]:
    """Batches none of whose labels occur in another batch; none where labels are names."""
    is_known = known(texts)
    _, codes = np.unique(texts[is_known].astype(str), return_inverse=True)
    if not codes.size or 2 * (codes.max() + 1) > codes.size:
        return []
    there = np.zeros((len(column.levels), codes.max() + 1), bool)
    there[column.codes[is_known], codes] = True
    shared = there.sum(axis=0) > 1
    own = there.any(axis=1) & ~(there & shared).any(axis=1)
    return [level for level, is_own in zip(column.levels, own, strict=True) if is_own]


def _batches(names: Sequence[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    word = "the batch" if len(names) == 1 else "the batches"
    return f"{word} " + ", ".join(f"'{name}'" for name in names[:most]) + more
