"""Aberrant genes: which genes of a sample are far from what all its others say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from fembed import engine
from fembed.engine import Float32
from fembed.errors import InputError, shown
from fembed.facts import ShowsFacts, counted, first_names
from fembed.inference import batches, counts
from fembed.inference.imputation import most_probable_places
from fembed.inference.matching import (
    Matched,
    as_expression,
    as_model,
    check_placed,
    match,
)
from fembed.model import Model
from fembed.solvers import surprise

if TYPE_CHECKING:
    import pandas as pd

#: The false discovery rate at which a gene is called aberrant by default.
RATE = 0.05


@dataclass(frozen=True, repr=False)
class AberrantGenes(ShowsFacts):
    """How far every gene of every sample is from what the sample's other genes say.

    Attributes
    ----------
    sample_names : array of str, k
    gene_names : array of str, n_genes
        The model's genes that the data have.
    measured, expected : float32, k x n_genes
        After the transform; a gene's expected value does not depend on its own. In a model of
        counts these are counts, and the sample's place depends on all of them.
    z : float32, k x n_genes
        Standardised residuals: on the scale of the sample's own noise, with independent genes'
        nearly uncorrelated, and NaN where nothing was measured. Of counts, randomised quantile
        residuals (`fembed.inference.counts.quantile_residuals`).
    p_value : float64, k x n_genes
        Two-sided.
    fdr : float64, k x n_genes
        The false discovery rate among the sample's genes at which this one is called aberrant
        (Benjamini & Yekutieli 2001).
    """

    sample_names: NDArray[np.object_]
    gene_names: NDArray[np.object_]
    measured: Float32
    expected: Float32
    z: Float32
    p_value: NDArray[np.float64]
    fdr: NDArray[np.float64]

    def n_aberrant(self, rate: float = RATE) -> NDArray[np.intp]:
        """The number of genes of each sample (k) that are called at this false discovery rate."""
        _check_rate(rate)
        return np.asarray(np.count_nonzero(self.fdr <= rate, axis=1), np.intp)

    def threshold(self, rate: float = RATE) -> NDArray[np.float64]:
        """The p-value of each sample (k) up to which a gene is called at this false discovery rate.

        Where none is called, the p-value at which the first would be; NaN for a sample without any
        measured gene.
        """
        called = self.n_aberrant(rate)
        limit = np.full(len(called), np.nan)
        for row, p_value in enumerate(self.p_value):
            n_genes = np.count_nonzero(~np.isnan(p_value))
            if n_genes:
                share = max(int(called[row]), 1) / n_genes / (1.0 / np.arange(1, n_genes + 1)).sum()
                largest = p_value[self.fdr[row] <= rate].max(initial=0.0)
                limit[row] = max(rate * share, largest)
        return limit

    def row(self, sample: str | int) -> int:
        """The row of a sample, given its name (or the row itself); InputError for another."""
        n_samples = len(self.sample_names)
        if isinstance(sample, int | np.integer):
            if not 0 <= sample < n_samples:
                raise InputError(
                    f"Row {shown(int(sample))} is not among the {counted(n_samples, 'sample')}, "
                    "which are counted from 0."
                )
            return int(sample)
        rows = np.flatnonzero(self.sample_names == sample) if isinstance(sample, str) else []
        if not len(rows):
            raise InputError(
                f"There is no sample {shown(sample)} among the {counted(n_samples, 'sample')}, "
                f"such as {first_names(self.sample_names)}."
            )
        return int(rows[0])

    def table(self, rate: float = RATE) -> pd.DataFrame:
        """The genes that are called aberrant: a row for each, samples in order, smallest p first.

        Parameters
        ----------
        rate : float
            Of false discoveries among a sample's genes; 1 gives every measured gene.

        Returns
        -------
        DataFrame
            sample, gene, measured, expected, z, p_value, fdr
        """
        import pandas as pd

        _check_rate(rate)
        rows, genes = np.nonzero(self.fdr <= rate)
        order = np.lexsort((self.p_value[rows, genes], rows))
        rows, genes = rows[order], genes[order]
        columns = ("measured", "expected", "z", "p_value", "fdr")
        return pd.DataFrame(
            {"sample": self.sample_names[rows], "gene": self.gene_names[genes]}
            | {name: getattr(self, name)[rows, genes] for name in columns}
        )

    def _facts(self) -> tuple[str, dict[str, Any]]:
        n_samples, n_genes = self.z.shape
        called = self.n_aberrant()
        title = f"{counted(n_samples, 'sample')} x {counted(n_genes, 'gene')}"
        return title, {
            "samples": first_names(self.sample_names),
            f"aberrant at {RATE:.0%}": counted(int(called.sum()), "gene"),
            "per sample": f"median {np.median(called):g}, at most {called.max(initial=0):,}",
        }


def _check_rate(rate: float) -> None:
    if not isinstance(rate, int | float) or not 0.0 < rate <= 1.0:
        raise InputError(f"The rate is {shown(rate)}; choose a number above 0 and up to 1.")


def aberrant_genes(
    model: Model,
    data: Any,
    *,
    transform: Literal["match"] | None = None,
    gene_map: Any = None,
    batch: batches.Columns = None,
    covariates: batches.Columns = None,
    n_threads: int | None = None,
) -> AberrantGenes:
    """Find the genes of each sample that are far from what all its other genes say.

    A sample is placed where it is most probable. What map and residual factors expect of a gene,
    from all others of the sample, is compared with its measurement.

    Parameters
    ----------
    model : Model or path
        With residual factors, as a fit learns them if they help.
    data : Expression, AnnData, DataFrame, Series, array, sparse matrix or path
        Samples, as for `fembed.project`. Best of kinds that the model knows, and not its training
        samples, whose aberrant genes are a part of what it has learnt.
    transform : "match", optional
        Bring values in other units (logarithms of another base, counts per million, counts) to
        those of the training data first, if the genes' means say so; a `DataWarning` says what was
        done. By default values are taken as they are.
    gene_map : dict or path, optional
        The model's name of a gene by its name in the data, or a table of these two columns. Genes
        that get the same name are added up, which needs linear values.
    batch, covariates
        As in `fembed.project`. Measured and expected values are then those at the common level.
    n_threads : int, optional

    Returns
    -------
    AberrantGenes

    Raises
    ------
    InputError
        A model without residual factors, or as `fembed.project`.

    Examples
    --------
    >>> found = fembed.aberrant_genes(model, counts.iloc[:3])
    >>> found.z.shape, list(found.table().columns[:3])
    ((3, 30), ['sample', 'gene', 'measured'])
    """
    model = as_model(model)
    if model.count_model is not None:
        return _of_counts(model, match(model, data), n_threads)
    if model.residual_factors is None:
        raise InputError(
            "The model has no residual factors, so it does not know how far a gene may be from "
            "what the others say; fit with more samples, or give it some with fembed calibrate."
        )
    samples = as_expression(model, data, transform=transform, gene_map=gene_map)
    effects = batches.effects_of(model, samples, batch, covariates)
    found = batches.at_common_level(match(model, samples), effects)
    places = most_probable_places(model, found, n_threads)
    check_placed(found.sample_names, places, places)
    factors = model.residual_factors.take_genes(found.genes)
    decoded = engine.decode(found.parameters, places, n_threads=n_threads)
    measured, shape = found.profiles, found.profiles.shape
    gap, deviation = surprise.left_out(measured - decoded, factors)
    z, p_value, fdr = np.empty(shape, np.float32), np.empty(shape), np.empty(shape)
    for row, standardised in enumerate(gap / deviation):
        z[row], p_value[row] = surprise.two_sided(standardised)
        fdr[row] = surprise.false_discovery_rate(p_value[row])
    expected = (measured - gap).astype(np.float32)
    measured, expected = (
        model.preprocessing.unweighted(values, found.genes) for values in (measured, expected)
    )
    names = model.gene_names[found.genes]
    return AberrantGenes(found.sample_names, names, measured, expected, z, p_value, fdr)


def _of_counts(model: Model, found: Matched, n_threads: int | None) -> AberrantGenes:
    """By the distribution of each count at the sample's place and size."""
    assert model.count_model is not None
    placed = counts.placed(model, found, n_threads)
    measured, shape = found.profiles, found.profiles.shape
    mean = np.exp(placed.log_mean[:, found.genes].astype(np.float64))
    dispersion = model.count_model.dispersion[found.genes].astype(np.float64)
    z, p_value, fdr = np.empty(shape, np.float32), np.empty(shape), np.empty(shape)
    for row, name in enumerate(found.sample_names):
        z[row], p_value[row] = counts.quantile_residuals(
            measured[row], mean[row], dispersion, str(name)
        )
        fdr[row] = surprise.false_discovery_rate(p_value[row])
    names, expected = model.gene_names[found.genes], mean.astype(np.float32)
    return AberrantGenes(found.sample_names, names, measured, expected, z, p_value, fdr)
