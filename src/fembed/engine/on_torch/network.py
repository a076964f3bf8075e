"""The network as tensors: forward and backward for all pairs of some samples and some genes.

The twin of `fembed._reference.network`. The first layer is linear in [u; v], so its sample part and
its gene part are computed once a sample and once a gene, and only added for a pair.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from fembed.parameters import layer_shapes

#: The gradient of ReLU in one pass: what comes from above where the activation is positive.
_where_positive = torch.ops.aten.threshold_backward


class Layer(NamedTuple):
    """A dense layer: ``weight`` (n_out x n_in) and ``bias`` (n_out)."""

    weight: Tensor
    bias: Tensor


@dataclass(frozen=True)
class Network:
    """The layers, as views into one flat vector of all weights.

    Attributes
    ----------
    flat : n_weights
    n_components : int
        Of samples: so many inputs of the first layer come first.
    layers : list of Layer
        The output layer is the last.
    """

    flat: Tensor
    n_components: int
    layers: list[Layer]

    @classmethod
    def of(
        cls, flat: Tensor, n_components: int, gene_components: int, hidden: tuple[int, ...]
    ) -> Network:
        layers, start = [], 0
        for n_out, n_in in layer_shapes(n_components, gene_components, hidden):
            middle, stop = start + n_out * n_in, start + n_out * n_in + n_out
            layers.append(Layer(flat[start:middle].view(n_out, n_in), flat[middle:stop]))
            start = stop
        return cls(flat, n_components, layers)

    def like(self, flat: Tensor) -> Network:
        """Layers of the same widths in another vector: those of a gradient."""
        e = self.layers[0].weight.shape[1] - self.n_components
        hidden = tuple(len(layer.bias) for layer in self.layers[:-1])
        return Network.of(flat, self.n_components, e, hidden)

    @property
    def weight_u(self) -> Tensor:
        """The first layer's weights of the sample (h1 x n_components)."""
        return self.layers[0].weight[:, : self.n_components]

    @property
    def weight_v(self) -> Tensor:
        """Those of the gene (h1 x gene_components)."""
        return self.layers[0].weight[:, self.n_components :]

    @property
    def numbers_per_pair(self) -> int:
        """What a pair's activations and their gradients take."""
        return 2 * sum(len(layer.bias) for layer in self.layers)

    def sample_part(self, u: Tensor) -> Tensor:
        """W_u u of each sample (m x h1)."""
        return u @ self.weight_u.T

    def gene_part(self, v: Tensor) -> Tensor:
        """W_v v + b of each gene (g x h1)."""
        return torch.addmm(self.layers[0].bias, v, self.weight_v.T)

    def forward(self, sample_part: Tensor, gene_part: Tensor) -> tuple[list[Tensor], Tensor]:
        """Activations of every hidden layer (m * g x width), and the output (m * g x 1)."""
        values = (sample_part[:, None, :] + gene_part).relu_().flatten(0, 1)
        activations = [values]
        for layer in self.layers[1:-1]:
            values = torch.addmm(layer.bias, values, layer.weight.T).relu_()
            activations.append(values)
        last = self.layers[-1]
        return activations, torch.addmm(last.bias, values, last.weight.T)

    def backward(self, activations: list[Tensor], output: Tensor) -> Iterator[Tensor]:
        """D_l = dF/dz_l (m * g x width) of the layers, last one first; ``output`` is dF/dx_hat.

        D_last = output;  D_(l-1) = (D_l W_l) * [z_(l-1) > 0]: ReLU's derivative is 0 at 0.
        """
        delta = output
        yield delta
        for layer, below in zip(self.layers[:0:-1], activations[::-1], strict=True):
            delta = _where_positive(delta @ layer.weight, below, 0.0)
            yield delta


class Genes(NamedTuple):
    """What belongs to some genes: embedding (g x e), loading (g x d) or None, bias (g) or None."""

    embedding: Tensor
    loading: Tensor | None
    bias: Tensor | None

    def take(self, which: slice) -> Genes:
        loading, bias = self.loading, self.bias
        return Genes(
            self.embedding[which],
            None if loading is None else loading[which],
            None if bias is None else bias[which],
        )

    def added_to(self, output: Tensor, u: Tensor) -> Tensor:
        """x_hat (m x g) = output + u . L[j] + c[j], where L and c are present."""
        if self.loading is not None:
            output = output + u @ self.loading.T
        if self.bias is not None:
            output = output + self.bias
        return output


def tiles(n_rows: int, n_columns: int, most: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of the parts of a matrix, each of at most ``most`` entries."""
    width = max(1, min(n_columns, most))
    height = max(1, min(n_rows, most // width))
    for row in range(0, n_rows, height):
        for column in range(0, n_columns, width):
            rows = slice(row, min(row + height, n_rows))
            yield rows, slice(column, min(column + width, n_columns))
