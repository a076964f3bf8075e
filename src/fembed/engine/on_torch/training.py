"""Steps of training: the gradient of a block, and Adam on what it touches.

A run of steps does not wait for the device: no number comes back before the last step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fembed.engine.interface import AdamOptions, AdamState, Blocks, Steps
from fembed.engine.on_torch.counts import KnownOfCounts, KnownOfPairs
from fembed.engine.on_torch.devices import Place
from fembed.engine.on_torch.entries import Block, entries
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
    for some_rows, some_columns in tiles(*x.shape, max(1, most)):
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
    activations, output = network.forward(network.sample_part(u), network.gene_part(genes.embedding))
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


class Adam:
    """Adam (Kingma & Ba 2015) for matrices whose rows each count their own updates."""

    def __init__(self, options: AdamOptions, place: Place) -> None:
        self._options, self._place = options, place

    def move(
        self, group: Tensor, gradient: Tensor, count: Tensor, rate: Tensor, live: Tensor
    ) -> None:
        """One update of values and moments (3 x rows x any), in place, where ``live`` is 1.

        ``count`` is the number of a row's updates with this one, or one number for all.
        """
        options, place = self._options, self._place
        values, first, second = group
        t = count.to(place.wide).clamp(min=1)
        t = t.view(-1, *[1] * (values.dim() - 1)) if values.dim() > 1 else t
        # 1 - beta^t without cancellation.
        rest1, rest2 = (-torch.expm1(t * math.log(b)) for b in (options.beta1, options.beta2))
        step = (rate * live / rest1).to(place.dtype)
        corrected = (1 / rest2).to(place.dtype)
        live = live.to(place.dtype)
        g = gradient + options.weight_decay * values
        first.lerp_(g, live * (1 - options.beta1))
        second.lerp_(g * g, live * (1 - options.beta2))
        values.sub_(step * first / ((second * corrected).sqrt_() + options.epsilon))


def train(
    parameters: Parameters,
    state: AdamState,
    options: AdamOptions,
    steps: Steps,
    place: Place,
    reduce: Callable[[Sums], None] | None = None,
    share: Callable[[int], slice] | None = None,
) -> None:
    """One step of Adam on every block, in place.

    If several processes work together, ``share`` says which of a block's samples are this one's,
    and ``reduce`` adds up what they give.
    """
    parts = [parameters, state.first, state.second]
    model, adam = Model(parts, place), Adam(options, place)
    known = None
    if steps.counts is not None:
        known = KnownOfCounts(steps.counts, *steps.expression.shape, place)
    counts = [
        torch.from_numpy(count).to(place.device, copy=True)
        for count in (state.sample_count, state.gene_count, state.network_count)
    ]
    rates = torch.from_numpy(options.learning_rates).to(place.device, place.wide)
    totals = torch.zeros(len(steps.blocks), 2, dtype=place.wide, device=place.device)
    blocks = pairs_of(steps.blocks)
    shares = [slice(0, len(rows)) if share is None else share(len(rows)) for rows, _ in blocks]
    mine = [(rows[some], columns) for some, (rows, columns) in zip(shares, blocks, strict=True)]
    for step, x in enumerate(entries(steps.expression, mine, place)):
        block = place.indices(blocks[step])
        sums = block_sums(model, block, x, known, shares[step].start)
        if reduce is not None:
            reduce(sums)
        totals[step] = sums.totals
        _update(model, adam, counts, sums, block, rates[step], options.lazy)
    model.write(parts)
    for count, there in zip(
        (state.sample_count, state.gene_count, state.network_count), counts, strict=True
    ):
        count[...] = there.cpu().numpy()
    give_totals(totals, steps)


def _update(
    model: Model,
    adam: Adam,
    counts: list[Tensor],
    sums: Sums,
    block: tuple[Tensor, Tensor],
    rates: Tensor,
    lazy: bool,
) -> None:
    """Adam with the block's gradient; a block without observed entries changes nothing."""
    n_observed = sums.totals[1]
    live = (n_observed > 0).to(sums.totals.dtype)
    scale = (2 / n_observed.clamp(min=1)).to(sums.derivatives.dtype)
    sums.derivatives.mul_(scale)
    groups = (
        (model.samples, sums.samples, counts[0], block[0], rates[2]),
        (model.genes, sums.genes, counts[1], block[1], rates[1]),
    )
    for group, gradient, count, touched, rate in groups:
        if lazy:
            t, some = count[touched] + live.long(), group[:, touched]
            adam.move(some, gradient, t, rate, live)
            group[:, touched] = some
            count[touched] = t
        else:
            count += live.long()
            everywhere = torch.zeros_like(group[0]).index_copy_(0, touched, gradient)
            adam.move(group, everywhere, count, rate, live)
    counts[2].add_(live.long())
    adam.move(model.weights, sums.network.flat, counts[2], rates[0], live)


def pairs_of(blocks: Blocks) -> list[Block]:
    """(rows, columns) of each block."""

    def split(index: Any, offset: Any) -> Any:
        return torch.from_numpy(np.asarray(index, np.int64)).split(np.diff(offset).tolist())

    samples, genes = blocks.samples, blocks.genes
    return list(
        zip(split(samples, blocks.sample_offset), split(genes, blocks.gene_offset), strict=True)
    )


def give_totals(totals: Tensor, steps: Steps) -> None:
    """Mean losses and numbers of observed entries, from sums (n_steps x 2)."""
    loss, n_observed = totals.cpu().numpy().astype(np.float64).T
    steps.loss[...] = loss / np.maximum(n_observed, 1)
    steps.n_observed[...] = np.rint(n_observed)


def gradients(parameters: Parameters, steps: Steps, out: Parameters, place: Place) -> None:
    """The gradient of one block, by its own rows, into ``out``."""
    model = Model([parameters], place)
    known = None
    if steps.counts is not None:
        known = KnownOfCounts(steps.counts, *steps.expression.shape, place)
    blocks = pairs_of(steps.blocks)
    (x,) = entries(steps.expression, blocks, place)
    sums = block_sums(model, place.indices(blocks[0]), x, known)
    sums.derivatives.mul_((2 / sums.totals[1].clamp(min=1)).to(sums.derivatives.dtype))
    model.samples, model.genes = sums.samples[None], sums.genes[None]
    model.weights = sums.network.flat[None]
    model.write([out])
    give_totals(sums.totals[None], steps)
