"""Landscapes: what the model decodes everywhere in the map, with the samples on top."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fembed.data.chunks import even_choice
from fembed.errors import InputError
from fembed.inference.batches import remove_of_training
from fembed.inference.counts import refuse_measured
from fembed.inference.matching import as_expression, training_rows
from fembed.inference.projection import project
from fembed.model import Model
from fembed.pl import canvas
from fembed.pl.canvas import PAGE_WIDTH, SavePath
from fembed.pl.palette import DIVERGING, SEQUENTIAL
from fembed.pl.points import axis_names, scale_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Float = NDArray[np.float64]

#: Points along a side of the decoded grid: of one gene, and of whole profiles.
SIDE, PROFILE_SIDE = 160, 56
#: Genes that a correlation of profiles is taken over, evenly many of all.
MAX_GENES = 2048
#: Farther from the nearest sample than this share of the map's width, a landscape fades out: there
#: the decoder says what no sample has taught it.
KNOWN = 0.06


@canvas.drawing()
def gene_landscape(
    model: Model,
    gene: str,
    data: Any = None,
    *,
    cmap: str = SEQUENTIAL,
    title: str | None = None,
    n_threads: int | None = None,
    ax: Axes | None = None,
    save: SavePath | None = None,
) -> Axes:
    """A gene's decoded expression over the whole map, with the samples on top.

    The landscape fades where no sample is near. With ``data``, samples are filled with their
    measured expression in the same colours, so that what differs from its surroundings is seen.

    Parameters
    ----------
    model : Model
        With two components.
    gene : str
    data : Expression, AnnData, or DataFrame, optional
        Measured expression, in the units of the training data; training samples are found by
        name, others are left out.
    cmap, title, ax, save
        As for `fembed.pl.embedding`.
    n_threads : int, optional
        Threads of the engine.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        The model is no map, the gene is not in it, or none of its samples is in the data.

    Examples
    --------
    >>> axes = fembed.pl.gene_landscape(model, "G3")
    """
    _check_map(model)
    limits = _box(model)
    points = _grid(limits, SIDE)
    decoded = model.decode(points, [gene], n_threads)
    values = model.preprocessing.unweighted(decoded, model.gene_rows([gene]))[:, 0].astype(float)
    rows, measured = _measured(model, gene, data)
    observed = measured[np.isfinite(measured)]
    everything = np.concatenate([values[_near(points, model) > 0.5], observed])
    low, high = np.percentile(everything, [1, 99])
    ax = canvas.axes_for(ax, save, *_size(limits))
    shown = _draw_field(ax, model, points, values, limits, (low, high), cmap)
    _draw_samples(ax, model, rows, measured, shown)
    of = "decoded" if data is None else "decoded, samples measured"
    canvas.colour_bar(ax, shown, f"{of}; {scale_name(model, gene)}")
    canvas.entitle(ax, gene if title is None else title)
    return canvas.finished(ax, save)


@canvas.drawing()
def similarity_landscape(
    model: Model,
    profile: Any,
    *,
    centred: bool = True,
    title: str | None = None,
    n_threads: int | None = None,
    ax: Axes | None = None,
    save: SavePath | None = None,
) -> Axes:
    """How well a profile correlates with what the model decodes, over the whole map.

    The star is where the profile is projected.

    Parameters
    ----------
    model : Model
        With two components.
    profile : Expression, AnnData or DataFrame of one sample, or an array of the model's genes
        In the units of the training data; missing genes are left out.
    centred : bool
        Correlate what differs from the genes' means over the map. Otherwise every place
        correlates with every profile, since some genes are high everywhere.
    title, n_threads, ax, save
        As for `gene_landscape`.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        The model is no map; or the profile is not one sample with genes of the model.

    Examples
    --------
    >>> axes = fembed.pl.similarity_landscape(model, counts.iloc[0])
    """
    _check_map(model)
    expression = as_expression(model, _row(profile))
    if expression.n_samples != 1:
        raise InputError(
            f"{expression.origin} has {expression.n_samples} samples; a similarity landscape is of "
            "one, so choose it."
        )
    place = project(model, expression, n_threads=n_threads, verbose=False)
    values = model.preprocessing.apply_to(expression.take_genes(model.gene_names))
    genes = np.flatnonzero(np.isfinite(values[0]))
    genes = genes[even_choice(len(genes), MAX_GENES)]
    limits = _box(model, place.sample_embedding)
    points = _grid(limits, PROFILE_SIDE)
    decoded = model.decode(points, genes, n_threads)
    mean = model.decode(
        model.sample_embedding[even_choice(model.n_samples, 512)], genes, n_threads
    ).mean(axis=0, dtype=np.float64)
    target = values[0, genes] - (mean if centred else 0.0)
    r = correlations(decoded - (mean if centred else 0.0), target)
    ax = canvas.axes_for(ax, save, *_size(limits))
    bounds = (-1.0, 1.0) if centred else (float(np.nanmin(r)), 1.0)
    cmap = DIVERGING if centred else SEQUENTIAL
    shown = _draw_field(ax, model, points, r, limits, bounds, cmap)
    _draw_samples(ax, model, np.arange(model.n_samples), np.full(model.n_samples, np.nan), shown)
    ax.plot(
        *place.sample_embedding[0], "*", markersize=13, color="white",
        markeredgecolor=canvas.INK, markeredgewidth=0.9, zorder=6,
    )  # fmt: skip
    what = "centred genes" if centred else "genes"
    canvas.colour_bar(ax, shown, f"correlation r over {len(genes):,} {what}")
    if title is None:
        title = str(expression.sample_names[0])
    canvas.entitle(ax, title)
    return canvas.finished(ax, save)


def correlations(rows: ArrayLike, target: ArrayLike) -> Float:
    """Pearson correlation of every row with ``target``; NaN for a constant one."""
    each, wanted = np.asarray(rows, np.float64), np.asarray(target, np.float64)
    each = each - each.mean(axis=1, keepdims=True)
    wanted = wanted - wanted.mean()
    norms = np.linalg.norm(each, axis=1) * np.linalg.norm(wanted)
    with np.errstate(invalid="ignore", divide="ignore"):
        r: Float = np.where(norms > 0, each @ wanted / norms, np.nan)
    return r


def _check_map(model: Model) -> None:
    if not hasattr(model, "decode"):
        raise InputError("A landscape is decoded by a model; give one (fembed.load reads it).")
    if model.n_components != 2:
        raise InputError(
            f"The model has {model.n_components} component(s); a landscape needs a map of two."
        )


def _row(profile: Any) -> Any:
    array = isinstance(profile, np.ndarray | list | tuple)
    return np.asarray(profile)[None, :] if array and np.ndim(profile) == 1 else profile


def _box(model: Model, more: ArrayLike | None = None) -> tuple[Float, Float]:
    points = np.asarray(model.sample_embedding, np.float64)
    if more is not None:
        points = np.concatenate([points, more])
    low, high = points.min(axis=0), points.max(axis=0)
    margin = KNOWN * (high - low).max()
    return low - margin, high + margin


def _grid(limits: tuple[Float, Float], side: int) -> NDArray[np.float32]:
    """Points over the box, ``side`` along its longer side, row by row from below."""
    low, high = limits
    step = (high - low).max() / side
    columns, rows = np.maximum(2, np.ceil((high - low) / step).astype(int))
    x = low[0] + (np.arange(columns) + 0.5) / columns * (high[0] - low[0])
    y = low[1] + (np.arange(rows) + 0.5) / rows * (high[1] - low[1])
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2).astype(np.float32)


def _near(points: NDArray[np.float32], model: Model) -> Float:
    """1 at a sample, 0 beyond `KNOWN` of the map's width from the nearest one."""
    from scipy.spatial import cKDTree

    samples = np.asarray(model.sample_embedding, np.float64)
    reach = KNOWN * float(np.ptp(samples, axis=0).max())
    distance, _ = cKDTree(samples).query(points)
    near: Float = np.clip(1.6 * (1.0 - distance / max(reach, 1e-12)), 0.0, 1.0)
    return near


