"""How good an embedding is: expression reconstructed, distances kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fembed.data.chunks import even_choice
from fembed.data.expression import Expression
from fembed.errors import InputError
from fembed.inference.batches import remove_of_training
from fembed.inference.counts import refuse_measured
from fembed.inference.matching import as_expression, training_rows
from fembed.inference.projection import project
from fembed.model import Model
from fembed.pl import canvas
from fembed.pl.canvas import SavePath
from fembed.pl.palette import SEQUENTIAL
from fembed.pl.points import BASIS, coordinates, scale_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Float = NDArray[np.float64]

#: At most so many samples and genes of a data set are drawn, evenly chosen.
MAX_SAMPLES, MAX_GENES = 1000, 2000
PAIRS = 20_000
#: At most so many genes, evenly chosen, are used for distances in expression.
DISTANCE_GENES = 2000


@canvas.drawing()
def reconstruction(
    model: Any,
    data: Any,
    *,
    title: str | None = None,
    n_threads: int | None = None,
    ax: Axes | None = None,
    save: SavePath | None = None,
) -> Axes:
    """Predicted against true expression, in hexagons, and their correlation.

    Parameters
    ----------
    model : Model, or array of predicted values
    data : Expression, AnnData, DataFrame or array in the training's units; or the true values
        Samples with names of training samples stand where training left them, others are projected.
        At most 1,000 samples x 2,000 genes are drawn, evenly chosen.
    title, ax, save
        As for `fembed.pl.embedding`.
    n_threads : int, optional
        Threads of the engine.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        Data that cannot be placed, or arrays of different shapes.

    Examples
    --------
    >>> axes = fembed.pl.reconstruction(model, counts)
    """
    if hasattr(model, "decode"):
        true, predicted = _predictions(model, data, n_threads)
        scale = f", {scale_name(model)}"
    else:
        predicted, true, scale = np.asarray(model, float), np.asarray(data, float), ""
        if predicted.shape != true.shape:
            raise InputError(
                f"The predicted values have shape {predicted.shape} but the true ones {true.shape}."
            )
    observed = np.isfinite(true) & np.isfinite(predicted)
    true, predicted = true[observed].astype(float), predicted[observed].astype(float)
    if true.size < 2:
        raise InputError("There are fewer than two observed entries to compare.")
    ax = canvas.axes_for(ax, save, 4.2, 3.5)
    _draw_pairs(ax, true, predicted, "entries in a hexagon")
    low, high = ax.get_xlim()
    ax.plot([low, high], [low, high], color=canvas.INK, linewidth=0.7, linestyle="--")
    ax.set_xlim(low, high)
    ax.set_xlabel(f"true expression{scale}")
    ax.set_ylabel(f"predicted expression{scale}")
    error = float(np.mean((true - predicted) ** 2))
    canvas.note(ax, f"r = {pearson(true, predicted):.3f}\nMSE = {error:.3g}\n{true.size:,} entries")
    canvas.entitle(ax, title)
    return canvas.finished(ax, save)


@canvas.drawing()
def distance_preservation(
    embedding: Any,
    data: Any,
    *,
    basis: str = BASIS,
    n_pairs: int = PAIRS,
    seed: int = 0,
    title: str | None = None,
    ax: Axes | None = None,
    save: SavePath | None = None,
) -> Axes:
    """Distance in the embedding against distance in expression, of random pairs of samples.

    Parameters
    ----------
    embedding : Model, AnnData, or array n x d
    data : Expression, AnnData, DataFrame or array, n samples
        In the units of the training data; matched by name to a Model, in order to an array. For a
        Model it is transformed as the training data were.
    n_pairs : int
        Pairs to draw.
    seed : int
        Seed of the choice of pairs.
    basis, title, ax, save
        As for `fembed.pl.embedding`.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        Samples that are not in the data, or fewer than three of them.

    Notes
    -----
    Expression distance is the root mean square difference over the genes observed in both.

    Examples
    --------
    >>> axes = fembed.pl.distance_preservation(model, counts, n_pairs=200)
    """
    points, values = _matched(embedding, data, basis)
    n = len(points)
    if n < 3:
        raise InputError(f"There are {n} samples; distances need three or more.")
    rng = np.random.default_rng(seed)
    first = rng.integers(n, size=n_pairs)
    second = (first + rng.integers(1, n, size=n_pairs)) % n
    genes = even_choice(values.shape[1], DISTANCE_GENES)
    apart = expression_distances(values[:, genes], first, second)
    in_map = np.linalg.norm(points[first] - points[second], axis=1)
    known = np.isfinite(apart)
    ax = canvas.axes_for(ax, save, 4.2, 3.5)
    _draw_pairs(ax, apart[known], in_map[known], "pairs in a hexagon")
    ax.set_xlabel("distance in expression (RMS per gene)")
    ax.set_ylabel(f"distance in the embedding, {points.shape[1]}-D")
    from scipy.stats import spearmanr

    rank = float(spearmanr(apart[known], in_map[known]).statistic)
    canvas.note(ax, f"r = {pearson(apart[known], in_map[known]):.3f}\nrank r = {rank:.3f}")
    canvas.entitle(ax, title)
    return canvas.finished(ax, save)


def pearson(first: ArrayLike, second: ArrayLike) -> float:
    """Correlation of two vectors; NaN where one is constant."""
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norm if norm > 0 else float("nan")


def expression_distances(
    values: NDArray[Any], first: NDArray[np.intp], second: NDArray[np.intp]
) -> Float:
    """Root mean square difference of pairs of rows over the columns observed in both."""
    distances = np.empty(len(first))
    for begin in range(0, len(first), 2048):
        part = slice(begin, begin + 2048)
        difference = values[first[part]] - values[second[part]]
        observed = np.isfinite(difference)
        total = np.square(np.where(observed, difference, 0.0)).sum(axis=1, dtype=np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            distances[part] = np.sqrt(total / observed.sum(axis=1))
    return distances


def _predictions(model: Model, data: Any, n_threads: int | None) -> tuple[Float, Float]:
    """True and predicted values of evenly chosen samples and genes."""
    expression = _some_samples(as_expression(model, data), MAX_SAMPLES)
    rows = training_rows(model, expression.sample_names, expression.origin)
    if (rows < 0).any():
        placed = project(model, expression, n_threads=n_threads, verbose=False)
        points = placed.sample_embedding
    else:
        points = model.sample_embedding[rows]
    values = _transformed(model, expression)
    genes = np.flatnonzero(np.isfinite(values).any(axis=0))
    genes = genes[even_choice(len(genes), MAX_GENES)]
    return values[:, genes].astype(float), model.decode(points, genes, n_threads).astype(float)


def _some_samples(expression: Expression, most: int) -> Expression:
    return expression.take_samples(even_choice(expression.n_samples, most))


def _transformed(model: Model, expression: Expression) -> NDArray[np.float32]:
    refuse_measured(model)
    found = expression.find_genes(model.gene_names)
    if found.n_found == 0:
        raise InputError(f"{expression.origin} and the model have no gene in common.")
    values = model.preprocessing.apply_to(expression.take_genes(model.gene_names, found))
    remove_of_training(model, expression.sample_names, values)
    return values


def _matched(embedding: Any, data: Any, basis: str) -> tuple[Float, NDArray[Any]]:
    """Coordinates and expression of the same samples."""
    points = coordinates(embedding, basis)
    if hasattr(embedding, "decode"):
        expression = as_expression(embedding, data)
        values = _transformed(embedding, expression)
        at = training_rows(embedding, expression.sample_names, expression.origin)
        there = at >= 0
        return points[at[there]], values[there]
    expression = Expression.of(data)
    if expression.n_samples != len(points):
        raise InputError(
            f"The embedding has {len(points)} samples but {expression.origin} has "
            f"{expression.n_samples}; give the same samples in the same order."
        )
    return points, expression.values


def _draw_pairs(ax: Axes, x: Float, y: Float, what: str) -> None:
    """Hexagons on a logarithmic colour scale, over all but the farthest points of either axis."""
    from matplotlib.colors import LogNorm

    shown = ax.hexbin(x, y, gridsize=60, mincnt=1, cmap=SEQUENTIAL, linewidths=0.1)
    shown.set_norm(LogNorm(1.0, max(2.0, float(shown.get_array().max()))))
    shown.set_edgecolor("face")
    shown.set_rasterized(True)
    canvas.count_bar(ax, shown, what)
