"""The training loop: steps in the engine, the training curve, and a stop on a non-finite loss."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed import engine
from fembed.config import FitConfig
from fembed.engine import AdamState, Float32
from fembed.errors import TrainingError
from fembed.likelihood import Counts
from fembed.parameters import Parameters
from fembed.solvers.count_criterion import CountCriterion
from fembed.solvers.count_model import CountModel
from fembed.solvers.criterion import SUM_OF_SQUARES, Criterion
from fembed.train.blocks import BlockStream
from fembed.train.diagnostics import Probe
from fembed.train.result import Progress, TrainingLog, TrainingSummary, thinned
from fembed.train.schedule import Schedule

#: One call of the engine takes about so many seconds of steps.
SECONDS_PER_CALL = 0.3
#: A checkpoint keeps so many points of the training curve, and so stays small.
MAX_LOG_POINTS = 2000
#: A model keeps so many.
MAX_SUMMARY_POINTS = 200


@dataclass(frozen=True)
class TrainingState:
    """What training has made so far: parameters and optimiser by name, and the step."""

    arrays: dict[str, NDArray[Any]]
    step: int

    def copy(self) -> TrainingState:
        return TrainingState({name: array.copy() for name, array in self.arrays.items()}, self.step)


class Trainer:
    """Trains parameters through a schedule, and keeps the state of the optimiser.

    Parameters
    ----------
    values : float32, n_samples x n_genes
    parameters : Parameters
        Where training starts; they change in place.
    config, schedule
    progress : callable, optional
        Called with a `Progress` after every call of the engine.
    loss_scale : float
        From the squares of ``values`` to those of the model's scale.
    count_model : CountModel, optional
        That the values are counts. Its dispersions change with `set_dispersions`.
    """

    def __init__(
        self,
        values: Float32,
        parameters: Parameters,
        config: FitConfig,
        schedule: Schedule,
        progress: Callable[[Progress], None] | None = None,
        loss_scale: float = 1.0,
        count_model: CountModel | None = None,
    ) -> None:
        self.values, self.parameters = values, parameters
        self.config, self.schedule = config, schedule
        self.adam = AdamState.zeros(parameters)
        self.count_model = count_model
        self.counts: Counts | None = None
        size = None
        if count_model is not None:
            size = count_model.sizes(values)
            self.counts = count_model.counts(size)  # whose dispersions are the model's own array
        self.step = 0
        self.log = TrainingLog()
        #: Called after every call of the engine but the last of a run of steps, which its caller
        #: has not yet seen the end of.
        self.after_call: Callable[[], None] | None = None
        self._progress, self._loss_scale = progress, loss_scale
        self._begin = time.perf_counter()
        self._stream: BlockStream | None = None
        self._steps_per_call = 8
        self._loss = float("nan")
        self._rates = np.full(3, np.nan)
        self._probe = Probe(values, parameters, size)

    def advance(
        self,
        n_steps: int,
        samples: NDArray[np.intp],
        rate: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    ) -> None:
        """Take ``n_steps`` steps on blocks of ``samples``; ``rate`` scales the learning rates."""
        stream, schedule = self._stream_of(samples), self.schedule
        highest = np.array([schedule.network_rate, schedule.gene_rate, schedule.sample_rate])
        left = n_steps
        while left > 0:
            count = min(left, self._steps_per_call)
            blocks = stream.take(count)
            factors = rate(np.arange(self.step, self.step + count, dtype=np.float64) + 0.5)
            begin = time.perf_counter()
            loss, n_observed = engine.train(
                self.parameters,
                self.adam,
                self.values,
                blocks,
                np.outer(factors, highest).astype(np.float32),
                counts=self.counts,
                weight_decay=self.config.weight_decay,
                lazy=schedule.lazy,
                n_threads=self.config.n_threads,
            )
            seconds = time.perf_counter() - begin
            self._check(loss)
            self.step += count
            left -= count
            self.log.position = stream.position
            self.log.engine_seconds += seconds
            self.log.pairs += blocks.n_pairs
            self._loss = float(loss @ n_observed / max(1, n_observed.sum())) * self._loss_scale
            self._rates = factors[-1] * highest
            pace = count / max(seconds, 1e-6)
            self._steps_per_call = int(
                np.clip(pace * SECONDS_PER_CALL, 1, 4 * self._steps_per_call)
            )
            self.report("training")
            if left > 0 and self.after_call is not None:
                self.after_call()

    def _stream_of(self, samples: NDArray[np.intp]) -> BlockStream:
        if self._stream is None or self._stream.n_samples != len(samples):
            self._stream = BlockStream(
                samples,
                self.parameters.n_genes,
                self.schedule.block_samples,
                self.schedule.block_genes,
                seed=self.config.seed,
                position=self.log.position if self._stream is None else 0,
            )
        return self._stream

    def _check(self, loss: NDArray[np.float64]) -> None:
        broken = np.flatnonzero(~np.isfinite(loss))
        if broken.size:
            raise TrainingError(
                f"The loss was no longer finite at step {self.step + int(broken[0]) + 1}; choose "
                f"a learning rate below {self.schedule.network_rate:g}"
                + ("." if self.counts else ", and check that the data are on a log scale.")
            )

    @property
    def seconds(self) -> float:
        """Since training began, in this process and earlier ones."""
        return self.log.seconds + time.perf_counter() - self._begin

    def report(self, stage: str) -> None:
        """Report the progress, and keep a point of the training curve."""
        seconds = self.seconds
        network_rate, gene_rate, sample_rate = (None if r != r else r for r in self._rates.tolist())
        self.log.history.append(
            {
                "step": self.step,
                "seconds": seconds,
                "loss": self._loss,
                "held_out": self.log.held_out,
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
                    n_steps=self.schedule.n_steps,
                    seconds=seconds,
                    loss=self._loss,
                    held_out_loss=self.log.held_out,
                    pairs_per_second=self.log.pairs_per_second,
                )
            )

    def record_held_out(self, loss: float) -> None:
        """Keep the held-out loss for the next reports."""
        self.log.held_out = loss * self._loss_scale

    def forget_moments(self, samples: NDArray[np.intp]) -> None:
        """Forget Adam's first moments of samples that were moved; the second ones stay."""
        self.adam.first.sample_embedding[samples] = 0.0

    def criterion(self, samples: NDArray[np.intp]) -> Criterion:
        """What others are placed by among these samples."""
        if self.count_model is None:
            return SUM_OF_SQUARES
        places = self.parameters.sample_embedding[samples]
        return CountCriterion.of_counts(self.count_model, places)

    def set_dispersions(self, dispersion: Float32) -> None:
        """Train on with other dispersions (n_genes) of the counts."""
        assert self.count_model is not None
        self.count_model.dispersion[:] = dispersion

    def state(self) -> TrainingState:
        """What training has made so far; the arrays are this trainer's own, not copies."""
        return TrainingState(self._arrays(), self.step)

    def _arrays(self) -> dict[str, NDArray[Any]]:
        arrays = self.parameters.arrays() | self.adam.arrays()
        if self.count_model is not None:
            arrays["dispersion"] = self.count_model.dispersion
        return arrays

    def load_state(self, state: TrainingState, log: TrainingLog | None = None) -> None:
        """Go on where ``state`` was taken, in the arrays that this trainer has.

        What was spent since then stays counted, and the stream of blocks goes on, unless ``log``
        says how another process left them.
        """
        for name, array in self._arrays().items():
            array[...] = state.arrays[name]
        self.step = state.step
        if log is not None:
            self.log, self._stream = log, None
            self._begin = time.perf_counter()

    def log_to_keep(self) -> TrainingLog:
        """The log as `load_state` takes it in another process, with fewer points of the curve."""
        history = thinned(self.log.history, MAX_LOG_POINTS)
        return replace(self.log, seconds=self.seconds, history=history)

    def summary(self) -> TrainingSummary:
        """What a fit reports about its training."""
        return TrainingSummary(
            steps=self.step,
            passes=self.log.pairs / max(1, self.values.size),
            pairs_per_second=self.log.pairs_per_second,
            history=thinned(self.log.history, MAX_SUMMARY_POINTS),
            earlier_seconds=self.log.seconds,
        )
