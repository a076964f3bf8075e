"""What figures take: coordinates from a model, AnnData or an array, and what to colour by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fembed.errors import InputError
from fembed.pl.palette import MISSING_LABEL

Float = NDArray[np.float64]
BASIS = "X_fembed"


@dataclass(frozen=True)
class Categories:
    """A category for each point.

    Attributes
    ----------
    names : tuple of str
        In the order of the legend; ``"NA"`` is the last one where labels are missing.
    codes : array of int, n
        Positions in ``names``.
    title : str
    """

    names: tuple[str, ...]
    codes: NDArray[np.intp]
    title: str = ""


@dataclass(frozen=True)
class Numbers:
    """A number for each point; NaN is missing."""

    values: Float
    title: str = ""


def coordinates(data: Any, basis: str = BASIS) -> Float:
    """Coordinates (n x d, d at least 1) of the samples in ``data``.

    Parameters
    ----------
    data : Model, AnnData, Projection, or array n x d
        AnnData brings them in ``obsm[basis]``; the prefix ``X_`` may be left out.

    Raises
    ------
    InputError
        No such key, no matrix of finite numbers, or no point at all.
    """
    if hasattr(data, "obsm"):
        data = data.obsm[_basis_of(data, basis)]
    elif hasattr(data, "sample_embedding"):
        data = data.sample_embedding
    elif hasattr(data, "coordinates"):
        data = data.coordinates
    try:
        points = np.asarray(data, np.float64)
    except (TypeError, ValueError):
        raise InputError("The coordinates are not a matrix of numbers.") from None
    if points.ndim != 2 or 0 in points.shape:
        raise InputError(
            f"The coordinates have shape {points.shape}; give one row a sample and one column a "
            "component."
        )
    if not np.isfinite(points).all():
        row = int(np.argwhere(~np.isfinite(points))[0][0])
        raise InputError(
            f"Sample {row} (counted from 0) has a coordinate that is not finite; leave it out."
        )
    return points


def plane(data: Any, basis: str = BASIS, components: tuple[int, int] = (1, 2)) -> Float:
    """Two of the coordinates (n x 2); ``components`` are counted from 1.

    Raises
    ------
    InputError
        As `coordinates`; or there are no such components.
    """
    points = coordinates(data, basis)
    return points[:, _columns(components, points.shape[1])]


def axis_names(basis: str = BASIS, components: tuple[int, int] = (1, 2)) -> tuple[str, str]:
    """What to write at the axes of a map: ``fembed 1``, ``fembed 2``."""
    name = basis.removeprefix("X_")
    return f"{name} {components[0]}", f"{name} {components[1]}"


def colouring(data: Any, color: Any, n: int, layer: str | None = None) -> Any:
    """What ``color`` stands for: `Categories`, `Numbers`, or None for no colour.

    Parameters
    ----------
    data : as for `coordinates`
    color : str, or n values
        The name of a column of ``obs`` or of a gene (AnnData), of a gene, whose decoded expression
        is taken, or ``"loss"`` (Model); or one text or number a sample.
    layer : str, optional
        Of AnnData: the layer that a gene's expression is read from.

    Raises
    ------
    InputError
        Nothing has that name, or the values are not one a sample.
    """
    if color is None:
        return None
    if isinstance(color, str):
        return _named(data, color, layer)
    values = getattr(color, "array", color)  # a Series as its values
    found = as_values(values, str(getattr(color, "name", "") or ""))
    count = len(found.codes if isinstance(found, Categories) else found.values)
    if count != n:
        raise InputError(f"There are {count} values to colour {n} samples by; give one a sample.")
    return found


def as_values(values: Any, title: str = "") -> Categories | Numbers:
    """Numbers as they are; texts, truth values and pandas categories as categories."""
    if hasattr(values, "categories"):  # keep their order, leave out those without a member
        order = [str(name) for name in values.categories]
        codes = np.asarray(values.codes)
        return categories([order[code] if code >= 0 else None for code in codes], title, order)
    array = np.asarray(values)
    if array.ndim != 1:
        raise InputError(f"The values to colour by have shape {array.shape}; give one a sample.")
    if array.dtype.kind in "iuf":
        return Numbers(array.astype(np.float64), title)
    return categories(array.tolist(), title)


def categories(labels: Any, title: str = "", order: list[str] | None = None) -> Categories:
    """Labels as `Categories`, sorted by name unless an order is given."""
    text = [MISSING_LABEL if _is_missing(label) else str(label) for label in labels]
    present = set(text)
    names = sorted(present) if order is None else [name for name in order if name in present]
    names = [name for name in names if name != MISSING_LABEL]
    names += [MISSING_LABEL] if MISSING_LABEL in present else []
    position = {name: k for k, name in enumerate(names)}
    return Categories(tuple(names), np.array([position[name] for name in text], np.intp), title)


def _named(data: Any, name: str, layer: str | None) -> Categories | Numbers:
    if hasattr(data, "obs_names"):
        if name in data.obs.columns:
            return as_values(data.obs[name].array, name)
        if name in data.var_names:
            column = data[:, name].X if layer is None else data[:, name].layers[layer]
            dense = column.toarray() if hasattr(column, "toarray") else np.asarray(column)
            return Numbers(dense.ravel().astype(np.float64), name)
        there = ", ".join(map(str, data.obs.columns)) or "none"
        raise InputError(
            f"'{name}' is neither a column of obs ({there}) nor a gene; check its spelling."
        )
    if hasattr(data, "decode"):
        if name == "loss":
            return Numbers(np.asarray(data.sample_loss, np.float64), "loss")
        return Numbers(data.decode(data.sample_embedding, [name])[:, 0].astype(np.float64), name)
    raise InputError(
        f"'{name}' cannot be looked up in an array of coordinates; give one value a sample."
    )


def pair(values: ArrayLike) -> tuple[float, float]:
    """Two limits in order; InputError for anything else."""
    array = np.asarray(values, np.float64).ravel()
    if array.shape != (2,) or not np.isfinite(array).all() or array[0] >= array[1]:
        raise InputError(f"The limits are {values!r}; give two numbers, the lower one first.")
    return float(array[0]), float(array[1])


def _basis_of(data: Any, basis: str) -> str:
    for key in (basis, f"X_{basis}"):
        if key in data.obsm:
            return key
    there = ", ".join(map(str, data.obsm.keys())) or "none"
    raise InputError(
        f"The AnnData object has no obsm['{basis}'] (there: {there}); fit an embedding first, or "
        "name another basis."
    )


def _columns(components: tuple[int, int], n_components: int) -> list[int]:
    if len(components) != 2 or components[0] == components[1]:
        raise InputError(f"components is {components!r}; give two of them, such as (1, 2).")
    for component in components:
        if not 1 <= component <= n_components:
            raise InputError(
                f"Component {component} is asked for, but the samples have {n_components} "
                "(counted from 1); a map needs two."
            )
    return [component - 1 for component in components]


def _is_missing(label: Any) -> bool:
    return label is None or label != label or str(label) == "<NA>"
