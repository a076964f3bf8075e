"""Names written into a map: near what they name, off the points, and off each other.

Every name tries all places of a fine grid. The nearest one that covers no point and no other name
is taken; the name that has the least choice is placed first. A thin line leads back to what is
named. No step is random, so the same figure is the same everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fembed.data.chunks import even_choice
from fembed.pl import canvas, names
from fembed.pl.canvas import GROUND, INK, PLAIN, SOFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Float = NDArray[np.float64]

#: What names and their lines are called among the artists of a figure, and in a vector file.
NAME = "fembed-name"
#: Lengths are in points (1/72 inch): between candidate places, of a cell of the points' mask, and
#: the gap between a name and anything else.
_STEP, _CELL, _GAP = 3.0, 1.5, 1.5
#: A name is at most so wide, in inches and as a share of the axes, and so many lines high.
_WIDTH, _SHARE, _LINES = 1.3, 0.4, 2
#: A name stands at most so far from what it names, in points.
_REACH = 36.0
#: So many of a label's members, evenly chosen, say how far it is from them.
_MEMBERS = 24
#: What covering points costs a name that must be written, as points of distance for all of it.
_COVERED = 250.0
#: Names with a line shorter than this have none.
_NO_LINE = 5.0
#: So many candidates are looked at for one whose line crosses no other.
_TRIED = 60
_FEW, _SMALLER = 25, 0.86  # more names than this have smaller type


def write_labels(
    ax: Axes,
    places: Float,
    labels: Sequence[str],
    *,
    fontsize: float = 7.0,
    around: Float | None = None,
    radius: float = 2.0,
    members: Sequence[Float] | None = None,
    must: bool = True,
) -> list[Any]:
    """Write ``labels`` near ``places`` (k x 2); a line leads back from one that stands apart.

    Parameters
    ----------
    around : array, m x 2, optional
        Points that the labels should keep clear of; the places themselves by default.
    radius : float
        Of these points as they are drawn, in points (1/72 inch).
    members : sequence of arrays, optional
        The points that each label names: its line leads to the nearest of them.
    must : bool
        Write all of them, over points if there is no room; otherwise leave those out.

    Returns
    -------
    list of matplotlib.text.Text
        None for a label that is left out.
    """
    figure = ax.get_figure(root=True)
    figure.draw_without_rendering()  # the layout settles where the axes are
    box = ax.get_window_extent()
    to_points = 72.0 / figure.dpi

    def paper(data: Float) -> Float:  # from the lower left corner of the axes
        shown = np.asarray(ax.transData.transform(data))
        return np.asarray((shown - (box.x0, box.y0)) * to_points)

    there = np.flatnonzero(np.isfinite(places).all(axis=1))
    if not there.size:
        return [None] * len(labels)
    size = fontsize if there.size <= _FEW else _SMALLER * fontsize
    extent = (box.width * to_points, box.height * to_points)
    room = min(_WIDTH, _SHARE * extent[0] / 72.0)
    texts = names.all_wrapped([labels[int(k)] for k in there], room, size, _LINES)
    covered = _mask(paper(places[there] if around is None else around), radius, extent)
    anchors = paper(places[there])
    aims = [anchors[k : k + 1] for k in range(there.size)]
    if members is not None:
        aims = [paper(members[int(k)]) for k in there]
    boxes = [_box_of(text, size) for text in texts]
    chosen = _choose(boxes, anchors, aims, covered, extent, must)
    drawn: list[Any] = [None] * len(labels)
    back = ax.transData.inverted()
    for k, place in enumerate(chosen):
        if place is None:
            continue
        at = back.transform(np.asarray(place) / to_points + (box.x0, box.y0))
        drawn[there[k]] = _text(ax, at, texts[k], size)
        _draw_line(ax, place, boxes[k], aims[k], paper)
    return drawn


def fits(ax: Axes, label: str, fontsize: float = 7.0) -> bool:
    """Whether a label can stand in a map without being shortened."""
    across = ax.get_window_extent().width / ax.get_figure(root=True).dpi
    room = min(_WIDTH, _SHARE * across)
    written = names.wrapped(label, room, fontsize, _LINES).replace("\n", "")
    return written.replace(" ", "") == names.plain(label).replace(" ", "")


def remove_labels(ax: Axes) -> None:
    """Take away all names that `write_labels` has written, and their lines."""
    for drawn in [*ax.texts, *ax.lines]:
        if drawn.get_gid() == NAME:
            drawn.remove()


class _Box(NamedTuple):
    """Width and height of a text in points."""

    across: float
    up: float


def _box_of(text: str, size: float) -> _Box:
    lines = text.split("\n")
    return _Box(72.0 * max(names.width(line, size) for line in lines), 1.12 * size * len(lines))


def _mask(points: Float, radius: float, extent: tuple[float, float]) -> Float:
    """Integral image of the cells that points cover: its differences count covered cells."""
    from scipy.ndimage import binary_dilation

    shape = tuple(int(np.ceil(length / _CELL)) + 1 for length in extent)
    cells = np.floor(points / _CELL).astype(np.intp)
    inside = ((cells >= 0) & (cells < shape)).all(axis=1)
    mask = np.zeros(shape, bool)
    mask[tuple(cells[inside].T)] = True
    reach = int(np.ceil((radius + _GAP) / _CELL))
    disc = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1]) <= reach
    return np.pad(binary_dilation(mask, disc).cumsum(0).cumsum(1).astype(float), ((1, 0), (1, 0)))


class _Candidates:
    """Where one name may stand: centres, what each covers, and how far it is from its anchor."""

    def __init__(
        self, box: _Box, aims: Float, covered: Float, extent: tuple[float, float], must: bool
    ) -> None:
        half = np.array(box) / 2.0
        sides = [
            np.arange(h + _GAP, max(length - h - _GAP, h + _GAP + 0.1), _STEP)
            for h, length in zip(half, extent, strict=True)
        ]
        self.centres = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, 2)
        low, high = (
            np.clip((self.centres + side * half) / _CELL, 0, np.array(covered.shape) - 1)
            for side in (-1.0, 1.0)
        )
        (x0, y0), (x1, y1) = np.floor(low).astype(int).T, np.ceil(high).astype(int).T
        cells = covered[x1, y1] - covered[x0, y1] - covered[x1, y0] + covered[x0, y0]
        share = cells / np.maximum((x1 - x0) * (y1 - y0), 1)
        some = aims[even_choice(len(aims), _MEMBERS)]
        apart = np.maximum(np.abs(self.centres[:, None] - some) - half, 0.0)
        distance = np.hypot(apart[..., 0], apart[..., 1]).min(axis=1)
        self.half = half
        self.cost = distance + _COVERED * share
        if not must:
            self.cost[(cells > 0) | (distance > _REACH)] = np.inf

    def block(self, centre: Float, half: Float) -> None:
        """No place that another name takes."""
        near = np.abs(self.centres - centre) < self.half + half + _GAP
        self.cost[near.all(axis=1)] = np.inf


def _choose(
    boxes: Sequence[_Box],
    anchors: Float,
    aims: Sequence[Float],
    covered: Float,
    extent: tuple[float, float],
    must: bool,
) -> list[Float | None]:
    """The centre of each name; None where there is no room."""
    waiting = {k: _Candidates(box, aims[k], covered, extent, must) for k, box in enumerate(boxes)}
    chosen: list[Float | None] = [None] * len(boxes)
    lines: list[tuple[Float, Float]] = []
    while waiting:
        best = {k: float(some.cost.min()) for k, some in waiting.items()}
        # The one with the least choice first; those without any are left out.
        k = max(best, key=lambda key: (np.isfinite(best[key]), best[key]))
        some = waiting.pop(k)
        if not np.isfinite(best[k]):
            continue
        centre = _uncrossed(some, anchors[k], lines)
        chosen[k] = centre
        lines.append((centre, anchors[k]))
        for other in waiting.values():
            other.block(centre, some.half)
    return chosen


def _uncrossed(some: _Candidates, anchor: Float, lines: list[tuple[Float, Float]]) -> Float:
    """The best place whose line to the anchor crosses no other line, or else the best one."""
    order = np.argsort(some.cost, kind="stable")[:_TRIED]
    for at in order[np.isfinite(some.cost[order])]:
        if not any(_cross(some.centres[at], anchor, *line) for line in lines):
            return np.asarray(some.centres[at])
    return np.asarray(some.centres[order[0]])


def _cross(a: Float, b: Float, c: Float, d: Float) -> bool:
    def side(p: Float, q: Float, r: Float) -> float:
        return float((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]))

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


def _text(ax: Axes, place: Float, text: str, size: float) -> Any:
    return ax.text(
        *place, text, fontsize=size, color=INK, ha="center", va="center", linespacing=1.0,
        zorder=8, gid=NAME, bbox=GROUND, **PLAIN,
    )  # fmt: skip


def _draw_line(ax: Axes, centre: Float, box: _Box, aims: Float, paper: Any) -> None:
    """From the edge of a name to the nearest of the points that it names, if they are apart."""
    half = np.array(box) / 2.0 + 0.5
    apart = np.maximum(np.abs(aims - centre) - half, 0.0)
    distance = np.hypot(*apart.T)
    nearest = int(np.argmin(distance))
    if distance[nearest] < _NO_LINE:
        return
    edge = centre + np.clip(aims[nearest] - centre, -half, half)
    origin, unit = paper(np.zeros((1, 2)))[0], paper(np.ones((1, 2)))[0]
    ends = (np.stack([edge, aims[nearest]]) - origin) / (unit - origin)
    ax.plot(
        *ends.T, color=SOFT, linewidth=0.5, zorder=7, scalex=False, scaley=False,
        solid_capstyle="butt", gid=NAME,
    )  # fmt: skip


def point_radius(n: int) -> float:
    """The radius in points of what a map of ``n`` samples is drawn with."""
    return 0.5 * float(np.sqrt(canvas.point_area(n)))
