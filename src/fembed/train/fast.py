"""The fast recipe: this project's own schedule from a spectral start to a last solve."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fembed.config import FitConfig
from fembed.data.choice import even_choice
from fembed.engine import Float32, take_genes
from fembed.parameters import Parameters
from fembed.solvers import residual_factors
from fembed.solvers.genes import can_solve_genes, solve_genes
from fembed.solvers.samples import START_GENES, place, refine
from fembed.train.checkpoint import Checkpoint, Stage
from fembed.train.dead import warn_of_dead_units
from fembed.train.gauge import fix_gauge
from fembed.train.heldout import BETTER, LEAST_STEPS, PATIENCE, HeldOut, hold_out
from fembed.train.loop import Loop, Progress
from fembed.train.recipe import COOLDOWN, WARMUP_STEPS, Plan
from fembed.train.reseat import reseat
from fembed.train.start import in_units, spectral_start, standardise
from fembed.train.trained import Trained, calibration, held_out_factor

#: Share of the last part in which the held-out samples take part, too. From its beginning or for a
#: tenth of it, training and held-out errors are the same, and so late they can tell how sure a
#: nearly finished model is of new samples.
JOINED = 0.1
#: How often, over the first part of the schedule, held-out samples are looked at.
WATCHES = 12
#: Pairs that the last solve of the samples may evaluate. A larger matrix gets one iteration,
#: decided by a part of the genes. One iteration by all genes left the loss of tcga_11_cohorts
#: 0.13 % above the converged one in two dimensions, and 0.06 % in eight.
LAST_SOLVE_PAIRS, LAST_SOLVE_GENES = 10_000_000, 2048


def fit_fast(
    values: Float32,
    config: FitConfig,
    schedule: Plan,
    progress: Callable[[Progress], None] | None,
    calibrate: bool,
    checkpoint: Checkpoint | None,
) -> Trained:
    """Train by the fast recipe; ``values`` are standardised in place."""
    units = standardise(values)
    held_out = hold_out(values, schedule, config)
    parameters, pca_explained = spectral_start(values, config, held_out.training_samples)
    loop = Loop(values, parameters, config, schedule, progress, loss_scale=units.scale**2)
    stage = Stage()
    if checkpoint is not None:
        checkpoint.attach(loop, held_out, stage)
    if stage.stopped is None:
        steps = round(schedule.n_steps * (1.0 - COOLDOWN))
        stopped = _steady(loop, held_out, steps, stage)
        stage.cooldown_begin = loop.step
        if stopped == "schedule":
            stage.cooldown_steps = schedule.n_steps - loop.step
        else:  # as much shorter as the first part
            stage.cooldown_steps = round(loop.step * COOLDOWN / (1.0 - COOLDOWN))
        stage.stopped = stopped
    held_out.release(values)
    _cool_down(loop, held_out, stage, calibrate)
    reseat(parameters, values, config.n_threads)
    if can_solve_genes(parameters, config.weight_decay):
        loop.report("solving genes")
        solve_genes(parameters, values, config.n_threads)
    loop.report("placing samples")
    fix_gauge(parameters, config.n_threads)
    loss = _last_solve(parameters, values, config)
    warn_of_dead_units(parameters)
    sure = left = None
    if calibrate:
        sure = calibration(parameters, values, stage.ellipse_factor, config.n_threads)
        left = residual_factors.learn(parameters, values, config.n_threads)
        left = left and left.times(units.scale)
    report = loop.summary() | {
        "variance": units.scale**2,
        "pca_explained_variance": pca_explained,
        "held_out_mse": held_out.best * units.scale**2 if held_out.watched else None,
        "n_held_out": held_out.size,
        "stopped": stage.stopped,
    }
    return Trained(in_units(parameters, units), loss * units.scale**2, report, sure, left)


def _steady(loop: Loop, held_out: HeldOut, n_steps: int, stage: Stage) -> str:
    """The first part: full learning rates, reseating, held-out samples watched now and then.

    Returns what ended it.
    """
    reseats = {mark for mark in loop.plan.reseats if mark < n_steps}
    watches = set()
    if held_out.size:
        watches = set(np.linspace(0, n_steps, WATCHES + 1).round().astype(int).tolist()) - {0}
    samples = held_out.training_samples
    for mark in sorted(reseats | watches | {n_steps}):
        if mark <= loop.step:
            continue  # before the checkpoint that this goes on from
        loop.advance(mark - loop.step, samples, _warm_up(loop.plan))
        if mark in reseats:
            moved = reseat(loop.parameters, loop.values, loop.config.n_threads, samples)
            loop.forget_moments(moved)
        if mark not in watches:
            continue
        better = held_out.watch(loop, BETTER)
        stage.waited = 0 if better else stage.waited + 1
        if stage.waited >= PATIENCE and (mark >= LEAST_STEPS or mark == n_steps):
            loop.restore(held_out.best_state)
            return "held-out samples" if held_out.entries is None else "held-out entries"
    return "schedule"


def _cool_down(loop: Loop, held_out: HeldOut, stage: Stage, calibrate: bool) -> None:
    """The last part: the learning rates fall to zero; held-out samples join towards the end."""
    warm, begin, n_steps = _warm_up(loop.plan), stage.cooldown_begin, stage.cooldown_steps

    def falling(steps: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.minimum(warm(steps), 1.0 - (steps - begin) / max(1, n_steps))

    if not stage.joined:
        alone = n_steps - round(JOINED * n_steps)
        loop.advance(begin + alone - loop.step, held_out.training_samples, falling)
        _join(loop, held_out, stage, calibrate)
    loop.advance(begin + n_steps - loop.step, np.arange(len(loop.values)), falling)


def _join(loop: Loop, held_out: HeldOut, stage: Stage, calibrate: bool) -> None:
    """Held-out samples say how sure places are, and then take part."""
    parameters, values, threads = loop.parameters, loop.values, loop.config.n_threads
    trained = _with_samples(parameters, held_out.training_samples)
    if calibrate:
        stage.ellipse_factor = held_out_factor(trained, values, held_out.samples, threads)
    if held_out.samples.size:
        # They go on from here, so a part of the genes and a few iterations do.
        genes = even_choice(parameters.n_genes, START_GENES)
        placed = place(
            take_genes(trained, genes),
            np.ascontiguousarray(values[np.ix_(held_out.samples, genes)]),
            n_starts=1,
            max_iterations=5,
            n_threads=threads,
        )
        parameters.sample_embedding[held_out.samples] = placed.u
    stage.joined = True


def _last_solve(parameters: Parameters, values: Float32, config: FitConfig) -> NDArray[np.float64]:
    """Solve every sample from where it is, in place; returns the mean squared errors."""
    iterations = LAST_SOLVE_PAIRS // values.size - 1
    deciding, profiles = parameters, values
    if iterations < 1:
        most = max(LAST_SOLVE_GENES, 256 * config.n_components)
        genes = even_choice(parameters.n_genes, most)
        if len(genes) < parameters.n_genes:
            deciding, profiles = take_genes(parameters, genes), np.take(values, genes, axis=1)
    places, loss = refine(
        deciding,
        np.ascontiguousarray(profiles),
        parameters.sample_embedding,
        max_iterations=int(np.clip(iterations, 1, 10)),
        n_threads=config.n_threads,
    )
    parameters.sample_embedding[:] = places
    if deciding is not parameters:
        _, loss = refine(parameters, values, places, max_iterations=0, n_threads=config.n_threads)
    return loss


def _warm_up(schedule: Plan) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    n_steps = max(1, min(WARMUP_STEPS, schedule.n_steps // 10))
    return lambda steps: np.minimum(1.0, steps / n_steps)


def _with_samples(parameters: Parameters, samples: NDArray[np.intp]) -> Parameters:
    return Parameters(
        sample_embedding=np.ascontiguousarray(parameters.sample_embedding[samples]),
        gene_embedding=parameters.gene_embedding,
        network=parameters.network,
        hidden=parameters.hidden,
        gene_loading=parameters.gene_loading,
        gene_bias=parameters.gene_bias,
    )
