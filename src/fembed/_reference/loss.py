"""The loss of a block: the mean over what is observed, and the gradient of that.

An entry's loss is its squared error; that of a count is its unit deviance.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fembed._reference.counts import count_terms
from fembed._reference.network import (
    Float,
    Index,
    backward,
    forward,
    pre_activations,
)
from fembed.likelihood import Counts
from fembed.parameters import Parameters


def offset_and_dispersion(counts: Counts, rows: Index, columns: Index) -> tuple[Float, Float]:
    """Of the pairs of some rows and columns: sums of what both give, None being zero."""

    def of_pairs(of_rows: Float | None, of_columns: Float | None) -> Float:
        pairs = np.zeros((len(rows), len(columns)))
        if of_rows is not None:
            pairs += of_rows[rows].astype(np.float64)[:, None]
        if of_columns is not None:
            pairs += of_columns[columns].astype(np.float64)
        return pairs

    return (
        of_pairs(counts.row_offset, counts.column_offset),
        of_pairs(counts.row_dispersion, counts.column_dispersion),
    )


def pair_losses(
    x_hat: Float, expression: Float, rows: Index, genes: Index, counts: Counts | None
) -> tuple[Float, Float, int]:
    """Each pair's loss, half of its derivative in x_hat, and the number of observed entries.

    Loss and derivative are 0 where x is not observed.
    """
    observed = ~np.isnan(expression)
    if counts is None:
        residuals = np.where(observed, x_hat - expression, 0.0)
        return residuals**2, residuals, int(observed.sum())
    offset, dispersion = offset_and_dispersion(counts, rows, genes)
    terms = count_terms(expression, x_hat + offset, dispersion)
    return terms.deviance, terms.slope, int(observed.sum())


def block_loss(
    parameters: Parameters,
    expression_block: Float,
    rows: Index,
    genes: Index,
    counts: Counts | None = None,
) -> tuple[float, int]:
    """Mean loss over the observed entries (0.0 if there are none), and their number.

    An entry's loss is (x_hat - x)^2; if the whole matrix holds ``counts``, its unit deviance from
    the mean exp(offset + x_hat).
    """
    x_hat = forward(parameters, rows, genes)
    losses, _, n_observed = pair_losses(x_hat, expression_block, rows, genes, counts)
    return float(np.sum(losses)) / max(n_observed, 1), n_observed


def block_gradients(
    parameters: Parameters,
    expression_block: Float,
    rows: Index,
    genes: Index,
    counts: Counts | None = None,
) -> tuple[float, int, Parameters]:
    """Loss as in `block_loss`, number of observed entries, and the loss's gradient, of one block.

    The gradient holds the block's own rows: ``sample_embedding`` is m x d, ``gene_embedding``
    g x e, ``gene_loading`` g x d, ``gene_bias`` g. Weight decay comes later: see
    `training.adam_update`.
    """
    x_hat = forward(parameters, rows, genes)
    losses, slopes, n_observed = pair_losses(x_hat, expression_block, rows, genes, counts)
    n = max(n_observed, 1)
    gradients = gradients_of(parameters, rows, genes, 2 / n * slopes)
    return float(np.sum(losses)) / n, n_observed, gradients


def gradients_of(parameters: Parameters, rows: Index, genes: Index, output: Float) -> Parameters:
    """The gradient of F by the block's own rows, where ``output`` (m x g) is dF/dx_hat."""
    parameters = parameters.astype(np.float64)
    u, v = parameters.sample_embedding[rows], parameters.gene_embedding[genes]
    z = pre_activations(parameters, u, genes)
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
    return gradients
