"""Confidence: how often ellipses cover, and how often known and unknown kinds are called outliers.

Coverage: a test sample is placed by two random halves of its genes; the difference of the two
places lies in the 90 % ellipse of the sum of their covariances as often as each covers where very
many genes would place it. Of the default fit of all training patients, and of one calibrated with a
fifth of them, which it was not trained on. False alarms: test samples to which either gives a
p-value of at most 5 %. Power: one tumour type is left out of training and calibration, and its
samples are called outliers as often as they should be. And every gene of the test samples is
shifted by its standard deviation, up or down by chance: all should have p-values below 1 %.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2
from sklearn.model_selection import GroupShuffleSplit

from benchmarks.cohorts import N_FOLDS, Fold, Labelled, OnData
from benchmarks.options import option
from benchmarks.report import Bar, Report, say
from fembed import DataWarning, Expression, FitConfig, Model, calibrate, fit, project
from fembed.solvers.uncertainty import squared_distance

LEVEL, FALSE_ALARMS = 0.9, 0.05
COVERAGE_BARS = (Bar(">=", 87.0), Bar("<=", 93.0))
ALARM_BARS = (Bar(">=", 3.0), Bar("<=", 7.0))
POWER_BARS = {"THCA": 95.0, "KIRC": 60.0, "PRAD": 80.0}
#: Of the patients that are not tested.
CALIBRATION = 0.2
HALVES = 2  # times that a sample's genes are cut in two


@dataclass(frozen=True, kw_only=True)
class Options(OnData):
    """What is measured; the bars are for the default data."""

    dims: tuple[int, ...] = option((2, 8), "dimensions of the map")
    left_out: tuple[str, ...] = option(
        ("THCA", "KIRC", "PRAD"), "parts of labels whose samples are left out, one after another"
    )
    folds: int = option(N_FOLDS, "of the five, the first so many")


def run(options: Options) -> int:
    """Measure, print and write; the exit status."""
    data = options.read()
    report = Report("confidence", options)
    folds = data.folds()[: options.folds]
    for d in options.dims:
        coverages = {way: _Coverage(d) for way in WAYS}
        alarms: dict[str, list[NDArray[np.float64]]] = {way: [] for way in WAYS}
        shifted: list[NDArray[np.float64]] = []
        for fold, (train, test) in enumerate(folds):
            for way, make in WAYS.items():
                model = make(options, data, train, d, fold)
                coverage = coverages[way]
                coverage.add(model, half_distances(model, data, test, options.threads))
                say(f"{d}-D fold {fold}, {way}: covered {coverage.covered[-1].mean():.3f}")
                alarms[way].append(_p_values(model, data.part(test), options.threads))
                if way == FITTED:
                    moved = _shifted(data, test, fold)
                    shifted.append(_p_values(model, moved, options.threads))
        for way in WAYS:
            coverages[way].report(report, f"{d}-D: {LEVEL:.0%} ellipses cover, {way}")
            share = 100 * _called(np.concatenate(alarms[way]))
            what = f"{d}-D: false alarms at {FALSE_ALARMS:.0%}, {way}"
            for bar in ALARM_BARS:
                report.add(what, share, bar, unit="%", digits=1)
        found = 100 * float((np.concatenate(shifted) < 0.01).mean())
        what = f"{d}-D: every gene shifted by its deviation, p below 1 %, {FITTED}"
        report.add(what, found, Bar(">=", 99.0), unit="%", digits=1)
        _left_out(options, report, data, folds[0], d)
    return report.finish()


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
        for bar in COVERAGE_BARS:
            report.add(what, float(covered), bar, unit="%", digits=1, note=note)


def _left_out(options: Options, report: Report, data: Labelled, fold: Fold, d: int) -> None:
    """Tumour types that neither training nor calibration has seen."""
    train, test = fold
    for kind in options.left_out:
        mine = np.array([kind in label for label in data.labels])
        if not mine.any():
            continue
        for way, make in WAYS.items():
            model = make(options, data, train[~mine[train]], d, 0)
            known = _p_values(model, data.part(test[~mine[test]]), options.threads)
            unknown = _p_values(model, data.part(np.flatnonzero(mine)), options.threads)
            report.add(
                f"{d}-D: {kind}, left out, called outliers at {FALSE_ALARMS:.0%}, {way}",
                100 * _called(unknown),
                Bar(">=", POWER_BARS[kind]) if kind in POWER_BARS else None,
                unit="%",
                digits=1,
                note=f"{mine.sum()} samples; of the known kinds {100 * _called(known):.1f} %",
            )


def _calibrated(
    options: Options, data: Labelled, train: NDArray[np.int64], d: int, seed: int
) -> Model:
    """Trained on four fifths of ``train``'s patients, calibrated with the others."""
    assert data.groups is not None
    split = GroupShuffleSplit(1, test_size=CALIBRATION, random_state=seed)
    fitted, _ = next(split.split(train, groups=data.groups[train]))
    model = _fit(options, data, train[fitted], d, seed, calibrated=False)
    return calibrate(model, data.part(train), n_threads=options.threads)


def _fit(
    options: Options,
    data: Labelled,
    rows: NDArray[np.int64],
    d: int,
    seed: int,
    *,
    calibrated: bool = True,
) -> Model:
    return fit(
        data.part(rows),
        FitConfig(n_components=d, seed=seed, n_threads=options.threads),
        transform="none",
        calibrate=calibrated,
    )


#: How a model comes by its factor and its p-values.
FITTED = "as fitted"
WAYS: dict[str, Callable[[Options, Labelled, NDArray[np.int64], int, int], Model]] = {
    FITTED: _fit,
    "after `calibrate`": _calibrated,
}


def half_distances(
    model: Model, data: Labelled, rows: NDArray[Any], threads: int
) -> NDArray[np.float64]:
    """Squared Mahalanobis distances between the places by two halves of the genes."""
    random = np.random.default_rng(len(rows))
    parts = []
    for _ in range(HALVES):
        order = random.permutation(data.values.shape[1])
        middle = len(order) // 2
        one, other = (
            project(model, data.part(rows, np.sort(half)), n_threads=threads)
            for half in (order[:middle], order[middle:])
        )
        gap = one.sample_embedding.astype(np.float64) - other.sample_embedding
        parts.append(squared_distance(gap, one.covariance + other.covariance))
    return np.concatenate(parts)


def _shifted(data: Labelled, rows: NDArray[np.int64], seed: int) -> Expression:
    """Samples with every gene moved by its standard deviation, up or down by chance."""
    deviation = np.nanstd(data.values, axis=0)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=deviation.shape)
    some = data.part(rows)
    return replace(some, values=(some.values + signs * deviation).astype(np.float32))


def _p_values(model: Model, samples: Expression, threads: int) -> NDArray[np.float64]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # that shifted samples are on another scale
        found = project(model, samples, n_threads=threads).p_value
    assert found is not None
    return found


def _called(p_values: NDArray[np.float64]) -> float:
    """The share that is called an outlier."""
    return float(np.less_equal(p_values, FALSE_ALARMS).mean())
