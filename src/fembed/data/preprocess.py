"""From the units of a file to the scale a model is trained on, and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fembed.config import is_number
from fembed.data.chunks import row_chunks
from fembed.data.transforms import (
    MAX_VALUE,
    MILLION,
    TRANSFORMS,
    Transform,
    check_transform,
    per_million,
    refuse_values,
    transform_in_place,
    undo_log10,
)
from fembed.errors import InputError, shown

if TYPE_CHECKING:
    from fembed.data.expression import Expression

__all__ = ["MAX_VALUE", "TRANSFORMS", "Layer", "Preprocessing", "Transform", "check_scale"]


@dataclass(frozen=True)
class Layer:
    """One of several measurements of the same samples, as a model takes it.

    Attributes
    ----------
    name : str
    n_features : int
        They follow those of the layer before.
    transform : {"log10", "cpm", "none"}
    weight : float
        What transformed values are multiplied by, so that no layer outweighs the others; 1 for the
        first layer. See `fembed.data.layer_scales`.
    """

    name: str
    n_features: int
    transform: Transform
    weight: float = 1.0


@dataclass(frozen=True)
class Preprocessing:
    """How expression is transformed before a model sees it.

    Parameters
    ----------
    transform : {"log10", "cpm", "none", "counts"}
        ``log10``: log10(x + 1). ``cpm``: counts per million of the sample's observed total, then
        log10(x + 1). ``none``: values that are on a log scale already. ``counts``: raw counts, left
        as they are, for the likelihood of counts. With layers, that of the first.
    target_sum : float
        With ``cpm``: what the counts of a sample are made to add up to, if not a million.
    layers : tuple of Layer
        Where the samples were measured in several ways: the transform and the weight of each.

    Examples
    --------
    >>> logs = fembed.Preprocessing("log10")
    >>> values = logs.apply(np.array([[0.0, 9.0, 99.0]], np.float32))
    >>> values.tolist(), logs.invert(values).tolist()
    ([[0.0, 1.0, 2.0]], [[0.0, 9.0, 99.0]])
    """

    transform: Transform = "log10"
    layers: tuple[Layer, ...] = ()
    target_sum: float = MILLION

    def __post_init__(self) -> None:
        check_transform(self.transform)
        if not is_number(self.target_sum) or not 0 < self.target_sum <= MAX_VALUE:
            raise InputError(
                f"target_sum is {shown(self.target_sum)}; choose a number above 0 and at most "
                f"{MAX_VALUE:g}, or 'median'."
            )
        if self.target_sum != MILLION and (self.transform != "cpm" or self.layers):
            raise InputError(
                f"target_sum is {shown(self.target_sum)}, but it is for the transform cpm of one "
                "matrix; leave it out, or choose that transform."
            )
        for layer in self.layers:
            check_transform(layer.transform)
            if layer.transform == "counts":
                raise InputError(
                    f"The layer {layer.name} has the transform counts, but the likelihood of "
                    "counts is for one matrix alone; choose cpm for it."
                )

    @property
    def layer_names(self) -> list[str]:
        return [layer.name for layer in self.layers]

    def pieces(self, n_genes: int) -> Iterator[tuple[Layer, slice]]:
        """The layers and their columns; without layers one that has all ``n_genes``."""
        begin = 0
        for layer in self.layers or (Layer("", n_genes, self.transform),):
            yield layer, slice(begin, begin + layer.n_features)
            begin += layer.n_features

    def told(self) -> list[str]:
        """A few words on each layer."""
        return [
            f"{layer.name} ({layer.n_features:,} features, {layer.transform}, "
            f"weight {layer.weight:.3g})"
            for layer in self.layers
        ]

    def weighted(self, weights: Sequence[float]) -> Preprocessing:
        """The same with other weights of the layers."""
        pairs = zip(self.layers, weights, strict=True)
        return replace(self, layers=tuple(replace(layer, weight=w) for layer, w in pairs))

    def layer_of(self, gene: int, n_genes: int) -> Layer:
        """The layer that a gene, by its number, belongs to."""
        return next(layer for layer, columns in self.pieces(n_genes) if gene < columns.stop)

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
            ``none`` for a value beyond `MAX_VALUE`; with ``counts`` for a value that is no whole
            number or beyond 2^31, and a sample without any count.
        """
        if values.dtype != np.float32 or values.ndim != 2:
            raise TypeError("values must be a two-dimensional float32 array.")
        if self.layers and values.shape[1] != sum(layer.n_features for layer in self.layers):
            raise TypeError("values must have the features of all layers.")
        pieces = []
        for layer, columns in self.pieces(values.shape[1]):
            part = values[:, columns]
            of_part = None if gene_names is None else gene_names[columns]
            refuse_values(part, layer.transform, origin, sample_names, of_part)
            scale = None
            if layer.transform == "cpm":
                partial = bool(self.layers)
                scale = per_million(part, origin, sample_names, partial, self.target_sum)
            pieces.append((part, layer, scale))
        for part, layer, scale in pieces:  # nothing is changed before all layers are checked
            transform_in_place(part, layer.transform, layer.weight, scale)
        return values

    def apply_to(self, expression: Expression) -> NDArray[np.float32]:
        """Transform an Expression's ``values`` in place and return them; raises as `apply`."""
        return self.apply(
            expression.values,
            expression.origin,
            sample_names=expression.sample_names,
            gene_names=expression.gene_names,
        )

    def invert(self, values: ArrayLike, genes: ArrayLike | None = None) -> NDArray[np.float32]:
        """Values on the model's scale in the units of the input, as a new float32 array.

        ``log10`` gives 10**x - 1 but at least 0, as expression is; ``cpm`` counts per million;
        ``none`` the values themselves; ``counts`` exp(x), the expected counts of a sample of size
        one (see `fembed.solvers.count_model`). A result beyond float32 is infinite. Any shape; with
        layers the last axis has the model's genes, or those whose row numbers ``genes`` has.
        """
        inverted = np.array(values, dtype=np.float32, order="C", ndmin=1)
        if not self.layers and self.transform == "counts":
            with np.errstate(over="ignore"):
                np.exp(inverted, out=inverted)
        elif not self.layers and self.transform != "none":
            undo_log10(inverted)
        for layer, columns in self._columns_of(inverted, genes):
            part = np.ascontiguousarray(inverted[..., columns] / np.float32(layer.weight))
            if layer.transform != "none":
                undo_log10(part)
            inverted[..., columns] = part
        return inverted.reshape(np.shape(values))

    def unweighted(
        self, values: NDArray[np.float32], genes: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        """Values (... x genes) after their transform alone, for a reader; itself without layers.

        On the model's scale those of a layer are multiplied by its weight, too.
        """
        if not self.layers:
            return values
        plain = np.array(values, dtype=np.float32, order="C")
        for layer, columns in self._columns_of(plain, genes):
            plain[..., columns] /= np.float32(layer.weight)
        return plain

    def _columns_of(
        self, values: NDArray[np.float32], genes: ArrayLike | None
    ) -> Iterator[tuple[Layer, NDArray[np.intp]]]:
        """Every layer with the places of its genes in the last axis of ``values``."""
        if not self.layers:
            return
        n_genes = sum(layer.n_features for layer in self.layers)
        rows = np.arange(n_genes) if genes is None else np.asarray(genes)
        if values.shape[-1] != len(rows):
            raise InputError(
                f"There are {values.shape[-1]} columns for {len(rows)} genes; say which genes of "
                "the model they are, since each layer has a transform of its own."
            )
        for layer, columns in self.pieces(n_genes):
            yield layer, np.flatnonzero((rows >= columns.start) & (rows < columns.stop))

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

    def to_dict(self) -> dict[str, Any]:
        fields: dict[str, Any] = {"transform": self.transform}
        if self.layers:
            fields["layers"] = [asdict(layer) for layer in self.layers]
        if self.target_sum != MILLION:
            fields["target_sum"] = float(self.target_sum)
        return fields

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Preprocessing:
        """The inverse of `to_dict`; raises `InputError` for anything else."""
        if not {"transform"} <= set(fields) <= {"transform", "layers", "target_sum"}:
            raise InputError(
                f"The preprocessing has the fields {', '.join(map(str, fields)) or 'none'}; "
                "it should have 'transform', and 'layers' where there are several."
            )
        try:
            layers = tuple(Layer(**layer) for layer in fields.get("layers", ()))
        except TypeError as error:
            raise InputError(f"The preprocessing has a layer that is none ({error}).") from None
        return cls(fields["transform"], layers, fields.get("target_sum", MILLION))


def check_scale(scale: Any) -> None:
    """Raise InputError unless ``scale`` is ``"input"`` or ``"model"``."""
    if scale not in ("input", "model"):
        raise InputError(f"scale is {shown(scale)}; choose 'input' or 'model'.")
