"""What a fit costs by the size of its data, and the two workloads that were published.

Everything here is on simulated data. Every fit has a process of its own, whose peak memory is its
own. Fits are of a fixed number of passes and hold no samples out, so that seconds compare.
"""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.blockstep import BlockStep, Shape
from benchmarks.estimates import PowerLaw
from benchmarks.longrun import Point, checkpointed, sample_loss
from benchmarks.machine import peak_bytes, resident_bytes
from benchmarks.options import RESULTS, option
from benchmarks.process import alone
from benchmarks.published_recipe import EngineRun, Thesis
from benchmarks.report import Bar, Report, say
from benchmarks.simulate import OnSimulated, simulated_expression
from benchmarks.timing import steps_for, timed_fit
from fembed.data.chunks import even_choice
from fembed.parameters import Parameters

EXPONENT_BAR = Bar("<=", 1.05)
MINUTES_BAR = Bar("<", 300.0)
GENE_SIZES = (2, 10, 25, 50, 75, 100, 1000)
#: Published: Julia on a V100, 10,344 x 19,962, 4 profiles; iterations per second.
JULIA_RATES = dict(zip(GENE_SIZES, (97, 95, 92, 83, 76, 71, 19), strict=True))
JULIA_SHAPE = (10_344, 19_962)
PUBLISHED_TIMES = {
    "small": "published: 72 h for 500 epochs on a GTX 1080 Ti",
    "large": "published: 21 to 105 minutes for 100,000 iterations on a V100, by gene embedding",
}
STEP_SECONDS, STEP_REPEATS = 2.0, 3
FAST_EPOCHS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, None)  # None: the default fit
PARTS = ("growth", "rates", "small", "large")


@dataclass(frozen=True, kw_only=True)
class Options(OnSimulated):
    """What is measured; the defaults are those of the bars."""

    parts: tuple[str, ...] = option(
        PARTS, "growth, rates, small (1,000 x 60,600), large (10,344 x 19,962)", among=PARTS
    )
    published: tuple[int, int] = option(
        (1_000, 60_600), "samples and genes of the workload that took 72 hours"
    )
    halvings: int = option(4, "of the samples, and of the genes")
    epochs: float = option(1.0, "passes of a fit whose growth is measured", least=0)
    components: tuple[int, ...] = option((2, 4, 8, 16, 32, 64), "dimensions")
    gene_components: tuple[int, ...] = option(GENE_SIZES, "sizes of the gene embedding")
    iterations: int = option(Thesis.iterations, "of the published recipe on the two workloads")
    state: Path = option(RESULTS, "folder where runs that are stopped go on from")


@dataclass(frozen=True)
class Fit:
    """One fit whose cost is measured."""

    n_samples: int
    n_genes: int
    epochs: float | None
    threads: int
    seed: int = 0
    n_components: int = 2
    gene_components: int = 50


def run(options: Options) -> int:
    """Measure, print and write; the exit status."""
    # Parts that are measured alone keep a file of their own, which `benchmarks results` finds.
    whole = set(options.parts) == set(PARTS)
    report = Report("scale" if whole else f"scale-{'-'.join(options.parts)}", options)
    measure = {"growth": _growth, "rates": _rates}
    for part in options.parts:
        if part in measure:
            measure[part](options, report)
        else:
            _workload(options, report, part)
    return report.finish()


def fit_cost(asked: Fit) -> dict[str, Any]:
    """In a fresh process: seconds, peak memory and loss of one fit."""
    from fembed import FitConfig

    values = simulated_expression(asked.n_samples, asked.n_genes, seed=asked.seed)
    before = resident_bytes()
    config = FitConfig(
        n_components=asked.n_components,
        gene_components=asked.gene_components,
        epochs=asked.epochs,
        validation_fraction=None if asked.epochs is None else 0.0,
        seed=asked.seed,
        n_threads=asked.threads,
    )
    model, clock = timed_fit(values, config, overwrite_values=True)
    return {
        **vars(asked),
        "seconds": clock.seconds,
        "cpu_seconds": clock.cpu_seconds,
        **{name: model.training[name] for name in ("passes", "mse", "pairs_per_second")},
        "x_bytes": values.nbytes,
        "bytes_before": before,
        "peak_bytes": peak_bytes(),
    }


def measured(asked: Fit) -> dict[str, Any]:
    """`fit_cost` in a process of its own, told on the screen."""
    found: dict[str, Any] = alone(fit_cost, asked)
    say(
        f"{asked.n_samples:,} x {asked.n_genes:,}, {asked.n_components}-D, gene embedding "
        f"{asked.gene_components}, {asked.threads} threads, {found['passes']:.2f} passes: "
        f"{found['seconds']:.1f} s, peak {found['peak_bytes'] / 1e6:.0f} MB, "
        f"MSE {found['mse']:.4f}"
    )
    return found


