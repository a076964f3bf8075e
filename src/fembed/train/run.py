"""Fit a model: preparation, the recipe's schedule, and what a fit reports."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed import placement
from fembed.config import FitConfig
from fembed.engine import Float32, take_genes, thread_count
from fembed.errors import DataWarning, InputError
from fembed.expression import Expression
from fembed.model import Model
from fembed.parameters import Parameters
from fembed.preprocess import Preprocessing
from fembed.train.gauge import fix_gauge
from fembed.train.heldout import HeldOut, hold_out
from fembed.train.loop import Loop, Progress
from fembed.train.recipe import COOLDOWN, RESEATING, WARMUP_STEPS, Plan, plan
from fembed.train.reseat import reseat
from fembed.train.start import Units, random_start, spectral_start, standardise

#: How often, over the first part of the schedule, held-out samples are looked at ...
WATCHES = 12
#: ... how many looks without a better one end it, and how much better is better.
PATIENCE, BETTER = 4, 1e-3
#: ... but not before so many steps: training may need 600 to leave the plateau of its start
#: (tcga_11_cohorts in two dimensions), and the best state so far is kept anyhow.
LEAST_STEPS = 1500
#: Pairs that the last solve of the samples may evaluate. A larger matrix gets one iteration,
#: decided by a part of the genes. One iteration by all genes left the loss of tcga_11_cohorts
#: 0.13 % above the converged one in two dimensions, and 0.06 % in eight.
LAST_SOLVE_PAIRS, LAST_SOLVE_GENES = 20_000_000, 4096


def fit(
    expression: Expression,
    config: FitConfig | None = None,
    *,
    preprocessing: Preprocessing | None = None,
    progress: Callable[[Progress], None] | None = None,
    overwrite_values: bool = False,
) -> Model:
    """Train a factorized embedding.

    Parameters
    ----------
    expression : Expression
        Samples x genes in the units of the input.
    config : FitConfig, optional
        The options; see there.
    preprocessing : Preprocessing, optional
        ``log10(x + 1)`` by default.
    progress : callable, optional
        Called with a `Progress` a few times a second.
    overwrite_values : bool
        Train in the memory of ``expression.values``, whose contents are lost, instead of a copy.

    Returns
    -------
    Model

    Raises
    ------
    InputError
        If no model can be trained on these data.
    TrainingError
        If the loss is no longer finite.

    Warns
    -----
    DataWarning
        For genes that are constant, and for a network most of whose units are dead.
    """
    begin = time.perf_counter()
    config = config or FitConfig()
    preprocessing = preprocessing or Preprocessing()
    _check(expression, config)
    if not overwrite_values:
        expression = replace(expression, values=expression.values.copy())
    values = preprocessing.apply(
        expression.values,
        expression.origin,
        sample_names=expression.sample_names,
        gene_names=expression.gene_names,
    )
    missing_share = expression.missing_share
    _check_constant(values, expression)
    schedule = plan(config, *values.shape)
    run = _fit_fast if config.recipe == "fast" else _fit_published
    parameters, sample_loss, report = run(values, config, schedule, progress)
    n_observed = np.concatenate(
        [(~np.isnan(values[rows])).sum(axis=1) for rows in _row_slices(len(values))]
    )
    mse = float(sample_loss @ n_observed / n_observed.sum())
    report |= {
        "mse": mse,
        "explained_variance": 1.0 - mse / report.pop("variance"),
        "missing_share": missing_share,
        "n_threads": thread_count(config.n_threads),
        "seconds": time.perf_counter() - begin,
    }
    return Model(
        parameters=parameters,
        sample_names=expression.sample_names,
        gene_names=expression.gene_names,
        preprocessing=preprocessing,
        config=config,
        sample_loss=sample_loss,
        training=report,
    )


def _fit_fast(
    values: Float32,
    config: FitConfig,
    schedule: Plan,
    progress: Callable[[Progress], None] | None,
) -> tuple[Parameters, NDArray[np.float64], dict[str, Any]]:
    units = standardise(values)
    held_out = hold_out(values, schedule, config)
    parameters, pca_explained = spectral_start(values, config, held_out.training_samples)
    loop = Loop(values, parameters, config, schedule, progress, loss_scale=units.scale**2)
    steady_steps = round(schedule.n_steps * (1.0 - COOLDOWN))
    stopped = _steady(loop, held_out, steady_steps)
    held_out.release(values)
    cooldown_steps = schedule.n_steps - steady_steps
    if stopped != "schedule":  # then the falling part is as much shorter as the steady one
        cooldown_steps = round(loop.step * COOLDOWN / (1.0 - COOLDOWN))
    _cool_down(loop, held_out, cooldown_steps)
    loop.report("placing samples")
    fix_gauge(parameters, config.n_threads)
    reseat(parameters, values, config.n_threads)
    loss = _last_solve(parameters, values, config)
    _warn_of_dead_units(parameters)
    report = loop.summary() | {
        "variance": units.scale**2,
        "pca_explained_variance": pca_explained,
        "held_out_mse": held_out.best * units.scale**2 if held_out.watched else None,
        "n_held_out": held_out.size,
        "stopped": stopped,
    }
    return _in_units(parameters, units), loss * units.scale**2, report


def _steady(loop: Loop, held_out: HeldOut, n_steps: int) -> str:
    """The first part: full learning rates, reseating, held-out samples watched now and then."""
    n_total = loop.plan.n_steps
    reseats = {round(share * n_total) for share in RESEATING if round(share * n_total) < n_steps}
    watches = set()
    if held_out.size:
        watches = set(np.linspace(0, n_steps, WATCHES + 1).round().astype(int).tolist()) - {0}
    samples = held_out.training_samples
    waited = 0
    for mark in sorted(reseats | watches | {n_steps}):
        loop.advance(mark - loop.step, samples, _warm_up(loop.plan))
        if mark in reseats:
            moved = reseat(loop.parameters, loop.values, loop.config.n_threads, samples)
            loop.forget_moments(moved)
        if mark not in watches:
            continue
        better = held_out.watch(loop, BETTER)
        waited = 0 if better else waited + 1
        if waited >= PATIENCE and (mark >= LEAST_STEPS or mark == n_steps):
            loop.restore(held_out.best_state)
            return "held-out samples" if held_out.entries is None else "held-out entries"
    return "schedule"


def _cool_down(loop: Loop, held_out: HeldOut, n_steps: int) -> None:
    """The last part: the learning rates fall to zero, and the held-out samples take part."""
    if held_out.samples.size:
        # They go on from here, so a part of the genes and a few iterations do.
        genes = placement.even_choice(loop.parameters.n_genes, placement.START_GENES)
        trained = _with_samples(loop.parameters, held_out.training_samples)
        placed = placement.place(
            take_genes(trained, genes),
            np.ascontiguousarray(loop.values[np.ix_(held_out.samples, genes)]),
            n_starts=1,
            max_iterations=5,
            n_threads=loop.config.n_threads,
        )
        loop.parameters.sample_embedding[held_out.samples] = placed.u
    begin, warm = loop.step, _warm_up(loop.plan)

    def falling(steps: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.minimum(warm(steps), 1.0 - (steps - begin) / max(1, n_steps))

    loop.advance(n_steps, np.arange(len(loop.values)), falling)


def _last_solve(parameters: Parameters, values: Float32, config: FitConfig) -> NDArray[np.float64]:
    """Solve every sample from where it is, in place; returns the mean squared errors."""
    iterations = LAST_SOLVE_PAIRS // values.size - 1
    deciding, profiles = parameters, values
    if iterations < 1:
        most = max(LAST_SOLVE_GENES, 256 * config.n_components)
        genes = placement.even_choice(parameters.n_genes, most)
        if len(genes) < parameters.n_genes:
            deciding, profiles = take_genes(parameters, genes), values[:, genes]
    places, loss = placement.refine(
        deciding,
        np.ascontiguousarray(profiles),
        parameters.sample_embedding,
        max_iterations=int(np.clip(iterations, 1, 10)),
        n_threads=config.n_threads,
    )
    parameters.sample_embedding[:] = places
    if deciding is not parameters:
        _, loss = placement.refine(
            parameters, values, places, max_iterations=0, n_threads=config.n_threads
        )
    return loss


def _fit_published(
    values: Float32,
    config: FitConfig,
    schedule: Plan,
    progress: Callable[[Progress], None] | None,
) -> tuple[Parameters, NDArray[np.float64], dict[str, Any]]:
    """The thesis chapter's training: one constant learning rate, nothing before or after."""
    n_samples, n_genes = values.shape
    parameters = random_start(config, n_samples, n_genes)
    held_out = hold_out(values, schedule, config)
    loop = Loop(values, parameters, config, schedule, progress)
    marks = [schedule.n_steps]
    if held_out.size:
        looks = np.linspace(0, schedule.n_steps, 51).round().astype(int).tolist()
        marks = sorted(set(looks) - {0})
    stopped, waited = "schedule", 0
    for mark in marks:
        loop.advance(mark - loop.step, np.arange(n_samples), np.ones_like)
        if held_out.size:
            waited = 0 if held_out.watch(loop, BETTER) else waited + 1
            if waited >= PATIENCE and mark >= LEAST_STEPS:
                loop.restore(held_out.best_state)
                stopped = "held-out entries"
                break
    held_out.release(values)
    loop.report("measuring")
    _, loss = placement.refine(
        parameters,
        values,
        parameters.sample_embedding,
        max_iterations=0,
        n_threads=config.n_threads,
    )
    _warn_of_dead_units(parameters)
    variance, pca_explained = _pca_of(values, config)
    report = loop.summary() | {
        "variance": variance,
        "pca_explained_variance": pca_explained,
        "held_out_mse": held_out.best if held_out.watched else None,
        "n_held_out": held_out.size,
        "stopped": stopped,
    }
    return parameters, loss, report


