"""Confidence: how often ellipses cover, and how often known and unknown kinds are called outliers.

Coverage: a test sample is placed by two random halves of its genes; the difference of the two
places lies in the 90 % ellipse of the sum of their covariances as often as each covers where very
many genes would place it. Of the default fit of all training patients, and of one calibrated with a
fifth of them, which it was not trained on. False alarms: test samples to which the latter gives a
p-value of at most 5 %. Power: one tumour type is left out of training and calibration, and its
samples are called outliers as often as they should be.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2
from sklearn.model_selection import GroupShuffleSplit

from benchmarks import cohorts
from benchmarks.report import Bar, Report
from fembed.config import FitConfig
from fembed.data.expression import Expression
from fembed.inference import calibrate
from fembed.inference.projection import project
from fembed.model import Model
from fembed.solvers.uncertainty import squared_distance
from fembed.train import fit

LEVEL, FALSE_ALARMS = 0.9, 0.05
#: Of the patients that are not tested.
CALIBRATION = 0.2


@dataclass(frozen=True)
class ConfidenceOptions:
    """What is measured; the bars are for the default data."""

    data: Path = cohorts.COHORTS
    label: str = "label"
    group: str = "patient"
    dims: tuple[int, ...] = (2, 8)
    left_out: tuple[str, ...] = ("THCA", "KIRC", "PRAD")
    folds: int = 5
    halves: int = 2
    threads: int = 2


def run(options: ConfidenceOptions, output: Path | None = None) -> int:
    """Measure, print and write; the exit status."""
    expression = cohorts.read(options.data)
    report = Report("confidence", options.threads, {**vars(options), "data": str(options.data)})
    folds = cohorts.grouped_folds(expression.labels(options.group), 5)[: options.folds]
    for d in options.dims:
        by_fit, by_calibration, alarms = _Coverage(d), _Coverage(d), []
        for fold, (train, test) in enumerate(folds):
            plain = _fit(options, expression, train, d, fold)
            model = _model(options, expression, train, d, fold)
            for found, coverage in ((plain, by_fit), (model, by_calibration)):
                coverage.add(
                    found, half_distances(found, expression, test, options.halves, options.threads)
                )
                print(f"{d}-D fold {fold}: covered {coverage.covered[-1].mean():.3f}", flush=True)
            alarms.append(_called(model, expression, test, options.threads))
        by_fit.report(report, f"{d}-D: {LEVEL:.0%} ellipses cover, as fitted")
        by_calibration.report(report, f"{d}-D: {LEVEL:.0%} ellipses cover, after `calibrate`")
        what = f"{d}-D: false alarms at {FALSE_ALARMS:.0%}"
        share = 100 * float(np.concatenate(alarms).mean())
        report.add(what, share, unit="%", digits=1)
        _left_out(options, report, expression, folds[0], d)
    return report.finish(output)


class _Coverage:
    """How often ellipses cover, and would without their factor, fold by fold."""

    def __init__(self, n_components: int) -> None:
        self._limit = float(chi2(n_components).ppf(LEVEL))
        self.covered: list[NDArray[np.bool_]] = []
        self._bare: list[NDArray[np.bool_]] = []

    def add(self, model: Model, distances: NDArray[np.float64]) -> None:
        assert model.calibration is not None
        self.covered.append(distances < self._limit)
        self._bare.append(distances * model.calibration.ellipse_factor < self._limit)

    def report(self, report: Report, what: str) -> None:
        covered, bare = (100 * np.concatenate(of).mean() for of in (self.covered, self._bare))
        note = f"{bare:.1f} % without the factor"
        for bar in (Bar(">=", 85.0), Bar("<=", 95.0)):
            report.add(what, float(covered), bar, unit="%", digits=1, note=note)


def _left_out(
    options: ConfidenceOptions, report: Report, expression: Expression, fold: Any, d: int
) -> None:
    """Tumour types that neither training nor calibration has seen."""
    labels = expression.labels(options.label)
    train, test = fold
    for kind in options.left_out:
        mine = np.array([kind in label for label in labels])
        if not mine.any():
            continue
        model = _model(options, expression, train[~mine[train]], d, 0)
        known = _called(model, expression, test[~mine[test]], options.threads)
        unknown = _called(model, expression, np.flatnonzero(mine), options.threads)
        report.add(
            f"{d}-D: {kind}, left out, called outliers at {FALSE_ALARMS:.0%}",
            100 * float(unknown.mean()),
            unit="%",
            digits=1,
            note=f"{mine.sum()} samples; of the known kinds {100 * known.mean():.1f} %",
        )


def _model(
    options: ConfidenceOptions,
    expression: Expression,
    train: NDArray[np.int64],
    d: int,
    seed: int,
) -> Model:
    """Trained on four fifths of ``train``'s patients, calibrated with the others."""
    groups = expression.labels(options.group)[train]
    split = GroupShuffleSplit(1, test_size=CALIBRATION, random_state=seed)
    fitted, _ = next(split.split(train, groups=groups))
    model = _fit(options, expression, train[fitted], d, seed, calibrated=False)
    return calibrate(model, take(expression, train), n_threads=options.threads)


def _fit(
    options: ConfidenceOptions,
    expression: Expression,
    rows: NDArray[np.int64],
    d: int,
    seed: int,
    *,
    calibrated: bool = True,
) -> Model:
    config = FitConfig(n_components=d, seed=seed, n_threads=options.threads)
    return fit(
        take(expression, rows),
        config,
        transform="none",
        calibrate=calibrated,
    )


def take(
    expression: Expression, rows: NDArray[Any], genes: NDArray[Any] | None = None
) -> Expression:
    """Some samples, and some genes."""
    values, names = expression.values[rows], expression.gene_names
    if genes is not None:
        values, names = values[:, genes], names[genes]
    return Expression.adopt(np.ascontiguousarray(values), expression.sample_names[rows], names)


def half_distances(
    model: Model, expression: Expression, rows: NDArray[Any], n_splits: int, threads: int
) -> NDArray[np.float64]:
    """Squared Mahalanobis distances between the places by two halves of the genes."""
    random = np.random.default_rng(len(rows))
    parts = []
    for _ in range(n_splits):
        order = random.permutation(expression.n_genes)
        middle = len(order) // 2
        one, other = (
            project(model, take(expression, rows, np.sort(half)), n_threads=threads)
            for half in (order[:middle], order[middle:])
        )
        gap = one.sample_embedding.astype(np.float64) - other.sample_embedding
        parts.append(squared_distance(gap, one.covariance + other.covariance))
    return np.concatenate(parts)


def _called(
    model: Model, expression: Expression, rows: NDArray[Any], threads: int
) -> NDArray[np.bool_]:
    placed = project(model, take(expression, rows), n_threads=threads)
    assert placed.p_value is not None
    return np.less_equal(placed.p_value, FALSE_ALARMS)
