"""Speed of the block step: against OpenBLAS, and against the plain autograd model in PyTorch."""

from __future__ import annotations

import importlib.util
import os
import statistics
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks import machine
from benchmarks.blockstep import HIDDEN, BlockStep, Shape, pair_flops, product_flops
from benchmarks.options import option, repeats_option
from benchmarks.process import Worker
from benchmarks.report import Bar, Report
from benchmarks.simulate import OnSimulated
from benchmarks.timing import interleaved, ratio_of_medians, steps_for
from fembed import InputError, engine

PRODUCT_SIZE = 3072
PRODUCT_BAR = Bar(">=", 0.70)
TORCH_BAR = Bar(">=", 10.0)
BLOCKS = {"64 x 256": Shape(64, 256), "32 x 128": Shape(32, 128)}
PROFILES, RATE = 4, 5e-3  # the thesis chapter's minibatch and learning rate
SECONDS_PER_REPEAT = 0.3  # about one product's time: long against the clock, short against drift
SECONDS_PER_TORCH_REPEAT = 1.5
INSTALL_TORCH = "PyTorch is not installed: pip install torch==2.13.0"


@dataclass(frozen=True, kw_only=True)
class Options(OnSimulated):
    """What is measured; the defaults are those of the bars."""

    repeats: int = repeats_option(15, "step and product are timed")
    torch_repeats: int = option(5, "how often fembed and PyTorch are timed")
    gene_components: tuple[int, ...] = option(
        (100, 1000), "gene embeddings at which PyTorch is the rival"
    )


def run(options: Options) -> int:
    """Measure, print and write; the exit status."""
    if "OPENBLAS_CORETYPE" in os.environ:
        raise InputError(
            "OPENBLAS_CORETYPE is set, so OpenBLAS may not use its best kernel for this "
            "processor; unset it and start again."
        )
    report = Report("kernel", options)
    against_product(options, report)
    against_torch(options, report)
    return report.finish()


def openblas() -> dict[str, Any] | None:
    """The OpenBLAS of this process, numpy's if there are several, as threadpoolctl tells it."""
    found = [pool for pool in machine.thread_pools() if pool["internal_api"] == "openblas"]
    found.sort(key=lambda pool: "numpy" not in pool["filepath"])
    return found[0] if found else None


class Product:
    """OpenBLAS' float32 product of two square matrices, through numpy."""

    def __init__(self, n_threads: int) -> None:
        rng = np.random.default_rng(0)
        self._n_threads = n_threads
        self._a, self._b, self._out = (
            rng.random((PRODUCT_SIZE, PRODUCT_SIZE), dtype=np.float32) for _ in range(3)
        )

    def seconds(self) -> float:
        """Time one product, after a small one that wakes the threads."""
        with threadpool_limits(self._n_threads, user_api="blas"):
            small = self._a[:512, :512].copy()
            np.matmul(small, small)
            start = time.perf_counter()
            np.matmul(self._a, self._b, out=self._out)
            return time.perf_counter() - start


def against_product(options: Options, report: Report) -> None:
    """FLOP/s of a step's pairs over those of OpenBLAS' product, interleaved in this process."""
    blas = openblas()
    values = options.simulated()
    product = Product(options.threads)
    report.measures["openblas"] = blas
    report.measures["flops_per_pair"] = pair_flops(HIDDEN)
    report.measures["product_size"] = PRODUCT_SIZE
    isa = engine.ISAS[0]
    for name, shape in BLOCKS.items():
        step = BlockStep(values, shape, n_threads=options.threads, isa=isa)
        n_steps = steps_for(SECONDS_PER_REPEAT, step.seconds_per_step)
        seconds = interleaved(
            {"step": partial(step.seconds_per_step, n_steps), "product": product.seconds},
            options.repeats,
        )
        report.measures[f"{name} {isa}"] = seconds | {
            "n_steps": n_steps,
            "loss": step.loss,
            "flops_per_step": shape.flops,
            "flops_per_step_with_genes": shape.flops_with_genes,
        }
        _report_step(report, f"{name}, {isa}", shape, seconds)


