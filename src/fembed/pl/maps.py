"""Maps of samples, coloured by category, gene or number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from fembed.errors import InputError
from fembed.pl import canvas, raster
from fembed.pl.canvas import PAGE_WIDTH, SavePath
from fembed.pl.categories import Categories
from fembed.pl.labels import densest_places, write_labels
from fembed.pl.legends import legend_beside
from fembed.pl.palette import MISSING, MISSING_LABEL, SEQUENTIAL, Style
from fembed.pl.points import BASIS, Numbers, axis_names, colouring, pair, plane

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Float = NDArray[np.float64]
Limits = tuple[tuple[float, float], tuple[float, float]]
Legend = Literal["both", "beside", "on map", "none"]
LEGENDS: tuple[Legend, ...] = ("both", "beside", "on map", "none")

#: More names than this are not written into a map by themselves.
MAX_DIRECT_LABELS = 40


@canvas.drawing()
def embedding(
    data: Any,
    color: Any = None,
    *,
    basis: str = BASIS,
    components: tuple[int, int] = (1, 2),
    layer: str | None = None,
    legend: Legend = "both",
    cmap: str = SEQUENTIAL,
    color_limits: tuple[float, float] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
    save: SavePath | None = None,
) -> Axes:
    """Samples in the plane, coloured by category, gene or number.

    Every category has a colour and, beyond seven of them, a marker, and its name stands in the
    map where most of its samples are. Points are drawn in a random order that is always the same.
    More than 50,000 are drawn as an image (mixed colours, or means of a number).

    Parameters
    ----------
    data : Model, AnnData, Projection, or array n x d
        AnnData brings coordinates in ``obsm[basis]``.
    color : str, or n values, optional
        A column of ``obs`` or a gene (AnnData); a gene, decoded, or ``"loss"`` (Model); or one
        text or number per sample (a Series by name). A categorical column keeps its order, and the
        colours that ``uns["<column>_colors"]`` gives its categories, as scanpy writes them.
    basis : str
        Key of ``obsm``, with or without ``X_``.
    components : (int, int)
        Which coordinates to draw, counted from 1.
    layer : str, optional
        Where AnnData keeps the expression of a gene to colour by; ``X`` by default.
    legend : {"both", "beside", "on map", "none"}
        Where categories are named: beside the map, in it, both (in it up to 40 names, and only
        where there is room for them), or nowhere. Long names are shortened in their middle.
    cmap : str
        Matplotlib's colour map for numbers.
    color_limits : (low, high), optional
        Of a number's colours; by default its 1st and 99th percentile.
    title : str, optional
        By default the name of what is coloured by.
    ax : matplotlib Axes, optional
        Draw there and not in a new figure.
    save : path, optional
        Write the figure to this .png, .pdf or .svg file.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        For a name that is not there, values that do not fit, or if matplotlib is not installed.

    Examples
    --------
    >>> axes = fembed.pl.embedding(adata, color="kind", save=folder / "map.png")
    """
    if legend not in LEGENDS:
        raise InputError(f"legend is {legend!r}; choose {', '.join(LEGENDS)}.")
    points = plane(data, basis, components)
    values = colouring(data, color, len(points), layer)
    ax = canvas.axes_for(ax, save, PAGE_WIDTH, canvas.map_height(np.ptp(points, axis=0)))
    canvas.name_axes(ax, axis_names(basis, components))
    if isinstance(values, Numbers):
        limits = pair(color_limits) if color_limits is not None else spread(values.values)
        shown = draw_numbers(ax, points, values.values, limits, cmap)
        canvas.colour_bar(ax, shown, values.title, extend=_extension(values.values, limits))
        n_missing = int((~np.isfinite(values.values)).sum())
        if n_missing:
            canvas.note(
                ax, f"{MISSING_LABEL}  {n_missing:,} (grey)", "lower right", color=canvas.SOFT
            )
    elif isinstance(values, Categories):
        draw_categories(ax, points, values, values.styles())
        _name_categories(ax, points, values, legend)
    else:
        draw_categories(ax, points, _one(len(points)), {"": Style(canvas.OURS)})
    if title is None:
        title = getattr(values, "title", "") if isinstance(values, Categories) else ""
    canvas.entitle(ax, title)
    return canvas.finished(ax, save)


def draw_categories(
    ax: Axes,
    points: Float,
    values: Categories,
    chosen: dict[str, Style],
    area: float | None = None,
    opacity: float = 0.85,
) -> None:
    """Points in the colours and markers of their categories, none of them always on top."""
    from matplotlib import colors

    palette = [chosen[name] for name in values.names]
    rgb = np.array([colors.to_rgb(style.colour) for style in palette])
    if len(points) > raster.MAX_POINTS:
        pixels = _pixels(points)
        image = raster.mixed(pixels, values.codes, rgb)
        if not values.known.all():  # grey only where nothing else is
            some = raster.Pixels(points[values.known], pixels.limits, pixels.shape)
            there = some.sums() > 0
            image[there] = raster.mixed(some, values.codes[values.known], rgb)[there]
        _draw_image(ax, image, pixels)
        return
    order = drawing_order(values)
    area = canvas.point_area(len(points)) if area is None else area
    codes = values.codes[order]
    face = np.column_stack([rgb[codes], np.full(len(codes), opacity)])
    draw_markers(ax, points[order], [palette[code].marker for code in codes], face, area)


def drawing_order(values: Categories, seed: int = 0) -> NDArray[np.intp]:
    """Missing labels lie below, so that they hide nothing; the others in a random order."""
    order = np.random.default_rng(seed).permutation(len(values))
    return order[np.argsort(values.known[order], kind="stable")]


def draw_markers(
    ax: Axes, points: Float, markers: Sequence[str], face: Float, area: float, **options: Any
) -> None:
    """One marker per point, in the order given (``Axes.scatter`` takes one for all)."""
    from matplotlib.collections import PathCollection
    from matplotlib.markers import MarkerStyle
    from matplotlib.transforms import IdentityTransform

    path_of = {}
    for marker in set(markers):
        style = MarkerStyle(marker)
        path_of[marker] = style.get_path().transformed(style.get_transform())
    collection = PathCollection(
        [path_of[marker] for marker in markers],
        sizes=[area],
        facecolors=face,
        offsets=points,
        offset_transform=ax.transData,
        rasterized=len(points) > 5000,  # a vector file of more is slow to show
        **{"edgecolors": "none", "linewidths": 0.0, "zorder": 3, **options},
    )
    collection.set_transform(IdentityTransform())
    ax.add_collection(collection)
    ax.update_datalim(points)
    ax.autoscale_view()


def draw_numbers(
    ax: Axes, points: Float, values: Float, limits: tuple[float, float], cmap: str
) -> Any:
    """Points or, of many, pixels in the colours of ``values``; missing ones grey and below."""
    import matplotlib as mpl
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    colours = mpl.colormaps[cmap].with_extremes(bad=MISSING.colour)
    norm = Normalize(*limits)
    if len(points) > raster.MAX_POINTS:
        pixels = _pixels(points)
        count = pixels.sums()
        image = colours(norm(np.ma.masked_invalid(raster.averaged(pixels, values))))
        image[..., 3] = (count > 0).astype(float)
        _draw_image(ax, image, pixels)
    else:
        order = np.random.default_rng(0).permutation(len(points))
        missing = ~np.isfinite(values[order])
        order = np.concatenate([order[missing], order[~missing]])
        face = colours(norm(np.ma.masked_invalid(values[order])))
        face[:, 3] = 0.9
        draw_markers(ax, points[order], ["o"] * len(points), face, canvas.point_area(len(points)))
    return ScalarMappable(norm, colours)


def handles(names: Sequence[str], chosen: dict[str, Style], size: float = 5.0) -> list[Any]:
    """Legend entries of categories."""
    from matplotlib.lines import Line2D

    return [
        Line2D(
            [], [], linestyle="none", marker=chosen[name].marker, color=chosen[name].colour,
            markersize=size, markeredgewidth=0,
        )
        for name in names
    ]  # fmt: skip


def _name_categories(ax: Axes, points: Float, values: Categories, legend: Legend) -> None:
    if legend in ("both", "beside"):
        shown = np.flatnonzero(values.counts)
        names = [values.names[code] for code in shown]
        counts = [int(values.counts[code]) for code in shown]
        legend_beside(ax, handles(names, values.styles()), names, counts)
    if legend in ("both", "on map"):
        name_in_map(ax, points, values, must=legend == "on map")


def name_in_map(ax: Axes, points: Float, values: Categories, must: bool = False) -> None:
    """Write the names of categories where most of their samples are, if there is room or they must.

    Many names are left to the legend unless they must.
    """
    named = [k for k in np.flatnonzero(values.counts) if values.names[k] != MISSING_LABEL]
    if named and (must or len(named) <= MAX_DIRECT_LABELS):
        places = densest_places(points, values.codes, len(values.names))[named]
        write_labels(ax, places, [values.names[k] for k in named], must=must)


def _pixels(points: Float) -> raster.Pixels:
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.02 * np.maximum(high - low, 1e-9)
    (x0, y0), (x1, y1) = low - margin, high + margin
    limits = ((x0, x1), (y0, y1))
    return raster.Pixels(points, limits, raster.image_shape(limits))


def _draw_image(ax: Axes, image: Float, pixels: raster.Pixels) -> None:
    ax.imshow(
        image, origin="lower", extent=pixels.extent, interpolation="nearest", aspect="auto",
        zorder=3,
    )  # fmt: skip
    ax.set_aspect("equal", adjustable="datalim")


def spread(values: Float) -> tuple[float, float]:
    """Limits of the colours that a few extreme values do not stretch."""
    observed = values[np.isfinite(values)]
    if observed.size == 0:
        raise InputError("No value to colour by is finite.")
    low, high = np.percentile(observed, [1, 99])
    return (float(low), float(high)) if low < high else (float(low) - 0.5, float(low) + 0.5)


def _extension(values: Float, limits: tuple[float, float]) -> str:
    values = values[np.isfinite(values)]
    below, above = values.min() < limits[0], values.max() > limits[1]
    return {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[int(below), int(above)]


def _one(n: int) -> Categories:
    return Categories(("",), np.zeros(n, np.intp))