def _pca_of(values: Float32, config: FitConfig) -> tuple[float, float]:
    """Variance around the genes' means, and the share that PCA explains; standardises values."""
    units = standardise(values)
    _, explained = spectral_start(values, config, np.arange(len(values)))
    return units.scale**2, explained


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


def _in_units(parameters: Parameters, units: Units) -> Parameters:
    """The same model for the matrix before `standardise`; distances in the map scale with it."""
    layers, d = parameters.layers(), parameters.n_components
    parameters.sample_embedding *= np.float32(units.scale)
    layers[0].weight[:, :d] /= units.scale
    layers[-1].weight[:] *= units.scale
    layers[-1].bias[:] *= units.scale
    # The loading is divided with the samples and multiplied with the genes: it stays.
    assert parameters.gene_bias is not None
    bias = parameters.gene_bias * units.scale + units.gene_mean
    parameters.gene_bias[:] = bias.astype(np.float32)
    return parameters


def _row_slices(n_rows: int) -> list[slice]:
    return [slice(begin, begin + 256) for begin in range(0, n_rows, 256)]


def _check(expression: Expression, config: FitConfig) -> None:
    expression.check()
    if expression.n_samples <= config.n_components:
        raise InputError(
            f"{expression.origin} has {expression.n_samples} samples, too few for "
            f"{config.n_components} components; ask for at most {expression.n_samples - 1}."
        )


