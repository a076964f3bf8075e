"""Genes among samples that stand still: the solver of samples, with the roles changed.

The first layer is linear in [u; v], and a gene's loading and bias add to the network's output. So
with places and network frozen, a gene's unknowns (embedding, loading, bias) are to the samples what
a sample's place is to the genes, and one solver does both, with a `Prior` of the genes.

`solve_genes` is the last solve of a training. Steps leave a gene's fifty-odd unknowns with the
noise of its samples, and few samples cannot tell that noise from the gene. The distribution of all
genes can: its mean and covariance, and the noise of an entry, are estimated from the genes
themselves (empirical Bayes, by expectation maximisation; Dempster et al. 1977), and every gene goes
to its most probable unknowns. There is nothing to tune.

`solve_new_genes` has nowhere to begin. Its starts are the embeddings of the existing genes that fit
best once loading and bias are fitted by least squares in closed form; the distribution of the
existing genes holds what few samples do not.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from fembed import engine
from fembed.data.chunks import even_choice
from fembed.engine import Float32, Solution
from fembed.likelihood import Counts
from fembed.parameters import Parameters
from fembed.solvers.gene_starts import GeneStarts
from fembed.solvers.prior import Prior

#: Genes solved in one call of the engine; bounds the memory of their curvatures.
GENES_AT_ONCE = 512

#: With more samples a gene is known well enough from them alone.
MAX_SAMPLES = 2_500
#: With more unknowns the solve of a gene would cost more than the training.
MAX_UNKNOWNS = 128
#: With fewer genes for each unknown, their distribution is not known well enough to be of help.
MIN_GENES_PER_UNKNOWN = 30
#: Genes that say how genes are distributed.
PRIOR_GENES = 384
#: Rounds of expectation and maximisation.
PRIOR_ROUNDS = 2
#: Iterations of every gene's solve at the end of a training, which left it near its optimum.
LAST_ITERATIONS = 2
#: Noise below this part of the variance of the values, which is one, is none.
MIN_NOISE = 1e-6

#: Iterations of a new gene from each of its starts.
ITERATIONS = 30


class GeneSolver:
    """Places and network that genes are solved against.

    Parameters
    ----------
    parameters : Parameters
        Its samples' places and its network; its genes play no part.
    prior : Prior
    """

    def __init__(self, parameters: Parameters, prior: Prior) -> None:
        self._mirrored = _mirrored(parameters, len(prior.mean))
        self._likelihood = prior.likelihood

    def solve(
        self,
        profiles: Float32,
        starts: Float32,
        *,
        max_iterations: int,
        curvature: bool = False,
        counts: Counts | None = None,
        n_threads: int | None = None,
    ) -> Solution:
        """Solve genes, each alone; of several starts the best end is kept.

        Parameters
        ----------
        profiles : float32, n_genes x n_samples
            NaN where missing.
        starts : float32, n_genes x n_starts x n_unknowns
        counts : Counts, optional
            That the profiles hold counts; its rows are the genes.

        Returns
        -------
        Solution
            Its ``u`` are unknowns; its loss and curvature count the prior.
        """
        return engine.solve(
            self._mirrored,
            np.ascontiguousarray(profiles),
            np.ascontiguousarray(starts),
            likelihood=replace(self._likelihood, counts=counts),
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


def _mirrored(parameters: Parameters, n_unknowns: int) -> Parameters:
    """Samples as genes: what was a gene's unknowns is the "sample embedding"."""
    p, places = parameters, parameters.sample_embedding
    n, d, e = p.n_samples, p.n_components, p.gene_components
    first = p.layers()[0].weight
    weight = np.zeros((len(first), n_unknowns + d), np.float32)
    weight[:, :e] = first[:, d:]
    weight[:, n_unknowns:] = first[:, :d]
    loading = np.zeros((n, n_unknowns), np.float32)
    if p.gene_loading is not None:
        loading[:, e : e + d] = places
    if p.gene_bias is not None:
        loading[:, -1] = 1.0
    return Parameters(
        sample_embedding=np.zeros((1, n_unknowns), np.float32),
        gene_embedding=places,
        network=np.concatenate([weight.ravel(), p.network[first.size :]], dtype=np.float32),
        hidden=p.hidden,
        gene_loading=loading,
    )


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
        p.n_samples <= MAX_SAMPLES
        and n_unknowns <= MAX_UNKNOWNS
        and p.n_genes >= MIN_GENES_PER_UNKNOWN * n_unknowns
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
    found = parameters.gene_unknowns()
    # One BLAS thread, so that the bits do not depend on how many there are.
    with threadpool_limits(1, user_api="blas"):
        solver = GeneSolver(parameters, _estimated_prior(parameters, values, found, n_threads))
    found = solver.solve_all(
        values, found[:, None, :], max_iterations=LAST_ITERATIONS, n_threads=n_threads
    )
    for name, array in parameters.with_genes(found).arrays().items():
        parameters.arrays()[name][:] = array


