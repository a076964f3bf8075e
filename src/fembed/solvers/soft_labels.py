"""Soft labels of places in a map: how probable each label is, given the labelled samples around.

A sample at place u with covariance C is of label y with probability

    P(y) ~ exp(a log V(y) + w_y' x + b_y),

    V(y) = (n_e v_y + c s_y) / (n_e + c),    v_y = sum_{i: y_i = y} w_i / sum_i w_i,
    w_i = exp(-(u_i - u)' (h^2 I + C)^-1 (u_i - u) / 2),    n_e = (sum_i w_i)^2 / sum_i w_i^2.

V is the vote of the labelled samples by a normal kernel. Its bandwidth h grows with the distance to
the k-th neighbour (Breiman, Meisel & Purcell 1977), so it is small where samples are dense; the
shares s_y of the labels count as c further samples. A normal kernel averaged over the normal
distribution of the sample's own place is a wider normal kernel: C is added to h^2 I.

The rest corrects the vote: multinomial logistic regression on the standardised coordinates x, with
the exponent a as temperature scaling has it (Guo et al. 2017). Averaged over C, its logits shrink
(MacKay 1992). Everything is learnt from left-out labels, so that these are as probable as can be:
the logarithm is a proper score, which honest probabilities minimise (Gneiting & Raftery 2007).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.spatial.distance import cdist
from scipy.special import log_softmax

from fembed.data.chunks import even_choice

Float64 = NDArray[np.float64]
Codes = NDArray[np.intp]

#: The bandwidth is this part of the distance to the k-th neighbour, over the root of d.
SHARE = 0.5
#: What k and c are chosen from.
NEIGHBOURS = (5, 10, 20, 40, 80, 160, 320)
PSEUDO_SAMPLES = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
#: Precision of the normal prior of the regression's unknowns, for coordinates of unit deviation.
PRECISION = 0.1
#: Labels of so many samples, evenly chosen, are left out.
MAX_LEFT_OUT = 2000
_NUMBERS_PER_BLOCK = 2_000_000


@dataclass(frozen=True)
class Vote:
    """Labelled places of a map, and how they vote.

    Attributes
    ----------
    places : float64, n x n_components
    members : float64, n x n_labels
        1 for the label of each place, else 0.
    neighbours : int
        k: the bandwidth goes with the distance to the k-th neighbour.
    pseudo_samples : float
        c: the weight of the shares of the labels.
    """

    places: Float64
    members: Float64
    neighbours: int = NEIGHBOURS[0]
    pseudo_samples: float = PSEUDO_SAMPLES[0]

    @property
    def shares(self) -> Float64:
        """The part of the places that has each label."""
        return np.asarray(self.members.mean(axis=0))

    def __call__(self, places: Float64, covariance: Float64) -> Float64:
        """V, m x n_labels, at ``places`` (m x d) of these covariances (m x d x d)."""
        found = np.empty((len(places), self.members.shape[1]))
        for rows in _blocks(len(places), self.places.size):
            apart = self.places - places[rows][:, None]
            width = self._width(np.square(apart).sum(axis=2))
            spread = covariance[rows] + width[:, None, None] * np.eye(places.shape[1])
            solved = np.linalg.solve(spread, apart.transpose(0, 2, 1))
            scaled = np.einsum("mnd,mdn->mn", apart, solved)
            found[rows] = self._mixed(*self._counted(scaled))
        return found

    def left_out(self, rows: NDArray[np.intp]) -> Iterator[tuple[Vote, Float64]]:
        """For every k and c, how it would vote on its own ``rows``, each without its own label."""
        neighbours = [k for k in NEIGHBOURS if k < len(self.places)]
        found: list[list[tuple[Float64, Float64]]] = [[] for _ in neighbours]
        for part in _blocks(len(rows), self.places.size):
            here = rows[part]
            squares = cdist(self.places[here], self.places, "sqeuclidean")
            squares[np.arange(len(here)), here] = np.inf
            for parts, k in zip(found, neighbours, strict=True):
                width = replace(self, neighbours=k)._width(squares)
                parts.append(self._counted(squares / width[:, None]))
        for parts, k in zip(found, neighbours, strict=True):
            votes, sizes = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
            for c in PSEUDO_SAMPLES:
                vote = replace(self, neighbours=k, pseudo_samples=c)
                yield vote, vote._mixed(votes, sizes)

    def _width(self, squares: Float64) -> Float64:
        """h^2 for m places, from the squares of their distances to the labelled ones (m x n)."""
        k = min(self.neighbours, squares.shape[1])
        found = np.partition(squares, k - 1, axis=1)[:, k - 1] * SHARE**2 / self.places.shape[1]
        # Places that coincide have the same weight.
        return np.asarray(np.maximum(found, 1e-12 * max(float(self.places.var()), 1e-300)))

    def _counted(self, scaled: Float64) -> tuple[Float64, Float64]:
        """Shares v (m x n_labels) and n_e (m x 1), of the scaled squares of distances (m x n)."""
        weights = np.exp(-0.5 * (scaled - scaled.min(axis=1, keepdims=True)))
        total = weights.sum(axis=1, keepdims=True)
        size = np.asarray(total**2 / np.square(weights).sum(axis=1, keepdims=True))
        return np.asarray(weights @ self.members / total), size

    def _mixed(self, votes: Float64, sizes: Float64) -> Float64:
        c = self.pseudo_samples
        return np.asarray((sizes * votes + c * self.shares) / (sizes + c))


@dataclass(frozen=True)
class SoftLabels:
    """The vote and its correction.

    Attributes
    ----------
    vote : Vote
    exponent : float
        a, of the vote.
    weights : float64, n_labels x (n_components + 1)
        w and b of every label, for standardised coordinates.
    """

    vote: Vote
    exponent: float
    weights: Float64

    def probability(self, places: Float64, covariance: Float64) -> Float64:
        """P(label), m x n_labels, at ``places`` (m x d) of these covariances (m x d x d).

        Where a covariance is not finite, the place says nothing, and the labels have their shares.
        """
        found = np.tile(self.vote.shares, (len(places), 1))
        certain = np.isfinite(covariance).all(axis=(1, 2))
        if certain.any():
            centre, scale = _units(self.vote.places)
            at, spread = places[certain], covariance[certain]
            slopes = self.weights[:, :-1] / scale
            variance = np.einsum("ld,mde,le->ml", slopes, spread, slopes)
            logits = _with_one((at - centre) / scale) @ self.weights.T
            logits /= np.sqrt(1.0 + np.pi / 8.0 * variance)
            logits += self.exponent * np.log(self.vote(at, spread))
            found[certain] = np.exp(log_softmax(logits, axis=1))
        return found


def learn(places: Float64, codes: Codes, n_labels: int) -> SoftLabels:
    """Vote and correction that make left-out labels as probable as can be.

    Parameters
    ----------
    places : float64, n x n_components
    codes : int, n
        The label of each place, from 0; every label has one.
    """
    rows = even_choice(len(places), MAX_LEFT_OUT)
    truth = codes[rows]
    first = Vote(places, np.eye(n_labels)[codes])

    def loss(votes: Float64) -> float:
        return -float(np.log(votes[np.arange(len(rows)), truth]).sum())

    # In the order of NEIGHBOURS: of equal ones the first.
    vote, votes = min(first.left_out(rows), key=lambda found: loss(found[1]))
    centre, scale = _units(places)
    return SoftLabels(vote, *_corrected(votes, (places[rows] - centre) / scale, truth))


def calibration_error(probability: Float64, correct: NDArray[np.bool_], n_bins: int = 10) -> float:
    """Expected calibration error: how far probabilities are from frequencies, over equal bins.

    Naeini, Cooper & Hauskrecht (2015).

    Parameters
    ----------
    probability : float64, n
        Of the label that was said.
    correct : bool, n
        Whether it was right.
    """
    bins = np.minimum((probability * n_bins).astype(np.intp), n_bins - 1)
    gaps = np.bincount(bins, probability - correct, minlength=n_bins)
    return float(np.abs(gaps).sum() / max(len(probability), 1))


def _corrected(votes: Float64, coordinates: Float64, truth: Codes) -> tuple[float, Float64]:
    """Exponent and weights by penalised maximum likelihood: a convex problem."""
    features, logs = _with_one(coordinates), np.log(votes)
    shape = (votes.shape[1], features.shape[1])
    members = np.eye(shape[0])[truth]

    def objective(unknowns: Float64) -> tuple[float, Float64]:
        exponent, weights = unknowns[0], unknowns[1:].reshape(shape)
        found = log_softmax(exponent * logs + features @ weights.T, axis=1)
        error = np.exp(found) - members
        away = np.concatenate([[exponent - 1.0], unknowns[1:]])
        slope = np.concatenate([[(error * logs).sum()], (error.T @ features).ravel()])
        value = -(found * members).sum() + 0.5 * PRECISION * away @ away
        return float(value), slope + PRECISION * away

    start = np.zeros(1 + shape[0] * shape[1])
    start[0] = 1.0
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
    return float(found[0]), found[1:].reshape(shape)


def _units(places: Float64) -> tuple[Float64, Float64]:
    scale = places.std(axis=0)
    return places.mean(axis=0), np.where(scale > 0.0, scale, 1.0)


def _with_one(coordinates: Float64) -> Float64:
    return np.column_stack([coordinates, np.ones(len(coordinates))])


def _blocks(n_rows: int, numbers_per_row: int) -> Iterator[slice]:
    """Parts of rows that need little memory."""
    size = max(1, _NUMBERS_PER_BLOCK // max(numbers_per_row, 1))
    for begin in range(0, n_rows, size):
        yield slice(begin, begin + size)
