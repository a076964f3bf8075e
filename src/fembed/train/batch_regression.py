"""Sums over samples from which the effects of batches follow, given a clustering of the samples.

The regression of profiles on clusters and effects, with priors whose variances all genes tell
together; see `fembed.train.batch_shifts`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fembed.data.chunks import row_chunks
from fembed.engine import Float32
from fembed.solvers.batch_effects import SCALE_LIMITS, BatchEffects, SampleEffects

Float64 = NDArray[np.float64]

#: Values whose gene varies less than this share of the mean variance are noise of rounding.
MIN_VARIANCE = 1e-8
#: The variance of the logarithm of a scale is at least this, so that its prior is never a point.
MIN_SCALE_VARIANCE = 1e-4
#: Less information than of so many samples is rounding.
MIN_INFORMATION = 1e-6
#: Rounds of the fixed point that finds the prior variances, far more than it takes.
PRIOR_ROUNDS = 100


@dataclass(frozen=True)
class GeneSums:
    """Every gene's mean and variance over the observed entries."""

    mean: Float64
    variance: Float64

    @classmethod
    def of(cls, values: Float32) -> GeneSums:
        total, count = np.zeros(values.shape[1]), np.zeros(values.shape[1], np.int64)
        for rows in row_chunks(*values.shape):
            count += (~np.isnan(values[rows])).sum(axis=0)
            total += np.nansum(values[rows], axis=0, dtype=np.float64)
        mean = total / np.maximum(count, 1)
        squares = np.zeros(values.shape[1])
        for rows in row_chunks(*values.shape):
            squares += np.nansum(np.square(values[rows] - mean), axis=0)
        variance = squares / np.maximum(count, 1)
        return cls(mean, np.maximum(variance, max(MIN_VARIANCE * variance.mean(), 1e-30)))


@dataclass(frozen=True)
class Regression:
    """Sums over the samples from which effects follow, given a clustering.

    Attributes
    ----------
    information : n_effects x n_effects
        What the samples say of the shifts, given their clusters, in units of one over the noise.
    product : n_effects x n_genes
        The effects' weights, less their clusters' means, times the profiles.
    noise : n_genes
        Variance that clusters and shifts leave.
    within : n_batches x n_genes
        Sum of squares of each batch's values around their means.
    expected : n_batches x n_genes
        What it would be at scale one, from the clusters' means and the noise.
    """

    information: Float64
    product: Float64
    noise: Float64
    within: Float64
    expected: Float64

    @classmethod
    def of(
        cls,
        values: Float32,
        effects: BatchEffects,
        clusters: NDArray[np.intp],
        means: Float32,
    ) -> Regression:
        """``means`` (n_clusters x n_genes): where values are missing, they and the effects are."""
        of_samples = effects.of_training()
        n_clusters, n_genes = means.shape
        n_effects, n_batches = len(effects.shift), effects.n_batches
        size = n_clusters + n_effects
        normal, product = np.zeros((size, size)), np.zeros((size, n_genes))
        squares = np.zeros(n_genes)
        raw, raw_squares = np.zeros((n_batches, n_genes)), np.zeros((n_batches, n_genes))
        for rows in row_chunks(*values.shape):
            some, block = (
                of_samples.take_samples(rows),
                filled(values[rows], of_samples.take_samples(rows), means[clusters[rows]]),
            )
            block -= effects.centre
            batches = some.weights[:, :n_batches].T
            raw += batches @ block
            raw_squares += batches @ np.square(block)
            block = (block / some.scales()).astype(np.float64)
            regressors = np.hstack([np.eye(n_clusters)[clusters[rows]], some.weights])
            normal += regressors.T @ regressors
            product += regressors.T @ block
            squares += np.square(block).sum(axis=0)
        return cls._solved(normal, product, squares, raw, raw_squares, n_clusters, n_batches)

    @classmethod
    def _solved(
        cls,
        normal: Float64,
        product: Float64,
        squares: Float64,
        raw: Float64,
        raw_squares: Float64,
        n_clusters: int,
        n_batches: int,
    ) -> Regression:
        k = n_clusters
        count = np.maximum(np.diag(normal)[:k], 1e-9)
        shares = normal[k:, :k] / count  # of each effect's weight, by cluster
        information = normal[k:, k:] - shares @ normal[:k, k:]
        of_effects = product[k:] - shares @ product[:k]
        shift = _inverse(information) @ of_effects
        means = (product[:k] - normal[:k, k:] @ shift) / count[:, None]
        left = squares - (means * product[:k]).sum(axis=0) - (shift * product[k:]).sum(axis=0)
        n_samples = count.sum()
        degrees = max(n_samples - np.linalg.matrix_rank(normal, hermitian=True), 1.0)
        noise = np.maximum(left, 0.0) / degrees
        noise = np.maximum(noise, max(MIN_VARIANCE * squares.mean() / n_samples, 1e-30))
        n_batch = np.maximum(np.diag(normal)[k : k + n_batches], 1e-9)[:, None]
        in_batch = normal[k : k + n_batches, :k] / n_batch
        spread = in_batch @ np.square(means) - np.square(in_batch @ means)
        return cls(
            information,
            of_effects,
            noise,
            raw_squares - np.square(raw) / n_batch,
            n_batch * spread + (n_batch - 1.0) * noise,
        )

    def shifts(self, left: NDArray[np.intp]) -> Float64:
        """The most probable effects, with priors whose variances all genes tell (EM)."""
        kept = np.setdiff1d(np.arange(len(self.information)), left)
        if not kept.size:
            return np.zeros_like(self.product)
        information = self.information[np.ix_(kept, kept)]
        product = self.product[kept]
        free = _inverse(information) @ product
        variance = np.maximum((np.square(free) / self.noise).mean(axis=1), 1e-6)
        for _ in range(PRIOR_ROUNDS):
            covariance = np.linalg.inv(information + np.diag(1.0 / variance))
            found = covariance @ product
            before = variance
            variance = (np.square(found) / self.noise).mean(axis=1) + np.diag(covariance)
            variance = np.maximum(variance, 1e-9)
            if np.abs(np.log(variance / before)).max() < 1e-3:
                break
        shift = np.zeros_like(self.product)
        shift[kept] = found
        return shift

    def log_scales(self, degrees: Float64, left: NDArray[np.intp]) -> Float64:
        """Logarithms of the scales, shrunk towards each batch's mean by the spread over genes."""
        tiny = np.finfo(np.float32).tiny
        from scipy.special import digamma, polygamma

        logs = 0.5 * np.log(np.maximum(self.within, tiny) / np.maximum(self.expected, tiny))
        varying = (self.within > 1e-6 * self.expected).all(axis=0) & (self.expected > tiny).all(
            axis=0
        )
        logs[:, ~varying] = 0.0
        if not varying.any():
            return logs
        # Mean and variance of the logarithm of the standard deviation of a normal sample.
        half = 0.5 * np.maximum(degrees, 1.0)[:, None]
        logs[:, varying] -= 0.5 * (digamma(half) - np.log(half))
        noise = 0.25 * polygamma(1, half)
        mean = logs[:, varying].mean(axis=1, keepdims=True)
        spread = logs[:, varying].var(axis=1, keepdims=True)
        prior = np.maximum(spread - noise, MIN_SCALE_VARIANCE)
        logs[:, varying] = mean + prior / (prior + noise) * (logs[:, varying] - mean)
        # The batch's mean is shrunk likewise, towards one.
        logs *= 1.0 / (1.0 + noise)
        logs[left[left < len(logs)]] = 0.0
        return logs


