"""The report's static figures, drawn by matplotlib and put into the page as data.

Pictures cannot run scripts, and names and labels are drawn as plain text: what looks like
mathematics between two dollar signs is not read as such.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from fembed.data.chunks import even_choice
from fembed.model import Model
from fembed.pl import canvas, curves, genes, maps, placed, quality
from fembed.pl.samples import MapSamples

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Entries of the reconstruction figure: at most so many samples by so many genes.
RECONSTRUCTED = (500, 1000)
#: With more genes than this, t-SNE would take longer than all the rest of a report.
TSNE_GENES = 1500
SMALL = (3.9, 2.9)  # inches of the figures that stand side by side


def drawn(draw: Callable[[Figure], Any], width: float, height: float, kind: str = "png") -> bytes:
    """What ``draw`` draws on a figure of that many inches, as a file of ``kind``.

    Raises
    ------
    InputError
        If a package that figures need is not installed.
    """
    with canvas.drawing():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        stream = io.BytesIO()
        figure.savefig(stream, format=kind, dpi=canvas.DOTS_PER_INCH)
    return stream.getvalue()


def picture(draw: Callable[[Figure], Any], width: float, height: float) -> str:
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
    points = samples.coordinates[:, :2].astype(np.float64)
    if points.shape[1] == 1:
        points = np.column_stack([points, samples.loss])
    new = samples.projected
    color = next(iter(samples.labels.values()), None)
    if new.any():
        colors = (None, None) if color is None else (color.take(~new), color.take(new))
        placed.projection(points[~new], points[new], *colors, title=title, ax=axes)
    else:
        maps.embedding(points, color, title=title, ax=axes)
    if samples.coordinates.shape[1] == 1:
        axes.set(ylabel="loss", aspect="auto")


def pair_picture(samples: MapSamples, pca: NDArray[Any], umap: NDArray[Any] | None = None) -> str:
    """The map beside the first principal components of the same samples, and beside UMAP."""
    color = next(iter(samples.labels.values()), None)
    maps_of = {"fembed": samples.coordinates.astype(np.float64), "PCA": pca}
    if umap is not None:
        maps_of["UMAP"] = umap

    def draw(figure: Figure) -> None:
        for k, (name, points) in enumerate(maps_of.items()):
            axes = figure.add_subplot(1, len(maps_of), k + 1)
            there = np.isfinite(points).all(axis=1)
            shown = None if color is None else color.take(there)
            maps.embedding(points[there, :2], shown, legend="none", title=name, ax=axes)
            called = {"PCA": "PC"}.get(name, name)
            axes.set(xlabel=f"{called} 1", ylabel=f"{called} 2")

    return picture(draw, 8.4, 3.9 if umap is None else 3.1)


def training_picture(model: Model) -> str | None:
    """Losses by step; None where the model holds no history."""
    if len(model.training.get("history", [])) < 2:
        return None
    return picture(lambda figure: curves.training_curve(model, ax=figure.subplots()), *SMALL)


def reconstruction_picture(model: Model, samples: MapSamples) -> tuple[str, str] | None:
    """Decoded against measured entries, and a caption; None without measured expression."""
    if samples.measured is None:
        return None
    there = np.flatnonzero(np.isfinite(samples.measured).any(axis=1))
    rows = there[even_choice(len(there), RECONSTRUCTED[0])]
    columns = even_choice(model.n_genes, RECONSTRUCTED[1])
    true = samples.measured[np.ix_(rows, columns)]
    decoded = model.decode(samples.coordinates[rows], columns)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        quality.reconstruction(decoded, true, ax=axes)
        axes.set(xlabel="measured", ylabel="decoded")

    caption = (
        f"Decoded against measured expression of {len(rows):,} samples and {len(columns):,} genes. "
        "The dashed line is equality."
    )
    return picture(draw, *SMALL), caption


def gene_picture(model: Model) -> tuple[str, str] | None:
    """The genes' embedding in the plane, and a caption; None for fewer than three genes."""
    if model.n_genes < 3:
        return None
    method: Literal["tsne", "pca"] = "tsne" if model.n_genes <= TSNE_GENES else "pca"
    way = {"tsne": "t-SNE", "pca": "principal components"}[method]
    caption = (
        f"The embedding of {model.n_genes:,} genes, {model.gene_components} components, by {way}. "
        "Named are the genes whose decoded expression varies most over the map."
    )
    shown = picture(
        lambda figure: genes.gene_map(model, method=method, ax=figure.subplots()), 7.1, 5.0
    )
    return shown, caption


def loss_picture(samples: MapSamples, limit: float) -> str:
    """How the samples' outlier scores are spread, and where suspicion begins."""

    def draw(figure: Figure) -> None:
        from matplotlib.ticker import NullFormatter

        axes = figure.subplots()
        low, high = samples.outlier.min(), max(samples.outlier.max(), limit + 1.0)
        edges = np.linspace(low, high, 60).tolist()
        for chosen, colour, text in (
            (~samples.projected, canvas.OURS, "training"),
            (samples.projected, canvas.OTHER, "projected"),
        ):
            if chosen.any():
                axes.hist(
                    samples.outlier[chosen], edges, color=colour, alpha=0.65, label=text, log=True
                )
        axes.axvline(limit, color=canvas.INK, lw=0.8, ls="--")
        axes.set(xlabel="outlier score", ylabel="samples")
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.legend()

    return picture(draw, *SMALL)
