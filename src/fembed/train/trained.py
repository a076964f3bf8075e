"""What a recipe hands back, and what can only be learnt while its data are at hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed import confidence, residuals
from fembed.engine import Float32
from fembed.parameters import Parameters
from fembed.residuals import Residuals


@dataclass(frozen=True)
class Certainty:
    """How far a model can be believed, beside its parameters.

    Attributes
    ----------
    ellipse_factor : float
        See `fembed.confidence.ellipse_factor`.
    residuals : Residuals or None
        On the scale of the values that the recipe trained on.
    calibrated_on : str
        Whose factor it is: that of held-out samples, or of training samples.
    """

    ellipse_factor: float
    residuals: Residuals | None
    calibrated_on: str

    def times(self, scale: float) -> Certainty:
        """The same for values ``scale`` times as large."""
        scaled = None if self.residuals is None else self.residuals.times(scale)
        return Certainty(self.ellipse_factor, scaled, self.calibrated_on)


@dataclass(frozen=True)
class Trained:
    """Parameters in the units of the values, every sample's loss, and what the fit reports."""

    parameters: Parameters
    sample_loss: NDArray[np.float64]
    report: dict[str, Any]
    certainty: Certainty | None = None


def held_out_factor(
    trained: Parameters, values: Float32, held_out: NDArray[np.intp], n_threads: int | None
) -> float | None:
    """The ellipses' factor of samples that have not been trained on yet; None for too few."""
    if len(held_out) < confidence.LEAST_SAMPLES:
        return None
    profiles = np.ascontiguousarray(values[held_out[: confidence.MOST_SAMPLES]])
    return confidence.ellipse_factor(trained, profiles, n_threads)


def certainty(
    parameters: Parameters, values: Float32, factor: float | None, n_threads: int | None
) -> Certainty:
    """What the finished parameters leave of the values they were trained on.

    Without a factor of held-out samples it is that of training samples, which is too small.
    """
    calibrated_on = "held-out samples"
    if factor is None:
        calibrated_on = "training samples"
        factor = confidence.ellipse_factor(parameters, values, n_threads)
    return Certainty(factor, residuals.learn(parameters, values, n_threads), calibrated_on)
