"""What places of samples are judged by: the sum of squares, or the likelihood of a model.

Under the likelihood of map, residual factors and noise (`fembed.solvers.residual_factors`) the
place of a sample is its most probable one. Noisy genes then pull less at it, and few genes are
weighed against what is known of all samples. A model without residual factors is judged by the sum
of squares.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fembed.engine import Float32, Solution
from fembed.likelihood import LEAST_SQUARES, Likelihood
from fembed.parameters import Parameters
from fembed.solvers import samples
from fembed.solvers.prior import Prior
from fembed.solvers.residual_factors import ResidualFactors, alike_counts

#: Factors beside the map by which samples are placed. With more of them, or with noise that counts
#: more than once, prior and factors take what the map should explain: of held-out cells of
#: `sc_mouse_bladder_2100` in eight dimensions, 0.88 had neighbours of their label with 3 factors
#: and 0.26 with 200, whose noise counts 650 times.
PLACING_FACTORS = 3


@dataclass(frozen=True, eq=False)
class Criterion:
    """How probable a place is; without residual factors, how well it fits.

    Attributes
    ----------
    factors : ResidualFactors, optional
        What the map leaves of the genes at hand.
    prior : Prior, optional
        Of the places; needed with ``factors``, and without them weighed against its own noise.
    """

    factors: ResidualFactors | None = None
    prior: Prior | None = None

    @classmethod
    def of_samples(cls, factors: ResidualFactors | None, sample_embedding: Float32) -> Criterion:
        """By what samples are placed, given those of the training (n_samples x n_components).

        The likelihood, with the leading factors and the distribution of the places as prior;
        without factors, the sum of squares.
        """
        if factors is None:
            return cls()
        return cls(factors.leading(PLACING_FACTORS), Prior.of_samples(sample_embedding, 1.0))

    @property
    def is_likelihood(self) -> bool:
        """Whether costs and curvatures are those of a probability, of map, factors and noise."""
        return self.factors is not None

    def take_genes(self, genes: NDArray[np.intp]) -> Criterion:
        """That of some genes, by their numbers."""
        return (
            self if self.factors is None else replace(self, factors=self.factors.take_genes(genes))
        )

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

        See `fembed.solvers.samples.place`; cost and curvature are those of this criterion.
        """
        parts: list[Solution] = []
        order: list[NDArray[np.intp]] = []
        n_placed = 0

        def told(count: int) -> None:
            if on_part is not None:
                on_part(n_placed + count)

        for rows, some, likelihood in self._groups(profiles):
            solution = samples.place(
                parameters,
                some,
                n_starts=n_starts,
                max_iterations=max_iterations,
                likelihood=likelihood,
                n_threads=n_threads,
                on_part=told,
            )
            parts.append(solution)
            order.append(rows)
            n_placed += len(rows)
        together = samples.joined(parts)
        return together if len(parts) == 1 else together.take(np.argsort(np.concatenate(order)))

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
        places = np.empty_like(starts)
        for rows, some, likelihood in self._groups(profiles):
            places[rows], _ = samples.refine(
                parameters,
                some,
                starts[rows],
                max_iterations=max_iterations,
                likelihood=likelihood,
                n_threads=n_threads,
            )
        return places

    def losses(
        self,
        parameters: Parameters,
        profiles: Float32,
        places: Float32,
        n_threads: int | None = None,
    ) -> NDArray[np.float64]:
        """Mean squared error (k) of each profile's observed genes at its place."""
        return samples.losses(parameters, profiles, places, n_threads)

    def _groups(self, profiles: Float32) -> list[tuple[NDArray[np.intp], Float32, Likelihood]]:
        """Rows that share a likelihood, which depends on how many genes they have, and profiles."""
        if self.factors is None:
            likelihood = LEAST_SQUARES if self.prior is None else self.prior.likelihood
            return [(np.arange(len(profiles)), profiles, likelihood)]
        assert self.prior is not None
        counts = alike_counts(profiles)
        if len(counts) == 1 or np.isinf(self.factors.independent_genes):
            likelihood = self.factors.likelihood(counts[0][0], self.prior)
            return [(np.arange(len(profiles)), profiles, likelihood)]
        return [
            (
                rows,
                np.ascontiguousarray(profiles[rows]),
                self.factors.likelihood(number, self.prior),
            )
            for number, rows in counts
        ]


SUM_OF_SQUARES = Criterion()
