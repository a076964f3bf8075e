"""The model against PCA, and UMAP on demand, of the same dimension, on the same samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.data.chunks import even_choice
from fembed.evaluation.methods import UMAPEmbedding
from fembed.model import Model
from fembed.pl.categories import Categories
from fembed.pl.samples import MapSamples

#: At most so many entries are used for principal components: of a larger matrix, some of the genes.
PCA_ENTRIES = 20_000_000
N_NEIGHBORS, N_FOLDS, N_PAIRS = 5, 5, 20_000
#: A label with more classes than this share of its samples is not compared: it names samples.
MAX_CLASSES = 0.4


@dataclass(frozen=True)
class Row:
    """A line of the comparison: what is compared, and the values of the model, PCA and UMAP."""

    what: str
    of_model: str
    of_pca: str
    of_umap: str = ""


@dataclass(frozen=True)
class Comparison:
    """The lines, the notes below them, and coordinates of all samples in PCA and UMAP, if any."""

    rows: list[Row]
    notes: list[str]
    pca: NDArray[np.float64] | None = None
    umap: NDArray[np.float64] | None = None


def compare(
    model: Model, samples: MapSamples, labels: Sequence[str] = (), umap: bool = False
) -> Comparison:
    """Explained variance, and with data also neighbours, distances and new samples.

    Parameters
    ----------
    model : Model
    samples : MapSamples
        With ``measured`` as far as it is known.
    labels : sequence of str
        The labels that neighbours in the map should share.
    umap : bool
        Compare with UMAP, too, which needs umap-learn and takes longer than PCA.
    """
    rows, notes = [], []
    training = model.training
    if "explained_variance" in training and training.get("pca_explained_variance") is not None:
        rows.append(
            Row(
                "Variance explained, training samples",
                f"{training['explained_variance']:.1%}",
                f"{training['pca_explained_variance']:.1%}",
            )
        )
    if model.count_model is not None:
        notes.append("A model of counts is not compared with PCA, which has another scale.")
        return Comparison(rows, notes)
    if samples.measured is None:
        notes.append("Neighbours and distances are compared where the data are given.")
        return Comparison(rows, notes)
    genes = even_choice(model.n_genes, max(2, PCA_ENTRIES // len(samples)))
    there = np.isfinite(samples.measured).any(axis=1)
    fitted = np.flatnonzero(there & ~samples.projected)
    if len(fitted) <= model.n_components:
        notes.append("Too few training samples are in the data for PCA.")
        return Comparison(rows, notes)
    values = _complete(samples.measured, genes, fitted)
    pca, decoded = _pca(values, fitted, model)
    new = np.flatnonzero(samples.projected)
    by_umap = _umap(values, fitted, new, model) if umap else None
    maps = [samples.coordinates.astype(np.float64), pca, *([] if by_umap is None else [by_umap])]
    rows += _distance_rows(values, maps, fitted)
    if new.size:
        rows.append(_new_loss_row(samples, genes, decoded, new))
    for name in labels:
        rows += _accuracy_rows(name, samples.labels[name], maps, fitted, new)
    compared = any("accuracy" in row.what for row in rows)
    notes += _notes(model, genes, new, compared)
    if by_umap is not None:
        notes.append("UMAP has its authors' settings. It decodes nothing, so it has no error.")
    return Comparison(rows, notes, pca, by_umap)


def _complete(
    measured: NDArray[np.float32], genes: NDArray[np.intp], fitted: NDArray[np.intp]
) -> NDArray[np.float32]:
    """The entries of ``genes``, missing ones filled with the gene's mean over ``fitted``."""
    values = measured[:, genes]
    some = values[fitted]
    count = np.maximum(1, np.isfinite(some).sum(axis=0))
    mean = (np.nansum(some, axis=0, dtype=np.float64) / count).astype(np.float32)
    return np.where(np.isnan(values), mean, values)


