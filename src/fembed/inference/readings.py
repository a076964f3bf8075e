"""How values of unknown units may be read: as which logarithm, of what, and how it is undone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fembed.data import account
from fembed.data.chunks import even_choice, row_chunks
from fembed.data.expression import Expression
from fembed.engine import Float32

#: Totals of samples within this share of a million or of 10,000 were made so.
TOTAL_TOLERANCE = 0.005
#: The largest exponent that is undone: 10^9 is more than a million.
MAX_DIGITS = 9.0
#: Scaled values: of so many samples at least, the genes' means lie within this many of their
#: standard deviations from zero; further if only some of the scaled samples are looked at.
MIN_SCALED_SAMPLES = 10
MAX_SCALED_SAMPLES = 512
MAX_SCALED_MEAN = 0.05
_LOGARITHMS = {2.0: "log2", math.e: "natural logarithms", 10.0: "log10"}
_TOTALS = {1e6: "per million", 1e4: "per 10,000"}


@dataclass(frozen=True)
class Reading:
    """One way to read values, and how they become those of the training data.

    Attributes
    ----------
    base : float or None
        Of the logarithm that they are, of x + 1; None for linear values.
    factor : float
        What linear values are multiplied by.
    total : float or None
        What each sample's linear values are to add up to; None leaves them.
    target : float or None
        Base of the logarithm, of x + 1, to end with; None for linear values.
    looks : str
        What the values are, in words.
    """

    base: float | None
    factor: float
    total: float | None
    target: float | None
    looks: str = ""

    def convert(self, values: Float32) -> None:
        """Convert in place, every sample on its own; NaN stays."""
        for rows in row_chunks(*values.shape):
            block = values[rows].astype(np.float64)
            if self.base is not None and self.target is not None and self.factor == 1.0:
                # Also right for logarithms of x without the 1, which may be negative.
                values[rows] = block * (math.log(self.base) / math.log(self.target))
                continue
            if self.base is not None:
                block = np.expm1(block * math.log(self.base))
            block *= self.factor
            if self.total is not None:
                block *= self.total / np.maximum(np.nansum(block, axis=1, keepdims=True), 1e-30)
            if self.target is not None:
                block = np.log1p(block) / math.log(self.target)
            values[rows] = block

    @property
    def steps(self) -> str:
        """What is done, in words."""
        if self.base is not None and self.target is not None and self.factor == 1.0:
            ratio = math.log(self.base) / math.log(self.target)
            return f"multiplied by {ratio:.4g}, to {_LOGARITHMS[self.target]}"
        steps = []
        if self.base is not None:
            steps.append("taken out of logarithms")
        if self.factor != 1.0:
            steps.append(f"multiplied by {self.factor:g}")
        if self.total is not None:
            steps.append(f"brought to counts {_TOTALS[self.total]}")
        if self.target is not None:
            steps.append(f"then taken {_LOGARITHMS[self.target]} of x + 1")
        return ", ".join(steps)


def readings(transform: str, expression: Expression) -> Iterator[Reading]:
    """Readings that the values bear, the simplest first, without that of the model itself."""
    units = account.units_of(expression.values, expression.source.units)
    made = made_total(expression.values)
    targets = (None,) if transform != "none" else tuple(_LOGARITHMS)
    if made is not None and made[0] is not None:
        bases: tuple[float | None, ...] = (made[0],)
    elif units.kind in ("counts", "linear"):
        bases = (None,)
    elif units.kind in ("log", "centred"):
        bases = tuple(b for b in _LOGARITHMS if units.highest * math.log10(b) <= MAX_DIGITS)
    else:
        return
    negative = units.lowest < 0
    for base in bases:
        of = _TOTALS.get(made[1]) if made is not None and made[0] == base else None
        looks = _looks(base, units.kind, of)
        factors: tuple[tuple[float, float | None], ...] = ((1.0, None),)
        if transform != "cpm" and not negative:
            factors += ((100.0, None), (0.01, None))
            factors += ((1.0, 1e6), (1.0, 1e4)) if base is None and of is None else ()
        for factor, total in factors:
            for target in targets:
                same = factor == 1.0 and total is None and base == target
                if not same and not (negative and target is None):
                    yield Reading(base, factor, total, target, looks)


def _looks(base: float | None, kind: str, of: str | None) -> str:
    if base is None:
        return (
            f"counts {of} (or TPM)" if of else "raw counts" if kind == "counts" else "linear values"
        )
    return f"{_LOGARITHMS[base]} (of counts {of})" if of else _LOGARITHMS[base]


def made_total(values: Float32) -> tuple[float | None, float] | None:
    """The base (None: linear) in which all samples have one usual total, and that total."""
    block = values.astype(np.float64)
    if not block.size or not np.nanmin(block) >= 0:
        return None
    for base in (None, *_LOGARITHMS):
        digits = 0.0 if base is None else float(np.nanmax(block)) * math.log10(base)
        if digits > MAX_DIGITS:
            continue
        linear: NDArray[np.float64] = block if base is None else np.expm1(block * math.log(base))
        totals = np.nansum(linear, axis=1)
        for total in _TOTALS:
            if (np.abs(totals - total) <= TOTAL_TOLERANCE * total).all():
                return base, total
    return None


def scaled_kind(values: Float32) -> str | None:
    """``"z-scores"`` or ``"centred values"`` in words, by the genes' means; None for others."""
    values = values[even_choice(len(values), MAX_SCALED_SAMPLES)]
    if len(values) < MIN_SCALED_SAMPLES or not (values < 0).any():
        return None
    observed = values[:, (~np.isnan(values)).sum(axis=0) >= MIN_SCALED_SAMPLES]
    if not observed.size:
        return None
    mean, deviation = (f(observed, axis=0, dtype=np.float64) for f in (np.nanmean, np.nanstd))
    spread = float(np.median(deviation))
    most = (MAX_SCALED_MEAN + len(values) ** -0.5) * spread
    if not spread > 0 or float(np.median(np.abs(mean))) > most:
        return None
    if abs(spread - 1.0) < 0.1 and float(np.median(np.abs(deviation - spread))) < 0.1:
        return "z-scores (every gene has a mean near 0 and a standard deviation near 1)"
    return "ratios or centred values (every gene has a mean near 0)"
