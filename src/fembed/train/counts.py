"""The fast recipe for counts: the same parts, with the likelihood of counts in place of squares.

The mean of a count is the sample's size times the exponential of what the model predicts, and the
loss is the unit deviance (`fembed.likelihood.Counts`). Dispersions begin at a common value. They
are estimated from what the map leaves, once before the learning rates fall and once at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fembed.config import FitConfig
from fembed.engine import Float32
from fembed.model import Calibration
from fembed.solvers import novelty
from fembed.solvers.count_criterion import CountCriterion
from fembed.solvers.count_genes import solve_count_genes
from fembed.solvers.count_model import sizes_of
from fembed.solvers.genes import can_solve_genes
from fembed.train.checkpoint import Checkpoint, Stage
from fembed.train.coordinates import fix_gauge, last_solve
from fembed.train.count_start import count_initialization
from fembed.train.diagnostics import calibration, warn_of_dead_units
from fembed.train.early_stopping import EarlyStopping
from fembed.train.fast import cool_down, train_steadily
from fembed.train.result import Progress, Trained
from fembed.train.schedule import Schedule
from fembed.train.trainer import Trainer
from fembed.train.validation import hold_out

#: The network learns more slowly than from squared errors: a few counts of frequent genes pull so
#: hard that at the full rate its units die. In two dimensions, all of the last layer's did on
#: `sc_mouse_bladder_2100`.
NETWORK_RATE = 0.2


def fit_counts(
    values: Float32,
    config: FitConfig,
    schedule: Schedule,
    progress: Callable[[Progress], None] | None,
    calibrate: bool,
    checkpoint: Checkpoint | None,
) -> Trained:
    """Train by the fast recipe on counts (n_samples x n_genes, NaN where missing)."""
    schedule = replace(schedule, reseats=(), network_rate=NETWORK_RATE * schedule.network_rate)
    size = sizes_of(values)
    held_out = hold_out(values, schedule, config)
    training = held_out.training_samples
    parameters, known = count_initialization(values, size, config, training)
    trainer = Trainer(values, parameters, config, schedule, progress, count_model=known)
    stopping, stage = EarlyStopping(held_out), Stage()
    if checkpoint is not None:
        checkpoint.attach(trainer, stopping, stage)
    if stage.stopped is None:
        train_steadily(trainer, stopping, stage)
    held_out.release(values)
    if trainer.step == stage.cooldown_begin:  # else a checkpoint was taken later
        _estimate_dispersions(trainer, training)
    cool_down(trainer, stopping, stage, calibrate)
    everyone = np.arange(len(values))
    _estimate_dispersions(trainer, everyone)
    if can_solve_genes(parameters, config.weight_decay):
        trainer.report("solving genes")
        assert trainer.counts is not None
        solve_count_genes(parameters, values, trainer.counts, config.n_threads)
    trainer.report("placing samples")
    fix_gauge(parameters, config.n_threads)
    loss = last_solve(parameters, values, config, trainer.criterion(everyone))
    warn_of_dead_units(parameters)
    sure = _calibration(trainer, stage) if calibrate else None
    deviance, of_equal_samples = CountCriterion(count_model=known).explained(
        parameters, values, parameters.sample_embedding, config.n_threads
    )
    assert stage.stopped is not None
    return Trained(
        parameters=parameters,
        sample_loss=loss,
        mse=deviance,
        variance=of_equal_samples,
        pca_explained_variance=None,
        held_out_mse=stopping.best_mse(),
        n_held_out=held_out.size,
        stopped=stage.stopped,
        summary=trainer.summary(),
        calibration=sure,
        count_model=known,
    )


def _estimate_dispersions(trainer: Trainer, samples: NDArray[np.intp]) -> None:
    known = trainer.count_model
    assert known is not None
    found = known.with_dispersions(
        trainer.parameters, trainer.values, samples, trainer.config.n_threads
    )
    trainer.set_dispersions(found.dispersion)


def _calibration(trainer: Trainer, stage: Stage) -> Calibration:
    parameters, values, threads = trainer.parameters, trainer.values, trainer.config.n_threads
    criterion = trainer.criterion(np.arange(len(values)))
    sure = calibration(criterion, parameters, values, stage.ellipse_factor, threads)
    if not stage.reference_score:
        return sure
    rest = novelty.of_training(parameters, None, values, threads, criterion)
    return replace(sure, unexplained=rest, reference_score=np.array(stage.reference_score))