def averaged(
    effects: BatchEffects,
    found: list[Regression],
    left: NDArray[np.intp],
    sums: GeneSums,
) -> BatchEffects:
    """The effects by all clusterings."""
    n_batches = effects.n_batches
    shift = np.mean([regression.shifts(left) for regression in found], axis=0)
    sizes = np.array(
        [np.sum(c.codes == number) for c in effects.columns for number in range(len(c.levels))],
        np.float64,
    )
    logs = np.zeros((0, len(sums.mean)))
    if n_batches:
        logs = np.mean([r.log_scales(sizes - 1.0, left) for r in found], axis=0)
        logs /= max(1, len(effects.columns))  # each column saw the whole of it
    # The common level is that of the samples as they are: effects add up to nothing over them.
    first = 0
    for column in effects.columns:
        at = slice(first, first + len(column.levels))
        shift[at] -= np.average(shift[at], axis=0, weights=sizes[at])
        logs[at] -= np.average(logs[at], axis=0, weights=sizes[at])
        first = at.stop
    low, high = np.log(SCALE_LIMITS)
    scale = np.exp(np.clip(logs, 0.9 * low, 0.9 * high))
    shift[:n_batches] *= effects.scale / scale  # so that a batch's mean stays where it is
    return replace(effects, shift=shift.astype(np.float32), scale=scale.astype(np.float32))


def _inverse(information: Float64) -> Float64:
    """The inverse on what is known at all: a batch alone in its clusters has no information."""
    values, vectors = np.linalg.eigh(information)
    known = values > MIN_INFORMATION
    return np.asarray((vectors[:, known] / values[known]) @ vectors[:, known].T)


def filled(block: Float32, effects: SampleEffects, expected: Float32) -> Float32:
    """A copy of profiles with what is expected of missing values."""
    block, missing = block.copy(), np.isnan(block)
    if missing.any():
        there = np.array(expected, np.float32)
        effects.add(there)
        block[missing] = there[missing]
    return block
