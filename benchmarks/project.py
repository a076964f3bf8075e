"""Speed of placing new samples."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import cohorts
from benchmarks.adapters.factorized import Factorized
from benchmarks.options import option, repeats_option, seed_option
from benchmarks.report import Bar, Report
from benchmarks.timing import timed
from fembed import project

N_GENES = 3_328  # of the 3,341 without a missing entry: as many as in the prototypes
SPEED_BAR = Bar(">=", 100.0)


@dataclass(frozen=True, kw_only=True)
class Options(cohorts.OnData):
    """What is measured; the defaults are those of the bar, which is for two dimensions."""

    dims: tuple[int, ...] = option((2, 8, 32), "dimensions of the map")
    new: int = option(1_000, "samples to place")
    epochs: float = option(3.0, "of the model's short training", least=0)
    repeats: int = repeats_option(3, "they are placed")
    seed: int = seed_option()


def run(options: Options) -> int:
    """Measure, print and write; the exit status."""
    data = options.read()
    report = Report("project", options)
    genes = np.flatnonzero(~np.isnan(data.values).any(axis=0))[:N_GENES]
    values = np.ascontiguousarray(data.values[:, genes])
    train, held_out = data.folds()[0]
    new = unseen(values[held_out], options.new, options.seed)
    for n_components in options.dims:
        _one_dimension(options, report, n_components, values[train], new)
    return report.finish()


def unseen(values: NDArray[np.float32], n_new: int, seed: int) -> NDArray[np.float32]:
    """New samples from patients that training does not see.

    The held-out samples are fewer than wanted, so they are drawn again and again, each time with
    a noise of a third of every gene's standard deviation.
    """
    rng = np.random.default_rng(seed)
    drawn = values[rng.integers(len(values), size=n_new)]
    noise = rng.standard_normal(drawn.shape, dtype=np.float32)
    noisy: NDArray[np.float32] = drawn + noise * (values.std(axis=0) / np.float32(3))
    return noisy


def _one_dimension(
    options: Options,
    report: Report,
    n_components: int,
    train: NDArray[np.float32],
    new: NDArray[np.float32],
) -> None:
    rival = Factorized(n_components, options.seed, options.threads, epochs=options.epochs)
    trained = rival.fit(train)
    clocks, loss = [], np.empty(0)
    for _ in range(options.repeats):
        with timed() as clock:
            loss = project(rival.model, new, n_threads=options.threads).loss
        clocks.append(clock)
    seconds = [clock.seconds for clock in clocks]
    found: dict[str, Any] = {
        "seconds": seconds,
        "cpu_seconds": [clock.cpu_seconds for clock in clocks],
        "training_mse": trained.mse,
        "new_mse": loss.mean(),
        "new_loss": loss.tolist(),
    }
    report.measures[f"{n_components}-D"] = found
    report.add(
        f"{len(new):,} samples x {new.shape[1]:,} genes, {n_components}-D",
        len(new) / statistics.median(seconds),
        SPEED_BAR if n_components == 2 else None,
        unit="samples/s",
        digits=0,
        note=f"MSE {loss.mean():.3f} (training samples, without noise, {trained.mse:.3f}); "
        f"CPU {statistics.median(clock.cpu_seconds for clock in clocks):.1f} s",
    )
