"""Aberrant genes: all genes of one sample, and how many each sample has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from fembed.data.lookup import exact_positions
from fembed.errors import InputError, shown
from fembed.inference.aberrant import RATE, AberrantGenes
from fembed.pl import canvas, marks, names
from fembed.pl.canvas import SavePath
from fembed.pl.labels import write_labels
from fembed.pl.legends import legend_beside
from fembed.pl.palette import Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Float = NDArray[np.float64]
Across = Literal["z", "difference"]

#: Inches of the two figures.
VOLCANO_SIZE, RANKED_SIZE = (5.4, 3.6), (5.6, 3.2)
#: Samples of at most so many are drawn as points, more as a curve.
_POINTS = 60
#: From so many aberrant genes in a sample on, the axis is logarithmic.
_MANY = 30
_TINY = float(np.finfo(np.float64).tiny)
_ACROSS = {
    "z": "standardised residual",
    "difference": "measured less expected, after the transform",
}
_OTHERS = "not significant"
_STYLES = {
    "higher": Style(canvas.OTHER),
    "lower": Style(canvas.OURS),
    _OTHERS: Style("#b4bac2"),
}


@canvas.drawing()
def volcano(
    found: AberrantGenes,
    sample: str | int | None = None,
    *,
    across: Across = "difference",
    rate: float = RATE,
    genes: Sequence[str] | int = 12,
    title: str | None = None,
    ax: Axes | None = None,
    save: SavePath | None = None,
) -> Axes:
    """The genes of one sample: how far each is from its expected value, and how surely.

    Genes that are called aberrant are coloured, by whether they are higher or lower than expected.
    The dashed line is the p-value up to which genes are called.

    Parameters
    ----------
    found : AberrantGenes
        What `fembed.aberrant_genes` returns.
    sample : str or int, optional
        Its name, or its row; by default the one with the most aberrant genes.
    across : {"difference", "z"}
        The horizontal axis: the measured less the expected value, after the transform; or the
        standardised residual, on which the p-value of a sample's genes depends alone.
    rate : float
        The false discovery rate among the sample's genes at which one is called.
    genes : sequence of str, or int
        Genes to name: these, or at most so many of those that are called, smallest p-value first.
    title : str, optional
        By default the name of the sample.
    ax, save
        As for `fembed.pl.embedding`.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        An unknown sample, gene, axis or rate, or a sample without any measured gene.

    Examples
    --------
    >>> found = fembed.aberrant_genes(model, counts.iloc[:3])
    >>> axes = fembed.pl.volcano(found, found.sample_names[0])
    """
    if across not in _ACROSS:
        raise InputError(f"across is {shown(across)}; choose difference or z.")
    row = _worst(found, rate) if sample is None else found.row(sample)
    line = -np.log10(found.threshold(rate)[row])
    there = np.flatnonzero(~np.isnan(found.p_value[row]))
    if not there.size:
        raise InputError(
            f"The sample {shown(found.sample_names[row])} has no measured gene to draw."
        )
    shift = found.z[row] if across == "z" else found.measured[row] - found.expected[row]
    height = -np.log10(np.maximum(found.p_value[row], _TINY))
    points = np.column_stack([shift, height]).astype(np.float64)
    kinds = np.where(found.z[row] > 0, "higher", "lower").astype(object)
    kinds[~(found.fdr[row] <= rate)] = _OTHERS
    named = _named_genes(found, row, kinds != _OTHERS, genes)
    ax = canvas.axes_for(ax, save, *VOLCANO_SIZE)
    ax.axvline(0.0, color=canvas.LINE, linewidth=0.6, zorder=1)
    ax.axhline(line, color=canvas.SOFT, linewidth=0.8, linestyle="--", zorder=2)
    counts = _draw_genes(ax, points[there], kinds[there])
    ax.margins(x=0.1)  # room for names
    ax.set_ylim(0.0, 1.15 * max(line, float(height[there].max())))
    ax.set(xlabel=_ACROSS[across], ylabel="-log10 p-value")
    handles = [*marks.handles(list(_STYLES), _STYLES), _dashes()]
    legend_beside(ax, handles, [*_STYLES, f"FDR {rate:g}"], [*counts, None], len(handles))
    canvas.entitle(ax, str(found.sample_names[row]) if title is None else title)
    write_labels(
        ax, points[named], [str(found.gene_names[gene]) for gene in named], fontsize=6.5,
        around=points[there],
    )  # fmt: skip
    return canvas.finished(ax, save)


@canvas.drawing()
def aberrant(
    found: AberrantGenes,
    *,
    rate: float = RATE,
    samples: Sequence[str] | int = 6,
    title: str | None = None,
    ax: Axes | None = None,
    save: SavePath | None = None,
) -> Axes:
    """The number of aberrant genes of every sample, in ascending order.

    A sample with far more of them than the others is of poor quality, or of a kind that the model
    does not know. The dashed lines are the median and the 90th percentile.

    Parameters
    ----------
    found : AberrantGenes
        What `fembed.aberrant_genes` returns.
    rate : float
        The false discovery rate among a sample's genes at which one is called.
    samples : sequence of str, or int
        Samples to name: these, or at most so many of those with the most aberrant genes.
    title, ax, save
        As for `fembed.pl.embedding`.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        An unknown sample or an impossible rate.

    Examples
    --------
    >>> found = fembed.aberrant_genes(model, counts.iloc[:9])
    >>> axes = fembed.pl.aberrant(found)
    """
    count = found.n_aberrant(rate).astype(np.float64)
    if not count.size:
        raise InputError("There is nothing to draw; no sample was looked at.")
    order = np.argsort(count, kind="stable")
    rank = np.empty(len(order))
    rank[order] = np.arange(1, len(order) + 1)
    points = np.column_stack([rank, count])
    named = _named_samples(found, count, order, samples)
    ax = canvas.axes_for(ax, save, *RANKED_SIZE)
    middle, high = np.quantile(count, (0.5, 0.9))
    for level in {middle, high}:
        ax.axhline(level, color=canvas.SOFT, linewidth=0.8, linestyle="--", zorder=2)
    if len(count) <= _POINTS:
        ax.vlines(rank, 0.0, count, color=canvas.LINE, linewidth=1.2, zorder=1)
        _dots(ax, points, canvas.OURS, 16.0)
    else:
        ax.plot(*points[order].T, color=canvas.OURS, linewidth=1.6, zorder=3)
    _count_axis(ax, count)
    ax.set(xlabel="samples, ranked by their number of aberrant genes", ylabel="aberrant genes")
    told = f"median {middle:,.3g}, 90th percentile {high:,.3g}"
    told = told if count.any() else "no sample has an aberrant gene"
    canvas.note(ax, f"{told}\nFDR {rate:g}", color=canvas.SOFT)
    canvas.entitle(ax, title)
    if named:
        _dots(ax, points[named], canvas.OTHER, 18.0)
        _name_beside(ax, points[named], [str(found.sample_names[row]) for row in named])
    return canvas.finished(ax, save)


def _worst(found: AberrantGenes, rate: float) -> int:
    """The row with the most genes that are called, of several the one with the smallest p-value."""
    if not len(found.sample_names):
        raise InputError("There is nothing to draw; no sample was looked at.")
    smallest = np.where(np.isnan(found.p_value), 1.0, found.p_value).min(axis=1, initial=1.0)
    return int(np.lexsort((smallest, -found.n_aberrant(rate)))[0])


def _named_genes(
    found: AberrantGenes, row: int, called: NDArray[np.bool_], genes: Sequence[str] | int
) -> list[int]:
    """Columns of the genes to name: those asked for, or the most significant ones."""
    if isinstance(genes, int):
        order = np.argsort(found.p_value[row], kind="stable")
        return [int(gene) for gene in order if called[gene]][: max(genes, 0)]
    columns = exact_positions(list(genes), found.gene_names)
    if (columns < 0).any():
        name = genes[int(np.argmin(columns))]
        raise InputError(f"There is no gene {shown(name)} among those that were looked at.")
    return [int(gene) for gene in columns if not np.isnan(found.p_value[row, gene])]


def _named_samples(
    found: AberrantGenes, count: Float, order: NDArray[np.intp], samples: Sequence[str] | int
) -> list[int]:
    """Rows of the samples to name: those asked for, or those with the most aberrant genes."""
    if isinstance(samples, int):
        return [int(row) for row in order[::-1] if count[row] > 0][: max(samples, 0)]
    return [found.row(sample) for sample in samples]


def _draw_genes(ax: Axes, points: Float, kinds: NDArray[np.object_]) -> list[int]:
    """The genes of a volcano, those that are called on top; how many there are of each kind."""
    counts = [int((kinds == kind).sum()) for kind in _STYLES]
    for kind, style in reversed(_STYLES.items()):
        some = points[kinds == kind]
        if len(some):
            _dots(ax, some, style.colour, 14.0 if kind != _OTHERS else canvas.point_area(len(some)))
    return counts


def _dots(ax: Axes, points: Float, colour: str, area: float) -> None:
    from matplotlib import colors

    face = np.tile(colors.to_rgba(colour, 0.8), (len(points), 1))
    marks.draw_markers(ax, points, ["o"] * len(points), face, area)


def _name_beside(ax: Axes, points: Float, labels: Sequence[str]) -> None:
    """Names at the right of the axes, each with a line to its point, no two on each other."""
    figure = ax.get_figure(root=True)
    figure.draw_without_rendering()  # the layout settles where the axes are
    height = ax.get_window_extent().height / figure.dpi
    order = np.lexsort((points[:, 0], points[:, 1]))
    at = ax.transAxes.inverted().transform(ax.transData.transform(points[order]))[:, 1]
    room = min(0.12 / height, 1.0 / max(len(at), 1))
    for k in range(1, len(at)):
        at[k] = max(at[k], at[k - 1] + room)
    for k in reversed(range(len(at))):  # and none above the axes
        at[k] = min(at[k], 1.0 - room * (len(at) - 1 - k))
    texts = names.told_apart(labels, 1.6, 6.5)
    leader = {
        "arrowstyle": "-", "color": canvas.SOFT, "linewidth": 0.5, "relpos": (0.0, 0.5),
        "shrinkA": 1.0, "shrinkB": 2.0,
    }  # fmt: skip
    for k, y in zip(order, at, strict=True):
        ax.annotate(
            texts[k], points[k], (1.03, y), textcoords="axes fraction", fontsize=6.5, va="center",
            annotation_clip=False, zorder=6, **canvas.PLAIN,
            arrowprops=leader,
        )  # fmt: skip


def _dashes() -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=canvas.SOFT, linewidth=0.8, linestyle="--")


def _count_axis(ax: Axes, count: Float) -> None:
    """Whole numbers from 0; equal steps by a factor where a few samples have very many."""
    from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, StrMethodFormatter

    most = float(count.max())
    if most <= _MANY:
        ax.set_ylim(-0.03 * max(most, 1.0), 1.15 * max(most, 1.0))
        ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        return
    ax.set_yscale("symlog", linthresh=1.0, linscale=0.4)
    low = 0.8 * float(count.min()) or -0.1
    ax.set_ylim(low, 2.0 * most)
    decades = 10.0 ** np.arange(np.floor(np.log10(most)) + 1)
    steps = (1.0, 3.0) if len(decades) < 4 else (1.0,)
    ticks = [0.0, *(step * decade for decade in decades for step in steps)]
    ax.yaxis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= 2.0 * most]))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
