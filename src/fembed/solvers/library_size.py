"""Counts per million of samples that lack genes.

A sample's counts are divided by their total, but the total of a panel is that of its genes alone,
so each of them would look as many times higher as they are a part of the whole. How large a part
they are is read off the training sample in whose place they fit best once they are scaled so.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fembed import engine
from fembed.data.chunks import even_choice
from fembed.engine import Float32
from fembed.parameters import Parameters

#: Training samples that are compared with.
MAX_CANDIDATES = 64
#: The largest logarithm of a 32-bit float.
MAX_LOG = 38.5
#: Samples that lack less than this share of the genes are left as they are.
MIN_LACKING = 0.02


def rescale(
    parameters: Parameters,
    profiles: Float32,
    weight: float = 1.0,
    n_threads: int | None = None,
) -> None:
    """Put log10(counts per million + 1) of lacking samples on the whole profile's scale, in place.

    Parameters
    ----------
    parameters : Parameters
        With all genes.
    profiles : float32, k x n_genes
        From totals of each sample's observed genes; NaN where unobserved.
    weight : float
        What logarithms are multiplied by on the model's scale.
    """
    lacking = np.isnan(profiles).mean(axis=1) > MIN_LACKING
    if not lacking.any():
        return
    places = parameters.sample_embedding[even_choice(parameters.n_samples, MAX_CANDIDATES)]
    decoded = engine.decode(parameters, places, n_threads=n_threads).astype(np.float64) / weight
    # Beyond the largest 32-bit float it is no count, and would make the total infinite.
    decoded = np.fmin(decoded, MAX_LOG)
    linear = np.maximum(np.expm1(decoded * np.log(10.0)), 0.0)
    for row in np.flatnonzero(lacking):
        observed = ~np.isnan(profiles[row])
        logs = profiles[row, observed].astype(np.float64) / weight
        measured = np.expm1(logs * np.log(10.0))
        found = _best(measured, decoded[:, observed], _share(linear, observed))
        profiles[row, observed] = weight * found


def _share(linear: NDArray[np.float64], observed: NDArray[np.bool_]) -> NDArray[np.float64]:
    share: NDArray[np.float64] = linear[:, observed].sum(axis=1) / np.maximum(
        linear.sum(axis=1), 1e-30
    )
    return share


def _best(
    measured: NDArray[np.float64], decoded: NDArray[np.float64], share: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The measured counts by the share of the candidate that they then fit best."""
    scaled = np.log1p(measured * share[:, None]) / np.log(10.0)
    best = int(np.square(scaled - decoded).sum(axis=1).argmin())
    found: NDArray[np.float64] = scaled[best]
    return found
