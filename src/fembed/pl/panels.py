"""Many maps side by side: densities, and samples by label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.errors import InputError
from fembed.pl import canvas, hexagons, layout, marks
from fembed.pl.canvas import SavePath
from fembed.pl.categories import Categories, categories, joined
from fembed.pl.chosen import Palette, with_palette
from fembed.pl.layout import Key
from fembed.pl.points import colouring, plane

Float = NDArray[np.float64]


@canvas.drawing()
def density_grid(
    embeddings: Any,
    *,
    row_name: str = "",
    column_name: str = "",
    hexagon_count: int = hexagons.HEXAGONS,
    limits: Any = None,
    title: str | None = None,
    save: SavePath | None = None,
) -> NDArray[Any]:
    """One density per model: hexagons on one logarithmic colour scale, within shared limits.

    Parameters
    ----------
    embeddings : Sweep or mapping
        The maps of `fembed.sweep`; or from a panel's title, or from ``(row, column)``, to its
        samples: a Model, AnnData or array n x 2. Pairs make a grid of rows
        and columns, in the order in which they come.
    row_name, column_name : str
        What rows and columns stand for.
    hexagon_count : int
        Number of hexagons across a panel.
    limits : (low, high), or a pair of them, optional
        Shared by all panels. By default a square with 99 % of every model's samples; how many lie
        outside is written into the panel.
    title : str, optional
    save : path, optional
        Write the figure to this .png, .pdf or .svg file.

    Returns
    -------
    array of matplotlib Axes, rows x columns
        None where there is no panel.

    Raises
    ------
    InputError
        There are no embeddings, or one is no map.
    """
    embeddings, row_name, column_name = _of_sweep(embeddings, row_name, column_name)
    points = {key: plane(data) for key, data in layout.checked(embeddings).items()}
    box = _limits(points, limits)
    figure, axes = layout.new_panels(list(points), row_name, column_name, title, save)
    shown = [
        hexagons.draw_density(axes[key], some, box, hexagon_count, 1.0, note_size=6.0)
        for key, some in points.items()
    ]
    drawn = [panel for panel in shown if panel is not None]
    if drawn:
        highest = max(float(panel.get_array().max()) for panel in drawn)
        for panel in drawn:
            panel.norm.vmax = max(highest, 2.0)
            panel.set_rasterized(True)
        layout.shared_bar(figure, drawn[0], "samples in a hexagon")
    return layout.finished(figure, axes, list(points), save)


@canvas.drawing()
def scatter_grid(
    embeddings: Any,
    labels: Any = None,
    *,
    palette: Palette | None = None,
    row_name: str = "",
    column_name: str = "",
    limits: Any = None,
    title: str | None = None,
    save: SavePath | None = None,
) -> NDArray[Any]:
    """Samples by label, one panel per model, with one legend and shared limits.

    Parameters
    ----------
    embeddings, row_name, column_name, limits, title, save
        As for `density_grid`.
    labels : n values, str, or mapping, optional
        The labels of the samples, the same for every panel; the name of a column of ``obs``
        (AnnData); or either by the keys of ``embeddings``. By default those of the sweep.
    palette : str, list or mapping, optional
        Colours of the labels, as for `fembed.pl.embedding`.

    Returns
    -------
    array of matplotlib Axes, rows x columns

    Raises
    ------
    InputError
        As `density_grid`; or labels that are not one per sample.
    """
    labels = _labels_of_sweep(embeddings) if labels is None else labels
    embeddings, row_name, column_name = _of_sweep(embeddings, row_name, column_name)
    points = {key: plane(data) for key, data in layout.checked(embeddings).items()}
    found = [
        _labels_of(
            embeddings[key], labels.get(key) if isinstance(labels, Mapping) else labels, len(some)
        )
        for key, some in points.items()
    ]
    everyone = with_palette(joined(found), palette)  # one colour per category in all panels
    chosen = everyone.styles()
    ends = np.cumsum([len(some) for some in points.values()])
    by_key = dict(zip(points, np.split(np.arange(len(everyone)), ends[:-1]), strict=True))
    box = _limits(points, limits)
    figure, axes = layout.new_panels(list(points), row_name, column_name, title, save)
    for key, some in points.items():
        ax = axes[key]
        # Smaller panels have smaller points.
        inches = ax.get_window_extent().width / figure.dpi
        area = max(0.8, min(1.0, 0.14 * inches**2) * canvas.point_area(len(some)))
        inside = hexagons.within(some, box)
        if inside.any():
            kept = everyone.take(by_key[key][inside])
            marks.draw_categories(ax, some[inside], kept, chosen, area=area)
        ax.set_aspect("equal", adjustable="box")
        ax.set_xlim(box[0])
        ax.set_ylim(box[1])
        hexagons.count_outside(ax, some, box, 6.0)
    layout.shared_legend(figure, everyone.present, [int(n) for n in everyone.counts if n], chosen)
    return layout.finished(figure, axes, list(points), save)


def _of_sweep(panels: Any, row_name: str, column_name: str) -> tuple[Any, str, str]:
    """The maps of a sweep with the names of its options; a mapping as it is."""
    if not hasattr(panels, "maps"):
        return panels, row_name, column_name
    return panels.maps(), row_name or panels.row_name, column_name or panels.column_name


def _labels_of_sweep(panels: Any) -> Any:
    """The labels of a sweep in the order and the colours of their column."""
    column = getattr(panels, "label_column", None)
    if column is None:
        return getattr(panels, "labels", None)
    return categories(column, str(getattr(column, "name", "")), panels.label_colours)


def _limits(points: Mapping[Key, Float], limits: Any) -> hexagons.Limits:
    if limits is not None:
        return hexagons.both_limits(limits)
    return hexagons.square_limits(list(points.values()))


def _labels_of(data: Any, labels: Any, n: int) -> Categories:
    found = colouring(data, labels, n, keep=False)
    if isinstance(found, Categories):
        return found
    if found is None:
        raise InputError("The panels need labels; give one per sample.")
    return categories(found.values)
