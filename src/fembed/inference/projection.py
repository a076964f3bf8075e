"""New samples in a trained map: genes and network frozen, every sample solved on its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fembed import engine as engines
from fembed import parallel
from fembed.data import readers
from fembed.engine import Float32, Solution
from fembed.errors import InputError
from fembed.facts import ShowsFacts, counted, first_names
from fembed.inference import batches
from fembed.inference.matching import Matched, as_expression, as_model, check_placed, match
from fembed.model import Model
from fembed.parameters import Parameters
from fembed.progress import Bar
from fembed.solvers import novelty, uncertainty
from fembed.solvers.criterion import Criterion
from fembed.solvers.samples import joined

#: With a smaller share of the genes there is no p-value: losses of panels differ.
MIN_SHARE = 0.5
#: An outlier score that new samples of the training's kind hardly reach.
SUSPICIOUS = 5.0
#: Samples in a part, if several workers place them; candidates are decoded anew for every part.
SAMPLES_PER_PART = 4096


@dataclass(frozen=True, repr=False)
class Projection(ShowsFacts):
    """Where new samples belong, and how well they fit there.

    Attributes
    ----------
    sample_names : array of str, k
    sample_embedding : float32, k x n_components
        Coordinates in the model's map.
    loss : float64, k
        Mean squared error over the sample's observed genes, on the model's scale; of counts, the
        deviance over its expectation, which is about one and does not depend on the depth.
    covariance : float64, k x n_components x n_components
        Covariance of the coordinates: how far they would move if other genes of the same kind had
        been measured. Under the likelihood it is the inverse information; see
        `fembed.solvers.uncertainty`. It is multiplied by the model's factor, with which ellipses
        have their nominal coverage; a model without one (`fembed.fit(calibrate=False)`, or
        extended) has ellipses that cover less often. By least squares it is infinite where the
        observed genes are fewer than the coordinates or do not determine them.
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
        How often a new sample of the training's kinds fits as badly, compared with the training
        samples beside it (see `fembed.solvers.novelty`): measured on samples that the fit held out,
        or that `fembed.calibrate` was given. Calling a sample an outlier at 0.05 or less is a false
        alarm for about 5 % of them. NaN for samples with less than half of the model's genes, which
        cannot be compared. None if the model has no such samples.
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

    def columns(self) -> dict[str, NDArray[Any]]:
        """What is known of each sample beside its place: columns of k values, by name."""
        known = {"loss": self.loss, "n_genes": self.n_genes, "outlier": self.outlier}
        return known if self.p_value is None else {**known, "p_value": self.p_value}

    def _facts(self) -> tuple[str, dict[str, Any]]:
        n_samples, n_components = self.sample_embedding.shape
        title = f"{counted(n_samples, 'sample')} in {counted(n_components, 'dimension')}"
        suspicious = int((self.outlier > SUSPICIOUS).sum())
        return title, {
            "samples": first_names(self.sample_names),
            "genes": f"{self.n_genes_matched:,} of the model's {self.n_genes_model:,}",
            "median loss": float(np.median(self.loss)) if n_samples else None,
            f"outlier above {SUSPICIOUS:g}": counted(suspicious, "sample"),
            "p_value": "none; see fembed.calibrate"
            if self.p_value is None
            else counted(int((self.p_value <= 0.05).sum()), "sample") + " at 0.05 or below",
        }


def project(
    model: Model,
    data: Any,
    *,
    transform: Literal["match"] | None = None,
    gene_map: Any = None,
    batch: batches.Columns = None,
    covariates: batches.Columns = None,
    n_threads: int | None = None,
    workers: parallel.Workers | None = None,
    verbose: bool | None = None,
    engine: str | None = None,
    device: str | None = None,
) -> Projection:
    """Place new samples in a trained map.

    Every sample goes to its most probable place: under the likelihood of map, residual factors and
    noise, or by least squares in a model without it (see `fembed.FitConfig`).

    Parameters
    ----------
    model : Model or path
        A trained model, or its folder; its training matrix is not needed.
    data : Expression, AnnData, DataFrame, Series, array, sparse matrix or path
        New samples (a Series is one). A large AnnData object, CSR matrix, .h5ad or .zarr file
        (of more than 125 million values) is read and placed a part at a time, so that it is never
        whole in memory. Values are in the units of the training data. Genes are matched by
        name: extra genes are dropped, absent genes and NaN entries are left out of the loss. An
        array without names must have the model's genes, in the model's order. The data are not
        changed. With the transform ``cpm`` the total of a sample that lacks genes is estimated;
        see `fembed.solvers.library_size`.
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
    n_threads : int, optional
        Threads of the engine; all processors by default.
    workers : Workers, optional
        Place parts of the samples in other processes or on a Dask cluster, for very many samples;
        the result is the same to the bit. Then ``n_threads`` is that of ``workers``.
    verbose : bool, optional
        Show a bar: in a terminal or notebook with True, nowhere with False; by default in
        notebooks.
    engine, device : str, optional
        What computes, as in `fembed.using`.

    Returns
    -------
    Projection

    Raises
    ------
    InputError
        No gene in common; a sample without any observed gene of the model; infinite or (with
        log10) negative values; names that are not unique; a batch that the model does not know.
    WorkerError
        If the workers of a cluster are lost for good.

    Warns
    -----
    DataWarning
        If less than half of the model's genes are in the data, if names match only in another
        spelling (blanks, dots for dashes, Ensembl versions), or if the values look like other units
        than those of the training data.

    Examples
    --------
    >>> placed = fembed.project(model, counts.iloc[:3])
    >>> placed.sample_embedding.shape
    (3, 2)
    """
    with engines.asked(engine, device), Bar(verbose) as bar:
        model = as_model(model)
        large = None
        if not model.preprocessing.layer_names:
            large = readers.backed(data, gene_names=model.gene_names)
        if large is not None:
            batch, covariates = (
                batches.by_sample(columns, large.sample_names) for columns in (batch, covariates)
            )

        def matched(samples: Any) -> Matched:
            samples = as_expression(model, samples, transform=transform, gene_map=gene_map)
            effects = batches.effects_of(model, samples, batch, covariates)
            return batches.at_common_level(match(model, samples), effects)

        if large is None:
            found = matched(data)
            return _projected(model, found, n_threads, workers, partial(bar.show, "placing"))
        if transform is not None:  # parts could be taken for different units
            raise InputError(
                f"The transform 'match' is for data that are read whole, and {large.origin} is too "
                "large for that; convert it to the units of the training data before."
            )

        def told_from(before: int, n_placed: int, _: int) -> None:
            bar.show("placing", before + n_placed, large.n_samples)

        parts = [
            _projected(model, found, n_threads, workers, partial(told_from, rows.start))
            for rows, found in large.parts(matched)
        ]
    return _together(parts)


