"""Imputation: all genes of samples from those at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fembed import engine
from fembed.data.expression import Expression
from fembed.data.preprocess import check_scale
from fembed.engine import Float32
from fembed.errors import InputError
from fembed.facts import ShowsFacts, counted, first_names
from fembed.inference import batches, counts
from fembed.inference.matching import Matched, as_expression, as_model, check_placed, match
from fembed.model import Model
from fembed.solvers.batch_effects import effects_in
from fembed.solvers.criterion import Criterion
from fembed.solvers.prior import Prior
from fembed.solvers.uncertainty import predictive_deviation


@dataclass(frozen=True, repr=False)
class Imputation(ShowsFacts):
    """Expression of all of a model's genes.

    Attributes
    ----------
    sample_names : array of str, k
    gene_names : array of str, n_genes
    values : float32, k x n_genes
        In the units asked for.
    observed : bool, k x n_genes
        Where the panel had a value.
    sample_embedding : float32, k x n_components
        The places that were decoded: the most probable ones.
    sd : float32, k x n_genes, or None
        If it was asked for: the standard deviation of what a measurement would show, after the
        transform (log10 for counts), where the noise is normal; in a model of counts, that of the
        count. NaN where ``values`` are measured.
    """

    sample_names: NDArray[np.object_]
    gene_names: NDArray[np.object_]
    values: Float32
    observed: NDArray[np.bool_]
    sample_embedding: Float32
    sd: Float32 | None = None

    def _facts(self) -> tuple[str, dict[str, Any]]:
        n_samples, n_genes = self.values.shape
        title = f"{counted(n_samples, 'sample')} x {counted(n_genes, 'gene')}"
        return title, {
            "samples": first_names(self.sample_names),
            "genes": first_names(self.gene_names),
            "measured": f"{counted(int(self.observed.any(axis=0).sum()), 'gene')}, "
            f"{self.observed.mean():.1%} of the entries"
            if self.observed.size
            else None,
        }


def impute(
    model: Model,
    data: Any,
    *,
    keep_observed: bool = True,
    scale: Literal["input", "model"] = "input",
    sd: bool = False,
    transform: Literal["match"] | None = None,
    gene_map: Any = None,
    batch: batches.Columns = None,
    covariates: batches.Columns = None,
    in_batch: str | Sequence[str] | None = None,
    n_threads: int | None = None,
) -> Imputation:
    """All genes of the model for samples of which some genes are measured.

    Every sample is placed where it is most probable by its genes at hand, and the others get their
    expected value there. Where the model has residual factors (a fit learns them if they help), it
    is the conditional mean under the likelihood of map, factors and noise: see
    `fembed.solvers.residual_factors`.

    Parameters
    ----------
    model : Model
    data : Expression, AnnData, DataFrame, Series, array, sparse matrix, path, dict or MuData
        A panel: samples of which some genes are measured, as for `fembed.project`: genes by name,
        NaN where unobserved.
    keep_observed : bool, default True
        Leave measured values as they are: a measurement is nearer the truth than what others
        suggest. False replaces them by what the model expects there (denoising).
    scale : {"input", "model"}
        Values in the units of the training data (with the transform ``cpm`` counts per million; in
        a model of counts the expected counts of a sample of the same size), or after the transform
        (in a model of counts the logarithm of the rate).
    transform : "match", optional
        Bring values in other units (logarithms of another base, counts per million, counts) to
        those of the training data first, if the genes' means say so; a `DataWarning` says what was
        done. By default values are taken as they are.
    gene_map : dict or path, optional
        The model's name of a gene by its name in the data, or a table of these two columns. Genes
        that get the same name are added up, which needs linear values.
    batch : str, list of str or mapping, optional
        The model's batches that the samples are in: a column of the annotations for each of the
        model's batch columns, or values by name. Their shifts and scales are removed first. By
        default the samples are taken to be at the common level.
    covariates : str, list of str or mapping, optional
        The model's covariates, likewise; by default they have their means.
    in_batch : str or list of str, optional
        Give all genes, measured ones too, as they would be measured in this batch of the model, or
        at the common level (``"none"``). By default in the sample's own batch.
    n_threads : int, optional

    Returns
    -------
    Imputation

    Raises
    ------
    InputError
        As `fembed.project`: no gene in common, a sample without any, names that are not unique. For
        ``sd``, a model without residual factors.

    Warns
    -----
    DataWarning
        If the panel has less than half of the model's genes.

    Examples
    --------
    >>> whole = fembed.impute(model, counts.iloc[:3, :20])
    >>> whole.values.shape, int(whole.observed[0].sum())
    ((3, 30), 20)
    """
    model = as_model(model)
    check_scale(scale)
    panel = as_expression(model, data, transform=transform, gene_map=gene_map)
    effects = batches.effects_of(model, panel, batch, covariates)
    found = batches.at_common_level(match(model, panel), effects)
    if in_batch is not None:
        effects = effects_in(model.batch_effects, in_batch, len(found.profiles))
    if model.count_model is not None:
        return _of_counts(model, found, panel, keep_observed, scale, sd, n_threads)
    places = most_probable_places(model, found, n_threads)
    values = _expected(model, found, places, n_threads)
    check_placed(found.sample_names, places, values)
    observed = np.zeros(values.shape, bool)
    observed[:, found.genes] = ~np.isnan(found.profiles)
    measured = np.full(values.shape, np.nan, np.float32)
    measured[:, found.genes] = found.profiles
    if effects is not None:
        effects.add(values)
        effects.add(measured)
    if scale == "input":
        values = model.preprocessing.invert(values)
        if in_batch is None:
            measured = _measured(model, panel, measured)
        else:
            measured = model.preprocessing.invert(measured)
    else:
        values, measured = (model.preprocessing.unweighted(x) for x in (values, measured))
    if keep_observed:
        values[observed] = measured[observed]
    deviation = None
    if sd:
        deviation = _deviation(model, places, observed, n_threads)
        if effects is not None:
            deviation = effects.deviation(deviation)
        deviation = model.preprocessing.unweighted(deviation)
    if deviation is not None and keep_observed:
        deviation[observed] = np.nan
    return Imputation(found.sample_names, model.gene_names, values, observed, places, deviation)


def _of_counts(
    model: Model,
    found: Matched,
    panel: Expression,
    keep_observed: bool,
    scale: str,
    sd: bool,
    n_threads: int | None,
) -> Imputation:
    """Expected counts at the samples' own sizes, or logarithms of rates."""
    if scale == "model" and (keep_observed or sd):
        raise InputError(
            "On the scale of the model, the logarithm of a rate, there are expected values alone; "
            "give keep_observed=False (--observed replace) and no sd, or leave the scale out."
        )
    placed = counts.placed(model, found, n_threads)
    observed = np.zeros(placed.log_mean.shape, bool)
    observed[:, found.genes] = ~np.isnan(found.profiles)
    if scale == "model":
        values = placed.log_mean - np.log(placed.size)[:, None].astype(np.float32)
        return Imputation(found.sample_names, model.gene_names, values, observed, placed.places)
    values = np.exp(placed.log_mean)
    deviation = counts.deviations(model, placed, n_threads) if sd else None
    if keep_observed:
        measured = panel.take_genes(model.gene_names).values
        values[observed] = measured[observed]
        if deviation is not None:
            deviation[observed] = np.nan
    names, genes = found.sample_names, model.gene_names
    return Imputation(names, genes, values, observed, placed.places, deviation)


