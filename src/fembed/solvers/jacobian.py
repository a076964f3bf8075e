"""Derivatives of single entries in float32 NumPy, where the engine's sums do not tell enough.

The engine adds J'J up while it solves. The uncertainty of a place needs every gene's own row of J,
and a new gene needs the derivative in its own embedding; both come from one backward pass.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.engine import Float32
from fembed.parameters import Array, Parameters


def network(parameters: Parameters, before: Array) -> tuple[Float32, Float32]:
    """The network's output (...) and its derivative in ``before`` (... x h).

    ``before`` is what enters the first ReLU: ``W_u u + W_v v + b`` of each pair.
    """
    deeper = parameters.layers()[1:]
    values: list[Any] = [before]
    for layer in deeper:
        values.append(np.maximum(values[-1], 0) @ layer.weight.T + layer.bias)
    output = values.pop()[..., 0]
    derivative = (values[-1] > 0) * deeper[-1].weight[0]
    for layer, below in zip(deeper[-2::-1], values[-2::-1], strict=True):
        derivative = (derivative @ layer.weight) * (below > 0)
    return output, derivative


class Jacobian:
    """Decoded entries of a frozen model and their derivatives in the place of the sample."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        weight, bias = parameters.layers()[0]
        d = parameters.n_components
        self._of_sample = np.ascontiguousarray(weight[:, :d], np.float32)
        self._by_gene = parameters.gene_embedding @ weight[:, d:].T + bias

    def at(self, point: Float32, genes: NDArray[Any]) -> tuple[Float32, Float32]:
        """x_hat (g) at one ``point`` (d) and J (g x d), for the genes with these row numbers.

        One sample a call: its bits do not depend on any other sample.
        """
        p = self._parameters
        decoded, derivative = network(p, self._by_gene[genes] + self._of_sample @ point)
        derivative = derivative @ self._of_sample
        if p.gene_loading is not None:
            decoded = decoded + p.gene_loading[genes] @ point
            derivative = derivative + p.gene_loading[genes]
        if p.gene_bias is not None:
            decoded = decoded + p.gene_bias[genes]
        return decoded, derivative
