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
from matplotlib.ticker import NullLocator, ScalarFormatter
from numpy.typing import NDArray

Document = dict[str, Any]

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, RED, PURPLE, GREY = "#D0B800", "#0072B2", "#D55E00", "#CC79A7", "#777777"
BROWN = "#8B4513"
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
    family = re.sub(r" \([^)]*\)", "", rival)
    if rival in LOOKS or (family in LOOKS and family != "fembed"):
        return LOOKS[family]
    others = [name for name in rivals if name not in LOOKS]
    return SPARE[others.index(rival) % len(SPARE)]


def _order(rival: str) -> int:
    family = re.sub(r" \([^)]*\)", "", rival)
    return list(LOOKS).index(family) if family in LOOKS else len(LOOKS)


def _panels(n_rows: int, n_columns: int, size: tuple[float, float]) -> tuple[Figure, Any]:
    figure: Figure
    figure, axes = plt.subplots(n_rows, n_columns, figsize=size, squeeze=False)
    return figure, axes


def by_dimension(document: Document, *, measures: dict[str, str]) -> Figure | None:
    """A row of panels a data set, a panel a measure, a line a rival; bars are standard errors."""
    rows = document["measures"]["summary"]
    sets = sorted({row["data"] for row in rows})
    shown = [
        (name, title)
        for name, title in measures.items()
        if any(name in row["measures"] for row in rows)
    ]
    if not sets or not shown:
        return None
    size = 3.3 * len(shown) + 1.5, 2.9 * len(sets)
    figure, axes = _panels(len(sets), len(shown), size)
    rivals = list(dict.fromkeys(row["rival"] for row in rows))
    rivals.sort(key=_order)
    for data, line in zip(sets, axes, strict=True):
        for (measure, title), panel in zip(shown, line, strict=True):
            of_set = [row for row in rows if row["data"] == data and measure in row["measures"]]
            for rival in rivals:
                _line(panel, [row for row in of_set if row["rival"] == rival], measure, rivals)
            panel.set_title(f"{title}\n{data}" if len(sets) > 1 else title, fontsize=9)
            panel.set_xscale("log", base=2)
            dims = sorted({row["n_components"] for row in of_set})
            _size_axis(panel, "components", dims, [str(d) for d in dims])
            if "seconds" in measure:
                panel.set_yscale("log")
    _one_legend(figure, axes.ravel().tolist())
    figure.tight_layout()
    return figure


def _line(panel: Axes, rows: list[dict[str, Any]], measure: str, rivals: list[str]) -> None:
    if not rows:
        return
    rows = sorted(rows, key=lambda row: int(row["n_components"]))
    colour, marker, style = look(rows[0]["rival"], rivals)
    ours = rows[0]["rival"] == "fembed"
    panel.errorbar(
        [row["n_components"] for row in rows],
        [row["measures"][measure]["mean"] for row in rows],
        yerr=[row["measures"][measure]["error"] or 0.0 for row in rows],
        **_style(colour, marker, style, rows[0]["rival"]),
        linewidth=2.2 if ours else 1.2,
        capsize=2,
        zorder=3 if ours else 2,
    )


def _style(colour: str, marker: str, style: str, label: str) -> dict[str, Any]:
    return {"color": colour, "marker": marker, "linestyle": style, "markersize": 5, "label": label}


def _size_axis(panel: Axes, title: str, sizes: Any, labels: list[str], rotation: int = 0) -> None:
    panel.set_xticks(sizes, labels, rotation=rotation)
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xlabel(title)


def _one_legend(figure: Figure, panels: list[Axes]) -> None:
    entries: dict[str, Any] = {}
    for panel in panels:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    labels = sorted(entries, key=_order)
    figure.legend(
        [entries[label] for label in labels],
        labels,
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
        frameon=False,
    )


#: Lines of the time-to-quality figure.
CURVES = {
    "fast": (BLACK, "o", "-"),
    "published, our engine": (BLUE, "s", "-"),
    "published, plain PyTorch": (RED, "^", "--"),
}


def time_to_quality(document: Document) -> Figure | None:
    """Loss and held-out accuracy against seconds."""
    found = document["measures"]
    if "curves" not in found:
        return None
    figure, axes = _panels(1, 2, (9, 3.4))
    loss, knn = axes[0]
    for name, curve in found["curves"].items():
        colour, marker, style = CURVES.get(name, (GREY, "x", ":"))
        seconds = [point["seconds"] for point in curve]
        computed = "computed" in found.get("torch seconds are", "") and "PyTorch" in name
        label = name + ("\n(seconds computed)" if computed else "")
        options = _style(colour, marker, style, label) | {"markersize": 4}
        loss.plot(seconds, [point["loss"] for point in curve], **options)
        knn.plot(seconds, [point["knn"] for point in curve], **options)
    target = "published recipe's final loss"
    loss.axhline(found["target loss"], color=GREY, linewidth=1, linestyle=":", label=target)
    for panel, title in ((loss, "training loss (MSE)"), (knn, "kNN-5 of held-out samples")):
        panel.set_xscale("log")
        panel.set_xlabel("seconds")
        panel.set_title(title, fontsize=9)
    loss.set_yscale("log")
    loss.yaxis.set_major_formatter(ScalarFormatter())
    loss.yaxis.set_minor_formatter(ScalarFormatter())
    figure.tight_layout()
    _one_legend(figure, [loss])
    return figure


