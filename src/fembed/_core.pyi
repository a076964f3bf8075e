"""Types of the native engine (src/core/binding.cpp); call it through :mod:`fembed.engine`.

The engine reads the fields of these objects by name (src/core/arguments.hpp). Arrays are
C-contiguous and of exactly these types: a wrong type is a TypeError, a wrong shape or index a
ValueError. ``isa`` is one of `isas`, or "" for the best one.
"""

import numpy as np
from numpy.typing import NDArray

from fembed.engine import AdamOptions, AdamState, Solution, SolveOptions, Steps
from fembed.likelihood import Likelihood
from fembed.parameters import Parameters

def isas() -> list[str]: ...
def train(
    parameters: Parameters,
    state: AdamState,
    options: AdamOptions,
    steps: Steps,
    n_threads: int,
    isa: str,
) -> None: ...
def gradients(
    parameters: Parameters, steps: Steps, out: Parameters, n_threads: int, isa: str
) -> None: ...
def decode(
    parameters: Parameters,
    points: NDArray[np.float32],
    out: NDArray[np.float32],
    n_threads: int,
    isa: str,
) -> None: ...
def solve(
    parameters: Parameters,
    profiles: NDArray[np.float32],
    starts: NDArray[np.float32],
    likelihood: Likelihood,
    options: SolveOptions,
    solution: Solution,
    n_threads: int,
    isa: str,
) -> None: ...
def count_terms(
    counts: NDArray[np.float32],
    log_mean: NDArray[np.float32],
    dispersion: NDArray[np.float32],
    half_deviance: NDArray[np.float32],
    slope: NDArray[np.float32],
    weight: NDArray[np.float32],
    isa: str,
) -> None: ...
def squared_distances(
    profiles: NDArray[np.float32],
    candidates: NDArray[np.float32],
    out: NDArray[np.float32],
    n_threads: int,
    isa: str,
) -> None: ...
