"""Predictions of a frozen model, and distances between profiles."""

from __future__ import annotations

import torch

from fembed.engine.interface import Float32
from fembed.engine.on_torch.devices import Place
from fembed.engine.on_torch.model import Model
from fembed.engine.on_torch.network import tiles
from fembed.parameters import Parameters


def decode(parameters: Parameters, points: Float32, out: Float32, place: Place) -> None:
    """Predicted expression at ``points``, into ``out``."""
    model = Model([parameters], place)
    network, genes = model.network, model.of_genes(model.genes[0])
    u = place.numbers(points)
    sample_part, gene_part = network.sample_part(u), network.gene_part(genes.embedding)
    most = model.work_bytes // (network.numbers_per_pair * u.element_size())
    for rows, columns in tiles(len(u), len(gene_part), max(1, most)):
        _, output = network.forward(sample_part[rows], gene_part[columns])
        shape = out[rows, columns].shape
        x_hat = genes.take(columns).added_to(output.view(shape), u[rows])
        out[rows, columns] = x_hat.cpu().numpy()


def squared_distances(profiles: Float32, candidates: Float32, out: Float32, place: Place) -> None:
    """Over each profile's observed genes, into ``out``.

    Of differences: were the squares multiplied out, near profiles would have distances of rounding.
    """
    x, y = place.numbers(profiles), place.numbers(candidates)
    found = torch.zeros(out.shape, dtype=place.wide, device=place.device)
    n_genes = max(1, min(x.shape[1], 1024))
    most = max(1, place.work_bytes() // (2 * n_genes * x.element_size()))
    for rows, others in tiles(len(x), len(y), most):
        for _, genes in tiles(1, x.shape[1], n_genes):
            gap = x[rows, None, genes] - y[others, genes]
            gap.nan_to_num_(nan=0.0, posinf=torch.inf, neginf=-torch.inf)
            found[rows, others] += gap.square_().sum(dim=-1)
    out[...] = found.cpu().numpy()
