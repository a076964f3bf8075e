"""Where a training on counts starts: at that of measured values, and rates that fit the counts.

Samples and genes start as those of log(1 + counts per size) do, whose noise is nearly the same for
all frequent genes and small for rare ones, so that these do not rule the start. What the model
predicts is the logarithm of a rate, though: each gene's loading and bias are fitted to its counts,
by Fisher scoring.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fembed.config import FitConfig
from fembed.data.chunks import row_chunks
from fembed.engine import Float32
from fembed.likelihood import LOG_MEAN_LIMITS
from fembed.parameters import Parameters
from fembed.solvers.count_model import CountModel, rates
from fembed.train.initialization import spectral_initialization
from fembed.train.units import standardise

Float64 = NDArray[np.float64]

#: The dispersion of all genes to begin with, before the map explains anything: what cells of one
#: kind have. Estimated there it would be that between kinds, which genes that tell kinds apart
#: have most of.
FIRST_DISPERSION = 0.1
#: The prior precision of a loading: rare genes have too few counts to know it.
LOADING_PRECISION = 5.0
SCORING_STEPS = 2
#: No step changes a logarithm by more per unit.
MAX_CHANGE = 2.0
#: Genes whose matrices are in memory in double precision at the same time.
GENES_AT_ONCE = 256


def count_initialization(
    values: Float32, size: Float64, config: FitConfig, samples: NDArray[np.intp]
) -> tuple[Parameters, CountModel]:
    """The first parameters of a training on counts.

    Parameters
    ----------
    values : float32, n_samples x n_genes
        Counts; NaN where missing.
    size : float64, n_samples
    samples : indices
        Samples to learn from.

    Returns
    -------
    parameters : Parameters
    count_model : CountModel
        Of the samples to learn from, with a first dispersion.
    """
    logs = np.empty_like(values)
    for rows in row_chunks(*values.shape):
        np.log1p(values[rows] / size[rows, None].astype(np.float32), out=logs[rows])
    standardise(logs)
    parameters, _ = spectral_initialization(logs, config, samples)
    del logs
    rate = rates(values[samples], size[samples])
    known = CountModel(rate, np.full(len(rate), FIRST_DISPERSION, np.float32))
    assert parameters.gene_bias is not None
    parameters.gene_bias[:] = np.log(rate)
    for begin in range(0, len(rate), GENES_AT_ONCE):
        _fit_loadings(parameters, values, size, samples, slice(begin, begin + GENES_AT_ONCE))
    return parameters, known


def _fit_loadings(
    parameters: Parameters,
    values: Float32,
    size: Float64,
    samples: NDArray[np.intp],
    genes: slice,
) -> None:
    """Loading and bias of some genes from their counts in ``samples``, in place."""
    loading, bias = parameters.gene_loading, parameters.gene_bias
    assert loading is not None and bias is not None
    counts = values[samples, genes].astype(np.float64)
    missing = np.isnan(counts)
    places = parameters.sample_embedding[samples].astype(np.float64)
    design = np.column_stack([places, np.ones(len(places))])
    n = design.shape[1]
    found = np.zeros((counts.shape[1], n))
    found[:, -1] = bias[genes]
    centre = found.copy()
    precision = np.diag([LOADING_PRECISION] * (n - 1) + [1e-6])
    for _ in range(SCORING_STEPS):
        mean = np.exp(np.clip(np.log(size[samples])[:, None] + design @ found.T, *LOG_MEAN_LIMITS))
        weight = np.where(missing, 0.0, mean / (1.0 + FIRST_DISPERSION * mean))
        slope = np.where(missing, 0.0, (counts - mean) / (1.0 + FIRST_DISPERSION * mean))
        pairs = (design[:, :, None] * design[:, None, :]).reshape(len(design), -1)
        information = (weight.T @ pairs).reshape(-1, n, n) + precision
        pull = slope.T @ design - (found - centre) @ precision
        step = np.linalg.solve(information, pull[..., None])[..., 0]
        found += np.clip(step, -MAX_CHANGE, MAX_CHANGE)
    loading[genes], bias[genes] = found[:, :-1], found[:, -1]
