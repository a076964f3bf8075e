"""A prior on places, for the engine that knows only squared errors of genes.

Few genes cannot hold many coordinates: their noise would throw a sample far from every training
sample. The most probable place under a normal prior minimises ``loss / noise + (u - m)' S^-1
(u - m)``, with m and S the training samples' mean and covariance. The second term is a sum of d
squares that are linear in u, so it is d more "genes" with a loading and without a network.
"""

from __future__ import annotations

import numpy as np

from fembed.engine import Float32
from fembed.parameters import Parameters

#: Enters the first layer of an anchor and shuts all its units, which are far smaller numbers.
SHUT = np.float32(-1e6)


def anchored(parameters: Parameters, noise: float) -> tuple[Parameters, Float32]:
    """The model with d anchors after its genes, and their targets (d).

    Parameters
    ----------
    parameters : Parameters
        Of the genes at hand; any recipe.
    noise : float
        Variance of a gene's residual: the prior counts as one gene's noise against it.
    """
    p, d, n_genes = parameters, parameters.n_components, parameters.n_genes
    places = p.sample_embedding.astype(np.float64)
    mean = places.mean(axis=0)
    spread = np.atleast_2d(np.cov(places.T)) if len(places) > 1 else np.eye(d)
    # A direction that no training sample took is nearly closed, not infinitely so.
    spread = spread + np.eye(d) * max(1e-6 * np.trace(spread) / d, 1e-12)
    root = np.linalg.cholesky(np.linalg.inv(spread) * noise).T
    first = p.layers()[0]
    # One gene component more: zero for genes, one for anchors, whose units it shuts.
    weight = np.concatenate([first.weight, np.full((len(first.weight), 1), SHUT)], axis=1)
    embedding = np.zeros((n_genes + d, p.gene_components + 1), np.float32)
    embedding[:n_genes, :-1] = p.gene_embedding
    embedding[n_genes:, -1] = 1.0
    loading = p.gene_loading if p.gene_loading is not None else np.zeros((n_genes, d))
    bias = p.gene_bias if p.gene_bias is not None else np.zeros(n_genes)
    with_anchors = Parameters(
        sample_embedding=p.sample_embedding,
        gene_embedding=embedding,
        network=np.concatenate([weight.ravel(), p.network[first.weight.size :]]).astype(np.float32),
        hidden=p.hidden,
        gene_loading=np.ascontiguousarray(np.concatenate([loading, root]), np.float32),
        gene_bias=np.concatenate([bias, np.full(d, -_output_when_shut(p))]).astype(np.float32),
    )
    return with_anchors, (root @ mean).astype(np.float32)


def _output_when_shut(parameters: Parameters) -> float:
    """What the network says when every unit of its first layer is shut."""
    first, *deeper = parameters.layers()
    values = np.zeros(len(first.bias))
    for layer in deeper:
        values = layer.weight @ np.maximum(values, 0.0) + layer.bias
    return float(values[0])
