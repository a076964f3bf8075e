"""Types of the native engine (src/core/binding.cpp); call it through :mod:`fembed.engine`.

``arrays`` are sample_embedding, gene_embedding, network, gene_loading or None, gene_bias or None.
Arrays are C-contiguous and of exactly these types: a wrong type is a TypeError, a wrong shape or
index a ValueError. ``isa`` is one of `isas`, or "" for the best one.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_Arrays = Sequence[NDArray[np.floating[Any]] | None]

def isas() -> list[str]: ...
def train(
    arrays: _Arrays,
    hidden: Sequence[int],
    first: _Arrays,
    second: _Arrays,
    sample_count: NDArray[np.int64],
    gene_count: NDArray[np.int64],
    network_count: NDArray[np.int64],
    expression: NDArray[np.float32],
    samples: NDArray[np.int32],
    sample_offset: NDArray[np.int64],
    genes: NDArray[np.int32],
    gene_offset: NDArray[np.int64],
    learning_rate: NDArray[np.float32],
    weight_decay: float,
    beta1: float,
    beta2: float,
    epsilon: float,
    lazy: bool,
    n_threads: int,
    isa: str,
    loss: NDArray[np.float64],
    n_observed: NDArray[np.int64],
) -> None: ...
def gradients(
    arrays: _Arrays,
    hidden: Sequence[int],
    expression: NDArray[np.float32],
    samples: NDArray[np.int32],
    genes: NDArray[np.int32],
    out: _Arrays,
    n_threads: int,
    isa: str,
) -> tuple[float, int]: ...
def decode(
    arrays: _Arrays,
    hidden: Sequence[int],
    points: NDArray[np.float32],
    out: NDArray[np.float32],
    n_threads: int,
    isa: str,
) -> None: ...
def solve(
    arrays: _Arrays,
    hidden: Sequence[int],
    profiles: NDArray[np.float32],
    starts: NDArray[np.float32],
    max_iterations: int,
    tolerance: float,
    curvature_wanted: bool,
    n_threads: int,
    isa: str,
    u: NDArray[np.float32],
    loss: NDArray[np.float64],
    curvature: NDArray[np.float64],
    n_observed: NDArray[np.int64],
    n_iterations: NDArray[np.int32],
) -> None: ...
def squared_distances(
    profiles: NDArray[np.float32],
    candidates: NDArray[np.float32],
    n_threads: int,
    isa: str,
    out: NDArray[np.float32],
) -> None: ...
