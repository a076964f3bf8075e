"""Where samples of counts start: at the training samples that would have such counts."""

from __future__ import annotations

import numpy as np

from fembed import engine
from fembed.data.chunks import row_chunks
from fembed.engine import Float32
from fembed.parameters import Parameters
from fembed.solvers.count_model import CountModel
from fembed.solvers.samples import candidate_points

#: Genes that choose the starts: those that tell most.
START_GENES = 2048
#: Starts are compared at sizes that differ by this factor, so that few logarithms are needed.
SIZE_STEP = 1.15
#: Logarithms of rates beyond this one would overflow.
MAX_LOG = 40.0
#: Poisson's dispersion, which is divided by.
MIN_DISPERSION = 1e-6


def best_starts(
    known: CountModel,
    parameters: Parameters,
    profiles: Float32,
    n_starts: int,
    n_threads: int | None = None,
) -> Float32:
    """Training samples' places (k x n_starts x n_components) with the smallest deviance.

    By the genes that tell most, and at sizes that are rounded: terms that depend on the size
    are then matrix products.
    """
    genes = np.sort(np.argsort(-known.information, kind="stable")[:START_GENES])
    dispersion = np.maximum(known.dispersion[genes], MIN_DISPERSION)
    candidates = candidate_points(parameters.sample_embedding, len(genes))
    decoded = engine.decode(parameters, candidates, genes=genes, n_threads=n_threads)
    np.minimum(decoded, MAX_LOG, out=decoded)
    rounded = np.rint(np.log(known.sizes(profiles)) / np.log(SIZE_STEP))
    n_starts = min(n_starts, parameters.n_samples)
    starts = np.empty((len(profiles), n_starts, parameters.n_components), np.float32)
    for step in np.unique(rounded):
        means = np.exp(decoded + np.float32(step * np.log(SIZE_STEP)))
        logs = np.log1p(dispersion * means)
        slope, fixed = (logs - decoded).T, (logs / dispersion).T
        of_step = np.flatnonzero(rounded == step)
        for part in row_chunks(len(of_step), len(genes)):
            rows = of_step[part]
            some = profiles[np.ix_(rows, genes)]
            missing = np.isnan(some)
            costs = np.where(missing, 0.0, some) @ slope
            costs += (~missing).astype(np.float32) @ fixed if missing.any() else fixed.sum(0)
            order = np.argsort(costs, axis=1, kind="stable")[:, :n_starts]
            starts[rows] = candidates[order]
    return starts
