"""The gauge: the linear change of coordinates that makes map distance mean expression distance."""

from __future__ import annotations

import numpy as np

from fembed.parameters import Parameters
from fembed.solvers.samples import mean_curvature


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
