"""Loss and held-out accuracy against seconds: the published recipe, and the fast one.

Both train on the training part of one fold; held-out samples are placed by fembed's own solver in
every model, so that what differs is the training alone (the protocol measures the published
inferences). Three curves:

- the published recipe in fembed's engine: stopped at checkpoints, whose evaluation is not timed;
- the published recipe in plain PyTorch: a part of it is run, which gives its iterations per
  second and shows that its loss curve is the engine's; its seconds are then computed, the
  iterations divided by the measured iterations per second. With ``full_torch`` all of it is run
  and timed;
- fast: complete fits of rising length, each timed as a whole from data in memory to a model, the
  default fit among them. Nothing of a fit is left out of its seconds.
"""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import cohorts
from benchmarks.kernel import INSTALL_TORCH
from benchmarks.longrun import Point, checkpointed, sample_loss
from benchmarks.measures import knn_accuracy
from benchmarks.options import RESULTS, option, seed_option
from benchmarks.published_recipe import EngineRun, Thesis, TorchRun
from benchmarks.report import Bar, Report, say
from benchmarks.timing import timed_fit
from fembed import FitConfig
from fembed.parameters import Parameters
from fembed.solvers.samples import place

RATIO_BAR = Bar(">=", 100.0)
SAME_CURVE_BAR = Bar("<=", 1.0)
WINDOWS = 20  # in which the two loss curves are compared
FAST, ENGINE, TORCH = "fast", "published, our engine", "published, plain PyTorch"


@dataclass(frozen=True, kw_only=True)
class Options(cohorts.OnData):
    """What is measured; the defaults are those of the bars."""

    components: int = option(2, "dimensions of the map")
    iterations: int = option(Thesis.iterations, "of the published recipe in our engine", least=10)
    torch_iterations: int = option(1_000, "of both sides, to compare their curves and speeds")
    full_torch: bool = option(False, "all iterations in plain PyTorch too: hours")
    fast_steps: tuple[int, ...] = option(
        (100, 200, 400, 800, 1600, 3200), "lengths of the fast fits, beside the default one"
    )
    seed: int = seed_option()
    state: Path = option(RESULTS / "published-run.npz", "where a run that is stopped goes on from")


class Fold:
    """The data of the curves, and what a model is worth on them."""

    def __init__(self, options: Options) -> None:
        data = options.read()
        train, test = data.folds(seed=options.seed)[0]
        self.name = data.name
        self.train = np.ascontiguousarray(data.values[train])
        self.test = np.ascontiguousarray(data.values[test])
        self._labels = data.labels[train], data.labels[test]
        self._n_threads = options.threads
        self._n_observed = np.count_nonzero(~np.isnan(self.train), axis=1)

    def worth(self, parameters: Parameters) -> Point:
        """Training loss over all entries, and the accuracy of held-out samples."""
        positions = parameters.sample_embedding
        loss = sample_loss(parameters, self.train, positions, self._n_threads)
        return {
            "loss": float(np.average(loss, weights=self._n_observed)),
            **self.accuracy(parameters),
        }

    def accuracy(self, parameters: Parameters) -> Point:
        placed = place(parameters, self.test, n_threads=self._n_threads)
        observed = np.count_nonzero(~np.isnan(self.test), axis=1)
        train_labels, test_labels = self._labels
        return {
            "held_out_loss": float(np.average(placed.loss, weights=observed)),
            "knn": knn_accuracy(parameters.sample_embedding, train_labels, placed.u, test_labels),
        }


def run(options: Options) -> int:
    """Measure, print and write; the exit status."""
    report = Report("time_to_quality", options)
    fold = Fold(options)
    thesis = Thesis(
        n_components=options.components, seed=options.seed, iterations=options.iterations
    )
    report.measures["data"] = {"name": fold.name, "shape": list(fold.train.shape)}
    curves = {FAST: fast_curve(options, fold)}
    say("published recipe, in our engine")
    ours = EngineRun(fold.train, thesis, options.threads)
    about = {"data": fold.name, "shape": list(fold.train.shape), **vars(thesis)}
    about["threads"] = options.threads
    curves[ENGINE] = checkpointed(
        ours, fold.worth, options.iterations, keep=options.state, about=about
    )
    engine_rate = report.measures["engine iterations a second"] = ours.iterations / ours.seconds
    torch_rate = _torch_side(options, report, fold, thesis, curves)
    report.measures["curves"] = curves
    _checks(report, curves, engine_rate, torch_rate)
    return report.finish()


def fast_curve(options: Options, fold: Fold) -> list[Point]:
    """Complete fits: seconds, loss and accuracy of each; the last is the default fit."""
    curve = []
    for steps in (*options.fast_steps, None):
        config = FitConfig(
            n_components=options.components,
            iterations=steps,
            validation_fraction=None if steps is None else 0.0,  # train for as long as is asked
            seed=options.seed,
            n_threads=options.threads,
        )
        model, clock = timed_fit(fold.train, config)
        point = {
            "iterations": float(model.training["steps"]),
            "seconds": clock.seconds,
            "loss": float(model.training["mse"]),
            **fold.accuracy(model.parameters),
        }
        curve.append(point | {"default": float(steps is None)})
        say(
            f"fast, {'default' if steps is None else f'{steps} steps'}: {point['seconds']:.1f} s, "
            f"loss {point['loss']:.4f}, kNN-5 {point['knn']:.4f}"
        )
    return curve