def _projected(
    model: Model,
    found: Matched,
    n_threads: int | None,
    workers: parallel.Workers | None,
    told: Callable[[int, int], None],
) -> Projection:
    """The places of matched samples; ``told`` how many of them are placed, and of how many."""
    parameters, profiles = found.parameters, found.profiles
    criterion = model.criterion().take_genes(found.genes)
    solution = _placed(criterion, parameters, profiles, n_threads, workers, told)
    loss = criterion.losses(parameters, profiles, solution.u, n_threads)
    check_placed(found.sample_names, solution.u, loss)
    covariance = uncertainty.covariance(criterion, parameters, profiles, solution, n_threads)
    p_value = None
    if model.calibration is not None:
        covariance *= model.calibration.ellipse_factor
        p_value = _p_value(model, found, solution.u, loss, n_threads)
    return Projection(
        sample_names=found.sample_names,
        sample_embedding=solution.u,
        loss=loss,
        covariance=covariance,
        n_genes=solution.n_observed,
        outlier=outlier_score(loss, model.sample_loss),
        n_genes_matched=parameters.n_genes,
        n_genes_model=model.n_genes,
        p_value=p_value,
    )


def _together(parts: Sequence[Projection]) -> Projection:
    """Projections of the parts of one matrix as one."""
    first = parts[0]
    rows: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("sample_names", "sample_embedding", "loss", "covariance", "n_genes", "outlier")
    }
    known = [part.p_value for part in parts if part.p_value is not None]
    return replace(first, **rows, p_value=np.concatenate(known) if known else None)


def _placed(
    criterion: Criterion,
    parameters: Parameters,
    profiles: Float32,
    n_threads: int | None,
    workers: parallel.Workers | None,
    told: Callable[[int, int], None],
) -> Solution:
    """The places of all profiles, found here or by workers."""
    n_samples = len(profiles)
    if workers is None:
        return criterion.place(
            parameters,
            profiles,
            n_threads=n_threads,
            on_part=lambda n_placed: told(n_placed, n_samples),
        )
    parts = [
        slice(begin, min(begin + SAMPLES_PER_PART, n_samples))
        for begin in range(0, n_samples, SAMPLES_PER_PART)
    ]
    n_placed = 0

    def told_part(index: int, _: Solution) -> None:
        nonlocal n_placed
        n_placed += parts[index].stop - parts[index].start
        told(n_placed, n_samples)

    shared = criterion, parameters, profiles
    return joined(parallel.run(place_part, shared, parts, workers, told_part))


def _p_value(
    model: Model,
    found: Matched,
    places: Float32,
    loss: NDArray[np.float64],
    n_threads: int | None,
) -> NDArray[np.float64] | None:
    known = model.calibration
    assert known is not None
    if not known.reference_size:
        return None
    scores, reference = loss, known.reference_loss
    if known.reference_score is not None and known.unexplained is not None:
        factors = model.residual_factors and model.residual_factors.take_genes(found.genes)
        left = loss
        if model.count_model is None:
            left = novelty.unexplained(found.parameters, factors, found.profiles, places, n_threads)
        scores = novelty.score(left, places, known.unexplained, model.sample_embedding)
        reference = known.reference_score
    p_value = novelty.p_value(scores, reference)
    p_value[(~np.isnan(found.profiles)).sum(axis=1) < MIN_SHARE * model.n_genes] = np.nan
    return p_value


def place_part(
    shared: tuple[Criterion, Parameters, Float32], rows: slice, n_threads: int
) -> Solution:
    """A task of `parallel.run`: the profiles of some rows."""
    criterion, parameters, profiles = shared
    return criterion.place(parameters, np.ascontiguousarray(profiles[rows]), n_threads=n_threads)


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
