"""Speed of the block step: against OpenBLAS, and against the plain autograd model in PyTorch."""

from __future__ import annotations

import importlib.util
import os
import statistics
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks import hardware
from benchmarks.blockstep import HIDDEN, BlockStep, Shape
from benchmarks.flops import pair_flops, product_flops
from benchmarks.memory import peak_bytes
from benchmarks.process import Worker
from benchmarks.report import Bar, Report
from benchmarks.simulate import simulated_expression
from benchmarks.timing import interleaved, ratio_of_medians, steps_for
from fembed import engine

PRODUCT_SIZE = 3072
PRODUCT_BAR = Bar(">=", 0.70)
TORCH_BAR = Bar(">=", 10.0)
BLOCKS = {"64 x 256": Shape(64, 256), "32 x 128": Shape(32, 128)}
PROFILES, RATE = 4, 5e-3  # the thesis chapter's minibatch and learning rate
SECONDS_A_REPEAT = 0.3  # about one product's time: long against the clock, short against drift
SECONDS_A_TORCH_REPEAT = 1.5
INSTALL_TORCH = "PyTorch is not installed: pip install torch==2.13.0"


@dataclass(frozen=True)
class KernelOptions:
    """What is measured; the defaults are those of the bars."""

    n_samples: int = 10_344
    n_genes: int = 19_962
    threads: int = 2
    repeats: int = 15
    torch_repeats: int = 5
    gene_components: tuple[int, ...] = (100, 1000)
    every_isa: bool = False
    seed: int = 0


def run(options: KernelOptions, output: Path | None = None) -> int:
    """Measure, print and write; the exit status."""
    if "OPENBLAS_CORETYPE" in os.environ:
        print(
            "OPENBLAS_CORETYPE is set, so OpenBLAS may not use its best kernel for this "
            "processor; unset it and start again."
        )
        return 2
    report = Report("kernel", options.threads, vars(options))
    against_product(options, report)
    against_torch(options, report)
    return report.finish(output)


def openblas() -> dict[str, Any] | None:
    """The OpenBLAS that numpy uses in this process, as threadpoolctl describes it."""
    for pool in hardware.thread_pools():
        if pool["internal_api"] == "openblas" and "numpy" in pool["filepath"]:
            return pool
    found = [pool for pool in hardware.thread_pools() if pool["internal_api"] == "openblas"]
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


def against_product(options: KernelOptions, report: Report) -> None:
    """FLOP/s of a step's pairs over those of OpenBLAS' product, interleaved in this process."""
    blas = openblas()
    values = simulated_expression(options.n_samples, options.n_genes, seed=options.seed)
    product = Product(options.threads)
    report.measures["openblas"] = blas
    report.measures["flops_per_pair"] = pair_flops(HIDDEN)
    report.measures["product_size"] = PRODUCT_SIZE
    for name, shape in BLOCKS.items():
        for isa in engine.ISAS if options.every_isa else engine.ISAS[:1]:
            step = BlockStep(values, shape, n_threads=options.threads, isa=isa)
            n_steps = steps_for(SECONDS_A_REPEAT, step.seconds_per_step)
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
            barred = isa == engine.ISAS[0]
            _report_step(report, f"{name}, {isa}", shape, seconds, blas, barred)


def _report_step(
    report: Report,
    name: str,
    shape: Shape,
    seconds: dict[str, list[float]],
    blas: dict[str, Any] | None,
    barred: bool,
) -> None:
    step, product = (statistics.median(seconds[side]) for side in ("step", "product"))
    product_rate = product_flops(PRODUCT_SIZE) / product
    ratio: float | None = shape.flops / step / product_rate
    note = f"OpenBLAS {blas['version']}, kernel {blas['architecture']}" if blas else ""
    if blas is None:
        ratio, note = None, "numpy does not use OpenBLAS here"
    report.add(f"step {name}: speed", shape.n_pairs / step / 1e6, unit="M pairs/s")
    report.add(
        f"step {name}: arithmetic",
        shape.flops / step / 1e9,
        unit="GFLOP/s",
        digits=1,
        note=f"{pair_flops(shape.hidden) / 1e3:.1f} kFLOP a pair; with the gene part "
        f"{shape.flops_with_genes / step / 1e9:.1f}",
    )
    report.add(
        f"product {PRODUCT_SIZE}^2, interleaved", product_rate / 1e9, unit="GFLOP/s", digits=1
    )
    bar = PRODUCT_BAR if barred else None
    report.add(f"step {name} / product", ratio, bar, digits=3, note=note)


def against_torch(options: KernelOptions, report: Report) -> None:
    """Iterations a second at 4 whole profiles, each side in a process of its own, in turn."""
    for gene_components in options.gene_components:
        what = f"4 x {options.n_genes:,}, gene embedding {gene_components:,}"
        if importlib.util.find_spec("torch") is None:
            report.add(f"{what}: fembed / PyTorch", None, TORCH_BAR, note=INSTALL_TORCH)
            continue
        arguments = (options, gene_components)
        with Worker(_EngineSide, *arguments) as ours, Worker(_TorchSide, *arguments) as theirs:
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

    n_steps = {name: steps_for(SECONDS_A_TORCH_REPEAT, partial(ask, name)) for name in sides}
    for given in answers.values():
        given.clear()
    interleaved({name: partial(ask, name, n_steps[name]) for name in sides}, repeats)
    return answers


class _Side:
    """Whole profiles through one of the two models, in a worker."""

    def __init__(self, options: KernelOptions, gene_components: int) -> None:
        self.options, self.gene_components = options, gene_components
        self.values = simulated_expression(options.n_samples, options.n_genes, seed=options.seed)

    def __call__(self, n_steps: int) -> dict[str, float]:
        seconds, loss = self.steps(n_steps)
        return {
            "n_steps": n_steps,
            "seconds_per_step": seconds,
            "loss": loss,
            "peak_bytes": peak_bytes(),
        }

    def steps(self, n_steps: int) -> tuple[float, float]:
        raise NotImplementedError


class _EngineSide(_Side):
    def __init__(self, options: KernelOptions, gene_components: int) -> None:
        super().__init__(options, gene_components)
        shape = Shape(
            PROFILES, options.n_genes, gene_components=gene_components, linear=False, lazy=False
        )
        self.step = BlockStep(self.values, shape, n_threads=options.threads, rate=RATE)

    def steps(self, n_steps: int) -> tuple[float, float]:
        return self.step.seconds_per_step(n_steps), self.step.loss


class _TorchSide(_Side):
    def __init__(self, options: KernelOptions, gene_components: int) -> None:
        super().__init__(options, gene_components)
        from benchmarks.adapters.torch_plain import PlainTorch  # PyTorch may be absent

        self.model = PlainTorch(
            self.values,
            n_components=2,
            gene_components=gene_components,
            hidden=HIDDEN,
            batch_samples=PROFILES,
            learning_rate=RATE,
            n_threads=options.threads,
        )

    def steps(self, n_steps: int) -> tuple[float, float]:
        return self.model.seconds_per_step(n_steps)
