"""Densities of a map in hexagons, and the limits that several maps share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fembed.errors import InputError
from fembed.pl import canvas
from fembed.pl.canvas import SavePath
from fembed.pl.palette import SEQUENTIAL
from fembed.pl.points import BASIS, axis_names, pair, plane

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Float = NDArray[np.float64]
Limits = tuple[tuple[float, float], tuple[float, float]]

#: Hexagons across a density's width, as in the published figure.
HEXAGONS = 30


@canvas.drawing()
def density(
    data: Any,
    *,
    basis: str = BASIS,
    components: tuple[int, int] = (1, 2),
    hexagons: int = HEXAGONS,
    limits: Any = None,
    most: float | None = None,
    title: str | None = None,
    ax: Axes | None = None,
    save: SavePath | None = None,
) -> Axes:
    """How many samples lie where: hexagons on a logarithmic colour scale.

    Parameters
    ----------
    data, basis, components, title, ax, save
        As for `embedding`.
    hexagons : int
        Across the width.
    limits : (low, high) of both axes, or a pair of them, optional
        By default a square that holds all samples; samples outside are counted in the panel.
    most : float, optional
        The count at the end of the colour scale, to share it between panels.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        As `embedding`.

    Examples
    --------
    >>> axes = fembed.pl.density(adata)
    """
    points = plane(data, basis, components)
    ax = canvas.axes_for(ax, save, 4.6, 3.9)
    box = square_limits([points], share=1.0) if limits is None else both_limits(limits)
    shown = draw_density(ax, points, box, hexagons, most)
    canvas.label_axes(ax, *axis_names(basis, components))
    canvas.entitle(ax, title)
    if shown is not None:
        canvas.count_bar(ax, shown, "samples in a hexagon")
    return canvas.finished(ax, save)


def draw_density(
    ax: Axes,
    points: Float,
    limits: Limits,
    hexagons: int = HEXAGONS,
    most: float | None = None,
    note_size: float = 7.0,
) -> Any:
    """Hexagons over ``limits``; the samples outside are counted in words."""
    from matplotlib.colors import LogNorm

    ax.set_aspect("equal", adjustable="box")
    ax.set_xlim(limits[0])
    ax.set_ylim(limits[1])
    inside = within(points, limits)
    count_outside(ax, points, limits, note_size)
    if not inside.any():
        return None
    shown = ax.hexbin(
        *points[inside].T,
        gridsize=hexagons,
        extent=(*limits[0], *limits[1]),
        mincnt=1,
        cmap=SEQUENTIAL,
        linewidths=0.1,
        edgecolors="face",
    )
    highest = float(shown.get_array().max()) if most is None else most
    shown.set_norm(LogNorm(1.0, max(highest, 2.0)))
    return shown


def count_outside(ax: Axes, points: Float, limits: Limits, size: float = 7.0) -> None:
    """Say in the panel how many samples lie outside of it, if any."""
    outside = int((~within(points, limits)).sum())
    if outside:
        canvas.note(ax, f"{outside:,} outside", "lower right", fontsize=size, color=canvas.SOFT)


def within(points: Float, limits: Limits) -> NDArray[np.bool_]:
    """Which points lie in the box."""
    low, high = np.array(limits).T
    inside: NDArray[np.bool_] = ((points >= low) & (points <= high)).all(axis=1)
    return inside


def square_limits(embeddings: Sequence[Float], share: float = 0.99) -> Limits:
    """A square that holds, on either axis, this share of every embedding's samples.

    The few samples that lie far away must not shrink everything else to a dot.
    """
    tail = 50.0 * (1.0 - share)
    low = np.min([np.percentile(points, tail, axis=0) for points in embeddings], axis=0)
    high = np.max([np.percentile(points, 100.0 - tail, axis=0) for points in embeddings], axis=0)
    half = max(float((high - low).max()) * 0.53, 1e-6)
    (x, y) = (low + high) / 2.0
    return (x - half, x + half), (y - half, y + half)


def both_limits(limits: Any) -> Limits:
    """``(low, high)`` for both axes, or one pair for each."""
    array = np.asarray(limits, np.float64)
    if array.shape == (2,):
        return pair(array), pair(array)
    if array.shape == (2, 2):
        return pair(array[0]), pair(array[1])
    raise InputError(f"The limits are {limits!r}; give (low, high), or a pair for each axis.")
