"""What is measured during and after training, without changing any parameter."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fembed import engine
from fembed.config import FitConfig
from fembed.data.chunks import even_choice
from fembed.engine import Float32
from fembed.errors import DataWarning
from fembed.model import Calibration
from fembed.parameters import Parameters
from fembed.solvers import novelty, residual_factors, uncertainty
from fembed.solvers.count_criterion import CountCriterion
from fembed.solvers.count_model import CountModel
from fembed.solvers.criterion import SUM_OF_SQUARES, Criterion

#: Entries of so many samples and genes tell how well values are predicted while training goes on;
#: with these numbers it costs as much as one step.
PROBE_SAMPLES = 48
PROBE_GENES = 96
#: A share of dead units above this one means that training went wrong.
MAX_DEAD_SHARE = 0.5


class Probe:
    """A few entries of the matrix, to tell how well they are predicted while training goes on."""

    def __init__(
        self, values: Float32, parameters: Parameters, size: NDArray[np.float64] | None = None
    ) -> None:
        self._rows = even_choice(len(values), PROBE_SAMPLES)
        self._genes = even_choice(parameters.n_genes, PROBE_GENES)
        self._true = values[np.ix_(self._rows, self._genes)]
        self._are_counts = size is not None
        if size is not None:
            self._true = np.log1p(self._true / size[self._rows, None].astype(np.float32))

    def correlation(self, parameters: Parameters, n_threads: int | None) -> float | None:
        """Pearson's r of true and predicted values; None where one of them is constant.

        Of counts it is that of log(1 + counts per size).
        """
        positions = np.ascontiguousarray(parameters.sample_embedding[self._rows])
        predicted = engine.decode(parameters, positions, genes=self._genes, n_threads=n_threads)
        if self._are_counts:
            predicted = np.logaddexp(0.0, predicted)
        observed = ~np.isnan(self._true)
        pair = np.array([self._true[observed], predicted[observed]], np.float64)
        pair -= pair.mean(axis=1, keepdims=True)
        norm = float(np.sqrt(np.square(pair).sum(axis=1).prod()))
        return float(pair[0] @ pair[1]) / norm if norm > 0.0 else None


def warn_of_dead_units(parameters: Parameters) -> None:
    """Warn, in the name of `fembed.fit`'s caller, if most of the last hidden layer is dead.

    Units that never act are a sign that the learning rate was too high.
    """
    dead = dead_unit_share(parameters)
    if dead > MAX_DEAD_SHARE:
        warnings.warn(
            f"{dead:.0%} of the network's last hidden units are never active; "
            "train again with a lower learning rate.",
            DataWarning,
            stacklevel=4,
        )


def dead_unit_share(parameters: Parameters, n_points: int = 64) -> float:
    """Share of the last hidden layer's units that are inactive on a sample of pairs."""
    p = parameters
    rows = even_choice(p.n_samples, n_points)
    genes = even_choice(p.n_genes, n_points)
    layers = p.layers()
    first, d = layers[0], p.n_components
    by_sample = p.sample_embedding[rows] @ first.weight[:, :d].T
    by_gene = p.gene_embedding[genes] @ first.weight[:, d:].T + first.bias
    active = np.maximum(by_sample[:, None, :] + by_gene[None, :, :], 0.0)
    for layer in layers[1:-1]:
        active = np.maximum(active @ layer.weight.T + layer.bias, 0.0)
    return float((active.max(axis=(0, 1)) <= 0.0).mean())


@dataclass(frozen=True)
class HeldOutMeasures:
    """What samples that have not been trained on yet say of a model; None for too few of them.

    Attributes
    ----------
    ellipse_factor : float, optional
    reference_score : list of float, optional
        See `fembed.solvers.novelty.reference`.
    independent_genes : float, optional
        Of the residual factors; zero where these do not help.
    """

    ellipse_factor: float | None = None
    reference_score: list[float] | None = None
    independent_genes: float | None = None


def held_out_measures(
    trained: Parameters,
    values: Float32,
    training: NDArray[np.intp],
    held_out: NDArray[np.intp],
    config: FitConfig,
    calibrate: bool,
    count_model: CountModel | None = None,
) -> HeldOutMeasures:
    """How sure places are, and how well new samples fit, before the latter are trained on.

    Parameters
    ----------
    trained : Parameters
        Its samples are the rows ``training`` of ``values`` (n_samples x n_genes).
    calibrate : bool
        False measures nothing but the independent genes, on which the last solve depends.
    count_model : CountModel, optional
        That the values are counts, which have no residual factors.
    """
    if len(held_out) < uncertainty.MIN_SAMPLES:
        return HeldOutMeasures()
    some = even_choice(len(training), residual_factors.MAX_SAMPLES)
    compared, known = trained.take_samples(some), values[training[some]]
    factors, number = None, None
    if count_model is None:
        factors = residual_factors.learn(compared, known, config.n_threads)
        number = 0.0 if factors is None else factors.independent_genes
    if not calibrate:
        return HeldOutMeasures(independent_genes=number)
    criterion = SUM_OF_SQUARES
    if count_model is not None:
        criterion = CountCriterion.of_counts(count_model, trained.sample_embedding)
    if config.places_by_likelihood:
        criterion = Criterion.of_samples(factors, trained.sample_embedding)
    profiles = np.ascontiguousarray(values[held_out[: uncertainty.MAX_SAMPLES]])
    return HeldOutMeasures(
        uncertainty.ellipse_factor(criterion, trained, profiles, config.n_threads),
        novelty.reference(criterion, compared, factors, known, profiles, config.n_threads),
        number,
    )


def calibration(
    criterion: Criterion,
    parameters: Parameters,
    values: Float32,
    factor: float | None,
    n_threads: int | None,
) -> Calibration:
    """A calibration with the factor of held-out samples, or else that of training samples."""
    held_out = factor is not None
    if factor is None:
        factor = uncertainty.ellipse_factor(criterion, parameters, values, n_threads)
    return Calibration(factor, np.empty(0), held_out)
