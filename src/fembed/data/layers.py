"""Several measurements of the same samples, side by side in one matrix.

RNA, proteins and microRNA of one set of tumours are three layers. The samples are those of all
layers together, and one that lacks a layer has NaN for its features. The first layer's features
keep their names; those of another are called ``LAYER:FEATURE``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fembed.data import account
from fembed.data.annotations import Source, is_layered
from fembed.data.chunks import empty_matrix, row_chunks
from fembed.data.expression import Expression
from fembed.data.lookup import look_up
from fembed.data.names import Names, refuse_blank, refuse_duplicates
from fembed.errors import InputError, shown

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Part:
    """A layer of an `Expression`: its name, its columns, and where they are from."""

    name: str
    n_features: int
    origin: str
    source: Source


def combined(parts: Mapping[str, Any]) -> Expression:
    """Layers as one Expression: the samples of all of them, the features of one after another.

    Parameters
    ----------
    parts : mapping of str to data
        By the layer's name, whatever `Expression.of` takes. Samples are matched by name.

    Returns
    -------
    Expression
        A sample that lacks a layer has NaN there. ``obs`` has the annotations of all layers; where
        two have one column, the first that has the sample decides.

    Raises
    ------
    InputError
        No layer or an empty one, an impossible name of a layer, names of samples or features that
        are blank or not unique.

    Examples
    --------
    >>> import pandas as pd
    >>> rna = pd.DataFrame({"TP53": [1.0, 2.0]}, index=["S1", "S2"])
    >>> protein = pd.DataFrame({"p53": [0.5]}, index=["S2"])
    >>> both = combined({"rna": rna, "protein": protein})
    >>> both.gene_names.tolist(), both.values.tolist()
    (['TP53', 'protein:p53'], [[1.0, nan], [2.0, 0.5]])
    """
    layers = [(name, _layer(name, data)) for name, data in parts.items()]
    if not layers:
        raise InputError("There is no layer in the data; give at least one.")
    samples, rows = _union([layer for _, layer in layers])
    n_features = [layer.n_genes for _, layer in layers]
    origin = " with ".join(layer.origin for _, layer in layers)
    values = empty_matrix(len(samples), sum(n_features), origin=origin)
    values.fill(np.nan)
    end = np.cumsum(n_features)
    for (_, layer), at, begin in zip(layers, rows, end - n_features, strict=True):
        for chunk in row_chunks(*layer.values.shape):
            values[at[chunk], begin : begin + layer.n_genes] = layer.values[chunk]
    features = [
        layer.gene_names if not k else _prefixed(name, layer.gene_names)
        for k, (name, layer) in enumerate(layers)
    ]
    found = Expression(
        values=values,
        sample_names=samples,
        gene_names=_joined(features),
        obs=_annotations([layer for _, layer in layers], samples, rows),
        origin=origin,
        source=Source(oriented=True),
        colours={k: v for _, layer in reversed(layers) for k, v in layer.colours.items()},
        layers=tuple(Part(name, x.n_genes, x.origin, x.source) for name, x in layers),
    )
    _refuse_clash(found)
    return found


def check_name(name: Any, hint: str = "give one without") -> str:
    """The name of a layer; InputError, which ends in ``hint``, where features cannot have it."""
    if not isinstance(name, str) or not name:
        raise InputError(f"The name of a layer is {shown(name)}; give a text.")
    if ":" in name or any(sign.isspace() for sign in name):
        raise InputError(
            f"The name of a layer, '{name}', holds a {'colon' if ':' in name else 'blank'}; its "
            f"features are called LAYER:FEATURE, so {hint}."
        )
    return name


def named_for(expression: Expression, names: Sequence[str]) -> Expression:
    """New data with several layers, called as a model with the layers ``names`` calls them.

    Raises
    ------
    InputError
        The model has no layers, or lacks one of these.
    """
    if not expression.layers:
        return expression
    of_model = f"its layers are {', '.join(names)}" if names else "it was fitted on one matrix"
    for part in expression.layers:
        if part.name not in names:
            hint = "use the model's names" if names else "give the data without naming a layer"
            raise InputError(
                f"The model has no layer '{part.name}' ({part.origin}): {of_model}; {hint}."
            )
    features = []
    for part, columns in columns_of(expression):
        plain = expression.gene_names[columns]
        # Whoever has a layer's table from a model gives names that have the layer's already.
        while all(name.startswith(f"{part.name}:") for name in plain):
            plain = np.array([name[len(part.name) + 1 :] for name in plain], dtype=object)
        features.append(plain if part.name == names[0] else _prefixed(part.name, plain))
    return replace(expression, gene_names=_joined(features))


def columns_of(expression: Expression) -> Iterator[tuple[Part, slice]]:
    """The layers of the data and their columns; none for one matrix."""
    begin = 0
    for part in expression.layers:
        yield part, slice(begin, begin + part.n_features)
        begin += part.n_features


def check_shared(expression: Expression) -> None:
    """Raise InputError unless samples of two layers each join all layers with one another."""
    observed = {}
    for part, columns in columns_of(expression):
        chunks = row_chunks(expression.n_samples, part.n_features)
        known = [~np.isnan(expression.values[rows, columns]).all(axis=1) for rows in chunks]
        observed[part] = np.concatenate(known)
    if not observed:
        return
    first, *others = observed
    joined = observed[first].copy()
    while others:
        near = next((part for part in others if (observed[part] & joined).any()), None)
        if near is None:
            raise InputError(_apart(expression, others[0], observed[others[0]]))
        joined |= observed[near]
        others.remove(near)


def _apart(expression: Expression, part: Part, observed: NDArray[np.bool_]) -> str:
    """The sentence about a layer that shares no sample with the first or what goes with it."""
    first, samples = expression.layers[0], set(expression.sample_names)
    begin = len(part.name) + 1
    columns = dict(columns_of(expression))[part]
    if any(name[begin:] in samples for name in expression.gene_names[columns]):
        return f"{part.origin} has samples in its columns; transpose it, so that they are its rows."
    here = expression.sample_names[int(np.argmax(observed))]
    return (
        f"{part.origin} has no sample in common with {first.origin} or what goes with it (one is "
        f"called '{here}' here, and '{expression.sample_names[0]}' there); name samples alike."
    )


def _layer(name: Any, data: Any) -> Expression:
    """One layer, checked by itself."""
    check_name(name)
    if is_layered(data):
        raise InputError(f"The layer '{name}' has layers itself; give one matrix for it.")
    layer = Expression.of(data)
    origin = f"{layer.origin} (layer {name})"
    if layer.layers:
        raise InputError(f"The layer '{name}' has layers itself; give one matrix for it.")
    if layer.values.size == 0:
        raise InputError(
            f"The layer '{name}' ({layer.origin}) is empty ({layer.n_samples} samples x "
            f"{layer.n_genes} features); give one with entries, or leave it out."
        )
    for what, names in (("sample", layer.sample_names), ("gene", layer.gene_names)):
        refuse_blank(names, what, origin)
        refuse_duplicates(names, what, origin)
    return replace(layer, origin=origin)


def _union(layers: list[Expression]) -> tuple[Names, list[NDArray[np.intp]]]:
    """The samples of all layers in the order in which they first come, and each layer's rows."""
    samples = list(layers[0].sample_names)
    rows = [np.arange(len(samples))]
    for layer in layers[1:]:
        found = look_up(samples, layer.sample_names)
        account.warn_of_spelling(found, "sample", layer.origin, stacklevel=4)
        at = np.full(layer.n_samples, -1, np.intp)
        at[found.position[found.found]] = np.flatnonzero(found.found)
        new = np.flatnonzero(at < 0)
        at[new] = len(samples) + np.arange(len(new))
        samples += list(layer.sample_names[new])
        rows.append(at)
    return np.array(samples, dtype=object), rows


