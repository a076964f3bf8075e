"""The published Python model (Trofimov et al. 2020), from its description, in plain PyTorch.

One embedding size for samples and genes, tanh layers 250-75-50-25-10, an output that is a sigmoid
times the range of the training values, RMSprop at 1e-3 with weight decay 1e-5, minibatches of
10,000 (sample, gene) pairs in a fresh random order, 10 epochs: the defaults of its repository
(whose stored versions end in a linear layer). New samples as its imputation
script does it: everything frozen but their positions, which begin at zero, and the same optimiser
for as many epochs.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from benchmarks.adapters import Float32, Placed, mean_squared_error
from benchmarks.adapters.torch_plain import dense

WIDTHS = (250, 75, 50, 25, 10)


class Trofimov:
    """The defaults of the published repository."""

    def __init__(
        self,
        n_components: int,
        seed: int,
        n_threads: int,
        *,
        epochs: float = 10.0,
        batch_pairs: int = 10_000,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-5,
    ) -> None:
        torch.set_num_threads(n_threads)
        torch.manual_seed(seed)
        self._n_components, self._epochs, self._batch_pairs = n_components, epochs, batch_pairs
        self._learning_rate, self._weight_decay = learning_rate, weight_decay
        self._order = np.random.default_rng(seed)
        self._network = dense([2 * n_components, *WIDTHS, 1], nn.Tanh)

    def fit(self, train: Float32) -> Placed:
        self._low, self._high = float(np.nanmin(train)), float(np.nanmax(train))
        self._genes = nn.Embedding(train.shape[1], self._n_components)
        samples = nn.Embedding(len(train), self._n_components)
        learning = [*samples.parameters(), *self._genes.parameters(), *self._network.parameters()]
        self._optimise(samples, train, learning)
        self._network.requires_grad_(False)
        self._genes.requires_grad_(False)
        return self._placed(samples, train)

    def place(self, test: Float32) -> Placed:
        samples = nn.Embedding(len(test), self._n_components)
        nn.init.zeros_(samples.weight)
        self._optimise(samples, test, list(samples.parameters()))
        return self._placed(samples, test)

    def _optimise(
        self, samples: nn.Embedding, values: Float32, learning: list[nn.Parameter]
    ) -> None:
        optimizer = torch.optim.RMSprop(
            learning, lr=self._learning_rate, weight_decay=self._weight_decay
        )
        pairs = np.flatnonzero(~np.isnan(values))
        flat = torch.from_numpy(np.ascontiguousarray(values)).reshape(-1)
        left = max(1, round(self._epochs * len(pairs)))
        while left > 0:
            shuffled = torch.from_numpy(self._order.permutation(pairs)[:left])
            left -= len(shuffled)
            for batch in torch.split(shuffled, self._batch_pairs):
                row = batch // values.shape[1]
                gene = batch % values.shape[1]
                optimizer.zero_grad()
                predicted = self._predict(samples(row), self._genes(gene))
                nn.functional.mse_loss(predicted, flat[batch]).backward()  # type: ignore[no-untyped-call]
                optimizer.step()

    def _predict(self, samples: torch.Tensor, genes: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self._network(torch.cat([genes, samples], dim=1)).squeeze(1)
        return self._low + torch.sigmoid(output) * (self._high - self._low)

    def _placed(self, samples: nn.Embedding, values: Float32) -> Placed:
        decoded = np.empty_like(values)
        with torch.no_grad():
            for row, point in enumerate(samples.weight):
                genes = self._genes.weight
                decoded[row] = self._predict(point.expand(len(genes), -1), genes).numpy()
        return Placed(samples.weight.detach().numpy().copy(), mean_squared_error(values, decoded))
