"""Calibration: the uncertainty of a model, measured once on data and kept with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.engine import Float32
from fembed.errors import InputError
from fembed.inference import batches
from fembed.inference.doubts import refuse_other_values
from fembed.inference.matching import (
    Matched,
    as_expression,
    as_model,
    check_placed,
    match,
    training_rows,
)
from fembed.model import Calibration, Model
from fembed.solvers import novelty, residual_factors, uncertainty
from fembed.solvers.uncertainty import MIN_SAMPLES


def calibrate(
    model: Model,
    data: Any,
    *,
    batch: batches.Columns = None,
    covariates: batches.Columns = None,
    n_threads: int | None = None,
) -> Model:
    """A copy of ``model`` with a measured uncertainty, and with residual factors for imputation.

    Training samples are recognised by name. The factor of the confidence ellipses and the reference
    of the p-values come from samples that the model was *not* trained on, as training samples would
    make both too optimistic. The residual factors, which describe variation that genes share and
    the map leaves out, come from the training samples, if these are given.

    Parameters
    ----------
    model : Model
    data : Expression, AnnData or DataFrame
        With all of the model's genes; best the training samples and held-out ones together.
    batch, covariates
        As in `fembed.project`: batches of the model that all these samples are in. By default
        training samples are in those of the training, and others at the common level.
    n_threads : int, optional

    Returns
    -------
    Model
        With ``residual_factors``, from the training samples if at least 20 were given, or else from
        the held-out ones; with ``calibration`` in any case. With fewer than 20 held-out samples it
        is the one that the model has; if it has none, the factor is that of the training samples,
        which is too small, and projections have no p-value. P-values compare with the training
        samples beside a new one, so they are sharper where the training samples were given, too.

    Raises
    ------
    InputError
        Fewer than 20 samples, genes of the model that are absent, samples with names of training
        samples and other values, or as `fembed.project`.

    Examples
    --------
    >>> some = fembed.fit(counts.iloc[:60], hidden=(8,), gene_components=4, epochs=2)
    >>> sure = fembed.calibrate(some, counts)
    >>> sure.calibration.held_out, fembed.project(sure, counts).p_value.shape
    (True, (90,))
    """
    model = as_model(model)
    samples = as_expression(model, data)
    effects = batches.effects_of(model, samples, batch, covariates)
    found = batches.at_common_level(match(model, samples), effects)
    if effects is None:
        batches.remove_of_training(model, found.sample_names, found.profiles, found.genes)
    if len(found.genes) < model.n_genes:
        raise InputError(
            f"The data have {len(found.genes)} of the model's {model.n_genes} genes; a calibration "
            "needs all of them."
        )
    trained_at = training_rows(model, found.sample_names, "the data")
    trained, held_out = np.flatnonzero(trained_at >= 0), np.flatnonzero(trained_at < 0)
    refuse_other_values(model, found.profiles[trained], trained_at[trained], n_threads)
    if max(len(trained), len(held_out)) < MIN_SAMPLES:
        raise InputError(
            f"A calibration needs at least {MIN_SAMPLES} samples, held out or of the training; "
            f"there are {len(held_out)} and {len(trained)}."
        )
    learning = trained if len(trained) >= MIN_SAMPLES else held_out
    if learning is trained:
        places = model.sample_embedding[trained_at[trained]]
    else:
        solution = model.criterion().place(
            model.parameters, _rows(found, held_out), n_threads=n_threads
        )
        places = solution.u
    at_places = replace(model.parameters, sample_embedding=places)
    factors = None
    if model.count_model is None:
        factors = residual_factors.learn(at_places, _rows(found, learning), n_threads)
    model = replace(model, residual_factors=factors)
    left = None
    if learning is trained:
        left = np.full(model.n_samples, np.nan)
        left[trained_at[trained]] = novelty.of_training(
            at_places, factors, _rows(found, trained), n_threads, model.criterion()
        )
    held_out_names = found.sample_names[held_out]
    calibration = _measured(model, _rows(found, held_out), held_out_names, left, n_threads)
    if calibration is None:
        factor = uncertainty.ellipse_factor(
            model.criterion(), model.parameters, _rows(found, trained), n_threads
        )
        calibration = Calibration(factor, np.empty(0), held_out=False)
    return replace(model, calibration=calibration)


def _measured(
    model: Model,
    profiles: Float32,
    names: NDArray[np.object_],
    left: NDArray[np.float64] | None,
    n_threads: int | None,
) -> Calibration | None:
    """The calibration by profiles (k x n_genes) that the model was not trained on.

    With few of them it is the one that the model has, if any, beside what is ``left`` of its
    training samples now (n_samples), where that is known.
    """
    known = model.calibration
    if len(profiles) < MIN_SAMPLES:
        if known is None or known.reference_score is None or left is None:
            return known
        return replace(known, unexplained=left)
    criterion = model.criterion()
    solution = criterion.place(model.parameters, profiles, n_threads=n_threads)
    loss = criterion.losses(model.parameters, profiles, solution.u, n_threads)
    check_placed(names, solution.u, loss)
    factor = uncertainty.ellipse_factor(criterion, model.parameters, profiles, n_threads)
    found = Calibration(factor, np.sort(loss), held_out=True)
    if left is None:
        return found
    rest = novelty.unexplained(
        model.parameters, model.residual_factors, profiles, solution.u, n_threads, criterion
    )
    scores = np.sort(novelty.score(rest, solution.u, left, model.sample_embedding))
    return replace(found, unexplained=left, reference_score=scores)


def _rows(found: Matched, rows: NDArray[np.intp]) -> Float32:
    return np.ascontiguousarray(found.profiles[rows])
