"""The units of new samples: what they look like if not the model's, and how to convert them.

A query in other units is recognised by trying: every usual reading of its values (logarithms of
base 2, e or 10, linear values, counts; of counts per million or per 10,000) is converted to the
units of the training data, and the genes' means are compared with the model's, as `scale_doubt`
does. A reading is believed only if the values as they stand are doubtful, the converted ones are
not, and the values bear it (whole numbers, range, totals of samples). Conversions that
subtract what is unknown, such as the genes' means of z-scores, do not exist.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.data import account
from fembed.data.chunks import even_choice, row_chunks
from fembed.data.expression import Expression
from fembed.engine import Float32
from fembed.errors import DataWarning, InputError, shown
from fembed.inference.doubts import gene_distance, scale_doubt
from fembed.model import Model
from fembed.solvers import library_size

#: So many samples decide.
MAX_SAMPLES = 64
#: Totals of samples within this share of a million or of 10,000 were made so.
TOTAL_TOLERANCE = 0.02
#: Of readings that are nearly as near, within this factor, the simplest is taken.
AS_NEAR = 1.1
#: The largest exponent that is undone: 10^9 is more than a million.
MAX_DIGITS = 9.0
#: Scaled values: of so many samples at least, the genes' means lie within this many of their
#: standard deviations from zero.
MIN_SCALED_SAMPLES = 10
MAX_SCALED_MEAN = 0.05
_LOGARITHMS = {2.0: "log2", math.e: "natural logarithms", 10.0: "log10"}
_TOTALS = {1e6: "per million", 1e4: "per 10,000"}
_OPTION = (
    "--transform match of fembed project, impute, annotate and aberrant (in Python "
    "transform='match')"
)


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


def check_query_transform(transform: Any) -> None:
    """Raise InputError unless ``transform`` is None or ``"match"``."""
    if transform not in (None, "match"):
        raise InputError(
            f"transform is {shown(transform)}, but new samples are transformed as the model was; "
            "give 'match' to convert other units first, or leave it out."
        )


def in_model_units(model: Model, expression: Expression) -> Expression:
    """The data in the units of the training data: itself if it seems to be, else converted.

    Parameters
    ----------
    model : Model
    expression : Expression
        It is not changed.

    Raises
    ------
    InputError
        For data or a model with several layers.

    Warns
    -----
    DataWarning
        That values were converted: from what, and how. Where they seem to be in other units but no
        reading of them fits, nothing is changed, and `project` warns.
    """
    if model.preprocessing.layers or expression.layers:
        raise InputError(
            "The transform 'match' is for data and models of one measurement, not for several "
            "layers; give each layer in the units of the training data."
        )
    expression.check(min_samples=1, allow_unobserved_genes=True)
    some = _some(expression)
    if _doubt(model, some) is None:
        return expression
    found = reading(model, some)
    if found is None:
        return expression
    values = expression.values.copy()
    found.convert(values)
    warnings.warn(
        f"{expression.origin} was taken for {found.looks} and converted to the units of the "
        f"training data: its values were {found.steps}.",
        DataWarning,
        stacklevel=3,
    )
    source = replace(expression.source, units=None)
    return replace(expression, values=values, source=source)


def sentence(model: Model, expression: Expression) -> str | None:
    """A warning that says what the values are and what mends it; None if no reading fits."""
    if model.preprocessing.layers or expression.layers:
        return None
    some = _some(expression)
    scaled = scaled_kind(some.values)
    if scaled is not None:
        return (
            f"{expression.origin} seems to be on another scale than the model: it looks like "
            f"{scaled}, from which the levels of expression cannot be had back; give the values "
            "before that step, in the units of the training data, or their places mean little."
        )
    found = reading(model, some)
    if found is None:
        return None
    return (
        f"{expression.origin} seems to be on another scale than the model: it looks like "
        f"{found.looks}; {_OPTION} converts it, or give the samples in the units of the training "
        "data."
    )


def reading(model: Model, expression: Expression) -> Reading | None:
    """The reading whose gene means are nearest the model's; None if none is on its scale."""
    found = expression.find_genes(model.gene_names)
    at = np.flatnonzero(found.found)
    parameters = model.parameters.take_genes(at)
    best: tuple[float, Reading] | None = None
    for one in _readings(model.preprocessing.transform, expression):
        values = expression.values.copy()
        one.convert(values)
        taken = replace(expression, values=values).take_genes(model.gene_names, found)
        profiles = np.ascontiguousarray(model_scale(model, taken)[:, at])
        if scale_doubt(parameters, profiles, "") is not None:
            continue
        distance = gene_distance(parameters, profiles)
        if distance is not None and (best is None or AS_NEAR * distance < best[0]):
            best = distance, one
    return None if best is None else best[1]


