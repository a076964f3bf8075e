"""Samples of counts placed by their likelihood: the most probable place, and size where unknown.

`fembed.solvers.criterion` does the same for measured values, through the same functions. The size
of a whole profile is its total. That of a panel is one more unknown, since a panel's genes may be a
larger part of some kinds of samples than of others: it adds to the logarithm of every rate, as a
coordinate does whose loading is one for all genes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fembed import engine
from fembed.data.chunks import observed_counts, row_chunks
from fembed.engine import Float32, Solution
from fembed.likelihood import Counts, Likelihood
from fembed.parameters import Parameters
from fembed.solvers.count_model import CountModel
from fembed.solvers.count_starts import best_starts
from fembed.solvers.criterion import Criterion
from fembed.solvers.deviance import count_terms, expected_deviance
from fembed.solvers.prior import Prior
from fembed.solvers.samples import PROFILES_AT_ONCE, TOLERANCE

Float64 = NDArray[np.float64]

#: A profile that has less of the counts than this has an unknown size.
WHOLE = 0.98
#: The logarithm of such a size has this standard deviation around that of the mean sample.
SIZE_DEVIATION = 1.0


@dataclass(frozen=True, eq=False)
class CountCriterion(Criterion):
    """How probable a place is by counts, given the distribution of places.

    Attributes
    ----------
    count_model : CountModel
        Of the genes at hand.
    """

    count_model: CountModel | None = None

    @classmethod
    def of_counts(cls, count_model: CountModel, sample_embedding: Float32) -> CountCriterion:
        """With the distribution of these places (n_samples x n_components) as prior."""
        return cls(prior=Prior.of_samples(sample_embedding, 1.0), count_model=count_model)

    @property
    def known(self) -> CountModel:
        assert self.count_model is not None
        return self.count_model

    @property
    def is_likelihood(self) -> bool:
        """Costs and curvatures are those of a probability."""
        return True

    def take_genes(self, genes: NDArray[np.intp]) -> CountCriterion:
        """That of some genes, by their numbers."""
        return replace(self, count_model=self.known.take_genes(genes))

    def place(
        self,
        parameters: Parameters,
        profiles: Float32,
        *,
        n_starts: int = 2,
        max_iterations: int = 30,
        n_threads: int | None = None,
        on_part: Callable[[int], None] | None = None,
    ) -> Solution:
        """The best place of every profile (k x n_genes, NaN where unobserved), each alone.

        Cost and curvature are those of this criterion; where a size was solved for, too, the
        curvature is that of the place, whatever the size.
        """
        starts = best_starts(self.known, parameters, profiles, n_starts, n_threads)
        return self._solved(parameters, profiles, starts, max_iterations, n_threads, on_part)

    def refine(
        self,
        parameters: Parameters,
        profiles: Float32,
        starts: Float32,
        *,
        max_iterations: int,
        n_threads: int | None = None,
    ) -> Float32:
        """Places (k x n_components), each solved from one start (k x n_components)."""
        several = starts[:, None, :]
        return self._solved(parameters, profiles, several, max_iterations, n_threads, None).u

    def sizes(
        self,
        parameters: Parameters,
        profiles: Float32,
        places: Float32,
        n_threads: int | None = None,
    ) -> Float64:
        """Size factors (k): of whole profiles by their totals, of others by what fits a place."""
        found = self.known.sizes(profiles)
        lacking = np.flatnonzero(self.known.observed_share(profiles) < WHOLE)
        for part in row_chunks(len(lacking), parameters.n_genes):
            rows = lacking[part]
            points = np.ascontiguousarray(places[rows])
            rates = np.exp(engine.decode(parameters, points, n_threads=n_threads), dtype=np.float64)
            some = profiles[rows]
            expected = np.where(np.isnan(some), 0.0, rates).sum(axis=1)
            mean = found[rows] * (~np.isnan(some) @ self.known.rate.astype(np.float64))
            found[rows] = mean / np.maximum(expected, np.finfo(np.float32).tiny)
        return found

    def deviances(
        self,
        parameters: Parameters,
        profiles: Float32,
        places: Float32,
        n_threads: int | None = None,
    ) -> Float64:
        """Mean unit deviance (k) of each profile's observed genes at its place."""
        size = self.sizes(parameters, profiles, places, n_threads)
        found = np.empty(len(profiles))
        for begin in range(0, len(profiles), PROFILES_AT_ONCE):
            rows = slice(begin, begin + PROFILES_AT_ONCE)
            found[rows] = engine.solve(
                parameters,
                profiles[rows],
                np.ascontiguousarray(places[rows, None, :]),
                likelihood=Likelihood(counts=self.known.counts(size[rows])),
                max_iterations=0,
                curvature=False,
                n_threads=n_threads,
            ).loss
        return found

    def explained(
        self,
        parameters: Parameters,
        profiles: Float32,
        places: Float32,
        n_threads: int | None = None,
    ) -> tuple[float, float]:
        """Mean deviances of all observed counts: of the model, and of one of equal samples.

        In the latter, samples differ in nothing but their size.
        """
        equal = parameters.zeros_like()
        assert equal.gene_bias is not None
        equal.gene_bias[:] = np.log(self.known.rate)
        n_observed = observed_counts(profiles)
        left, total = (
            np.average(self.deviances(model, profiles, places, n_threads), weights=n_observed)
            for model in (parameters, equal)
        )
        return float(left), float(total)

    def losses(
        self,
        parameters: Parameters,
        profiles: Float32,
        places: Float32,
        n_threads: int | None = None,
    ) -> Float64:
        """The deviance (k) of each profile at its place, over its expectation.

        The expectation is that of counts with these means, so that samples of any depth can be
        compared: it is about one where the model is right.
        """
        size = self.sizes(parameters, profiles, places, n_threads)
        found = np.empty(len(profiles))
        for rows in row_chunks(*profiles.shape):
            log_mean = self.log_means(parameters, size[rows], places[rows], n_threads)
            some = profiles[rows]
            dispersion = np.broadcast_to(self.known.dispersion, some.shape)
            terms = count_terms(some.ravel(), log_mean.ravel(), dispersion.ravel())
            total = terms.deviance.reshape(some.shape).sum(axis=1, dtype=np.float64)
            expected = np.where(np.isnan(some), 0.0, expected_deviance(log_mean, dispersion))
            found[rows] = total / np.maximum(expected.sum(axis=1), np.finfo(np.float64).tiny)
        return found

    def log_means(
        self, parameters: Parameters, size: Float64, places: Float32, n_threads: int | None = None
    ) -> Float32:
        """Logarithms of the means (k x n_genes) of samples of these sizes (k) and places."""
        points = np.ascontiguousarray(places)
        found = engine.decode(parameters, points, n_threads=n_threads)
        found += np.log(size)[:, None].astype(np.float32)
        return found

    def _solved(
        self,
        parameters: Parameters,
        profiles: Float32,
        starts: Float32,
        max_iterations: int,
        n_threads: int | None,
        on_part: Callable[[int], None] | None,
    ) -> Solution:
        """From starts (k x n_starts x n_components); profiles of unknown size with it."""
        k, d = len(profiles), parameters.n_components
        found = Solution(
            u=np.empty((k, d), np.float32),
            cost=np.empty(k),
            curvature=np.empty((k, d, d)),
            n_observed=np.empty(k, np.int64),
            n_iterations=np.empty(k, np.int32),
        )
        size = self.known.sizes(profiles)
        lacking = self.known.observed_share(profiles) < WHOLE
        n_placed = 0
        for is_free in (False, True):
            of_kind = np.flatnonzero(lacking == is_free)
            model = _with_size(parameters) if is_free else parameters
            for begin in range(0, len(of_kind), PROFILES_AT_ONCE):
                rows = of_kind[begin : begin + PROFILES_AT_ONCE]
                begins = starts[rows]
                if is_free:
                    begins = np.pad(begins, ((0, 0), (0, 0), (0, 1)))
                solution = engine.solve(
                    model,
                    np.ascontiguousarray(profiles[rows]),
                    np.ascontiguousarray(begins),
                    likelihood=self._likelihood(self.known.counts(size[rows]), d, is_free),
                    max_iterations=max_iterations,
                    tolerance=TOLERANCE,
                    n_threads=n_threads,
                )
                found.u[rows] = solution.u[:, :d]
                found.cost[rows] = solution.cost
                found.curvature[rows] = _of_place(solution.curvature, d)
                found.n_observed[rows] = solution.n_observed
                found.n_iterations[rows] = solution.n_iterations
                n_placed += len(rows)
                if on_part is not None:
                    on_part(n_placed)
        return found

    def _likelihood(self, counts: Counts, n_components: int, free_size: bool) -> Likelihood:
        """With the prior of places, and of the size where it is free."""
        n = n_components + free_size
        mean, precision = np.zeros(n), np.zeros((n, n))
        if self.prior is not None:
            mean[:n_components] = self.prior.mean
            precision[:n_components, :n_components] = np.linalg.inv(self.prior.covariance)
        if free_size:
            precision[-1, -1] = SIZE_DEVIATION**-2
        return Likelihood(mean=mean, precision=precision, counts=counts)


def _with_size(parameters: Parameters) -> Parameters:
    """One more coordinate, which adds to the prediction of every gene alike."""
    p, d = parameters, parameters.n_components
    first = p.layers()[0].weight
    weight = np.insert(first, d, 0.0, axis=1)
    assert p.gene_loading is not None
    return replace(
        p,
        sample_embedding=np.pad(p.sample_embedding, ((0, 0), (0, 1))),
        network=np.concatenate([weight.ravel(), p.network[first.size :]], dtype=np.float32),
        gene_loading=np.pad(p.gene_loading, ((0, 0), (0, 1)), constant_values=1.0),
    )


def _of_place(curvature: Float64, n_components: int) -> Float64:
    """The information of the first coordinates (k x d x d), whatever the others are."""
    d = n_components
    if curvature.shape[1] == d:
        return curvature
    own, shared, others = curvature[:, :d, :d], curvature[:, :d, d:], curvature[:, d:, d:]
    return np.asarray(own - shared @ np.linalg.solve(others, shared.transpose(0, 2, 1)), np.float64)
