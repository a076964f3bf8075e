"""Genes of counts, with places and network frozen, and their distribution by empirical Bayes.

As `fembed.solvers.genes` does for measured values; the likelihood of counts has its own scale, so
there is no noise to estimate.
"""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

from fembed.data.chunks import even_choice
from fembed.engine import Float32
from fembed.likelihood import Counts
from fembed.parameters import Parameters
from fembed.solvers.genes import (
    GENES_AT_ONCE,
    LAST_ITERATIONS,
    PRIOR_GENES,
    PRIOR_ROUNDS,
    GeneSolver,
    distribution,
    firm,
)
from fembed.solvers.prior import Prior

#: Genes with fewer counts in all samples together are left as they are: they say next to nothing of
#: their unknowns, and in single cells they are half of all genes.
MIN_COUNTS = 20


def solve_count_genes(
    parameters: Parameters, values: Float32, counts: Counts, n_threads: int | None = None
) -> None:
    """Solve every gene that has counts enough, with places and network frozen, in place.

    Parameters
    ----------
    parameters : Parameters
        With loading and bias.
    values : float32, n_samples x n_genes
        Counts; NaN where missing.
    counts : Counts
        Of the samples and genes of ``values``.
    """
    found, of_genes = parameters.gene_unknowns(), counts.transposed()
    # One BLAS thread, so that the bits do not depend on how many there are.
    with threadpool_limits(1, user_api="blas"):
        solver = GeneSolver(parameters, _prior(parameters, values, of_genes, found, n_threads))
    told = np.flatnonzero(np.nansum(values, axis=0, dtype=np.float64) >= MIN_COUNTS)
    for begin in range(0, len(told), GENES_AT_ONCE):
        genes = told[begin : begin + GENES_AT_ONCE]
        found[genes] = solver.solve(
            values[:, genes].T,
            found[genes][:, None, :],
            max_iterations=LAST_ITERATIONS,
            counts=of_genes.take_rows(genes),
            n_threads=n_threads,
        ).u
    for name, array in parameters.with_genes(found).arrays().items():
        parameters.arrays()[name][:] = array


def _prior(
    parameters: Parameters,
    values: Float32,
    of_genes: Counts,
    found: Float32,
    n_threads: int | None,
) -> Prior:
    """Mean and covariance from evenly many genes: alternately they and the genes."""
    genes = even_choice(len(found), PRIOR_GENES)
    profiles, now = np.ascontiguousarray(values[:, genes].T), found[genes]
    prior = distribution(now, np.zeros((now.shape[1], now.shape[1])), 1.0)
    for _ in range(PRIOR_ROUNDS):
        solution = GeneSolver(parameters, prior).solve(
            profiles,
            now[:, None, :],
            max_iterations=1,
            curvature=True,
            counts=of_genes.take_rows(genes),
            n_threads=n_threads,
        )
        now = solution.u
        prior = distribution(now, np.linalg.inv(firm(solution.curvature)).mean(axis=0), 1.0)
    return prior
