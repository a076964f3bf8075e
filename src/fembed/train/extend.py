"""A few more epochs of a trained model on old and new samples, with the old map kept in place.

The learning rates are a part of the first training's and fall to zero. If the epochs turn, stretch
or shift the map as a whole, that does not change the model: the affine map that brings the old
samples nearest their old places is applied, and the network and the loading absorb its inverse.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.config import FitConfig
from fembed.engine import Float32
from fembed.errors import InputError
from fembed.parameters import Parameters
from fembed.solvers import residual_factors
from fembed.solvers.criterion import SUM_OF_SQUARES, Criterion
from fembed.solvers.genes import can_solve_genes, solve_genes
from fembed.solvers.residual_factors import ResidualFactors
from fembed.solvers.samples import losses
from fembed.train.coordinates import drift, take_back
from fembed.train.result import Progress
from fembed.train.schedule import Schedule, schedule_of
from fembed.train.trainer import Trainer
from fembed.train.units import Units, standardise, to_data_units, to_training_units

#: Learning rates are this part of the first training's.
RATE = 0.2
#: They rise over this share of the steps.
WARMUP = 0.1
#: The last solve of every sample takes at most so many iterations.
LAST_ITERATIONS = 10


@dataclass(frozen=True)
class Grown:
    """Parameters of old and new samples after more training, and what was measured of them."""

    parameters: Parameters
    sample_loss: NDArray[np.float64]
    report: dict[str, Any]
    residual_factors: ResidualFactors | None


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
    trainer = Trainer(values, grown, config, schedule, progress, loss_scale=units.scale**2)
    n_steps, warm = schedule.n_steps, max(1.0, WARMUP * schedule.n_steps)

    def risen_and_falling(steps: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.minimum(steps / warm, 1.0 - steps / n_steps)

    trainer.advance(n_steps, np.arange(len(values)), risen_and_falling)
    if can_solve_genes(grown, config.weight_decay):
        trainer.report("solving genes")
        solve_genes(grown, values, config.n_threads)
    trainer.report("placing samples")
    left = residual_factors.learn(grown, values, config.n_threads)
    criterion = SUM_OF_SQUARES
    if config.places_by_likelihood:
        criterion = Criterion.of_samples(left, grown.sample_embedding)
    grown.sample_embedding[:] = criterion.refine(
        grown,
        values,
        grown.sample_embedding,
        max_iterations=LAST_ITERATIONS,
        n_threads=config.n_threads,
    )
    loss = losses(grown, values, grown.sample_embedding, config.n_threads)
    if grown.gene_bias is not None:
        to_data_units(grown, units)
        left = left and left.times(units.scale)
    take_back(grown, old)
    report = asdict(trainer.summary()) | drift(grown, old)
    return Grown(grown, loss * units.scale**2, report, left)


def _schedule(config: FitConfig, values: Float32, epochs: float) -> Schedule:
    wanted = replace(config, epochs=epochs, iterations=None)
    found = schedule_of(wanted, *values.shape)
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
    to_training_units(parameters, units)
    return units
