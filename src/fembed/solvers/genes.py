"""Genes among frozen samples: the solver that places samples, with the roles changed.

The first layer is linear in [u; v], and a gene's loading and bias add to the network's output. So
with places and network frozen, a gene's unknowns (embedding, loading, bias) are to the samples what
a sample's place is to the genes, and one solver does both. A normal prior joins as further
observations, one for each unknown, that the network has no part in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fembed import engine
from fembed.engine import Float32, Solution
from fembed.parameters import Parameters

#: An input so far below every hidden unit's threshold that none of them acts.
SILENCE = 1e6
#: Genes solved in one call of the engine; bounds the memory of their curvatures.
GENES_AT_ONCE = 512


@dataclass(frozen=True)
class Prior:
    """A normal distribution of genes' unknowns, and the noise of an entry to weigh it against.

    Attributes
    ----------
    mean : n_unknowns
    covariance : n_unknowns x n_unknowns, positive definite
    noise : float
        Variance of what the model leaves of an entry.
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    noise: float

    def precision(self) -> NDArray[np.float64]:
        """Times the noise, so that it adds to J'J."""
        return np.asarray(self.noise * np.linalg.inv(self.covariance), np.float64)


def unknowns(parameters: Parameters) -> Float32:
    """Every gene's embedding, loading and bias: n_genes x n_unknowns."""
    p = parameters
    parts = [p.gene_embedding]
    parts += [] if p.gene_loading is None else [p.gene_loading]
    parts += [] if p.gene_bias is None else [p.gene_bias[:, None]]
    return np.concatenate(parts, axis=1, dtype=np.float32)


def with_unknowns(parameters: Parameters, found: Float32) -> Parameters:
    """The same samples and network with these genes: the inverse of `unknowns`."""
    p, e = parameters, parameters.gene_components
    end = e if p.gene_loading is None else e + p.n_components
    return replace(
        p,
        gene_embedding=np.ascontiguousarray(found[:, :e]),
        gene_loading=None if p.gene_loading is None else np.ascontiguousarray(found[:, e:end]),
        gene_bias=None if p.gene_bias is None else np.ascontiguousarray(found[:, end]),
    )


class Frozen:
    """Places and network that genes are solved against.

    Parameters
    ----------
    parameters : Parameters
        Its samples' places and its network; its genes play no part.
    prior : Prior
    """

    def __init__(self, parameters: Parameters, prior: Prior) -> None:
        root = np.asarray(np.linalg.cholesky(prior.precision()).T, np.float64)
        self._mirrored = _mirrored(parameters, root)
        self._expected = (root @ prior.mean).astype(np.float32)

    def solve(
        self,
        profiles: Float32,
        starts: Float32,
        *,
        max_iterations: int,
        curvature: bool = False,
        n_threads: int | None = None,
    ) -> Solution:
        """Solve genes, each alone; of several starts the best end is kept.

        Parameters
        ----------
        profiles : float32, n_genes x n_samples
            NaN where missing.
        starts : float32, n_genes x n_starts x n_unknowns

        Returns
        -------
        Solution
            Its ``u`` are unknowns; its loss and curvature count the prior.
        """
        expected = np.broadcast_to(self._expected, (len(profiles), len(self._expected)))
        return engine.solve(
            self._mirrored,
            np.ascontiguousarray(np.concatenate([profiles, expected], axis=1)),
            np.ascontiguousarray(starts),
            max_iterations=max_iterations,
            curvature=curvature,
            n_threads=n_threads,
        )

    def solve_all(
        self,
        values: Float32,
        starts: Float32,
        *,
        max_iterations: int,
        n_threads: int | None = None,
    ) -> Float32:
        """The unknowns of many genes, ``values`` being n_samples x n_genes; see `solve`."""
        found = np.empty((len(starts), starts.shape[2]), np.float32)
        for begin in range(0, len(found), GENES_AT_ONCE):
            genes = slice(begin, begin + GENES_AT_ONCE)
            found[genes] = self.solve(
                values[:, genes].T,
                starts[genes],
                max_iterations=max_iterations,
                n_threads=n_threads,
            ).u
        return found


def _mirrored(parameters: Parameters, root: NDArray[np.float64]) -> Parameters:
    """Samples as genes: n_samples, then one for each row of the prior's ``root``."""
    p, places = parameters, parameters.sample_embedding
    n, d, e = p.n_samples, p.n_components, p.gene_components
    n_unknowns = len(root)
    first, *later = p.layers()
    width = len(first.bias)

    weight = np.zeros((width, n_unknowns + d + 1), np.float32)
    weight[:, :e] = first.weight[:, d:]
    weight[:, n_unknowns:-1] = first.weight[:, :d]
    weight[:, -1] = -SILENCE
    silent = np.zeros(width, np.float32)
    for layer in later[:-1]:
        silent = np.maximum(layer.weight @ silent + layer.bias, 0.0)
    constant = later[-1].weight @ silent + later[-1].bias

    inputs = np.zeros((n + n_unknowns, d + 1), np.float32)
    inputs[:n, :d] = places
    inputs[n:, d] = 1.0
    loading = np.zeros((n + n_unknowns, n_unknowns), np.float32)
    if p.gene_loading is not None:
        loading[:n, e : e + d] = places
    if p.gene_bias is not None:
        loading[:n, -1] = 1.0
    loading[n:] = root
    bias = np.zeros(n + n_unknowns, np.float32)
    bias[n:] = -constant
    rest = [array.ravel() for layer in later for array in (layer.weight, layer.bias)]
    return Parameters(
        sample_embedding=np.zeros((1, n_unknowns), np.float32),
        gene_embedding=inputs,
        network=np.concatenate([weight.ravel(), first.bias, *rest], dtype=np.float32),
        hidden=p.hidden,
        gene_loading=loading,
        gene_bias=bias,
    )
