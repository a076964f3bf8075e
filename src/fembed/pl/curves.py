"""Curves: how training went, and what accuracy each dimension reaches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fembed.errors import InputError
from fembed.pl import canvas, names
from fembed.pl.canvas import SavePath
from fembed.pl.palette import FEW, MARKERS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Float = NDArray[np.float64]

#: A logarithmic axis shows at most so large a ratio.
_DECADES = 1000.0

#: Curves of a training's history beside the losses: key, and the name of their axis.
_MORE = {
    "pearson_r": "Pearson r",
    "learning_rate": "learning rate",
    "network_rate": "learning rate",
    "gene_rate": "learning rate",
    "sample_rate": "learning rate",
}


@canvas.drawing()
def training_curve(
    model: Any,
    *,
    title: str | None = None,
    ax: Axes | None = None,
    save: SavePath | None = None,
) -> Axes:
    """Loss by step: of the blocks, of the held-out samples, and of PCA for comparison.

    Parameters
    ----------
    model : Model, or the mapping ``model.training``
        Of its history, ``loss`` and ``held_out`` are drawn; ``pearson_r`` and the learning rates
        (``learning_rate``, or ``network_rate``, ``gene_rate`` and ``sample_rate``) below, where
        the history has them.
    title, ax, save
        As for `fembed.pl.embedding`. On axes that are given, the losses alone are drawn.

    Returns
    -------
    matplotlib Axes
        Those of the losses.

    Raises
    ------
    InputError
        The model has no history.

    Examples
    --------
    >>> axes = fembed.pl.training_curve(model)
    """
    training: Mapping[str, Any] = getattr(model, "training", model)
    history = [point for point in training.get("history", []) if point.get("step") is not None]
    if len(history) < 2:
        raise InputError("The model holds no history of its training, so there is no curve.")
    below = [] if ax is not None else sorted({_MORE[key] for key in _MORE if _has(history, key)})
    if ax is None:
        figure = canvas.new_figure(save, 5.2, 3.2 + 1.3 * len(below))
        ratios = [3.0, *(1.3 for _ in below)]
        all_axes = np.atleast_1d(
            figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios)
        ).tolist()
        ax = all_axes[0]
        for lower, axis_name in zip(all_axes[1:], below, strict=True):
            keys = [key for key, name in _MORE.items() if name == axis_name]
            _draw_keys(lower, history, keys, axis_name)
        all_axes[-1].set_xlabel("step")
    else:
        ax.set_xlabel("step")
    _draw_losses(ax, history, training)
    canvas.entitle(ax, title)
    return canvas.finished(ax, save)


@canvas.drawing()
def accuracy_by_dimension(
    accuracy: Any,
    *,
    measure: str = "accuracy",
    title: str | None = None,
    ax: Axes | None = None,
    save: SavePath | None = None,
) -> Axes:
    """Accuracy of methods by the dimension of the embedding, named at the ends of their lines.

    Parameters
    ----------
    accuracy : mapping, DataFrame or Evaluation
        ``{method: {dimension: value, or values of the folds}}``; or a table with the columns
        ``method``, ``dimension``, ``measure`` and perhaps its standard error ``<measure>_se``, such
        as the summary of `fembed.evaluate`. The bars are standard errors of the mean.
    measure : str
        The column of a table, and the name of the axis.
    title, ax, save
        As for `fembed.pl.embedding`.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        There is nothing to draw, or a column is absent.
    """
    lines = _lines_of(accuracy, measure)
    ax = canvas.axes_for(ax, save, 4.6, 3.2)
    dimensions = sorted({float(d) for _, dims, _, _ in lines for d in dims if np.isfinite(d)})
    ends: list[tuple[float, str, str]] = []
    for number, (method, dims, means, errors) in enumerate(lines):
        colour, marker = FEW[number % len(FEW)], MARKERS[number % len(MARKERS)][0]
        if np.isfinite(dims).all():
            ax.errorbar(
                dims, means, yerr=errors, color=colour, marker=marker, markersize=4.5,
                linewidth=1.4, capsize=2.5, elinewidth=0.8,
            )  # fmt: skip
        else:  # a method without dimensions of its own, all genes for instance
            ax.axhline(float(means[0]), color=colour, linestyle="--", linewidth=1.2)
        ends.append((float(means[-1]), method, colour))
    if dimensions:
        ax.set_xscale("log", base=2)
        ax.set_xticks(dimensions, [f"{d:g}" for d in dimensions])
        ax.minorticks_off()
    canvas.label_axes(ax, "dimension of the embedding", measure.replace("_", " "))
    ax.grid(axis="y", color="0.92", linewidth=0.6)
    ax.set_axisbelow(True)
    _name_ends(ax, ends)
    canvas.entitle(ax, title)
    return canvas.finished(ax, save)


def _has(history: Sequence[Mapping[str, Any]], key: str) -> bool:
    return any(point.get(key) is not None for point in history)


def _series(history: Sequence[Mapping[str, Any]], key: str) -> Float:
    """Steps and values (2 x k) where the history has them."""
    known = [(p["step"], p[key]) for p in history if p.get(key) is not None]
    return np.array(known, np.float64).reshape(-1, 2).T


def _draw_losses(
    ax: Axes, history: Sequence[Mapping[str, Any]], training: Mapping[str, Any]
) -> None:
    step, loss = _series(history, "loss")
    ax.plot(*_torn(step, loss), color=canvas.OURS, linewidth=0.7, alpha=0.35)
    ax.plot(*_torn(step, _smooth(loss)), color=canvas.OURS, linewidth=1.5, label="training blocks")
    if _has(history, "held_out"):
        step, held_out = _series(history, "held_out")
        # The history repeats an evaluation until the next one.
        new = np.append(True, np.diff(held_out) != 0)
        ax.plot(
            *_torn(step[new], held_out[new]), color=canvas.OTHER, marker="o", markersize=3,
            linewidth=1.2, label="held out",
        )  # fmt: skip
    mse, explained = training.get("mse"), training.get("explained_variance")
    by_pca = training.get("pca_explained_variance")
    if mse is not None and explained is not None and by_pca is not None and explained < 1.0:
        left = float(mse) / (1.0 - float(explained)) * (1.0 - float(by_pca))
        ax.axhline(
            left, color=canvas.SOFT, linewidth=1.0, linestyle=":", label="PCA of this dimension"
        )
    _scale(ax)
    ax.set_ylabel("mean squared error")
    ax.legend(loc="best")


def _draw_keys(
    ax: Axes, history: Sequence[Mapping[str, Any]], keys: Sequence[str], axis_name: str
) -> None:
    shown = [key for key in keys if _has(history, key)]
    for key, colour in zip(shown, FEW, strict=False):
        ax.plot(
            *_torn(*_series(history, key)),
            color=colour,
            linewidth=1.3,
            label=key.removesuffix("_rate"),
        )
    if len(shown) > 1:
        _scale(ax)
        ax.legend(loc="best", ncols=len(shown))
    ax.set_ylabel(axis_name)


def _torn(step: Float, values: Float) -> tuple[Float, Float]:
    """The curve, broken where training went back to an earlier state."""
    back = np.flatnonzero(np.diff(step) < 0) + 1
    return np.insert(step, back, np.nan), np.insert(values, back, np.nan)


def _scale(ax: Axes) -> None:
    """A logarithmic axis with plain numbers where there are decades to show; else a linear one."""
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    low, high = ax.dataLim.intervaly
    if low > 0 and high / low > 8:
        ax.set_yscale("log")
        low = max(low, high / _DECADES)  # a rate that falls to nothing does not need the axis
        ax.set_ylim(0.8 * low, 1.25 * high)
        inches = ax.get_window_extent().height / ax.get_figure(root=True).dpi
        few = np.log10(high / low) > inches  # decades to the inch
        ax.yaxis.set_major_locator(LogLocator(subs=(1.0,) if few else (1.0, 2.0, 5.0), numticks=12))
        ax.yaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def _smooth(values: Float) -> Float:
    """A running median over a twentieth of the curve: single blocks scatter."""
    reach = max(1, len(values) // 40)
    return np.array(
        [np.median(values[max(0, k - reach) : k + reach + 1]) for k in range(len(values))]
    )


def _lines_of(accuracy: Any, measure: str) -> list[tuple[str, Float, Float, Float | None]]:
    table = getattr(accuracy, "summary", accuracy)
    table = table() if callable(table) else table
    lines: list[tuple[str, Float, Float, Float | None]] = []
    if isinstance(table, Mapping):
        for method, by_dimension in table.items():
            dims = np.array(sorted(by_dimension), np.float64)
            values = [
                np.atleast_1d(np.asarray(by_dimension[d], float)) for d in sorted(by_dimension)
            ]
            means = np.array([value.mean() for value in values])
            folds = [len(value) for value in values]
            errors = (
                np.array([v.std(ddof=1) / np.sqrt(len(v)) for v in values])
                if min(folds, default=0) > 1
                else None
            )
            lines.append((str(method), dims, means, errors))
    else:
        for column in ("method", "dimension", measure):
            if column not in table.columns:
                there = ", ".join(map(str, table.columns))
                raise InputError(f"The table has no column '{column}'; it has {there}.")
        for method, part in table.groupby("method", sort=False, observed=True):
            part = part.sort_values("dimension")
            error = f"{measure}_se"
            lines.append(
                (
                    str(method),
                    part["dimension"].to_numpy(np.float64, na_value=np.nan),
                    part[measure].to_numpy(np.float64, na_value=np.nan),
                    part[error].to_numpy(np.float64, na_value=np.nan) if error in part else None,
                )
            )
    lines = [line for line in lines if len(line[1])]
    if not lines:
        raise InputError("There is no accuracy to draw; give a value for a method and a dimension.")
    return lines


def _name_ends(ax: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """Names to the right of the lines, no two closer than a line of type."""
    figure = ax.get_figure(root=True)
    figure.draw_without_rendering()
    height = ax.get_window_extent().height / figure.dpi
    low, high = ax.get_ylim()
    room = 0.13 / height * (high - low)
    below = -np.inf
    shown = names.told_apart([name for _, name, _ in ends], 1.6, 7.5)
    for value, k, colour in sorted((value, k, colour) for k, (value, _, colour) in enumerate(ends)):
        y = max(value, below + room)
        below = y
        ax.annotate(
            shown[k], (1.02, y),
            xycoords=("axes fraction", "data"), va="center", color=colour,
            fontsize=7.5, annotation_clip=False, **canvas.PLAIN,
        )  # fmt: skip
