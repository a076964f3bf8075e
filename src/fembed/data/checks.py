"""Checks of data that no model could be trained on, or no sample placed with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fembed.data.chunks import row_chunks
from fembed.data.names import Names, refuse_blank, refuse_duplicates
from fembed.errors import InputError

if TYPE_CHECKING:
    from fembed.data.expression import Expression


def check(expression: Expression, min_samples: int, allow_unobserved_genes: bool) -> None:
    """Raise InputError as `Expression.check` says."""
    if expression.values.size == 0:
        raise InputError(
            f"The matrix in {expression.origin} is empty "
            f"({expression.n_samples} samples x {expression.n_genes} genes); give one with entries."
        )
    if expression.n_samples < min_samples:
        raise InputError(
            f"{expression.origin} has {expression.n_samples} sample(s) but at least {min_samples} "
            "are needed; if the file is genes x samples, use --transpose."
        )
    refuse_blank(expression.sample_names, "sample", expression.origin)
    refuse_blank(expression.gene_names, "gene", expression.origin)
    refuse_duplicates(expression.sample_names, "sample", expression.origin)
    refuse_duplicates(expression.gene_names, "gene", expression.origin)
    observed_by_sample, observed_by_gene = _count_observed(expression)
    _refuse_unobserved(observed_by_sample, expression.sample_names, "sample", expression.origin)
    if not allow_unobserved_genes:
        _refuse_unobserved(observed_by_gene, expression.gene_names, "gene", expression.origin)


def _count_observed(expression: Expression) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Observed entries of every sample and of every gene; raises at an infinite entry."""
    by_sample = np.zeros(expression.n_samples, np.int64)
    by_gene = np.zeros(expression.n_genes, np.int64)
    for rows in row_chunks(*expression.values.shape):
        infinite = np.isinf(expression.values[rows])
        if infinite.any():
            row, gene = np.argwhere(infinite)[0]
            raise InputError(
                f"{expression.origin} holds an infinite value, or one beyond the range of 32-bit "
                f"floats, for sample '{expression.sample_names[rows.start + row]}' and gene "
                f"'{expression.gene_names[gene]}'; correct it or mark it as missing (NaN)."
            )
        observed = ~np.isnan(expression.values[rows])
        by_sample[rows] = observed.sum(axis=1)
        by_gene += observed.sum(axis=0)
    return by_sample, by_gene


def _refuse_unobserved(counts: NDArray[np.int64], names: Names, what: str, origin: str) -> None:
    empty = np.flatnonzero(counts == 0)
    if empty.size:
        raise InputError(
            f"The {what} '{names[empty[0]]}' has no observed entry in {origin} "
            f"({empty.size} such {what}(s)); remove it."
        )
