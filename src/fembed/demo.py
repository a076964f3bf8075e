"""The tour: train on real cells, place the ones that were held out, and compare with PCA.

The cells are 700 of the 68,000 blood cells of Zheng et al. 2017 (Nature Communications,
ncomms14049), with the labels of their sorting; scanpy ships them.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fembed.data.expression import Expression
from fembed.errors import InputError, imported
from fembed.files import atomic
from fembed.inference.projection import Projection, project
from fembed.output import tables
from fembed.train import Progress, fit

if TYPE_CHECKING:
    from fembed.config import FitConfig
    from fembed.model import Model

HELD_OUT = 0.2
N_NEIGHBORS = 5
LABELS = "bulk_labels"
REPORT = "report.html"

Names = NDArray[np.object_]


@dataclass(frozen=True)
class Tour:
    """What the tour gives: the model, the held-out cells in it, the labels of both, the facts."""

    model: Model
    projection: Projection
    training_labels: Names
    held_out_labels: Names
    facts: dict[str, Any]


def read_cells() -> Expression:
    """Scanpy's ``pbmc68k_reduced``: log-normalised expression of 765 genes in 700 cells.

    Raises
    ------
    InputError
        If scanpy is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the old format of the file
        scanpy = imported(
            "scanpy",
            "The demo needs the cells that scanpy ships, and scanpy is not installed; run: "
            'pip install "fembed[demo]".',
        )
        cells = scanpy.datasets.pbmc68k_reduced()
        # X is scaled and clipped gene by gene; raw is on the scale that a model should see.
        return Expression.from_anndata(cells, use_raw=True)


def tour(
    cells: Expression,
    config: FitConfig,
    callback: Callable[[Progress], None] | None = None,
) -> Tour:
    """Hold out a fifth of ``cells``, train on the rest, place the fifth; PCA for comparison."""
    from sklearn.model_selection import train_test_split

    labels = cells.labels(LABELS)
    training_rows, held_out_rows = train_test_split(
        np.arange(cells.n_samples), test_size=HELD_OUT, random_state=config.seed, stratify=labels
    )
    training, held_out = cells.take_samples(training_rows), cells.take_samples(held_out_rows)
    label_pair = labels[training_rows], labels[held_out_rows]
    pca = _pca_facts(training.values, held_out.values, *label_pair, config.n_components)
    # The values are on a log scale already; fit may overwrite them, and PCA is done with them.
    model = fit(training, config, transform="none", verbose=False, callback=callback)
    start = time.perf_counter()
    projection = project(model, held_out, n_threads=config.n_threads, verbose=False)
    seconds = time.perf_counter() - start
    embeddings = model.sample_embedding, projection.sample_embedding
    facts = {
        "training_cells": len(training_rows),
        "held_out_cells": len(held_out_rows),
        "genes": cells.n_genes,
        "components": model.n_components,
        "seconds_of_training": float(model.training["seconds"]),
        "seconds_of_placing": seconds,
        "training_MSE": float(model.training["mse"]),
        "held_out_MSE": float(projection.loss.mean()),
        f"held_out_{N_NEIGHBORS}-NN_accuracy": _accuracy(*embeddings, *label_pair),
        **pca,
    }
    return Tour(model, projection, *label_pair, facts)


def check_output(path: str | os.PathLike[str]) -> atomic.Place:
    """Raise InputError if `save` would fail for ``path``; what is returned, `save` takes."""
    place = atomic.place(path)
    if place.taken:
        raise InputError(f"{path} exists already; give a new folder.")
    return place


def save(result: Tour, report: str, place: atomic.Place) -> None:
    """Write ``model``, the two tables of cells and the page of the report: all, or nothing."""
    training = tables.EmbeddingTable.of_training(result.model, {LABELS: result.training_labels})
    held_out = tables.EmbeddingTable.of_projection(
        result.projection, {LABELS: result.held_out_labels}
    )
    with atomic.filling(place) as folder:
        result.model.save(folder / "model")
        tables.write(training, folder / "training_cells.csv")
        tables.write(held_out, folder / "held_out_cells.csv")
        atomic.replace_file(folder / REPORT, report.encode())


def _pca_facts(
    training: NDArray[np.float32],
    held_out: NDArray[np.float32],
    training_labels: Names,
    held_out_labels: Names,
    n_components: int,
) -> dict[str, float]:
    """The same three numbers for PCA of the same dimension."""
    from sklearn.decomposition import PCA

    pca = PCA(n_components, svd_solver="full").fit(training)
    points = pca.transform(training), pca.transform(held_out)
    error = [
        float(np.mean((values - pca.inverse_transform(placed)) ** 2))
        for values, placed in zip((training, held_out), points, strict=True)
    ]
    return {
        "PCA_training_MSE": error[0],
        "PCA_held_out_MSE": error[1],
        f"PCA_held_out_{N_NEIGHBORS}-NN_accuracy": _accuracy(
            *points, training_labels, held_out_labels
        ),
    }


def _accuracy(
    training: Any, held_out: Any, training_labels: Names, held_out_labels: Names
) -> float:
    from sklearn.neighbors import KNeighborsClassifier

    classifier = KNeighborsClassifier(N_NEIGHBORS).fit(training, training_labels.astype(str))
    return float(classifier.score(held_out, held_out_labels.astype(str)))
