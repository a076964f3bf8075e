"""A table of accuracies as a heat map."""

from __future__ import annotations

from typing import Any

import numpy as np

from fembed.errors import InputError
from fembed.pl import canvas, names
from fembed.pl.canvas import SavePath
from fembed.pl.layout import checked, is_pair, rows_and_columns
from fembed.pl.palette import SEQUENTIAL

#: The colour scale spans at least so much.
MIN_SPAN = 0.05
_CELL = 0.72  # inches across a cell


@canvas.drawing()
def accuracy_table(
    accuracy: Any,
    *,
    row_name: str = "",
    column_name: str = "",
    measure: str | None = None,
    title: str | None = None,
    ax: Any = None,
    save: SavePath | None = None,
) -> Any:
    """A table of accuracies as a heat map with the numbers in it.

    Parameters
    ----------
    accuracy : Sweep or mapping
        What `fembed.sweep` measured; or from ``(row, column)``, or from a title alone (then one
        row), to a number.
    row_name, column_name : str
        Names of the axes.
    measure : str, optional
        Of a sweep, the column of its table, by default ``network_accuracy`` if that was measured,
        and else ``knn_accuracy``; of other numbers, the name of the scale.
    title, ax, save
        As for `fembed.pl.embedding`.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        There is no number.
    """
    if hasattr(accuracy, "measure"):
        measure = measure or _measured(accuracy)
        row_name, column_name = row_name or accuracy.row_name, column_name or accuracy.column_name
        accuracy = accuracy.measure(measure)
    keys = list(checked(accuracy))
    rows, columns = rows_and_columns(keys, one_row=True)
    table = np.full((len(rows), len(columns)), np.nan)
    for key, value in accuracy.items():
        row, column = key if is_pair(key) else (rows[0], key)
        table[rows.index(row), columns.index(column)] = value
    if not np.isfinite(table).any():
        raise InputError("There is no accuracy to draw; all of them are missing.")
    across, down = (
        names.all_wrapped([str(key) for key in keys], inches, 7.0, 3)
        for keys, inches in ((columns, 0.9 * _CELL), (rows, 2 * _CELL))
    )
    beside = max(names.width(line, 7.0) for text in down for line in text.split("\n"))
    below = 0.12 * max(text.count("\n") for text in across)
    width, height = 1.4 + beside + _CELL * len(columns), 1.1 + below + _CELL / 2 * len(rows)
    ax = canvas.axes_for(ax, save, width, height)
    low, high = float(np.nanmin(table)), float(np.nanmax(table))
    # Differences of a hundredth must not look like day and night.
    low, high = min(low, (low + high - MIN_SPAN) / 2), max(high, (low + high + MIN_SPAN) / 2)
    shown = ax.imshow(
        np.ma.masked_invalid(table), cmap=SEQUENTIAL, aspect="auto", vmin=low, vmax=high
    )
    ax.set_xticks(range(len(columns)), across, **canvas.PLAIN)
    ax.set_yticks(range(len(rows)), down, **canvas.PLAIN)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    for (row, column), value in np.ndenumerate(table):
        if np.isfinite(value):
            ink = "white" if value < (low + high) / 2 else canvas.INK
            ax.text(column, row, f"{value:.3f}", ha="center", va="center", color=ink, fontsize=8)
    canvas.label_axes(ax, column_name, row_name)
    canvas.colour_bar(ax, shown, (measure or "accuracy").replace("_", " "))
    canvas.entitle(ax, title)
    return canvas.finished(ax, save)


def _measured(sweep: Any) -> str:
    """The accuracy of a sweep that is shown unless another one is asked for."""
    by_network = list(sweep.measure("network_accuracy").values())
    return "network_accuracy" if np.isfinite(by_network).any() else "knn_accuracy"
