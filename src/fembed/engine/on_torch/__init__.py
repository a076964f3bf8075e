"""The engine on PyTorch: for graphics processors; never imported unless it is asked for.

Begin with `network`, then `gradient` (of a block) and `training` (Adam on block after block, whose
entries come from `entries`). New samples are `squares` (what a place costs) and `placing`
(Levenberg-Marquardt). `devices` says where and how exactly it is computed, `checks` what is
refused, and `partners` how several processes train together.
"""

from __future__ import annotations

import torch

from fembed.engine.interface import (
    AdamOptions,
    AdamState,
    Float32,
    Solution,
    SolveOptions,
    Steps,
)
from fembed.engine.on_torch import checks, frozen, gradient, placing, training
from fembed.engine.on_torch.devices import Place, computing, find
from fembed.engine.on_torch.partners import Partners, Work
from fembed.likelihood import Likelihood
from fembed.parameters import Parameters


class OnTorch:
    """The calls of `fembed.engine.interface.Engine` on a device of PyTorch.

    Parameters
    ----------
    device : str
        As for `fembed.using`.
    double : bool
        Compute in float64, to test what is computed; results are rounded to float32 all the same.
    partners : Partners, optional
        Processes that train together with this one, on the device that it has among them.
    """

    def __init__(
        self, device: str = "auto", double: bool = False, partners: Partners | None = None
    ) -> None:
        dtype = torch.float64 if double else torch.float32
        self._place = Place(find(device), dtype) if partners is None else partners.place
        self._partners = partners

    def describe(self) -> str:
        others = "" if self._partners is None else f", {self._partners.size} processes"
        return self._place.describe() + others

    def serve(self) -> None:
        """Train together with the process that leads, until it leaves."""
        assert self._partners is not None
        for work in self._partners.received():
            self._work(work)

    def _work(self, work: Work) -> None:
        with computing(self._place, work.n_threads):
            training.train(
                *(work.parameters, work.state, work.options, work.steps),
                self._place,
                self._partners,
            )

    def train(
        self,
        parameters: Parameters,
        state: AdamState,
        options: AdamOptions,
        steps: Steps,
        n_threads: int,
        isa: str,
    ) -> None:
        checks.no_kernel(isa)
        checks.model(parameters, writable=True)
        checks.steps(parameters, steps)
        checks.state(parameters, state, options, len(steps.blocks))
        work = Work(parameters, state, options, steps, n_threads)
        if self._partners is not None:
            self._partners.send(work)
        self._work(work)
        if self._partners is not None:
            self._partners.done()

    def gradients(
        self, parameters: Parameters, steps: Steps, out: Parameters, n_threads: int, isa: str
    ) -> None:
        checks.no_kernel(isa)
        checks.model(parameters)
        checks.steps(parameters, steps)
        with computing(self._place, n_threads):
            gradient.gradients(parameters, steps, out, self._place)

    def decode(
        self, parameters: Parameters, points: Float32, out: Float32, n_threads: int, isa: str
    ) -> None:
        checks.no_kernel(isa)
        checks.model(parameters)
        checks.array("points", points, 2)
        d = parameters.n_components
        checks.require(points.shape[1] == d, "points are k x n_components")
        with computing(self._place, n_threads):
            frozen.decode(parameters, points, out, self._place)

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
        checks.no_kernel(isa)
        checks.model(parameters)
        checks.profiles(parameters, profiles, starts)
        checks.likelihood(likelihood, parameters, len(profiles))
        with computing(self._place, n_threads):
            placing.solve(parameters, profiles, starts, likelihood, options, solution, self._place)

    def squared_distances(
        self, profiles: Float32, candidates: Float32, out: Float32, n_threads: int, isa: str
    ) -> None:
        checks.no_kernel(isa)
        checks.same_columns([profiles, candidates])
        with computing(self._place, n_threads):
            frozen.squared_distances(profiles, candidates, out, self._place)
