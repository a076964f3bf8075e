"""What the map leaves of the expression: factors that genes still share, and noise of their own.

A map of few dimensions explains the large differences between samples; what it leaves is not
noise: genes that rise together within a tumour type still do. `learn` fits a factor model to the
training samples' residuals. With the map it is one likelihood of a sample,

    x = f(u) + loading s + e,   s ~ N(0, I),   e_j ~ N(0, noise_j),   u ~ the training samples,

under which samples are placed, and genes that were not measured have a mean and a variance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from fembed import engine
from fembed.data.chunks import even_choice, row_chunks
from fembed.engine import Float32
from fembed.likelihood import Likelihood
from fembed.parameters import Parameters
from fembed.solvers.prior import Prior

#: Of `tcga_11_cohorts` in two dimensions, the squared error of genes imputed from a tenth of them
#: was 0.845 of 5-NN's with 60 factors, 0.818 with 100 and 0.802 with 200; each costs a number per
#: gene.
MAX_FACTORS = 200
#: Rounds in which a gene's own noise and the factors, found in its units, are fitted in turn.
ROUNDS = 4
#: A gene's own noise is at least this share of the mean variance of residuals: what few samples
#: leave of a quiet gene is no measure of its noise.
MIN_NOISE = 0.1
#: Factors are learnt from at most so many samples, as the spectral start is.
MAX_SAMPLES = 1200
#: The genes that a trial knows, as shares, and the numbers that `independent_genes` may become.
TRIAL_SHARES = (0.03, 0.1, 0.3)
TRIAL_GENES = tuple(float(2**k) for k in range(13))
#: One sample in so many judges a trial of factors that were learnt from the others.
JUDGED = 5
#: Sums of the squares of larger residuals leave 32-bit floats; a model that misses by as much is
#: not helped by factors.
MAX_RESIDUAL = 1e15
#: Of the others, at most so many judge a trial.
MAX_JUDGED_GENES = 512


@dataclass(frozen=True)
class ResidualFactors:
    """A factor model of residuals: ``loading @ scores + noise``, scores of unit variance.

    Attributes
    ----------
    loading : float32, n_genes x n_factors
    noise : float32, n_genes
        Variance that the factors leave of each gene.
    independent_genes : float
        What the factors leave is itself shared among genes, so m genes do not average it away as m
        independent ones would: the noise counts 1 + m / independent_genes times.
    """

    loading: Float32
    noise: Float32
    independent_genes: float

    def times(self, scale: float) -> ResidualFactors | None:
        """The same factors of an expression ``scale`` times as large; None beyond float32."""
        loading = scale * self.loading.astype(np.float64)
        noise = scale**2 * self.noise.astype(np.float64)
        limits = np.finfo(np.float32)
        if max(np.abs(loading).max(), noise.max()) > limits.max or noise.min() < limits.tiny:
            return None
        return ResidualFactors(
            loading.astype(np.float32), noise.astype(np.float32), self.independent_genes
        )

    def take_genes(self, genes: NDArray[np.intp]) -> ResidualFactors:
        """Those of some genes, by their numbers."""
        return replace(self, loading=self.loading[genes], noise=self.noise[genes])

    def leading(self, count: int) -> ResidualFactors:
        """The first ``count`` factors, independent noise taking the place of the others."""
        others = np.square(self.loading[:, count:], dtype=np.float64).sum(axis=1)
        loading = np.ascontiguousarray(self.loading[:, :count])
        return ResidualFactors(loading, (self.noise + others).astype(np.float32), np.inf)

    def likelihood(self, n_genes: float, prior: Prior) -> Likelihood:
        """By which samples are placed that have values of ``n_genes`` genes; see `counted`.

        Of the ``prior``, the noise plays no part.
        """
        precision = np.ascontiguousarray(np.linalg.inv(prior.covariance), np.float64)
        weight = np.asarray(1.0 / (self.noise * self.counted(n_genes)), np.float32)
        return Likelihood(weight, self.loading, np.ascontiguousarray(prior.mean), precision)

    def counted(self, n_genes: float) -> float:
        """How many times the noise of so many observed genes counts."""
        return 1.0 + n_genes / self.independent_genes

    def posterior(
        self, genes: NDArray[np.intp]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """What residuals of these genes alone make of s: a ridge regression.

        Returns
        -------
        loading : float64, g x n_factors
            Of the genes.
        weight : float64, g
            One over their noise, as often as it counts.
        covariance : float64, n_factors x n_factors
            Of s; its mean is ``covariance @ loading.T @ (weight * residuals)``.
        """
        loading, noise = self.loading[genes].astype(np.float64), self.noise[genes].astype(float)
        weight = 1.0 / (noise * self.counted(len(genes)))
        precision = np.eye(loading.shape[1]) + (loading.T * weight) @ loading
        return loading, weight, np.asarray(np.linalg.inv(precision), np.float64)

    def scores(self, residuals: Float32) -> NDArray[np.float64]:
        """Posterior means of s (k x n_factors), from residuals (k x n_genes, NaN where missing)."""
        found = np.empty((len(residuals), self.loading.shape[1]))
        with threadpool_limits(1, user_api="blas"):
            for rows, genes in alike(residuals):
                loading, weight, covariance = self.posterior(genes)
                some = residuals[np.ix_(rows, genes)] * weight
                found[rows] = some @ loading @ covariance
        return found

    def predict(self, residuals: Float32) -> Float32:
        """Residuals of all genes (k x n_genes) from those that are observed (the others NaN)."""
        loading = self.loading.astype(np.float64)
        with threadpool_limits(1, user_api="blas"):
            return np.asarray(self.scores(residuals) @ loading.T, np.float32)


class _Scores:
    """Posterior means of scores for many numbers of independent genes, for a trial.

    The ridge regression of `ResidualFactors.posterior`, diagonal once, so that each costs little.
    """

    def __init__(
        self,
        loading: NDArray[np.float64],
        noise: NDArray[np.float64],
        residuals: NDArray[np.float64],
    ) -> None:
        weighted = loading / noise[:, None]
        self._n_genes = len(loading)
        self._precision, self._vectors = np.linalg.eigh(weighted.T @ loading)
        self._pulls = self._vectors.T @ (weighted.T @ residuals.T)

    def mean(self, independent_genes: float) -> NDArray[np.float64]:
        """Posterior means, k x n_factors."""
        counted = 1.0 + self._n_genes / independent_genes
        found: NDArray[np.float64] = self._vectors @ (
            self._pulls / (self._precision + counted)[:, None]
        )
        return found.T


def learn(
    parameters: Parameters,
    values: Float32,
    n_threads: int | None = None,
    independent_genes: float | None = None,
) -> ResidualFactors | None:
    """The factors of what the model leaves of its training samples.

    Parameters
    ----------
    parameters : Parameters
    values : float32, n_samples x n_genes
        The training matrix on the scale of ``parameters``, in the order of its samples; NaN where
        missing. It is not changed.
    n_threads : int, optional
        Threads of the engine.
    independent_genes : float, optional
        By trial if not given.

    Returns
    -------
    ResidualFactors or None
        None where factors do not help: learnt on four fifths of the samples, they did not lower
        the error of the others' genes.
    """
    rows = even_choice(len(values), MAX_SAMPLES)
    left = values[rows]  # a copy, since the rows are given by their indices
    for chunk in row_chunks(*left.shape):
        places = np.ascontiguousarray(parameters.sample_embedding[rows[chunk]])
        left[chunk] -= engine.decode(parameters, places, n_threads=n_threads)
    with threadpool_limits(1, user_api="blas"):
        if independent_genes is None:
            independent_genes = _chosen(left)
        if independent_genes is None:
            return None
        return _factors(left, independent_genes)


def _factors(left: Float32, independent_genes: float) -> ResidualFactors | None:
    """A factor model of residuals (n_samples x n_genes), missing ones becoming zero in place."""
    np.nan_to_num(left, copy=False)
    n_samples, n_genes = left.shape
    if not np.abs(left).max(initial=0.0) <= MAX_RESIDUAL:
        return None
    count = min(MAX_FACTORS, n_samples // 4, n_genes // 2)
    if count < 1:
        return None
    variance = np.einsum("ij,ij->j", left, left, dtype=np.float64) / n_samples
    least = max(MIN_NOISE * float(variance.mean()), 1e-12)
    noise = np.maximum(variance, least)
    for _ in range(ROUNDS):
        loading = _leading(left, noise, count)
        noise = np.maximum(variance - np.square(loading).sum(axis=1), least)
    return ResidualFactors(
        np.ascontiguousarray(loading, np.float32), noise.astype(np.float32), independent_genes
    )


def _leading(left: Float32, noise: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """The leading factors (n_genes x count) of residuals, given the genes' own noise.

    In units of that noise they are principal components less the variance of the noise, which is
    one (Tipping & Bishop 1999): found by the smaller Gram matrix.
    """
    n_samples, n_genes = left.shape
    deviation = np.sqrt(noise)
    scaled = left / deviation.astype(np.float32)
    wide = n_samples <= n_genes
    gram = scaled @ scaled.T if wide else scaled.T @ scaled
    squares, vectors = np.linalg.eigh(gram.astype(np.float64))
    squares, vectors = squares[::-1][:count], vectors[:, ::-1][:, :count]
    if wide:
        directions = scaled.T @ vectors.astype(np.float32)
        vectors = directions / np.sqrt(np.maximum(squares, 1e-30))
    size = np.sqrt(np.maximum(squares / n_samples - 1.0, 0.0))
    return np.asarray(deviation[:, None] * vectors * size, np.float64)


def _chosen(left: Float32) -> float | None:
    """`independent_genes` by trial: factors of four fifths of the samples, error on the others."""
    judging = np.arange(len(left)) % JUDGED == JUDGED // 2
    learning = _factors(left[~judging], 1.0)
    if learning is None:
        return None
    loading, noise = learning.loading.astype(np.float64), learning.noise.astype(np.float64)
    others = left[judging]
    random = np.random.default_rng(0x66616374)
    errors = np.zeros(len(TRIAL_GENES))
    for share in TRIAL_SHARES:
        known = np.less(random.random(left.shape[1]), share)
        if not known.any() or known.all():
            continue
        judged = np.flatnonzero(~known)
        judged = judged[:: -(-len(judged) // MAX_JUDGED_GENES)]
        target = others[:, judged].astype(np.float64)
        before = float(np.nansum(np.square(target)))
        if before <= 0.0:
            continue  # nothing to judge by
        some = np.nan_to_num(others[:, known]).astype(np.float64)
        scores = _Scores(loading[known], noise[known], some)
        for k, number in enumerate(TRIAL_GENES):
            gap = target - scores.mean(number) @ loading[judged].T
            errors[k] += np.log(max(np.nansum(np.square(gap)) / before, 1e-30))
    best = int(errors.argmin())
    return TRIAL_GENES[best] if errors[best] < 0.0 else None


def alike(
    residuals: Float32,
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Rows that have the same genes, and these: they share one small inverse."""
    observed = ~np.isnan(residuals)
    _, group = np.unique(np.packbits(observed, axis=1), axis=0, return_inverse=True)
    order = np.argsort(group.ravel(), kind="stable")
    for rows in np.split(order, np.cumsum(np.bincount(group.ravel()))[:-1]):
        yield rows, np.flatnonzero(observed[rows[0]])


def alike_counts(profiles: Float32) -> list[tuple[float, NDArray[np.intp]]]:
    """Rows grouped by their number of observed genes, within a tenth, and that number."""
    count = np.maximum((~np.isnan(profiles)).sum(axis=1), 1)
    rounded = np.exp2(np.round(8.0 * np.log2(count)) / 8.0)
    return [(float(n), np.flatnonzero(rounded == n)) for n in np.unique(rounded)]
