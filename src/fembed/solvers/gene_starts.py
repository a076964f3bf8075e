"""Where the solve of a new gene begins: the embeddings of existing genes that fit it best."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.data.chunks import even_choice
from fembed.engine import Float32
from fembed.parameters import Parameters
from fembed.solvers.jacobian import network

#: Existing genes whose embeddings are tried.
MAX_TRIED = 1024
#: Starts of a gene; the best end is kept.
N_STARTS = 3
#: Entries of the widest array of one batch (80 MB).
MAX_BATCH_FLOATS = 20_000_000


class GeneStarts:
    """Embeddings of existing genes, ranked for a profile with loading and bias fitted freely."""

    def __init__(self, parameters: Parameters, places: Float32) -> None:
        genes = even_choice(parameters.n_genes, MAX_TRIED)
        self._unknowns = parameters.gene_unknowns()[genes].astype(np.float64)
        self._e = parameters.gene_components
        weight, bias = parameters.layers()[0]
        d = parameters.n_components
        by_sample = places @ weight[:, :d].T + bias
        by_gene = parameters.gene_embedding[genes] @ weight[:, d:].T
        self._outputs = np.empty((len(places), len(genes)), np.float32)
        step = max(1, MAX_BATCH_FLOATS // (len(places) * len(weight)))
        for begin in range(0, len(genes), step):
            part = slice(begin, begin + step)
            self._outputs[:, part] = network(parameters, by_sample[:, None] + by_gene[part])[0]
        # A gene that 32-bit floats cannot decode at these places is no start.
        fine = np.isfinite(self._outputs).all(axis=0)
        self._outputs, self._unknowns = self._outputs[:, fine], self._unknowns[fine]
        linear: list[Any] = [places] if parameters.gene_loading is not None else []
        linear += [np.ones((len(places), 1))] if parameters.gene_bias is not None else []
        self._linear = np.concatenate(linear, axis=1) if linear else np.empty((len(places), 0))

    def of(self, profile: Float32) -> NDArray[np.float64]:
        """The best starts (s x unknowns), loading and bias by least squares."""
        observed = ~np.isnan(profile)
        linear = self._linear[observed].astype(np.float64)
        gaps = profile[observed, None].astype(np.float64) - self._outputs[observed]
        fitted = np.linalg.lstsq(linear, gaps, rcond=None)[0] if linear.size else None
        left = gaps if fitted is None else gaps - linear @ fitted
        best = np.argsort(np.square(left).sum(axis=0), kind="stable")[:N_STARTS]
        starts = self._unknowns[best].copy()
        if fitted is not None:
            starts[:, self._e :] = fitted[:, best].T
        return starts
