"""Forward and backward through the model, for every pair of some samples and some genes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.parameters import Parameters

Float = NDArray[np.floating[Any]]
Index = NDArray[np.integer[Any]]


def pre_activations(parameters: Parameters, samples: Float, genes: Index) -> list[Float]:
    """z_l of every layer, each m x g x width, at sample positions ``samples`` (m x d).

    z_1 = W_u u + (W_v v + b_1);  z_l = W_l relu(z_(l-1)) + b_l;  the last one is the MLP's output.
    """
    (weight, bias), *deeper = parameters.layers()
    weight_u, weight_v = np.split(weight, [parameters.n_components], axis=1)
    per_sample = samples @ weight_u.T
    per_gene = parameters.gene_embedding[genes] @ weight_v.T + bias
    z: list[Float] = [per_sample[:, None, :] + per_gene[None, :, :]]
    for layer in deeper:
        z.append(np.maximum(z[-1], 0) @ layer.weight.T + layer.bias)
    return z


def add_linear(parameters: Parameters, samples: Float, genes: Index, output: Float) -> Float:
    """x_hat (m x g) = output + u . L[j] + c[j], where L and c are present."""
    if parameters.gene_loading is not None:
        output = output + samples @ parameters.gene_loading[genes].T
    if parameters.gene_bias is not None:
        output = output + parameters.gene_bias[genes]
    return output


def forward(parameters: Parameters, rows: Index, genes: Index) -> Float:
    """x_hat (m x g) of the samples ``rows`` and the genes ``genes``."""
    parameters = parameters.astype(np.float64)
    samples = parameters.sample_embedding[rows]
    z = pre_activations(parameters, samples, genes)
    return add_linear(parameters, samples, genes, z[-1][..., 0])


def backward(parameters: Parameters, z: list[Float], output: Float) -> list[Float]:
    """D_l = dF/dz_l (m x g x width) of every layer, where ``output`` (m x g) is dF/dx_hat.

    D_last = output;  D_(l-1) = (D_l W_l) * [z_(l-1) > 0]: ReLU's derivative is 0 at 0.
    """
    deltas = [output[..., None]]
    for layer, below in zip(parameters.layers()[:0:-1], z[-2::-1], strict=True):
        deltas.append((deltas[-1] @ layer.weight) * (below > 0))
    return deltas[::-1]
