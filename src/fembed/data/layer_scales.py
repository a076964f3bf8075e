"""The transform and the weight of every layer, so that none outweighs the others.

The weights make layers alike in units, and between two extremes in size. With the same variance per
entry, a layer of 200 features has a hundredth of the loss beside one of 20,000; with the same total
variance, or the same first singular value as in multiple factor analysis (Escofier & Pages 1994),
it has half, and its noise moves the samples of the others. The geometric mean of the two is taken:
the variance of an entry goes with one over the root of the number of features. See
docs/experiments.md for what was measured.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fembed.data import account
from fembed.data.chunks import row_chunks
from fembed.data.expression import Expression
from fembed.data.layers import Part, columns_of
from fembed.data.preprocess import Layer, Preprocessing
from fembed.data.transforms import MILLION, Transform, check_transform
from fembed.errors import InputError, shown


def prepared_for(
    expression: Expression,
    transform: Transform | Mapping[str, Transform] = "log10",
    target_sum: float | str | None = None,
) -> Preprocessing:
    """The transform of the data, or that of each layer; weights are all 1.

    Parameters
    ----------
    transform : str, or mapping of str to str
        Of the first layer, or by the layers' names. A further layer that it does not name has the
        transform that its values suggest: ``none`` for a log scale, values below zero, and values
        from 0 to 1; that of the first layer, or else log10, for others; and cpm in place of log10
        for counts whose totals differ between samples.
    target_sum : float or "median", optional
        Of the transform cpm, if not a million; the median is that of the samples' totals.
    """
    names = [part.name for part in expression.layers]
    given = dict(transform) if isinstance(transform, Mapping) else {}
    for name, wanted in given.items():
        if name not in names:
            there = f"they are {', '.join(names)}" if names else "there is one matrix alone"
            raise InputError(f"There is no layer {shown(name)} to transform; {there}.")
        check_transform(wanted)
    if not names:
        if isinstance(transform, Mapping):
            raise InputError("The transforms are of no layer; give one word, such as 'log10'.")
        return Preprocessing(transform, target_sum=_target(expression, target_sum))
    if target_sum is not None:
        raise InputError("target_sum is for one matrix; leave it out where there are layers.")
    first = given.get(names[0], "log10") if isinstance(transform, Mapping) else transform
    check_transform(first)
    layers = []
    for k, (part, columns) in enumerate(columns_of(expression)):
        chosen = first if k == 0 else given.get(part.name)
        if chosen is None:
            chosen = _suggested(expression, part, columns, first)
        layers.append(Layer(part.name, part.n_features, chosen))
    return Preprocessing(first, tuple(layers))


def _target(expression: Expression, target_sum: float | str | None) -> float:
    """What the counts of a sample are to add up to, as a number."""
    if target_sum is None:
        return MILLION
    if target_sum != "median":
        return target_sum  # type: ignore[return-value]  # it is checked
    totals = [
        np.nansum(expression.values[rows], axis=1, dtype=np.float64)
        for rows in row_chunks(*expression.values.shape)
    ]
    return float(np.median(np.concatenate(totals)))


def _suggested(expression: Expression, part: Part, columns: slice, first: Transform) -> Transform:
    """The transform of a layer that none is given for."""
    values, declared = expression.values[:, columns], part.source.units
    if account.units_of(values, declared).kind in ("log", "centred", "shares"):
        return "none"
    likely: list[Transform] = ["log10", "cpm"] if first == "none" else [first, "log10", "cpm"]
    doubtless = (t for t in likely if account.unit_doubt(values, t, "", declared) is None)
    return next(doubtless, likely[0])


def weigh(values: NDArray[np.float32], preprocessing: Preprocessing) -> Preprocessing:
    """Multiply every layer by its weight, in place; the preprocessing then has the weights.

    Parameters
    ----------
    values : float32, n_samples x n_features of all layers
        Transformed; NaN is missing.

    Raises
    ------
    InputError
        All features of a layer are constant.
    """
    if not preprocessing.layers:
        return preprocessing
    pieces = list(preprocessing.pieces(values.shape[1]))
    sizes = [_size(values[:, columns]) for _, columns in pieces]
    for (layer, _), size in zip(pieces, sizes, strict=True):
        if not size > 0.0:
            raise InputError(
                f"All features of the layer {layer.name} are constant, so there is nothing to "
                "learn from them; leave the layer out."
            )
    weights = [sizes[0] / size for size in sizes]
    for (_, columns), weight in zip(pieces, weights, strict=True):
        for rows in row_chunks(*values[:, columns].shape):
            values[rows, columns] *= np.float32(weight)
    return preprocessing.weighted(weights)


def _size(values: NDArray[np.float32]) -> float:
    """The deviation of an entry from its feature's mean, times the fourth root of the features."""
    total, count = np.zeros(values.shape[1]), np.zeros(values.shape[1], np.int64)
    for rows in row_chunks(*values.shape):
        observed = ~np.isnan(values[rows])
        count += observed.sum(axis=0)
        total += np.where(observed, values[rows], 0.0).sum(axis=0, dtype=np.float64)
    mean, squares = total / np.maximum(count, 1), 0.0
    for rows in row_chunks(*values.shape):
        squares += float(np.nansum(np.square(values[rows] - mean)))
    return float(np.sqrt(squares / max(1, count.sum())) * values.shape[1] ** 0.25)
