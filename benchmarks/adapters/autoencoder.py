"""A small autoencoder in PyTorch whose decoder has the network of fembed: 100-50-50.

It has no authors whose defaults could be taken; these are PyTorch's and common ones: ReLU, Adam at
1e-3, minibatches of 32 profiles, at most 500 epochs, ended by a tenth of the training samples that
is held out of them (no better loss for 30 epochs; the best state is kept).
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import nn

from benchmarks.adapters import Float32, MeanFilling, Placed, mean_squared_error
from benchmarks.adapters.torch_plain import dense, mean_square_of_observed

HIDDEN = (50, 50, 100)  # of the decoder, from the embedding to the genes


class Autoencoder:
    """Genes centred on the training means, all divided by one standard deviation."""

    def __init__(
        self,
        n_components: int,
        seed: int,
        n_threads: int,
        *,
        epochs: int = 500,
        patience: int = 30,
        batch_samples: int = 32,
        learning_rate: float = 1e-3,
    ) -> None:
        torch.set_num_threads(n_threads)
        torch.manual_seed(seed)
        self._n_components, self._rate = n_components, learning_rate
        self._epochs, self._patience, self._batch_samples = epochs, patience, batch_samples
        self._random = np.random.default_rng(seed)

    def fit(self, train: Float32) -> Placed:
        self._filled = MeanFilling(train)
        self._scale = np.float32(np.nanstd(train - self._filled.mean, dtype=np.float64) or 1.0)
        widths = [self._n_components, *HIDDEN, train.shape[1]]
        self._encoder, self._decoder = dense(widths[::-1]), dense(widths)
        shuffled = self._random.permutation(len(train))
        held_out = max(1, len(train) // 10)
        self._learn(train[shuffled[held_out:]], train[shuffled[:held_out]])
        return self.place(train)

    def place(self, test: Float32) -> Placed:
        embedding, decoded = self.reconstruct(test)
        return Placed(embedding, mean_squared_error(test, decoded))

    def reconstruct(self, test: Float32) -> tuple[Float32, Float32]:
        """Places, and the profiles that are decoded there."""
        with torch.no_grad():
            embedding = self._encoder(self._scaled(self._filled(test)))
            decoded = self._decoder(embedding).numpy() * self._scale + self._filled.mean
        return embedding.numpy(), decoded

    def _learn(self, train: Float32, held_out: Float32) -> None:
        model = nn.ModuleList([self._encoder, self._decoder])
        optimizer = torch.optim.Adam(model.parameters(), lr=self._rate)
        best, best_state, waited = np.inf, copy.deepcopy(model.state_dict()), 0
        for _ in range(self._epochs):
            order = self._random.permutation(len(train))
            for begin in range(0, len(train), self._batch_samples):
                optimizer.zero_grad()
                loss = self._loss(train[order[begin : begin + self._batch_samples]])
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            with torch.no_grad():
                looked = float(self._loss(held_out))
            waited += 1
            if looked < best:
                best, best_state, waited = looked, copy.deepcopy(model.state_dict()), 0
            if waited >= self._patience:
                break
        model.load_state_dict(best_state)

    def _loss(self, values: Float32) -> torch.Tensor:
        decoded = self._decoder(self._encoder(self._scaled(self._filled(values))))
        return mean_square_of_observed(decoded, self._scaled(values))

    def _scaled(self, values: Float32) -> torch.Tensor:
        scaled: torch.Tensor = torch.from_numpy((values - self._filled.mean) / self._scale)
        return scaled
