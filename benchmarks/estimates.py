"""Means with their standard errors, and how a cost grows: the slope of its logarithm."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

Record = TypeVar("Record")
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Estimate:
    """Mean over folds and seeds, with the standard error that n independent ones would have.

    Folds share training samples, so they are not independent: the error is what the field
    reports, and too small.
    """

    mean: float
    error: float
    n: int

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Estimate:
        """Of the values that there are; not a number where they are too few."""
        known = [value for value in values if value is not None]
        n = len(known)
        mean = statistics.fmean(known) if n else math.nan
        error = statistics.stdev(known) / math.sqrt(n) if n > 1 else math.nan
        return cls(mean, error, n)


def means(
    records: Iterable[Record],
    key: Callable[[Record], Key],
    value: Callable[[Record], float | None],
) -> dict[Key, float]:
    """The mean of each key's values, in the order of the keys; keys without one are not there."""
    groups: dict[Key, list[float | None]] = {}
    for record in records:
        groups.setdefault(key(record), []).append(value(record))
    found = {name: Estimate.of(values) for name, values in groups.items()}
    return {name: estimate.mean for name, estimate in found.items() if estimate.n}


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
