"""Maps of samples, coloured by category, gene or number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fembed.errors import InputError
from fembed.pl import canvas, marks
from fembed.pl.canvas import PAGE_WIDTH, SavePath
from fembed.pl.categories import Categories
from fembed.pl.chosen import Palette
from fembed.pl.naming import LEGENDS, Legend, name_categories
from fembed.pl.palette import MISSING_LABEL, SEQUENTIAL, Style
from fembed.pl.points import BASIS, Numbers, axis_names, colouring, pair, plane

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Float = NDArray[np.float64]
#: Inches across one of several maps, with its legend.
PANEL_WIDTH = 4.6


@canvas.drawing()
def embedding(
    data: Any,
    color: Any = None,
    *,
    palette: Palette | None = None,
    size: float | None = None,
    ncols: int = 4,
    basis: str = BASIS,
    components: tuple[int, int] = (1, 2),
    layer: str | None = None,
    legend: Legend = "auto",
    cmap: str = SEQUENTIAL,
    color_limits: tuple[float, float] | None = None,
    title: str | Sequence[str] | None = None,
    ax: Axes | None = None,
    save: SavePath | None = None,
) -> Any:
    """Samples in the plane, coloured by category, gene or number.

    Every category has a colour and, beyond seven of them, a marker. Its name stands once: in the
    map, off the points, where it marks a cluster, and otherwise beside the map. Points are drawn in
    a random order that is always the same.
    More than 50,000 are drawn as an image (mixed colours, or means of a number).

    Parameters
    ----------
    data : Model, AnnData, Projection, or array n x d
        AnnData brings coordinates in ``obsm[basis]``.
    color : str, list of str, or n values, optional
        A column of ``obs`` or a gene (AnnData); a gene, decoded, or ``"loss"`` (Model); or one
        text or number per sample (a Series by name). A list of names makes a map of each. A
        categorical column keeps its order, and the colours that ``uns["<column>_colors"]`` gives
        its categories, as scanpy writes them; where there are none, those drawn are written there.
    palette : str, list or mapping, optional
        Colours of categories: the name of one of matplotlib's colour maps, colours in the order of
        the categories, or by category.
    size : float, optional
        Area of a point in square points; by default it depends on the number of samples.
    ncols : int
        Maps in a row, where there are several.
    basis : str
        Key of ``obsm``, with or without ``X_``.
    components : (int, int)
        Which coordinates to draw, counted from 1.
    layer : str, optional
        Where AnnData keeps the expression of a gene to colour by; ``X`` by default.
    legend : {"auto", "both", "beside", "on map", "none"}
        Where categories are named: each once, in the map if most are clusters there (up to 40), and
        else beside it; beside the map; in it; both; or nowhere. Long names are shortened in their
        middle.
    cmap : str
        Matplotlib's colour map for numbers.
    color_limits : (low, high), optional
        Of a number's colours; by default its 1st and 99th percentile.
    title : str, or list of str, optional
        By default the name of what is coloured by.
    ax : matplotlib Axes, optional
        Draw there and not in a new figure.
    save : path, optional
        Write the figure to this .png, .pdf or .svg file.

    Returns
    -------
    matplotlib Axes
        A list of them where ``color`` is a list of names.

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
    if size is not None and not 0 < size < np.inf:
        raise InputError(f"size is {size!r}; give the area of a point in square points.")
    points = plane(data, basis, components)
    several = _names(data, color, len(points))
    wanted = [color] if several is None else several
    found = [colouring(data, one, len(points), layer, palette) for one in wanted]
    titles = _titles(title, len(wanted), several is not None)
    if several is None:
        all_axes = [canvas.axes_for(ax, save, PAGE_WIDTH, _height(points, 5.4))]
    elif ax is not None:
        raise InputError(
            "Several maps need a figure of their own; leave ax out, or give one color."
        )
    else:
        all_axes = _panels(len(wanted), ncols, _height(points, 0.72 * PANEL_WIDTH), save)
    limits = None if color_limits is None else pair(color_limits)
    for axes, values, called in zip(all_axes, found, titles, strict=True):
        canvas.name_axes(axes, axis_names(basis, components))
        if called is None:
            is_named = several is not None or isinstance(values, Categories)
            called = getattr(values, "title", "") if is_named else ""
        canvas.entitle(axes, called)  # before names, whose places depend on the room that it leaves
        if called and isinstance(values, Numbers) and called == values.title:
            values = replace(values, title="" if values.scale else values.title)
        _draw(axes, points, values, legend, cmap, limits, size)
    canvas.finished(all_axes[0], save)
    return all_axes[0] if several is None else all_axes


def _draw(
    ax: Axes,
    points: Float,
    values: Any,
    legend: Legend,
    cmap: str,
    limits: tuple[float, float] | None,
    size: float | None,
) -> None:
    """One map: its points, and what their colours mean."""
    if isinstance(values, Numbers):
        limits = marks.spread(values.values) if limits is None else limits
        shown = marks.draw_numbers(ax, points, values.values, limits, cmap, size)
        extend = marks.extension(values.values, limits)
        canvas.colour_bar(ax, shown, values.told, extend=extend)
        n_missing = int((~np.isfinite(values.values)).sum())
        if n_missing:
            canvas.note(
                ax, f"{MISSING_LABEL}  {n_missing:,} (grey)", "lower right", color=canvas.SOFT
            )
    elif isinstance(values, Categories):
        marks.draw_categories(ax, points, values, values.styles(), size)
        name_categories(ax, points, values, legend, values.styles())
    else:
        one = Categories(("",), np.zeros(len(points), np.intp))
        marks.draw_categories(ax, points, one, {"": Style(canvas.OURS)}, size)


def _names(data: Any, color: Any, n: int) -> list[str] | None:
    """The names in a list of several things to colour by; None for one, or a value per sample."""
    named = hasattr(data, "obs_names") or hasattr(data, "decode")
    if not named or not isinstance(color, list | tuple) or len(color) in (0, n):
        return None
    return list(color) if all(isinstance(one, str) for one in color) else None


def _titles(title: Any, n: int, several: bool) -> list[str | None]:
    if title is None or isinstance(title, str):
        return [title] * n
    titles = list(title)
    if not several or len(titles) != n:
        raise InputError(f"There are {len(titles)} titles for {n} map(s); give one for each.")
    return titles


def _height(points: Float, width: float) -> float:
    return canvas.map_height(np.ptp(points, axis=0), width)


def _panels(n: int, ncols: int, height: float, save: SavePath | None) -> list[Axes]:
    """Axes of ``n`` maps, in rows of ``ncols``."""
    if ncols < 1:
        raise InputError(f"ncols is {ncols!r}; give at least one map in a row.")
    columns = min(n, ncols)
    rows = -(-n // columns)
    figure = canvas.new_figure(save, PANEL_WIDTH * columns, height * rows)
    return [figure.add_subplot(rows, columns, k + 1) for k in range(n)]
