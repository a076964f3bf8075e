"""The published recipe: the thesis chapter's training to the letter."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fembed.config import FitConfig
from fembed.engine import Float32
from fembed.solvers import residual_factors
from fembed.solvers.samples import refine
from fembed.train.checkpoint import Checkpoint, Stage
from fembed.train.dead import warn_of_dead_units
from fembed.train.heldout import BETTER, LEAST_STEPS, PATIENCE, hold_out
from fembed.train.loop import Loop, Progress
from fembed.train.recipe import Plan
from fembed.train.start import random_start, spectral_start, standardise
from fembed.train.trained import Trained, calibration


def fit_published(
    values: Float32,
    config: FitConfig,
    schedule: Plan,
    progress: Callable[[Progress], None] | None,
    calibrate: bool,
    checkpoint: Checkpoint | None,
) -> Trained:
    """Train by the published recipe: one constant learning rate, nothing before or after.

    ``values`` are standardised in place at the end.
    """
    n_samples, n_genes = values.shape
    parameters = random_start(config, n_samples, n_genes)
    held_out = hold_out(values, schedule, config)
    loop = Loop(values, parameters, config, schedule, progress)
    marks = [schedule.n_steps]
    if held_out.size:
        looks = np.linspace(0, schedule.n_steps, 51).round().astype(int).tolist()
        marks = sorted(set(looks) - {0})
    stage, stopped = Stage(), "schedule"
    if checkpoint is not None:
        checkpoint.attach(loop, held_out, stage)
    for mark in marks:
        if mark <= loop.step:
            continue  # before the checkpoint that this goes on from
        loop.advance(mark - loop.step, np.arange(n_samples), np.ones_like)
        if held_out.size:
            stage.waited = 0 if held_out.watch(loop, BETTER) else stage.waited + 1
            if stage.waited >= PATIENCE and mark >= LEAST_STEPS:
                loop.restore(held_out.best_state)
                stopped = "held-out entries"
                break
    held_out.release(values)
    loop.report("measuring")
    _, loss = refine(
        parameters,
        values,
        parameters.sample_embedding,
        max_iterations=0,
        n_threads=config.n_threads,
    )
    warn_of_dead_units(parameters)
    sure = left = None
    if calibrate:
        sure = calibration(parameters, values, None, config.n_threads)
        left = residual_factors.learn(parameters, values, config.n_threads)
    variance, pca_explained = _pca_of(values, config)
    report = loop.summary() | {
        "variance": variance,
        "pca_explained_variance": pca_explained,
        "held_out_mse": held_out.best if held_out.watched else None,
        "n_held_out": held_out.size,
        "stopped": stopped,
    }
    return Trained(parameters, loss, report, sure, left)


def _pca_of(values: Float32, config: FitConfig) -> tuple[float, float]:
    """Variance around the genes' means, and the share that PCA explains; standardises values."""
    units = standardise(values)
    _, explained = spectral_start(values, config, np.arange(len(values)))
    return units.scale**2, explained
