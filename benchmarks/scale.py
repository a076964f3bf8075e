"""What a fit costs by the size of its data, and the two workloads that were published.

Everything here is on simulated data. Every fit has a process of its own, whose peak memory is its
own. Fits are of a fixed number of passes and hold no samples out, so that seconds compare.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.blockstep import BlockStep, Shape
from benchmarks.exponents import PowerLaw
from benchmarks.longrun import Point, checkpointed
from benchmarks.memory import peak_bytes, resident_bytes
from benchmarks.process import alone
from benchmarks.published_recipe import EngineRun, Thesis
from benchmarks.report import RESULTS, Bar, Report
from benchmarks.simulate import simulated_expression
from benchmarks.timing import steps_for, timed
from fembed.data.choice import even_choice
from fembed.parameters import Parameters
from fembed.solvers.samples import refine

EXPONENT_BAR = Bar("<=", 1.05)
MINUTES_BAR = Bar("<", 300.0)
GENE_SIZES = (2, 10, 25, 50, 75, 100, 1000)
#: Published: Julia on a V100, 10,344 x 19,962, iterations a second of 4 profiles by gene embedding.
JULIA_RATES = dict(zip(GENE_SIZES, (97, 95, 92, 83, 76, 71, 19), strict=True))
JULIA_SHAPE = (10_344, 19_962)
PUBLISHED_HOURS = 72.0  # 1,000 x 60,600, 500 epochs, one GTX 1080 Ti
STEP_SECONDS, STEP_REPEATS = 2.0, 3
FAST_EPOCHS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, None)  # None: the default fit


@dataclass(frozen=True)
class ScaleOptions:
    """What is measured; the defaults are those of the bars."""

    parts: tuple[str, ...] = ("growth", "rates", "small", "large")
    n_samples: int = 10_344
    n_genes: int = 19_962
    halvings: int = 4  # of the samples, and of the genes
    epochs: float = 1.0
    components: tuple[int, ...] = (2, 4, 8, 16, 32, 64)
    gene_components: tuple[int, ...] = GENE_SIZES
    threads: int = 2
    published: tuple[int, int] = (1_000, 60_600)
    iterations: int = Thesis.iterations
    state: Path = field(default_factory=lambda: RESULTS)
    seed: int = 0


@dataclass(frozen=True)
class Fit:
    """One fit whose cost is measured."""

    n_samples: int
    n_genes: int
    epochs: float | None
    threads: int
    n_components: int = 2
    gene_components: int = 50
    seed: int = 0


def run(options: ScaleOptions, output: Path | None = None) -> int:
    """Measure, print and write; the exit status."""
    # Parts that are measured alone keep a file of their own, which `benchmarks results` finds.
    name = "scale" if set(options.parts) == set(PARTS) else f"scale-{'-'.join(options.parts)}"
    report = Report(name, options.threads, {**vars(options), "state": str(options.state)})
    for part in options.parts:
        PARTS[part](options, report)
    return report.finish(output)


def fit_cost(asked: Fit) -> dict[str, Any]:
    """In a fresh process: seconds, peak memory and loss of one fit."""
    from fembed.config import FitConfig
    from fembed.data.expression import Expression
    from fembed.train import fit

    values = simulated_expression(asked.n_samples, asked.n_genes, seed=asked.seed)
    before = resident_bytes()
    config = FitConfig(
        n_components=asked.n_components,
        gene_components=asked.gene_components,
        epochs=asked.epochs,
        validation=None if asked.epochs is None else 0.0,
        seed=asked.seed,
        n_threads=asked.threads,
    )
    with timed() as clock:
        model = fit(
            Expression.adopt(values),
            config,
            transform="none",
            overwrite_values=True,
        )
    return {
        **vars(asked),
        "seconds": clock.seconds,
        "cpu_seconds": clock.cpu_seconds,
        "passes": model.training["passes"],
        "mse": model.training["mse"],
        "pairs_per_second": model.training["pairs_per_second"],
        "x_bytes": values.nbytes,
        "bytes_before": before,
        "peak_bytes": peak_bytes(),
    }


def measured(asked: Fit) -> dict[str, Any]:
    """`fit_cost` in a process of its own, told on the screen."""
    found: dict[str, Any] = alone(fit_cost, asked)
    _say(
        f"{asked.n_samples:,} x {asked.n_genes:,}, {asked.n_components}-D, gene embedding "
        f"{asked.gene_components}, {asked.threads} threads, {found['passes']:.2f} passes: "
        f"{found['seconds']:.1f} s, peak {found['peak_bytes'] / 1e6:.0f} MB, "
        f"MSE {found['mse']:.4f}"
    )
    return found


def _growth(options: ScaleOptions, report: Report) -> None:
    """One size changes at a time, from the largest down."""
    n, m, threads, seed = options.n_samples, options.n_genes, options.threads, options.seed
    largest = measured(Fit(n, m, options.epochs, threads, seed=seed))
    small = n // 4, m // 4
    series: dict[str, list[dict[str, Any]]] = {
        "n_samples": [largest],
        "n_genes": [largest],
    }
    for k in range(1, options.halvings + 1):
        fits = {"n_samples": Fit(n >> k, m, options.epochs, threads, seed=seed)}
        fits["n_genes"] = Fit(n, m >> k, options.epochs, threads, seed=seed)
        for name, asked in fits.items():
            series[name].append(measured(asked))
    series["n_components"] = [
        measured(Fit(*small, options.epochs, threads, n_components=d, seed=seed))
        for d in options.components
    ]
    series["gene_components"] = [
        measured(Fit(*small, options.epochs, threads, gene_components=e, seed=seed))
        for e in options.gene_components
    ]
    series["threads"] = [
        measured(Fit(*small, options.epochs, k, seed=seed)) for k in range(1, threads + 1)
    ]
    report.measures["growth"] = series
    add_growth(report, series)


def add_growth(report: Report, series: dict[str, list[dict[str, Any]]]) -> None:
    """The exponents of seconds and of memory."""
    laws: dict[str, Any] = {}
    for name, fits in series.items():
        sizes = [float(found[name]) for found in fits]
        law = PowerLaw.of(sizes, [found["seconds"] for found in fits])
        laws[name] = {
            "seconds": None if law is None else law.to_dict(),
            "memory": _memory_law(sizes, fits),
        }
        if law is not None and name not in ("n_samples", "n_genes"):
            report.add(f"seconds grow with {name}: exponent", law.exponent, digits=3)
    by_entries = series["n_samples"] + series["n_genes"][1:]
    entries = [float(found["n_samples"]) * found["n_genes"] for found in by_entries]
    laws["entries"] = {"memory": _memory_law(entries, by_entries)}
    for name, sizes, fits in (
        ("samples", [f["n_samples"] for f in series["n_samples"]], series["n_samples"]),
        ("genes", [f["n_genes"] for f in series["n_genes"]], series["n_genes"]),
        ("samples x genes", entries, by_entries),
    ):
        law = PowerLaw.of(sizes, [found["seconds"] for found in fits])
        what = f"seconds grow with {name}: exponent"
        if law is None:
            report.add(what, None, EXPONENT_BAR, note="fewer than two sizes")
            continue
        if name == "samples x genes":
            laws["entries"]["seconds"] = law.to_dict()
        report.add(
            what,
            law.exponent,
            EXPONENT_BAR,
            digits=3,
            note=f"± {law.error:.3f}, {len(fits)} fits of {fits[0]['passes']:.2f} passes",
        )
    largest = by_entries[0]
    report.add(
        f"fit of {largest['n_samples']:,} x {largest['n_genes']:,}: peak memory beyond the matrix",
        (largest["peak_bytes"] - largest["x_bytes"]) / 1e6,
        unit="MB",
        digits=0,
    )
    report.measures["exponents"] = laws


def _memory_law(sizes: list[float], fits: list[dict[str, Any]]) -> dict[str, float] | None:
    law = PowerLaw.of(sizes, [float(found["peak_bytes"]) for found in fits])
    return None if law is None else law.to_dict()


def step_rate(
    shape: Shape, n_samples: int, n_genes: int, threads: int, seed: int
) -> dict[str, float]:
    """In a fresh process: iterations a second of the published recipe's step."""
    values = simulated_expression(n_samples, n_genes, seed=seed)
    step = BlockStep(values, shape, n_threads=threads)
    n_steps = steps_for(STEP_SECONDS, step.seconds_per_step)
    seconds = [step.seconds_per_step(n_steps) for _ in range(STEP_REPEATS)]
    return {
        "iterations_per_second": 1 / statistics.median(seconds),
        "n_steps": n_steps * STEP_REPEATS,
        "loss": step.loss,
        "peak_bytes": peak_bytes(),
    }


