"""Where profiles belong in a frozen map: candidate points, the best starts, exact solves.

Every profile is treated alone: neither its batch mates nor their order nor chance has a part
in the result.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fembed import engine
from fembed.data.chunks import even_choice
from fembed.engine import Float32, Solution
from fembed.likelihood import LEAST_SQUARES, Likelihood
from fembed.parameters import Parameters

#: Decoded candidates take at most this many floats (80 MB), if they are not too few then.
MAX_DECODED_FLOATS = 20_000_000
MIN_CANDIDATES = 256
MAX_CANDIDATES = 2048
#: Genes that choose the starts; the descents that follow use all of them. A profile that has less
#: than a quarter of these chooses by all its genes, from fewer candidates.
START_GENES = 1024
#: A descent ends at a step that lowers the sum of squares by less than this share. Steps shrink
#: quadratically, so what is left is far smaller.
TOLERANCE = 1e-5
#: Profiles placed in one call of the engine; bounds the memory of their curvatures.
PROFILES_AT_ONCE = 512


def candidate_points(sample_embedding: Float32, n_genes: int) -> Float32:
    """Training positions to start from: all of them, or evenly many over the training order."""
    limit = int(np.clip(MAX_DECODED_FLOATS // max(1, n_genes), MIN_CANDIDATES, MAX_CANDIDATES))
    chosen = even_choice(len(sample_embedding), limit)
    return np.ascontiguousarray(sample_embedding[chosen], np.float32)


def grid_points(sample_embedding: Float32, side: int) -> Float32:
    """A side x side grid over the box of a 2-D map, a twentieth wider on every side."""
    low, high = sample_embedding.min(axis=0), sample_embedding.max(axis=0)
    margin = 0.05 * (high - low)
    axes = [np.linspace(a, b, side) for a, b in zip(low - margin, high + margin, strict=True)]
    return np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2).astype(np.float32)


def best_starts(
    decoded: Float32,
    candidates: Float32,
    profiles: Float32,
    n_starts: int,
    n_threads: int | None = None,
) -> Float32:
    """The candidates (k x n_starts x n_components) whose decoded profiles are nearest."""
    distances = engine.squared_distances(profiles, decoded, n_threads=n_threads)
    order = np.argsort(distances, axis=1, kind="stable")[:, :n_starts]
    return np.ascontiguousarray(candidates[order])


class _Starts:
    """The best starts by some genes, decoded once for all profiles."""

    def __init__(
        self,
        parameters: Parameters,
        genes: NDArray[np.intp],
        likelihood: Likelihood,
        n_starts: int,
        n_threads: int | None,
    ) -> None:
        self._genes = None if len(genes) == parameters.n_genes else genes
        self._candidates = candidate_points(parameters.sample_embedding, len(genes))
        self._decoded = engine.decode(
            parameters, self._candidates, genes=self._genes, n_threads=n_threads
        )
        self._scale = likelihood.take_genes(genes).marginal_scale()
        if self._scale is not None:
            self._decoded *= self._scale
        # Always as many, whichever genes decide.
        self._n_starts = min(n_starts, parameters.n_samples)
        self._n_threads = n_threads

    def of(self, profiles: Float32) -> Float32:
        if self._genes is not None:
            profiles = np.ascontiguousarray(profiles[:, self._genes])
        if self._scale is not None:
            profiles = profiles * self._scale
        return best_starts(
            self._decoded, self._candidates, profiles, self._n_starts, self._n_threads
        )


def place(
    parameters: Parameters,
    profiles: Float32,
    *,
    n_starts: int = 2,
    max_iterations: int = 30,
    tolerance: float = TOLERANCE,
    likelihood: Likelihood = LEAST_SQUARES,
    n_threads: int | None = None,
    on_part: Callable[[int], None] | None = None,
) -> Solution:
    """The best place of every profile (k x n_genes, NaN where unobserved), from a global start.

    Under a ``likelihood`` it is the most probable place, and loss and curvature are its own.
    ``on_part`` is told the number of profiles that have their places, now and then.
    """
    genes = even_choice(parameters.n_genes, START_GENES)
    some_genes = _Starts(parameters, genes, likelihood, n_starts, n_threads)
    all_genes: _Starts | None = None
    parts = []
    for begin in range(0, len(profiles), PROFILES_AT_ONCE):
        some = profiles[begin : begin + PROFILES_AT_ONCE]
        starts = some_genes.of(some)
        lacking = np.flatnonzero((~np.isnan(some[:, genes])).sum(axis=1) < len(genes) / 4)
        if lacking.size and len(genes) < parameters.n_genes:
            if all_genes is None:
                everything = np.arange(parameters.n_genes)
                all_genes = _Starts(parameters, everything, likelihood, n_starts, n_threads)
            starts[lacking] = all_genes.of(some[lacking])
        parts.append(
            engine.solve(
                parameters,
                some,
                starts,
                likelihood=likelihood.take_profiles(slice(begin, begin + len(some))),
                max_iterations=max_iterations,
                tolerance=tolerance,
                n_threads=n_threads,
            )
        )
        if on_part is not None:
            on_part(min(begin + PROFILES_AT_ONCE, len(profiles)))
    return joined(parts)


def refine(
    parameters: Parameters,
    profiles: Float32,
    starts: Float32,
    *,
    max_iterations: int,
    tolerance: float = TOLERANCE,
    likelihood: Likelihood = LEAST_SQUARES,
    n_threads: int | None = None,
) -> tuple[Float32, NDArray[np.float64]]:
    """Solve from one start each (k x n_components); returns places and losses, as in `place`."""
    places, loss = np.empty_like(starts), np.empty(len(starts))
    for begin in range(0, len(profiles), PROFILES_AT_ONCE):
        rows = slice(begin, begin + PROFILES_AT_ONCE)
        solution = engine.solve(
            parameters,
            profiles[rows],
            np.ascontiguousarray(starts[rows, None, :]),
            likelihood=likelihood.take_profiles(rows),
            max_iterations=max_iterations,
            tolerance=tolerance,
            curvature=False,
            n_threads=n_threads,
        )
        places[rows], loss[rows] = solution.u, solution.loss
    return places, loss


def losses(
    parameters: Parameters, profiles: Float32, places: Float32, n_threads: int | None = None
) -> NDArray[np.float64]:
    """Mean squared error (k) of each profile's observed genes at its place."""
    return refine(parameters, profiles, places, max_iterations=0, n_threads=n_threads)[1]


def mean_curvature(parameters: Parameters, n_threads: int | None = None) -> NDArray[np.float64]:
    """Mean over training positions and genes of J'J: the pull-back metric of the map."""
    points = parameters.sample_embedding
    chosen = even_choice(len(points), 256)
    starts = np.ascontiguousarray(points[chosen][:, None, :])
    profiles = np.zeros((len(chosen), parameters.n_genes), np.float32)
    solution = engine.solve(
        parameters, profiles, starts, max_iterations=0, tolerance=0.0, n_threads=n_threads
    )
    mean: NDArray[np.float64] = solution.curvature.mean(axis=0) / parameters.n_genes
    return mean


def joined(parts: list[Solution]) -> Solution:
    """One solution of all profiles, in the order of ``parts``."""
    return Solution(
        u=np.concatenate([part.u for part in parts]),
        cost=np.concatenate([part.cost for part in parts]),
        curvature=np.concatenate([part.curvature for part in parts]),
        n_observed=np.concatenate([part.n_observed for part in parts]),
        n_iterations=np.concatenate([part.n_iterations for part in parts]),
    )