def model_scale(model: Model, taken: Expression) -> Float32:
    """``taken``, which has the model's genes in its order, on the model's scale, in place."""
    profiles = model.preprocessing.apply_to(taken)
    for layer, columns in model.preprocessing.pieces(model.n_genes):
        if layer.transform == "cpm":
            of_layer = model.parameters.take_genes(np.arange(model.n_genes)[columns])
            library_size.rescale(of_layer, profiles[:, columns], layer.weight)
    return profiles


def scaled_kind(values: Float32) -> str | None:
    """``"z-scores"`` or ``"centred values"`` in words, by the genes' means; None for others."""
    if len(values) < MIN_SCALED_SAMPLES or not (values < 0).any():
        return None
    observed = values[:, (~np.isnan(values)).sum(axis=0) >= MIN_SCALED_SAMPLES]
    if not observed.size:
        return None
    mean, deviation = (f(observed, axis=0, dtype=np.float64) for f in (np.nanmean, np.nanstd))
    spread = float(np.median(deviation))
    if not spread > 0 or float(np.median(np.abs(mean))) > MAX_SCALED_MEAN * spread:
        return None
    if abs(spread - 1.0) < 0.1 and float(np.median(np.abs(deviation - spread))) < 0.1:
        return "z-scores (every gene has a mean near 0 and a standard deviation near 1)"
    return "ratios or centred values (every gene has a mean near 0)"


def _some(expression: Expression) -> Expression:
    rows = even_choice(expression.n_samples, MAX_SAMPLES)
    return expression.take_samples(rows)


def _doubt(model: Model, some: Expression) -> str | None:
    """Why the values are not in the units of the training data; None if they seem to be."""
    transform = model.preprocessing.transform
    found = some.find_genes(model.gene_names)
    at = np.flatnonzero(found.found)
    if not at.size:
        return None  # `match` says so
    taken = some.take_genes(model.gene_names, found)
    doubt = account.model_unit_doubt(taken.values, transform, some.origin, some.source.units)
    if doubt is not None:
        return doubt
    if transform != "none" and (taken.values < 0).any():
        return None  # `match` refuses them
    profiles = np.ascontiguousarray(model_scale(model, taken)[:, at])
    return scale_doubt(model.parameters.take_genes(at), profiles, some.origin)


def _readings(transform: str, expression: Expression) -> Iterator[Reading]:
    """Readings that the values bear, the simplest first, without that of the model itself."""
    units = account.units_of(expression.values, expression.source.units)
    made = _made_total(expression.values)
    targets = (None,) if transform != "none" else tuple(_LOGARITHMS)
    if units.kind in ("counts", "linear"):
        bases: tuple[float | None, ...] = (None,)
    elif units.kind in ("log", "centred"):
        bases = tuple(b for b in _LOGARITHMS if units.highest * math.log10(b) <= MAX_DIGITS)
    else:
        return
    if made is not None and made[0] in bases:
        bases = (made[0],)
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


def _made_total(values: Float32) -> tuple[float | None, float] | None:
    """The base (None: linear) in which all samples have one usual total, and that total."""
    block = values.astype(np.float64)
    if np.nanmin(block) < 0:
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
