"""Units of the network that never act: a sign that the learning rate was too high."""

from __future__ import annotations

import warnings

import numpy as np

from fembed.data.choice import even_choice
from fembed.errors import DataWarning
from fembed.parameters import Parameters


def warn_of_dead_units(parameters: Parameters) -> None:
    """Warn, in the name of `fembed.fit`'s caller, if most of the last hidden layer is dead."""
    dead = dead_unit_share(parameters)
    if dead > 0.5:
        warnings.warn(
            f"{dead:.0%} of the network's last hidden units are never active; "
            "train again with a lower learning rate.",
            DataWarning,
            stacklevel=4,
        )


def dead_unit_share(parameters: Parameters, n_points: int = 64) -> float:
    """Share of the last hidden layer's units that are inactive on a sample of pairs."""
    p = parameters
    rows = even_choice(p.n_samples, n_points)
    genes = even_choice(p.n_genes, n_points)
    layers = p.layers()
    first, d = layers[0], p.n_components
    by_sample = p.sample_embedding[rows] @ first.weight[:, :d].T
    by_gene = p.gene_embedding[genes] @ first.weight[:, d:].T + first.bias
    active = np.maximum(by_sample[:, None, :] + by_gene[None, :, :], 0.0)
    for layer in layers[1:-1]:
        active = np.maximum(active @ layer.weight.T + layer.bias, 0.0)
    return float((active.max(axis=(0, 1)) <= 0.0).mean())
