"""The first parameters: from principal components or a neighbour embedding, or random ones.

The fast recipe takes the former, the published one the latter.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from fembed.config import FitConfig
from fembed.data.chunks import even_choice, row_chunks
from fembed.engine import Float32
from fembed.parameters import Parameters, layer_shapes
from fembed.threads import limited

#: The output layer starts this much smaller, so that training starts at the linear part.
OUTPUT_SCALE = 0.1
#: Genes start at their loadings on so many principal components; further ones are nearly noise, and
#: genes that start at noise keep it (1,000 gene components then never left the linear part).
GENE_SCORES = 50
#: In maps they start at fewer.
MAP_GENE_SCORES = 25
#: The components are found on so many samples, and improved on the others.
MAX_PCA_SAMPLES = 1200
#: So many samples are multiplied with the components at once.
SAMPLES_PER_CHUNK = 256
#: t-SNE takes distances between scores on so many principal components.
TSNE_SCORES = 50
#: It is made of so many samples ...
TSNE_LANDMARKS = 2000
#: ... and the others start at a weighted mean of so many of their nearest ones in it.
TSNE_NEIGHBOURS = 5
#: This is scikit-learn's default; it may be at most a third of the samples.
TSNE_PERPLEXITY = 30.0
#: Half of scikit-learn's default is enough, since training goes on from here.
TSNE_ITERATIONS = 500


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


def random_initialization(config: FitConfig, n_samples: int, n_genes: int) -> Parameters:
    """The published initialization: normal embeddings, no linear skip, no gene bias."""
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
        for begin in range(0, len(samples), SAMPLES_PER_CHUNK):
            chunk = np.nan_to_num(values[samples[begin : begin + SAMPLES_PER_CHUNK]], copy=False)
            image += chunk.T @ (chunk @ right.T)
        right = np.ascontiguousarray(np.linalg.qr(image)[0].T, np.float32)
    second = np.zeros((len(right), len(right)))
    for begin in range(0, len(samples), SAMPLES_PER_CHUNK):
        chunk = np.nan_to_num(values[samples[begin : begin + SAMPLES_PER_CHUNK]], copy=False)
        scores = (chunk @ right.T).astype(np.float64)
        second += scores.T @ scores
    squares, rotation = np.linalg.eigh(second)
    deviation = np.sqrt(np.maximum(squares[::-1], 0.0) / len(samples))
    turned = rotation[:, ::-1].T @ right
    return deviation.astype(np.float32), np.ascontiguousarray(turned, np.float32)


def spectral_initialization(
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
    if len(samples) > MAX_PCA_SAMPLES:
        part = np.sort(random.choice(samples, MAX_PCA_SAMPLES, replace=False))
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
    tsne = config.starts_at_tsne(n_samples)
    gene_scores = min(e, MAP_GENE_SCORES if tsne else GENE_SCORES)
    rank = min(max(d, gene_scores, TSNE_SCORES if tsne else 0), len(part) - 1, n_genes)
    deviation, right = principal_components(np.nan_to_num(values[part], copy=False), rank)
    if len(part) < len(samples):
        deviation, right = improved_components(values, samples, right)
    # The float32 Gram matrix knows deviations to about 3e-4 of the largest.
    kept = min(d, int((deviation > 1e-3 * deviation[0]).sum()))
    gene_embedding = np.zeros((n_genes, e), np.float32)
    gene_embedding[:, : min(gene_scores, rank)] = right[:gene_scores].T * np.sqrt(n_genes)
    scores, squares = _scores(values, right if tsne else right[:kept])
    captured = float(np.square(scores[:, :kept], dtype=np.float64).sum())
    if tsne:
        positions = tsne_layout(scores, samples, d, config.seed, config.n_threads)
        loading = _regression(values, positions, samples)
    else:
        positions = 0.01 * random.standard_normal((n_samples, d), np.float32)
        positions[:, :kept] = scores / deviation[:kept]
        loading = np.zeros((n_genes, d), np.float32)
        loading[:, :kept] = right[:kept].T * deviation[:kept]
    parameters = Parameters(
        sample_embedding=np.ascontiguousarray(positions, np.float32),
        gene_embedding=np.ascontiguousarray(gene_embedding, np.float32),
        network=random_network(config, random, OUTPUT_SCALE),
        hidden=config.hidden,
        gene_loading=loading,
        gene_bias=np.zeros(n_genes, np.float32),
    )
    return parameters, captured / squares if squares else 0.0


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
    for begin in range(0, len(samples), SAMPLES_PER_CHUNK):
        rows = slice(begin, begin + SAMPLES_PER_CHUNK)
        image += np.nan_to_num(values[samples[rows]], copy=False).T @ known[rows]
    slopes = image @ np.linalg.pinv(known.T @ known, hermitian=True)
    return np.ascontiguousarray(slopes, np.float32)


def tsne_layout(
    scores: Float32,
    samples: NDArray[np.intp],
    n_components: int,
    seed: int,
    n_threads: int | None = None,
) -> Float32:
    """Positions (n_samples x n_components, centred, unit variance) from principal component scores.

    From principal components themselves the squared error finds maps that tear related samples
    apart; from t-SNE (van der Maaten 2014) it ends at the same error with truer neighbourhoods
    (docs/experiments.md has the numbers). Only the initialization depends on it: positions are
    trained, and new samples placed, by the squared error as ever.

    Parameters
    ----------
    scores : float32, n_samples x n_scores
    samples : indices
        The samples to learn the layout from.
    """
    # A second of imports, so only where it is used.
    from sklearn.manifold import TSNE
    from sklearn.neighbors import KNeighborsRegressor

    landmarks = samples[even_choice(len(samples), TSNE_LANDMARKS)]
    known = scores[landmarks]
    # As its init="pca" does; components that the data lack begin at random.
    begin = np.random.default_rng(seed).standard_normal((len(known), n_components), np.float32)
    begin[:, : known.shape[1]] = known[:, :n_components]
    begin *= 1e-4 / max(float(begin[:, 0].std()), 1e-30)
    tsne = TSNE(
        n_components,
        perplexity=min(TSNE_PERPLEXITY, (len(landmarks) - 1) / 3),
        init=begin,
        max_iter=TSNE_ITERATIONS,
        random_state=seed % 2**32,
    )
    with threadpool_limits(1):  # or the bits would depend on how many there are
        embedding = tsne.fit_transform(known)
    neighbours = KNeighborsRegressor(min(TSNE_NEIGHBOURS, len(landmarks)), weights="distance")
    with limited(n_threads):
        positions = neighbours.fit(known, embedding).predict(scores)
    positions[landmarks] = embedding
    positions -= positions[samples].mean(axis=0)
    spread = np.maximum(positions[samples].std(axis=0), 1e-30)
    return np.ascontiguousarray(positions / spread, np.float32)
