"""The training loop: steps in the engine, progress, history, and a stop on a non-finite loss."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed import engine
from fembed.config import FitConfig
from fembed.data.choice import even_choice
from fembed.engine import AdamState, Float32
from fembed.errors import TrainingError
from fembed.parameters import Parameters
from fembed.train.blocks import BlockStream
from fembed.train.recipe import Plan

#: Seconds of steps in one call of the engine.
SECONDS_A_CALL = 0.3
#: Points of the training curve that a checkpoint keeps.
KEPT_POINTS = 2000
#: Entries whose correlation with their predictions is kept: the cost of one step.
PROBE_SAMPLES, PROBE_GENES = 48, 96


@dataclass(frozen=True)
class Progress:
    """What a fit is doing.

    Attributes
    ----------
    stage : str
    step, n_steps : int
    seconds : float
        Since training began.
    loss : float
        Mean squared error of the latest blocks, on the model's scale.
    held_out_loss : float or None
        The same of the held-out samples or entries, when last looked at.
    pairs_per_second : float
        Entries trained a second so far.
    """

    stage: str
    step: int
    n_steps: int
    seconds: float
    loss: float
    held_out_loss: float | None
    pairs_per_second: float


class Loop:
    """Parameters and optimiser on their way through a schedule."""

    def __init__(
        self,
        values: Float32,
        parameters: Parameters,
        config: FitConfig,
        plan: Plan,
        progress: Callable[[Progress], None] | None = None,
        loss_scale: float = 1.0,
    ) -> None:
        self.values, self.parameters, self.config, self.plan = values, parameters, config, plan
        self.adam = AdamState.zeros(parameters)
        self.step = 0
        self.history: list[dict[str, float | int | None]] = []
        self._progress, self._loss_scale = progress, loss_scale
        #: Called after every call of the engine but the last of a run of steps, which its caller
        #: has not yet seen the end of.
        self.after_call: Callable[[], None] | None = None
        self._stream: BlockStream | None = None
        self._first_position, self._earlier_seconds = 0, 0.0
        self._begin = time.perf_counter()
        self._engine_seconds, self._pairs = 0.0, 0
        self._steps_a_call = 8
        self._loss = float("nan")
        self._held_out: float | None = None
        self._rates = np.full(3, np.nan)
        self._probe = _Probe(values, parameters)

    def advance(
        self,
        n_steps: int,
        samples: NDArray[np.intp],
        rate: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    ) -> None:
        """Take ``n_steps`` steps on blocks of ``samples``; ``rate`` scales the learning rates."""
        stream = self._stream_of(samples)
        highest = np.array([self.plan.network_rate, self.plan.gene_rate, self.plan.sample_rate])
        left = n_steps
        while left > 0:
            count = min(left, self._steps_a_call)
            blocks = stream.take(count)
            factors = rate(np.arange(self.step, self.step + count, dtype=np.float64) + 0.5)
            begin = time.perf_counter()
            loss, n_observed = engine.train(
                self.parameters,
                self.adam,
                self.values,
                blocks,
                np.outer(factors, highest).astype(np.float32),
                weight_decay=self.config.weight_decay,
                lazy=self.plan.lazy,
                n_threads=self.config.n_threads,
            )
            seconds = time.perf_counter() - begin
            self._check(loss)
            self.step += count
            left -= count
            self._engine_seconds += seconds
            self._pairs += blocks.n_pairs
            self._loss = float(loss @ n_observed / max(1, n_observed.sum())) * self._loss_scale
            self._rates = factors[-1] * highest
            pace = count / max(seconds, 1e-6)
            self._steps_a_call = int(np.clip(pace * SECONDS_A_CALL, 1, 4 * self._steps_a_call))
            self.report("training")
            if left > 0 and self.after_call is not None:
                self.after_call()

    def _stream_of(self, samples: NDArray[np.intp]) -> BlockStream:
        if self._stream is None or self._stream.n_samples != len(samples):
            self._stream = BlockStream(
                samples,
                self.parameters.n_genes,
                self.plan.block_samples,
                self.plan.block_genes,
                seed=self.config.seed,
                position=self._first_position,
            )
            self._first_position = 0
        return self._stream

    def _check(self, loss: NDArray[np.float64]) -> None:
        broken = np.flatnonzero(~np.isfinite(loss))
        if broken.size:
            raise TrainingError(
                f"The loss was no longer finite at step {self.step + int(broken[0]) + 1}; choose "
                f"a learning rate below {self.plan.network_rate:g}, and check that the data are "
                "on a log scale."
            )

    def report(self, stage: str) -> None:
        """Tell how things stand, and keep a point of the training curve."""
        seconds = time.perf_counter() - self._begin
        network_rate, gene_rate, sample_rate = (None if r != r else r for r in self._rates.tolist())
        self.history.append(
            {
                "step": self.step,
                "seconds": seconds,
                "loss": self._loss,
                "held_out": self._held_out,
                "pearson_r": self._probe.correlation(self.parameters, self.config.n_threads),
                "network_rate": network_rate,
                "gene_rate": gene_rate,
                "sample_rate": sample_rate,
            }
        )
        if self._progress is not None:
            self._progress(
                Progress(
                    stage=stage,
                    step=self.step,
                    n_steps=self.plan.n_steps,
                    seconds=seconds,
                    loss=self._loss,
                    held_out_loss=self._held_out,
                    pairs_per_second=self._pairs / max(self._engine_seconds, 1e-9),
                )
            )

    def record_held_out(self, loss: float) -> None:
        """Keep the held-out loss for the next reports."""
        self._held_out = loss * self._loss_scale

    def forget_moments(self, samples: NDArray[np.intp]) -> None:
        """Forget the direction of samples that were moved; how far they step stays known."""
        self.adam.first.sample_embedding[samples] = 0.0

    def contents(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Everything that `take_up` needs, as named arrays and JSON-able facts."""
        facts = {
            "step": self.step,
            "position": 0 if self._stream is None else self._stream.position,
            "history": thinned(self.history, KEPT_POINTS),
            "seconds": time.perf_counter() - self._begin,
            "engine_seconds": self._engine_seconds,
            "pairs": self._pairs,
            "held_out": self._held_out,
        }
        return self.parameters.arrays() | self.adam.arrays(), facts

    def take_up(self, arrays: dict[str, NDArray[Any]], facts: dict[str, Any]) -> None:
        """Go on where `contents` was taken, in the same arrays."""
        self._put(arrays)
        self.step, self._first_position = facts["step"], facts["position"]
        self.history, self._held_out = facts["history"], facts["held_out"]
        self._engine_seconds, self._pairs = facts["engine_seconds"], facts["pairs"]
        self._earlier_seconds = facts["seconds"]
        self._begin = time.perf_counter() - self._earlier_seconds

    def state(self) -> tuple[Parameters, AdamState, int]:
        """Everything that `restore` needs; not a copy."""
        return self.parameters, self.adam, self.step

    def restore(self, state: tuple[Parameters, AdamState, int]) -> None:
        """Go back to an earlier state, in the same arrays."""
        parameters, adam, self.step = state
        self._put(parameters.arrays() | adam.arrays())

    def _put(self, arrays: dict[str, NDArray[Any]]) -> None:
        for name, array in (self.parameters.arrays() | self.adam.arrays()).items():
            array[...] = arrays[name]

    def summary(self) -> dict[str, Any]:
        """What a fit reports about its training."""
        return {
            "steps": self.step,
            "passes": self._pairs / max(1, self.values.size),
            "pairs_per_second": self._pairs / max(self._engine_seconds, 1e-9),
            "history": thinned(self.history),
            "earlier_seconds": self._earlier_seconds,
        }


