"""The report's static figures, drawn by matplotlib and put into the page as data.

Pictures cannot run scripts, and names and labels are drawn as plain text: what looks like
mathematics between two dollar signs is not read as such.
"""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fembed.model import Model
from fembed.pl import page
from fembed.pl.palette import styles
from fembed.pl.payload import categorised
from fembed.pl.samples import MapSamples, Names
from fembed.placement import even_choice

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, SOFT, LINE, BLUE, RED = "#1f2530", "#5b6470", "#d5d9de", "#2f6690", "#c8553d"
_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": SOFT,
    "axes.edgecolor": LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "axes.titlesize": 9,
    "legend.frameon": False,
    "savefig.facecolor": "white",
}
#: Entries of the reconstruction figure: at most so many samples by so many genes.
RECONSTRUCTED = (500, 1000)
GENES_NAMED = 14
MOST_LABELS = 40  # in the legend of the printed map


def drawn(draw: Callable[[Figure], None], width: float, height: float, kind: str = "png") -> bytes:
    """What ``draw`` draws on a figure of that many inches, as a file of ``kind``.

    Raises
    ------
    InputError
        If matplotlib is not installed.
    """
    page.check_installed()
    import matplotlib as mpl
    from matplotlib.figure import Figure

    stream = io.BytesIO()
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # A name may be in a script that the font lacks; it is then drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        figure.savefig(stream, format=kind, dpi=180)
    return stream.getvalue()


def picture(draw: Callable[[Figure], None], width: float, height: float) -> str:
    """The same as the address of an image that a page can hold."""
    return "data:image/png;base64," + base64.b64encode(drawn(draw, width, height)).decode("ascii")


def map_file(samples: MapSamples, kind: str, title: str = "") -> bytes:
    """The map of `map_picture` as a file of ``kind``: png, pdf or svg."""
    return drawn(lambda figure: _draw_map(figure, samples, title), 8.4, 5.4, kind)


def map_picture(samples: MapSamples) -> str:
    """All samples on the first two axes, coloured by the first label: what is printed."""
    return picture(lambda figure: _draw_map(figure, samples, ""), 8.4, 5.2)


def _draw_map(figure: Figure, samples: MapSamples, title: str) -> None:
    axes = figure.subplots()
    if samples.coordinates.shape[1] > 1:
        scatter(axes, samples.coordinates[:, :2], samples)
        axes.set(xlabel="fembed 1", ylabel="fembed 2")
        axes.set_aspect("equal", adjustable="datalim")
    else:
        scatter(axes, np.column_stack([samples.coordinates[:, 0], samples.loss]), samples)
        axes.set(xlabel="fembed 1", ylabel="loss")
    axes.set_title(title, parse_math=False)
    handles, texts = axes.get_legend_handles_labels()
    if handles:
        legend = figure.legend(handles, texts, loc="outside right upper", fontsize=7.5)
        for text in legend.get_texts():
            text.set_parse_math(False)


def pair_picture(samples: MapSamples, pca: NDArray[Any]) -> str:
    """The map beside the first principal components of the same samples."""

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        scatter(left, samples.coordinates[:, :2], samples)
        left.set(title="fembed", xlabel="fembed 1", ylabel="fembed 2")
        scatter(right, pca[:, :2], samples)
        right.set(title="PCA", xlabel="PC 1", ylabel="PC 2")
        for axes in (left, right):
            axes.set_aspect("equal", adjustable="datalim")

    return picture(draw, 8.4, 3.9)


def scatter(axes: Axes, points: NDArray[Any], samples: MapSamples) -> None:
    """Training samples as points, projected ones as triangles; the legend's entries are set."""
    label: Names | None = next(iter(samples.labels.values()), None)
    categories, codes = (
        categorised(label) if label is not None else ([""], np.zeros(len(points), int))
    )
    chosen_styles = styles(categories)
    palette = np.array([chosen_styles[name].colour for name in categories])
    size = float(np.clip(9000 / len(points), 1.5, 14))
    for chosen, marker in ((~samples.projected, "o"), (samples.projected, "^")):
        if chosen.any():
            projected = marker == "^"
            axes.scatter(
                points[chosen, 0],
                points[chosen, 1],
                s=size * (1.8 if projected else 1.0),
                c=palette[codes[chosen]] if label is not None else BLUE,
                marker=marker,
                linewidths=0.4 if projected else 0.0,
                edgecolors=INK if projected else "none",
                alpha=0.85,
                rasterized=True,
            )
    if label is not None and len(categories) <= MOST_LABELS:
        for name, colour in zip(categories, palette, strict=True):
            # An underscore at the beginning would hide the entry.
            axes.scatter([], [], s=18, c=[colour], label=f"\u200b{name}", linewidths=0)
    if samples.projected.any():
        axes.scatter([], [], s=18, c="white", edgecolors=INK, marker="^", label="projected")