def growth(document: Document) -> Figure | None:
    """Seconds and peak memory against each size, with the fitted lines."""
    series = document["measures"].get("growth")
    if not series:
        return None
    titles = {
        "n_samples": "samples",
        "n_genes": "genes",
        "n_components": "components",
        "gene_components": "gene components",
        "threads": "threads",
    }
    figure, axes = _panels(2, len(series), (2.5 * len(series), 5.2))
    laws = document["measures"]["exponents"]
    for column, (name, fits) in enumerate(series.items()):
        fits = sorted(fits, key=lambda found: float(found[name]))
        sizes = np.array([float(found[name]) for found in fits])
        costs = {
            "seconds": [found["seconds"] for found in fits],
            "memory": [found["peak_bytes"] / 1e6 for found in fits],
        }
        for row, (what, values) in enumerate(costs.items()):
            panel = axes[row][column]
            panel.loglog(sizes, values, color=BLACK, marker="o", linestyle="", markersize=5)
            law = laws.get(name, {}).get(what)
            if law and name != "threads":
                fitted = law["factor"] * sizes ** law["exponent"]
                fitted = fitted / 1e6 if what == "memory" else fitted
                label = f"exponent {law['exponent']:.2f}"
                panel.loglog(sizes, fitted, color=BLUE, linewidth=1.2, label=label)
                panel.legend(frameon=False, fontsize=8)
            _size_axis(panel, titles[name], sizes, _apart(sizes), rotation=45)
            _plain_ticks(panel, values)
        axes[0][column].set_title(_fixed(name, fits[0]), fontsize=8)
    axes[0][0].set_ylabel("seconds")
    axes[1][0].set_ylabel("peak memory, MB")
    figure.tight_layout()
    return figure


def _apart(sizes: NDArray[np.float64]) -> list[str]:
    """A label a size, empty where it would lie on the one before it."""
    places = np.log(sizes) / max(float(np.log(sizes[-1] / sizes[0])), 1e-9)
    labels, last = [], -np.inf
    for size, place in zip(sizes, places, strict=True):
        free = place - last >= 0.1
        labels.append(f"{size:,.0f}" if free else "")
        last = place if free else last
    return labels


def _plain_ticks(panel: Axes, values: list[float]) -> None:
    """A few round numbers in place of powers of ten."""
    low, high = min(values), max(values)
    digits = (1, 2, 5) if high > 3 * low else (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
    steps = [k * 10.0**power for power in range(-3, 6) for k in digits]
    ticks = [tick for tick in steps if low / 1.15 <= tick <= high * 1.15]
    panel.set_yticks(ticks, [f"{tick:,.12g}" for tick in ticks])
    panel.yaxis.set_minor_locator(NullLocator())
    panel.set_ylim(low / 1.3, high * 1.3)


def _fixed(name: str, found: dict[str, Any]) -> str:
    """What stays the same in a series."""
    if name == "n_samples":
        return f"{found['n_genes']:,} genes"
    if name == "n_genes":
        return f"{found['n_samples']:,} samples"
    return f"{found['n_samples']:,} x {found['n_genes']:,}"


def rates(document: Document) -> Figure | None:
    """The published recipe's iterations a second against the size of the gene embedding."""
    found = document["measures"].get("rates")
    if not found:
        return None
    figure, axes = _panels(1, 1, (5.2, 3.4))
    panel = axes[0][0]
    published = document["measures"]["published rates"]
    theirs = published["iterations a second"]
    lines = [
        (
            f"fembed, {document['threads']} processor threads, {name}",
            {size: rate["iterations_per_second"] for size, rate in by_size.items()},
        )
        for name, by_size in found.items()
    ]
    lines.append(("published: Julia on a V100, 10,344 x 19,962", theirs))
    looks = ((BLACK, "o", "-"), (BLUE, "s", "-"), (RED, "^", "--"))
    for (label, by_size), line in zip(lines, (*looks[: len(found)], looks[-1]), strict=False):
        sizes = [int(size) for size in by_size]
        panel.loglog(sizes, list(by_size.values()), **{**_style(*line, label), "markersize": 6})
    values = [rate["iterations_per_second"] for by in found.values() for rate in by.values()]
    _plain_ticks(panel, [*values, *theirs.values()])
    sizes = [int(size) for size in theirs]
    _size_axis(panel, "gene embedding", sizes, [f"{size:,}" for size in sizes], rotation=45)
    panel.set_ylabel("iterations a second (4 profiles each)")
    panel.legend(frameon=False, fontsize=8)
    figure.tight_layout()
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
    ("rates", "scale", rates, "The published recipe's speed by the size of the gene embedding."),
)


def draw(documents: dict[str, Document], folder: Path) -> dict[str, tuple[str, str]]:
    """Every figure that there are results for: its benchmark and its words, by file name."""
    drawn = {}
    folder.mkdir(parents=True, exist_ok=True)
    for name, benchmark, make, words in FIGURES:
        if benchmark not in documents:
            continue
        with plt.rc_context(RC):
            figure = make(documents[benchmark])
            if figure is None:
                continue
            figure.savefig(folder / f"{name}.png")
            plt.close(figure)
        drawn[f"{name}.png"] = (benchmark, words)
    return drawn