def _annotations(
    layers: list[Expression], samples: Names, rows: list[NDArray[np.intp]]
) -> pd.DataFrame | None:
    """The columns of all layers; a value is from the first layer that has sample and column."""
    pieces: dict[str, list[pd.Series]] = {}
    for layer, at in zip(layers, rows, strict=True):
        if layer.obs is None:
            continue
        table = layer.obs.set_axis(samples[at], axis=0)
        for k, column in enumerate(map(str, table.columns)):
            pieces.setdefault(column, []).append(table.iloc[:, k])
    if not pieces:
        return None
    import pandas as pd

    columns = {}
    for column, series in pieces.items():
        together = series[0] if len(series) == 1 else pd.concat(series)
        together = together[~together.index.duplicated()]
        columns[column] = together.reindex(samples)
    return pd.DataFrame(columns, index=pd.Index(samples))


def _refuse_clash(expression: Expression) -> None:
    """Raise InputError if a feature of the first layer has the name of another layer's."""
    first = set(expression.gene_names[: expression.layers[0].n_features])
    for part, columns in list(columns_of(expression))[1:]:
        name = next((n for n in expression.gene_names[columns] if n in first), None)
        if name is not None:
            raise InputError(
                f"The feature '{name}' of the layer {expression.layers[0].name} has the name that "
                f"one of the layer {part.name} gets; rename the feature or the layer."
            )


def _prefixed(layer: str, names: Names) -> Names:
    return np.array([f"{layer}:{name}" for name in names], dtype=object)


def _joined(names: list[Names]) -> Names:
    joined: Names = np.concatenate(names)
    return joined
