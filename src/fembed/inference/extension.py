"""Growing a model: new samples join, the network learns from them, the old map stays in place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from fembed.config import MAX_EPOCHS, is_number
from fembed.data.chunks import observed_counts
from fembed.data.labels import MISSING
from fembed.engine import Float32
from fembed.errors import InputError, shown
from fembed.inference import batches
from fembed.inference.doubts import refuse_other_values
from fembed.inference.matching import (
    as_expression,
    as_model,
    check_placed,
    match,
    training_rows,
)
from fembed.model import Model
from fembed.progress import Bar
from fembed.solvers.samples import losses
from fembed.train import Progress
from fembed.train.extend import grow

#: Enough for the network to take the new samples in; more would move the old ones further.
EPOCHS = 3.0


def extend(
    model: Model,
    data: Any,
    training: Any,
    *,
    epochs: float = EPOCHS,
    batch: batches.Columns = None,
    covariates: batches.Columns = None,
    n_threads: int | None = None,
    verbose: bool | None = None,
    callback: Callable[[Progress], None] | None = None,
) -> Model:
    """Add samples to a trained model: place them, then train on old and new ones for a few epochs.

    Parameters
    ----------
    model : Model
    data : Expression, AnnData or DataFrame
        New samples, as for `fembed.project`. Genes that the model does not have are left out
        (`fembed.add_genes` adds them).
    training : Expression, AnnData or DataFrame
        The samples that the model was trained on, by name; others in it are not used.
    epochs : float, default 3
        Passes over all entries, with a fifth of the first training's learning rates. 0 only places
        the new samples, and nothing else changes.
    batch, covariates
        As in `fembed.project`: the batches of the new samples. The effects of the model's batches
        stay as they are.
    n_threads : int, optional
        Threads of the engine; those of the model's config by default.
    verbose : bool, optional
        Show a bar: in a terminal or notebook with True, nowhere with False; by default in
        notebooks.
    callback : callable, optional
        Called with a `Progress` a few times per second.

    Returns
    -------
    Model
        Old samples first. ``training["extension"]`` says what happened: ``n_new``, ``epochs``,
        the mean squared errors of old and new samples before and after, and the ``drift``: the
        root mean square distance between a sample's old and new place, divided by the map's size
        (the root mean square distance of old places from their mean), and its 95 % point,
        ``drift_95``. The residual factors are learnt anew, and the calibration is dropped:
        calibrate again.

    Raises
    ------
    InputError
        A new sample with a name that the model has, a training sample that is absent from
        ``training`` or has other values there, an impossible number of epochs, or as
        `fembed.project`.
    TrainingError
        If the loss is no longer finite.

    Examples
    --------
    >>> old, new = counts.iloc[:60], counts.iloc[60:]
    >>> some = fembed.fit(old, hidden=(8,), gene_components=4, epochs=2)
    >>> fembed.extend(some, new, old, epochs=1).n_samples
    90
    """
    if not is_number(epochs) or not 0 <= epochs <= MAX_EPOCHS:
        raise InputError(f"epochs is {shown(epochs)}; choose a number from 0 to {MAX_EPOCHS}.")
    model = as_model(model)
    if model.count_model is not None:
        raise InputError(
            "A model of counts cannot be extended yet; fit it again on the old and the new samples "
            "together, or place the new ones with project."
        )
    samples = as_expression(model, data)
    new = match(model, samples)
    members = batches.members_of(model, samples, batch, covariates)
    effects = model.batch_effects
    if effects is not None:
        if members is None:
            members = effects.nowhere(samples.n_samples)
        of_new = effects.of_samples(*members, samples.n_samples)
        new = batches.at_common_level(new, of_new)
        effects = effects.with_samples(*members)
    known = training_rows(model, new.sample_names, "the new data")
    if (known >= 0).any():
        name = new.sample_names[int(np.argmax(known >= 0))]
        raise InputError(f"The sample '{name}' is in the model already; leave it out.")
    config = model.config if n_threads is None else replace(model.config, n_threads=n_threads)
    criterion = model.criterion().take_genes(new.genes)
    places = criterion.place(new.parameters, new.profiles, n_threads=config.n_threads).u
    new_loss = losses(new.parameters, new.profiles, places, config.n_threads)
    check_placed(new.sample_names, places, new_loss)
    values = np.full((model.n_samples + len(new.profiles), model.n_genes), np.nan, np.float32)
    values[: model.n_samples] = _of_training(model, training)
    refuse_other_values(
        model, values[: model.n_samples], np.arange(model.n_samples), config.n_threads
    )
    values[model.n_samples :, new.genes] = new.profiles
    together = replace(
        model.parameters,
        sample_embedding=np.concatenate([model.sample_embedding, places]),
    )
    before = np.concatenate([model.sample_loss, new_loss])
    n_observed = observed_counts(values)
    report: dict[str, Any] = {"drift": 0.0, "drift_95": 0.0}
    loss, factors = before, model.residual_factors
    if epochs > 0:
        with Bar(verbose) as bar:
            told = bar.training_callback(callback)
            grown = grow(together, values, model.n_samples, config, epochs, told)
        together, loss, report = grown.parameters, grown.sample_loss, grown.report
        factors = grown.residual_factors
    report |= {"n_new": len(new.profiles), "epochs": epochs}
    for when, by_sample in (("_before", before), ("", loss)):
        report[f"old_mse{when}"] = _mean(by_sample, n_observed, slice(None, model.n_samples))
        report[f"new_mse{when}"] = _mean(by_sample, n_observed, slice(model.n_samples, None))
    return replace(
        model,
        parameters=together,
        sample_names=np.concatenate([model.sample_names, new.sample_names]),
        sample_loss=loss,
        labels={
            name: np.concatenate([labels, np.full(len(new.sample_names), MISSING, dtype=object)])
            for name, labels in model.labels.items()
        },
        training={
            **model.training,
            "mse": _mean(loss, n_observed, slice(None)),
            "extension": report,
        },
        residual_factors=factors,
        calibration=None,
        batch_effects=effects,
    )


def _of_training(model: Model, training: Any) -> Float32:
    """The training matrix on the model's scale, its samples in the model's order."""
    found = match(model, training)
    for layer, columns in model.preprocessing.pieces(model.n_genes):
        if layer.name and not ((columns.start <= found.genes) & (found.genes < columns.stop)).any():
            raise InputError(
                f"The training data lack the layer {layer.name} of the model; give all its layers "
                f"({', '.join(model.preprocessing.layer_names)}), as the model was trained on them."
            )
    at = training_rows(model, found.sample_names, "the training data")
    rows = np.full(model.n_samples, -1, np.intp)
    rows[at[at >= 0]] = np.flatnonzero(at >= 0)
    if (rows < 0).any():
        raise InputError(
            f"The training sample '{model.sample_names[int(np.argmax(rows < 0))]}' is not in the "
            "training data; give the matrix that the model was trained on."
        )
    values = np.full((model.n_samples, model.n_genes), np.nan, np.float32)
    values[:, found.genes] = found.profiles[rows]
    if model.batch_effects is not None:
        model.batch_effects.of_training().remove(values)
    return values


def _mean(loss: Any, n_observed: Any, rows: slice) -> float:
    """Mean squared error over observed entries of some samples."""
    return float(np.average(loss[rows], weights=n_observed[rows]))
