"""How samples are drawn: markers in the colours of categories or numbers, or pixels of many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fembed.errors import InputError
from fembed.pl import canvas, raster
from fembed.pl.categories import Categories
from fembed.pl.palette import MISSING, Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Float = NDArray[np.float64]


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
    if len(points) > raster.MAX_POINTS and area is None:
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
    ax: Axes,
    points: Float,
    values: Float,
    limits: tuple[float, float],
    cmap: str,
    area: float | None = None,
) -> Any:
    """Points or, of many, pixels in the colours of ``values``; missing ones grey and below."""
    import matplotlib as mpl
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    colours = mpl.colormaps[cmap].with_extremes(bad=MISSING.colour)
    norm = Normalize(*limits)
    if len(points) > raster.MAX_POINTS and area is None:
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
        area = canvas.point_area(len(points)) if area is None else area
        draw_markers(ax, points[order], ["o"] * len(points), face, area)
    return ScalarMappable(norm, colours)


def handles(names: Sequence[str], chosen: Mapping[str, Style], size: float = 5.0) -> list[Any]:
    """Legend entries of categories."""
    from matplotlib.lines import Line2D

    return [
        Line2D(
            [], [], linestyle="none", marker=chosen[name].marker, color=chosen[name].colour,
            markersize=size, markeredgewidth=0,
        )
        for name in names
    ]  # fmt: skip


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


def extension(values: Float, limits: tuple[float, float]) -> str:
    """Which ends of a colour bar are open: values lie beyond the limits there."""
    values = values[np.isfinite(values)]
    below, above = values.min() < limits[0], values.max() > limits[1]
    return {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[int(below), int(above)]
