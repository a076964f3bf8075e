"""Figures of RESULTS.md, from the result files alone.

Colours are those of Okabe and Ito, which people tell apart whatever their colour vision; markers
and line styles differ as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator, ScalarFormatter

Document = dict[str, Any]

BLACK, BLUE, RED, PURPLE, GREEN = "#000000", "#0072B2", "#D55E00", "#CC79A7", "#009E73"
ORANGE, SKY, YELLOW, GREY, BROWN = "#E69F00", "#56B4E9", "#D0B800", "#777777", "#8B4513"
#: Colour, marker and line of every rival; another one takes what is left.
LOOKS: dict[str, tuple[str, str, str]] = {
    "fembed": (BLACK, "o", "-"),
    "PCA": (BLUE, "s", "-"),
    "UMAP": (RED, "^", "-"),
    "openTSNE": (PURPLE, "v", "-"),
    "PaCMAP": (ORANGE, "D", "-"),
    "NMF": (SKY, "P", "--"),
    "autoencoder": (GREEN, "X", "--"),
    "Trofimov 2020": (YELLOW, "<", ":"),
    "thesis 1.0": (GREY, "h", ":"),
    "thesis B": (BROWN, "*", "--"),
}
SPARE = ((BLUE, "p", ":"), (RED, "h", ":"), (GREEN, "*", ":"), (PURPLE, "d", ":"))
CURVES = {"fast": "fembed", "published, our engine": "PCA", "published, plain PyTorch": "UMAP"}
RC = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "figure.dpi": 150,
    "savefig.bbox": "tight",
}


def look(rival: str, rivals: list[str]) -> tuple[str, str, str]:
    """How a rival is drawn: the same in every figure; settings in brackets change nothing.

    Variants of fembed are the exception, since they stand beside it.
    """
    family = _family(rival)
    if rival in LOOKS or (family in LOOKS and family != "fembed"):
        return LOOKS[family]
    others = [name for name in rivals if name not in LOOKS]
    return SPARE[others.index(rival) % len(SPARE)]


def _family(rival: str) -> str:
    return re.sub(r" \([^)]*\)", "", rival)


def _order(rival: str) -> int:
    return [*LOOKS, _family(rival)].index(_family(rival))


def _style(look: tuple[str, str, str], label: str) -> dict[str, Any]:
    names = ("color", "marker", "linestyle", "label")
    return dict(zip(names, (*look, label), strict=True)) | {"markersize": 5}


def by_dimension(document: Document, *, measures: dict[str, str]) -> Figure | None:
    """A row of panels a data set, a panel a measure, a line a rival; bars are standard errors."""
    rows = document["measures"]["summary"]
    sets = sorted({row["data"] for row in rows})
    shown = [name for name in measures if any(name in row["measures"] for row in rows)]
    if not sets or not shown:
        return None
    size = 3.3 * len(shown) + 1.5, 2.9 * len(sets)
    figure, axes = plt.subplots(len(sets), len(shown), figsize=size, squeeze=False)
    rivals = sorted(dict.fromkeys(row["rival"] for row in rows), key=_order)
    for data, line in zip(sets, axes, strict=True):
        for measure, panel in zip(shown, line, strict=True):
            of_set = [row for row in rows if row["data"] == data and measure in row["measures"]]
            for rival in rivals:
                _line(panel, [row for row in of_set if row["rival"] == rival], measure, rivals)
            title = measures[measure]
            panel.set_title(f"{title}\n{data}" if len(sets) > 1 else title, fontsize=9)
            panel.set_xscale("log", base=2)
            _sizes(panel, "components", sorted({row["n_components"] for row in of_set}))
            if "seconds" in measure:
                panel.set_yscale("log")
    _one_legend(figure, axes.ravel().tolist())
    return figure


def _line(panel: Axes, rows: list[dict[str, Any]], measure: str, rivals: list[str]) -> None:
    if not rows:
        return
    rows = sorted(rows, key=lambda row: int(row["n_components"]))
    rival = rows[0]["rival"]
    panel.errorbar(
        [row["n_components"] for row in rows],
        [row["measures"][measure]["mean"] for row in rows],
        yerr=[row["measures"][measure]["error"] or 0.0 for row in rows],
        **_style(look(rival, rivals), rival),
        linewidth=2.2 if rival == "fembed" else 1.2,
        capsize=2,
        zorder=3 if rival == "fembed" else 2,
    )


def _sizes(panel: Axes, title: str, sizes: list[int]) -> None:
    """An axis that is labelled at these places, where the label does not lie on another."""
    reach, last, labels = np.log(sizes[-1] / sizes[0]) or 1.0, 0.0, []
    for size in sizes:
        apart = not last or np.log(size / last) >= 0.1 * reach
        labels.append(f"{size:,}" if apart else "")
        last = size if apart else last
    panel.set_xticks(sizes, labels, rotation=45 if sizes[-1] > 99 else 0)
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xlabel(title)


def _one_legend(figure: Figure, panels: list[Axes]) -> None:
    entries: dict[str, Any] = {}
    for panel in panels:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    labels = sorted(entries, key=_order)
    handles = [entries[label] for label in labels]
    place: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)}
    figure.legend(handles, labels, frameon=False, **place)


def time_to_quality(document: Document) -> Figure | None:
    """Loss and held-out accuracy against seconds."""
    found = document["measures"]
    if "curves" not in found:
        return None
    figure, (loss, knn) = plt.subplots(1, 2, figsize=(9, 3.4))
    for name, curve in found["curves"].items():
        computed = "computed" in found.get("torch seconds are", "") and "PyTorch" in name
        label = name + ("\n(seconds computed)" if computed else "")
        style = _style(LOOKS[CURVES.get(name, "thesis 1.0")], label)
        seconds = [point["seconds"] for point in curve]
        loss.plot(seconds, [point["loss"] for point in curve], **style)
        knn.plot(seconds, [point["knn"] for point in curve], **style)
    target = "published recipe's final loss"
    loss.axhline(found["target loss"], color=GREY, linewidth=1, linestyle=":", label=target)
    for panel, title in ((loss, "training loss (MSE)"), (knn, "kNN-5 of held-out samples")):
        panel.set_xscale("log")
        panel.set_xlabel("seconds")
        panel.set_title(title, fontsize=9)
    loss.set_yscale("log")
    loss.yaxis.set_major_formatter(ScalarFormatter())
    loss.yaxis.set_minor_formatter(ScalarFormatter())
    _one_legend(figure, [loss])
    return figure


def growth(document: Document) -> Figure | None:
    """Seconds and peak memory against each size, with the fitted lines."""
    series = document["measures"].get("growth")
    if not series:
        return None
    size = 2.5 * len(series), 5.2
    figure, axes = plt.subplots(2, len(series), figsize=size, squeeze=False)
    for column, (name, fits) in zip(axes.T, series.items(), strict=True):
        fits = sorted(fits, key=lambda found: float(found[name]))
        sizes = [int(found[name]) for found in fits]
        for panel, cost, unit in zip(column, ("seconds", "peak_bytes"), (1.0, 1e6), strict=True):
            panel.loglog(sizes, [found[cost] / unit for found in fits], "o", color=BLACK)
            laws = document["measures"]["exponents"].get(name, {})
            law = laws.get("seconds" if cost == "seconds" else "memory")
            if law and name != "threads":
                fitted = law["factor"] / unit * np.array(sizes, float) ** law["exponent"]
                panel.loglog(sizes, fitted, color=BLUE, label=f"exponent {law['exponent']:.2f}")
                panel.legend(frameon=False, fontsize=8)
            _sizes(panel, name.removeprefix("n_").replace("_", " "), sizes)
            panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.12g}"))
            panel.yaxis.set_minor_locator(NullLocator())
        same = [part for part in ("n_samples", "n_genes") if part != name]
        title = " x ".join(f"{fits[0][part]:,} {part.removeprefix('n_')}" for part in same)
        column[0].set_title(title, fontsize=8)
    axes[0][0].set_ylabel("seconds")
    axes[1][0].set_ylabel("peak memory, MB")
    return figure


ACCURACY = {
    "knn": "kNN-5 accuracy, held-out",
    "logistic": "logistic regression, held-out",
    "network": "published network, held-out",
}
DISTANCES = {
    "pearson": "distances: Pearson",
    "spearman": "distances: Spearman",
    "trustworthiness": "trustworthiness",
    "continuity": "continuity",
}
COSTS = {
    "held_out_mse": "held-out MSE",
    "fit_seconds": "seconds to fit",
    "seconds_per_sample": "seconds a new sample",
}
_accuracy, _distances, _costs = (
    partial(by_dimension, measures=measures) for measures in (ACCURACY, DISTANCES, COSTS)
)
#: File name, of which benchmark, what is drawn, and what it says under the figure.
FIGURES: tuple[tuple[str, str, Callable[[Document], Figure | None], str], ...] = (
    ("accuracy", "protocol", _accuracy, "Accuracy of held-out samples by dimension."),
    ("distances", "protocol", _distances, "What distances and neighbours keep, held-out samples."),
    ("costs", "protocol", _costs, "Error, and seconds, by dimension."),
    ("time-to-quality", "time_to_quality", time_to_quality, "Loss and accuracy against seconds."),
    ("growth", "scale", growth, "What a fit costs by the size of its data."),
)


def draw(documents: dict[str, Document], folder: Path) -> dict[str, tuple[str, str]]:
    """Every figure that there are results for: its benchmark and its words, by file name."""
    drawn = {}
    folder.mkdir(parents=True, exist_ok=True)
    for name, benchmark, make, words in FIGURES:
        with plt.rc_context(RC):
            figure = make(documents[benchmark]) if benchmark in documents else None
            if figure is None:
                continue
            figure.tight_layout()
            figure.savefig(folder / f"{name}.png")
            plt.close(figure)
        drawn[f"{name}.png"] = (benchmark, words)
    return drawn