def _rates(options: ScaleOptions, report: Report) -> None:
    """The published recipe's iterations a second, by the size of the gene embedding."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    workloads = ((options.n_samples, options.n_genes), options.published)
    for n_samples, n_genes in workloads:
        name = f"{n_samples:,} x {n_genes:,}"
        found[name] = {}
        for size in options.gene_components:
            shape = Shape(4, n_genes, gene_components=size, linear=False, lazy=False)
            rate = alone(step_rate, shape, n_samples, n_genes, options.threads, options.seed)
            found[name][str(size)] = rate
            value = rate["iterations_per_second"]
            theirs = JULIA_RATES.get(size) if (n_samples, n_genes) == JULIA_SHAPE else None
            note = f"published: {theirs} on a V100" if theirs else ""
            _say(f"{name}, gene embedding {size}: {value:.1f} it/s {note}")
            report.add(
                f"published recipe, {name}, gene embedding {size:,}",
                value,
                unit="it/s",
                digits=1,
                note=note,
            )
    report.measures["rates"] = found
    report.measures["published rates"] = {
        "what": "Julia on a V100, 10,344 x 19,962, 4 profiles an iteration",
        "iterations a second": {str(size): rate for size, rate in JULIA_RATES.items()},
    }


def _small(options: ScaleOptions, report: Report) -> None:
    """1,000 x 60,600: the workload that took 72 hours."""
    note = f"published: {PUBLISHED_HOURS:.0f} h for 500 epochs on a GTX 1080 Ti"
    _workload(options, report, "small", options.published, MINUTES_BAR, note)


def _large(options: ScaleOptions, report: Report) -> None:
    """10,344 x 19,962: the workload of the thesis chapter."""
    note = "published: 21 to 105 minutes for 100,000 iterations on a V100, by gene embedding"
    _workload(options, report, "large", (options.n_samples, options.n_genes), None, note)


def _workload(
    options: ScaleOptions,
    report: Report,
    name: str,
    shape: tuple[int, int],
    bar: Bar | None,
    published: str,
) -> None:
    """The published recipe in our engine, and how long `fast` needs to go below its loss."""
    what = f"{shape[0]:,} x {shape[1]:,}"
    _say(f"{what}: {options.iterations:,} iterations of the published recipe, in our engine")
    keep = options.state / f"published-{name}.npz"
    curve = alone(published_curve, shape, options.iterations, options.threads, options.seed, keep)
    target = min(point["loss"] for point in curve)
    fits = []
    for epochs in FAST_EPOCHS:
        fits.append(measured(Fit(*shape, epochs, options.threads, seed=options.seed)))
        if fits[-1]["mse"] < target:
            break
    below = fits[-1] if fits[-1]["mse"] < target else None
    report.measures[f"workload {what}"] = {
        "published recipe": curve,
        "lowest published loss": target,
        "fast": fits,
        "published": published,
    }
    report.add(
        f"{what}: published recipe in our engine",
        curve[-1]["seconds"],
        unit="s",
        digits=0,
        note=f"{curve[-1]['iterations']:,.0f} iterations, loss {curve[-1]['loss']:.4f}, lowest "
        f"{target:.4f}; {published}",
    )
    lowest = min(found["mse"] for found in fits)
    report.add(
        f"{what}: whole `fast` fit, below the published recipe's lowest loss",
        float("inf") if below is None else below["seconds"],
        bar,
        unit="s",
        digits=1,
        note=f"never: {lowest:.4f}"
        if below is None
        else f"loss {below['mse']:.4f} after {below['passes']:.2f} passes",
    )


def published_curve(
    shape: tuple[int, int], iterations: int, threads: int, seed: int, keep: Path
) -> list[Point]:
    """In a fresh process: loss and seconds at checkpoints; a run that was stopped goes on."""
    values = simulated_expression(*shape, seed=seed)
    thesis = Thesis(iterations=iterations, seed=seed)
    about = {"simulated": list(shape), **vars(thesis), "threads": threads}
    about.pop("iterations")  # a longer run goes on from a shorter one
    return checkpointed(
        EngineRun(values, thesis, threads),
        lambda parameters: {"loss": sampled_loss(parameters, values, threads)},
        iterations,
        _say,
        keep=keep,
        about=about,
    )


def sampled_loss(
    parameters: Parameters, values: NDArray[np.float32], threads: int, most: int = 1024
) -> float:
    """Mean squared error over all genes of evenly many samples: all of them up to ``most``."""
    rows = even_choice(len(values), most)
    positions = np.ascontiguousarray(parameters.sample_embedding[rows], np.float32)
    _, loss = refine(
        parameters,
        np.ascontiguousarray(values[rows]),
        positions,
        max_iterations=0,
        n_threads=threads,
    )
    return float(loss.mean())


PARTS = {"growth": _growth, "rates": _rates, "small": _small, "large": _large}


def _say(text: str) -> None:
    print(text, flush=True)
