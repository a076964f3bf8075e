"""The start of a map: a neighbour embedding, whose layout the training then fits to the data.

From principal components the squared error alone finds maps that tear related samples apart; from
t-SNE (van der Maaten 2014) it ends at the same error with truer neighbourhoods (the ablation in
docs/model.md). Only the start depends on it: positions are trained, and new samples placed, by the
squared error as ever.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from fembed.data.choice import even_choice
from fembed.engine import Float32
from fembed.threads import limited

#: Distances are taken between scores on so many principal components.
SCORES = 50
#: The layout is made of so many samples; the others start amid their nearest ones in it.
LANDMARKS, NEIGHBOURS = 2000, 5
#: scikit-learn's default, or a third of the samples; half of its default iterations, since this
#: is a start.
PERPLEXITY, ITERATIONS = 30.0, 500


def neighbour_layout(
    scores: Float32,
    samples: NDArray[np.intp],
    n_components: int,
    seed: int,
    n_threads: int | None = None,
) -> Float32:
    """Positions (n_samples x n_components, centred, unit variance) from principal component scores.

    Parameters
    ----------
    scores : float32, n_samples x n_scores
    samples : indices
        The samples to learn the layout from.
    """
    # A second of imports, so only where it is used.
    from sklearn.manifold import TSNE
    from sklearn.neighbors import KNeighborsRegressor

    landmarks = samples[even_choice(len(samples), LANDMARKS)]
    known = scores[landmarks]
    # As its init="pca" does; components that the data lack begin at random.
    begin = np.random.default_rng(seed).standard_normal((len(known), n_components), np.float32)
    begin[:, : known.shape[1]] = known[:, :n_components]
    begin *= 1e-4 / max(float(begin[:, 0].std()), 1e-30)
    tsne = TSNE(
        n_components,
        perplexity=min(PERPLEXITY, (len(landmarks) - 1) / 3),
        init=begin,
        max_iter=ITERATIONS,
        random_state=seed % 2**32,
    )
    with threadpool_limits(1):  # or the bits would depend on how many there are
        embedding = tsne.fit_transform(known)
    neighbours = KNeighborsRegressor(min(NEIGHBOURS, len(landmarks)), weights="distance")
    with limited(n_threads):
        positions = neighbours.fit(known, embedding).predict(scores)
    positions[landmarks] = embedding
    positions -= positions[samples].mean(axis=0)
    spread = np.maximum(positions[samples].std(axis=0), 1e-30)
    return np.ascontiguousarray(positions / spread, np.float32)
