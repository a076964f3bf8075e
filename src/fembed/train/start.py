"""Where training starts: the fast recipe's principal components, the published random numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from fembed.config import FitConfig
from fembed.data.chunks import row_chunks
from fembed.engine import Float32
from fembed.parameters import Parameters, layer_shapes
from fembed.train import layout

#: The output layer starts this much smaller, so that training starts at the linear part.
OUTPUT_SCALE = 0.1
#: Genes start at their loadings on so many principal components, in maps on fewer; further ones are
#: nearly noise, and genes that start at noise keep it (1,000 gene components then never left the
#: linear part).
GENE_SCORES, MAP_GENE_SCORES = 50, 25
#: The components are found on so many samples, and improved on the others.
MOST_PCA_SAMPLES = 1200
SAMPLES_AT_ONCE = 256


@dataclass(frozen=True)
class Units:
    """How the matrix was centred and scaled for training: ``values * scale + gene_mean``."""

    gene_mean: NDArray[np.float64]
    scale: float


def standardise(values: Float32) -> Units:
    """Subtract every gene's mean and divide by one number, in place; NaN stays NaN.

    The scale makes the mean square of the observed entries one, so that learning rates mean the
    same for log2 and log10 data. It is zero, and nothing is divided, where every gene is constant.
    """
    total, count = np.zeros(values.shape[1]), np.zeros(values.shape[1], np.int64)
    for rows in row_chunks(*values.shape):
        observed = ~np.isnan(values[rows])
        count += observed.sum(axis=0)
        total += np.where(observed, values[rows], 0.0).sum(axis=0, dtype=np.float64)
    mean = total / np.maximum(count, 1)
    squares = 0.0
    for rows in row_chunks(*values.shape):
        values[rows] -= mean.astype(np.float32)
        squares += float(np.nansum(np.square(values[rows], dtype=np.float64)))
    scale = float(np.sqrt(squares / max(1, count.sum())))
    if scale == 0.0:
        return Units(mean.astype(np.float32).astype(np.float64), 0.0)
    for rows in row_chunks(*values.shape):
        values[rows] /= np.float32(scale)
    return Units(mean.astype(np.float32).astype(np.float64), scale)


def in_units(parameters: Parameters, units: Units) -> Parameters:
    """The same model for the matrix before `standardise`; distances in the map scale with it."""
    layers, d = parameters.layers(), parameters.n_components
    parameters.sample_embedding *= np.float32(units.scale)
    layers[0].weight[:, :d] /= units.scale
    layers[-1].weight[:] *= units.scale
    layers[-1].bias[:] *= units.scale
    # The loading is divided with the samples and multiplied with the genes: it stays.
    assert parameters.gene_bias is not None
    bias = parameters.gene_bias * units.scale + units.gene_mean
    parameters.gene_bias[:] = bias.astype(np.float32)
    return parameters


def random_network(config: FitConfig, random: np.random.Generator, output_scale: float) -> Float32:
    """Glorot-uniform layers (Glorot & Bengio 2010) with zero biases, as one flat vector."""
    parts = []
    shapes = layer_shapes(config.n_components, config.gene_components, config.hidden)
    for number, (n_out, n_in) in enumerate(shapes):
        limit = np.sqrt(6.0 / (n_in + n_out))
        if number == len(shapes) - 1:
            limit *= output_scale
        parts += [random.uniform(-limit, limit, n_out * n_in), np.zeros(n_out)]
    return np.concatenate(parts).astype(np.float32)


def random_start(config: FitConfig, n_samples: int, n_genes: int) -> Parameters:
    """The published start: normal embeddings, no linear skip, no gene bias."""
    random = np.random.default_rng(config.seed)
    normal = random.standard_normal
    return Parameters(
        sample_embedding=normal((n_samples, config.n_components), np.float32),
        gene_embedding=normal((n_genes, config.gene_components), np.float32),
        network=random_network(config, random, 1.0),
        hidden=config.hidden,
    )


def principal_components(matrix: Float32, rank: int) -> tuple[Float32, Float32]:
    """Standard deviations (rank) and directions (rank x n_genes), the largest first.

    By LAPACK's symmetric eigensolver on the smaller of the two Gram matrices: exact, without
    chance, and for a thousand samples as quick as a randomised SVD. ``matrix`` is centred.
    """
    n_samples, n_genes = matrix.shape
    wide = n_samples <= n_genes
    squares, vectors = np.linalg.eigh(matrix @ matrix.T if wide else matrix.T @ matrix)
    deviation = np.sqrt(np.maximum(squares[::-1][:rank], 0.0) / n_samples)
    vectors = vectors[:, ::-1][:, :rank]
    right = matrix.T @ vectors if wide else vectors
    right = right / np.maximum(np.linalg.norm(right, axis=0), 1e-30)
    return deviation.astype(np.float32), np.ascontiguousarray(right.T, np.float32)


def improved_components(
    values: Float32, samples: NDArray[np.intp], right: Float32
) -> tuple[Float32, Float32]:
    """Components of all ``samples`` from those of a part: two subspace iterations, Ritz vectors."""
    for _ in range(2):
        image = np.zeros(right.T.shape, np.float64)
        for begin in range(0, len(samples), SAMPLES_AT_ONCE):
            chunk = np.nan_to_num(values[samples[begin : begin + SAMPLES_AT_ONCE]], copy=False)
            image += chunk.T @ (chunk @ right.T)
        right = np.ascontiguousarray(np.linalg.qr(image)[0].T, np.float32)
    second = np.zeros((len(right), len(right)))
    for begin in range(0, len(samples), SAMPLES_AT_ONCE):
        chunk = np.nan_to_num(values[samples[begin : begin + SAMPLES_AT_ONCE]], copy=False)
        scores = (chunk @ right.T).astype(np.float64)
        second += scores.T @ scores
    squares, rotation = np.linalg.eigh(second)
    deviation = np.sqrt(np.maximum(squares[::-1], 0.0) / len(samples))
    turned = rotation[:, ::-1].T @ right
    return deviation.astype(np.float32), np.ascontiguousarray(turned, np.float32)


def spectral_start(
    values: Float32, config: FitConfig, samples: NDArray[np.intp]
) -> tuple[Parameters, float]:
    """U, V and L from the leading principal components of the samples given.

    U is the samples' scores, or in two or three dimensions a neighbour embedding of theirs.

    Parameters
    ----------
    values : float32, n_samples x n_genes
        Standardised; NaN counts as the gene's mean.
    samples : indices
        Samples to learn from; where their copy would be large, a random part of them is enough.
        Every sample, of these or not, starts at its own scores.

    Returns
    -------
    parameters : Parameters
    explained : float
        Share of the variance that these principal components explain.
    """
    random = np.random.default_rng(config.seed)
    part = samples
    if len(samples) > MOST_PCA_SAMPLES:
        part = np.sort(random.choice(samples, MOST_PCA_SAMPLES, replace=False))
    # One BLAS thread, so that the bits do not depend on how many there are.
    with threadpool_limits(1, user_api="blas"):
        return _at_components(values, config, part, samples, random)


def _at_components(
    values: Float32,
    config: FitConfig,
    part: NDArray[np.intp],
    samples: NDArray[np.intp],
    random: np.random.Generator,
) -> tuple[Parameters, float]:
    n_samples, n_genes = values.shape
    d, e = config.n_components, config.gene_components
    neighbours = config.starts_at_tsne(n_samples)
    gene_scores = min(e, MAP_GENE_SCORES if neighbours else GENE_SCORES)
    rank = min(max(d, gene_scores, layout.SCORES if neighbours else 0), len(part) - 1, n_genes)
    deviation, right = principal_components(np.nan_to_num(values[part], copy=False), rank)
    if len(part) < len(samples):
        deviation, right = improved_components(values, samples, right)
    # The float32 Gram matrix knows deviations to about 3e-4 of the largest.
    kept = min(d, int((deviation > 1e-3 * deviation[0]).sum()))
    gene_embedding = np.zeros((n_genes, e), np.float32)
    gene_embedding[:, : min(gene_scores, rank)] = right[:gene_scores].T * np.sqrt(n_genes)
    scores, squares = _scores(values, right if neighbours else right[:kept])
    captured = float(np.square(scores[:, :kept], dtype=np.float64).sum())
    if neighbours:
        positions = layout.neighbour_layout(scores, samples, d, config.seed, config.n_threads)
        loading = _regression(values, positions, samples)
    else:
        positions = 0.01 * random.standard_normal((n_samples, d), np.float32)
        positions[:, :kept] = scores / deviation[:kept]
        loading = np.zeros((n_genes, d), np.float32)
        loading[:, :kept] = right[:kept].T * deviation[:kept]
    start = Parameters(
        sample_embedding=np.ascontiguousarray(positions, np.float32),
        gene_embedding=np.ascontiguousarray(gene_embedding, np.float32),
        network=random_network(config, random, OUTPUT_SCALE),
        hidden=config.hidden,
        gene_loading=loading,
        gene_bias=np.zeros(n_genes, np.float32),
    )
    return start, captured / squares if squares else 0.0


def _scores(values: Float32, right: Float32) -> tuple[Float32, float]:
    """Every sample's scores on the components, and the sum of squares of the matrix."""
    scores, squares = np.empty((len(values), len(right)), np.float32), 0.0
    for rows in row_chunks(*values.shape):
        chunk = np.nan_to_num(values[rows])
        scores[rows] = chunk @ right.T
        squares += float(np.square(chunk).sum(dtype=np.float64))
    return scores, squares


def _regression(values: Float32, positions: Float32, samples: NDArray[np.intp]) -> Float32:
    """The genes' least-squares slopes on the positions of ``samples``: n_genes x n_components."""
    known = positions[samples].astype(np.float64)
    image = np.zeros((values.shape[1], positions.shape[1]))
    for begin in range(0, len(samples), SAMPLES_AT_ONCE):
        rows = slice(begin, begin + SAMPLES_AT_ONCE)
        image += np.nan_to_num(values[samples[rows]], copy=False).T @ known[rows]
    slopes = image @ np.linalg.pinv(known.T @ known, hermitian=True)
    return np.ascontiguousarray(slopes, np.float32)