def _torch_side(
    options: Options,
    report: Report,
    fold: Fold,
    thesis: Thesis,
    curves: dict[str, list[Point]],
) -> float | None:
    """Plain PyTorch: its curve joins ``curves``; iterations per second, None without PyTorch."""
    if importlib.util.find_spec("torch") is None:
        report.add("the same loss curve in plain PyTorch", None, SAME_CURVE_BAR, note=INSTALL_TORCH)
        return None
    say(f"published recipe, plain PyTorch: {options.torch_iterations:,} iterations of each")
    found = compare_curves(fold.train, thesis, options.torch_iterations, options.threads)
    rate = found["torch iterations a second"]
    report.measures["same curve"] = found
    report.add(
        "published recipe: engine and plain PyTorch, largest difference of the loss curves",
        100 * found["largest relative difference"],
        SAME_CURVE_BAR,
        unit="%",
        digits=3,
        note=f"same start and minibatches, {options.torch_iterations:,} iterations in "
        f"{len(found['engine'])} windows; {found['torch seconds']:.0f} s measured",
    )
    if options.full_torch:
        theirs = TorchRun(fold.train, thesis, options.threads)
        curves[TORCH] = checkpointed(theirs, fold.worth, options.iterations)
        rate, how = theirs.iterations / theirs.seconds, "measured"
    else:
        curves[TORCH] = [
            point | {"seconds": point["iterations"] / rate} for point in curves[ENGINE]
        ]
        how = "computed: iterations over the measured iterations a second; "
        how += "its losses are the engine's"
    report.measures["torch seconds are"] = how
    return float(rate)


def compare_curves(
    values: NDArray[np.float32], thesis: Thesis, iterations: int, n_threads: int
) -> dict[str, Any]:
    """Both from the same arrays on the same minibatches: mean losses in windows, and speeds."""
    ours, theirs = EngineRun(values, thesis, n_threads), TorchRun(values, thesis, n_threads)
    losses = ours.advance(iterations), theirs.advance(iterations)
    n_windows = min(WINDOWS, iterations)
    means = [np.array([part.mean() for part in np.array_split(side, n_windows)]) for side in losses]
    return {
        "iterations": iterations,
        "engine": means[0].tolist(),
        "torch": means[1].tolist(),
        "largest relative difference": float(np.max(np.abs(means[0] / means[1] - 1.0))),
        "engine iterations a second": ours.iterations / ours.seconds,
        "torch iterations a second": theirs.iterations / theirs.seconds,
        "torch seconds": theirs.seconds,
    }


def seconds_to(curve: list[Point], loss: float) -> float | None:
    """Of the first point that is not above ``loss``; None if there is none."""
    reached = [point["seconds"] for point in curve if point["loss"] <= loss]
    return min(reached) if reached else None


def _checks(
    report: Report,
    curves: dict[str, list[Point]],
    engine_rate: float,
    torch_rate: float | None,
) -> None:
    last = curves[ENGINE][-1]
    target = report.measures["target loss"] = last["loss"]
    note = f"after {last['iterations']:,.0f} iterations"
    report.add("published recipe's final training loss", target, digits=4, note=note)
    report.add("published recipe, our engine", engine_rate, unit="it/s", digits=1)
    if torch_rate is not None:
        report.add("published recipe, plain PyTorch", torch_rate, unit="it/s", digits=2)
    seconds = {name: seconds_to(curve, target) for name, curve in curves.items()}
    report.measures["seconds to target"] = seconds
    for name, found in seconds.items():
        lowest = min(point["loss"] for point in curves[name])
        note = "" if found is not None else f"never; its lowest is {lowest:.4f}"
        if name == TORCH:
            note = report.measures["torch seconds are"]
        report.add(f"time to that loss: {name}", found, unit="s", digits=1, note=note)
    for name, curve in curves.items():
        knn = curve[-1]["knn"]
        report.add(f"held-out kNN-5 at the end: {name}", knn, digits=4)
    theirs, fast = seconds.get(TORCH), seconds[FAST]
    if torch_rate is not None and fast is not None:
        whole = curves[TORCH][-1]["seconds"]
        what = "the published recipe to its end in plain PyTorch / fast to its final loss"
        note = f"{whole:,.0f} s; its loss is noisy, and was below its final one before the end"
        report.add(what, whole / fast, digits=0, note=note)
    ratio = theirs / fast if theirs is not None and fast is not None else None
    if ratio is None and torch_rate is not None:
        ratio = math.nan  # fast never got there: the bar is missed, not skipped
    report.add("time to that loss: plain PyTorch / fast", ratio, RATIO_BAR, digits=0)
