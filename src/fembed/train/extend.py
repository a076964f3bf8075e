"""A few more epochs of a trained model on old and new samples, its map kept where it was.

The learning rates are a part of the first training's and fall to zero. What the epochs turn,
stretch or shift as a whole is no change of the model: the best affine map back to the old places is
taken out exactly, the network and the loading absorbing its inverse.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.config import FitConfig
from fembed.engine import Float32
from fembed.errors import InputError
from fembed.parameters import Parameters
from fembed.solvers.genes import can_solve_genes, solve_genes
from fembed.solvers.samples import refine
from fembed.train.loop import Loop, Progress
from fembed.train.recipe import Plan, plan
from fembed.train.start import Units, in_units, standardise

#: Of the first training's learning rates, and the share of the steps in which they rise.
RATE, WARM = 0.2, 0.1
#: Iterations of the last solve of every sample.
LAST_ITERATIONS = 10


@dataclass(frozen=True)
class Grown:
    """Parameters of old and new samples after more training, with losses and a report."""

    parameters: Parameters
    sample_loss: NDArray[np.float64]
    report: dict[str, Any]


def grow(
    parameters: Parameters,
    values: Float32,
    n_old: int,
    config: FitConfig,
    epochs: float,
    progress: Callable[[Progress], None] | None = None,
) -> Grown:
    """Train on ``values`` (n_samples x n_genes, the old samples first), which are overwritten.

    Parameters
    ----------
    parameters : Parameters
        In the units of ``values``, every sample in its place; it is not changed.
    n_old : int
        The samples whose places are to stay.
    epochs : float
        Passes over all entries.
    """
    old = parameters.sample_embedding[:n_old].astype(np.float64)
    grown = parameters.copy()
    units = _standardised(grown, values)
    schedule = _schedule(config, values, epochs)
    loop = Loop(values, grown, config, schedule, progress, loss_scale=units.scale**2)
    n_steps, warm = schedule.n_steps, max(1.0, WARM * schedule.n_steps)

    def risen_and_falling(steps: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.minimum(steps / warm, 1.0 - steps / n_steps)

    loop.advance(n_steps, np.arange(len(values)), risen_and_falling)
    if can_solve_genes(grown, config.weight_decay):
        loop.report("solving genes")
        solve_genes(grown, values, config.n_threads)
    loop.report("placing samples")
    places, loss = refine(
        grown,
        values,
        grown.sample_embedding,
        max_iterations=LAST_ITERATIONS,
        n_threads=config.n_threads,
    )
    grown.sample_embedding[:] = places
    if grown.gene_bias is not None:
        in_units(grown, units)
    take_back(grown, old)
    return Grown(grown, loss * units.scale**2, loop.summary() | drift(grown, old))


def take_back(parameters: Parameters, old: NDArray[np.float64]) -> None:
    """Apply the affine map that brings the first samples nearest ``old``, in place.

    The decoded model is unchanged: with u' = u A + b the first layer and the loading take A^-1,
    their constants the shift.
    """
    d, places = parameters.n_components, parameters.sample_embedding.astype(np.float64)
    now = places[: len(old)]
    centre, target = now.mean(axis=0), old.mean(axis=0)
    x, y = now - centre, old - target
    # Where the samples do not determine a direction, it stays as it is.
    ridge = 1e-6 * np.trace(x.T @ x) / d * np.eye(d)
    if not ridge[0, 0] > 0.0:
        return  # all old samples are in one place
    turn = np.linalg.solve(x.T @ x + ridge, x.T @ y + ridge)
    if np.linalg.cond(turn) > 1e4:
        return
    shift = target - centre @ turn
    inverse = np.linalg.inv(turn).T
    parameters.sample_embedding[:] = places @ turn + shift
    first = parameters.layers()[0]
    first.weight[:, :d] = first.weight[:, :d] @ inverse
    first.bias[:] -= first.weight[:, :d] @ shift
    if parameters.gene_loading is not None:
        parameters.gene_loading[:] = parameters.gene_loading @ inverse
        if parameters.gene_bias is not None:
            parameters.gene_bias[:] -= parameters.gene_loading @ shift


def drift(parameters: Parameters, old: NDArray[np.float64]) -> dict[str, float]:
    """How far old samples moved, in units of the map's size: root mean square and 95 % point.

    The size is the root mean square distance of the old places from their mean.
    """
    size = float(np.sqrt(np.square(old - old.mean(axis=0)).sum(axis=1).mean()))
    moved = np.linalg.norm(parameters.sample_embedding[: len(old)] - old, axis=1) / max(size, 1e-30)
    return {
        "drift": float(np.sqrt(np.square(moved).mean())),
        "drift_95": float(np.quantile(moved, 0.95)),
    }


def _schedule(config: FitConfig, values: Float32, epochs: float) -> Plan:
    wanted = replace(config, epochs=epochs, iterations=None)
    found = plan(wanted, *values.shape)
    return replace(
        found,
        network_rate=RATE * found.network_rate,
        gene_rate=RATE * found.gene_rate,
        sample_rate=RATE * found.sample_rate,
    )


def _standardised(parameters: Parameters, values: Float32) -> Units:
    """Bring model and values to the units that learning rates are made for, in place.

    A model without loading and bias (the published recipe) was trained in the data's own units.
    """
    if parameters.gene_bias is None:
        return Units(np.zeros(values.shape[1]), 1.0)
    units = standardise(values)
    if units.scale == 0.0:
        raise InputError("All values are the same, so there is nothing to learn from them.")
    layers, d = parameters.layers(), parameters.n_components
    parameters.sample_embedding /= np.float32(units.scale)
    layers[0].weight[:, :d] *= units.scale
    layers[-1].weight[:] /= units.scale
    layers[-1].bias[:] /= units.scale
    bias = (parameters.gene_bias - units.gene_mean) / units.scale
    parameters.gene_bias[:] = bias.astype(np.float32)
    return units
