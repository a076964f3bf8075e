"""Fit a model: checks and preparation, the training of a recipe, and what a fit reports."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from fembed import engine as engines
from fembed.config import FitConfig
from fembed.data import account, layer_scales
from fembed.data.chunks import observed_counts
from fembed.data.labels import labels_of
from fembed.data.transforms import Transform, check_transform
from fembed.engine import Float32
from fembed.errors import InputError, shown
from fembed.model import Model
from fembed.progress import Bar
from fembed.solvers import uncertainty
from fembed.threads import thread_count
from fembed.train import batch_columns, batch_shifts
from fembed.train.checkpoint import FIT, Checkpoint, about, digest
from fembed.train.checks import check_constant, check_data, check_memory, check_trained
from fembed.train.counts import fit_counts
from fembed.train.fast import fit_fast
from fembed.train.published import fit_published
from fembed.train.result import Progress, Trained
from fembed.train.schedule import schedule_of
from fembed.train.training_samples import TrainingSamples, trained_on

#: By recipe; the fast one on counts is `fit_counts`.
TRAININGS = {"fast": fit_fast, "published": fit_published}


def fit(
    data: Any,
    config: FitConfig | None = None,
    *,
    transform: Transform | Mapping[str, Transform] | None = None,
    target_sum: float | Literal["median"] | None = None,
    calibrate: bool = True,
    labels: str | Sequence[str] | Mapping[str, Any] | None = None,
    batch: batch_columns.Columns = None,
    covariates: batch_columns.Columns = None,
    checkpoint: str | os.PathLike[str] | None = None,
    overwrite_values: bool = False,
    verbose: bool | None = None,
    callback: Callable[[Progress], None] | None = None,
    training_samples: TrainingSamples = None,
    engine: str | None = None,
    device: str | None = None,
    **options: Any,
) -> Model:
    """Train a factorized embedding.

    Parameters
    ----------
    data : Expression, AnnData, DataFrame, array, sparse matrix, path, dict or MuData
        n_samples x n_genes, in the units of the input. A dict of matrices by name, or a MuData
        object, has several layers: measurements of the samples, which are matched by name. The
        model's genes are then the features of all layers, those of a further layer called
        ``LAYER:FEATURE``; a sample may lack a layer.
    config : FitConfig, optional
        The options; see `FitConfig`.
    transform : {"log10", "cpm", "none"}, or dict of these, optional
        The transform of the values: log10(x + 1), the default; counts per million and then
        log10(x + 1); or none, for values that are on a log scale already. With
        ``likelihood="counts"`` there is none: the data are raw counts. With layers, that of the
        first one, or a dict by layer; others have what suits their values
        (``model.preprocessing.layers`` says it): none for a log scale, negative values and values
        from 0 to 1, else that of the first.
    target_sum : float or "median", optional
        With the transform cpm: what the counts of a sample are made to add up to before the
        logarithm, a million by default. 1e4 and the median of the samples' totals are usual for
        single cells: their logarithms give less weight to the genes with few counts.
    calibrate : bool
        Also measure, on held-out samples before they join, the factor of the confidence ellipses
        and the reference of the p-values, and learn the residual factors that imputation uses. This
        takes a few seconds, and changes no parameter. With fewer than 20 held-out samples (the
        published recipe holds out none) there are no p-values, and the factor is that of training
        samples, which is too small: ``model.calibration.held_out`` is then False. With fewer than
        20 samples in all there is no factor. (`fembed.calibrate` takes samples of your choice.)
    labels : str, list of str or mapping, optional
        Labels to keep with the model for `fembed.annotate`: columns of the samples' annotations,
        or values by name. The training does not use them.
    batch : str, list of str or mapping, optional
        Columns of the annotations, or values by name: the batches (studies, laboratories, plates)
        of the samples. A shift and a scale of every gene in every batch are estimated among samples
        of like profiles, shrunk by empirical Bayes, and removed before the training, so that the
        map shows what the batches have in common; see `fembed.solvers.batch_effects`.
    covariates : str, list of str or mapping, optional
        The same for numbers, such as the age: a slope of every gene is removed.
    checkpoint : path, optional
        A file to which the state of the training is written once per minute. If it exists, the
        fit continues from there and ends with the bits of a fit that was never stopped. It is not
        removed: do so once the model is saved.
    overwrite_values : bool
        Train in the memory of an Expression's ``values``, whose contents are lost, instead of a
        copy.
    verbose : bool, optional
        Show a bar: in a terminal or notebook with True, nowhere with False; by default in
        notebooks.
    callback : callable, optional
        Called with a `Progress` a few times per second.
    engine, device : str, optional
        What computes, as in `fembed.using`.
    training_samples : int or "all", optional
        On how many samples to train; they represent the others, which `fembed.project` places
        afterwards. By default all, but of a large matrix (an AnnData object, a CSR matrix, an .h5ad
        or .zarr file of more than 125 million values) up to 20,000; see
        `fembed.train.training_samples`. Such a matrix is never whole in memory.
    **options
        Options of a `FitConfig` by name: ``n_components=8, seed=1``. They replace those of
        ``config``.

    Returns
    -------
    Model

    Raises
    ------
    InputError
        If no model can be trained on these data, layers without a sample in common among them, or
        the checkpoint is of another fit; batches of one sample, or not of all samples.
    TrainingError
        If the loss is no longer finite.

    Warns
    -----
    DataWarning
        For genes that are constant, for values and names that do not look like what they are taken
        for (logarithms taken again, counts as they are, genes as samples), for batches that cannot
        be told from the kinds of their samples, and for a network most of whose units are dead.

    Examples
    --------
    >>> import numpy as np
    >>> import fembed
    >>> counts = np.random.default_rng(0).poisson(5.0, size=(30, 20))
    >>> model = fembed.fit(counts, hidden=(8,), gene_components=4, epochs=2)
    >>> model.sample_embedding.shape
    (30, 2)
    """
    begin = time.perf_counter()
    computing = engines.asked(engine, device)
    config = FitConfig.of(config, **options)
    transform = agreed_transform(transform, config)
    if not (callback is None or callable(callback)):
        raise InputError(f"callback is {shown(callback)}; give a function, or leave it out.")
    expression = trained_on(data, transform, training_samples, config.seed)
    check_data(expression, config)
    kept_labels = labels_of(expression, labels)
    design = batch_columns.design_of(expression, batch, covariates)
    if design is not None and config.takes_counts:
        raise InputError(
            "The likelihood counts has no batches yet; leave them out, or fit by least squares "
            "with the transform cpm."
        )
    preprocessing = layer_scales.prepared_for(expression, transform, target_sum)
    account.warn_of_doubts(expression, preprocessing)
    kept = None
    if checkpoint is not None:
        of_fit = about(expression, preprocessing, config, calibrate, design)
        kept = Checkpoint(checkpoint, of_fit)
    if expression is data and not overwrite_values:
        expression = replace(expression, values=expression.values.copy())
    values = preprocessing.apply_to(expression)
    preprocessing = layer_scales.weigh(values, preprocessing)
    missing_share = expression.missing_share
    check_constant(values, expression)
    effects = None
    if design is not None:
        effects, apart = batch_shifts.take_away(values, design, config.seed)
        batch_columns.warn_of_doubts(effects, apart, kept_labels)
    schedule = schedule_of(config, *values.shape)
    check_memory(config, schedule, *values.shape)
    run = fit_counts if config.takes_counts else TRAININGS[config.recipe]
    enough = len(values) >= uncertainty.MIN_SAMPLES
    with computing, Bar(verbose) as bar:
        told = bar.training_callback(callback)
        trained = run(values, config, schedule, told, calibrate and enough, kept)
        used = engines.chosen().describe()
    report = _report(trained, values) | {
        "missing_share": missing_share,
        "n_threads": thread_count(config.n_threads),
        "engine": used,
        "seconds": time.perf_counter() - begin + trained.summary.earlier_seconds,
    }
    if checkpoint is not None:
        report[FIT] = digest(of_fit)
    model = Model(
        parameters=trained.parameters,
        sample_names=expression.sample_names,
        gene_names=expression.gene_names,
        preprocessing=preprocessing,
        config=config,
        sample_loss=trained.sample_loss,
        training=report,
        residual_factors=trained.residual_factors,
        count_model=trained.count_model,
        calibration=trained.calibration,
        labels=kept_labels,
        batch_effects=effects,
    )
    check_trained(model, schedule)
    return model


def agreed_transform(
    transform: Transform | Mapping[str, Transform] | None, config: FitConfig
) -> Transform | Mapping[str, Transform]:
    """The transform that goes with the likelihood: that of counts has none.

    Raises
    ------
    InputError
        For an unknown transform, or one that the likelihood does not take.
    """
    if config.takes_counts:
        if transform not in (None, "counts"):
            raise InputError(
                "The likelihood counts takes raw counts as they are; leave the transform out."
            )
        return "counts"
    if transform is None:
        return "log10"
    if not isinstance(transform, Mapping):
        check_transform(transform)
        if transform == "counts":
            raise InputError(
                "The transform counts goes with the likelihood of counts; give likelihood='counts' "
                "(--likelihood counts), or another transform."
            )
    return transform


def _report(trained: Trained, values: Float32) -> dict[str, Any]:
    """What a recipe reports, and how well the model explains ``values``."""
    n_observed = observed_counts(values)
    mse = trained.mse
    if mse is None:
        mse = float(trained.sample_loss @ n_observed / n_observed.sum())
    explained = 1.0 - mse / trained.variance
    return trained.report() | {"mse": mse, "explained_variance": explained}
