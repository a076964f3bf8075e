"""The transforms of a matrix, in place and in row chunks, and what they refuse."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fembed.data.chunks import row_chunks
from fembed.errors import InputError, shown

Transform = Literal["log10", "cpm", "none", "counts"]
#: What a matrix is transformed by; counts are not, they go with a likelihood of their own.
TRANSFORMS: tuple[str, ...] = get_args(Transform)[:-1]
#: Larger counts are none: no sequencer reads as often.
MAX_COUNT = 2.0**31
#: Largest value on the model's scale; sums of squares of larger ones overflow 32-bit floats.
MAX_VALUE = 1e12
_LN_10 = math.log(10.0)
#: What the counts of a sample are made to add up to by the transform cpm, unless it is told.
MILLION = 1e6


def check_transform(transform: Any) -> None:
    """Raise InputError for what is no transform."""
    if transform not in get_args(Transform):
        raise InputError(
            f"There is no transform {shown(transform)}; choose one of {', '.join(TRANSFORMS)}."
        )


def transform_in_place(
    values: NDArray[np.float32],
    transform: str,
    weight: float = 1.0,
    scale: NDArray[np.float64] | None = None,
) -> None:
    """Transform checked values; ``scale`` multiplies the samples before, ``weight`` all after."""
    if transform == "counts":
        return
    for rows in row_chunks(*values.shape):
        block = values[rows]
        if scale is not None:
            np.multiply(block, scale[rows, None], out=block, casting="same_kind")
        if transform != "none":
            # log1p, not log10(1 + x): float32 would lose the digits of a small x in the sum.
            np.log1p(block, out=block)
            np.multiply(block, np.float32(1 / _LN_10), out=block)
        if weight != 1.0:
            np.multiply(block, np.float32(weight), out=block)


def undo_log10(values: NDArray[np.float32]) -> None:
    """10**x - 1, at least 0, in place."""
    flat = values.reshape(-1)
    with np.errstate(over="ignore"):
        for part in row_chunks(flat.size, 1):
            # The exponent needs more digits than float32 has: its error is multiplied by the
            # exponent, 16 for a value of ten million.
            linear = np.expm1(flat[part].astype(np.float64) * _LN_10)
            flat[part] = np.maximum(linear, 0.0)


def refuse_values(
    values: NDArray[np.float32], transform: str, origin: str, sample_names: Any, gene_names: Any
) -> None:
    """Raise InputError for values that the transform cannot take."""
    if transform == "none":
        _refuse_extreme(values, origin, sample_names, gene_names)
        return
    if transform == "counts":
        _refuse_no_counts(values, origin, sample_names, gene_names)
        return
    for rows in row_chunks(*values.shape):
        negative = values[rows] < 0
        if negative.any():
            row, gene = (int(k) for k in np.argwhere(negative)[0])
            sample = rows.start + row
            raise InputError(
                f"{origin} holds the negative value {values[sample, gene]:g} for sample "
                f"{_called(sample_names, sample)} and gene {_called(gene_names, gene)}, which "
                f"the transform {transform} cannot take: it is for linear values. A model "
                "of data on a log scale is fitted with the transform none (--transform none; "
                "in Python transform='none' or preprocessing='none')."
            )


def _refuse_extreme(
    values: NDArray[np.float32], origin: str, sample_names: Any, gene_names: Any
) -> None:
    for rows in row_chunks(*values.shape):
        extreme = np.abs(values[rows]) > MAX_VALUE
        if extreme.any():
            row, gene = (int(k) for k in np.argwhere(extreme)[0])
            sample = rows.start + row
            raise InputError(
                f"{origin} holds the value {values[sample, gene]:g} for sample "
                f"{_called(sample_names, sample)} and gene {_called(gene_names, gene)}, which is "
                f"too large for squares in 32-bit floats (the limit is {MAX_VALUE:g}); give values "
                "in larger units, or take logarithms."
            )


def _refuse_no_counts(
    values: NDArray[np.float32], origin: str, sample_names: Any, gene_names: Any
) -> None:
    """Raise InputError for negative, fractional and impossibly large values, and empty samples."""
    for is_wrong, what, instead in _NO_COUNTS:
        number, n_observed, first = 0, 0, None
        for rows in row_chunks(*values.shape):
            block = values[rows]
            wrong = is_wrong(block)
            n_observed += int(np.count_nonzero(~np.isnan(block)))
            if first is None and wrong.any():
                row, gene = (int(k) for k in np.argwhere(wrong)[0])
                first = rows.start + row, gene
            number += int(np.count_nonzero(wrong))
        if first is not None:
            raise InputError(
                f"{number / n_observed:.2g} of the values in {origin} are {what}, such as "
                f"{values[first]:g} for sample {_called(sample_names, first[0])} and gene "
                f"{_called(gene_names, first[1])}, so they are no counts; {instead}."
            )
    for rows in row_chunks(*values.shape):
        block = values[rows]
        empty = (np.nansum(block, axis=1) == 0) & ~np.isnan(block).all(axis=1)
        if empty.any():
            sample = rows.start + int(np.argmax(empty))
            raise InputError(
                f"The sample {_called(sample_names, sample)} in {origin} has no counts: all of its "
                "values are zero; remove it, and others like it."
            )


_INSTEAD = (
    "the likelihood of counts is for raw counts, and other values are for models without it (with "
    "the transform cpm or log10 for linear values, none for logarithms)"
)
#: What counts cannot be, what such values are called, and what to do.
_NO_COUNTS: tuple[tuple[Any, str, str], ...] = (
    (
        lambda block: block < 0,
        "negative",
        _INSTEAD,
    ),
    (
        lambda block: ~np.isnan(block) & (block != np.rint(block)),
        "no whole numbers",
        f"round expected counts; {_INSTEAD}",
    ),
    (
        lambda block: block > MAX_COUNT,
        f"above {MAX_COUNT:.3g}",
        _INSTEAD,
    ),
)


def per_million(
    values: NDArray[np.float32],
    origin: str,
    sample_names: Any,
    partial: bool = False,
    target_sum: float = MILLION,
) -> NDArray[np.float64]:
    """A million, or another sum, over every sample's observed total.

    Raises InputError for a total of zero; with ``partial`` a sample may lack all values.
    """
    totals = np.empty(values.shape[0])
    for rows in row_chunks(*values.shape):
        # Float64, since a float32 sum of 20,000 counts loses digits.
        totals[rows] = np.nansum(values[rows], axis=1, dtype=np.float64)
        if partial:
            totals[rows][np.isnan(values[rows]).all(axis=1)] = np.nan
    empty = np.flatnonzero(totals == 0)
    if empty.size:
        raise InputError(
            f"The counts of sample {_called(sample_names, int(empty[0]))} in {origin} add up to "
            f"zero ({empty.size} such sample(s)), so it has no counts per million; remove it."
        )
    return target_sum / totals


def _called(names: Any, position: int) -> str:
    return f"number {position + 1}" if names is None else f"'{names[position]}'"
