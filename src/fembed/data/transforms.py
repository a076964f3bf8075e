"""The transforms of a matrix, in place and in row chunks, and what they refuse."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fembed.data.chunks import row_chunks
from fembed.errors import InputError, shown

Transform = Literal["log10", "cpm", "none"]
TRANSFORMS: tuple[str, ...] = get_args(Transform)
#: Largest value on the model's scale; sums of squares of larger ones overflow 32-bit floats.
MAX_VALUE = 1e12
_LN_10 = math.log(10.0)


def check_transform(transform: Any) -> None:
    """Raise InputError for what is no transform."""
    if transform not in TRANSFORMS:
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


def per_million(
    values: NDArray[np.float32], origin: str, sample_names: Any, partial: bool = False
) -> NDArray[np.float64]:
    """A million over every sample's observed total.

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
    return 1e6 / totals


def _called(names: Any, position: int) -> str:
    return f"number {position + 1}" if names is None else f"'{names[position]}'"