class _Probe:
    """A few entries of the matrix, to tell how well they are predicted while training goes on."""

    def __init__(self, values: Float32, parameters: Parameters) -> None:
        self._rows = even_choice(len(values), PROBE_SAMPLES)
        self._genes = even_choice(parameters.n_genes, PROBE_GENES)
        self._true = values[np.ix_(self._rows, self._genes)]

    def correlation(self, parameters: Parameters, n_threads: int | None) -> float | None:
        """Pearson's r of true and predicted values; None where one of them is constant."""
        positions = np.ascontiguousarray(parameters.sample_embedding[self._rows])
        predicted = engine.decode(parameters, positions, genes=self._genes, n_threads=n_threads)
        observed = ~np.isnan(self._true)
        pair = np.array([self._true[observed], predicted[observed]], np.float64)
        pair -= pair.mean(axis=1, keepdims=True)
        norm = float(np.sqrt(np.square(pair).sum(axis=1).prod()))
        return float(pair[0] @ pair[1]) / norm if norm > 0.0 else None


def thinned(history: list[Any], most: int = 200) -> list[Any]:
    """At most ``most`` points of a curve, the first and the last among them."""
    if len(history) <= most:
        return history
    kept = np.linspace(0, len(history) - 1, most).round().astype(int)
    return [history[k] for k in kept]
