"""The loss of a block: its mean squared error over what is observed, and the gradient of that."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fembed._reference.network import (
    Float,
    Index,
    add_linear,
    backward,
    forward,
    pre_activations,
)
from fembed.parameters import Parameters


def _residuals(x_hat: Float, expression: Float) -> tuple[Float, int]:
    """x_hat - x where x is observed and 0 elsewhere; and the number of observed entries."""
    observed = ~np.isnan(expression)
    return np.where(observed, x_hat - expression, 0.0), int(observed.sum())


def block_loss(
    parameters: Parameters, expression_block: Float, rows: Index, genes: Index
) -> tuple[float, int]:
    """Mean of (x_hat - x)^2 over the observed entries (0.0 if there are none), and their number."""
    residuals, n_observed = _residuals(forward(parameters, rows, genes), expression_block)
    return float(np.sum(residuals**2)) / max(n_observed, 1), n_observed


def block_gradients(
    parameters: Parameters, expression_block: Float, rows: Index, genes: Index
) -> tuple[float, int, Parameters]:
    """Loss, number of observed entries, and the loss's gradient, of one block.

    The gradient holds the block's own rows: ``sample_embedding`` is m x d, ``gene_embedding``
    g x e, ``gene_loading`` g x d, ``gene_bias`` g. Weight decay comes later: see
    `training.adam_update`.
    """
    parameters = parameters.astype(np.float64)
    u, v = parameters.sample_embedding[rows], parameters.gene_embedding[genes]
    z = pre_activations(parameters, u, genes)
    x_hat = add_linear(parameters, u, genes, z[-1][..., 0])
    residuals, n_observed = _residuals(x_hat, expression_block)
    n = max(n_observed, 1)
    output = 2 / n * residuals  # dF/dx_hat
    deltas = backward(parameters, z, output)

    # A pair's first-layer delta reaches u through W_u and v through W_v: sum, then multiply.
    per_sample, per_gene = deltas[0].sum(axis=1), deltas[0].sum(axis=0)
    weight_u, weight_v = np.split(parameters.layers()[0].weight, [parameters.n_components], axis=1)
    gradients = replace(
        parameters,
        sample_embedding=per_sample @ weight_u,
        gene_embedding=per_gene @ weight_v,
        network=np.zeros_like(parameters.network),
    )
    first, *deeper = gradients.layers()  # views into gradients.network
    first.weight[:] = np.hstack([per_sample.T @ u, per_gene.T @ v])
    first.bias[:] = per_sample.sum(axis=0)
    for layer, delta, below in zip(deeper, deltas[1:], z[:-1], strict=True):
        layer.weight[:] = np.einsum("ijo,ijk->ok", delta, np.maximum(below, 0))
        layer.bias[:] = delta.sum(axis=(0, 1))
    if parameters.gene_loading is not None:
        gradients.sample_embedding += output @ parameters.gene_loading[genes]
        gradients.gene_loading = output.T @ u
    if parameters.gene_bias is not None:
        gradients.gene_bias = output.sum(axis=0)
    return float(np.sum(residuals**2)) / n, n_observed, gradients
