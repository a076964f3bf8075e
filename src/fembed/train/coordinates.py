"""Coordinates of samples while genes and network stay fixed: moves, last solves, and the gauge.

The gauge is the choice among equivalent coordinates: an affine change of the map, whose inverse the
first layer and the loading absorb, leaves the decoded model as it is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fembed import engine
from fembed.config import FitConfig
from fembed.data.chunks import even_choice
from fembed.engine import Float32
from fembed.parameters import Parameters
from fembed.solvers.criterion import SUM_OF_SQUARES, Criterion
from fembed.solvers.samples import (
    START_GENES,
    candidate_points,
    grid_points,
    mean_curvature,
)

#: So many genes decide where a sample is reseated; more would cost time and change few decisions.
RESEATING_GENES = 512
#: Two-dimensional maps have a grid of candidates, with so many of them on a side.
GRID_SIDE = 32
#: A sample moves only if its sum of squares falls by more than this share.
MIN_GAIN = 1e-3
#: So many samples are compared with all candidates at once.
SAMPLES_PER_CHUNK = 512
#: A held-out sample that joins goes on from its place, so a few iterations do.
JOINING_ITERATIONS = 5
#: The last solve may evaluate so many pairs. A larger matrix gets one iteration, decided by a part
#: of the genes. One iteration by all genes left the loss of tcga_11_cohorts 0.13 % above the
#: converged one in two dimensions, and 0.06 % in eight.
LAST_SOLVE_PAIRS = 10_000_000
#: That part has at least so many genes ...
LAST_SOLVE_GENES = 2048
#: ... and so many for each component.
LAST_SOLVE_GENES_PER_COMPONENT = 256
#: It takes at most so many iterations.
LAST_SOLVE_ITERATIONS = 10


def reseat(
    parameters: Parameters,
    values: Float32,
    n_threads: int | None = None,
    samples: NDArray[np.intp] | None = None,
) -> NDArray[np.intp]:
    """Move samples (all, or those given) out of local minima, in place; returns the moved.

    Each goes to the candidate that fits it best, if that fits clearly better than where it is.
    Candidates are a grid over a two-dimensional map, else the samples' own positions.
    """
    samples = np.arange(len(values)) if samples is None else samples
    genes = even_choice(parameters.n_genes, RESEATING_GENES)
    some = parameters.take_genes(genes)
    positions = parameters.sample_embedding
    if parameters.n_components == 2:
        candidates = grid_points(positions[samples], GRID_SIDE)
    else:
        candidates = candidate_points(positions[samples], 4 * len(genes))
    decoded = engine.decode(some, candidates, n_threads=n_threads)
    moved = []
    for begin in range(0, len(samples), SAMPLES_PER_CHUNK):
        rows = samples[begin : begin + SAMPLES_PER_CHUNK]
        profiles = np.ascontiguousarray(values[np.ix_(rows, genes)])
        distances = engine.squared_distances(profiles, decoded, n_threads=n_threads)
        best = distances.argmin(axis=1)
        gap = profiles - engine.decode(some, positions[rows], n_threads=n_threads)
        now = np.nansum(np.square(gap, dtype=np.float64), axis=1)
        better = distances[np.arange(len(rows)), best] < now * (1.0 - MIN_GAIN)
        positions[rows[better]] = candidates[best[better]]
        moved.append(rows[better])
    return np.concatenate(moved)


def join(
    parameters: Parameters,
    values: Float32,
    training_samples: NDArray[np.intp],
    samples: NDArray[np.intp],
    n_threads: int | None = None,
    criterion: Criterion = SUM_OF_SQUARES,
) -> None:
    """Place ``samples``, which were held out, among those trained on, in place."""
    if not samples.size:
        return
    # They go on from here, so a part of the genes does, but not of those of sparse counts.
    most = parameters.n_genes if criterion.is_likelihood else START_GENES
    genes = even_choice(parameters.n_genes, most)
    placed = criterion.take_genes(genes).place(
        parameters.take_samples(training_samples).take_genes(genes),
        np.ascontiguousarray(values[np.ix_(samples, genes)]),
        n_starts=1,
        max_iterations=JOINING_ITERATIONS,
        n_threads=n_threads,
    )
    parameters.sample_embedding[samples] = placed.u


def last_solve(
    parameters: Parameters, values: Float32, config: FitConfig, criterion: Criterion
) -> NDArray[np.float64]:
    """Solve every sample from where it is, in place; returns their losses."""
    whole = criterion
    iterations = LAST_SOLVE_PAIRS // values.size - 1
    deciding, profiles = parameters, values
    if iterations < 1:
        most = max(LAST_SOLVE_GENES, LAST_SOLVE_GENES_PER_COMPONENT * config.n_components)
        genes = even_choice(parameters.n_genes, most)
        if len(genes) < parameters.n_genes:
            deciding, profiles = parameters.take_genes(genes), np.take(values, genes, axis=1)
            criterion = criterion.take_genes(genes)
    parameters.sample_embedding[:] = criterion.refine(
        deciding,
        np.ascontiguousarray(profiles),
        parameters.sample_embedding,
        max_iterations=int(np.clip(iterations, 1, LAST_SOLVE_ITERATIONS)),
        n_threads=config.n_threads,
    )
    return whole.losses(parameters, values, parameters.sample_embedding, config.n_threads)


def fix_gauge(parameters: Parameters, n_threads: int | None = None) -> None:
    """Make the mean pull-back metric the identity, in place; the decoded model is unchanged.

    With G the mean over samples of J'J, U becomes U G^(1/2), and the first layer and the loading
    absorb G^(-1/2). Then a small step of length s in the map changes the decoded profile, on
    average over samples and directions, by s (root mean square over genes).
    """
    metric = mean_curvature(parameters, n_threads)
    values, vectors = np.linalg.eigh(metric)
    # Directions that change nothing keep a finite length.
    values = np.maximum(values, values.max() * 1e-6)
    if not values.max() > 0.0:
        return
    root = (vectors * np.sqrt(values)) @ vectors.T
    inverse = (vectors / np.sqrt(values)) @ vectors.T
    d = parameters.n_components
    parameters.sample_embedding[:] = parameters.sample_embedding @ root
    weight = parameters.layers()[0].weight
    weight[:, :d] = weight[:, :d] @ inverse
    if parameters.gene_loading is not None:
        parameters.gene_loading[:] = parameters.gene_loading @ inverse


def take_back(parameters: Parameters, old: NDArray[np.float64]) -> None:
    """Apply the affine map that brings the first samples nearest ``old``, in place.

    The decoded model is unchanged: with u' = u A + b the first layer and the loading take A^-1,
    their constants the shift.
    """
    d, places = parameters.n_components, parameters.sample_embedding.astype(np.float64)
    now = places[: len(old)]
    centre, target = now.mean(axis=0), old.mean(axis=0)
    x, y = now - centre, old - target
    # Where the samples do not determine a direction, it stays as it is.
    ridge = 1e-6 * np.trace(x.T @ x) / d * np.eye(d)
    if not ridge[0, 0] > 0.0:
        return  # all old samples are in one place
    turn = np.linalg.solve(x.T @ x + ridge, x.T @ y + ridge)
    if np.linalg.cond(turn) > 1e4:
        return
    shift = target - centre @ turn
    inverse = np.linalg.inv(turn).T
    parameters.sample_embedding[:] = places @ turn + shift
    first = parameters.layers()[0]
    first.weight[:, :d] = first.weight[:, :d] @ inverse
    first.bias[:] -= first.weight[:, :d] @ shift
    if parameters.gene_loading is not None:
        parameters.gene_loading[:] = parameters.gene_loading @ inverse
        if parameters.gene_bias is not None:
            parameters.gene_bias[:] -= parameters.gene_loading @ shift


def drift(parameters: Parameters, old: NDArray[np.float64]) -> dict[str, float]:
    """How far old samples moved, in units of the map's size: root mean square and 95 % point.

    The size is the root mean square distance of the old places from their mean.
    """
    size = float(np.sqrt(np.square(old - old.mean(axis=0)).sum(axis=1).mean()))
    moved = np.linalg.norm(parameters.sample_embedding[: len(old)] - old, axis=1) / max(size, 1e-30)
    return {
        "drift": float(np.sqrt(np.square(moved).mean())),
        "drift_95": float(np.quantile(moved, 0.95)),
    }
