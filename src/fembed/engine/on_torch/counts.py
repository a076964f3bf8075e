"""The likelihood of counts in tensors, with the formulas of src/core/counts.hpp.

In float32 the textbook's terms cancel; `docs/model.md` says how they are arranged anew.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from fembed.engine.on_torch.devices import Place
from fembed.likelihood import LOG_MEAN_LIMITS, Counts


class CountTerms(NamedTuple):
    """Half the unit deviance, its slope in the logarithm of the mean, and the Fisher weight."""

    half_deviance: Tensor
    slope: Tensor
    weight: Tensor


def count_terms(log_mean: Tensor, counts: Tensor, dispersion: Tensor) -> CountTerms:
    """Of counts y; what is given for a count that is NaN has no meaning."""
    eta = log_mean.clamp(*LOG_MEAN_LIMITS)
    positive = counts > 0
    product = dispersion * counts
    reciprocal = 1 / (1 + product)
    few = product <= 1  # the count is at most 1 / dispersion
    p = torch.where(few, product * reciprocal, reciprocal)
    rest = torch.where(few, reciprocal, product * reciprocal)  # 1 - p
    size = torch.where(few, counts, 1 / dispersion)
    log_ratio = eta - torch.where(positive, counts, torch.ones_like(counts)).log()
    s = torch.where(few, log_ratio, -log_ratio)
    # Zero has no logarithm: half its deviance is log(1 + alpha mu) / alpha.
    grown = s.exp()
    change = torch.where(positive, s.expm1(), grown)
    x = torch.where(positive, p, dispersion) * change
    scale = torch.where(positive, size * rest, torch.ones_like(size)) / (1 + x)
    slope = scale * torch.where(few, change, -change)
    # Numbers below the normal ones have few digits.
    tiny = x.abs() < torch.finfo(x.dtype).tiny
    log = change * torch.where(tiny, torch.ones_like(x), x.log1p() / x)
    half_deviance = torch.where(positive, size * (log - s), log)
    # Beyond the limits the deviance goes on as its tangent, if that rises.
    half_deviance = half_deviance + (slope * (log_mean - eta)).clamp(min=0)
    return CountTerms(half_deviance, slope, scale * torch.where(few, grown, torch.ones_like(grown)))


class KnownOfCounts:
    """Offsets and dispersions on the device, of pairs of rows and columns."""

    def __init__(self, counts: Counts, n_rows: int, n_columns: int, place: Place) -> None:
        def vector(values: Any, size: int) -> Tensor:
            if values is None:
                return torch.zeros(size, dtype=place.dtype, device=place.device)
            return place.numbers(values)

        self._rows = [
            vector(values, n_rows)[:, None] for values in (counts.row_offset, counts.row_dispersion)
        ]
        self._columns = [
            vector(values, n_columns) for values in (counts.column_offset, counts.column_dispersion)
        ]

    def of(self, rows: Any, columns: Any) -> KnownOfPairs:
        """Of pairs (m x g) of some rows and columns, by their numbers or slices."""
        offset, dispersion = (
            of_rows[rows] + of_columns[columns]
            for of_rows, of_columns in zip(self._rows, self._columns, strict=True)
        )
        return KnownOfPairs(offset, dispersion)


class KnownOfPairs(NamedTuple):
    """Of pairs: what is added to their predictions, and their dispersions."""

    offset: Tensor
    dispersion: Tensor

    def terms(self, prediction: Tensor, counts: Tensor) -> CountTerms:
        return count_terms(prediction + self.offset, counts, self.dispersion)