def _measured(model: Model, panel: Expression, measured: Float32) -> Float32:
    """What was measured, in the units of the input: the very numbers, but counts per million."""
    found = panel.take_genes(model.gene_names).values
    pieces = list(model.preprocessing.pieces(model.n_genes))
    if any(layer.transform == "cpm" for layer, _ in pieces):
        per_million = model.preprocessing.invert(measured)
        for layer, columns in pieces:
            if layer.transform == "cpm":
                found[:, columns] = per_million[:, columns]
    return found


def most_probable_places(model: Model, found: Matched, n_threads: int | None) -> Float32:
    """Places (k x n_components) under the likelihood that the model knows of."""
    factors, noise = model.residual_factors, 1.0
    if factors is None:
        noise = float(np.median(model.sample_loss)) or 1e-12
    criterion = Criterion(factors, Prior.of_samples(model.sample_embedding, noise))
    return (
        criterion.take_genes(found.genes)
        .place(found.parameters, found.profiles, n_threads=n_threads)
        .u
    )


def _expected(model: Model, found: Matched, places: Float32, n_threads: int | None) -> Float32:
    """Expected profiles (k x n_genes) at these places, on the model's scale."""
    values = engine.decode(model.parameters, places, n_threads=n_threads)
    if model.residual_factors is None:
        return values
    left = np.full(values.shape, np.nan, np.float32)
    left[:, found.genes] = found.profiles - values[:, found.genes]
    return values + model.residual_factors.predict(left)


def _deviation(
    model: Model, places: Float32, observed: NDArray[np.bool_], n_threads: int | None
) -> Float32:
    if model.residual_factors is None:
        raise InputError(
            "The model has no residual factors, so it does not know how far imputed values are "
            "from the truth; give it some with fembed calibrate, or leave sd out."
        )
    prior = Prior.of_samples(model.sample_embedding, 1.0)
    return predictive_deviation(
        model.parameters, model.residual_factors, prior, places, observed, n_threads
    )
