"""The unknowns of single genes against frozen places, each gene on its own.

The starts are the embeddings of the existing genes that fit best once loading and bias are fitted
by least squares in closed form; a prior, the distribution of the existing genes' unknowns, holds
what few samples do not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from fembed.data.choice import even_choice
from fembed.engine import Float32
from fembed.parameters import Parameters
from fembed.solvers.genes import Frozen, Prior, unknowns
from fembed.solvers.jacobian import network

#: Existing genes whose embeddings are tried, the starts that are kept, and the iterations each.
MOST_TRIED, STARTS, ITERATIONS = 1024, 3, 30
#: Entries of the widest array of one batch (80 MB).
BATCH_FLOATS = 20_000_000


def solve_genes(
    parameters: Parameters,
    places: Float32,
    values: Float32,
    noise: float,
    n_threads: int | None = None,
) -> Float32:
    """The unknowns of genes, as `fembed.solvers.genes.unknowns` has them.

    Parameters
    ----------
    parameters : Parameters
        Its genes give starts and prior; its samples play no part.
    places : float32, n_samples x n_components
    values : float32, n_samples x n_new
        On the model's scale; NaN where missing.
    noise : float
        Variance of residuals, against which the prior is weighed.
    n_threads : int, optional
        Of the engine.

    Returns
    -------
    float32, n_new x n_unknowns
    """
    frozen = Frozen(replace(parameters, sample_embedding=places), _prior_of(parameters, noise))
    with threadpool_limits(1, user_api="blas"):  # or the bits would depend on how many there are
        starts = _Starts(parameters, places)
        several = np.stack([starts.of(profile) for profile in values.T]).astype(np.float32)
    return frozen.solve_all(values, several, max_iterations=ITERATIONS, n_threads=n_threads)


def _prior_of(parameters: Parameters, noise: float) -> Prior:
    """The distribution of the model's genes: with many samples it counts for nothing."""
    known = unknowns(parameters).astype(np.float64)
    covariance = (
        np.atleast_2d(np.cov(known.T)) if len(known) > 1 else np.zeros((known.shape[1],) * 2)
    )
    size = max(1.0, float(np.trace(covariance)) / len(covariance))
    covariance = covariance + 1e-6 * size * np.eye(len(covariance))  # with an inverse, in any units
    return Prior(known.mean(axis=0), covariance, noise)


class _Starts:
    """Embeddings of existing genes, ranked for a profile with loading and bias fitted freely."""

    def __init__(self, parameters: Parameters, places: Float32) -> None:
        genes = even_choice(parameters.n_genes, MOST_TRIED)
        self._unknowns = unknowns(parameters)[genes].astype(np.float64)
        self._e = parameters.gene_components
        weight, bias = parameters.layers()[0]
        d = parameters.n_components
        by_sample = places @ weight[:, :d].T + bias
        by_gene = parameters.gene_embedding[genes] @ weight[:, d:].T
        self._outputs = np.empty((len(places), len(genes)), np.float32)
        step = max(1, BATCH_FLOATS // (len(places) * len(weight)))
        for begin in range(0, len(genes), step):
            part = slice(begin, begin + step)
            self._outputs[:, part] = network(parameters, by_sample[:, None] + by_gene[part])[0]
        # A gene that 32-bit floats cannot decode at these places is no start.
        fine = np.isfinite(self._outputs).all(axis=0)
        self._outputs, self._unknowns = self._outputs[:, fine], self._unknowns[fine]
        linear: list[Any] = [places] if parameters.gene_loading is not None else []
        linear += [np.ones((len(places), 1))] if parameters.gene_bias is not None else []
        self._linear = np.concatenate(linear, axis=1) if linear else np.empty((len(places), 0))

    def of(self, profile: Float32) -> NDArray[np.float64]:
        """The best starts (s x unknowns), loading and bias by least squares."""
        observed = ~np.isnan(profile)
        linear = self._linear[observed].astype(np.float64)
        gaps = profile[observed, None].astype(np.float64) - self._outputs[observed]
        fitted = np.linalg.lstsq(linear, gaps, rcond=None)[0] if linear.size else None
        left = gaps if fitted is None else gaps - linear @ fitted
        best = np.argsort(np.square(left).sum(axis=0), kind="stable")[:STARTS]
        starts = self._unknowns[best].copy()
        if fitted is not None:
            starts[:, self._e :] = fitted[:, best].T
        return starts
