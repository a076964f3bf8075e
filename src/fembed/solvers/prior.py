"""A normal prior of what is solved for, in an engine that knows only squared errors.

Few observations cannot hold many unknowns: their noise would throw them far from everything known.
The most probable unknowns x minimise ``sum of squares + noise * (x - m)' S^-1 (x - m)``, with m and
S a mean and a covariance. The second term is a sum of squares that are linear in x, one for each
unknown. So it is further "genes" with a loading and without a network, whose values are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fembed.engine import Float32
from fembed.parameters import Parameters

#: An input so far below the threshold of every hidden unit that none of them acts.
SILENCE = np.float32(-1e6)


@dataclass(frozen=True)
class Prior:
    """A normal distribution of unknowns, and the noise of an entry to weigh it against.

    Attributes
    ----------
    mean : n_unknowns
    covariance : n_unknowns x n_unknowns, positive definite
    noise : float
        Variance of what the model leaves of an entry: the prior counts as one entry's noise.
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    noise: float

    @classmethod
    def of_samples(cls, sample_embedding: Float32, noise: float) -> Prior:
        """The distribution of the training samples' places (n_samples x n_components)."""
        places = sample_embedding.astype(np.float64)
        d = places.shape[1]
        spread = np.atleast_2d(np.cov(places.T)) if len(places) > 1 else np.eye(d)
        # A direction that no training sample took is nearly closed, not infinitely so.
        spread = spread + np.eye(d) * max(1e-6 * np.trace(spread) / d, 1e-12)
        return cls(places.mean(axis=0), spread, noise)

    @classmethod
    def of_genes(cls, unknowns: Float32, noise: float) -> Prior:
        """The distribution of a model's genes; with many samples it counts for nothing.

        Parameters
        ----------
        unknowns : float32, n_genes x n_unknowns
            As `fembed.solvers.genes.unknowns` has them.
        noise : float
        """
        known = unknowns.astype(np.float64)
        n = known.shape[1]
        covariance = np.atleast_2d(np.cov(known.T)) if len(known) > 1 else np.zeros((n, n))
        size = max(1.0, float(np.trace(covariance)) / n)
        # With an inverse, in any units.
        return cls(known.mean(axis=0), covariance + 1e-6 * size * np.eye(n), noise)

    @cached_property
    def precision(self) -> NDArray[np.float64]:
        """Times the noise, so that it adds to J'J: n_unknowns x n_unknowns."""
        return np.asarray(self.noise * np.linalg.inv(self.covariance), np.float64)

    @cached_property
    def root(self) -> NDArray[np.float64]:
        """Its product root' root is the precision: n_unknowns x n_unknowns, upper triangular."""
        return np.asarray(np.linalg.cholesky(self.precision).T, np.float64)

    def among_genes(self, parameters: Parameters, sums: DTypeLike = np.float64) -> Parameters:
        """The model with a further gene for every unknown, and one gene component more.

        Parameters
        ----------
        parameters : Parameters
            Those whose "sample embedding" is solved for; with or without loading and bias.
        sums : dtype
            Of the sums that find what the silent network says: their rounding is in the last bits
            of every solve, and old models keep theirs.
        """
        p, n, n_genes = parameters, len(self.mean), parameters.n_genes
        first = p.layers()[0].weight
        # One gene component more: zero for genes, one for the others, whose units it silences.
        weight = np.concatenate([first, np.full((len(first), 1), SILENCE)], axis=1)
        embedding = np.zeros((n_genes + n, p.gene_components + 1), np.float32)
        embedding[:n_genes, :-1] = p.gene_embedding
        embedding[n_genes:, -1] = 1.0
        loading = np.zeros((n_genes + n, n), np.float32)
        if p.gene_loading is not None:
            loading[:n_genes] = p.gene_loading
        loading[n_genes:] = self.root
        bias = np.zeros(n_genes + n, np.float32)
        if p.gene_bias is not None:
            bias[:n_genes] = p.gene_bias
        bias[n_genes:] = -_output_of_silence(p, sums)
        return Parameters(
            sample_embedding=p.sample_embedding,
            gene_embedding=embedding,
            network=np.concatenate([weight.ravel(), p.network[first.size :]]).astype(np.float32),
            hidden=p.hidden,
            gene_loading=loading,
            gene_bias=bias,
        )

    def among_profiles(self, profiles: Float32) -> Float32:
        """Profiles (k x n_genes) with the values of `among_genes` after their own."""
        values = (self.root @ self.mean).astype(np.float32)
        beside = np.broadcast_to(values, (len(profiles), len(values)))
        return np.ascontiguousarray(np.concatenate([profiles, beside], axis=1))


def _output_of_silence(parameters: Parameters, dtype: DTypeLike) -> float:
    """What the network says when no unit of its first layer acts."""
    first, *deeper = parameters.layers()
    values = np.zeros(len(first.bias), dtype)
    for layer in deeper:
        values = layer.weight @ np.maximum(values, 0.0) + layer.bias
    return float(values[0])
