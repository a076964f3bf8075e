"""New samples in a trained map: genes and network frozen, every sample solved on its own."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed import parallel, placement
from fembed.engine import Float32, Solution, take_genes
from fembed.errors import DataWarning, InputError
from fembed.expression import Expression
from fembed.model import Model
from fembed.parameters import Parameters

#: Of the largest eigenvalue of J'J, which is summed from float32 products; less is no knowledge.
LEAST_CURVATURE = 1e-6
#: Of the samples that several workers place. The candidates are decoded anew for every part.
SAMPLES_A_PART = 4096


@dataclass(frozen=True)
class Projection:
    """Where new samples belong, and how well they fit there.

    Attributes
    ----------
    sample_names : array of str, k
    sample_embedding : float32, k x n_components
        Coordinates in the model's map.
    loss : float64, k
        Mean squared error over the sample's observed genes, on the model's scale.
    covariance : float64, k x n_components x n_components
        Of the coordinates: residual variance times the inverse Gauss-Newton matrix. It holds the
        noise of the genes, taken as independent, and not the uncertainty of the model. Infinite
        where the observed genes are fewer than the coordinates or do not determine them.
    n_genes : int64, k
        Observed genes that were used.
    outlier : float64, k
        How many robust standard deviations the logarithm of the loss lies above the training
        samples' median (median absolute deviation x 1.4826). Above about 5 is suspicious; new
        samples of the same kind score a little above zero, since the training samples took part
        in the fit.
    n_genes_matched, n_genes_model : int
        The model's genes that the data have, and all of the model's genes.
    """

    sample_names: NDArray[np.object_]
    sample_embedding: Float32
    loss: NDArray[np.float64]
    covariance: NDArray[np.float64]
    n_genes: NDArray[np.int64]
    outlier: NDArray[np.float64]
    n_genes_matched: int
    n_genes_model: int


def project(
    model: Model,
    data: Any,
    *,
    n_threads: int | None = None,
    workers: parallel.Workers | None = None,
) -> Projection:
    """Place new samples in a trained map.

    Parameters
    ----------
    model : Model
        A trained model; its training matrix is not needed.
    data : Expression, AnnData, DataFrame, or array
        New samples in the units of the training data. Genes are matched by name: extra genes are
        dropped, absent genes and NaN entries are left out of the loss. An array without names
        must have the model's genes, in the model's order. The data are not changed.
    n_threads : int, optional
        Threads of the engine; all processors by default.
    workers : Workers, optional
        Place parts of the samples on other processes or a Dask cluster, which is for very many;
        the result is the same to the bit. Its threads count, and ``n_threads`` does not.

    Returns
    -------
    Projection

    Raises
    ------
    InputError
        No gene in common; a sample without any observed gene of the model; infinite or (with
        log10) negative values; names that are not unique.
    WorkerError
        If the workers of a cluster are lost for good.

    Warns
    -----
    DataWarning
        If less than half of the model's genes are in the data.
    """
    expression = as_expression(data, model)
    expression.check(min_samples=1, allow_unobserved_genes=True)
    profiles, n_matched = expression.take_genes(model.gene_names)
    _check_overlap(n_matched, model, expression)
    model.preprocessing.apply(
        profiles,
        expression.origin,
        sample_names=expression.sample_names,
        gene_names=model.gene_names,
    )
    n_observed = np.array([np.count_nonzero(~np.isnan(profile)) for profile in profiles])
    if not n_observed.all():
        lacking = expression.sample_names[int(np.argmin(n_observed))]
        raise InputError(
            f"The sample '{lacking}' in {expression.origin} has no observed value for any of the "
            "model's genes; remove it."
        )
    parameters = model.parameters
    if n_matched < model.n_genes:
        # By name and not by what is observed: batch mates must not choose a sample's genes.
        there = set(expression.gene_names)
        kept = np.flatnonzero([name in there for name in model.gene_names])
        parameters, profiles = take_genes(parameters, kept), np.ascontiguousarray(profiles[:, kept])
    if workers is None:
        solution = placement.place(parameters, profiles, n_threads=n_threads)
    else:
        parts = [
            slice(begin, begin + SAMPLES_A_PART)
            for begin in range(0, len(profiles), SAMPLES_A_PART)
        ]
        shared = parameters, profiles
        solution = placement.joined(parallel.run(place_part, shared, parts, workers))
    return Projection(
        sample_names=expression.sample_names,
        sample_embedding=solution.u,
        loss=solution.loss,
        covariance=_covariance(solution.curvature, solution.loss, solution.n_observed),
        n_genes=solution.n_observed,
        outlier=outlier_score(solution.loss, model.sample_loss),
        n_genes_matched=n_matched,
        n_genes_model=model.n_genes,
    )


def place_part(shared: tuple[Parameters, Float32], rows: slice, n_threads: int) -> Solution:
    """A task of `parallel.run`: the profiles of some rows."""
    parameters, profiles = shared
    return placement.place(parameters, np.ascontiguousarray(profiles[rows]), n_threads=n_threads)


def as_expression(data: Any, model: Model) -> Expression:
    """``data`` as an Expression; an array without names takes the model's gene names."""
    if isinstance(data, Expression):
        return data
    if hasattr(data, "obs_names"):
        return Expression.from_anndata(data)
    if hasattr(data, "iloc"):
        return Expression.from_array(data)
    shape = np.shape(data)
    if len(shape) == 2 and shape[1] != model.n_genes:
        raise InputError(
            f"The array has {shape[1]} genes but the model has {model.n_genes}; give the genes' "
            "names (a DataFrame or AnnData) so that they can be matched."
        )
    return Expression.from_array(data, gene_names=model.gene_names)


def outlier_score(
    loss: NDArray[np.float64], training_loss: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Robust z-score of log(loss) among the training samples' log losses."""
    tiny = np.finfo(np.float64).tiny
    reference = np.log(np.maximum(training_loss, tiny))
    centre = np.median(reference)
    spread = 1.4826 * np.median(np.abs(reference - centre))
    score: NDArray[np.float64] = (np.log(np.maximum(loss, tiny)) - centre) / max(spread, 1e-12)
    return score


def _check_overlap(n_matched: int, model: Model, expression: Expression) -> None:
    if n_matched == 0:
        raise InputError(
            f"{expression.origin} and the model have no gene in common (the model's first gene is "
            f"'{model.gene_names[0]}', the data's is '{expression.gene_names[0]}'); check that "
            "both use the same kind of gene names, and whether --transpose is needed."
        )
    if n_matched < 0.5 * model.n_genes:
        warnings.warn(
            f"{expression.origin} has only {n_matched} of the model's {model.n_genes} genes; "
            "the coordinates rest on those.",
            DataWarning,
            stacklevel=3,
        )


def _covariance(
    curvature: NDArray[np.float64], loss: NDArray[np.float64], n_observed: NDArray[np.int64]
) -> NDArray[np.float64]:
    d = curvature.shape[1]
    covariance = np.full_like(curvature, np.inf)
    freedom = n_observed - d
    for row in np.flatnonzero(freedom > 0):
        matrix = curvature[row]
        values = np.linalg.eigvalsh(matrix)
        if values[0] > LEAST_CURVATURE * values[-1]:
            variance = loss[row] * n_observed[row] / freedom[row]
            covariance[row] = variance * np.linalg.inv(matrix)
    return covariance
