"""The plain autograd model in PyTorch, as one would publish it: gather, concatenate, network."""

from __future__ import annotations

import itertools
import math
import time

import numpy as np
import torch
from torch import nn

from benchmarks.adapters import Float32


def network(n_inputs: int, hidden: tuple[int, ...]) -> nn.Sequential:
    """Dense layers with ReLU, and a linear output of width 1."""
    widths, layers = (n_inputs, *hidden), list[nn.Module]()
    for n_in, n_out in itertools.pairwise(widths):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], 1))


class PlainTorch:
    """Two embeddings and a network, trained by Adam over all parameters.

    A minibatch is ``batch_samples`` whole profiles: a row of inputs for every pair of them.
    Nothing is done three times, compiled or chunked; the indices of a minibatch are made once a
    step, as views where PyTorch has them.
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
    ) -> None:
        torch.set_num_threads(n_threads)
        torch.manual_seed(seed)
        n_samples, n_genes = values.shape
        self.values, self.batch_samples = torch.from_numpy(values), batch_samples
        self.samples = nn.Embedding(n_samples, n_components)
        self.genes = nn.Embedding(n_genes, gene_components)
        self.network = network(n_components + gene_components, hidden)
        parts: list[nn.Module] = [self.samples, self.genes, self.network]
        self.optimizer = torch.optim.Adam(
            [parameter for part in parts for parameter in part.parameters()],
            lr=learning_rate,
            weight_decay=weight_decay,
        )
        self._all_genes = torch.arange(n_genes)
        self._rng = np.random.default_rng(seed)

    def step(self, rows: torch.Tensor) -> torch.Tensor:
        """One minibatch: the profiles ``rows``; the loss before the update."""
        sample_index = rows.repeat_interleave(len(self._all_genes))
        gene_index = self._all_genes.repeat(len(rows))
        target = self.values[rows].reshape(-1, 1)
        self.optimizer.zero_grad()
        pairs = torch.cat([self.samples(sample_index), self.genes(gene_index)], dim=1)
        loss = nn.functional.mse_loss(self.network(pairs), target)
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
