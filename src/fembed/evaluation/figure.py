"""A measure against the dimension of the embedding, a line a method, as in the thesis chapter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fembed.errors import InputError
from fembed.evaluation.methods import OURS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

#: Okabe and Ito's colours, which colour-blind readers tell apart; ours first.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
TITLES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro-F1",
    "log_loss": "log loss (less is better)",
    "r2": "R²",
    "spearman": "Spearman correlation",
    "concordance": "concordance",
}


def dimension_figure(summary: pd.DataFrame, measure: str) -> Figure:
    """Mean and standard error of ``measure`` on projected test samples, by dimension.

    A method without dimensions of its own (raw) is a horizontal line.

    Raises
    ------
    InputError
        If matplotlib is missing.
    """
    check_drawing()
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

    figure = Figure(figsize=(6.0, 4.0), layout="constrained")
    axes = figure.subplots()
    methods = list(dict.fromkeys(summary["method"]))
    dims = sorted(summary.loc[summary["method"] == OURS, "dimension"].dropna().astype(int))
    for number, method in enumerate(methods):
        part = summary[summary["method"] == method].sort_values("dimension")
        style = {
            "color": COLOURS[number % len(COLOURS)],
            "zorder": 4 if method == OURS else 3,
            "linewidth": 2.0 if method == OURS else 1.4,
        }
        if set(part["dimension"].dropna()) & set(dims):
            marker = MARKERS[number % len(MARKERS)]
            _line(axes, part, measure, method, marker, style, number)
        else:
            _level(axes, part, measure, method, style)
    axes.set_xlabel("dimension of the embedding")
    axes.set_ylabel(TITLES.get(measure, measure))
    if dims:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_locator(FixedLocator(dims))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.set_xlim(min(dims) / 1.4, max(dims) * 1.4)
    axes.grid(axis="y", color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    n_folds = int(summary["n_folds"].max())
    axes.set_title(f"Test samples never seen in training; mean ± SE of {n_folds} folds", fontsize=9)
    figure.legend(loc="outside right upper", frameon=False)
    return figure


def check_drawing() -> None:
    """Raise InputError if matplotlib is missing."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise InputError(
            'The figure needs matplotlib; run: pip install "fembed[plot]", or leave the figure out.'
        ) from error


def _line(
    axes: Any,
    part: pd.DataFrame,
    measure: str,
    method: str,
    marker: str,
    style: dict[str, Any],
    number: int,
) -> None:
    # A little to the side, so that the bars of two methods do not hide each other.
    shift = 1.0 + 0.03 * ((number + 1) // 2) * (-1) ** number
    axes.errorbar(
        part["dimension"].astype(float) * shift,
        part[measure],
        yerr=part[f"{measure}_se"],
        label=method,
        marker=marker,
        markersize=5,
        capsize=3,
        **style,
    )


def _level(axes: Any, part: pd.DataFrame, measure: str, method: str, style: dict[str, Any]) -> None:
    mean, error = float(part[measure].iloc[0]), float(part[f"{measure}_se"].iloc[0])
    size = part["dimension"].iloc[0]
    label = method if str(size) == "<NA>" else f"{method} ({int(size):,} genes)"
    axes.axhline(mean, linestyle="--", label=label, **style)
    axes.axhspan(mean - error, mean + error, color=style["color"], alpha=0.12, linewidth=0)
