"""The thesis chapter's recipe, step by step: in fembed's engine, and in plain PyTorch.

Both begin at the same arrays and see the same minibatches in the same order, so their loss curves
can be laid over each other. This is the one file of the benchmarks that takes the start and the
order of blocks from `fembed.train`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fembed import FitConfig, engine
from fembed.engine import AdamState, Blocks
from fembed.files import atomic
from fembed.parameters import Parameters
from fembed.train.blocks import BlockStream
from fembed.train.initialization import random_initialization

Float32 = NDArray[np.float32]

STEPS_PER_CALL = 64  # long against the call; the minibatches' gene indices stay small


@dataclass(frozen=True)
class Thesis:
    """The recipe's numbers; the defaults are the chapter's text (its stored runs: 10 and 1e-2)."""

    n_components: int = 2
    gene_components: int = 50
    hidden: tuple[int, ...] = (100, 50, 50)
    batch_samples: int = 4
    learning_rate: float = 5e-3
    weight_decay: float = 0.0
    iterations: int = 100_000
    seed: int = 0

    def start(self, n_samples: int, n_genes: int) -> Parameters:
        """Normal embeddings, Glorot-uniform layers."""
        config = FitConfig(
            recipe="published",
            n_components=self.n_components,
            gene_components=self.gene_components,
            hidden=self.hidden,
            seed=self.seed,
        )
        return random_initialization(config, n_samples, n_genes)

    def order(self, n_samples: int, n_genes: int, position: int = 0) -> BlockStream:
        """Minibatches of whole profiles: every sample once a pass, freshly shuffled."""
        return BlockStream(
            np.arange(n_samples), n_genes, self.batch_samples, n_genes, self.seed, position
        )


class PublishedRun(Protocol):
    """The recipe on its way."""

    seconds: float  # of all steps so far, and of nothing else
    iterations: int

    def advance(self, n_steps: int) -> NDArray[np.float64]:
        """Take steps; the loss of each minibatch before its update."""

    def parameters(self) -> Parameters:
        """The arrays now; not to be changed."""


class EngineRun:
    """In fembed's engine: dense Adam, one learning rate; can be saved and taken up again."""

    def __init__(self, values: Float32, thesis: Thesis, n_threads: int) -> None:
        self.values, self.thesis, self.n_threads = values, thesis, n_threads
        self._parameters = thesis.start(*values.shape)
        self._state = AdamState.zeros(self._parameters)
        self._order = thesis.order(*values.shape)
        self.seconds, self.iterations = 0.0, 0

    def advance(self, n_steps: int) -> NDArray[np.float64]:
        losses = []
        for count in counts(n_steps):
            blocks = self._order.take(count)
            rates = np.full((count, 3), self.thesis.learning_rate, np.float32)
            begin = time.perf_counter()
            loss, _ = engine.train(
                self._parameters,
                self._state,
                self.values,
                blocks,
                rates,
                weight_decay=self.thesis.weight_decay,
                lazy=False,
                n_threads=self.n_threads,
            )
            self.seconds += time.perf_counter() - begin
            losses.append(loss)
            self.iterations += count
        return np.concatenate(losses) if losses else np.empty(0)

    def parameters(self) -> Parameters:
        return self._parameters

    def save(self, path: Path, note: str = "") -> None:
        """Everything that `resume` needs, and a note; the file is complete or not there."""
        arrays: dict[str, Any] = {**self._parameters.arrays(), **self._state.arrays()}
        arrays |= {"iterations": self.iterations, "seconds": self.seconds, "note": note}
        with atomic.replacing(path) as part, part.open("wb") as file:
            np.savez(file, **arrays)

    def resume(self, path: Path) -> None:
        """Go on from a saved run of the same recipe on the same matrix (see `note_of`)."""
        with np.load(path, allow_pickle=False) as saved:
            own = {**self._parameters.arrays(), **self._state.arrays()}
            for name, array in own.items():
                array[...] = saved[name]
            self.iterations, self.seconds = int(saved["iterations"]), float(saved["seconds"])
        n_samples, n_genes = self.values.shape
        self._order = self.thesis.order(n_samples, n_genes, self.iterations)


def note_of(path: Path) -> str:
    """The note that a run was saved with."""
    with np.load(path, allow_pickle=False) as saved:
        return str(saved["note"])


class TorchRun:
    """The same steps in the plain autograd model."""

    def __init__(self, values: Float32, thesis: Thesis, n_threads: int) -> None:
        from benchmarks.adapters.torch_plain import PlainTorch  # PyTorch may be absent

        self._order = thesis.order(*values.shape)
        self._model = PlainTorch(
            values,
            n_components=thesis.n_components,
            gene_components=thesis.gene_components,
            hidden=thesis.hidden,
            batch_samples=thesis.batch_samples,
            learning_rate=thesis.learning_rate,
            weight_decay=thesis.weight_decay,
            n_threads=n_threads,
            start=thesis.start(*values.shape),
        )
        self.seconds, self.iterations = 0.0, 0

    def advance(self, n_steps: int) -> NDArray[np.float64]:
        import torch

        losses: list[torch.Tensor] = []
        for count in counts(n_steps):
            batches = [torch.from_numpy(rows) for rows in rows_of(self._order.take(count))]
            begin = time.perf_counter()
            losses += [self._model.step(rows) for rows in batches]
            self.seconds += time.perf_counter() - begin
            self.iterations += count
        return torch.stack(losses).numpy().astype(np.float64) if losses else np.empty(0)

    def parameters(self) -> Parameters:
        return self._model.parameters()


def counts(n_steps: int) -> Iterator[int]:
    """Cut ``n_steps`` into calls: the indices of a minibatch's genes take memory."""
    while n_steps > 0:
        yield min(n_steps, STEPS_PER_CALL)
        n_steps -= STEPS_PER_CALL


def rows_of(blocks: Blocks) -> list[NDArray[np.int64]]:
    """The samples of every block."""
    return np.split(blocks.samples.astype(np.int64), blocks.sample_offset[1:-1])


def infer(
    model: Parameters,
    profiles: Float32,
    starts: Float32,
    thesis: Thesis,
    iterations: int,
    n_threads: int,
) -> Float32:
    """Adam over new samples' positions alone, from ``starts``, in minibatches of whole profiles.

    Genes and network are frozen. The published code never optimised the last new samples; here
    the minibatches go round all of them.
    """
    new, order = model.copy(), thesis.order(*profiles.shape)
    new.sample_embedding = np.array(starts, np.float32, order="C")
    state = AdamState.zeros(new)
    for count in counts(iterations):
        rates = np.tile(np.array([0.0, 0.0, thesis.learning_rate], np.float32), (count, 1))
        engine.train(
            new, state, profiles, order.take(count), rates, lazy=False, n_threads=n_threads
        )
    return np.asarray(new.sample_embedding, np.float32)
