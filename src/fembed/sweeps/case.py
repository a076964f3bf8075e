"""One case of a sweep: a model of all samples, and how well labels can be told from its map."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.config import FitConfig
from fembed.data.expression import Expression
from fembed.data.preprocess import Preprocessing
from fembed.engine import Float32
from fembed.errors import DataWarning, TrainingError
from fembed.evaluation.folds import Fold
from fembed.inference.projection import project
from fembed.model import Model
from fembed.sweeps.classifier import NetworkClassifier
from fembed.train import fit

NEIGHBOURS = 5
#: What is measured of each case, in the order of the table.
MEASURES = (
    "loss",
    "explained_variance",
    "map_size",
    "steps",
    "seconds",
    "knn_accuracy",
    "held_out_knn_accuracy",
    "held_out_loss",
    "network_accuracy",
)


@dataclass(frozen=True)
class Protocol:
    """What is measured, the same for all cases.

    Attributes
    ----------
    held_out : bool
        Also train without the test part of the first fold and project it, so that its samples
        had no part in the model.
    classifier_steps : int
        Training steps of the published network classifier; 0 leaves it out.
    """

    held_out: bool = True
    classifier_steps: int = 2000


@dataclass(frozen=True)
class Shared:
    """What all cases have in common."""

    expression: Expression
    labels: NDArray[Any]
    folds: list[Fold]
    preprocessing: Preprocessing
    protocol: Protocol


@dataclass
class CaseResult:
    """The outcome of a case.

    Attributes
    ----------
    config : FitConfig
    measures : dict
        See `MEASURES`; None where a measure was not taken.
    embedding : float32, n_samples x n_components, or None where training failed
    warnings : list of str
    failure : str
        Why there is no model, or nothing.
    model : Model or None
        The trained model; None once it is stored.
    """

    config: FitConfig
    measures: dict[str, float | int | None]
    embedding: Float32 | None
    warnings: list[str]
    failure: str = ""
    model: Model | None = None


def run_case(shared: Shared, config: FitConfig, n_threads: int) -> CaseResult:
    """Train and measure one case; a loss that is no longer finite is a result, not an error."""
    measures: dict[str, float | int | None] = dict.fromkeys(MEASURES)
    config = replace(config, n_threads=n_threads)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        try:
            everyone = shared.expression.take_samples(np.arange(shared.expression.n_samples))
            model = _fit(everyone, shared, config)
            measures |= _measures_of(model, shared)
            if shared.protocol.held_out:
                measures |= _held_out(shared, config)
        except TrainingError as error:
            return CaseResult(_plain(config), measures, None, _told(caught), str(error))
    model.config = _plain(model.config)
    embedding = np.asarray(model.sample_embedding, np.float32)
    return CaseResult(_plain(config), measures, embedding, _told(caught), model=model)


def _fit(expression: Expression, shared: Shared, config: FitConfig) -> Model:
    """A model of samples that `take_samples` copied: the shared values may be a read-only map."""
    return fit(
        expression,
        config,
        transform=shared.preprocessing.transform,
        verbose=False,
        overwrite_values=True,
        calibrate=False,
    )


def _measures_of(model: Model, shared: Shared) -> dict[str, float | int | None]:
    points = np.asarray(model.sample_embedding, np.float32)
    centred = points - points.mean(axis=0)
    found: dict[str, float | int | None] = {
        "loss": float(model.training["mse"]),
        "explained_variance": float(model.training["explained_variance"]),
        "map_size": float(np.sqrt(np.mean(np.square(centred, dtype=np.float64)))),
        "steps": int(model.training["steps"]),
        "seconds": float(model.training["seconds"]),
        "knn_accuracy": _accuracy(_neighbours(), points, shared),
    }
    steps = shared.protocol.classifier_steps
    if steps:
        found["network_accuracy"] = _accuracy(NetworkClassifier(steps=steps), points, shared)
    return found


def _accuracy(classifier: Any, points: Float32, shared: Shared) -> float:
    """Mean accuracy over the folds of samples that all took part in the embedding."""
    from sklearn.base import clone

    scores = [
        clone(classifier)
        .fit(points[fold.training], shared.labels[fold.training])
        .score(points[fold.test], shared.labels[fold.test])
        for fold in shared.folds
    ]
    return float(np.mean(scores))


def _held_out(shared: Shared, config: FitConfig) -> dict[str, float | int | None]:
    """Accuracy and loss on the first fold's test part, projected into a model of the rest."""
    fold = shared.folds[0]
    model = _fit(shared.expression.take_samples(fold.training), shared, config)
    unseen = shared.expression.take_samples(fold.test)
    placed = project(model, unseen, n_threads=config.n_threads, verbose=False)
    classifier = _neighbours().fit(model.sample_embedding, shared.labels[fold.training])
    return {
        "held_out_knn_accuracy": float(
            classifier.score(placed.sample_embedding, shared.labels[fold.test])
        ),
        "held_out_loss": float(placed.loss @ placed.n_genes / placed.n_genes.sum()),
    }


def _neighbours() -> Any:
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(NEIGHBOURS)


def _plain(config: FitConfig) -> FitConfig:
    """Without the threads, which differ between machines and change no model."""
    return replace(config, n_threads=None)


def _told(caught: list[warnings.WarningMessage]) -> list[str]:
    return list(
        dict.fromkeys(str(one.message) for one in caught if issubclass(one.category, DataWarning))
    )
