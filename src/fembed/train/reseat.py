"""Reseating: move samples that sit in a local minimum to a place that fits them better."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fembed import engine
from fembed.data.choice import even_choice
from fembed.engine import Float32, take_genes
from fembed.parameters import Parameters
from fembed.solvers.samples import candidate_points, grid_points

#: Genes that decide; more would cost time and change few decisions.
GENES = 512
GRID_SIDE = 32
#: A sample moves only for a clearly smaller sum of squares.
GAIN = 1e-3


def reseat(
    parameters: Parameters,
    values: Float32,
    n_threads: int | None = None,
    samples: NDArray[np.intp] | None = None,
) -> NDArray[np.intp]:
    """Move samples (all, or those given) to their best candidate, in place; returns the moved.

    Candidates are a grid over a two-dimensional map, else the samples' own positions.
    """
    samples = np.arange(len(values)) if samples is None else samples
    genes = even_choice(parameters.n_genes, GENES)
    some = take_genes(parameters, genes)
    positions = parameters.sample_embedding
    if parameters.n_components == 2:
        candidates = grid_points(positions[samples], GRID_SIDE)
    else:
        candidates = candidate_points(positions[samples], 4 * len(genes))
    decoded = engine.decode(some, candidates, n_threads=n_threads)
    moved = []
    for begin in range(0, len(samples), 512):
        rows = samples[begin : begin + 512]
        profiles = np.ascontiguousarray(values[np.ix_(rows, genes)])
        distances = engine.squared_distances(profiles, decoded, n_threads=n_threads)
        best = distances.argmin(axis=1)
        gap = profiles - engine.decode(some, positions[rows], n_threads=n_threads)
        now = np.nansum(np.square(gap, dtype=np.float64), axis=1)
        better = distances[np.arange(len(rows)), best] < now * (1.0 - GAIN)
        positions[rows[better]] = candidates[best[better]]
        moved.append(rows[better])
    return np.concatenate(moved)
