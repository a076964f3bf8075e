"""What a training reports while it runs, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.model import Calibration
from fembed.parameters import Parameters
from fembed.solvers.count_model import CountModel
from fembed.solvers.residual_factors import ResidualFactors

Curve = list[dict[str, float | int | None]]


@dataclass(frozen=True)
class Progress:
    """What a fit is doing.

    Attributes
    ----------
    stage : str
    step, n_steps : int
    seconds : float
        Since training began.
    loss : float
        Mean squared error of the latest blocks, on the model's scale.
    held_out_loss : float or None
        The same of the held-out samples or entries, when last evaluated.
    pairs_per_second : float
        Entries trained per second so far.
    """

    stage: str
    step: int
    n_steps: int
    seconds: float
    loss: float
    held_out_loss: float | None
    pairs_per_second: float


@dataclass
class TrainingLog:
    """The time that a training has taken, the entries that it has seen, and its curve.

    Attributes
    ----------
    position : int
        Blocks taken from the present stream.
    history : list of dict
        The training curve.
    seconds : float
        What earlier processes spent on it, before a checkpoint.
    engine_seconds : float
        Within the engine.
    pairs : int
        Entries trained on.
    held_out : float, optional
        The latest loss of held-out samples or entries, on the model's scale.
    """

    position: int = 0
    history: Curve = field(default_factory=list)
    seconds: float = 0.0
    engine_seconds: float = 0.0
    pairs: int = 0
    held_out: float | None = None

    @property
    def pairs_per_second(self) -> float:
        return self.pairs / max(self.engine_seconds, 1e-9)


@dataclass(frozen=True)
class TrainingSummary:
    """What a training loop reports: its steps, passes over the matrix, speed and curve."""

    steps: int
    passes: float
    pairs_per_second: float
    history: Curve
    earlier_seconds: float


@dataclass(frozen=True)
class Trained:
    """What a recipe hands back, in the units of the values it was given.

    Attributes
    ----------
    parameters : Parameters
    sample_loss : array, n_samples
        Mean squared error of each sample's observed entries; of counts, their deviance over its
        expectation.
    variance : float
        Mean square of the observed entries around their genes' means; of counts, the mean deviance
        of a model whose samples differ in their size alone.
    pca_explained_variance : float, optional
        The share of it that as many principal components explain; None for counts.
    held_out_mse : float, optional
        The best of the held-out samples or entries; None if nothing was evaluated.
    n_held_out : int
        Samples or entries held out.
    stopped : str
        What ended the training.
    summary : TrainingSummary
    calibration : Calibration, optional
    residual_factors : ResidualFactors, optional
    count_model : CountModel, optional
        Of counts.
    mse : float, optional
        The mean deviance of counts; for measured values `sample_loss` says it.
    """

    parameters: Parameters
    sample_loss: NDArray[np.float64]
    variance: float
    pca_explained_variance: float | None
    held_out_mse: float | None
    n_held_out: int
    stopped: str
    summary: TrainingSummary
    calibration: Calibration | None = None
    residual_factors: ResidualFactors | None = None
    count_model: CountModel | None = None
    mse: float | None = None

    def report(self) -> dict[str, Any]:
        """What `Model.training` says of the recipe's part, JSON-able."""
        return {
            "steps": self.summary.steps,
            "passes": self.summary.passes,
            "pairs_per_second": self.summary.pairs_per_second,
            "history": self.summary.history,
            "pca_explained_variance": self.pca_explained_variance,
            "held_out_mse": self.held_out_mse,
            "n_held_out": self.n_held_out,
            "stopped": self.stopped,
        }


def thinned(history: list[Any], most: int) -> list[Any]:
    """At most ``most`` points of a curve, the first and the last among them."""
    if len(history) <= most:
        return history
    kept = np.linspace(0, len(history) - 1, most).round().astype(int)
    return [history[k] for k in kept]
