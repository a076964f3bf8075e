"""The units of new samples: what they look like if not the model's, and how to convert them.

A query in other units is recognised by trying: every usual reading of its values (logarithms of
base 2, e or 10, linear values, counts; of counts per million or per 10,000) is converted to the
units of the training data, and the genes' means are compared with the model's, as `scale_doubt`
does. A reading is believed only if the values as they stand are doubtful, the converted ones are
not, and the values bear it (whole numbers, range, totals of samples). Conversions that
subtract what is unknown, such as the genes' means of z-scores, do not exist.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from fembed.data import account
from fembed.data.chunks import even_choice
from fembed.data.expression import Expression
from fembed.engine import Float32
from fembed.errors import DataWarning, InputError, shown
from fembed.inference.doubts import gene_distance, scale_doubt
from fembed.inference.readings import Reading, made_total, readings, scaled_kind
from fembed.model import Model
from fembed.solvers import library_size

#: So many samples decide.
MAX_SAMPLES = 64
#: Of readings that are nearly as near, within this factor, the simplest is taken.
AS_NEAR = 1.1
_OPTION = (
    "--transform match of fembed project, impute, annotate and aberrant (in Python "
    "transform='match')"
)


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
    if model.count_model is not None:
        raise InputError(
            "The transform 'match' has nothing to convert to for a model of counts; give raw "
            "counts, and leave it out."
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
    scaled = scaled_kind(expression.values)
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
    for one in readings(model.preprocessing.transform, expression):
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


def made_of_logarithms(expression: Expression) -> bool:
    """Whether exponentials of the values have one usual total in every sample.

    So small and so uneven are logarithms of counts per 10,000 that their range may look linear.
    """
    made = made_total(_some(expression).values)
    return made is not None and made[0] is not None


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
    if transform != "none" and made_of_logarithms(some):
        return "logarithms of values of one total"
    profiles = np.ascontiguousarray(model_scale(model, taken)[:, at])
    return scale_doubt(model.parameters.take_genes(at), profiles, some.origin)