def _estimated_prior(
    parameters: Parameters, values: Float32, found: Float32, n_threads: int | None
) -> Prior:
    """Mean, covariance and noise, from evenly many genes: alternately they and the genes."""
    genes = even_choice(len(found), PRIOR_GENES)
    profiles, now = np.ascontiguousarray(values[:, genes].T), found[genes]
    n_observed = int((~np.isnan(profiles)).sum())
    uncertainty = np.zeros((now.shape[1], now.shape[1]))
    prior = distribution(now, uncertainty, MIN_NOISE)
    begin = GeneSolver(parameters, prior).solve(
        profiles, now[:, None, :], max_iterations=0, n_threads=n_threads
    )
    prior = replace(prior, noise=max(float(begin.loss.mean()), MIN_NOISE))
    for _ in range(PRIOR_ROUNDS):
        solution = GeneSolver(parameters, prior).solve(
            profiles, now[:, None, :], max_iterations=1, curvature=True, n_threads=n_threads
        )
        now = solution.u
        inverse = np.linalg.inv(firm(solution.curvature))
        precision = prior.likelihood.precision
        assert precision is not None
        # What of the unknowns the samples say, and not the prior.
        freedom = inverse[0].shape[0] * len(now) - np.einsum("gij,ji->", inverse, precision)
        away = now - prior.mean
        squares = float(solution.cost.sum())
        squares -= float(np.einsum("gi,ij,gj->", away, precision, away))
        noise = max(squares / max(n_observed - freedom, 1.0), MIN_NOISE)
        prior = distribution(now, prior.noise * inverse.mean(axis=0), noise)
    return prior


def distribution(now: Float32, uncertainty: NDArray[np.float64], noise: float) -> Prior:
    """That of unknowns (n_genes x n) which are known up to an ``uncertainty`` (n x n)."""
    covariance = np.cov(now.T.astype(np.float64), bias=True) + uncertainty
    return Prior(now.mean(axis=0, dtype=np.float64), firm(covariance), noise)


def firm(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Positive definite also where float32 sums left directions without any."""
    size = matrices.shape[-1]
    least = 1e-6 * np.trace(matrices, axis1=-2, axis2=-1) / size + 1e-12
    return np.asarray(matrices + least[..., None, None] * np.eye(size), np.float64)


def solve_new_genes(
    parameters: Parameters,
    places: Float32,
    values: Float32,
    noise: float,
    n_threads: int | None = None,
) -> Float32:
    """The unknowns of genes that the model does not have, each solved on its own.

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
    prior = Prior.of_genes(parameters.gene_unknowns(), noise)
    solver = GeneSolver(replace(parameters, sample_embedding=places), prior)
    with threadpool_limits(1, user_api="blas"):  # or the bits would depend on how many there are
        starts = GeneStarts(parameters, places)
        several = np.stack([starts.of(profile) for profile in values.T]).astype(np.float32)
    return solver.solve_all(values, several, max_iterations=ITERATIONS, n_threads=n_threads)
