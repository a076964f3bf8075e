"""Few genes: accuracy of placed samples and error of imputed genes, against the share of genes.

Held-out patients show some of their genes; fembed and its rivals learnt from the training patients'
whole profiles. The rivals of imputation: the gene's mean, PCA (its scores by least squares on the
genes shown) and the mean of the k nearest training samples by those genes, k the best of several on
the held-out samples themselves, which favours it. With complete training data that is what
scikit-learn's KNNImputer does, column by column.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from benchmarks import cohorts
from benchmarks.adapters import Float32, MeanFilling
from benchmarks.adapters.factorized import Factorized
from benchmarks.cohorts import N_FOLDS, Labelled
from benchmarks.estimates import means
from benchmarks.options import option, repeats_option
from benchmarks.report import Bar, Report, say, table
from fembed import DataWarning, Expression, Model, impute, project

#: Neighbours of kNN imputation; the best of them counts.
NEIGHBOURS = (3, 5, 10, 20)
#: Shares of the full-gene accuracy that are to be kept, and how far below kNN's error is to be.
KEPT = {0.25: 0.95, 0.10: 0.88}
BELOW_KNN, BELOW_KNN_AT = 0.10, 0.10


@dataclass(frozen=True, kw_only=True)
class Options(cohorts.OnData):
    """What is measured; the defaults are those of the bars."""

    dims: tuple[int, ...] = option((2, 8, 16, 32), "dimensions of the map")
    genes: tuple[int, ...] = option(
        (1, 5, 10, 25, 100, 250, 500, 1000, 2500), "numbers of genes shown"
    )
    percents: tuple[int, ...] = option((5, 10, 25, 50, 75, 100), "shares of the genes shown")
    folds: int = option(N_FOLDS, "of the five, the first so many")
    repeats: int = repeats_option(3, "a panel of each size is drawn in each fold")


@dataclass(frozen=True)
class Found:
    """One way at one number of genes, in one fold and draw.

    ``error`` is the mean squared error of the genes that were not shown (of all, where all were);
    ``accuracy`` that of kNN-5 on the places.
    """

    way: str
    n_components: int
    n_genes: int
    fold: int
    draw: int
    error: float | None
    accuracy: float | None

    @property
    def key(self) -> tuple[str, int, int]:
        return self.way, self.n_components, self.n_genes


def run(options: Options) -> int:
    """Measure, print and write; the exit status."""
    data = options.read()
    report = Report("panels", options)
    found: list[Found] = []
    for fold, rows in enumerate(data.folds()[: options.folds]):
        for one in _fold(options, data, fold, rows):
            found.append(one)
            say(_line(one))
    report.measures["found"] = [asdict(one) for one in found]
    n_genes = data.values.shape[1]
    report.tables.append(_table(found, panel_sizes(options, n_genes)))
    add_checks(report, found, n_genes)
    return report.finish()


def panel_sizes(options: Options, n_genes: int) -> list[int]:
    """Numbers of genes shown: the counts that there are, and the percents."""
    by_share = [max(1, round(n_genes * percent / 100)) for percent in options.percents]
    return sorted({count for count in options.genes if count <= n_genes} | set(by_share))


def _fold(options: Options, data: Labelled, fold: int, rows: cohorts.Fold) -> Iterator[Found]:
    (train, test), values = rows, data.values
    labels = data.labels[train], data.labels[test]
    models = {}
    for d in options.dims:
        ours = Factorized(d, fold, options.threads, calibrate=True)
        ours.fit(values[train])
        models[d] = ours.model
    rivals = _Rivals(values[train], options.dims)
    for size in panel_sizes(options, values.shape[1]):
        for draw in range(options.repeats if size < values.shape[1] else 1):
            random = np.random.default_rng((fold, draw, size))
            shown = np.sort(random.choice(values.shape[1], size, replace=False))
            panel = _Panel(values[test], shown)
            for d, model in models.items():
                for way, *found in _ours(model, panel, labels, options.threads):
                    yield Found(way, d, size, fold, draw, *found)
            for (way, d), error in rivals.errors(panel).items():
                yield Found(way, d, size, fold, draw, error, None)


class _Panel:
    """Held-out samples of which only some genes are shown."""

    def __init__(self, values: Float32, shown: NDArray[np.int64]) -> None:
        self.values, self.shown = values, shown
        hidden = np.ones(values.shape[1], bool)
        hidden[shown] = False
        self.judged = hidden if hidden.any() else ~hidden
        self.panel = np.full_like(values, np.nan)
        self.panel[:, shown] = values[:, shown]

    def error(self, expected: NDArray[Any]) -> float:
        """Mean squared error over the genes that were not shown."""
        gap = (expected - self.values)[:, self.judged]
        return float(np.nanmean(np.square(gap, dtype=np.float64)))


def _ours(
    model: Model, panel: _Panel, labels: tuple[NDArray[Any], NDArray[Any]], threads: int
) -> Iterator[tuple[str, float, float]]:
    """Way, error and accuracy of a projection decoded, and of the command ``impute``."""
    names = model.gene_names[panel.shown]
    profiles = Expression.from_array(panel.panel[:, panel.shown], gene_names=names)
    there = np.asarray(~np.isnan(profiles.values).all(axis=1))
    profiles = Expression.adopt(profiles.values[there], None, profiles.gene_names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # few genes: what this benchmark is about
        placed = project(model, profiles, n_threads=threads)
        imputed = impute(model, profiles, keep_observed=False, n_threads=threads)
    classifier = KNeighborsClassifier(5).fit(model.sample_embedding, labels[0])
    decoded = model.decode(placed.sample_embedding, n_threads=threads)
    # A sample without any of these genes cannot be placed: wrong, and imputed by the mean gene.
    mean_gene = model.decode(model.sample_embedding).mean(axis=0)
    for way, places, profile in (
        ("decoded", placed.sample_embedding, decoded),
        ("imputed", imputed.sample_embedding, imputed.values),
    ):
        expected = np.tile(mean_gene, (len(there), 1))
        expected[there] = profile
        right = classifier.predict(places) == labels[1][there]
        yield way, panel.error(expected), float(right.sum() / len(there))


class _Rivals:
    """Gene mean, PCA and kNN imputation, from the training samples."""

    def __init__(self, train: Float32, dims: tuple[int, ...]) -> None:
        self._filled = MeanFilling(train)
        self._train = self._filled(train)
        self._pca = {d: PCA(d, svd_solver="full").fit(self._train) for d in dims}

    def errors(self, panel: _Panel) -> dict[tuple[str, int], float]:
        """Of each way and dimension; the dimension of kNN is its number of neighbours."""
        shown = self._filled(panel.values)[:, panel.shown]
        mean = np.broadcast_to(self._filled.mean, panel.values.shape)
        found = {("gene mean", 0): panel.error(mean)}
        for d, pca in self._pca.items():
            loading = pca.components_[:, panel.shown].T
            centred = (shown - pca.mean_[panel.shown]).T
            scores = np.linalg.lstsq(loading, centred, rcond=None)[0].T
            found["PCA", d] = panel.error(pca.inverse_transform(scores))
        for k in NEIGHBOURS:
            nearest = KNeighborsRegressor(k).fit(self._train[:, panel.shown], self._train)
            found["kNN", k] = panel.error(nearest.predict(shown))
        return found


def add_checks(report: Report, found: list[Found], n_genes: int) -> None:
    """The bars: accuracy kept by a part of the genes, imputation against kNN's."""
    accuracies = means(found, lambda one: one.key, lambda one: one.accuracy)
    errors = means(found, lambda one: one.key, lambda one: one.error)
    for d in (2, 8):
        full = accuracies.get(("decoded", d, n_genes))
        for share, kept in KEPT.items():
            some = accuracies.get(("decoded", d, round(n_genes * share)))
            if full is not None and some is not None:
                what = f"{d}-D: kNN-5 with {share:.0%} of the genes over that with all"
                note = f"{some:.4f} and {full:.4f}"
                report.add(what, some / full, Bar(">=", kept), digits=3, note=note)
    size = round(n_genes * BELOW_KNN_AT)
    ours, knn = (
        {k: errors[way, k, size] for k in ks if (way, k, size) in errors}
        for way, ks in (("imputed", (8, 16, 32)), ("kNN", NEIGHBOURS))
    )
    if ours and knn:
        d, k = min(ours, key=lambda d: ours[d]), min(knn, key=lambda k: knn[k])
        what = f"imputation from {BELOW_KNN_AT:.0%} of the genes: error over kNN's"
        note = f"{ours[d]:.4f} at {d}-D, {knn[k]:.4f} with {k} neighbours"
        report.add(what, ours[d] / knn[k], Bar("<=", 1.0 - BELOW_KNN), digits=3, note=note)


def _line(one: Found) -> str:
    shown = "" if one.error is None else f" error {one.error:.4f}"
    shown += "" if one.accuracy is None else f" kNN-5 {one.accuracy:.4f}"
    where = f"fold {one.fold} draw {one.draw} {one.n_genes:5d} genes"
    return f"{where} {one.way} {one.n_components}{shown}"


def _table(found: list[Found], sizes: list[int]) -> Table:
    accuracies = means(found, lambda one: one.key, lambda one: one.accuracy)
    errors = means(found, lambda one: one.key, lambda one: one.error)
    rows = []
    for way, d in dict.fromkeys((one.way, one.n_components) for one in found):
        cells = [way, str(d)]
        for key in ((way, d, size) for size in sizes):
            text = f"{errors[key]:.3f}" if key in errors else "-"
            cells.append(text + (f" ({accuracies[key]:.3f})" if key in accuracies else ""))
        rows.append(cells)
    headings = ("way", "", *(f"{size:,}" for size in sizes))
    return table("by genes shown: error (kNN-5 accuracy)", headings, rows)
