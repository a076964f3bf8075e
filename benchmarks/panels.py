"""Few genes: accuracy of placed samples and error of imputed genes, against the share of genes.

Held-out patients show some of their genes; fembed and its rivals learnt from the training patients'
whole profiles. The rivals of imputation: the gene's mean, PCA (its scores by least squares on the
genes shown) and the mean of the k nearest training samples by those genes, k the best of several on
the held-out samples themselves, which favours it. With complete training data that is what
scikit-learn's KNNImputer does, column by column.
"""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from benchmarks import cohorts
from benchmarks.adapters import Float32, MeanFilling
from benchmarks.adapters.factorized import Factorized
from benchmarks.report import Bar, Report
from fembed.data.expression import Expression
from fembed.errors import DataWarning
from fembed.inference import impute
from fembed.inference.projection import project
from fembed.model import Model

N_FOLDS = 5
#: Neighbours of kNN imputation; the best of them counts.
NEIGHBOURS = (3, 5, 10, 20)
#: Shares of the full-gene accuracy that are to be kept, and how far below kNN's error is to be.
KEPT = {0.25: 0.95, 0.10: 0.88}
BELOW_KNN, BELOW_KNN_AT = 0.10, 0.10


@dataclass(frozen=True)
class PanelOptions:
    """What is measured; the defaults are those of the bars."""

    data: Path = cohorts.COHORTS
    label: str = "label"
    group: str = "patient"
    dims: tuple[int, ...] = (2, 8, 16, 32)
    counts: tuple[int, ...] = (1, 5, 10, 25, 100, 250, 500, 1000, 2500)
    percents: tuple[int, ...] = (5, 10, 25, 50, 75, 100)
    folds: int = N_FOLDS
    draws: int = 3
    threads: int = 2


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


def run(options: PanelOptions, output: Path | None = None) -> int:
    """Measure, print and write; the exit status."""
    expression = cohorts.read(options.data)
    report = Report("panels", options.threads, {**vars(options), "data": str(options.data)})
    found: list[Found] = []
    folds = cohorts.grouped_folds(expression.labels(options.group), N_FOLDS)
    for fold, rows in enumerate(folds[: options.folds]):
        for one in _fold(options, expression, fold, rows):
            found.append(one)
            print(_line(one), flush=True)
    report.measures["found"] = [asdict(one) for one in found]
    sizes = panel_sizes(options, expression.n_genes)
    report.tables.append(_table(found, sizes))
    add_checks(report, found, expression.n_genes)
    return report.finish(output)


def panel_sizes(options: PanelOptions, n_genes: int) -> list[int]:
    """Numbers of genes shown: the counts that there are, and the percents."""
    by_share = [max(1, round(n_genes * percent / 100)) for percent in options.percents]
    return sorted({count for count in options.counts if count <= n_genes} | set(by_share))


