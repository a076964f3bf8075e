"""Missing entries in training: the error of entries taken away at random, against their share.

The data's own missing entries (944 in tcga_11_cohorts) stay missing for everybody; of the others a
share is taken away, and every way to factorise what is left is judged by those. The rivals: PCA
with the genes' means in the holes, and a linear factorisation that leaves holes out of its loss
(alternating least squares with biases, by cmfrec), whose penalty is the best of several on the
judged entries themselves, which favours it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from benchmarks import cohorts
from benchmarks.adapters import Float32, MeanFilling
from benchmarks.adapters.factorized import Factorized
from benchmarks.estimates import means
from benchmarks.options import option, repeats_option
from benchmarks.report import Bar, Report, say, table

PENALTIES = (1.0, 10.0, 100.0)
INSTALL_CMFREC = "cmfrec is not installed: pip install cmfrec"
PCA_WAY, ALS_WAY = "PCA, means in the holes", "masked ALS"


@dataclass(frozen=True, kw_only=True)
class Options(cohorts.OnData):
    """What is measured."""

    dims: tuple[int, ...] = option((2, 8), "dimensions of the map")
    percents: tuple[int, ...] = option((1, 5, 10, 25, 50), "of the entries, taken away")
    repeats: int = repeats_option(3, "entries are drawn at each share")


@dataclass(frozen=True)
class Found:
    """Mean squared error of the entries taken away."""

    way: str
    n_components: int
    percent: int
    draw: int
    error: float


def run(options: Options) -> int:
    """Measure, print and write; the exit status."""
    values = options.read().values
    report = Report("masked", options)
    n_missing = int(np.isnan(values).sum())
    report.measures["missing_in_the_data"] = n_missing
    found: list[Found] = []
    for percent in options.percents:
        for draw in range(options.repeats):
            judged = taken_away(values, percent / 100, draw)
            left = np.where(judged, np.float32(np.nan), values)
            for d in options.dims:
                for way, expected in _expected(left, values, judged, d, draw, options.threads):
                    error = _error(expected, values, judged)
                    found.append(Found(way, d, percent, draw, error))
                    say(f"{percent} % draw {draw} {way} {d}-D: {error:.4f}")
    report.measures["found"] = [asdict(one) for one in found]
    add_checks(report, found, options)
    errors = _means(found)
    rows = [
        (way, str(d), *(f"{errors[way, d, percent]:.4f}" for percent in options.percents))
        for way, d in dict.fromkeys((one.way, one.n_components) for one in found)
    ]
    title = f"error of entries taken away ({n_missing:,} more are missing in the data)"
    headings = ("way", "d", *(f"{percent} %" for percent in options.percents))
    report.tables.append(table(title, headings, rows))
    return report.finish()


def taken_away(values: Float32, share: float, seed: int) -> NDArray[np.bool_]:
    """A random share of the observed entries; every gene and every sample keeps some."""
    random = np.random.default_rng((seed, round(1000 * share)))
    judged = (random.random(values.shape) < share) & ~np.isnan(values)
    kept = ~judged & ~np.isnan(values)
    judged[:, ~kept.any(axis=0)] = False
    judged[~kept.any(axis=1)] = False
    return judged


def _expected(
    left: Float32,
    values: Float32,
    judged: NDArray[np.bool_],
    d: int,
    seed: int,
    threads: int,
) -> Iterator[tuple[str, NDArray[Any]]]:
    rival = Factorized(d, seed, threads)
    rival.fit(left)
    yield "fembed", rival.model.decode(rival.model.sample_embedding, n_threads=threads)
    filled = MeanFilling(left)(left)
    pca = PCA(d, svd_solver="full").fit(filled)
    yield PCA_WAY, pca.inverse_transform(pca.transform(filled))
    if importlib.util.find_spec("cmfrec") is not None:
        fits = [_alternating(left, d, seed, threads, penalty) for penalty in PENALTIES]
        yield ALS_WAY, min(fits, key=lambda fit: _error(fit, values, judged))


def _alternating(left: Float32, d: int, seed: int, threads: int, penalty: float) -> NDArray[Any]:
    from cmfrec import CMF  # type: ignore[import-not-found, import-untyped, unused-ignore]

    model = CMF(
        k=d,
        lambda_=penalty,
        method="als",
        use_cg=False,
        niter=10,
        use_float=True,
        random_state=seed,
        nthreads=threads,
        verbose=False,
    ).fit(left)
    product: NDArray[Any] = model.A_ @ model.B_.T
    product += model.user_bias_[:, None] + model.item_bias_ + model.glob_mean_
    return product


def _error(expected: NDArray[Any], values: Float32, judged: NDArray[np.bool_]) -> float:
    return float(np.square(expected - values, dtype=np.float64)[judged].mean())


def _means(found: list[Found]) -> dict[tuple[str, int, int], float]:
    return means(found, lambda one: (one.way, one.n_components, one.percent), lambda one: one.error)


def add_checks(report: Report, found: list[Found], options: Options) -> None:
    """Fembed below each rival at every share."""
    errors = _means(found)
    for d in options.dims:
        for percent in options.percents:
            ours = errors["fembed", d, percent]
            for way in (PCA_WAY, ALS_WAY):
                what = f"{d}-D, {percent} % taken away: error over that of {way}"
                theirs = errors.get((way, d, percent))
                ratio = None if theirs is None else ours / theirs
                note = INSTALL_CMFREC if theirs is None else f"{ours:.4f} and {theirs:.4f}"
                report.add(what, ratio, Bar("<=", 1.0), digits=3, note=note)
