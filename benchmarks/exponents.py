"""How a cost grows: the slope of its logarithm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PowerLaw:
    """``cost = factor * size ** exponent``, by least squares of the logarithms.

    ``error`` is the standard error of the exponent; not a number for two points, which any line
    fits.
    """

    exponent: float
    factor: float
    error: float

    @classmethod
    def of(cls, sizes: Sequence[float], costs: Sequence[float]) -> PowerLaw | None:
        """None for fewer than two different sizes, or a cost that is not above zero."""
        if len(set(sizes)) < 2 or min(costs) <= 0:
            return None
        x, y = np.log(np.asarray(sizes, float)), np.log(np.asarray(costs, float))
        centred = x - x.mean()
        spread = float(centred @ centred)
        exponent = float(centred @ y) / spread
        residuals = y - y.mean() - exponent * centred
        freedom = len(x) - 2
        error = math.sqrt(float(residuals @ residuals) / freedom / spread) if freedom else math.nan
        return cls(exponent, math.exp(float(y.mean()) - exponent * float(x.mean())), error)

    def to_dict(self) -> dict[str, float]:
        return {"exponent": self.exponent, "factor": self.factor, "error": self.error}
