"""A measure against the dimension of the embedding, a line per method, as in the thesis chapter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fembed.errors import imported
from fembed.evaluation.methods import OURS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

#: Okabe and Ito's colours, which colour-blind readers tell apart; ours first.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_MAX_NAME_LENGTH = 40
TITLES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro-F1",
    "log_loss": "log loss (less is better)",
    "r2": "R²",
    "spearman": "Spearman correlation",
    "concordance": "concordance",
}


def dimension_figure(summary: pd.DataFrame, measure: str, folds: str) -> Figure:
    """Mean and standard error of ``measure`` on projected test samples, by dimension.

    ``folds`` says in the title what the mean is over, such as "5 folds".
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
    shown = []
    for number, method in enumerate(methods):
        part = summary[summary["method"] == method].sort_values("dimension")
        style = {
            "color": COLOURS[number % len(COLOURS)],
            "zorder": 4 if method == OURS else 3,
            "linewidth": 2.0 if method == OURS else 1.4,
        }
        if part["dimension"].notna().all():
            marker = MARKERS[number % len(MARKERS)]
            shown.append(_line(axes, part, measure, marker, style, number))
        else:
            shown.append(_level(axes, part, measure, style))
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
    axes.set_title(f"Test samples never seen in training; mean ± SE of {folds}", fontsize=9)
    labels = ["raw (all genes)" if method == "raw" else str(method) for method in methods]
    # matplotlib puts the legend where it hides least. Names are set afterwards: they are not to be
    # read as mathematics, and matplotlib would leave out those that begin with an underscore.
    legend = axes.legend(shown, ["." for _ in shown], frameon=False)
    for text, label in zip(legend.get_texts(), labels, strict=True):
        text.set_parse_math(False)
        text.set_text(_short(label))
    return figure


def _short(name: str) -> str:
    """A name in one line, with its middle left out if it is long."""
    text = " ".join(name.split())
    return text if len(text) <= _MAX_NAME_LENGTH else f"{text[:22]}…{text[-17:]}"


def check_drawing() -> None:
    """Raise InputError if matplotlib is missing."""
    imported(
        "matplotlib",
        'The figure needs matplotlib; run: pip install "fembed[plot]", or leave the figure out.',
    )


def _line(
    axes: Any,
    part: pd.DataFrame,
    measure: str,
    marker: str,
    style: dict[str, Any],
    number: int,
) -> Any:
    # A little to the side, so that the bars of two methods do not hide each other.
    shift = 1.0 + 0.03 * ((number + 1) // 2) * (-1) ** number
    return axes.errorbar(
        part["dimension"].astype(float) * shift,
        part[measure],
        yerr=part[f"{measure}_se"],
        marker=marker,
        markersize=5,
        capsize=3,
        **style,
    )


def _level(axes: Any, part: pd.DataFrame, measure: str, style: dict[str, Any]) -> Any:
    mean, error = float(part[measure].iloc[0]), float(part[f"{measure}_se"].iloc[0])
    axes.axhspan(mean - error, mean + error, color=style["color"], alpha=0.12, linewidth=0)
    return axes.axhline(mean, linestyle="--", **style)
