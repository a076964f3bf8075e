"""Where profiles belong in a frozen map: candidate points, the best starts, exact solves.

Every profile is treated alone: neither its batch mates nor their order nor chance has a part
in the result.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fembed import engine
from fembed.engine import Float32, Solution
from fembed.parameters import Parameters

#: Decoded candidates take at most this many floats (80 MB), but there are never fewer than 256.
DECODED_FLOATS = 20_000_000
MOST_CANDIDATES = 2048
#: Profiles placed in one call of the engine; bounds the memory of their curvatures.
PROFILES_AT_ONCE = 512


def candidate_points(sample_embedding: Float32, n_genes: int) -> Float32:
    """Training positions to start from: all of them, or evenly many over the training order."""
    limit = int(np.clip(DECODED_FLOATS // max(1, n_genes), 256, MOST_CANDIDATES))
    n_samples = len(sample_embedding)
    if n_samples <= limit:
        return np.ascontiguousarray(sample_embedding, np.float32)
    chosen = np.linspace(0, n_samples - 1, limit).round().astype(np.intp)
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


def place(
    parameters: Parameters,
    profiles: Float32,
    *,
    n_starts: int = 2,
    max_iterations: int = 30,
    tolerance: float = 1e-5,
    n_threads: int | None = None,
) -> Solution:
    """The best place of every profile (k x n_genes, NaN where unobserved), from a global start."""
    candidates = candidate_points(parameters.sample_embedding, parameters.n_genes)
    decoded = engine.decode(parameters, candidates, n_threads=n_threads)
    n_starts = min(n_starts, len(candidates))
    parts = []
    for begin in range(0, len(profiles), PROFILES_AT_ONCE):
        some = profiles[begin : begin + PROFILES_AT_ONCE]
        starts = best_starts(decoded, candidates, some, n_starts, n_threads)
        parts.append(
            engine.solve(
                parameters,
                some,
                starts,
                max_iterations=max_iterations,
                tolerance=tolerance,
                n_threads=n_threads,
            )
        )
    return _joined(parts)


def refine(
    parameters: Parameters,
    profiles: Float32,
    starts: Float32,
    *,
    max_iterations: int,
    tolerance: float = 1e-5,
    n_threads: int | None = None,
) -> tuple[Float32, NDArray[np.float64]]:
    """Solve from one start each (k x n_components); returns places and mean squared errors."""
    places, loss = np.empty_like(starts), np.empty(len(starts))
    for begin in range(0, len(profiles), PROFILES_AT_ONCE):
        rows = slice(begin, begin + PROFILES_AT_ONCE)
        solution = engine.solve(
            parameters,
            profiles[rows],
            np.ascontiguousarray(starts[rows, None, :]),
            max_iterations=max_iterations,
            tolerance=tolerance,
            n_threads=n_threads,
        )
        places[rows], loss[rows] = solution.u, solution.loss
    return places, loss


def mean_curvature(parameters: Parameters, n_threads: int | None = None) -> NDArray[np.float64]:
    """Mean over training positions and genes of J'J: the pull-back metric of the map."""
    points = parameters.sample_embedding
    chosen = np.linspace(0, len(points) - 1, min(len(points), 256)).round().astype(np.intp)
    starts = np.ascontiguousarray(points[chosen][:, None, :])
    profiles = np.zeros((len(chosen), parameters.n_genes), np.float32)
    solution = engine.solve(
        parameters, profiles, starts, max_iterations=0, tolerance=0.0, n_threads=n_threads
    )
    mean: NDArray[np.float64] = solution.curvature.mean(axis=0) / parameters.n_genes
    return mean


def _joined(parts: list[Solution]) -> Solution:
    return Solution(
        u=np.concatenate([part.u for part in parts]),
        loss=np.concatenate([part.loss for part in parts]),
        curvature=np.concatenate([part.curvature for part in parts]),
        n_observed=np.concatenate([part.n_observed for part in parts]),
        n_iterations=np.concatenate([part.n_iterations for part in parts]),
    )
