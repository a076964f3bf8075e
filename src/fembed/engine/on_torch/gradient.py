"""The loss of a block and its gradient: the twin of `fembed._reference.loss`."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from fembed.engine.interface import Steps
from fembed.engine.on_torch.counts import KnownOfCounts, KnownOfPairs
from fembed.engine.on_torch.devices import Place
from fembed.engine.on_torch.entries import Block, entries, pairs_of
from fembed.engine.on_torch.model import Model
from fembed.engine.on_torch.network import Genes, Network, tiles
from fembed.parameters import Parameters


class Sums:
    """What a block's pairs add up to: its loss, and its gradient but for the factor 2 / n.

    All derivatives lie in one vector, so that they can be added up over processes in one go.
    """

    def __init__(self, network: Network, block: tuple[int, int], d: int, q: int) -> None:
        m, g = block
        sizes = [len(network.flat), m * d, g * q]
        flat = network.flat
        self.derivatives = torch.zeros(sum(sizes), dtype=flat.dtype, device=flat.device)
        of_network, samples, genes = self.derivatives.split(sizes)
        self.network = network.like(of_network)
        self.samples, self.genes = samples.view(m, d), genes.view(g, q)
        wide = Place(flat.device).wide
        #: The sum of losses, and the number of observed entries.
        self.totals = torch.zeros(2, dtype=wide, device=flat.device)


def block_sums(
    model: Model,
    block: Block,
    x: Tensor,
    known: KnownOfCounts | None,
    begin: int = 0,
) -> Sums:
    """Of one block; see `fembed._reference.loss`.

    ``x`` are the entries of the block's samples from number ``begin`` on; the others add nothing.
    """
    network, (rows, columns) = model.network, block
    u, unknowns = model.samples[0][rows], model.genes[0][columns]
    sums = Sums(network, (len(rows), len(columns)), u.shape[1], unknowns.shape[1])
    genes = model.of_genes(unknowns)
    most = model.work_bytes // (network.numbers_per_pair * u.element_size())
    for some_rows, some_columns in tiles(len(x), len(columns), max(1, most)):
        within = slice(begin + some_rows.start, begin + some_rows.stop)
        of_pairs = None
        if known is not None:
            of_pairs = known.of(rows[within], columns[some_columns])
        tile = (u[within], genes.take(some_columns), x[some_rows, some_columns], of_pairs)
        _add_tile(model, sums, tile, (within, some_columns))
    return sums


def _add_tile(
    model: Model,
    sums: Sums,
    tile: tuple[Tensor, Genes, Tensor, KnownOfPairs | None],
    where: tuple[slice, slice],
) -> None:
    """Add what the pairs of a tile give: at the place ``where`` of the block."""
    u, genes, x, known = tile
    network, shape = model.network, x.shape
    parts = network.sample_part(u), network.gene_part(genes.embedding)
    activations, output = network.forward(*parts)
    x_hat = genes.added_to(output.view(shape), u)
    observed = ~x.isnan()
    if known is None:
        slope = torch.where(observed, x_hat - x, 0.0)
        losses = slope * slope
    else:
        terms = known.terms(x_hat, x)
        slope = torch.where(observed, terms.slope, 0.0)
        losses = torch.where(observed, 2 * terms.half_deviance, 0.0)
    sums.totals[0] += losses.sum(dtype=sums.totals.dtype)
    sums.totals[1] += observed.sum()

    deltas = network.backward(activations, slope.reshape(-1, 1))
    deeper = zip(sums.network.layers[:0:-1], activations[::-1], strict=True)
    # The layers come first: one delta, that of the first layer, is left for what follows.
    for (layer, below), delta in zip(deeper, deltas, strict=False):
        layer.weight.addmm_(delta.T, below)
        layer.bias.add_(delta.sum(dim=0))
    first = next(deltas).view(*shape, -1)
    # A pair's first-layer delta reaches u through W_u and v through W_v: sum, then multiply.
    per_sample, per_gene = first.sum(dim=1), first.sum(dim=0)
    sums.network.weight_u.addmm_(per_sample.T, u)
    sums.network.weight_v.addmm_(per_gene.T, genes.embedding)
    sums.network.layers[0].bias.add_(per_sample.sum(dim=0))
    sums.samples[where[0]].addmm_(per_sample, network.weight_u)
    of_genes = model.of_genes(sums.genes[where[1]])
    of_genes.embedding.addmm_(per_gene, network.weight_v)
    if of_genes.loading is not None and genes.loading is not None:
        sums.samples[where[0]].addmm_(slope, genes.loading)
        of_genes.loading.addmm_(slope.T, u)
    if of_genes.bias is not None:
        of_genes.bias.add_(slope.sum(dim=0))


def known_of(parameters: Parameters, steps: Steps, place: Place) -> KnownOfCounts | None:
    """What is known of the matrix's counts, if it holds counts."""
    if steps.counts is None:
        return None
    return KnownOfCounts(steps.counts, parameters.n_samples, parameters.n_genes, place)


def give_totals(totals: Tensor, steps: Steps) -> None:
    """Mean losses and numbers of observed entries, from sums (n_steps x 2)."""
    loss, n_observed = totals.cpu().numpy().astype(np.float64).T
    steps.loss[...] = loss / np.maximum(n_observed, 1)
    steps.n_observed[...] = np.rint(n_observed)


def gradients(parameters: Parameters, steps: Steps, out: Parameters, place: Place) -> None:
    """The gradient of one block, by its own rows, into ``out``."""
    model = Model([parameters], place)
    known = known_of(parameters, steps, place)
    here, there = pairs_of(steps.blocks, torch.device("cpu")), pairs_of(steps.blocks, place.device)
    (x,) = entries(steps.expression, here, there, place)
    sums = block_sums(model, there[0], x, known)
    sums.derivatives.mul_((2 / sums.totals[1].clamp(min=1)).to(sums.derivatives.dtype))
    model.samples, model.genes = sums.samples[None], sums.genes[None]
    model.weights = sums.network.flat[None]
    model.write([out])
    give_totals(sums.totals[None], steps)
