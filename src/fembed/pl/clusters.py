"""Which categories form a cluster in a map, and where: what can be named in the map itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fembed.data.chunks import even_choice

Float = NDArray[np.float64]

#: Cells along a side of the grid in which the densest place of a category is looked for.
_CELLS = 24
#: A category is a cluster if this share of its samples' nearest neighbours are its own, and this
#: share of it lies together.
_OWN, _TOGETHER = 0.6, 0.6
_NEIGHBOURS = 10
#: At most so many samples, evenly chosen, decide.
_SAMPLES = 20_000


def densest_places(points: Float, codes: NDArray[np.intp], n_codes: int) -> Float:
    """Where most points of each category lie together (n_codes x 2; NaN for one without any).

    A mean could lie where no member is, between two clusters say.
    """
    cells = _cells(points)
    places = np.full((n_codes, 2), np.nan)
    for code in range(n_codes):
        members = codes == code
        if not members.any():
            continue
        mine = cells[members]
        counts = _counts(mine)
        around = sum(  # each cell with its eight neighbours
            np.roll(counts, (a, b), (0, 1)) for a in (-1, 0, 1) for b in (-1, 0, 1)
        )
        best = np.array(np.unravel_index(np.argmax(around), counts.shape))
        near = np.abs(mine - best).max(axis=1) <= 1
        places[code] = np.median(points[members][near], axis=0)
    return places


def are_clusters(points: Float, codes: NDArray[np.intp], n_codes: int) -> NDArray[np.bool_]:
    """Which categories form one cluster of their own: pure, and in one piece (n_codes).

    Batches that lie mixed are none, and neither is a class that is spread over many clusters.
    """
    from scipy.ndimage import label
    from scipy.spatial import cKDTree

    rows = even_choice(len(points), _SAMPLES)
    points, codes = points[rows], codes[rows]
    cells = _cells(points)
    k = min(_NEIGHBOURS + 1, len(points))
    _, near = cKDTree(points).query(points, k)
    own = (codes[np.reshape(near, (len(points), k))] == codes[:, None]).sum(axis=1) - 1
    found = np.zeros(n_codes, bool)
    for code in range(n_codes):
        members = codes == code
        n = int(members.sum())
        if n == 0:
            continue
        possible = max(1, min(k - 1, n - 1))  # a small category has few neighbours of its own
        pure = n == 1 or own[members].mean() >= _OWN * possible
        counts = _counts(cells[members])
        pieces, n_pieces = label(counts > 0, np.ones((3, 3)))
        sizes = np.bincount(pieces.ravel(), counts.ravel(), n_pieces + 1)[1:]
        found[code] = pure and sizes.max() >= _TOGETHER * n
    return found


def _cells(points: Float) -> NDArray[np.intp]:
    low, high = points.min(axis=0), points.max(axis=0)
    span = np.where(high > low, high - low, 1.0)
    cells: NDArray[np.intp] = (
        np.minimum(((points - low) / span * _CELLS).astype(np.intp), _CELLS - 1) + 1
    )
    return cells


def _counts(cells: NDArray[np.intp]) -> Float:
    """How many points lie in each cell, with a margin of empty ones."""
    counts = np.zeros((_CELLS + 2, _CELLS + 2))
    np.add.at(counts, (cells[:, 0], cells[:, 1]), 1.0)
    return counts
