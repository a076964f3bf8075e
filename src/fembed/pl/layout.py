"""Where panels stand on a page: rows and columns, their names, one legend or scale for all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fembed.errors import InputError
from fembed.pl import canvas, marks, names
from fembed.pl.canvas import PAGE_WIDTH, SavePath
from fembed.pl.legends import LEGEND_LINE, largest, left_out_text, legend, no_marker

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Key = Any  # a title, or (row, column)

#: Panels in a row where keys are not (row, column).
COLUMNS = 5
_GAP = 0.35  # inches at the left and the top, for the names of rows and columns
_BELOW = 0.06
_BESIDE = 1.25  # inches at the right, for the legend
_MAX_ROWS = 30  # of a legend below the panels
_MARKER = 0.24  # inches of a legend's marker and the blanks around it


def checked(panels: Mapping[Key, Any]) -> Mapping[Key, Any]:
    """``panels``, unless there are none."""
    if not panels:
        raise InputError("There is nothing to draw; give at least one panel.")
    return panels


def is_pair(key: Key) -> bool:
    """Whether a panel says its row and its column."""
    return isinstance(key, tuple) and len(key) == 2


def rows_and_columns(keys: Sequence[Key], one_row: bool = False) -> tuple[list[Any], list[Any]]:
    """The rows and columns of a figure: those that the keys say, or as many as there is need of."""
    if all(is_pair(key) for key in keys):
        rows = list(dict.fromkeys(key[0] for key in keys))
        return rows, list(dict.fromkeys(key[1] for key in keys))
    if one_row:
        return [""], list(keys)
    n_columns = min(COLUMNS, len(keys))
    return list(range(-(-len(keys) // n_columns))), list(range(n_columns))


def new_panels(
    keys: Sequence[Key], row_name: str, column_name: str, title: str | None, save: SavePath | None
) -> tuple[Figure, dict[Key, Any]]:
    """Square panels at page width, with the names of rows and columns at the outer ones."""
    rows, columns = rows_and_columns(keys)
    paired = all(is_pair(key) for key in keys)
    # Few panels do not become larger than they need to be.
    side = min(2.4, (PAGE_WIDTH - _GAP - _BESIDE) / len(columns))
    width = side * len(columns) + _GAP + _BESIDE
    above = _GAP + (0.16 if title else 0.0)
    room = 0.94 * side
    titles = {} if paired else _short(keys, lambda texts: names.all_wrapped(texts, room, 7.0, 4))
    row_names, column_names = (
        _short(some, lambda texts: names.told_apart(texts, room, 8.0)) for some in (rows, columns)
    )
    # Between rows: a little, or as many lines as the longest title has.
    lines = max((text.count("\n") + 1 for text in titles.values()), default=0)
    between = 0.06 * side + 0.115 * lines
    above += 0.115 * max(0, lines - 2)
    height = side * len(rows) + between * (len(rows) - 1) + above + _BELOW
    figure = canvas.new_figure(save, width, height)
    figure.set_layout_engine("none")
    grid = figure.add_gridspec(
        len(rows), len(columns), left=_GAP / width, right=1.0 - _BESIDE / width,
        top=1.0 - above / height, bottom=_BELOW / height, wspace=0.06,
        hspace=between / side,
    )  # fmt: skip
    axes: dict[Key, Any] = {}
    for key, (row, column) in _places(keys).items():
        ax = axes[key] = figure.add_subplot(grid[row, column])
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(True)
        ax.spines[:].set_color(canvas.LINE)
        if not paired:
            ax.set_title(titles[key], fontsize=7, pad=2.5, **canvas.PLAIN)
        elif row == 0:
            ax.set_title(column_names[key[1]], fontsize=8, pad=2.5, **canvas.PLAIN)
        if paired and column == 0:
            ax.set_ylabel(row_names[key[0]], fontsize=8, labelpad=2.5, **canvas.PLAIN)
    _write_names(figure, row_name, column_name, title, above)
    return figure, axes


def _short(
    keys: Sequence[Key], shorten: Callable[[Sequence[str]], Sequence[str]]
) -> dict[Key, str]:
    return dict(zip(keys, shorten([str(key) for key in keys]), strict=True))


def _write_names(
    figure: Figure, row_name: str, column_name: str, title: str | None, above: float
) -> None:
    width, height = figure.get_size_inches()
    centre = (_GAP + width - _BESIDE) / 2.0 / width
    column_name = names.shortened(column_name, width - _GAP - _BESIDE, 8.0)
    row_name = names.shortened(row_name, 0.9 * height, 8.0)
    figure.text(
        centre, 1.0 - (above - 0.3) / height, column_name, ha="center", va="top", fontsize=8,
        color=canvas.SOFT, **canvas.PLAIN,
    )  # fmt: skip
    figure.text(
        0.02 / width, 0.5, row_name, ha="left", va="center", rotation=90, fontsize=8,
        color=canvas.SOFT, **canvas.PLAIN,
    )  # fmt: skip
    if title:
        shown = names.shortened(title, width - _GAP, 9.0)
        figure.text(_GAP / width, 0.995, shown, va="top", fontsize=9, **canvas.PLAIN)


def shared_bar(figure: Figure, shown: Any, label: str) -> None:
    """The colour scale of all panels, at their right."""
    width, height = figure.get_size_inches()
    length = min(2.2, 0.7 * height)
    beside = figure.add_axes(
        (1.0 - (_BESIDE - 0.15) / width, 0.5 - length / 2 / height, 0.11 / width, length / height)
    )
    canvas.count_bar(beside, shown, label, inside=True)


def shared_legend(
    figure: Figure, labels: Sequence[str], counts: Sequence[int], chosen: Any
) -> None:
    """The legend of all panels: at their right, or below them where it is long."""
    width, height = figure.get_size_inches()
    rows = max(4, int((height - 0.2) / LEGEND_LINE))
    if len(labels) <= rows:
        place = {"loc": "center left", "bbox_to_anchor": (1.0 - (_BESIDE - 0.06) / width, 0.5)}
        n_columns, room = 1, _BESIDE - 0.06
    else:  # below the panels, where the page is as wide as it can be
        place = {"loc": "upper left", "bbox_to_anchor": (_GAP / width, 0.0)}
        longest = max(names.width(names.plain(label), 7.0) for label in labels) + _MARKER
        n_columns = max(1, int((width - _GAP) / min(max(1.1, longest), 2.4)))
        room = (width - _GAP) / n_columns
        rows = _MAX_ROWS * n_columns
    kept = [labels[k] for k in largest(labels, counts, rows)]
    texts, entries = names.told_apart(kept, room - _MARKER, 7.0), marks.handles(kept, chosen, 4.5)
    if len(kept) < len(labels):
        texts.append(left_out_text(len(labels) - len(kept)))
        entries.append(no_marker())
    legend(
        figure, entries, texts, ncols=n_columns, borderaxespad=0.0,
        labelspacing=0.35, handlelength=1.2, handletextpad=0.2, columnspacing=0.8, **place,
    )  # fmt: skip


def finished(
    figure: Figure, axes: Mapping[Key, Any], keys: Sequence[Key], save: SavePath | None
) -> NDArray[Any]:
    """The panels by row and column, once the file is written."""
    if save is not None:
        canvas.write(figure, save, tight=True)
    rows, columns = rows_and_columns(keys)
    array = np.full((len(rows), len(columns)), None, dtype=object)
    for key, place in _places(keys).items():
        array[place] = axes[key]
    return array


def _places(keys: Sequence[Key]) -> dict[Key, tuple[int, int]]:
    """Row and column of each panel, counted from 0."""
    rows, columns = rows_and_columns(keys)
    if all(is_pair(key) for key in keys):
        return {key: (rows.index(key[0]), columns.index(key[1])) for key in keys}
    return {key: divmod(number, len(columns)) for number, key in enumerate(keys)}
