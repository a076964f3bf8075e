"""What figures take: coordinates from a model, AnnData or an array, and what to colour by."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fembed.data.annotations import layers_there, one_column
from fembed.errors import DataWarning, InputError
from fembed.pl.categories import Categories, categories, joined
from fembed.pl.chosen import Palette, remember, with_palette
from fembed.pl.columns import column_of, in_order, numbers_of

Float = NDArray[np.float64]
BASIS = "X_fembed"
#: Coordinates beyond those of 32-bit floats, and numbers near the end of 64-bit ones, overflow when
#: axes and scales are made.
_MAX_DISTANCE, _MAX_NUMBER = 1e39, 1e300


@dataclass(frozen=True)
class Numbers:
    """A number for each point; what is not finite is drawn as missing.

    Attributes
    ----------
    values : float64, n
    title : str
        The name of a column or a gene.
    scale : str
        What the numbers are, where that is known: their unit, for the label of a colour bar.
    """

    values: Float
    title: str = ""
    scale: str = ""

    @property
    def told(self) -> str:
        """Name and scale in one."""
        return ", ".join(part for part in (self.title, self.scale) if part)

    def __len__(self) -> int:
        return len(self.values)


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
            f"The coordinates have shape {points.shape}; give one row per sample and one column "
            "per component."
        )
    if not np.isfinite(points).all():
        row = int(np.argwhere(~np.isfinite(points))[0][0])
        raise InputError(
            f"Sample {row} (counted from 0) has a coordinate that is not finite; leave it out."
        )
    if np.abs(points).max() > _MAX_DISTANCE:
        row = int(np.argmax(np.abs(points).max(axis=1)))
        raise InputError(
            f"Sample {row} (counted from 0) has a coordinate beyond {_MAX_DISTANCE:g}, which "
            "cannot be drawn; leave it out."
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


def colouring(
    data: Any,
    color: Any,
    n: int,
    layer: str | None = None,
    palette: Palette | None = None,
    keep: bool = True,
) -> Any:
    """What ``color`` stands for: `Categories`, `Numbers`, or None for no colour.

    Parameters
    ----------
    data : as for `coordinates`
    color : str, or n values
        The name of a column of ``obs`` or of a gene (AnnData), of a gene, whose decoded expression
        is taken, or ``"loss"`` (Model); or a text or number per sample. A Series whose index names
        the samples is put into their order.
    layer : str, optional
        Of AnnData: the layer that a gene's expression is read from.
    palette : str, list or mapping, optional
        Colours of categories instead of those that the data bring.
    keep : bool
        AnnData keeps these colours, and the first colours of a column, in
        ``uns["<column>_colors"]``.

    Raises
    ------
    InputError
        Nothing has that name, or the values are not one per sample.
    """
    if color is None:
        return None
    if isinstance(color, str):
        found = _named(data, color, layer)
    elif isinstance(color, Categories):
        found = color
    else:
        found = as_values(in_order(color, names_in(data)), _title_of(color))
    if len(found) != n:
        raise InputError(
            f"There are {len(found)} values to colour {n} samples by; give one per sample."
        )
    if isinstance(found, Categories):
        found = with_palette(found, palette)
        if keep:
            remember(data, color, found, palette)
    return found


def as_values(values: Any, title: str = "") -> Categories | Numbers:
    """Numbers as they are; texts, truth values, times and pandas categories as categories."""
    column = column_of(values)
    numbers = numbers_of(column)
    return categories(column, title) if numbers is None else _numbers(numbers, title)


def _numbers(values: Float, title: str) -> Categories | Numbers:
    """Numbers within reach of a scale: the ends of float64 overflow in its arithmetic."""
    finite = np.isfinite(values)
    if not finite.any():  # what pandas makes of an empty column of any kind, too
        return categories([None] * len(values), title)
    return Numbers(np.where(finite, np.clip(values, -_MAX_NUMBER, _MAX_NUMBER), values), title)


def _on_scale(found: Categories | Numbers, scale: str) -> Categories | Numbers:
    return replace(found, scale=scale) if isinstance(found, Numbers) else found


def scale_name(model: Any, gene: str | None = None) -> str:
    """The name of the scale that a model, or a gene's layer, works on, for the label of an axis."""
    if model.preprocessing.layers and gene is None:
        return "scale of the model"
    row = 0 if gene is None else int(model.gene_rows([gene])[0])
    target = model.preprocessing.target_sum
    return {
        "log10": "log10(x + 1)",
        "cpm": "log10(CPM + 1)" if target == 1e6 else f"log10(counts per {target:,.0f} + 1)",
        "none": "scale of the data",
        "counts": "logarithm of the rate",
    }[model.preprocessing.layer_of(row, model.n_genes).transform]


def names_in(data: Any) -> Any:
    """The names of the samples in ``data``; None where it has none."""
    named = getattr(data, "obs_names", None)
    return getattr(data, "sample_names", None) if named is None else named


def _title_of(values: Any) -> str:
    name = getattr(values, "name", None)
    return "" if name is None else str(name)


def _named(data: Any, name: str, layer: str | None) -> Categories | Numbers:
    if hasattr(data, "obs_names"):
        in_obs, in_var = name in map(str, data.obs.columns), name in data.var_names
        if in_obs and in_var:
            warnings.warn(
                f"'{name}' is both a column of obs and a gene; the column is drawn. For the gene, "
                "give its values.",
                DataWarning,
                stacklevel=2,
            )
        if in_obs:
            return _of_column(data, name)
        if in_var:
            found = _numbers(_gene_values(data, name, layer), name)
            return _on_scale(found, f"expression in {'X' if layer is None else layer}")
        there = ", ".join(map(str, data.obs.columns)) or "none"
        raise InputError(
            f"'{name}' is neither a column of obs ({there}) nor a gene; check its spelling."
        )
    if hasattr(data, "decode"):
        if name == "loss":
            loss = np.asarray(data.sample_loss, np.float64)
            return Numbers(loss, "loss", "mean squared error")
        decoded = data.decode(data.sample_embedding, [name])[:, 0].astype(np.float64)
        return Numbers(decoded, name, f"decoded, {scale_name(data, name)}")
    raise InputError(
        f"'{name}' cannot be looked up in an array of coordinates; give one value per sample."
    )


def _of_column(data: Any, name: str) -> Categories | Numbers:
    """A column of obs; in a view, with the order and the colours of the whole.

    A view forgets the categories that it has no sample of, and with them who has which colour.
    """
    key = f"{name}_colors"
    found = as_values(one_column(data.obs, name, "obs"), name)
    if isinstance(found, Numbers):
        return found
    whole = getattr(data, "_adata_ref", None)
    if whole is None or name not in map(str, whole.obs.columns):
        whole = data
    of_whole = categories(one_column(whole.obs, name, "obs"), name, whole.uns.get(key))
    return joined([of_whole.take(np.array([], np.intp)), found])


def _gene_values(data: Any, name: str, layer: str | None) -> Float:
    columns = np.flatnonzero(data.var_names == name)
    if len(columns) > 1:
        raise InputError(
            f"The gene '{name}' is there {len(columns)} times; make the names unique "
            "(var_names_make_unique)."
        )
    if layer is not None and layer not in data.layers:
        raise InputError(f"There is no layer '{layer}'; {layers_there(sorted(data.layers))}.")
    column = data[:, columns].X if layer is None else data[:, columns].layers[layer]
    if column is None:
        raise InputError(f"There is no X to read the gene '{name}' from; name a layer.")
    dense = column.toarray() if hasattr(column, "toarray") else np.asarray(column)
    return dense.astype(np.float64).ravel()


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