def _report_step(report: Report, name: str, shape: Shape, seconds: dict[str, list[float]]) -> None:
    step, product = (statistics.median(seconds[side]) for side in ("step", "product"))
    product_rate, blas = product_flops(PRODUCT_SIZE) / product, report.measures["openblas"]
    report.add(f"step {name}: speed", shape.n_pairs / step / 1e6, unit="M pairs/s")
    note = f"{pair_flops(shape.hidden) / 1e3:.1f} kFLOP a pair; with the gene part "
    note += f"{shape.flops_with_genes / step / 1e9:.1f}"
    rate = shape.flops / step / 1e9
    report.add(f"step {name}: arithmetic", rate, unit="GFLOP/s", digits=1, note=note)
    what = f"product {PRODUCT_SIZE}^2, interleaved"
    report.add(what, product_rate / 1e9, unit="GFLOP/s", digits=1)
    ratio, note = None, "numpy does not use OpenBLAS here"
    if blas:
        ratio = shape.flops / step / product_rate
        note = f"OpenBLAS {blas['version']}, kernel {blas['architecture']}"
    report.add(f"step {name} / product", ratio, PRODUCT_BAR, digits=3, note=note)


def against_torch(options: Options, report: Report) -> None:
    """Iterations per second at 4 whole profiles, each side in a process of its own, in turn."""
    for gene_components in options.gene_components:
        what = f"4 x {options.genes:,}, gene embedding {gene_components:,}"
        if importlib.util.find_spec("torch") is None:
            report.add(f"{what}: fembed / PyTorch", None, TORCH_BAR, note=INSTALL_TORCH)
            continue
        arguments = (options, gene_components)
        in_torch = partial(_Side, torch=True)
        with Worker(_Side, *arguments) as ours, Worker(in_torch, *arguments) as theirs:
            answers = _alternated({"fembed": ours, "PyTorch": theirs}, options.torch_repeats)
        report.measures[f"against PyTorch, gene embedding {gene_components}"] = answers
        rates = {
            name: [1 / answer["seconds_per_step"] for answer in given]
            for name, given in answers.items()
        }
        for name, rate in rates.items():
            report.add(
                f"{what}: {name}",
                statistics.median(rate),
                unit="it/s",
                note=f"loss {answers[name][-1]['loss']:.3g}, "
                f"peak {answers[name][-1]['peak_bytes'] / 1e9:.1f} GB",
            )
        ratio = ratio_of_medians(rates["fembed"], rates["PyTorch"])
        report.add(f"{what}: fembed / PyTorch", ratio, TORCH_BAR, digits=1)


def _alternated(sides: dict[str, Worker], repeats: int) -> dict[str, list[dict[str, float]]]:
    answers: dict[str, list[dict[str, float]]] = {name: [] for name in sides}

    def ask(name: str, n_steps: int) -> float:
        answers[name].append(sides[name](n_steps))
        return answers[name][-1]["seconds_per_step"]

    n_steps = {name: steps_for(SECONDS_PER_TORCH_REPEAT, partial(ask, name)) for name in sides}
    for given in answers.values():
        given.clear()
    interleaved({name: partial(ask, name, n_steps[name]) for name in sides}, repeats)
    return answers


class _Side:
    """Whole profiles through the engine, or through the plain autograd model, in a worker."""

    def __init__(self, options: Options, gene_components: int, *, torch: bool = False) -> None:
        values, threads = options.simulated(), options.threads
        if torch:
            from benchmarks.adapters.torch_plain import PlainTorch  # PyTorch may be absent

            self._run = PlainTorch(
                values,
                n_components=2,
                gene_components=gene_components,
                hidden=HIDDEN,
                batch_samples=PROFILES,
                learning_rate=RATE,
                n_threads=threads,
            ).seconds_per_step
        else:
            shape = Shape(
                PROFILES, options.genes, gene_components=gene_components, linear=False, lazy=False
            )
            step = BlockStep(values, shape, n_threads=threads, rate=RATE)
            self._run = lambda n_steps: (step.seconds_per_step(n_steps), step.loss)

    def __call__(self, n_steps: int) -> dict[str, float]:
        seconds, loss = self._run(n_steps)
        peak = machine.peak_bytes()
        return {"n_steps": n_steps, "seconds_per_step": seconds, "loss": loss, "peak_bytes": peak}
