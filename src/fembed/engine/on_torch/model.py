"""The parameters on the device, in groups that are updated together."""

from __future__ import annotations

import torch
from torch import Tensor

from fembed.engine.on_torch.devices import Place
from fembed.engine.on_torch.network import Genes, Network
from fembed.parameters import Parameters


class Model:
    """The parameters on the device: values, and in training two moments, of each group.

    ``samples`` is k x n_samples x d, ``genes`` k x n_genes x q with all that belongs to a gene side
    by side, ``network`` k x n_weights; k is 1, or 3 with Adam's moments.
    """

    def __init__(self, parts: list[Parameters], place: Place) -> None:
        p = self.shape = parts[0]
        self.work_bytes = place.work_bytes()
        self.samples = torch.stack([place.numbers(part.sample_embedding) for part in parts])
        self.genes = torch.stack([place.numbers(part.gene_unknowns()) for part in parts])
        self.weights = torch.stack([place.numbers(part.network) for part in parts])
        self.network = Network.of(self.weights[0], p.n_components, p.gene_components, p.hidden)

    def of_genes(self, unknowns: Tensor) -> Genes:
        """``unknowns`` (g x q) taken apart."""
        p, e = self.shape, self.shape.gene_components
        end = e if p.gene_loading is None else e + p.n_components
        loading = None if p.gene_loading is None else unknowns[:, e:end]
        return Genes(unknowns[:, :e], loading, None if p.gene_bias is None else unknowns[:, -1])

    def write(self, parts: list[Parameters]) -> None:
        """Bring the numbers back into the arrays that they came from."""
        groups = (self.samples.cpu(), self.genes.cpu(), self.weights.cpu())
        for part, samples, genes, weights in zip(parts, *groups, strict=True):
            found = part.with_genes(genes.numpy())
            part.sample_embedding[...] = samples.numpy()
            part.network[...] = weights.numpy()
            part.gene_embedding[...] = found.gene_embedding
            if part.gene_loading is not None and found.gene_loading is not None:
                part.gene_loading[...] = found.gene_loading
            if part.gene_bias is not None and found.gene_bias is not None:
                part.gene_bias[...] = found.gene_bias
