"""Labels carried over: how many are right, how honest their probabilities are, who is unknown.

In every fold a map of the training patients labels the samples of the others, by `fembed.annotate`
and by rivals on the very same places: the five nearest samples, and logistic regression on
standardised coordinates, also with temperature scaling (Guo et al. 2017; the temperature from
probabilities of left-out fifths of the training samples). The expected calibration error is that of
all test samples together, in ten equal bins. Who is called unknown, at a p-value of 5 %: test
samples of known labels; and all samples of some labels that a map was never shown.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.cohorts import N_FOLDS, Labelled, OnData
from benchmarks.estimates import means
from benchmarks.options import option
from benchmarks.report import Bar, Report, say, table
from fembed import FitConfig, Model, annotate, fit
from fembed.data import readers
from fembed.inference import Annotation
from fembed.solvers.soft_labels import calibration_error

Float64 = NDArray[np.float64]

OURS = "fembed"
CALIBRATION_BAR = Bar("<=", 0.05)


@dataclass(frozen=True, kw_only=True)
class Options(OnData):
    """What is measured; the bars are for the default data."""

    label: str = option("cohort", "the column of labels to carry over")
    dims: tuple[int, ...] = option((2, 8), "dimensions of the map")
    left_out: tuple[str, ...] = option(
        ("THCA", "KIRC", "PRAD"), "labels of which another map is shown no sample"
    )
    folds: int = option(N_FOLDS, "of the five, the first so many")


@dataclass(frozen=True)
class Said:
    """Of one way in one fold: what it said of the test samples."""

    way: str
    dimension: int
    fold: int
    accuracy: float
    log_loss: float
    probability: list[float]
    right: list[bool]


def run(options: Options) -> int:
    """Measure, print and write; the exit status."""
    data, report = options.read(), Report("annotate", options)
    labels = readers.read(options.files[0]).labels(options.label)
    folds = data.folds()[: options.folds]
    found: list[Said] = []
    for d in options.dims:
        unknown: list[NDArray[np.bool_]] = []
        for fold, (train, test) in enumerate(folds):
            model, ours = _annotated(options, data, labels, train, test, d, fold)
            unknown.append(ours.unknown)
            ways = {OURS: (ours.names, ours.probabilities)} | _rivals(
                model, labels[train], ours.projection.sample_embedding
            )
            for way, (names, probabilities) in ways.items():
                found.append(_said(way, d, fold, names, probabilities, labels[test]))
                say(f"{d}-D, fold {fold}, {way}: {found[-1].accuracy:.3f}")
        _compare(report, found, d)
        share = 100 * float(np.concatenate(unknown).mean())
        report.add(f"{d}-D: test samples called unknown", share, unit="%", digits=1)
        _left_out(options, report, data, labels, d)
    report.measures["said"] = [asdict(one) for one in found]
    return report.finish()


def _annotated(
    options: Options,
    data: Labelled,
    labels: NDArray[np.object_],
    train: NDArray[np.int64],
    test: NDArray[np.int64],
    d: int,
    seed: int,
) -> tuple[Model, Annotation]:
    """A map of some samples, and the labels that it gives to others."""
    config = FitConfig(n_components=d, seed=seed, n_threads=options.threads)
    model = fit(data.part(train), config, transform="none")
    given = annotate(model, data.part(test), labels[train], n_threads=options.threads)
    return model, given


def _rivals(
    model: Model, labels: NDArray[np.object_], places: NDArray[np.float32]
) -> dict[str, tuple[NDArray[np.object_], Float64]]:
    """By name: the labels, and their probabilities at ``places``."""
    known, texts = model.sample_embedding, labels.astype(str)
    near = KNeighborsClassifier(5).fit(known, texts)
    linear = _logistic().fit(known, texts)
    left_out = cross_val_predict(_logistic(), known, texts, cv=5, method="predict_proba")
    truth = np.searchsorted(linear.classes_, texts)
    told = linear.predict_proba(places)
    found = {
        "kNN-5": near.predict_proba(places),
        "logistic": told,
        "logistic, temperature": _scaled(told, _temperature(left_out, truth)),
    }
    return {way: (linear.classes_.astype(object), np.asarray(of)) for way, of in found.items()}


def _logistic() -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=3000))


def _scaled(probabilities: Float64, temperature: float) -> Float64:
    logs = np.log(np.maximum(probabilities, 1e-12)) / temperature
    return np.asarray(np.exp(log_softmax(logs, axis=1)))


def _temperature(probabilities: Float64, truth: NDArray[np.intp]) -> float:
    def loss(logarithm: float) -> float:
        scaled = _scaled(probabilities, float(np.exp(logarithm)))
        return -float(np.log(scaled[np.arange(len(truth)), truth]).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded").x))


def _said(
    way: str,
    d: int,
    fold: int,
    names: NDArray[np.object_],
    probabilities: Float64,
    truth: NDArray[np.object_],
) -> Said:
    right = names[probabilities.argmax(axis=1)] == truth
    own = probabilities[
        np.arange(len(truth)), np.searchsorted(names.astype(str), truth.astype(str))
    ]
    loss = -float(np.log(np.maximum(own, 1e-12)).mean())
    said = probabilities.max(axis=1)
    return Said(way, d, fold, float(right.mean()), loss, said.tolist(), right.tolist())


def _compare(report: Report, found: list[Said], d: int) -> None:
    here = [one for one in found if one.dimension == d]
    accuracies = means(here, lambda one: one.way, lambda one: one.accuracy)
    losses = means(here, lambda one: one.way, lambda one: one.log_loss)
    errors = {}
    for way in accuracies:
        some = [one for one in here if one.way == way]
        said = np.concatenate([one.probability for one in some])
        errors[way] = calibration_error(said, np.concatenate([one.right for one in some]))
    best = max((way for way in accuracies if way != OURS), key=lambda way: accuracies[way])
    note = f"{best} {accuracies[best]:.3f}"
    report.add(f"{d}-D: accuracy", accuracies[OURS], digits=3, note=note)
    what = f"{d}-D: expected calibration error"
    report.add(what, errors[OURS], CALIBRATION_BAR, digits=3)
    lines = [
        (way, *(f"{of[way]:.3f}" for of in (accuracies, errors, losses))) for way in accuracies
    ]
    headings = ("way", "accuracy", "calibration error", "log loss")
    report.tables.append(table(f"{d}-D, test samples", headings, lines, left=("way",)))


def _left_out(
    options: Options, report: Report, data: Labelled, labels: NDArray[np.object_], d: int
) -> None:
    """Labels that a map was never shown: all samples of them, and the first fold's of others."""
    train, _ = data.folds()[0]
    mine = np.isin(labels, options.left_out)
    if not mine.any():
        return
    new = np.flatnonzero(mine)
    _, found = _annotated(options, data, labels, train[~mine[train]], new, d, 0)
    for label in options.left_out:
        share = 100 * float(found.unknown[labels[new] == label].mean())
        what = f"{d}-D: {label}, left out with the others, called unknown"
        report.add(what, share, unit="%", digits=1)
