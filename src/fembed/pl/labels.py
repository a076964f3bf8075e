"""Names written into a map, where most of their samples are, without lying on each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fembed.pl.canvas import INK, PLAIN, SOFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Float = NDArray[np.float64]

#: Cells along a side of the grid in which the densest place of a category is looked for.
_CELLS = 24
#: Rounds that the labels may push each other; a number and not seconds, so that the same figure
#: is the same everywhere.
_ROUNDS = 300


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
    names: Sequence[str],
    *,
    fontsize: float = 7.0,
    around: Float | None = None,
    clear_of_places: bool = False,
) -> list[Any]:
    """Write ``names`` at ``places`` (k x 2), pushed apart; a line leads back where one moved.

    Parameters
    ----------
    around : array, m x 2, optional
        Points that the labels should keep clear of.
    clear_of_places : bool
        Keep each label off its own place, too: for single points, which it would hide.

    Returns
    -------
    list of matplotlib.text.Text
    """
    from adjustText import adjust_text
    from matplotlib import patheffects

    halo = [patheffects.withStroke(linewidth=2.2, foreground="white")]
    there = np.isfinite(places).all(axis=1)
    texts = [
        ax.text(
            *place, name, fontsize=fontsize, color=INK, ha="center", va="center",
            path_effects=halo, zorder=8, **PLAIN,
        )
        for place, name in zip(places[there], np.array(names, dtype=object)[there], strict=True)
    ]  # fmt: skip
    if len(texts) > 0:
        ax.get_figure(root=True).draw_without_rendering()  # the layout settles where the axes are
        anchors = places[there]
        adjust_text(
            texts,
            *(() if around is None else around.T),
            target_x=anchors[:, 0],
            target_y=anchors[:, 1],
            avoid_self=clear_of_places,
            iter_lim=_ROUNDS,
            expand=(1.15, 1.8) if clear_of_places else (1.06, 1.12),
            force_explode=(0.1, 0.4) if clear_of_places else (0.02, 0.05),
            min_arrow_len=5 if clear_of_places else 12,
            ax=ax,
            arrowprops={"arrowstyle": "-", "color": SOFT, "linewidth": 0.5, "zorder": 7},
        )
    return texts