def _size(limits: tuple[Float, Float]) -> tuple[float, float]:
    """Inches of a figure that its landscape fills: as wide as the box asks for at its height."""
    across, up = limits[1] - limits[0]
    height = canvas.map_height((across, up))
    return min(PAGE_WIDTH, (height - 0.55) * across / up + 1.35), height


def _draw_field(
    ax: Axes,
    model: Model,
    points: NDArray[np.float32],
    values: Float,
    limits: tuple[Float, Float],
    bounds: tuple[float, float],
    cmap: str,
) -> Any:
    import matplotlib as mpl
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    (x0, y0), (x1, y1) = limits
    colours, norm = mpl.colormaps[cmap], Normalize(*bounds)
    n_columns = len(np.unique(points[:, 0]))
    image = colours(norm(values.reshape(-1, n_columns)))
    image[..., 3] = 0.12 + 0.88 * _near(points, model).reshape(-1, n_columns)
    ax.imshow(
        image, origin="lower", extent=(x0, x1, y0, y1), interpolation="bilinear", aspect="auto",
        zorder=1,
    )  # fmt: skip
    canvas.label_axes(ax, *axis_names())
    ax.set_aspect("equal", adjustable="box")
    return ScalarMappable(norm, colours)


def _measured(model: Model, gene: str, data: Any) -> tuple[NDArray[np.intp], Float]:
    """Rows of the model's samples, and their measured expression (NaN: not known)."""
    everyone = np.arange(model.n_samples)
    if data is None:
        return everyone, np.full(model.n_samples, np.nan)
    refuse_measured(model)
    expression = as_expression(model, data)
    at = training_rows(model, expression.sample_names, expression.origin)
    there = np.flatnonzero(at >= 0)
    if there.size == 0:
        raise InputError(
            f"None of the model's samples is in {expression.origin} by name; give the training "
            "data, or leave the data out."
        )
    row = model.gene_rows([gene])
    layer = model.preprocessing.layer_of(int(row[0]), model.n_genes)
    whole = layer.transform == "cpm" or bool(layer.name)  # it needs the whole profile
    taken = expression.take_genes(model.gene_names if whole else model.gene_names[row])
    values = model.preprocessing.apply_to(taken)
    genes = None if whole else row
    remove_of_training(model, expression.sample_names, values, genes)
    column = values[:, int(row[0]) if whole else 0]
    return at[there], column[there].astype(np.float64) / layer.weight


def _draw_samples(
    ax: Axes, model: Model, rows: NDArray[np.intp], values: Float, shown: Any
) -> None:
    points = model.sample_embedding[rows]
    known = np.isfinite(values)
    area = canvas.point_area(len(points))
    ax.scatter(
        *points[~known].T, s=0.35 * area, c=canvas.INK, alpha=0.55, linewidths=0, zorder=3,
        rasterized=len(points) > 5000,
    )  # fmt: skip
    order = np.random.default_rng(0).permutation(np.flatnonzero(known))
    ax.scatter(
        *points[order].T, s=area, c=shown.to_rgba(values[order]), edgecolors="white",
        linewidths=0.35, zorder=4, rasterized=len(points) > 5000,
    )  # fmt: skip
