"""The samples that a figure shows: those a model was trained on, and those placed in it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.data.account import warn_of_spelling
from fembed.data.expression import Expression
from fembed.errors import DataWarning
from fembed.inference.batches import remove_of_training
from fembed.inference.doubts import other_values_doubt
from fembed.inference.matching import training_rows
from fembed.inference.projection import outlier_score, project
from fembed.model import Model
from fembed.pl.categories import Categories, categories
from fembed.pl.chosen import Palette, with_palette

Names = NDArray[np.object_]


@dataclass(frozen=True)
class MapSamples:
    """Samples in a model's map: first the training samples, then the projected ones.

    Attributes
    ----------
    names : array of str, n
    coordinates : float32, n x n_components
    loss : float64, n
        Mean squared error over the sample's observed genes, on the model's scale.
    outlier : float64, n
        How unusual the loss is among those of the training samples; see `fembed.Projection`.
    projected : bool, n
    labels : Categories by the name of their column, n each
    measured : float32, n x n_genes, or None
        Measured expression on the model's scale, NaN where missing; None without data.
    """

    names: Names
    coordinates: NDArray[np.float32]
    loss: NDArray[np.float64]
    outlier: NDArray[np.float64]
    projected: NDArray[np.bool_]
    labels: dict[str, Categories] = field(default_factory=dict)
    measured: NDArray[np.float32] | None = None

    @property
    def n_training(self) -> int:
        return int((~self.projected).sum())

    def __len__(self) -> int:
        return len(self.names)


def map_samples(
    model: Model,
    data: Expression | None = None,
    labels: Sequence[str] = (),
    *,
    palette: Palette | None = None,
    n_threads: int | None = None,
) -> MapSamples:
    """The training samples of ``model``, and the other samples of ``data`` projected into it.

    Parameters
    ----------
    model : Model
    data : Expression, optional
        Samples are matched by name: those of the training bring their measured expression and
        labels, all others are projected. In the units of the training data; not changed.
    labels : sequence of str
        Columns of ``data.obs``.
    palette : str, list or mapping, optional
        Colours of their categories, as for `fembed.pl.embedding`.
    n_threads : int, optional
        Threads of the engine.

    Raises
    ------
    InputError
        A label column that is not there, or data that cannot be projected.

    Warns
    -----
    DataWarning
        If some training samples, or more than half of the model's genes, are not in the data.
    """
    trained = MapSamples(
        names=model.sample_names,
        coordinates=np.asarray(model.sample_embedding, np.float32),
        loss=model.sample_loss,
        outlier=outlier_score(model.sample_loss, model.sample_loss),
        projected=np.zeros(model.n_samples, bool),
    )
    if data is None:
        return trained
    columns = {
        name: with_palette(categories(data.column(name), name, data.colours.get(name)), palette)
        for name in labels
    }
    data.check(min_samples=1, allow_unobserved_genes=True)
    at = training_rows(model, data.sample_names, data.origin)
    of_training = np.full(model.n_samples, -1, np.intp)
    of_training[at[at >= 0]] = np.flatnonzero(at >= 0)
    _warn_of_absent(model, data, of_training)
    new_rows = np.flatnonzero(at < 0)
    placed = _with_projected(trained, model, data, new_rows, n_threads)
    rows = np.concatenate([of_training, new_rows])
    return replace(
        placed,
        labels={name: column.take(rows) for name, column in columns.items()},
        measured=_measured(model, data, rows) if model.count_model is None else None,
    )


def _warn_of_absent(model: Model, data: Expression, of_training: NDArray[np.intp]) -> None:
    absent = int((of_training < 0).sum())
    if absent:
        warnings.warn(
            f"{absent} of the model's {model.n_samples} training samples are not in "
            f"{data.origin} by name; they have no measured expression and no labels.",
            DataWarning,
            stacklevel=3,
        )


def _with_projected(
    trained: MapSamples,
    model: Model,
    data: Expression,
    rows: NDArray[Any],
    n_threads: int | None,
) -> MapSamples:
    if not rows.size:
        return trained
    some = data.take_samples(rows)
    placed = project(model, some, n_threads=n_threads, verbose=False)
    return MapSamples(
        names=np.concatenate([trained.names, placed.sample_names]),
        coordinates=np.concatenate([trained.coordinates, placed.sample_embedding]),
        loss=np.concatenate([trained.loss, placed.loss]),
        outlier=np.concatenate([trained.outlier, placed.outlier]),
        projected=np.concatenate([trained.projected, np.ones(len(rows), bool)]),
    )


def _measured(model: Model, data: Expression, rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """Rows of ``data`` (-1: none) for the model's genes, prepared as the training data were."""
    there = rows >= 0
    some = data.take_samples(rows[there])
    found = some.find_genes(model.gene_names)
    values = model.preprocessing.apply_to(some.take_genes(model.gene_names, found))
    remove_of_training(model, some.sample_names, values)
    only_training = len(rows) == model.n_samples  # or `project` has said it
    if only_training:
        warn_of_spelling(found, "gene", data.origin, stacklevel=3)
    if only_training and there.any() and found.n_found < 0.5 * model.n_genes:
        warnings.warn(
            f"{data.origin} has only {found.n_found} of the model's {model.n_genes} genes; the "
            "others have no measured expression.",
            DataWarning,
            stacklevel=3,
        )
    of_training = np.flatnonzero(rows[: model.n_samples] >= 0)
    doubt = other_values_doubt(model, values[: len(of_training)], of_training)
    if found.n_found == model.n_genes and doubt is not None:
        warnings.warn(doubt, DataWarning, stacklevel=3)
    if there.all():
        return values
    measured = np.full((len(rows), model.n_genes), np.nan, np.float32)
    measured[there] = values
    return measured
