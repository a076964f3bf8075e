"""The fast recipe: this project's own schedule from principal components to a last solve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fembed.config import FitConfig
from fembed.engine import Float32
from fembed.parameters import Parameters
from fembed.solvers import novelty, residual_factors
from fembed.solvers.criterion import SUM_OF_SQUARES, Criterion
from fembed.solvers.genes import can_solve_genes, solve_genes
from fembed.solvers.residual_factors import ResidualFactors
from fembed.solvers.uncertainty import MIN_SAMPLES
from fembed.train.checkpoint import Checkpoint, Stage
from fembed.train.coordinates import fix_gauge, join, last_solve, reseat
from fembed.train.diagnostics import calibration, held_out_measures, warn_of_dead_units
from fembed.train.early_stopping import MIN_STEPS, EarlyStopping
from fembed.train.initialization import spectral_initialization
from fembed.train.result import Progress, Trained
from fembed.train.schedule import COOLDOWN, WARMUP_STEPS, Schedule
from fembed.train.trainer import Trainer
from fembed.train.units import standardise, to_data_units
from fembed.train.validation import hold_out

#: The held-out samples take part in this share of the last part, too. From its beginning or for a
#: tenth of it, training and held-out errors are the same, and so late they can tell how sure a
#: nearly finished model is of new samples.
JOINED = 0.1
#: What is held out is evaluated so often over the first part of the schedule.
EVALUATIONS = 12


def fit_fast(
    values: Float32,
    config: FitConfig,
    schedule: Schedule,
    progress: Callable[[Progress], None] | None,
    calibrate: bool,
    checkpoint: Checkpoint | None,
) -> Trained:
    """Train by the fast recipe; ``values`` are standardised in place."""
    units = standardise(values)
    held_out = hold_out(values, schedule, config)
    parameters, pca_explained = spectral_initialization(values, config, held_out.training_samples)
    trainer = Trainer(values, parameters, config, schedule, progress, loss_scale=units.scale**2)
    stopping, stage = EarlyStopping(held_out), Stage()
    if checkpoint is not None:
        checkpoint.attach(trainer, stopping, stage)
    if stage.stopped is None:
        train_steadily(trainer, stopping, stage)
    held_out.release(values)
    cool_down(trainer, stopping, stage, calibrate)
    reseat(parameters, values, config.n_threads)
    if can_solve_genes(parameters, config.weight_decay):
        trainer.report("solving genes")
        solve_genes(parameters, values, config.n_threads)
    trainer.report("placing samples")
    fix_gauge(parameters, config.n_threads)
    loss, left, criterion = place_samples(parameters, values, config, stage.independent_genes)
    warn_of_dead_units(parameters)
    sure = None
    if calibrate:
        if not config.places_by_likelihood:
            left = learnt_factors(parameters, values, config, stage.independent_genes)
        sure = calibration(criterion, parameters, values, stage.ellipse_factor, config.n_threads)
        if stage.reference_score:
            rest = novelty.of_training(parameters, left, values, config.n_threads)
            sure = replace(
                sure,
                unexplained=rest * units.scale**2,
                reference_score=np.array(stage.reference_score),
            )
    left = left and left.times(units.scale)
    assert stage.stopped is not None
    return Trained(
        parameters=to_data_units(parameters, units),
        sample_loss=loss * units.scale**2,
        variance=units.scale**2,
        pca_explained_variance=pca_explained,
        held_out_mse=stopping.best_mse(units.scale**2),
        n_held_out=held_out.size,
        stopped=stage.stopped,
        summary=trainer.summary(),
        calibration=sure,
        residual_factors=left,
    )


def place_samples(
    parameters: Parameters, values: Float32, config: FitConfig, independent_genes: float | None
) -> tuple[NDArray[np.float64], ResidualFactors | None, Criterion]:
    """The last solve of every sample, in place: mean squared errors, factors, and the criterion.

    The residual factors are what the map leaves of the samples where they were before it.
    """
    criterion, left = SUM_OF_SQUARES, None
    if config.places_by_likelihood and len(values) >= MIN_SAMPLES:
        left = learnt_factors(parameters, values, config, independent_genes)
        criterion = Criterion.of_samples(left, parameters.sample_embedding)
    loss = last_solve(parameters, values, config, criterion)
    return loss, left, Criterion.of_samples(left, parameters.sample_embedding)


def learnt_factors(
    parameters: Parameters, values: Float32, config: FitConfig, independent_genes: float | None
) -> ResidualFactors | None:
    """The residual factors; None where held-out samples said, or a trial says, that none help."""
    if independent_genes == 0.0:
        return None
    return residual_factors.learn(parameters, values, config.n_threads, independent_genes)


def train_steadily(trainer: Trainer, stopping: EarlyStopping, stage: Stage) -> None:
    """The first part: full learning rates, reseating, and early stopping."""
    schedule, samples = trainer.schedule, stopping.held_out.training_samples
    n_steps = round(schedule.n_steps * (1.0 - COOLDOWN))

    def reseat_samples() -> None:
        moved = reseat(trainer.parameters, trainer.values, trainer.config.n_threads, samples)
        trainer.forget_moments(moved)

    stopped = stopping.train(
        trainer,
        n_steps,
        EVALUATIONS,
        _warm_up(schedule),
        min_steps=min(MIN_STEPS, n_steps),  # at its end it may go back after fewer
        pauses=[mark for mark in schedule.reseats if mark < n_steps],
        at_pause=reseat_samples,
    )
    stage.cooldown_begin = trainer.step
    if stopped == "schedule":
        stage.cooldown_steps = schedule.n_steps - trainer.step
    else:  # as much shorter as the first part
        stage.cooldown_steps = round(trainer.step * COOLDOWN / (1.0 - COOLDOWN))
    stage.stopped = stopped


def cool_down(trainer: Trainer, stopping: EarlyStopping, stage: Stage, calibrate: bool) -> None:
    """The last part: the learning rates fall to zero; held-out samples join towards the end.

    Before they do, they say how sure places are.
    """
    values, config, held_out = trainer.values, trainer.config, stopping.held_out
    warm, begin, n_steps = _warm_up(trainer.schedule), stage.cooldown_begin, stage.cooldown_steps

    def falling(steps: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.minimum(warm(steps), 1.0 - (steps - begin) / max(1, n_steps))

    training, others = held_out.training_samples, held_out.samples
    if not stage.joined:
        alone = n_steps - round(JOINED * n_steps)
        trainer.advance(begin + alone - trainer.step, training, falling)
        if calibrate or config.places_by_likelihood:
            trained = trainer.parameters.take_samples(training)
            measured = held_out_measures(
                trained, values, training, others, config, calibrate, trainer.count_model
            )
            stage.ellipse_factor = measured.ellipse_factor
            stage.reference_score = measured.reference_score
            stage.independent_genes = measured.independent_genes
        criterion = trainer.criterion(training)
        join(trainer.parameters, values, training, others, config.n_threads, criterion)
        stage.joined = True
    trainer.advance(begin + n_steps - trainer.step, np.arange(len(values)), falling)


def _warm_up(schedule: Schedule) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    n_steps = max(1, min(WARMUP_STEPS, schedule.n_steps // 10))
    return lambda steps: np.minimum(1.0, steps / n_steps)
