"""Whether a network can say what it is asked in 32-bit floats.

Weights that are finite one by one may have products that are not. A sum of absolute values bounds
every entry from above, and is cheap; where it is no proof (it grows with every layer), a part of
the entries is decoded.
"""

from __future__ import annotations

import numpy as np

from fembed import engine
from fembed.data.chunks import even_choice
from fembed.parameters import Parameters

#: Beyond it the square of an entry leaves 32-bit floats.
MAX_ENTRY = 1e18
#: Samples of which all genes, and genes of which all samples are decoded.
N_DECODED = 4


def within_range(parameters: Parameters) -> bool:
    """Whether the expression of the model's samples stays below `MAX_ENTRY`.

    Parameters
    ----------
    parameters : Parameters
        All finite.
    """
    if entry_bound(parameters) <= MAX_ENTRY:
        return True
    p = parameters
    samples, genes = even_choice(p.n_samples, N_DECODED), even_choice(p.n_genes, N_DECODED)
    for rows, columns in ((samples, None), (slice(None), genes)):
        decoded = engine.decode(p, p.sample_embedding[rows], genes=columns)
        if not (np.abs(decoded) <= MAX_ENTRY).all():  # NaN is not, either
            return False
    return True


def entry_bound(parameters: Parameters) -> float:
    """No entry of the model's samples is larger, in absolute value; perhaps far too high."""
    p = parameters
    places = np.abs(p.sample_embedding).max(axis=0).astype(np.float64)
    bound = np.concatenate([places, np.abs(p.gene_embedding).max(axis=0).astype(np.float64)])
    with np.errstate(over="ignore"):
        for layer in p.layers():
            bound = np.abs(layer.weight).astype(np.float64) @ bound + np.abs(layer.bias)
        highest = float(bound[0])
    if p.gene_loading is not None:
        highest += float((np.abs(p.gene_loading).astype(np.float64) @ places).max())
    if p.gene_bias is not None:
        highest += float(np.abs(p.gene_bias).max())
    return highest
