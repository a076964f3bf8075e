"""Early stopping: train, evaluate held-out data at intervals, and go back to the best state."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fembed.train.trainer import Trainer, TrainingState
from fembed.train.validation import HeldOut

#: An evaluation is better than the best one if its loss is lower by this share.
MIN_IMPROVEMENT = 1e-3
#: Training stops after so many evaluations without a better one ...
PATIENCE = 4
#: ... but not before so many steps: it may need 600 to leave the plateau of its start
#: (tcga_11_cohorts in two dimensions), and the best state so far is kept anyhow.
MIN_STEPS = 1500

Stopped = Literal["schedule", "held-out samples", "held-out entries"]


class EarlyStopping:
    """Evaluates what is held out, keeps the best state, and says when to stop.

    Attributes
    ----------
    held_out : HeldOut
    best_loss : float
        In the units of the trainer's values; infinite before the first evaluation.
    best_state : TrainingState, optional
        A copy of the state that had it.
    waited : int
        Evaluations since then.
    """

    def __init__(self, held_out: HeldOut) -> None:
        self.held_out = held_out
        self.best_loss = np.inf
        self.best_state: TrainingState | None = None
        self.waited = 0

    def evaluate(self, trainer: Trainer) -> None:
        """Evaluate once; the state is kept if this is the best evaluation by a clear margin."""
        loss = self.held_out.evaluate(trainer)
        trainer.record_held_out(loss)
        if self.best_state is None or loss < self.best_loss * (1.0 - MIN_IMPROVEMENT):
            self.best_loss, self.best_state, self.waited = loss, trainer.state().copy(), 0
        else:
            self.waited += 1

    def best_mse(self, scale: float = 1.0) -> float | None:
        """The best loss times ``scale``; None if nothing was evaluated."""
        return None if self.best_state is None else self.best_loss * scale

    def train(
        self,
        trainer: Trainer,
        n_steps: int,
        n_evaluations: int,
        rate: Callable[[NDArray[np.float64]], NDArray[np.float64]],
        *,
        min_steps: int,
        pauses: Collection[int] = (),
        at_pause: Callable[[], None] = lambda: None,
    ) -> Stopped:
        """Train up to step ``n_steps``, or until evaluations stop improving; say which it was.

        Parameters
        ----------
        trainer : Trainer
            Its steps so far are not repeated, so that it may go on from a checkpoint.
        n_evaluations : int
            They are evenly distributed over the steps, the last one at their end.
        rate : callable
            As for `Trainer.advance`.
        min_steps : int
            Training does not stop before.
        pauses : steps
            ``at_pause`` is called after each of them, before an evaluation.
        """
        evaluations = set()
        if self.held_out.size:
            marks = np.linspace(0, n_steps, n_evaluations + 1).round().astype(int).tolist()
            evaluations = set(marks) - {0}
        for mark in sorted({*pauses, *evaluations, n_steps}):
            if mark <= trainer.step:
                continue  # a checkpoint was taken after it
            trainer.advance(mark - trainer.step, self.held_out.training_samples, rate)
            if mark in pauses:
                at_pause()
            if mark not in evaluations:
                continue
            self.evaluate(trainer)
            if self.waited >= PATIENCE and mark >= min_steps:
                assert self.best_state is not None
                trainer.load_state(self.best_state)
                return "held-out samples" if self.held_out.entries is None else "held-out entries"
        return "schedule"
