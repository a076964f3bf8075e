"""The units of a training: values of mean square one around gene means, and models in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fembed.data.chunks import row_chunks
from fembed.engine import Float32
from fembed.parameters import Parameters


@dataclass(frozen=True)
class Units:
    """How the matrix was centred and scaled for training: ``values * scale + gene_mean``."""

    gene_mean: NDArray[np.float64]
    scale: float


def standardise(values: Float32) -> Units:
    """Subtract every gene's mean and divide by one number, in place; NaN stays NaN.

    The scale makes the mean square of the observed entries one, so that learning rates mean the
    same for log2 and log10 data. It is zero, and nothing is divided, where every gene is constant.
    """
    total, count = np.zeros(values.shape[1]), np.zeros(values.shape[1], np.int64)
    for rows in row_chunks(*values.shape):
        observed = ~np.isnan(values[rows])
        count += observed.sum(axis=0)
        total += np.where(observed, values[rows], 0.0).sum(axis=0, dtype=np.float64)
    mean = total / np.maximum(count, 1)
    squares = 0.0
    for rows in row_chunks(*values.shape):
        values[rows] -= mean.astype(np.float32)
        squares += float(np.nansum(np.square(values[rows], dtype=np.float64)))
    scale = float(np.sqrt(squares / max(1, count.sum())))
    if scale == 0.0:
        return Units(mean.astype(np.float32).astype(np.float64), 0.0)
    for rows in row_chunks(*values.shape):
        values[rows] /= np.float32(scale)
    return Units(mean.astype(np.float32).astype(np.float64), scale)


def to_data_units(parameters: Parameters, units: Units) -> Parameters:
    """The same model for the matrix before `standardise`; distances in the map scale with it."""
    layers, d = parameters.layers(), parameters.n_components
    parameters.sample_embedding *= np.float32(units.scale)
    layers[0].weight[:, :d] /= units.scale
    layers[-1].weight[:] *= units.scale
    layers[-1].bias[:] *= units.scale
    # The loading is divided with the samples and multiplied with the genes: it stays.
    assert parameters.gene_bias is not None
    bias = parameters.gene_bias * units.scale + units.gene_mean
    parameters.gene_bias[:] = bias.astype(np.float32)
    return parameters


def to_training_units(parameters: Parameters, units: Units) -> None:
    """The inverse of `to_data_units`, in place."""
    layers, d = parameters.layers(), parameters.n_components
    parameters.sample_embedding /= np.float32(units.scale)
    layers[0].weight[:, :d] *= units.scale
    layers[-1].weight[:] /= units.scale
    layers[-1].bias[:] /= units.scale
    assert parameters.gene_bias is not None
    bias = (parameters.gene_bias - units.gene_mean) / units.scale
    parameters.gene_bias[:] = bias.astype(np.float32)
