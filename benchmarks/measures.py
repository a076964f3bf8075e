"""What a placement of held-out samples is worth."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist
from scipy.stats import pearsonr, spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import trustworthiness
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fembed.sweeps.classifier import NetworkClassifier

Array = NDArray[np.floating[Any]]
Labels = NDArray[Any]

NEIGHBOURS = 5  # of the classifier, and of trustworthiness and continuity


def knn_accuracy(train: Array, train_labels: Labels, test: Array, test_labels: Labels) -> float:
    """Of the majority of five training neighbours."""
    classifier = KNeighborsClassifier(NEIGHBOURS).fit(train, train_labels)
    return float(classifier.score(test, test_labels))


def logistic_accuracy(
    train: Array, train_labels: Labels, test: Array, test_labels: Labels
) -> float:
    """Of logistic regression on standardised coordinates."""
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    return float(classifier.fit(train, train_labels).score(test, test_labels))


def network_accuracy(
    train: Array, train_labels: Labels, test: Array, test_labels: Labels, seed: int = 0
) -> float:
    """Of the published small network, on standardised coordinates.

    The published code had no need to standardise: all its embeddings are of one scale, and those
    of its rivals are not.
    """
    classifier = make_pipeline(StandardScaler(), NetworkClassifier(random_state=seed))
    return float(classifier.fit(train, train_labels).score(test, test_labels))


def preservation(expression: Array, embedding: Array) -> dict[str, float | None]:
    """How the embedding keeps distances and neighbours of the same samples.

    Pearson's and Spearman's correlation over all pairs of samples between their distance in
    expression and in the embedding; trustworthiness (are neighbours in the embedding neighbours in
    expression?) and continuity (the other way round), of `NEIGHBOURS` neighbours. None where all
    samples lie in one place.
    """
    true, shown = pdist(expression), pdist(embedding)
    kept: dict[str, float | None] = {"pearson": None, "spearman": None}
    if shown.std() > 0 and true.std() > 0:
        kept["pearson"] = float(pearsonr(true, shown).statistic)
        kept["spearman"] = float(spearmanr(true, shown).statistic)
    neighbours = min(NEIGHBOURS, (len(embedding) - 1) // 2)
    kept["trustworthiness"] = float(trustworthiness(expression, embedding, n_neighbors=neighbours))
    kept["continuity"] = float(trustworthiness(embedding, expression, n_neighbors=neighbours))
    return kept
