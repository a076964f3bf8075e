"""The plain autograd model in PyTorch, as one would publish it: gather, concatenate, network."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from benchmarks.adapters import Float32
from fembed.parameters import Parameters


def dense(widths: Sequence[int], between: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Dense layers with an activation between them, and none at the end."""
    layers = list[nn.Module]()
    for n_in, n_out in itertools.pairwise(widths):
        layers += [nn.Linear(n_in, n_out), between()]
    return nn.Sequential(*layers[:-1])


def mean_square_of_observed(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean squared error over the entries of ``target`` that are not NaN."""
    observed = ~torch.isnan(target)
    difference = torch.where(observed, predicted - target, 0.0)
    return difference.square().sum() / observed.sum()


def decode(layers: nn.Module, genes: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Profiles (k x n_genes) at ``points`` (k x n_components)."""
    n_genes = len(genes)
    pairs = torch.cat([points.repeat_interleave(n_genes, 0), genes.repeat(len(points), 1)], dim=1)
    decoded: torch.Tensor = layers(pairs).reshape(len(points), n_genes)
    return decoded


class PlainTorch:
    """Two embeddings and a network, trained by Adam over all parameters.

    A minibatch is ``batch_samples`` whole profiles: a row of inputs for every pair of them.
    Nothing is done three times, compiled or chunked; the indices of a minibatch are made once a
    step, as views where PyTorch has them. Missing entries (NaN) are left out of the loss.

    Parameters
    ----------
    start : Parameters, optional
        Begin at these arrays, copied; else at PyTorch's own random numbers.
    """

    def __init__(
        self,
        values: Float32,
        *,
        n_components: int,
        gene_components: int,
        hidden: tuple[int, ...],
        batch_samples: int = 4,
        learning_rate: float = 5e-3,
        weight_decay: float = 0.0,
        n_threads: int,
        seed: int = 0,
        start: Parameters | None = None,
    ) -> None:
        torch.set_num_threads(n_threads)
        torch.manual_seed(seed)
        n_samples, n_genes = values.shape
        self.values, self.batch_samples = torch.from_numpy(values), batch_samples
        self.hidden = hidden
        self.samples = nn.Embedding(n_samples, n_components)
        self.genes = nn.Embedding(n_genes, gene_components)
        self.network = dense([n_components + gene_components, *hidden, 1])
        if start is not None:
            self._begin_at(start)
        parts: list[nn.Module] = [self.samples, self.genes, self.network]
        self.optimizer = torch.optim.Adam(
            [parameter for part in parts for parameter in part.parameters()],
            lr=learning_rate,
            weight_decay=weight_decay,
        )
        missing = bool(np.isnan(values).any())
        self._loss = mean_square_of_observed if missing else nn.functional.mse_loss
        self._all_genes = torch.arange(n_genes)
        self._rng = np.random.default_rng(seed)

    def _begin_at(self, start: Parameters) -> None:
        arrays = [start.sample_embedding, start.gene_embedding]
        arrays += [array for layer in start.layers() for array in (layer.weight, layer.bias)]
        own = [self.samples.weight, self.genes.weight, *self.network.parameters()]
        with torch.no_grad():
            for parameter, array in zip(own, arrays, strict=True):
                parameter.copy_(torch.from_numpy(np.array(array, np.float32)))

    def parameters(self) -> Parameters:
        """A copy of the arrays, as fembed keeps them."""
        dense = [parameter.detach().numpy().ravel() for parameter in self.network.parameters()]
        return Parameters(
            sample_embedding=self.samples.weight.detach().numpy().copy(),
            gene_embedding=self.genes.weight.detach().numpy().copy(),
            network=np.concatenate(dense),
            hidden=self.hidden,
        )

    def step(self, rows: torch.Tensor) -> torch.Tensor:
        """One minibatch: the profiles ``rows``; the loss before the update."""
        sample_index = rows.repeat_interleave(len(self._all_genes))
        gene_index = self._all_genes.repeat(len(rows))
        target = self.values[rows].reshape(-1, 1)
        self.optimizer.zero_grad()
        pairs = torch.cat([self.samples(sample_index), self.genes(gene_index)], dim=1)
        loss = self._loss(self.network(pairs), target)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return loss.detach()

    def seconds_per_step(self, n_steps: int) -> tuple[float, float]:
        """Seconds of a step, and the mean loss, after one step that is not timed."""
        batches = [
            torch.from_numpy(self._rng.choice(len(self.values), self.batch_samples, replace=False))
            for _ in range(n_steps + 1)
        ]
        self.step(batches.pop())
        losses = []
        start = time.perf_counter()
        for rows in batches:
            losses.append(self.step(rows))
        seconds = (time.perf_counter() - start) / n_steps
        return seconds, float(sum(losses) / n_steps) if losses else math.nan
