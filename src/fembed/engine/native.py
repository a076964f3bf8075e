"""The native engine: the compiled module ``fembed._core``, on processors.

Training, gradients, decoding and solving have readable double-precision twins in
:mod:`fembed._reference`; the property tests hold the two together.
"""

from __future__ import annotations

import numpy as np

import fembed.threads  # noqa: F401  # before OpenMP is loaded: it looks whether it was

# isort: split

from fembed import _core
from fembed.engine.interface import (
    AdamOptions,
    AdamState,
    Float32,
    Solution,
    SolveOptions,
    Steps,
)
from fembed.likelihood import Likelihood
from fembed.parameters import Parameters

#: Kernels that this processor can run, best first.
ISAS: tuple[str, ...] = tuple(_core.isas())


class Native:
    """The calls of `fembed.engine.interface.Engine`; `fembed._core` checks what it is given."""

    def describe(self) -> str:
        return f"native ({ISAS[0]})"

    def train(
        self,
        parameters: Parameters,
        state: AdamState,
        options: AdamOptions,
        steps: Steps,
        n_threads: int,
        isa: str,
    ) -> None:
        _core.train(parameters, state, options, steps, n_threads, isa)

    def gradients(
        self, parameters: Parameters, steps: Steps, out: Parameters, n_threads: int, isa: str
    ) -> None:
        _core.gradients(parameters, steps, out, n_threads, isa)

    def decode(
        self, parameters: Parameters, points: Float32, out: Float32, n_threads: int, isa: str
    ) -> None:
        _core.decode(_to_read(parameters), points, out, n_threads, isa)

    def solve(
        self,
        parameters: Parameters,
        profiles: Float32,
        starts: Float32,
        likelihood: Likelihood,
        options: SolveOptions,
        solution: Solution,
        n_threads: int,
        isa: str,
    ) -> None:
        model = _to_read(parameters)
        _core.solve(model, profiles, starts, likelihood, options, solution, n_threads, isa)

    def squared_distances(
        self, profiles: Float32, candidates: Float32, out: Float32, n_threads: int, isa: str
    ) -> None:
        _core.squared_distances(profiles, candidates, out, n_threads, isa)


def _to_read(parameters: Parameters) -> Parameters:
    """To be read only: joblib hands arrays to its workers as read-only memory maps."""
    return parameters.map(lambda array: np.require(array, requirements="W"))
