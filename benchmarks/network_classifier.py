"""The published auxiliary task: a small network on the embedding.

Layers of 100 and 50 (leaky ReLU), softmax, Adam at 1e-2 with weight decay 1e-8, 2,000 full-batch
steps. Coordinates are standardised by the training part: the published code had no need to, since
all its embeddings are of one scale, and those of its rivals are not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Array = NDArray[np.floating[Any]]


def accuracy(
    train: Array,
    train_labels: NDArray[Any],
    test: Array,
    test_labels: NDArray[Any],
    seed: int = 0,
    n_steps: int = 2000,
) -> float:
    """Share of the test samples whose label it predicts."""
    classes, target = np.unique(train_labels, return_inverse=True)
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    learning, placed = (
        torch.from_numpy(((part - mean) / np.where(deviation > 0, deviation, 1)).astype(np.float32))
        for part in (train, test)
    )
    torch.manual_seed(seed)
    network = nn.Sequential(
        *(nn.Linear(train.shape[1], 100), nn.LeakyReLU()),
        *(nn.Linear(100, 50), nn.LeakyReLU()),
        nn.Linear(50, len(classes)),
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2, weight_decay=1e-8)
    goal = torch.from_numpy(target)
    for _ in range(n_steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(learning), goal).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        predicted = network(placed).argmax(dim=1).numpy()
    return float((classes[predicted] == test_labels).mean())
