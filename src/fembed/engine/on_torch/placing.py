"""Levenberg-Marquardt for many profiles at once, each with a damping and an end of its own.

The rules are those of src/core/solve.hpp; only the order in which numbers are added up differs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fembed.engine.interface import Float32, Solution, SolveOptions
from fembed.engine.on_torch.devices import Place
from fembed.engine.on_torch.squares import Expansion, LeastSquares
from fembed.likelihood import Likelihood
from fembed.parameters import Parameters

FIRST_DAMPING, LEAST_DAMPING, MOST_DAMPING = 1e-3, 1e-9, 1e8


@dataclass
class Descents:
    """Where descents have come (k of them): places, what is known there, and their dampings."""

    u: Tensor
    here: Expansion
    damping: Tensor
    n_iterations: Tensor


def descend(
    squares: LeastSquares, which: Tensor, starts: Tensor, options: SolveOptions
) -> Descents:
    """From a start for each of the profiles ``which`` (k x d, float64) to the ends."""
    derivatives = options.max_iterations > 0 or options.curvature
    now = Descents(
        u=starts.clone(),
        here=squares.evaluate(which, starts, derivatives),
        damping=starts.new_full((len(starts),), FIRST_DAMPING),
        n_iterations=torch.zeros(len(starts), dtype=torch.int32, device=starts.device),
    )
    active = torch.arange(len(starts), device=starts.device)
    for iteration in range(1, options.max_iterations + 1):
        now.n_iterations[active] += 1
        # Derivatives at the last point serve only the curvature.
        last = iteration == options.max_iterations and not options.curvature
        active = _iterate(squares, which, now, active, options.tolerance, not last)
        if not len(active):
            break
    return now


def _iterate(
    squares: LeastSquares,
    which: Tensor,
    now: Descents,
    active: Tensor,
    tolerance: float,
    derivatives: bool,
) -> Tensor:
    """One iteration of the descents ``active``; those of them that go on."""
    here, damping = now.here.take(active), now.damping[active]
    move, possible = propose(here, damping)
    # A place is given, and judged, in float32.
    u = (now.u[active] + move).to(torch.float32).to(torch.float64)
    tried = possible.nonzero()[:, 0]
    there = Expansion(*(part.clone() for part in here))
    there.cost.fill_(torch.inf)
    if len(tried):
        there.put(tried, squares.evaluate(which[active[tried]], u[tried], derivatives))
    better = there.cost < here.cost
    done = better & ((here.cost - there.cost) / here.cost < tolerance)
    lower = torch.where(damping > LEAST_DAMPING, damping * 0.1, damping)
    damping = torch.where(better, lower, damping * 10.0)
    # What the quadratic model promises for the move.
    hopeless = possible & ((move * here.gradient).sum(dim=1) < tolerance * here.cost)
    done |= ~better & ((damping > MOST_DAMPING) | hopeless)
    now.damping[active] = damping
    now.u[active[better]] = u[better]
    now.here.put(active[better], there.take(better))
    return active[~done]


def propose(here: Expansion, damping: Tensor) -> tuple[Tensor, Tensor]:
    """The moves (k x d) that solve (C + damping diag(C)) move = gradient, C the curvature.

    Also returned is where C is positive (k); elsewhere the move is zero.
    """
    diagonal = here.curvature.diagonal(dim1=1, dim2=2)
    trace = diagonal.sum(dim=1)
    # Positive where J lacks a direction.
    raised = damping[:, None] * diagonal + 1e-12 * trace[:, None]
    factor, info = torch.linalg.cholesky_ex(here.curvature + torch.diag_embed(raised))
    possible = (trace > 0) & (info == 0) & factor.isfinite().all(dim=-1).all(dim=-1)
    # No system is left that the solver would complain of.
    one = torch.eye(factor.shape[-1], dtype=factor.dtype, device=factor.device)
    factor = torch.where(possible[:, None, None], factor, one)
    move = torch.cholesky_solve(here.gradient[..., None], factor)[..., 0]
    return torch.where(possible[:, None], move, 0.0), possible


def solve(
    parameters: Parameters,
    profiles: Float32,
    starts: Float32,
    likelihood: Likelihood,
    options: SolveOptions,
    solution: Solution,
    place: Place,
) -> None:
    """Place every profile from its starts; the best end of each goes into ``solution``."""
    n_profiles, n_starts, d = starts.shape
    if not n_profiles:
        return
    squares = LeastSquares(parameters, profiles, likelihood, place)
    begin = place.exact(place.numbers(starts)).view(-1, d)
    which = torch.arange(n_profiles, device=begin.device).repeat_interleave(n_starts)
    ends = descend(squares, which, begin, options)
    cost = ends.here.cost.view(n_profiles, n_starts)
    # The first of equally good ones; one without a cost is taken only if it is the first.
    comparable = torch.where(cost.isnan(), torch.inf, cost)
    best = torch.where(cost[:, 0].isnan(), 0, comparable.argmin(dim=1))
    chosen = torch.arange(n_profiles, device=begin.device) * n_starts + best
    solution.u[...] = ends.u[chosen].cpu().numpy()
    solution.cost[...] = ends.here.cost[chosen].cpu().numpy()
    solution.curvature[...] = ends.here.curvature[chosen].cpu().numpy()
    solution.n_observed[...] = squares.n_observed.cpu().numpy()
    total = ends.n_iterations.view(n_profiles, n_starts).sum(dim=1)
    solution.n_iterations[...] = total.cpu().numpy()
