"""How labels that were carried over compare with the true ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fembed.data.labels import UNKNOWN, known, texts_of
from fembed.errors import InputError
from fembed.inference.annotation import Annotation
from fembed.pl import canvas, names
from fembed.pl.canvas import PAGE_WIDTH, SavePath
from fembed.pl.columns import natural_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Float = NDArray[np.float64]

#: Bins of the reliability diagram, as the expected calibration error has them.
BINS = 10
#: Share of a Jeffreys interval of a frequency.
_LEVEL = 0.95
#: From nothing, as white as the page, to all.
_SHADES = "Blues"
#: Inches across a cell of the confusion, where there is room; narrower than the last, no numbers.
_CELL, _NUMBERED = 0.42, 0.2


@canvas.drawing()
def reliability(
    found: Annotation,
    truth: Any,
    *,
    title: str | None = None,
    ax: Axes | None = None,
    save: SavePath | None = None,
) -> Axes:
    """How often labels are right, against the probability that they were given.

    Honest probabilities lie on the diagonal. The bars are 95 % intervals (Jeffreys) of the
    frequency; below is the number of samples in each of ten bins.

    Parameters
    ----------
    found : Annotation
        What `fembed.annotate` returns.
    truth : Series or array
        The true label of each sample (a Series by sample name). Missing ones, and labels that the
        training samples do not have, are left out.
    title, ax, save
        As for `fembed.pl.embedding`. On axes that are given, the diagram alone is drawn.

    Returns
    -------
    matplotlib Axes
        Those of the diagram.

    Raises
    ------
    InputError
        No sample has a true label that the training samples have.

    Examples
    --------
    >>> kinds = pd.Series(list("abc" * 30), counts.index)
    >>> found = fembed.annotate(model, counts.iloc[:30], kinds)
    >>> axes = fembed.pl.reliability(found, kinds)
    """
    texts = texts_of(truth, found.sample_names)
    rows = np.flatnonzero(np.isin(texts, found.names))
    if not rows.size:
        raise InputError(
            "No sample has a true label that the training samples have; check the column."
        )
    right, said = found.most_probable[rows] == texts[rows], found.probability[rows]
    below = None
    if ax is None:
        figure = canvas.new_figure(save, 3.9, 4.1)
        ax, below = figure.subplots(2, 1, sharex=True, height_ratios=[4.0, 1.0])
    ax.plot([0, 1], [0, 1], color=canvas.SOFT, linewidth=0.8, linestyle="--", zorder=1)
    _draw_bins(ax, said, right)
    ax.set(xlim=(0.0, 1.02), ylim=(0.0, 1.02), ylabel="share of labels that are right")
    if below is not None:
        below.hist(said, np.linspace(0.0, 1.0, BINS + 1), color=canvas.LINE, rwidth=0.9)
        below.set_ylabel("samples")
    (ax if below is None else below).set_xlabel("probability of the label")
    facts = found.agreement(truth)
    canvas.note(
        ax,
        f"{rows.size:,} samples, {facts['accuracy']:.1%} right\n"
        f"expected calibration error {facts['calibration_error']:.3f}",
        "lower right",
    )
    canvas.entitle(ax, title)
    return canvas.finished(ax, save)


@canvas.drawing()
def confusion(
    found: Annotation,
    truth: Any,
    *,
    title: str | None = None,
    ax: Axes | None = None,
    save: SavePath | None = None,
) -> Axes:
    """True labels (rows) against those that were found (columns), as numbers of samples.

    The colour is the share of the row, so that rare labels count as much as frequent ones.

    Parameters
    ----------
    found : Annotation
        What `fembed.annotate` returns.
    truth : Series or array
        The true label of each sample (a Series by sample name); missing ones are left out. Labels
        that the training samples do not have come last.
    title, ax, save
        As for `fembed.pl.embedding`.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        No sample has a true label.

    Examples
    --------
    >>> kinds = pd.Series(list("abc" * 30), counts.index)
    >>> found = fembed.annotate(model, counts.iloc[:30], kinds)
    >>> axes = fembed.pl.confusion(found, kinds)
    """
    texts = texts_of(truth, found.sample_names)
    there = known(texts)
    if not there.any():
        raise InputError("No sample has a true label; check the column.")
    true, said = texts[there], found.label[there]
    others = natural_order(set(true) - set(found.names))
    known_names = natural_order(found.names)
    rows = [*(name for name in known_names if name in set(true)), *others]
    columns = [name for name in known_names if name in {*said, *true}]
    columns += [UNKNOWN] if UNKNOWN in set(said) else []
    counts = np.array([[np.sum((true == a) & (said == b)) for b in columns] for a in rows])
    shares = counts / counts.sum(axis=1, keepdims=True)
    ax = _drawn_table(ax, save, counts, shares, (rows, columns))
    canvas.label_axes(ax, "label found", "true label")
    canvas.entitle(ax, title)
    return canvas.finished(ax, save)


def _draw_bins(ax: Axes, said: Float, right: NDArray[np.bool_]) -> None:
    from scipy.stats import beta

    bins = np.minimum((said * BINS).astype(np.intp), BINS - 1)
    there = np.unique(bins)
    total = np.bincount(bins)[there]
    good, mean = np.bincount(bins, right)[there], np.bincount(bins, said)[there] / total
    share, tail = good / total, (1.0 - _LEVEL) / 2.0
    low, high = (beta.ppf(q, good + 0.5, total - good + 0.5) for q in (tail, 1.0 - tail))
    errors = np.stack([np.maximum(share - low, 0.0), np.maximum(high - share, 0.0)])
    ax.errorbar(
        mean, share, yerr=errors, color=canvas.OURS, marker="o", markersize=5, linestyle="none",
        elinewidth=0.8, capsize=2.5, zorder=3,
    )  # fmt: skip


def _drawn_table(
    ax: Axes | None,
    save: SavePath | None,
    counts: NDArray[np.int64],
    shares: Float,
    labels: tuple[list[str], list[str]],
) -> Axes:
    """A cell for every pair of labels, with its number of samples if there is room."""
    down, across = (names.told_apart(some, 1.3, 7.0) for some in labels)
    beside, below = (max(names.width(text, 7.0) for text in some) for some in (down, across))
    cell = min(_CELL, (PAGE_WIDTH - 1.5 - beside) / len(across))
    width, height = beside + 1.4 + cell * len(across), below + 0.6 + cell * len(down)
    ax = canvas.axes_for(ax, save, max(width, 3.0), max(height, 2.2))
    masked = np.ma.masked_equal(shares, 0.0)
    shown = ax.imshow(masked, cmap=_SHADES, vmin=0.0, vmax=1.0, aspect="auto")
    size = max(4.0, min(7.0, 24.0 * cell))
    if cell >= _NUMBERED:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                ink = "white" if shares[row, column] > 0.6 else canvas.INK
                ax.text(
                    column, row, f"{count:,}", ha="center", va="center", color=ink,
                    fontsize=size * min(1.0, 3.5 / len(f"{count:,}")),
                )  # fmt: skip
    # Names one above the other need a line of type each.
    turned = any(names.width(text, 7.0) > 0.95 * cell for text in across)
    room = 72.0 * cell
    ax.set_xticks(
        range(len(across)), across, rotation=90 if turned else 0,
        fontsize=min(7.0, 0.9 * room), **canvas.PLAIN,
    )  # fmt: skip
    ax.set_yticks(range(len(down)), down, fontsize=min(7.0, 0.9 * room), **canvas.PLAIN)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(True)
    ax.spines[:].set_color(canvas.LINE)
    canvas.colour_bar(ax, shown, "share of the true label")
    return ax
