"""Steps of training: for each block its gradient, and Adam on what it touches.

A run of steps does not wait for the device: no number comes back before the last step.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fembed.engine.interface import AdamOptions, AdamState, Steps
from fembed.engine.on_torch.devices import Place
from fembed.engine.on_torch.entries import entries, pairs_of
from fembed.engine.on_torch.gradient import Sums, block_sums, give_totals, known_of
from fembed.engine.on_torch.model import Model
from fembed.engine.on_torch.partners import Partners
from fembed.parameters import Parameters


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
    partners: Partners | None = None,
) -> None:
    """One step of Adam on every block, in place; with ``partners``, a share of each block here."""
    parts = [parameters, state.first, state.second]
    model, adam = Model(parts, place), Adam(options, place)
    known = known_of(parameters, steps, place)
    numbers = (state.sample_count, state.gene_count, state.network_count)
    counts = [torch.from_numpy(count).to(place.device, copy=True) for count in numbers]
    rates = torch.from_numpy(options.learning_rates).to(place.device, place.wide)
    totals = torch.zeros(len(steps.blocks), 2, dtype=place.wide, device=place.device)
    blocks = pairs_of(steps.blocks, place.device)
    here = pairs_of(steps.blocks, torch.device("cpu"))
    if partners is None:
        found = entries(steps.expression, here, blocks, place)
    else:
        found = partners.entries(steps.expression, here)
    for step, x in enumerate(found):
        begin = 0 if partners is None else partners.share(len(blocks[step][0])).start
        sums = block_sums(model, blocks[step], x, known, begin)
        if partners is not None:
            partners.reduce(sums)
        totals[step] = sums.totals
        _update(model, adam, counts, sums, blocks[step], rates[step], options.lazy)
    model.write(parts)
    for count, there in zip(numbers, counts, strict=True):
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