def _fold(
    options: PanelOptions, expression: Expression, fold: int, rows: cohorts.Fold
) -> Iterator[Found]:
    train, test = rows
    values, labels = expression.values, expression.labels(options.label)
    models = {}
    for d in options.dims:
        rival = Factorized(d, fold, options.threads, calibrate=True)
        rival.fit(values[train])
        models[d] = rival.model
    rivals = _Rivals(values[train], options.dims)
    for size in panel_sizes(options, values.shape[1]):
        for draw in range(options.draws if size < values.shape[1] else 1):
            random = np.random.default_rng((fold, draw, size))
            shown = np.sort(random.choice(values.shape[1], size, replace=False))
            panel = _Panel(values[test], shown)
            about = {"n_genes": size, "fold": fold, "draw": draw}
            for d, model in models.items():
                yield from _ours(model, panel, labels, train, test, options.threads, about, d)
            for (way, d), error in rivals.errors(panel).items():
                yield Found(way, d, error=error, accuracy=None, **about)


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
    model: Model,
    panel: _Panel,
    labels: NDArray[Any],
    train: NDArray[np.int64],
    test: NDArray[np.int64],
    threads: int,
    about: dict[str, int],
    d: int,
) -> Iterator[Found]:
    profiles = Expression.from_array(
        panel.panel[:, panel.shown], gene_names=model.gene_names[panel.shown]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # few genes: what this benchmark is about
        there = ~np.isnan(profiles.values).all(axis=1)
        profiles = Expression.adopt(profiles.values[there], None, profiles.gene_names)
        placed = project(model, profiles, n_threads=threads)
        imputed = impute(model, profiles, keep_observed=False, n_threads=threads)
    classifier = KNeighborsClassifier(5).fit(model.sample_embedding, labels[train])
    # A sample without any of these genes cannot be placed: wrong, and imputed by the mean gene.
    right = classifier.predict(placed.sample_embedding) == labels[test][there]
    expected = np.tile(model.decode(model.sample_embedding).mean(axis=0), (len(test), 1))
    decoded, whole = expected.copy(), expected
    decoded[there] = model.decode(placed.sample_embedding, n_threads=threads)
    whole[there] = imputed.values
    accuracy = float(right.sum() / len(test))
    yield Found("decoded", d, error=panel.error(decoded), accuracy=accuracy, **about)
    classes = classifier.predict(imputed.sample_embedding) == labels[test][there]
    accuracy = float(classes.sum() / len(test))
    yield Found("imputed", d, error=panel.error(whole), accuracy=accuracy, **about)


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


Means = dict[tuple[str, int, int], tuple[float | None, float | None]]


def means(found: list[Found]) -> Means:
    """Error and accuracy by way, dimension and number of genes, over folds and draws."""
    groups: dict[tuple[str, int, int], list[Found]] = {}
    for one in found:
        groups.setdefault((one.way, one.n_components, one.n_genes), []).append(one)

    def mean(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return statistics.fmean(known) if known else None

    return {
        key: (mean([one.error for one in group]), mean([one.accuracy for one in group]))
        for key, group in groups.items()
    }


def add_checks(report: Report, found: list[Found], n_genes: int) -> None:
    """The bars: accuracy kept by a part of the genes, imputation against kNN's."""
    by = means(found)
    for d in (2, 8):
        full = by.get(("decoded", d, n_genes), (None, None))[1]
        for share, kept in KEPT.items():
            some = by.get(("decoded", d, round(n_genes * share)), (None, None))[1]
            if full is not None and some is not None:
                what = f"{d}-D: kNN-5 with {share:.0%} of the genes over that with all"
                note = f"{some:.4f} and {full:.4f}"
                report.add(what, some / full, Bar(">=", kept), digits=3, note=note)
    size = round(n_genes * BELOW_KNN_AT)
    ours = {d: by["imputed", d, size][0] for d in (8, 16, 32) if ("imputed", d, size) in by}
    knn = {k: by["kNN", k, size][0] for k in NEIGHBOURS if ("kNN", k, size) in by}
    if ours and knn:
        d, error = min(ours.items(), key=lambda pair: pair[1] or np.inf)
        k, rival = min(knn.items(), key=lambda pair: pair[1] or np.inf)
        assert error is not None and rival is not None
        what = f"imputation from {BELOW_KNN_AT:.0%} of the genes: error over kNN's"
        note = f"{error:.4f} at {d}-D, {rival:.4f} with {k} neighbours"
        report.add(what, error / rival, Bar("<=", 1.0 - BELOW_KNN), digits=3, note=note)


def _line(one: Found) -> str:
    shown = "" if one.error is None else f" error {one.error:.4f}"
    shown += "" if one.accuracy is None else f" kNN-5 {one.accuracy:.4f}"
    where = f"fold {one.fold} draw {one.draw} {one.n_genes:5d} genes"
    return f"{where} {one.way} {one.n_components}{shown}"


def _table(found: list[Found], sizes: list[int]) -> Table:
    by = means(found)
    ways = list(dict.fromkeys((one.way, one.n_components) for one in found))
    table = Table(title="by genes shown: error (kNN-5 accuracy)", title_justify="left")
    for heading in ("way", "", *(f"{size:,}" for size in sizes)):
        table.add_column(heading, justify="right")
    for way, d in ways:
        cells = []
        for size in sizes:
            error, accuracy = by.get((way, d, size), (None, None))
            text = "-" if error is None else f"{error:.3f}"
            cells.append(text + ("" if accuracy is None else f" ({accuracy:.3f})"))
        table.add_row(way, str(d), *cells)
    return table
