"""What a recipe hands back, and what can only be learnt while its data are at hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.engine import Float32
from fembed.model import Calibration
from fembed.parameters import Parameters
from fembed.solvers import uncertainty
from fembed.solvers.residual_factors import Residuals


@dataclass(frozen=True)
class Trained:
    """All in the units of the values; `calibration` and `residuals` are a model's."""

    parameters: Parameters
    sample_loss: NDArray[np.float64]
    report: dict[str, Any]
    calibration: Calibration | None = None
    residuals: Residuals | None = None


def held_out_factor(
    trained: Parameters, values: Float32, held_out: NDArray[np.intp], n_threads: int | None
) -> float | None:
    """The ellipses' factor of samples that have not been trained on yet; None for too few."""
    if len(held_out) < uncertainty.LEAST_SAMPLES:
        return None
    profiles = np.ascontiguousarray(values[held_out[: uncertainty.MOST_SAMPLES]])
    return uncertainty.ellipse_factor(trained, profiles, n_threads)


def calibration(
    parameters: Parameters, values: Float32, factor: float | None, n_threads: int | None
) -> Calibration:
    """With the factor of held-out samples, or else that of training samples."""
    held_out = factor is not None
    if factor is None:
        factor = uncertainty.ellipse_factor(parameters, values, n_threads)
    return Calibration(factor, np.empty(0), held_out)