def _growth(options: Options, report: Report) -> None:
    """One size changes at a time, from the largest down."""
    n, m = options.samples, options.genes
    largest = Fit(n, m, options.epochs, options.threads, options.seed)
    small = replace(largest, n_samples=n // 4, n_genes=m // 4)
    halved = range(1, options.halvings + 1)
    first = measured(largest)
    series = {
        "n_samples": [first, *(measured(replace(largest, n_samples=n >> k)) for k in halved)],
        "n_genes": [first, *(measured(replace(largest, n_genes=m >> k)) for k in halved)],
        "n_components": [measured(replace(small, n_components=d)) for d in options.components],
        "gene_components": [
            measured(replace(small, gene_components=e)) for e in options.gene_components
        ],
        "threads": [measured(replace(small, threads=k + 1)) for k in range(options.threads)],
    }
    report.measures["growth"] = series
    add_growth(report, series)


def add_growth(report: Report, series: dict[str, list[dict[str, Any]]]) -> None:
    """The exponents of seconds and of memory."""
    shown = {"n_samples": "samples", "n_genes": "genes", "entries": "samples x genes"}
    entries = series["n_samples"] + series["n_genes"][1:]
    laws: dict[str, Any] = {}
    for name, fits in {**series, "entries": entries}.items():
        sizes = [
            float(found["n_samples"] * found["n_genes"] if name == "entries" else found[name])
            for found in fits
        ]
        seconds, memory = (
            PowerLaw.of(sizes, [float(found[cost]) for found in fits])
            for cost in ("seconds", "peak_bytes")
        )
        laws[name] = {"seconds": seconds and asdict(seconds), "memory": memory and asdict(memory)}
        bar = EXPONENT_BAR if name in shown else None
        what = f"seconds grow with {shown.get(name, name)}: exponent"
        if seconds is not None:
            note = f"± {seconds.error:.3f}, {len(fits)} fits of {fits[0]['passes']:.2f} passes"
            report.add(what, seconds.exponent, bar, digits=3, note=note)
        elif bar:
            report.add(what, None, bar, note="fewer than two sizes")
    report.add(
        f"fit of {entries[0]['n_samples']:,} x {entries[0]['n_genes']:,}: peak memory beyond the "
        "matrix",
        (entries[0]["peak_bytes"] - entries[0]["x_bytes"]) / 1e6,
        unit="MB",
        digits=0,
    )
    report.measures["exponents"] = laws


def step_rate(
    shape: Shape, n_samples: int, n_genes: int, threads: int, seed: int
) -> dict[str, float]:
    """In a fresh process: iterations per second of the published recipe's step."""
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


def _rates(options: Options, report: Report) -> None:
    """The published recipe's iterations per second, by the size of the gene embedding."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for n_samples, n_genes in ((options.samples, options.genes), options.published):
        name = f"{n_samples:,} x {n_genes:,}"
        found[name] = {}
        for size in options.gene_components:
            shape = Shape(4, n_genes, gene_components=size, linear=False, lazy=False)
            rate = alone(step_rate, shape, n_samples, n_genes, options.threads, options.seed)
            found[name][str(size)] = rate
            value = rate["iterations_per_second"]
            theirs = JULIA_RATES.get(size) if (n_samples, n_genes) == JULIA_SHAPE else None
            note = f"published: {theirs} on a V100" if theirs else ""
            say(f"{name}, gene embedding {size}: {value:.1f} it/s {note}")
            what = f"published recipe, {name}, gene embedding {size:,}"
            report.add(what, value, unit="it/s", digits=1, note=note)
    report.measures["rates"] = found


def _workload(options: Options, report: Report, name: str) -> None:
    """The published recipe in our engine, and how long `fast` needs to go below its loss.

    The small one took 72 hours, the large one is the thesis chapter's.
    """
    shape, bar = (options.samples, options.genes), None
    if name == "small":
        shape, bar = options.published, MINUTES_BAR
    published = PUBLISHED_TIMES[name]
    what = f"{shape[0]:,} x {shape[1]:,}"
    say(f"{what}: {options.iterations:,} iterations of the published recipe, in our engine")
    keep = options.state / f"published-{name}.npz"
    curve = alone(published_curve, shape, options.iterations, options.threads, options.seed, keep)
    last, target = curve[-1], min(point["loss"] for point in curve)
    fits = []
    for epochs in FAST_EPOCHS:
        fits.append(measured(Fit(*shape, epochs, options.threads, options.seed)))
        if fits[-1]["mse"] < target:
            break
    report.measures[f"workload {what}"] = {
        "published recipe": curve,
        "lowest published loss": target,
        "fast": fits,
        "published": published,
    }
    note = f"{last['iterations']:,.0f} iterations, loss {last['loss']:.4f}, lowest "
    note += f"{target:.4f}; {published}"
    of_theirs = f"{what}: published recipe in our engine"
    report.add(of_theirs, last["seconds"], unit="s", digits=0, note=note)
    seconds, note = fits[-1]["seconds"], f"loss {fits[-1]['mse']:.4f} after "
    note += f"{fits[-1]['passes']:.2f} passes"
    if fits[-1]["mse"] >= target:
        seconds, note = float("inf"), f"never: {min(found['mse'] for found in fits):.4f}"
    of_ours = f"{what}: whole `fast` fit, below the published recipe's lowest loss"
    report.add(of_ours, seconds, bar, unit="s", digits=1, note=note)


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
        keep=keep,
        about=about,
    )


def sampled_loss(
    parameters: Parameters, values: NDArray[np.float32], threads: int, most: int = 1024
) -> float:
    """Mean squared error over all genes of evenly many samples: all of them up to ``most``."""
    rows = even_choice(len(values), most)
    some = np.ascontiguousarray(values[rows])
    return float(sample_loss(parameters, some, parameters.sample_embedding[rows], threads).mean())
