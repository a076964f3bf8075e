"""What a model knows of the counts of its genes, and how large samples are by them.

A sample's counts have the means ``size * exp(f(u))``, with f the model's prediction: the logarithm
of a rate, which is a gene's mean count in a sample of size one. The size is the sample's total over
that of the rates. A panel's genes may be a larger part of some kinds of samples than of others, so
its size is solved for beside its place.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fembed import engine
from fembed.data.chunks import even_choice, row_chunks
from fembed.engine import Float32
from fembed.likelihood import LOG_MEAN_LIMITS, Counts
from fembed.parameters import Parameters
from fembed.solvers.dispersion import estimate_dispersions

Float64 = NDArray[np.float64]

#: A sample without counts among some genes is taken to have half of one.
MIN_TOTAL = 0.5
#: A rate is at least what this number of counts in all samples together makes.
MIN_COUNTS = 0.5
#: Dispersions are estimated from at most so many samples.
MAX_SAMPLES = 1200
#: Larger dispersions say as little of the mean as this one.
MAX_DISPERSION = 1e4


@dataclass(frozen=True, eq=False)
class CountModel:
    """Of every gene its mean rate and its dispersion.

    Attributes
    ----------
    rate : float32, n_genes
        The mean count in a sample of size one, over the training samples.
    dispersion : float32, n_genes
        The variance of counts is ``mean + dispersion * mean^2``.
    share : float
        Of the rates of all the model's genes, the part that these have; 1 for all of them.
    """

    rate: Float32
    dispersion: Float32
    share: float = 1.0

    @property
    def total(self) -> float:
        """What the counts of a whole sample of size one add up to."""
        return float(self.rate.sum(dtype=np.float64)) / self.share

    @property
    def information(self) -> Float64:
        """What a gene of a sample of size one tells of its logarithm (n_genes): Fisher's weight."""
        return np.asarray(self.rate / (1.0 + self.dispersion * self.rate), np.float64)

    def take_genes(self, genes: NDArray[np.intp]) -> CountModel:
        """That of some genes, by their numbers."""
        taken = self.rate[genes]
        part = float(taken.sum(dtype=np.float64)) / float(self.rate.sum(dtype=np.float64))
        return CountModel(taken, self.dispersion[genes], self.share * part)

    def sizes(self, profiles: Float32) -> Float64:
        """Size factors (k) of profiles (k x n_genes, NaN where missing)."""
        found = np.empty(len(profiles))
        for rows in row_chunks(*profiles.shape):
            total = np.nansum(profiles[rows], axis=1, dtype=np.float64)
            expected = ~np.isnan(profiles[rows]) @ self.rate.astype(np.float64)
            found[rows] = np.maximum(total, MIN_TOTAL) / expected
        return found

    def observed_share(self, profiles: Float32) -> Float64:
        """The part (k) of the rates of all the model's genes that profiles have values of."""
        seen = np.empty(len(profiles))
        for rows in row_chunks(*profiles.shape):
            seen[rows] = ~np.isnan(profiles[rows]) @ self.rate.astype(np.float64)
        return np.asarray(seen / self.total, np.float64)

    def counts(self, size: Float64) -> Counts:
        """The distribution of samples of these sizes (k), given the logarithms of their rates."""
        return Counts.of_samples(size, self.dispersion)

    def with_dispersions(
        self,
        parameters: Parameters,
        values: Float32,
        samples: NDArray[np.intp],
        n_threads: int | None = None,
    ) -> CountModel:
        """The same with dispersions estimated anew, from what the model leaves of ``samples``.

        Parameters
        ----------
        parameters : Parameters
        values : float32, n_samples x n_genes
            Counts of the samples of ``parameters``.
        samples : indices
        """
        rows = samples[even_choice(len(samples), MAX_SAMPLES)]
        counts = values[rows]
        places = np.ascontiguousarray(parameters.sample_embedding[rows])
        means = engine.decode(parameters, places, n_threads=n_threads)
        means += np.log(self.sizes(counts))[:, None].astype(np.float32)
        np.exp(np.clip(means, *LOG_MEAN_LIMITS, out=means), out=means)
        found = estimate_dispersions(counts, means, n_unknowns=1.0)
        dispersion = np.minimum(found.dispersion, MAX_DISPERSION).astype(np.float32)
        return replace(self, dispersion=dispersion)


def sizes_of(values: Float32) -> Float64:
    """Size factors (n_samples) of samples that no model knows: totals, with a median of one.

    Where entries are missing, the total is that of the mean sample's observed entries.
    """
    total, seen = np.zeros(values.shape[1]), np.zeros(values.shape[1])
    for rows in row_chunks(*values.shape):
        total += np.nansum(values[rows], axis=0, dtype=np.float64)
        seen += (~np.isnan(values[rows])).sum(axis=0)
    rate = np.maximum(total, MIN_COUNTS) / np.maximum(seen, 1.0)
    everything = CountModel(rate.astype(np.float32), np.zeros(len(rate), np.float32))
    found = everything.sizes(values)
    return np.asarray(found / np.median(found), np.float64)


def rates(values: Float32, size: Float64) -> Float32:
    """Every gene's mean count (n_genes) in a sample of size one.

    Parameters
    ----------
    values : float32, n_samples x n_genes
        Counts; NaN where missing.
    size : float64, n_samples
    """
    total, expected = np.zeros(values.shape[1]), np.zeros(values.shape[1])
    for rows in row_chunks(*values.shape):
        total += np.nansum(values[rows], axis=0, dtype=np.float64)
        expected += size[rows] @ ~np.isnan(values[rows])
    return np.asarray(np.maximum(total, MIN_COUNTS) / expected, np.float32)
