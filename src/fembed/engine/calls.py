"""The calls of the engine that is chosen: training, gradients, decoding, solving, distances."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fembed.engine.choice import chosen
from fembed.engine.interface import (
    AdamOptions,
    AdamState,
    Blocks,
    Float32,
    Indices,
    Solution,
    SolveOptions,
    Steps,
)
from fembed.likelihood import LEAST_SQUARES, Counts, Likelihood
from fembed.parameters import Parameters
from fembed.threads import thread_count


def train(
    parameters: Parameters,
    state: AdamState,
    expression: Float32,
    blocks: Blocks,
    learning_rates: NDArray[np.float32],
    *,
    counts: Counts | None = None,
    weight_decay: float = 0.0,
    lazy: bool = True,
    n_threads: int | None = None,
    isa: str = "",
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Run one Adam step on every block; ``parameters`` and ``state`` change in place.

    Parameters
    ----------
    parameters, state
        float32 arrays, C-contiguous.
    expression : float32, n_samples x n_genes
        NaN entries are left out of the loss.
    learning_rates : float32, n_steps x 3
        For the network, the genes (V, L, c) and the samples (U).
    counts : Counts, optional
        That the expression holds counts, not negative: predictions are then logarithms of means
        without their offsets, and an entry's loss is its unit deviance.
    weight_decay : float
        Coupled L2: Adam sees ``gradient + weight_decay * value``.
    lazy : bool
        Leave the rows of U, V, L and c that a block does not touch as they are; otherwise every
        row moves in every step, as in the published recipe.
    isa : str
        A kernel of :data:`ISAS`; the best one by default.

    Returns
    -------
    loss, n_observed : n_steps
        Mean squared error of each block before its update (of counts: mean unit deviance), and its
        number of observed entries.
    """
    steps = Steps.on(expression, counts, blocks)
    options = AdamOptions(learning_rates, weight_decay, lazy)
    chosen().train(parameters, state, options, steps, thread_count(n_threads), isa)
    return steps.loss, steps.n_observed


def gradients(
    parameters: Parameters,
    expression: Float32,
    rows: Indices,
    genes: Indices,
    *,
    counts: Counts | None = None,
    n_threads: int | None = None,
    isa: str = "",
) -> tuple[float, int, Parameters]:
    """Loss of one block as in `train`, its observed entries, and the gradient by block rows."""
    p = parameters
    out = Parameters(
        sample_embedding=np.zeros((len(rows), p.n_components), np.float32),
        gene_embedding=np.zeros((len(genes), p.gene_components), np.float32),
        network=np.zeros_like(p.network),
        hidden=p.hidden,
        gene_loading=None
        if p.gene_loading is None
        else np.zeros((len(genes), p.n_components), np.float32),
        gene_bias=None if p.gene_bias is None else np.zeros(len(genes), np.float32),
    )
    steps = Steps.on(expression, counts, Blocks.of([(rows, genes)]))
    chosen().gradients(p, steps, out, thread_count(n_threads), isa)
    return float(steps.loss[0]), int(steps.n_observed[0]), out


def decode(
    parameters: Parameters,
    points: Float32,
    *,
    genes: Indices | None = None,
    n_threads: int | None = None,
    isa: str = "",
) -> Float32:
    """Predicted expression (k x n_genes, or x len(genes)) at ``points`` (k x n_components)."""
    if genes is not None:
        parameters = parameters.take_genes(genes)
    points = np.ascontiguousarray(points, np.float32)
    out = np.empty((len(points), parameters.n_genes), np.float32)
    chosen().decode(parameters, points, out, thread_count(n_threads), isa)
    return out


def solve(
    parameters: Parameters,
    profiles: Float32,
    starts: Float32,
    *,
    likelihood: Likelihood = LEAST_SQUARES,
    max_iterations: int = 30,
    tolerance: float = 1e-5,
    curvature: bool = True,
    n_threads: int | None = None,
    isa: str = "",
) -> Solution:
    """Levenberg-Marquardt for each profile alone, genes and network frozen.

    ``profiles`` is k x n_genes with NaN where unobserved, ``starts`` is k x n_starts x
    n_components; the best start is kept. ``tolerance`` is the relative decrease of the cost at
    which a descent ends. Without ``curvature`` the solution's is not that of its last
    step, which is then cheaper.
    """
    k, d = len(profiles), parameters.n_components
    solution = Solution(
        u=np.empty((k, d), np.float32),
        cost=np.empty(k, np.float64),
        curvature=np.empty((k, d, d), np.float64),
        n_observed=np.empty(k, np.int64),
        n_iterations=np.empty(k, np.int32),
    )
    options = SolveOptions(max_iterations, tolerance, curvature)
    threads = thread_count(n_threads)
    chosen().solve(parameters, profiles, starts, likelihood, options, solution, threads, isa)
    return solution


def squared_distances(
    profiles: Float32, candidates: Float32, *, n_threads: int | None = None, isa: str = ""
) -> Float32:
    """Sum of squared differences (k x n_candidates) over each profile's observed genes."""
    out = np.empty((len(profiles), len(candidates)), np.float32)
    chosen().squared_distances(profiles, candidates, out, thread_count(n_threads), isa)
    return out
