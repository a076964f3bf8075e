"""The map of genes: the gene embedding in the plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from fembed.data.chunks import even_choice
from fembed.errors import InputError, imported
from fembed.model import Model
from fembed.pl import canvas, marks
from fembed.pl.canvas import PAGE_WIDTH, SavePath
from fembed.pl.categories import Categories
from fembed.pl.chosen import Palette
from fembed.pl.columns import in_order
from fembed.pl.labels import write_labels
from fembed.pl.legends import legend_beside
from fembed.pl.palette import SEQUENTIAL
from fembed.pl.points import colouring
from fembed.threads import limited

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Float = NDArray[np.float64]
Method = Literal["pca", "tsne", "umap"]

#: Genes are decoded at so many training samples, to see how much they vary over the map.
SAMPLES = 256


@canvas.drawing()
def gene_map(
    model: Model,
    color: Any = "variation",
    *,
    palette: Palette | None = None,
    method: Method = "pca",
    genes: Sequence[str] | int = 20,
    seed: int = 0,
    title: str | None = None,
    n_threads: int | None = None,
    ax: Axes | None = None,
    save: SavePath | None = None,
) -> Axes:
    """Genes in the plane: genes that the model treats alike are near each other.

    Parameters
    ----------
    model : Model
    color : "variation", "mean", or n_genes values
        The standard deviation of a gene's decoded expression over the training samples, its mean,
        or one text or number per gene.
    palette : str, list or mapping, optional
        Colours of categories of genes, as for `fembed.pl.embedding`.
    method : {"pca", "tsne", "umap"}
        From the gene embedding to the plane. PCA shows the genes that stand out, at once; t-SNE
        shows who is next to whom, and takes minutes for 20,000 genes; ``umap`` needs umap-learn.
    genes : sequence of str, or int
        Genes to name: these, or so many that vary most over the map.
    seed : int
        Seed of t-SNE and UMAP.
    n_threads : int, optional
        Threads of the engine.
    title, ax, save
        As for `fembed.pl.embedding`.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        An unknown method or gene, values that do not fit, or umap-learn is not installed.

    Examples
    --------
    >>> axes = fembed.pl.gene_map(model)
    """
    decoded = model.decode(
        model.sample_embedding[even_choice(model.n_samples, SAMPLES)], n_threads=n_threads
    )
    variation = decoded.std(axis=0, dtype=np.float64)
    named = (
        np.argsort(-variation, kind="stable")[:genes]
        if isinstance(genes, int)
        else model.gene_rows(list(genes))
        if len(genes)
        else np.array([], np.intp)
    )
    if isinstance(color, str):
        known = {"variation": variation, "mean": decoded.mean(axis=0, dtype=np.float64)}
        if color not in known:
            raise InputError(f"color is {color!r}; choose variation or mean, or give values.")
        values, label = known[color], f"{_TITLES[color]}"
    else:
        values, label = color, ""
    found = colouring(None, in_order(values, model.gene_names), model.n_genes, palette=palette)
    points = gene_plane(model, method, seed)
    ax = canvas.axes_for(ax, save, PAGE_WIDTH, canvas.map_height(np.ptp(points, axis=0)))
    name = {"pca": "PC", "tsne": "t-SNE", "umap": "UMAP"}[method]
    canvas.name_axes(ax, (f"{name} 1 of the gene embedding", f"{name} 2"))
    if isinstance(found, Categories):
        marks.draw_categories(ax, points, found, found.styles())
        names = found.present
        counts = [int(count) for count in found.counts if count]
        legend_beside(ax, marks.handles(names, found.styles()), names, counts)
    else:
        limits = marks.spread(found.values)
        shown = marks.draw_numbers(ax, points, found.values, limits, SEQUENTIAL)
        canvas.colour_bar(ax, shown, label or found.title)
    places = points[named]
    ax.scatter(*places.T, s=12, facecolors="none", edgecolors=canvas.INK, linewidths=0.6, zorder=5)
    canvas.entitle(ax, title)
    write_labels(ax, places, list(model.gene_names[named]), fontsize=7.0, around=points)
    return canvas.finished(ax, save)


_TITLES = {
    "variation": "SD of decoded expression over the map",
    "mean": "mean decoded expression",
}


def gene_plane(model: Model, method: Method = "pca", seed: int = 0) -> Float:
    """The gene embedding in two dimensions, n_genes x 2.

    Raises
    ------
    InputError
        An unknown method, umap-learn is not installed, or fewer than three genes.
    """
    genes = np.asarray(model.gene_embedding, np.float64)
    n_genes = len(genes)
    if method not in ("pca", "tsne", "umap"):
        raise InputError(f"The method {method!r} is not known; choose tsne, pca or umap.")
    if n_genes < 3:
        raise InputError(f"The model has {n_genes} genes; a map of genes needs three or more.")
    if genes.shape[1] <= 2:
        return np.pad(genes, ((0, 0), (0, 2 - genes.shape[1])))
    if method == "pca":
        centred = genes - genes.mean(axis=0)
        left, scale, _ = np.linalg.svd(centred, full_matrices=False)
        plane: Float = left[:, :2] * scale[:2]
        return plane
    if method == "tsne":
        from sklearn.manifold import TSNE

        with limited(1):  # n_jobs is for its search of neighbours alone
            fitted: Float = TSNE(
                perplexity=min(30.0, (n_genes - 1) / 3), init="pca", random_state=seed, n_jobs=1
            ).fit_transform(genes)
        return np.asarray(fitted, np.float64)
    return _umap(genes, seed)


def _umap(genes: Float, seed: int) -> Float:
    sentence = 'The method umap needs umap-learn; run: pip install "fembed[umap]".'
    fitted = imported("umap", sentence).UMAP(random_state=seed, n_jobs=1).fit_transform(genes)
    return np.asarray(fitted, np.float64)
