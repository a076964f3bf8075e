"""A fit as a whole: its speed, its memory, and the command on real data."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import machine
from benchmarks.blockstep import BlockStep, Shape
from benchmarks.cohorts import OnData
from benchmarks.options import option, repeats_option
from benchmarks.process import alone
from benchmarks.report import Bar, Report
from benchmarks.simulate import OnSimulated
from benchmarks.timing import steps_for, timed, timed_fit

if TYPE_CHECKING:
    from fembed.train import Progress

WHOLE_FIT_BAR = Bar(">=", 0.80)
MEMORY_ALLOWANCE = 600e6
COMMAND_BAR = Bar("<=", 20.0)
BLOCK = Shape(64, 256)
STEP_SECONDS, STEP_REPEATS = 1.0, 3
#: Between two block steps while the fit runs.
SECONDS_BETWEEN = 15.0


@dataclass(frozen=True, kw_only=True)
class Options(OnData, OnSimulated):
    """What is measured; the defaults are those of the bars."""

    epochs: float = option(6.0, "passes over the simulated matrix, as the default fit's", least=0)
    repeats: int = repeats_option(3, "the command is timed on real data")


def run(options: Options) -> int:
    """Measure, print and write; the exit status."""
    report = Report("train", options)
    simulated_fit(options, report)
    command(options, report)
    return report.finish()


def simulated_fit(options: Options, report: Report) -> None:
    """A fit of simulated data in a process of its own."""
    found = alone(fit_and_step, options)
    report.measures["simulated fit"] = found
    step = BLOCK.n_pairs / statistics.median(found["seconds_per_step"]) / 1e6
    whole = found["pairs"] / found["seconds"] / 1e6
    what = f"fit of {options.samples:,} x {options.genes:,}"
    report.add(
        "block step, 64 x 256", step, unit="M pairs/s", note="before, after and during the fit"
    )
    report.add(
        f"{what}: as a whole",
        whole,
        unit="M pairs/s",
        note=f"{found['seconds']:.0f} s (CPU {found['cpu_seconds']:.0f} s), "
        f"{found['pairs'] / 1e6:.0f} M pairs in {found['steps']:,} steps; "
        f"training steps alone {found['training']['pairs_per_second'] / 1e6:.2f}",
    )
    note = f"MSE {found['training']['mse']:.4f}"
    report.add("fit / block step", whole / step, WHOLE_FIT_BAR, digits=3, note=note)
    allowed = Bar("<=", (found["x_bytes"] + MEMORY_ALLOWANCE) / 1e6)
    note = f"X is {found['x_bytes'] / 1e6:.0f} MB, the process after imports "
    note += f"{(found['baseline_bytes'] or 0) / 1e6:.0f} MB"
    report.add(
        f"{what}: peak memory", found["peak_bytes"] / 1e6, allowed, unit="MB", digits=0, note=note
    )


def fit_and_step(options: Options) -> dict[str, Any]:
    """In a fresh process: the block step, the fit, the block step again."""
    from fembed import FitConfig

    baseline = machine.resident_bytes()
    values = options.simulated()
    step = _StepsBetween(BlockStep(values, BLOCK, n_threads=options.threads))
    step.measure(STEP_REPEATS)
    config = FitConfig(
        epochs=options.epochs,
        block_samples=BLOCK.block_samples,
        block_genes=BLOCK.block_genes,
        seed=options.seed,
        n_threads=options.threads,
    )
    model, clock = timed_fit(values, config, callback=step, overwrite_values=True)
    between, between_cpu = step.seconds, step.cpu_seconds
    peak = machine.peak_bytes()
    step.measure(STEP_REPEATS)  # the fit has overwritten the values
    return {
        "seconds": clock.seconds - between,
        "cpu_seconds": clock.cpu_seconds - between_cpu,
        "block_step_seconds_within": between,
        "pairs": float(model.training["passes"]) * values.size,
        "steps": model.training["steps"],
        "seconds_per_step": step.seconds_per_step,
        "training": model.training,
        "sample_loss_mean": float(model.sample_loss.mean()),
        "x_bytes": values.nbytes,
        "baseline_bytes": baseline,
        "peak_bytes": peak,
    }


class _StepsBetween:
    """Block steps before, after and now and then during a fit, whose own time they do not count.

    A long fit meets more of the machine's other work than a second before and after it does.
    """

    def __init__(self, step: BlockStep) -> None:
        self._step = step
        self._n_steps = steps_for(STEP_SECONDS, step.seconds_per_step)
        self.seconds_per_step: list[float] = []
        self.seconds = self.cpu_seconds = 0.0
        self._last = time.perf_counter()

    def __call__(self, progress: Progress) -> None:
        if progress.stage != "training" or time.perf_counter() - self._last < SECONDS_BETWEEN:
            return
        with timed() as clock:
            self.measure(1)
        self.seconds += clock.seconds
        self.cpu_seconds += clock.cpu_seconds
        self._last = time.perf_counter()

    def measure(self, repeats: int) -> None:
        self.seconds_per_step += [
            self._step.seconds_per_step(self._n_steps) for _ in range(repeats)
        ]


def command(options: Options, report: Report) -> None:
    """``fembed fit`` on real data as a whole process, with its defaults."""
    data = options.files[0]
    what = f"fembed fit {data.name}, default, 2-D"
    if not data.exists():
        report.add(what, None, COMMAND_BAR, note=f"{data} is not there; use --data")
        return
    runs = [_fit_command(data, options.threads) for _ in range(options.repeats)]
    report.measures["fembed fit"] = runs
    note = f"median of {len(runs)}; peak {max(run['peak_bytes'] for run in runs) / 1e6:.0f} MB, "
    note += f"MSE {runs[0]['mse']:.4f}"
    seconds = statistics.median(run["seconds"] for run in runs)
    report.add(what, seconds, COMMAND_BAR, unit="s", digits=1, note=note)


def _fit_command(data: Path, threads: int) -> dict[str, Any]:
    """Seconds, peak memory and loss of one process; it inherits this one's small peak only."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        # The command that was installed with this Python.
        command = Path(sys.executable).with_name("fembed")
        call = [str(command), "fit", str(data), "--transform", "none", "-o", str(model)]
        with timed() as clock, open(Path(folder) / "log", "w+b") as log:
            process = subprocess.Popen(call, stdout=log, stderr=log, env=environment)
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said = (Path(folder) / "log").read_text(errors="replace")
            raise RuntimeError(f"{' '.join(call)} ended with {process.returncode}: {said}")
        training = json.loads((model / "model.json").read_text())["training"]
    return {
        "seconds": clock.seconds,
        "peak_bytes": usage.ru_maxrss * machine.maxrss_unit(),
        "mse": training["mse"],
        "training": training,
    }
