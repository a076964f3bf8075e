"""A long run of the published recipe with checkpoints, that can be stopped and taken up again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.published_recipe import EngineRun, PublishedRun, note_of
from benchmarks.report import say
from fembed.parameters import Parameters
from fembed.solvers.samples import refine

Point = dict[str, float]
Worth = Callable[[Parameters], Point]

GROWING, EVEN = 16, 20
FIRST_CHECKPOINT = 50


def checkpoints(iterations: int) -> list[int]:
    """Growing distances to begin with, then even ones, and the last iteration."""
    first = min(FIRST_CHECKPOINT, iterations)
    growing = np.geomspace(first, iterations, GROWING).round().astype(int).tolist()
    even = np.linspace(0, iterations, EVEN + 1).round().astype(int).tolist()
    return sorted(set(growing + even) - {0})


def checkpointed(
    run: PublishedRun,
    worth: Worth,
    iterations: int,
    *,
    keep: Path | None = None,
    about: dict[str, Any] | None = None,
) -> list[Point]:
    """Advance to every checkpoint; a point's seconds are those of the steps alone.

    With ``keep`` (and a run in our engine) the state is saved at every checkpoint; a run of the
    same ``about`` goes on from there, and a saved run of another one is replaced.
    """
    note = json.dumps(about, sort_keys=True)
    curve: list[Point] = []
    if keep is not None and isinstance(run, EngineRun) and keep.exists():
        found = json.loads(note_of(keep))
        if found["about"] == note:
            run.resume(keep)
            curve = found["curve"]
            say(f"taken up at {run.iterations:,} iterations")
    for mark in checkpoints(iterations):
        if mark <= run.iterations:
            continue
        run.advance(mark - run.iterations)
        point = {"iterations": float(mark), "seconds": run.seconds, **worth(run.parameters())}
        curve.append(point)
        say(f"published recipe, {mark:,} iterations, {run.seconds:.0f} s: loss {point['loss']:.4f}")
        if keep is not None and isinstance(run, EngineRun):
            run.save(keep, json.dumps({"about": note, "curve": curve}))
    return curve


def sample_loss(
    parameters: Parameters,
    values: NDArray[np.float32],
    positions: NDArray[Any],
    n_threads: int,
) -> NDArray[Any]:
    """Mean squared error of each sample over its observed genes, where it stands."""
    positions = np.ascontiguousarray(positions, np.float32)
    _, loss = refine(parameters, values, positions, max_iterations=0, n_threads=n_threads)
    return loss
