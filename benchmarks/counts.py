"""Counts: maps by their likelihood and by rivals, cells of other depth, genes that were hidden.

All methods get the same cells and genes. In every fold a map of four fifths of the cells places the
others. Labels that were made from shallow and deep cells alike can depend on the depth, so accuracy
is measured twice: of the places, and of the places with the logarithm of the cell's total beside
them; and how much of that logarithm the places explain. `hidden`: cells are placed by every other
gene, and the counts of the rest are judged by the negative binomial likelihood, given their total;
what a method expects is blended with the mean cell, and its dispersions are estimated, as suits its
training cells best. `thinned`: what of its counts a cell keeps is drawn at random. `plates`: the
cells of one plate in a map of the others.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsRegressor

from benchmarks.adapters.counting import CountMap, MeanRates, Ours, absent, makers
from benchmarks.cohorts import N_FOLDS, Labelled
from benchmarks.measures import knn_accuracy, logistic_accuracy
from benchmarks.options import Common, option
from benchmarks.report import Bar, Report, say, table
from fembed import InputError, project
from fembed.data import readers
from fembed.solvers.dispersion import estimate_dispersions
from fembed.solvers.uncertainty import squared_distance

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Rows = NDArray[np.int64]

COUNTS = "fembed, counts"
LABELS = {
    "sc_mouse_bladder_2100": "cluster",
    "tcga_7_types_counts": "cancer_type",
    "sc_cellbench_5batch": "cell_line",
}
PLATES = "sc_cellbench_5batch"
THINNED = (0.5, 0.2, 0.1)
#: Parts of the mean cell in what a method expects, and the training cells that choose among them.
PARTS, LEARNT_EVERY = (0.01, 0.03, 0.1, 0.3, 0.6), 3
MAPS_BARS = {2: (0.88, 0.81), 8: (0.915, 0.90)}


@dataclass(frozen=True, kw_only=True)
class Options(Common):
    """What is measured; the bars are for the default data."""

    data: str = option("sc_mouse_bladder_2100", "one of the data sets with counts")
    dims: tuple[int, ...] = option((2, 8), "dimensions of the map")
    folds: int = option(N_FOLDS, "of the five, the first so many")
    seeds: tuple[int, ...] = option((0,), "of folds and methods", least=0)
    seen: float = option(0.05, "genes are those seen in this share of the cells", least=0)
    methods: tuple[str, ...] = option((), "words of the methods' names; all if not given")
    parts: tuple[str, ...] = option(
        ("maps", "hidden", "thinned", "plates"),
        "what is measured",
        among=("maps", "hidden", "thinned", "plates"),
    )


def run(options: Options) -> int:
    """Measure, print and write; the exit status."""
    if options.data not in LABELS:
        raise InputError(f"--data is {options.data}; choose one of {', '.join(LABELS)}.")
    report = Report("counts", options)
    found: list[dict[str, Any]] = []
    data = read(options, options.data)
    for d in options.dims:
        for seed in options.seeds:
            for fold, (train, test) in enumerate(data.folds(seed=seed)[: options.folds]):
                for row in _fold(options, data, train, test, d, seed):
                    found.append({"d": d, "seed": seed, "fold": fold, **row})
                    say(_line(found[-1]))
        if "plates" in options.parts:
            for row in _plates(options, d):
                found.append({"d": d, **row})
                say(_line(found[-1]))
    report.measures["found"] = found
    _report(options, report, found)
    return report.finish()


def read(options: Options, name: str) -> Labelled:
    """Counts of the genes that enough samples have."""
    path = Path(options.folder) / f"{name}.h5ad"
    expression = readers.read(path)
    values = expression.values
    kept = (values > 0).mean(axis=0) >= options.seen
    genes = expression.gene_names[kept]
    return Labelled(
        name,
        np.ascontiguousarray(values[:, kept]),
        expression.labels(LABELS[name]),
        expression.labels("batch") if name == PLATES else None,
        (expression.sample_names, genes),
    )


def chosen(options: Options, d: int, seed: int) -> dict[str, Any]:
    """The methods that were asked for."""
    every = makers(d, seed, options.threads)
    words = options.methods
    return {
        name: make
        for name, make in every.items()
        if not words or any(word.lower() in name.lower() for word in words)
    }


def _fold(
    options: Options, data: Labelled, train: Rows, test: Rows, d: int, seed: int
) -> Iterator[dict[str, Any]]:
    counts, labels = data.values, data.labels
    for name, make in chosen(options, d, seed).items():
        if absent(name) is not None:
            continue
        begin, method = time.perf_counter(), make()
        places = method.fit(counts[train])
        row: dict[str, Any] = {"method": name, "fit_seconds": time.perf_counter() - begin}
        if "maps" in options.parts:
            row |= _map(places, method.place(counts[test]), counts, labels, train, test)
        if "hidden" in options.parts and hasattr(method, "rates"):
            row["hidden"] = hidden_likelihood(method, counts[train], counts[test])
        if "thinned" in options.parts and isinstance(method, Ours):
            row |= _thinned(method, places, counts[test], labels[train], labels[test], seed)
        yield row
    if "hidden" in options.parts:
        mean = MeanRates()
        mean.fit(counts[train])
        yield {
            "method": "mean cell",
            "hidden": hidden_likelihood(mean, counts[train], counts[test]),
        }


def _map(
    places: Float64, placed: Float64, counts: Float32, labels: Any, train: Rows, test: Rows
) -> dict[str, float]:
    """Accuracies, also beside the depth, and how much of the depth the places explain."""
    depth = np.log(counts.sum(axis=1, dtype=np.float64))
    scale = float(places.std(axis=0).mean()) / float(depth[train].std())
    beside = [
        np.column_stack([u, (depth[rows] - depth[train].mean()) * scale])
        for u, rows in ((places, train), (placed, test))
    ]
    of = labels[train], labels[test]
    return {
        "knn": knn_accuracy(places, of[0], placed, of[1]),
        "logistic": logistic_accuracy(places, of[0], placed, of[1]),
        "knn_depth": knn_accuracy(beside[0], of[0], beside[1], of[1]),
        "logistic_depth": logistic_accuracy(beside[0], of[0], beside[1], of[1]),
        "depth_r2": LinearRegression().fit(places, depth[train]).score(placed, depth[test]),
        "depth_knn": KNeighborsRegressor(15).fit(places, depth[train]).score(placed, depth[test]),
    }


def hidden_likelihood(method: Any, train: Float32, test: Float32) -> float:
    """Mean log-likelihood a count of hidden genes, given their total in each cell.

    What a method expects is blended with the mean cell, which keeps it from expecting nothing where
    there is a count; the part and the dispersions are those that suit the training cells best.
    """
    hidden = np.arange(1, test.shape[1], 2)
    mean_cell = np.maximum(train[:, hidden].sum(axis=0, dtype=np.float64), 0.5)
    mean_cell /= mean_cell.sum()

    def shares(counts: Float32) -> Float64:
        shown = counts.copy()
        shown[:, hidden] = np.nan
        rates = method.rates(shown)[:, hidden]
        return np.asarray(rates / rates.sum(axis=1, keepdims=True), np.float64)

    def likelihood(of: Float64, counts: Float32, part: float, shape: Any) -> float:
        mean = _blended(of, mean_cell, part) * counts.sum(axis=1, dtype=np.float64)[:, None]
        logs = stats.nbinom(shape, shape / (shape + np.maximum(mean, 1e-12))).logpmf(counts)
        return float(np.nan_to_num(logs, neginf=-50.0).mean())

    some = np.ascontiguousarray(train[::LEARNT_EVERY])
    of_some, found = shares(some), []
    for part in PARTS:
        totals = some[:, hidden].sum(axis=1, dtype=np.float64)[:, None]
        means = np.maximum(_blended(of_some, mean_cell, part) * totals, 1e-12)
        dispersion = estimate_dispersions(some[:, hidden], means).dispersion
        shape = 1.0 / np.maximum(dispersion, 1e-6)
        found.append((likelihood(of_some, some[:, hidden], part, shape), part, shape))
    _, part, shape = max(found, key=lambda one: one[0])
    return likelihood(shares(test), test[:, hidden], part, shape)


def _blended(shares: Float64, mean_cell: Float64, part: float) -> Float64:
    return np.asarray((1.0 - part) * shares + part * mean_cell, np.float64)


def _thinned(
    method: Ours, places: Float64, counts: Float32, of: Any, labels: Any, seed: int
) -> dict[str, float]:
    """Accuracy, and how far cells move in their own covariances, by the share of counts kept."""
    found: dict[str, float] = {}
    whole = project(method.model, method.expression(counts), n_threads=method.threads)
    for share in THINNED:
        drawn = np.random.default_rng(seed).binomial(counts.astype(np.int64), share)
        thin = drawn.astype(np.float32)
        placed = project(method.model, method.expression(thin), n_threads=method.threads)
        at = placed.sample_embedding.astype(np.float64)
        found[f"knn_{share:g}"] = knn_accuracy(places, of, at, labels)
        moved = squared_distance(at - whole.sample_embedding, placed.covariance)
        inside = stats.chi2(at.shape[1]).ppf(0.5)
        found[f"moved_{share:g}"] = float(np.nanmedian(moved) / inside)
    return found


def _plates(options: Options, d: int) -> Iterator[dict[str, Any]]:
    """The cells of each plate, placed in a map of the others."""
    data = read(options, PLATES)
    assert data.groups is not None
    for name, make in chosen(options, d, 0).items():
        if absent(name) is not None:
            continue
        right = []
        for plate in np.unique(data.groups):
            test = np.flatnonzero(data.groups == plate)
            train = np.flatnonzero(data.groups != plate)
            test = test[np.isin(data.labels[test], np.unique(data.labels[train]))]
            method: CountMap = make()
            places = method.fit(data.values[train])
            placed = method.place(data.values[test])
            right.append(knn_accuracy(places, data.labels[train], placed, data.labels[test]))
        yield {"method": name, "plates": float(np.mean(right))}


#: Measures in the order of the table, and what they are called there.
MEASURES = {
    "knn": "kNN-5",
    "logistic": "logistic",
    "knn_depth": "kNN-5 with depth",
    "logistic_depth": "logistic with depth",
    "depth_r2": "R2 of depth, linear",
    "depth_knn": "R2 of depth, 15 neighbours",
    "hidden": "log-likelihood of hidden counts",
    **{f"knn_{share:g}": f"kNN-5 of {share:.0%} of the counts" for share in THINNED},
    **{f"moved_{share:g}": f"move at {share:.0%}" for share in THINNED},
    "plates": "kNN-5 of another plate",
    "fit_seconds": "seconds of a fit",
}


def _report(options: Options, report: Report, found: list[dict[str, Any]]) -> None:
    keys = {(row["d"], row["method"]): None for row in found}
    shown = [name for name in MEASURES if any(name in row for row in found)]
    rows, averages = [], {}
    for d, method in keys:
        mine = [row for row in found if (row["d"], row["method"]) == (d, method)]
        known = {name: [row[name] for row in mine if name in row] for name in shown}
        averages[d, method] = {name: float(np.mean(of)) for name, of in known.items() if of}
        cells = [
            f"{averages[d, method][name]:.{3 if name != 'fit_seconds' else 0}f}"
            if name in averages[d, method]
            else ""
            for name in shown
        ]
        rows.append([str(d), method, *cells])
    headings = ["dimensions", "method", *(MEASURES[name] for name in shown)]
    report.tables.append(table(f"{options.data}, counts", headings, rows, left=("method",)))
    for d in options.dims:
        ours = averages.get((d, COUNTS), {})
        for k, name in enumerate(("knn", "logistic")):
            if name in ours and d in MAPS_BARS and options.data == "sc_mouse_bladder_2100":
                what = f"{d}-D: {MEASURES[name]}"
                report.add(what, ours[name], Bar(">=", MAPS_BARS[d][k]), digits=3)
                report.add(f"{what} with depth", ours[f"{name}_depth"], digits=3)
        _compare(report, averages, d)
    for name in chosen(options, options.dims[0], 0):
        if (why := absent(name)) is not None:
            report.add(name, None, note=why)


def _compare(report: Report, averages: dict[tuple[int, str], dict[str, float]], d: int) -> None:
    """Bars that are other methods of the run, or follow from it."""
    ours = averages.get((d, COUNTS), {})
    others = {name: of for (of_d, name), of in averages.items() if of_d == d and name != COUNTS}
    if "hidden" in ours:
        best = max((of["hidden"] for of in others.values() if "hidden" in of), default=-np.inf)
        report.add(f"{d}-D: {MEASURES['hidden']}", ours["hidden"], Bar(">", best), digits=4)
    for name in ("depth_r2", "depth_knn"):
        if name in ours and "fembed, log CPM" in others:
            limit = others["fembed, log CPM"][name]
            report.add(f"{d}-D: {MEASURES[name]}", ours[name], Bar("<", limit), digits=3)
    if "knn_0.2" in ours:
        fall = ours["knn"] - ours["knn_0.2"]
        report.add(f"{d}-D: kNN-5 falls at 20 % of the counts", fall, Bar("<", 0.02), digits=3)
        for share in THINNED:
            what = f"{d}-D: median move at {share:.0%}, over that of the ellipses"
            report.add(what, ours[f"moved_{share:g}"], Bar("<=", 1.0), digits=2)
    if "plates" in ours:
        report.add(f"{d}-D: {MEASURES['plates']}", ours["plates"], Bar(">=", 0.99), digits=3)


def _line(row: dict[str, Any]) -> str:
    known = [f"{MEASURES[name]} {row[name]:.3f}" for name in MEASURES if name in row]
    return f"{row['d']}-D fold {row.get('fold', '-')} {row['method']}: {', '.join(known)}"
