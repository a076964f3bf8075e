"""Weights of layers, so that one of 20,000 features does not silence one of 200.

PLACEHOLDER
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fembed.data.chunks import row_chunks
from fembed.data.preprocess import Preprocessing
from fembed.errors import InputError


def weigh(values: NDArray[np.float32], preprocessing: Preprocessing) -> Preprocessing:
    """Multiply every layer by its weight, in place; the preprocessing then has the weights.

    Parameters
    ----------
    values : float32, n_samples x n_features of all layers
        Transformed; NaN is missing.

    Raises
    ------
    InputError
        All features of a layer are constant.
    """
    if not preprocessing.layers:
        return preprocessing
    pieces = list(preprocessing.pieces(values.shape[1]))
    sizes = [_size(values[:, columns]) for _, columns in pieces]
    for (layer, _), size in zip(pieces, sizes, strict=True):
        if not size > 0.0:
            raise InputError(
                f"All features of the layer {layer.name} are constant, so there is nothing to "
                "learn from them; leave the layer out."
            )
    weights = [sizes[0] / size for size in sizes]
    for (_, columns), weight in zip(pieces, weights, strict=True):
        for rows in row_chunks(*values[:, columns].shape):
            values[rows, columns] *= np.float32(weight)
    return preprocessing.weighted(weights)


def _size(values: NDArray[np.float32]) -> float:
    """The square root of the mean over samples that have the layer."""
    total, count = np.zeros(values.shape[1]), np.zeros(values.shape[1], np.int64)
    for rows in row_chunks(*values.shape):
        observed = ~np.isnan(values[rows])
        count += observed.sum(axis=0)
        total += np.where(observed, values[rows], 0.0).sum(axis=0, dtype=np.float64)
    mean = total / np.maximum(count, 1)
    squares = 0.0
    for rows in row_chunks(*values.shape):
        squares += float(np.nansum(np.square(values[rows] - mean)))
    return float(np.sqrt(squares / max(1, count.sum()) * values.shape[1]))
