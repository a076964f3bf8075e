"""Quality of maps of new samples: fembed, PCA and UMAP on the same folds."""

from __future__ import annotations

import importlib.util
import math
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from benchmarks import cohorts
from benchmarks.adapters import Rival
from benchmarks.adapters.factorized import Factorized
from benchmarks.adapters.pca import Pca
from benchmarks.measures import knn_accuracy, logistic_accuracy
from benchmarks.report import Bar, Relation, Report
from benchmarks.timing import timed

N_FOLDS = 5
INSTALL_UMAP = "umap-learn is not installed: pip install umap-learn"

MakeRival = Callable[[int, int, int], Rival]  # dimension, seed, threads


@dataclass(frozen=True)
class QualityOptions:
    """What is measured; the defaults are those of the bars."""

    data: Path = cohorts.COHORTS
    label: str = "label"
    group: str = "patient"
    dims: tuple[int, ...] = (2, 8)
    seeds: int = 1
    threads: int = 2


@dataclass(frozen=True)
class Score:
    """One rival on one fold; the accuracies are those of the held-out samples."""

    rival: str
    n_components: int
    fold: int
    seed: int
    knn: float
    logistic: float
    training_mse: float | None
    held_out_mse: float | None
    fit_seconds: float
    place_seconds: float


@dataclass(frozen=True)
class Summary:
    """Means over folds and seeds; ``gap`` is held-out over training MSE, less one."""

    knn: float
    logistic: float
    training_mse: float
    held_out_mse: float
    fit_seconds: float
    place_seconds: float

    @property
    def gap(self) -> float:
        return self.held_out_mse / self.training_mse - 1

    @classmethod
    def of(cls, scores: list[Score]) -> Summary:
        def mean(name: str) -> float:
            values = [getattr(score, name) for score in scores]
            return math.nan if None in values else statistics.fmean(values)

        return cls(**{name: mean(name) for name in cls.__dataclass_fields__})


def run(options: QualityOptions, output: Path | None = None) -> int:
    """Measure, print and write; the exit status."""
    expression = cohorts.read(options.data)
    labels, groups = expression.labels(options.label), expression.labels(options.group)
    report = Report("quality", options.threads, {**vars(options), "data": str(options.data)})
    folds = cohorts.grouped_folds(groups, N_FOLDS)
    scores: list[Score] = []
    for n_components in options.dims:
        for seed in range(options.seeds):
            for fold, rows in enumerate(folds):
                for name, make in rivals().items():
                    rival = make(n_components, seed * N_FOLDS + fold, options.threads)
                    found = _score(rival, expression.values, labels, rows)
                    scores.append(Score(name, n_components, fold, seed, **found))
                    print(_line(scores[-1]), flush=True)
    report.measures["scores"] = [asdict(score) for score in scores]
    report.measures["notes"] = "UMAP runs on one thread, since it is given a seed"
    summaries = summarised(scores)
    report.tables.append(_table(summaries))
    published_data = options.data.name == cohorts.COHORTS.name
    for n_components in options.dims:
        add_checks(report, summaries, n_components, absolute=published_data)
    return report.finish(output)


def rivals() -> dict[str, MakeRival]:
    """Fembed first; UMAP where it is installed."""
    found: dict[str, MakeRival] = {"fembed": Factorized, "PCA": Pca}
    if importlib.util.find_spec("umap") is not None:
        from benchmarks.adapters.umap import Umap  # takes seconds

        found["UMAP"] = Umap
    return found


def _score(
    rival: Rival, values: NDArray[np.float32], labels: NDArray[Any], rows: cohorts.Fold
) -> dict[str, Any]:
    train, test = rows
    with timed() as fitting:
        trained = rival.fit(values[train])
    with timed() as placing:
        placed = rival.place(values[test])
    parts = (trained.embedding, labels[train], placed.embedding, labels[test])
    return {
        "knn": knn_accuracy(*parts),
        "logistic": logistic_accuracy(*parts),
        "training_mse": trained.mse,
        "held_out_mse": placed.mse,
        "fit_seconds": fitting.seconds,
        "place_seconds": placing.seconds,
    }


def summarised(scores: list[Score]) -> dict[tuple[str, int], Summary]:
    """By rival and dimension."""
    keys = dict.fromkeys((score.rival, score.n_components) for score in scores)
    return {
        key: Summary.of([score for score in scores if (score.rival, score.n_components) == key])
        for key in keys
    }


def add_checks(
    report: Report,
    summaries: dict[tuple[str, int], Summary],
    n_components: int,
    *,
    absolute: bool,
) -> None:
    """The bars of this dimension: the ``absolute`` ones hold for one data set only."""
    ours = summaries["fembed", n_components]
    what = f"{n_components}-D"
    if n_components == 2:
        if absolute:
            report.add(f"{what}: kNN-5", ours.knn, Bar(">=", 0.82), digits=4)
            report.add(
                f"{what}: held-out over training MSE, less one",
                100 * ours.gap,
                Bar("<=", 8.0),
                unit="%",
            )
        _against(report, summaries, n_components, "UMAP", "knn", ">=")
    elif n_components == 8:
        if absolute:
            report.add(f"{what}: logistic", ours.logistic, Bar(">=", 0.89), digits=4)
            report.add(f"{what}: kNN-5", ours.knn, Bar(">=", 0.86), digits=4)
        for rival in ("PCA", "UMAP"):
            _against(report, summaries, n_components, rival, "logistic", ">")
            _against(report, summaries, n_components, rival, "knn", ">")


def _against(
    report: Report,
    summaries: dict[tuple[str, int], Summary],
    n_components: int,
    rival: str,
    measure: Literal["knn", "logistic"],
    relation: Relation,
) -> None:
    """Ours against the rival's in the same run."""
    shown = {"knn": "kNN-5", "logistic": "logistic"}[measure]
    what = f"{n_components}-D: {shown} against {rival}"
    theirs = summaries.get((rival, n_components))
    if theirs is None:
        report.add(what, None, Bar(relation, math.nan), note=INSTALL_UMAP)
        return
    ours = getattr(summaries["fembed", n_components], measure)
    report.add(what, ours, Bar(relation, getattr(theirs, measure)), digits=4)


def _line(score: Score) -> str:
    loss = "" if score.training_mse is None else f" MSE {score.training_mse:.4f}"
    loss += "" if score.held_out_mse is None else f" held out {score.held_out_mse:.4f}"
    return (
        f"{score.n_components}-D seed {score.seed} fold {score.fold} {score.rival:7s}"
        f" kNN-5 {score.knn:.4f} logistic {score.logistic:.4f}"
        f" fit {score.fit_seconds:.1f} s place {score.place_seconds:.1f} s{loss}"
    )


def _table(summaries: dict[tuple[str, int], Summary]) -> Table:
    table = Table(title="held-out samples, means over folds and seeds", title_justify="left")
    table.add_column("rival")
    headings = ("d", "kNN-5", "logistic", "training MSE", "held-out MSE", "gap", "fit", "place")
    for heading in headings:
        table.add_column(heading, justify="right")
    for (rival, n_components), found in summaries.items():
        accuracies = (f"{found.knn:.4f}", f"{found.logistic:.4f}")
        losses = (f"{found.training_mse:.4f}", f"{found.held_out_mse:.4f}", f"{found.gap:+.1%}")
        if math.isnan(found.gap):
            losses = ("-", "-", "-")
        seconds = (f"{found.fit_seconds:.1f} s", f"{found.place_seconds:.1f} s")
        table.add_row(rival, str(n_components), *accuracies, *losses, *seconds)
    return table
