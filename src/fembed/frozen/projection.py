"""New samples in a trained map: genes and network frozen, every sample solved on its own."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed import parallel
from fembed.data.expression import Expression
from fembed.engine import Float32, Solution, take_genes
from fembed.errors import DataWarning, InputError
from fembed.model import Model
from fembed.parameters import Parameters
from fembed.placing import confidence, depth, placement

#: Losses of a panel are not those of whole profiles: below this share of the genes, no p-value.
LEAST_SHARE = 0.5
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
        Of the coordinates: how far they would move if other genes of the same kind had been
        measured (see `fembed.placing.confidence`). Multiplied by the model's factor, with which
        ellipses cover as often as they say; a model without one (`fembed.fit(calibrate=False)`, or
        extended) has ellipses that cover less often. Infinite where the observed genes are fewer
        than the coordinates or do not determine them.
    n_genes : int64, k
        Observed genes that were used.
    outlier : float64, k
        How many robust standard deviations the logarithm of the loss lies above the training
        samples' median (median absolute deviation x 1.4826). Above about 5 is suspicious; new
        samples of the same kind score a little above zero, since the training samples took part
        in the fit.
    n_genes_matched, n_genes_model : int
        The model's genes that the data have, and all of the model's genes.
    p_value : float64, k, or None
        After `fembed.calibrate`: the share of new samples of the training's kind whose loss is at
        least as high. Calling a sample an outlier at 0.05 or less is a false alarm for at most
        5 % of them. NaN for samples with less than half of the model's genes, whose losses have
        another distribution.
    """

    sample_names: NDArray[np.object_]
    sample_embedding: Float32
    loss: NDArray[np.float64]
    covariance: NDArray[np.float64]
    n_genes: NDArray[np.int64]
    outlier: NDArray[np.float64]
    n_genes_matched: int
    n_genes_model: int
    p_value: NDArray[np.float64] | None = None


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
        must have the model's genes, in the model's order. The data are not changed. With the
        transform ``cpm`` the total of a sample that lacks genes is estimated; see
        `fembed.placing.depth`.
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
    found = match(model, data)
    parameters, profiles = found.parameters, found.profiles
    if workers is None:
        solution = placement.place(parameters, profiles, n_threads=n_threads)
    else:
        parts = [
            slice(begin, begin + SAMPLES_A_PART)
            for begin in range(0, len(profiles), SAMPLES_A_PART)
        ]
        shared = parameters, profiles
        solution = placement.joined(parallel.run(place_part, shared, parts, workers))
    covariance = confidence.covariance(parameters, profiles, solution, n_threads)
    p_value = None
    if model.calibration is not None:
        covariance *= model.calibration.ellipse_factor
        p_value = _p_value(model, solution)
    return Projection(
        sample_names=found.sample_names,
        sample_embedding=solution.u,
        loss=solution.loss,
        covariance=covariance,
        n_genes=solution.n_observed,
        outlier=outlier_score(solution.loss, model.sample_loss),
        n_genes_matched=parameters.n_genes,
        n_genes_model=model.n_genes,
        p_value=p_value,
    )


@dataclass(frozen=True)
class Matched:
    """New samples in terms of a model: its genes that the data have, and the profiles of those.

    Attributes
    ----------
    sample_names : array of str, k
    genes : row numbers in the model, n_matched
    parameters : Parameters
        The model's, of these genes.
    profiles : float32, k x n_matched
        On the model's scale; NaN where unobserved.
    """

    sample_names: NDArray[np.object_]
    genes: NDArray[np.intp]
    parameters: Parameters
    profiles: Float32


def match(model: Model, data: Any) -> Matched:
    """``data`` (as `project` takes them) by the model's gene names and on its scale.

    Raises and warns as `project`.
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
    if model.preprocessing.transform == "cpm":
        depth.rescale(model.parameters, profiles)
    n_observed = np.array([np.count_nonzero(~np.isnan(profile)) for profile in profiles])
    if not n_observed.all():
        lacking = expression.sample_names[int(np.argmin(n_observed))]
        raise InputError(
            f"The sample '{lacking}' in {expression.origin} has no observed value for any of the "
            "model's genes; remove it."
        )
    parameters, genes = model.parameters, np.arange(model.n_genes)
    if n_matched < model.n_genes:
        # By name and not by what is observed: batch mates must not choose a sample's genes.
        there = set(expression.gene_names)
        genes = np.flatnonzero([name in there for name in model.gene_names])
        parameters = take_genes(parameters, genes)
        profiles = np.ascontiguousarray(profiles[:, genes])
    return Matched(expression.sample_names, genes, parameters, profiles)


def _p_value(model: Model, solution: Solution) -> NDArray[np.float64] | None:
    assert model.calibration is not None
    reference = model.calibration.reference_loss
    if not reference.size:
        return None
    found = confidence.p_value(solution.loss, reference)
    found[solution.n_observed < LEAST_SHARE * model.n_genes] = np.nan
    return found


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
            stacklevel=4,
        )
