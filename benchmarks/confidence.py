"""Confidence: how often ellipses cover, and how often known and unknown kinds are called outliers.

The patients are cut in three: training, calibration (never trained on) and test. Coverage: a test
sample is placed by two random halves of its genes; the difference of the two places lies in the
90 % ellipse of the sum of their covariances as often as each covers where very many genes would
place it. False alarms: test samples with a p-value of at most 5 %. Power: one tumour type is left
out of training and calibration, and its samples are called outliers as often as they should be.
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
from fembed.confidence import squared_distance
from fembed.config import FitConfig
from fembed.expression import Expression
from fembed.frozen import calibrate
from fembed.model import Model
from fembed.preprocess import Preprocessing
from fembed.projection import project
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
        covered, bare, alarms = [], [], []
        for fold, (train, test) in enumerate(folds):
            model = _model(options, expression, train, d, fold)
            assert model.calibration is not None
            distances = half_distances(model, expression, test, options.halves, options.threads)
            limit = float(chi2(d).ppf(LEVEL))
            covered.append(distances < limit)
            bare.append(distances * model.calibration.ellipse_factor < limit)
            alarms.append(_called(model, expression, test, options.threads))
            print(f"{d}-D fold {fold}: covered {covered[-1].mean():.3f}", flush=True)
        coverage = float(np.concatenate(covered).mean())
        note = f"without calibration {100 * np.concatenate(bare).mean():.1f} %"
        for bar in (Bar(">=", 85.0), Bar("<=", 95.0)):
            what = f"{d}-D: ellipses of {LEVEL:.0%} cover"
            report.add(what, 100 * coverage, bar, unit="%", digits=1, note=note)
        what = f"{d}-D: false alarms at {FALSE_ALARMS:.0%}"
        share = 100 * float(np.concatenate(alarms).mean())
        report.add(what, share, unit="%", digits=1)
        _left_out(options, report, expression, folds[0], d)
    return report.finish(output)


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
    config = FitConfig(n_components=d, seed=seed, n_threads=options.threads)
    model = fit(take(expression, train[fitted]), config, preprocessing=Preprocessing("none"))
    return calibrate(model, take(expression, train), n_threads=options.threads)


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