def _pca(
    values: NDArray[np.float32], fitted: NDArray[np.intp], model: Model
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coordinates of all samples in PCA of the fitted ones, and the matrix they decode to."""
    from sklearn.decomposition import PCA

    components = min(model.n_components, values.shape[1])
    solver = PCA(components, svd_solver="randomized", random_state=0).fit(values[fitted])
    coordinates = solver.transform(values)
    return coordinates, solver.inverse_transform(coordinates)


def _umap(
    values: NDArray[np.float32], fitted: NDArray[np.intp], new: NDArray[np.intp], model: Model
) -> NDArray[np.float64]:
    """Coordinates in UMAP of the fitted samples, and of the new ones in it; NaN for others."""
    made = UMAPEmbedding(model.n_components, random_state=0)
    coordinates = np.full((len(values), model.n_components), np.nan)
    coordinates[fitted] = made.fit_transform(values[fitted])
    if new.size:
        coordinates[new] = made.transform(values[new])
    return coordinates


def _distance_rows(
    values: NDArray[np.float32],
    maps: Sequence[NDArray[np.float64]],
    fitted: NDArray[np.intp],
) -> list[Row]:
    rng = np.random.default_rng(0)
    first, second = rng.choice(fitted, N_PAIRS), rng.choice(fitted, N_PAIRS)
    first, second = first[first != second], second[first != second]
    true = np.concatenate(
        [
            np.linalg.norm(values[a] - values[b], axis=1)
            for a, b in zip(np.array_split(first, 40), np.array_split(second, 40), strict=True)
        ]
    )

    def r(points: NDArray[Any]) -> str:
        apart = np.linalg.norm(points[first] - points[second], axis=1)
        if min(np.ptp(apart), np.ptp(true)) == 0.0:
            return "undefined"  # all samples are equally far from each other
        return f"{np.corrcoef(apart, true)[0, 1]:.3f}"

    what = "Correlation of map distance with expression distance"
    return [Row(what, *map(r, maps))]


def _new_loss_row(
    samples: MapSamples,
    genes: NDArray[np.intp],
    decoded: NDArray[np.float64],
    new: NDArray[np.intp],
) -> Row:
    assert samples.measured is not None
    error = np.square(samples.measured[np.ix_(new, genes)] - decoded[new])
    mean_loss = float(samples.loss[new].mean())
    of_pca = float(np.nanmean(error, axis=1).mean())
    return Row("Mean squared error, projected samples", f"{mean_loss:.3g}", f"{of_pca:.3g}")


def _accuracy_rows(
    name: str,
    column: Categories,
    maps: Sequence[NDArray[Any]],
    fitted: NDArray[np.intp],
    new: NDArray[np.intp],
) -> list[Row]:
    """Accuracy of a label: cross-validated in the training samples, and of the new ones.

    There is none for a label that names single samples rather than classes.
    """
    codes = column.codes
    rows = []
    known = fitted[column.known[fitted]]
    _, counts = np.unique(codes[known], return_counts=True)
    if len(counts) > MAX_CLASSES * len(known):
        return []
    if len(counts) > 1 and counts.max() < len(known) and len(known) >= 2 * N_FOLDS:
        what = f"{N_NEIGHBORS}-NN accuracy of {name}, training samples, {N_FOLDS} folds"
        of = [f"{_cross_validated(p[known], codes[known]):.3f}" for p in maps]
        rows.append(Row(what, *of))
    new = new[column.known[new]]
    if new.size and len(counts) > 1 and len(known) > N_NEIGHBORS:
        what = f"{N_NEIGHBORS}-NN accuracy of {name}, projected samples"
        of = [f"{_scored(p[known], codes[known], p[new], codes[new]):.3f}" for p in maps]
        rows.append(Row(what, *of))
    return rows


def _cross_validated(points: NDArray[Any], labels: NDArray[Any]) -> float:
    """Mean accuracy over folds, stratified unless a label is rarer than the folds."""
    from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
    from sklearn.neighbors import KNeighborsClassifier

    rarest = np.unique(labels, return_counts=True)[1].min()
    folds = (StratifiedKFold if rarest >= N_FOLDS else KFold)(N_FOLDS, shuffle=True, random_state=0)
    classifier = KNeighborsClassifier(N_NEIGHBORS)
    return float(cross_val_score(classifier, points, labels, cv=folds).mean())


def _scored(points: NDArray[Any], labels: Any, new_points: NDArray[Any], new_labels: Any) -> float:
    from sklearn.neighbors import KNeighborsClassifier

    return float(
        KNeighborsClassifier(N_NEIGHBORS).fit(points, labels).score(new_points, new_labels)
    )


def _notes(
    model: Model, genes: NDArray[np.intp], new: NDArray[np.intp], has_labels: bool
) -> list[str]:
    notes = [
        "PCA has the same number of components and the same training samples; it fills missing "
        "entries with the gene's mean."
    ]
    if has_labels:
        notes.append(
            "Training samples took part in making both embeddings, so their accuracy is of the "
            "map, not of a prediction for new samples."
        )
    if new.size:
        notes.append("Projected samples took no part in either.")
    if len(genes) < model.n_genes:
        notes.append(
            f"PCA and expression distances rest on {len(genes):,} of {model.n_genes:,} genes, "
            "evenly chosen."
        )
    return notes
