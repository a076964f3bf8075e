"""Legends that leave the axes half of the figure: as many columns, names and letters as fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fembed.pl import names
from fembed.pl.canvas import SOFT
from fembed.pl.palette import MISSING_LABEL

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEGEND_LINE = 0.134  # inches, of the type above
#: Type of legends in points: smaller before names are shortened.
LEGEND_SIZES = (7.0, 6.0)
#: A legend takes at most so much of the width of its axes: they keep half of the figure.
LEGEND_SHARE = 0.42
#: Inches that a shortened name has at least; fewer columns rather than less.
MIN_NAME = 0.6
HANDLE = 1.2  # the length of a legend's handle, in units of its type
_ELLIPSIS = "…"


def legend_beside(
    ax: Axes,
    handles: Sequence[Any],
    labels: Sequence[str],
    counts: Sequence[int | None] | None = None,
    fixed: int = 0,
    title: str | None = None,
) -> Any:
    """A legend to the right of ``ax``, which stays at least as wide as the legend.

    Type becomes a little smaller, then names are shortened, then the categories with the fewest
    samples are left out, and the last line says how many.

    Parameters
    ----------
    handles, labels : sequences
    counts : sequence of int or None, optional
        The samples of each entry, written behind its name.
    fixed : int
        So many of the first entries are never left out.
    title : str, optional
    """
    figure = ax.get_figure(root=True)
    figure.draw_without_rendering()  # the layout settles how large the axes are
    box = ax.get_window_extent()
    across, up = box.width / figure.dpi, box.height / figure.dpi
    numbers = counts if counts is not None else [None] * len(labels)
    up -= 0.0 if title is None else LEGEND_LINE
    entries = fit_entries(labels, numbers, LEGEND_SHARE * across, up, fixed)
    made = legend(
        ax,
        [*(handles[k] for k in entries.kept), *([no_marker()] if entries.left_out else [])],
        entries.texts,
        ncols=entries.columns,
        fontsize=entries.size,
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        borderaxespad=0.0,
        labelspacing=0.35,
        handlelength=HANDLE,
        handletextpad=0.3,
        columnspacing=1.0,
        title=title,
        title_fontsize=entries.size,
        alignment="left",
    )
    made.get_title().set_color(SOFT)
    if figure.get_layout_engine() is None:
        _make_room(ax, made)
    return made


@dataclass(frozen=True)
class Entries:
    """What a legend shows: which entries, their texts (one more of how many are left out)."""

    kept: list[int]
    texts: list[str]
    columns: int
    size: float
    left_out: int


def fit_entries(
    labels: Sequence[str],
    counts: Sequence[int | None],
    across: float,
    up: float,
    fixed: int = 0,
) -> Entries:
    """Entries of a legend in a box of ``across`` x ``up`` inches; see `legend_beside`."""
    n = len(labels)
    ends = ["" if count is None else f"  {count:,}" for count in counts]
    texts = [names.plain(label) + end for label, end in zip(labels, ends, strict=True)]
    for size in LEGEND_SIZES:
        rows = max(8, int(up / (LEGEND_LINE * size / LEGEND_SIZES[0])))
        columns = -(-n // rows)
        widths = [names.width(text, size) for text in texts]
        total = sum(
            max(widths[k : k + rows], default=0.0) + _beside_name(size) for k in range(0, n, rows)
        )
        if total <= across:
            return Entries(list(range(n)), texts, columns, size, 0)
    columns = max(1, min(columns, int(across / (MIN_NAME + _beside_name(size)))))
    kept = largest(labels, counts, columns * rows, fixed)
    room = across / columns - _beside_name(size)
    longest = max((names.width(end, size) for end in ends), default=0.0)
    short = names.told_apart([labels[k] for k in kept], room - longest, size)
    shown = [name + ends[k] for name, k in zip(short, kept, strict=True)]
    left_out = n - len(kept)
    more = [left_out_text(left_out)] if left_out else []
    return Entries(kept, [*shown, *more], columns, size, left_out)


def largest(
    labels: Sequence[str], counts: Sequence[int | None], most: int, fixed: int = 0
) -> list[int]:
    """Which of the entries are shown where there is room for ``most`` lines, in their order."""
    everyone = list(range(len(labels)))
    if len(everyone) <= most:
        return everyone
    # Grey NA says how much is not known, and is not one of many.
    first = [k for k in everyone if k < fixed or labels[k] == MISSING_LABEL]
    rest = sorted(set(everyone) - set(first), key=lambda k: (-(counts[k] or 0), k))
    return sorted([*first, *rest][: max(1, most - 1)])  # one line says how many are left out


def left_out_text(number: int) -> str:
    """The last line of a legend that has not room for all."""
    return f"{_ELLIPSIS} and {number:,} more"


def _beside_name(size: float) -> float:
    """Inches that the marker and the blank before the next column take."""
    return (HANDLE + 0.3 + 1.0) * size / 72.0


def no_marker() -> Any:
    """The handle of a line that stands for no category."""
    from matplotlib.lines import Line2D

    return Line2D([], [], linestyle="none")


def _make_room(ax: Axes, made: Any) -> None:
    """Narrow axes that no layout engine cares for, so that the legend covers nothing beside them.

    Axes that are alone end where the legend ends at the figure's edge; others keep their place
    in the row.
    """
    figure = ax.get_figure(root=True)
    place = ax.get_position(original=True)
    right = made.get_window_extent().x1 / figure.bbox.width
    most = 0.99 if len(figure.axes) == 1 else place.x1
    if right > most:
        ax.set_position((place.x0, place.y0, place.width - (right - most), place.height))


def legend(owner: Any, handles: Sequence[Any], labels: Sequence[str], **options: Any) -> Any:
    """A legend of axes or figure whose labels are plain text, whatever they begin with."""
    # Matplotlib leaves out labels that begin with an underscore, so they come in afterwards; as
    # wide as they will be, though no layout depends on it before the figure is drawn.
    made = owner.legend(list(handles), ["." for _ in labels], **options)
    for text, label in zip(made.get_texts(), labels, strict=True):
        text.set_parse_math(False)
        text.set_text(label)
    return made
