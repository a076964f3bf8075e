"""The engine on PyTorch, on a device: right, and how fast. Eight minutes on a GPU at most.

``--small`` runs the same on small data, for a machine without a GPU: what is computed has to be
right there, too, and no speed is held to a bar.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fembed
from benchmarks import agreement, machine
from benchmarks.blockstep import BlockStep, Shape
from benchmarks.options import option
from benchmarks.report import Bar, Report, say
from benchmarks.simulate import OnSimulated, simulated_expression
from fembed import engine
from fembed.data.expression import Expression
from fembed.solvers.samples import place

Float32 = NDArray[np.float32]

#: Of the published recipe, by size of the gene embedding; a V100 had 83, .., 19 iterations/s.
RATE_BARS = {50: Bar(">=", 1500.0), 1000: Bar(">=", 500.0)}
FIT_BAR, PLACING_BAR = Bar("<=", 15.0), Bar(">=", 100_000.0)
PRODUCT_SIZE = 4096
#: The published workload: 500 passes over 1,000 profiles, four at a time.
PUBLISHED_GENES, PUBLISHED_STEPS = 60_600, 500 * 1_000 // 4


@dataclass(frozen=True, kw_only=True)
class Options(OnSimulated):
    """What is measured, and where."""

    device: str = option("auto", "the device, as for fembed --device")
    gene_components: tuple[int, ...] = option((50, 100, 250, 1000), "sizes of the gene embedding")
    new: int = option(10_000, "samples to place")
    large: tuple[int, int] = option((1_000_000, 2_000), "samples and genes of a large matrix")
    seconds: float = option(440.0, "after so many, no further part is begun")
    small: bool = option(False, "small data, and no bars for speed")

    def resized(self) -> Options:
        """With ``--small``, sizes for a processor, and no result file among the others."""
        if not self.small:
            return self
        output = self.output or Path(tempfile.gettempdir()) / "fembed-gpu-small.json"
        sizes: dict[str, Any] = {"samples": 300, "genes": 400, "new": 200, "large": (3_000, 200)}
        return replace(self, **sizes, gene_components=(50,), output=output)


def run(options: Options) -> int:
    """Measure, print and write; the exit status."""
    options = options.resized()
    report = Report("gpu", options)
    with engine.using("torch", options.device):
        measured = Measured(options, report)
        parts: dict[str, Callable[[], None]] = {
            "agreement with the oracle": lambda: agreement.with_the_oracle(report, options.seed),
            "the curve of the loss": lambda: agreement.of_curves(report, options.threads),
            "steps of the published recipe": measured.published,
            "steps of the fast recipe": measured.fast,
            "a whole fit": measured.fit_and_place,
            "the published workload": measured.workload,
            "a large matrix": measured.large,
        }
        for name, part in parts.items():
            if report.clock.seconds > options.seconds:
                report.add(name, None, note=f"begun only within {options.seconds:.0f} s")
                continue
            say(f"{name} ...")
            part()
        measured.memory()
    return report.finish()


class Measured:
    """The parts of the benchmark, on the engine that is chosen."""

    def __init__(self, options: Options, report: Report) -> None:
        import torch

        self._options, self._report, self._torch = options, report, torch
        self._name = engine.chosen().describe()
        self._on_gpu = "cuda" in self._name and not options.small
        report.measures["engine"] = self._name
        report.add("device", float(torch.cuda.device_count()), note=self._name, digits=0)
        self._values = options.simulated()

    def _add(self, what: str, value: float, bar: Bar | None = None, **details: Any) -> None:
        """A speed: a processor is held to no bar."""
        self._report.add(what, value, bar if self._on_gpu else None, **details)

    def published(self) -> None:
        """Whole profiles, four at a time, every row of every parameter moved."""
        for size in self._options.gene_components:
            shape = self._published(self._options.genes, size)
            what = f"4 x {self._options.genes:,}, gene embedding {size:,}"
            self._steps(what, self._values, shape, RATE_BARS.get(size))

    def fast(self) -> None:
        """Blocks of the fast recipe, and the share that they have of a product's speed."""
        product = self._product()
        for m, g in ((32, 128), (64, 256)):
            shape = Shape(min(m, self._options.samples), min(g, self._options.genes))
            seconds = self._steps(f"{m} x {g}", self._values, shape, None)
            share = shape.flops / seconds / product
            self._add(f"{m} x {g}: arithmetic / product", share, digits=4)

    def fit_and_place(self) -> None:
        """``fembed.fit`` from data in memory; then new samples, by the engine and as a whole."""
        few = {"iterations": 200} if self._options.small else {}
        model, seconds = _timed(
            lambda: fembed.fit(
                Expression.from_array(self._values),
                transform="none",
                n_threads=self._options.threads,
                **few,
            )
        )
        note = f"{model.training['steps']:,} steps, mse {model.training['mse']:.3g}"
        self._add(f"fit of {_size(self._values)}", seconds, FIT_BAR, unit="s", note=note)
        rng = np.random.default_rng(self._options.seed + 1)
        new = self._values[rng.integers(len(self._values), size=self._options.new)]
        new += 0.3 * rng.standard_normal(new.shape, np.float32)
        threads = self._options.threads
        _, seconds = _timed(lambda: place(model.parameters, new, n_threads=threads))
        minute = 60 * len(new) / seconds
        self._add("samples placed a minute", minute, PLACING_BAR, digits=0, note=_size(new))
        _, seconds = _timed(lambda: fembed.project(model, new, n_threads=threads))
        note = "with covariances and p-values, on the processor"
        self._add("samples projected a minute", 60 * len(new) / seconds, digits=0, note=note)

    def workload(self) -> None:
        """500 passes over 1,000 x 60,600, which took 72 hours: from the time of a step."""
        genes = 2_000 if self._options.small else PUBLISHED_GENES
        values = simulated_expression(1_000, genes, seed=self._options.seed)
        seconds = self._steps(f"4 x {genes:,}", values, self._published(genes, 50), None)
        hours = PUBLISHED_STEPS * seconds / 3600
        note = f"{PUBLISHED_STEPS:,} steps; computed from the time of one"
        self._add(f"500 epochs of 1,000 x {genes:,}", hours, unit="h", note=note)

    def large(self) -> None:
        """Steps on a matrix that is sent block by block."""
        n_samples, n_genes = self._options.large
        some = simulated_expression(min(n_samples, 4_096), n_genes, seed=self._options.seed)
        values = np.resize(some, (n_samples, n_genes))
        self._steps(f"{_size(values)}, 32 x 128", values, Shape(32, 128), None)

    def memory(self) -> None:
        """The highest that this process had."""
        note = "of this process, with all matrices that it had"
        self._add("memory, processor", machine.peak_bytes() / 1e9, unit="GB", note=note)
        if "cuda" in self._name:
            peak = self._torch.cuda.max_memory_allocated()
            self._add("memory, device", peak / 1e9, unit="GB")

    def _steps(self, what: str, values: Float32, shape: Shape, bar: Bar | None) -> float:
        """Report the rate of steps; the seconds of one."""
        step = BlockStep(values, shape, n_threads=self._options.threads)
        pilot = step.seconds_per_step(4)
        seconds = step.seconds_per_step(max(4, round((1 if self._options.small else 5) / pilot)))
        note = f"{shape.n_pairs / seconds / 1e6:.3g} M pairs/s"
        self._add(what, 1 / seconds, bar, unit="it/s", digits=0, note=note)
        return seconds

    def _product(self) -> float:
        """FLOP/s of a float32 product on the device."""
        size = 512 if self._options.small else PRODUCT_SIZE
        device = self._name.split(" on ")[1].split(" ")[0].rstrip(",")
        a = self._torch.rand(size, size, device=device)

        def products(number: int) -> float:
            for _ in range(number):
                b = a @ a
            return float(b[0, 0])  # waits for the device

        products(3)
        _, seconds = _timed(lambda: products(20))
        rate = 20 * 2 * size**3 / seconds
        self._add(f"product {size}^2", rate / 1e12, unit="TFLOP/s", note="float32, no TF32")
        return rate

    @staticmethod
    def _published(genes: int, gene_components: int) -> Shape:
        return Shape(4, genes, gene_components=gene_components, linear=False, lazy=False)


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    begin = time.perf_counter()
    found = call()
    return found, time.perf_counter() - begin


def _size(values: Float32) -> str:
    return " x ".join(f"{n:,}" for n in values.shape)