def _check_constant(values: Float32, expression: Expression) -> None:
    low = np.full(values.shape[1], np.inf, np.float32)
    high = np.full(values.shape[1], -np.inf, np.float32)
    for rows in _row_slices(len(values)):
        low = np.fmin(low, np.fmin.reduce(values[rows], axis=0))
        high = np.fmax(high, np.fmax.reduce(values[rows], axis=0))
    constant = np.flatnonzero(low == high)
    if constant.size == values.shape[1]:
        raise InputError(
            f"All genes in {expression.origin} are constant, so there is nothing to learn; "
            "give samples that differ."
        )
    if constant.size:
        warnings.warn(
            f"{constant.size} gene(s) in {expression.origin} are constant, such as "
            f"'{expression.gene_names[constant[0]]}'; they carry nothing about the samples.",
            DataWarning,
            stacklevel=3,
        )


def _warn_of_dead_units(parameters: Parameters) -> None:
    dead = dead_unit_share(parameters)
    if dead > 0.5:
        warnings.warn(
            f"{dead:.0%} of the network's last hidden units are never active; "
            "train again with a lower learning rate.",
            DataWarning,
            stacklevel=4,
        )


def dead_unit_share(parameters: Parameters, n_points: int = 64) -> float:
    """Share of the last hidden layer's units that are inactive on a sample of pairs."""
    p = parameters
    rows = placement.even_choice(p.n_samples, n_points)
    genes = placement.even_choice(p.n_genes, n_points)
    layers = p.layers()
    first, d = layers[0], p.n_components
    by_sample = p.sample_embedding[rows] @ first.weight[:, :d].T
    by_gene = p.gene_embedding[genes] @ first.weight[:, d:].T + first.bias
    active = np.maximum(by_sample[:, None, :] + by_gene[None, :, :], 0.0)
    for layer in layers[1:-1]:
        active = np.maximum(active @ layer.weight.T + layer.bias, 0.0)
    return float((active.max(axis=(0, 1)) <= 0.0).mean())
