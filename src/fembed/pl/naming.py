"""Names of categories: each once, in the map where it marks a cluster, and otherwise beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fembed.pl import canvas, marks
from fembed.pl.categories import Categories
from fembed.pl.clusters import are_clusters, densest_places
from fembed.pl.labels import fits, point_radius, remove_labels, write_labels
from fembed.pl.legends import legend_beside
from fembed.pl.palette import MISSING_LABEL, N_STYLES, Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Float = NDArray[np.float64]
Legend = Literal["auto", "both", "beside", "on map", "none"]
LEGENDS: tuple[Legend, ...] = ("auto", "both", "beside", "on map", "none")

#: More names than this are not written into a map by themselves.
MAX_DIRECT_LABELS = 40
#: Fewer than this share of the categories in the map, and all are beside it: one place to look.
_MOST = 0.6
#: The map's margins where names stand in it.
_MARGIN = 0.09
_ELSEWHERE = "not named in the map"


class Entries(NamedTuple):
    """Entries of a legend that stand before the categories."""

    handles: Sequence[Any] = ()
    labels: Sequence[str] = ()
    counts: Sequence[int | None] = ()


def name_categories(
    ax: Axes,
    points: Float,
    values: Categories,
    legend: Legend,
    styles: Mapping[str, Style],
    *,
    first: Entries | None = None,
    around: Float | None = None,
) -> None:
    """Write the names of categories into a map of ``points``, or beside it, or both.

    Parameters
    ----------
    styles : Style by name
        What the legend shows.
    first : Entries, optional
        Of the legend, before the categories; never left out.
    around : array, m x 2, optional
        All points that are drawn, where they are more than ``points``.
    """
    first = Entries() if first is None else first
    around = points if around is None else around
    shown = [int(code) for code in np.flatnonzero(values.counts)]
    named = [code for code in shown if values.names[code] != MISSING_LABEL]
    if legend != "auto":
        if legend in ("both", "beside"):
            _beside(ax, values, shown, styles, first)
        elif first.labels and legend != "none":
            _beside(ax, values, [], styles, first)
        if legend in ("both", "on map"):
            must = legend == "on map"
            if must or len(named) <= MAX_DIRECT_LABELS:
                _in_map(ax, points, values, named, around, must)
        return
    if len(named) > N_STYLES:
        canvas.note(ax, f"{len(named):,} categories, too many to name", color=canvas.SOFT)
        _beside(ax, values, [], styles, first)
        return
    inside = _own_clusters(ax, points, values, named)
    while True:
        outside = [code for code in shown if code not in inside]
        made = _beside(ax, values, outside, styles, first, apart=bool(inside))
        left = _in_map(ax, points, values, inside, around, must=False)
        if not left:
            return
        remove_labels(ax)
        if made is not None:
            made.remove()
        inside = _enough([code for code in inside if code not in left], named)


def _own_clusters(ax: Axes, points: Float, values: Categories, named: Sequence[int]) -> list[int]:
    """Which of the categories are named in the map: whole names of clusters, if most are."""
    if not 1 < len(named) <= MAX_DIRECT_LABELS:
        return []
    found = are_clusters(points, values.codes, len(values.names))
    return _enough([k for k in named if found[k] and fits(ax, values.names[k])], named)


def _enough(codes: list[int], named: Sequence[int]) -> list[int]:
    return codes if len(codes) >= _MOST * len(named) else []


def _beside(
    ax: Axes,
    values: Categories,
    codes: Sequence[int],
    styles: Mapping[str, Style],
    first: Entries,
    apart: bool = False,
) -> Any:
    """A legend of some categories; None where there is nothing in it."""
    names = [values.names[code] for code in codes]
    counts = values.counts
    handles = [*first.handles, *marks.handles(names, styles)]
    if not handles:
        return None
    return legend_beside(
        ax,
        handles,
        [*first.labels, *names],
        [*first.counts, *(int(counts[code]) for code in codes)],
        len(first.labels),
        title=_ELSEWHERE if apart and names and not first.labels else None,
    )


def _in_map(
    ax: Axes,
    points: Float,
    values: Categories,
    codes: Sequence[int],
    around: Float,
    must: bool,
) -> list[int]:
    """Write the names of some categories where most of their samples are; those without room."""
    if not codes:
        return []
    ax.margins(_MARGIN)
    ax.autoscale_view()
    places = densest_places(points, values.codes, len(values.names))[list(codes)]
    drawn = write_labels(
        ax,
        places,
        [values.names[code] for code in codes],
        around=around,
        radius=point_radius(len(around)),
        members=[
            _near(points[values.codes == code], place)
            for code, place in zip(codes, places, strict=True)
        ],
        must=must,
    )
    return [code for code, text in zip(codes, drawn, strict=True) if text is None]


def _near(members: Float, place: Float) -> Float:
    """Those in the middle of a cluster: a line should not lead to one that strayed."""
    away = np.hypot(*(members - place).T)
    middle: Float = members[away <= np.median(away)]
    return middle
