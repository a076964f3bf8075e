"""From the units of a file to the scale a model is trained on, and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fembed.data.chunks import row_chunks
from fembed.errors import InputError, shown

if TYPE_CHECKING:
    from fembed.data.expression import Expression

Transform = Literal["log10", "cpm", "none"]
TRANSFORMS: tuple[str, ...] = get_args(Transform)
#: Largest value on the model's scale; sums of squares of larger ones overflow 32-bit floats.
MAX_VALUE = 1e12
_LN_10 = math.log(10.0)


@dataclass(frozen=True)
class Preprocessing:
    """How expression is transformed before a model sees it.

    Parameters
    ----------
    transform : {"log10", "cpm", "none"}
        ``log10``: log10(x + 1). ``cpm``: counts per million of the sample's observed total, then
        log10(x + 1). ``none``: values that are on a log scale already.

    Examples
    --------
    >>> logs = fembed.Preprocessing("log10")
    >>> values = logs.apply(np.array([[0.0, 9.0, 99.0]], np.float32))
    >>> values.tolist(), logs.invert(values).tolist()
    ([[0.0, 1.0, 2.0]], [[0.0, 9.0, 99.0]])
    """

    transform: Transform = "log10"

    def __post_init__(self) -> None:
        if self.transform not in TRANSFORMS:
            raise InputError(
                f"There is no transform {shown(self.transform)}; choose one of "
                f"{', '.join(TRANSFORMS)}."
            )

    def apply(
        self,
        values: NDArray[np.float32],
        origin: str = "the data",
        *,
        sample_names: Sequence[str] | NDArray[np.object_] | None = None,
        gene_names: Sequence[str] | NDArray[np.object_] | None = None,
    ) -> NDArray[np.float32]:
        """Transform ``values`` in place, in row chunks; missing entries stay missing.

        Parameters
        ----------
        values : float32 array, n_samples x n_genes
            In the units of the file. Nothing is changed if an error is raised.
        origin, sample_names, gene_names
            How a message calls the data, a sample and a gene (positions by default).

        Returns
        -------
        values : the same array

        Raises
        ------
        InputError
            For a negative value; with ``cpm`` for a sample whose counts add up to zero; with
            ``none`` for a value beyond `MAX_VALUE`.
        """
        if values.dtype != np.float32 or values.ndim != 2:
            raise TypeError("values must be a two-dimensional float32 array.")
        if self.transform == "none":
            _refuse_extreme(values, origin, sample_names, gene_names)
            return values
        self._refuse_negative(values, origin, sample_names, gene_names)
        scale = None
        if self.transform == "cpm":
            scale = _per_million(values, origin, sample_names)
        for rows in row_chunks(*values.shape):
            block = values[rows]
            if scale is not None:
                np.multiply(block, scale[rows, None], out=block, casting="same_kind")
            # log1p, not log10(1 + x): float32 would lose the digits of a small x in the sum.
            np.log1p(block, out=block)
            np.multiply(block, np.float32(1 / _LN_10), out=block)
        return values

    def apply_to(self, expression: Expression) -> NDArray[np.float32]:
        """Transform an Expression's ``values`` in place and return them; raises as `apply`."""
        return self.apply(
            expression.values,
            expression.origin,
            sample_names=expression.sample_names,
            gene_names=expression.gene_names,
        )

    def invert(self, values: ArrayLike) -> NDArray[np.float32]:
        """Values on the model's scale in the units of the input, as a new float32 array.

        ``log10`` gives 10**x - 1 but at least 0, as expression is; ``cpm`` counts per million;
        ``none`` the values themselves. Any shape; a result beyond float32 is infinite.
        """
        inverted = np.array(values, dtype=np.float32, order="C", ndmin=1)
        if self.transform != "none":
            flat = inverted.reshape(-1)
            with np.errstate(over="ignore"):
                for part in row_chunks(flat.size, 1):
                    # The exponent needs more digits than float32 has: its error is multiplied by
                    # the exponent, 16 for a value of ten million.
                    linear = np.expm1(flat[part].astype(np.float64) * _LN_10)
                    flat[part] = np.maximum(linear, 0.0)
        return inverted.reshape(np.shape(values))

    def gene_means(self, values: NDArray[np.float32]) -> tuple[NDArray[np.float64], int]:
        """Every gene's mean after the transform, and the number of observed entries.

        ``values`` (n_samples x n_genes, in the units of the file) stay as they are.
        """
        total, n_observed = np.zeros(values.shape[1]), np.zeros(values.shape[1], np.int64)
        for rows in row_chunks(*values.shape):
            block = self.apply(values[rows].copy(), "X")
            total += np.nansum(block, axis=0, dtype=np.float64)
            n_observed += (~np.isnan(block)).sum(axis=0)
        return total / np.maximum(n_observed, 1), int(n_observed.sum())

    def _refuse_negative(
        self, values: NDArray[np.float32], origin: str, sample_names: Any, gene_names: Any
    ) -> None:
        for rows in row_chunks(*values.shape):
            negative = values[rows] < 0
            if negative.any():
                row, gene = (int(k) for k in np.argwhere(negative)[0])
                sample = rows.start + row
                raise InputError(
                    f"{origin} holds the negative value {values[sample, gene]:g} for sample "
                    f"{_called(sample_names, sample)} and gene {_called(gene_names, gene)}, which "
                    f"the transform {self.transform} cannot take: it is for linear values. A model "
                    "of data on a log scale is fitted with the transform none (--transform none; "
                    "in Python transform='none' or preprocessing='none')."
                )

    def to_dict(self) -> dict[str, Any]:
        return {"transform": self.transform}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Preprocessing:
        """The inverse of `to_dict`; raises `InputError` for anything else."""
        if set(fields) != {"transform"}:
            raise InputError(
                f"The preprocessing has the fields {', '.join(map(str, fields)) or 'none'}; "
                "it should have 'transform' only."
            )
        return cls(fields["transform"])


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


def _per_million(
    values: NDArray[np.float32], origin: str, sample_names: Any
) -> NDArray[np.float64]:
    """A million over every sample's observed total."""
    totals = np.empty(values.shape[0])
    for rows in row_chunks(*values.shape):
        # Float64, since a float32 sum of 20,000 counts loses digits.
        totals[rows] = np.nansum(values[rows], axis=1, dtype=np.float64)
    empty = np.flatnonzero(totals == 0)
    if empty.size:
        raise InputError(
            f"The counts of sample {_called(sample_names, int(empty[0]))} in {origin} add up to "
            f"zero ({empty.size} such sample(s)), so it has no counts per million; remove it."
        )
    return 1e6 / totals


def check_scale(scale: Any) -> None:
    """Raise InputError unless ``scale`` is ``"input"`` or ``"model"``."""
    if scale not in ("input", "model"):
        raise InputError(f"scale is {shown(scale)}; choose 'input' or 'model'.")


def _called(names: Any, position: int) -> str:
    return f"number {position + 1}" if names is None else f"'{names[position]}'"
