"""The last solve of the genes: exact, and held by what all genes have in common.

Steps leave a gene's fifty-odd unknowns with the noise of its samples, and few samples cannot tell
that noise from the gene. The distribution of all genes can: its mean and covariance, and the noise
of an entry, are estimated from the genes themselves (empirical Bayes, by expectation maximisation;
Dempster et al. 1977), and every gene goes to its most probable unknowns. There is nothing to tune.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from fembed.data.choice import even_choice
from fembed.engine import Float32
from fembed.parameters import Parameters
from fembed.solvers.genes import Frozen, Prior, unknowns, with_unknowns

#: With more samples a gene is known well enough from them alone, and with more unknowns its solve
#: would cost more than the training.
MOST_SAMPLES, MOST_UNKNOWNS = 2_500, 128
#: So many genes for each unknown, or their distribution is not known well enough to be of help.
LEAST_GENES_PER_UNKNOWN = 30
#: Genes that say how genes are distributed, rounds of it, and iterations of every gene's solve.
PRIOR_GENES, ROUNDS, ITERATIONS = 384, 2, 2
#: Of the variance of the values, which is one: noise below it is none.
LEAST_NOISE = 1e-6


def can_solve_genes(parameters: Parameters, weight_decay: float) -> bool:
    """Whether the genes of such a model can be solved, and are worth it.

    A model without loading and bias is the published one, whose genes are left as they are; so are
    those that a weight decay holds.
    """
    p = parameters
    if weight_decay > 0.0 or p.gene_loading is None or p.gene_bias is None:
        return False
    n_unknowns = p.gene_components + p.n_components + 1
    return (
        p.n_samples <= MOST_SAMPLES
        and n_unknowns <= MOST_UNKNOWNS
        and p.n_genes >= LEAST_GENES_PER_UNKNOWN * n_unknowns
    )


def solve_genes(parameters: Parameters, values: Float32, n_threads: int | None = None) -> None:
    """Solve every gene with places and network frozen, in place.

    Parameters
    ----------
    parameters : Parameters
        With loading and bias, in the units of ``values``.
    values : float32, n_samples x n_genes
        Standardised; NaN where missing.
    """
    found = unknowns(parameters)
    # One BLAS thread, so that the bits do not depend on how many there are.
    with threadpool_limits(1, user_api="blas"):
        prior = _prior_of(parameters, values, found, n_threads)
        frozen = Frozen(parameters, prior)
    found = frozen.solve_all(
        values, found[:, None, :], max_iterations=ITERATIONS, n_threads=n_threads
    )
    solved = with_unknowns(parameters, found)
    for name, array in solved.arrays().items():
        parameters.arrays()[name][:] = array


def _prior_of(
    parameters: Parameters, values: Float32, found: Float32, n_threads: int | None
) -> Prior:
    """Mean, covariance and noise, from evenly many genes: alternately they and the genes."""
    genes = even_choice(len(found), PRIOR_GENES)
    profiles, now = np.ascontiguousarray(values[:, genes].T), found[genes]
    n_observed = int((~np.isnan(profiles)).sum())
    uncertainty = np.zeros((now.shape[1], now.shape[1]))
    prior = _distribution(now, uncertainty, LEAST_NOISE)
    loss = Frozen(parameters, prior).solve(
        profiles, now[:, None, :], max_iterations=0, n_threads=n_threads
    )
    prior = replace(prior, noise=max(float(loss.loss.mean()), LEAST_NOISE))
    for _ in range(ROUNDS):
        solution = Frozen(parameters, prior).solve(
            profiles, now[:, None, :], max_iterations=1, curvature=True, n_threads=n_threads
        )
        now = solution.u
        inverse = np.linalg.inv(_firm(solution.curvature))
        precision = prior.precision()
        # What of the unknowns the samples say, and not the prior.
        freedom = inverse[0].shape[0] * len(now) - np.einsum("gij,ji->", inverse, precision)
        away = now - prior.mean
        squares = float(solution.loss @ solution.n_observed)
        squares -= float(np.einsum("gi,ij,gj->", away, precision, away))
        noise = max(squares / max(n_observed - freedom, 1.0), LEAST_NOISE)
        prior = _distribution(now, prior.noise * inverse.mean(axis=0), noise)
    return prior


def _distribution(now: Float32, uncertainty: NDArray[np.float64], noise: float) -> Prior:
    covariance = np.cov(now.T.astype(np.float64), bias=True) + uncertainty
    return Prior(now.mean(axis=0, dtype=np.float64), _firm(covariance), noise)


def _firm(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Positive definite also where float32 sums left directions without any."""
    size = matrices.shape[-1]
    least = 1e-6 * np.trace(matrices, axis1=-2, axis2=-1) / size + 1e-12
    return np.asarray(matrices + least[..., None, None] * np.eye(size), np.float64)
