"""Names written into a map, where most of their samples are, without lying on each other."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fembed.pl import names
from fembed.pl.canvas import INK, PLAIN, SOFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Float = NDArray[np.float64]

#: Cells along a side of the grid in which the densest place of a category is looked for.
_CELLS = 24
#: Rounds that the labels may push each other; a number and not seconds, so that the same figure
#: is the same everywhere.
_ROUNDS = 300
#: How labels may be written, the best first: widest line in inches, lines, and how much of the
#: type's size. The next ones are for maps of which they would cover too much.
_FORMS = ((1.3, 2, 1.0), (1.0, 2, 0.86), (0.75, 1, 0.86), (0.6, 1, 0.75))
#: A label takes at most this share of the width of its axes, all of them this share of the area.
_SHARE, _COVERED = 0.4, 0.22
#: Pushing takes a second, so few forms are tried until none lies on another.
_ATTEMPTS = 2
#: More labels are pushed for fewer rounds, and their lines may cross: in every round adjustText
#: compares every two of them.
_MAX_UNCROSSED = 45
#: More labels stay where they are: pushing 200 takes half a minute, and there is no room.
_MAX_PUSHED = 100


def densest_places(points: Float, codes: NDArray[np.intp], n_codes: int) -> Float:
    """Where most points of each category lie together (n_codes x 2; NaN for one without any).

    A mean could lie where no member is, between two clusters say.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    span = np.where(high > low, high - low, 1.0)
    cells = np.minimum(((points - low) / span * _CELLS).astype(np.intp), _CELLS - 1) + 1
    places = np.full((n_codes, 2), np.nan)
    for code in range(n_codes):
        members = codes == code
        if not members.any():
            continue
        mine = cells[members]
        counts = np.zeros((_CELLS + 2, _CELLS + 2))
        np.add.at(counts, (mine[:, 0], mine[:, 1]), 1.0)
        around = sum(  # each cell with its eight neighbours
            np.roll(counts, (a, b), (0, 1)) for a in (-1, 0, 1) for b in (-1, 0, 1)
        )
        best = np.array(np.unravel_index(np.argmax(around), counts.shape))
        near = np.abs(mine - best).max(axis=1) <= 1
        places[code] = np.median(points[members][near], axis=0)
    return places


def write_labels(
    ax: Axes,
    places: Float,
    labels: Sequence[str],
    *,
    fontsize: float = 7.0,
    around: Float | None = None,
    clear_of_places: bool = False,
    must: bool = True,
) -> list[Any]:
    """Write ``labels`` at ``places`` (k x 2), pushed apart; a line leads back where one moved.

    Parameters
    ----------
    around : array, m x 2, optional
        Points that the labels should keep clear of.
    clear_of_places : bool
        Keep each label off its own place, too: for single points, which it would hide.
    must : bool
        Write them even where they would cover too much of the map.

    Returns
    -------
    list of matplotlib.text.Text
    """
    figure = ax.get_figure(root=True)
    figure.draw_without_rendering()  # the layout settles where the axes are
    across, up = ax.get_window_extent().size / figure.dpi
    there = np.isfinite(places).all(axis=1)
    anchors, named = places[there], [labels[int(k)] for k in np.flatnonzero(there)]
    forms = [_fitted(named, min(form[0], _SHARE * across), fontsize, form) for form in _FORMS]
    forms = [form for form in forms if form.area <= _COVERED * across * up]
    if not forms and must:
        forms = [_fitted(named, min(_FORMS[-1][0], _SHARE * across), fontsize, _FORMS[-1])]
    texts: list[Any] = []
    attempts = _ATTEMPTS if len(named) <= _MAX_UNCROSSED else 1
    for attempt, form in enumerate(forms[:attempts], start=1):
        texts = _texts(ax, anchors, form)
        pushed = 0 < len(texts) <= _MAX_PUSHED
        lines = _push_apart(ax, texts, anchors, around, clear_of_places) if pushed else []
        if attempt == len(forms[:attempts]) or not _overlap(texts):
            break
        for drawn in (*texts, *lines):
            drawn.remove()
    return texts


class _Form(NamedTuple):
    """Labels as they would be written, and the square inches that they would cover."""

    texts: list[str]
    size: float
    area: float


def _fitted(
    labels: Sequence[str], room: float, fontsize: float, form: tuple[float, int, float]
) -> _Form:
    _, lines, scale = form
    size = scale * fontsize
    texts = names.all_wrapped(labels, room, size, lines)
    rows = [row for text in texts for row in text.split("\n")]
    area = sum(names.width(row, size) for row in rows) * 1.2 * size / 72.0
    return _Form(texts, size, area)


def _texts(ax: Axes, places: Float, form: _Form) -> list[Any]:
    from matplotlib import patheffects

    halo = [patheffects.withStroke(linewidth=2.2, foreground="white")]
    return [
        ax.text(
            *place, text, fontsize=form.size, color=INK, ha="center", va="center", linespacing=1.0,
            path_effects=halo, zorder=8, **PLAIN,
        )
        for place, text in zip(places, form.texts, strict=True)
    ]  # fmt: skip


def _push_apart(
    ax: Axes, texts: list[Any], anchors: Float, around: Float | None, clear_of_places: bool
) -> list[Any]:
    """Move the texts off each other; the lines that lead back."""
    from adjustText import adjust_text

    with _in_silence():
        _, lines = adjust_text(
            texts,
            *(() if around is None else around.T),
            target_x=anchors[:, 0],
            target_y=anchors[:, 1],
            avoid_self=clear_of_places,
            iter_lim=max(2, round(_ROUNDS * min(1.0, _MAX_UNCROSSED / len(texts)) ** 2)),
            prevent_crossings=len(texts) <= _MAX_UNCROSSED,
            expand=(1.15, 1.8) if clear_of_places else (1.06, 1.12),
            force_explode=(0.1, 0.4) if clear_of_places else (0.02, 0.05),
            min_arrow_len=5 if clear_of_places else 12,
            ax=ax,
            arrowprops={"arrowstyle": "-", "color": SOFT, "linewidth": 0.5, "zorder": 7},
        )
    return list(lines)


def _overlap(texts: Sequence[Any]) -> bool:
    boxes = [text.get_window_extent() for text in texts]
    return any(one.overlaps(other) for k, one in enumerate(boxes) for other in boxes[:k])


@contextmanager
def _in_silence() -> Iterator[None]:
    """Without adjustText's words about axes that are smaller than a label, one per round."""
    logger = logging.getLogger("adjustText")
    before = logger.disabled
    logger.disabled = True
    try:
        with warnings.catch_warnings():
            # It says them by Logger.warn, which Python has deprecated (adjustText 1.4.0).
            warnings.filterwarnings("ignore", "The 'warn' method is deprecated")
            yield
    finally:
        logger.disabled = before