def training_picture(history: list[dict[str, Any]]) -> str | None:
    """Loss of the training blocks and of what was held out, by step; None without a history."""
    known = [point for point in history if point.get("loss") is not None]
    if len(known) < 2:
        return None

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        curves = (("loss", BLUE, "training blocks"), ("held_out", RED, "held out"))
        for name, colour, text in curves:
            some = [p for p in known if p.get(name) is not None and np.isfinite(p[name])]
            steps, losses = [p["step"] for p in some], [p[name] for p in some]
            if some:
                axes.plot(steps, losses, color=colour, lw=1.3, label=text)
        axes.set(xlabel="step", ylabel="mean squared error")
        values = [p["loss"] for p in known if np.isfinite(p["loss"]) and p["loss"] > 0]
        if values and max(values) > 20 * min(values):
            axes.set_yscale("log")
        axes.legend()

    return picture(draw, 4.6, 3.2)


def reconstruction_picture(model: Model, samples: MapSamples) -> tuple[str, str] | None:
    """Decoded against measured entries, and a caption; None without measured expression."""
    if samples.measured is None:
        return None
    there = np.flatnonzero(np.isfinite(samples.measured).any(axis=1))
    rows = there[even_choice(len(there), RECONSTRUCTED[0])]
    genes = even_choice(model.n_genes, RECONSTRUCTED[1])
    true = samples.measured[np.ix_(rows, genes)]
    decoded = model.decode(samples.coordinates[rows], genes)
    observed = np.isfinite(true)
    x, y = true[observed].astype(np.float64), decoded[observed].astype(np.float64)
    if len(x) < 2 or x.std() == 0 or y.std() == 0:
        return None
    r = float(np.corrcoef(x, y)[0, 1])

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        bins = axes.hexbin(x, y, gridsize=60, bins="log", cmap="Blues", mincnt=1, linewidths=0)
        bins.set_rasterized(True)
        ends = [min(x.min(), y.min()), max(x.max(), y.max())]
        axes.plot(ends, ends, color=RED, lw=0.8)
        axes.set(xlabel="measured", ylabel="decoded")
        figure.colorbar(bins, ax=axes, label="entries", shrink=0.8)

    caption = (
        f"Decoded against measured expression, {len(x):,} entries of {len(rows):,} samples and "
        f"{len(genes):,} genes: Pearson r = {r:.3f}. The line is equality."
    )
    return picture(draw, 4.6, 3.2), caption


def gene_picture(model: Model) -> tuple[str, str]:
    """The genes' embedding on its two widest axes; genes that differ most over the map named."""
    embedding = np.asarray(model.gene_embedding, np.float64)
    centred = embedding - embedding.mean(axis=0)
    if centred.shape[1] > 1:
        _, _, axes_of = np.linalg.svd(centred.T @ centred)
        points = centred @ axes_of[:2].T
    else:
        points = np.column_stack([centred[:, 0], np.zeros(len(centred))])
    rows = even_choice(model.n_samples, 256)
    decoded = model.decode(model.sample_embedding[rows])
    mean, spread = decoded.mean(axis=0), decoded.std(axis=0)
    named = _apart(points, np.argsort(-spread, kind="stable"))

    def draw(figure: Figure) -> None:
        from matplotlib.patheffects import withStroke

        axes = figure.subplots()
        size = float(np.clip(9000 / len(points), 1.0, 10))
        ends = np.percentile(mean, [1, 99])
        shown = axes.scatter(
            points[:, 0], points[:, 1], s=size, c=mean, cmap="viridis", vmin=ends[0], vmax=ends[1],
            linewidths=0, rasterized=True,
        )  # fmt: skip
        for row in named:
            axes.annotate(
                str(model.gene_names[row])[:20], points[row], xytext=(3, 3),
                textcoords="offset points", fontsize=7, color=INK, parse_math=False,
                path_effects=[withStroke(linewidth=2, foreground="white")],
            )  # fmt: skip
        axes.set(xlabel="first axis", ylabel="second axis")
        figure.colorbar(shown, ax=axes, label="mean decoded expression", shrink=0.8)

    caption = (
        f"The embedding of {model.n_genes:,} genes on the two widest of its "
        f"{model.gene_components} axes, coloured by mean expression. Named are genes whose decoded "
        "expression differs most over the map."
    )
    return picture(draw, 7.0, 4.6), caption


def _apart(points: NDArray[Any], order: NDArray[np.intp]) -> list[int]:
    """The first of ``order`` that lie far enough from each other for their names not to touch."""
    span = np.maximum(np.ptp(points, axis=0), 1e-12) * [0.22, 0.055]
    named: list[int] = []
    for row in order[:400]:
        if all((np.abs(points[row] - points[other]) > span).any() for other in named):
            named.append(int(row))
        if len(named) == GENES_NAMED:
            break
    return named


def loss_picture(samples: MapSamples, limit: float) -> str:
    """How the samples' outlier scores are spread, and where suspicion begins."""

    def draw(figure: Figure) -> None:
        from matplotlib.ticker import NullFormatter

        axes = figure.subplots()
        low, high = samples.outlier.min(), max(samples.outlier.max(), limit + 1.0)
        edges = np.linspace(low, high, 60).tolist()
        for chosen, colour, text in (
            (~samples.projected, BLUE, "training"),
            (samples.projected, RED, "projected"),
        ):
            if chosen.any():
                axes.hist(
                    samples.outlier[chosen], edges, color=colour, alpha=0.65, label=text, log=True
                )
        axes.axvline(limit, color=INK, lw=0.8, ls="--")
        axes.set(xlabel="outlier score", ylabel="samples")
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.legend()

    return picture(draw, 4.6, 3.2)
