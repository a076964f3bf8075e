"""The published recipe: the thesis chapter's training to the letter."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fembed.config import FitConfig
from fembed.engine import Float32
from fembed.solvers import residual_factors
from fembed.solvers.criterion import SUM_OF_SQUARES
from fembed.solvers.samples import losses
from fembed.train.checkpoint import Checkpoint, Stage
from fembed.train.diagnostics import calibration, warn_of_dead_units
from fembed.train.early_stopping import MIN_STEPS, EarlyStopping
from fembed.train.initialization import random_initialization, spectral_initialization
from fembed.train.result import Progress, Trained
from fembed.train.schedule import Schedule
from fembed.train.trainer import Trainer
from fembed.train.units import standardise
from fembed.train.validation import hold_out

#: What is held out is evaluated so often over the whole schedule.
EVALUATIONS = 50


def fit_published(
    values: Float32,
    config: FitConfig,
    schedule: Schedule,
    progress: Callable[[Progress], None] | None,
    calibrate: bool,
    checkpoint: Checkpoint | None,
) -> Trained:
    """Train by the published recipe: one constant learning rate, nothing before or after.

    ``values`` are standardised in place at the end.
    """
    parameters = random_initialization(config, *values.shape)
    held_out = hold_out(values, schedule, config)
    trainer = Trainer(values, parameters, config, schedule, progress)
    stopping = EarlyStopping(held_out)
    if checkpoint is not None:
        checkpoint.attach(trainer, stopping, Stage())
    stopped = stopping.train(
        trainer, schedule.n_steps, EVALUATIONS, np.ones_like, min_steps=MIN_STEPS
    )
    held_out.release(values)
    trainer.report("measuring")
    loss = losses(parameters, values, parameters.sample_embedding, config.n_threads)
    warn_of_dead_units(parameters)
    sure = left = None
    if calibrate:
        sure = calibration(SUM_OF_SQUARES, parameters, values, None, config.n_threads)
        left = residual_factors.learn(parameters, values, config.n_threads)
    variance, pca_explained = _pca_of(values, config)
    return Trained(
        parameters=parameters,
        sample_loss=loss,
        variance=variance,
        pca_explained_variance=pca_explained,
        held_out_mse=stopping.best_mse(),
        n_held_out=held_out.size,
        stopped=stopped,
        summary=trainer.summary(),
        calibration=sure,
        residual_factors=left,
    )


def _pca_of(values: Float32, config: FitConfig) -> tuple[float, float]:
    """Variance around the genes' means, and the share that PCA explains; standardises values."""
    units = standardise(values)
    _, explained = spectral_initialization(values, config, np.arange(len(values)))
    return units.scale**2, explained
