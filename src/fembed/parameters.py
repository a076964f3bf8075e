"""The arrays of a factorized embedding, and how the network's layers lie in one flat vector."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fembed.errors import InputError

Array = NDArray[np.floating[Any]]


#: Largest value of a parameter. Those of a fit are below it for any data that a fit takes; sums of
#: squares of larger ones overflow 32-bit floats.
MAX_VALUE = 1e15
#: Largest loss, factor or number of genes.
MAX_LOSS = 1e100


class Layer(NamedTuple):
    """One dense layer: ``weight`` (n_out x n_in) and ``bias`` (n_out); both are views."""

    weight: Array
    bias: Array


def layer_shapes(
    n_components: int, gene_components: int, hidden: tuple[int, ...]
) -> list[tuple[int, int]]:
    """(n_out, n_in) of every dense layer; the last one is the linear output of width 1."""
    widths = (n_components + gene_components, *hidden, 1)
    return [(n_out, n_in) for n_in, n_out in pairwise(widths)]


def network_size(n_components: int, gene_components: int, hidden: tuple[int, ...]) -> int:
    """Number of weights and biases of the network."""
    shapes = layer_shapes(n_components, gene_components, hidden)
    return sum(n_out * n_in + n_out for n_out, n_in in shapes)


@dataclass
class Parameters:
    """Everything that training changes.

    Attributes
    ----------
    sample_embedding : array, n_samples x n_components
        U, one row per sample.
    gene_embedding : array, n_genes x gene_components
        V, one row per gene.
    network : array, n_weights
        Weights and biases of every layer, first layer first, each layer's weight
        (n_out x n_in, row-major) followed by its bias. The first layer's input is
        ``[u; v]``: the sample's columns come first.
    hidden : tuple of int
        Widths of the hidden layers.
    gene_loading : array, n_genes x n_components, or None
        L, the linear skip: ``u . L[j]`` is added to the network's output for gene j.
    gene_bias : array, n_genes, or None
        c, added to the network's output for gene j.
    """

    sample_embedding: Array
    gene_embedding: Array
    network: Array
    hidden: tuple[int, ...]
    gene_loading: Array | None = None
    gene_bias: Array | None = None

    @property
    def n_samples(self) -> int:
        return int(self.sample_embedding.shape[0])

    @property
    def n_components(self) -> int:
        return int(self.sample_embedding.shape[1])

    @property
    def n_genes(self) -> int:
        return int(self.gene_embedding.shape[0])

    @property
    def gene_components(self) -> int:
        return int(self.gene_embedding.shape[1])

    def layers(self) -> list[Layer]:
        """Views into ``network``, one per dense layer, the output layer last."""
        views, start = [], 0
        for n_out, n_in in layer_shapes(self.n_components, self.gene_components, self.hidden):
            middle, stop = start + n_out * n_in, start + n_out * n_in + n_out
            weight = self.network[start:middle].reshape(n_out, n_in)
            views.append(Layer(weight, self.network[middle:stop]))
            start = stop
        return views

    def arrays(self) -> dict[str, Array]:
        """The arrays that are present, by name, in a fixed order."""
        named = {
            "sample_embedding": self.sample_embedding,
            "gene_embedding": self.gene_embedding,
            "network": self.network,
            "gene_loading": self.gene_loading,
            "gene_bias": self.gene_bias,
        }
        return {name: array for name, array in named.items() if array is not None}

    def map(self, function: Any) -> Parameters:
        """The same parameters with ``function`` applied to every array."""
        return replace(self, **{name: function(array) for name, array in self.arrays().items()})

    def astype(self, dtype: DTypeLike) -> Parameters:
        """A copy with every array C-contiguous and of ``dtype``."""
        return self.map(lambda array: np.array(array, dtype=dtype, order="C"))

    def copy(self) -> Parameters:
        return self.map(lambda array: array.copy(order="C"))

    def zeros_like(self) -> Parameters:
        return self.map(np.zeros_like)

    def take_samples(self, rows: Any) -> Parameters:
        """The same model for some of its samples (row numbers, in the order given, or a mask)."""
        return replace(self, sample_embedding=np.ascontiguousarray(self.sample_embedding[rows]))

    def take_genes(self, rows: Any) -> Parameters:
        """The same model for some of its genes (row numbers, in the order given, or a mask)."""
        loading, bias = self.gene_loading, self.gene_bias
        return replace(
            self,
            gene_embedding=np.ascontiguousarray(self.gene_embedding[rows]),
            gene_loading=None if loading is None else np.ascontiguousarray(loading[rows]),
            gene_bias=None if bias is None else np.ascontiguousarray(bias[rows]),
        )

    def gene_unknowns(self) -> Array:
        """All that belongs to a gene, side by side: embedding, loading, bias; n_genes x n."""
        parts = [self.gene_embedding]
        parts += [] if self.gene_loading is None else [self.gene_loading]
        parts += [] if self.gene_bias is None else [self.gene_bias[:, None]]
        return np.concatenate(parts, axis=1, dtype=self.gene_embedding.dtype)

    def with_genes(self, unknowns: Array) -> Parameters:
        """The same samples and network with other genes: the inverse of `gene_unknowns`."""
        e = self.gene_components
        end = e if self.gene_loading is None else e + self.n_components
        loading, bias = unknowns[:, e:end], unknowns[:, -1]
        return replace(
            self,
            gene_embedding=np.ascontiguousarray(unknowns[:, :e]),
            gene_loading=None if self.gene_loading is None else np.ascontiguousarray(loading),
            gene_bias=None if self.gene_bias is None else np.ascontiguousarray(bias),
        )

    def check(self) -> None:
        """Raise InputError, naming the array, unless shapes, types and values are sound.

        The shapes follow from those of the two embeddings and from the network's widths.
        """
        for name in ("sample_embedding", "gene_embedding"):
            array = self.arrays()[name]
            if array.ndim != 2 or 0 in array.shape:
                raise InputError(f"The array '{name}' has shape {array.shape}: not a full matrix.")
        shapes: dict[str, tuple[int, ...]] = {
            "sample_embedding": (self.n_samples, self.n_components),
            "gene_embedding": (self.n_genes, self.gene_components),
            "network": (network_size(self.n_components, self.gene_components, self.hidden),),
            "gene_loading": (self.n_genes, self.n_components),
            "gene_bias": (self.n_genes,),
        }
        for name, array in self.arrays().items():
            check_array(name, array, shapes[name], np.float32)


def check_array(
    name: str, array: Any, shape: tuple[int, ...], dtype: type, largest: float | None = None
) -> None:
    """Raise InputError, naming the array, unless type, shape and values are sound."""
    if array.dtype != dtype:
        raise InputError(f"The array '{name}' is {array.dtype}, not {np.dtype(dtype)}.")
    if array.shape != shape:
        raise InputError(f"The array '{name}' has shape {array.shape} instead of {shape}.")
    largest = largest or (MAX_LOSS if dtype is np.float64 else MAX_VALUE)
    outside = ~(np.abs(array) <= largest)
    if outside.any():
        row = int(np.argwhere(outside)[0][0])
        finite = bool(np.isfinite(array[row]).all())
        fault = f"beyond {largest:g}" if finite else "that is not finite"
        raise InputError(f"The array '{name}' holds a value {fault} (row {row}).")
