"""Aberrant genes: planted in new samples, and found again.

In each test sample a few genes are moved by some of their standard deviations, up or down by
chance. Every way gives each measured gene of each test sample a score, and is judged by the area
under its precision-recall curve: z-scores, the residuals of PCA at its best number of components
(chosen on the judged genes themselves, which favours it), those of a plain autoencoder, and
fembed's p-values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.metrics import average_precision_score

from benchmarks import cohorts
from benchmarks.adapters import Float32, MeanFilling
from benchmarks.cohorts import Fold, Labelled
from benchmarks.estimates import means
from benchmarks.options import option
from benchmarks.report import Bar, Report, say, table
from fembed import AberrantGenes, FitConfig, aberrant_genes, fit

PCA_COMPONENTS = (8, 16, 32, 64, 128, 200)
PCA_WAY = "PCA residuals"
#: A wide bottleneck: with two or eight numbers an autoencoder leaves more of every gene.
AUTOENCODER_COMPONENTS = 64
#: The false discovery rate at which genes are called.
RATE = 0.05


@dataclass(frozen=True, kw_only=True)
class Options(cohorts.OnData):
    """What is measured."""

    dims: tuple[int, ...] = option((2, 8), "dimensions of the map")
    sizes: tuple[float, ...] = option((3.0, 4.0, 6.0), "standard deviations that genes are moved")
    planted: int = option(10, "genes that are moved in each sample")
    folds: int = option(cohorts.N_FOLDS, "of the five, the first so many")


@dataclass(frozen=True)
class Found:
    """One way on one fold: area under the precision-recall curve."""

    way: str
    size: float
    fold: int
    area: float
    precision: float | None = None  # of the genes that are called, and recall
    recall: float | None = None


def run(options: Options) -> int:
    """Measure, print and write; the exit status."""
    data, report, found = options.read(), Report("aberrant", options), []
    for fold, rows in enumerate(data.folds()[: options.folds]):
        for one in _fold(options, data, fold, rows):
            found.append(one)
            say(f"fold {fold}, {one.size:g} deviations, {one.way}: {one.area:.3f}")
    report.measures["found"] = [asdict(one) for one in found]
    areas = means(found, lambda one: (one.way, one.size), lambda one: one.area)
    ways = list(dict.fromkeys(one.way for one in found))
    rivals = [way for way in ways if not way.startswith("fembed")]
    for size in options.sizes:
        best = max(rivals, key=lambda way: areas[way, size])
        for way in (way for way in ways if way.startswith("fembed")):
            report.add(
                f"{way}, {size:g} deviations: area over the best rival's",
                areas[way, size] / areas[best, size],
                Bar(">=", 1.0),
                digits=3,
                note=f"{areas[way, size]:.3f}; {best} {areas[best, size]:.3f}",
            )
    lines = [(way, *(f"{areas[way, size]:.3f}" for size in options.sizes)) for way in ways]
    title = "area under the precision-recall curve"
    report.tables.append(table(title, ("way", *map(str, options.sizes)), lines))
    return report.finish()


def _fold(options: Options, data: Labelled, fold: int, rows: Fold) -> Iterator[Found]:
    train, test = rows
    known = data.values[train]
    filled = MeanFilling(known)
    ways = dict(_rivals(filled(known), fold, options.threads))
    models = {
        f"fembed {d}-D": fit(
            data.part(train),
            FitConfig(n_components=d, seed=fold, n_threads=options.threads),
            transform="none",
        )
        for d in options.dims
    }
    deviation = np.nanstd(known, axis=0)
    for size in options.sizes:
        values, moved = planted(data.values[test], deviation, size, options.planted, fold)
        judged = ~np.isnan(values)
        areas = {way: _area(moved, score(filled(values)), judged) for way, score in ways.items()}
        best = max((way for way in areas if way.startswith("PCA")), key=lambda way: areas[way])
        yield Found(PCA_WAY, size, fold, areas[best])
        for way in (way for way in areas if not way.startswith("PCA")):
            yield Found(way, size, fold, areas[way])
        samples = data.part(test)
        samples.values[:] = values
        for name, model in models.items():
            found = aberrant_genes(model, samples, n_threads=options.threads)
            called = found.fdr <= RATE
            yield Found(
                name,
                size,
                fold,
                _area(moved, _surprise(found), judged),
                precision=float(moved[called].mean()) if called.any() else None,
                recall=float(called[moved].mean()),
            )


def planted(
    values: Float32, deviation: Float32, size: float, n_genes: int, seed: int
) -> tuple[Float32, NDArray[np.bool_]]:
    """Samples with so many measured genes moved by ``size`` deviations each, and which."""
    random = np.random.default_rng((seed, round(10 * size)))
    moved = np.zeros(values.shape, bool)
    for row, profile in zip(moved, values, strict=True):
        able = np.flatnonzero(~np.isnan(profile) & (deviation > 0))
        row[random.choice(able, n_genes, replace=False)] = True
    signs = random.choice(np.array([-1.0, 1.0], np.float32), size=values.shape)
    return np.where(moved, values + np.float32(size) * signs * deviation, values), moved


def _surprise(found: AberrantGenes) -> NDArray[np.float64]:
    return -np.log(np.maximum(found.p_value, np.finfo(np.float64).tiny))


def _area(moved: NDArray[np.bool_], score: NDArray[Any], judged: NDArray[np.bool_]) -> float:
    return float(average_precision_score(moved[judged], score[judged]))


def _rivals(known: Float32, seed: int, threads: int) -> Iterator[tuple[str, Any]]:
    """By name: what gives every gene of complete samples a score."""
    from benchmarks.adapters.autoencoder import Autoencoder

    mean, deviation = known.mean(axis=0), np.maximum(known.std(axis=0), 1e-6)

    def standardised(values: Float32) -> Float32:
        return (values - mean) / deviation

    yield "z-scores", lambda values: np.abs(standardised(values))
    for n_components in PCA_COMPONENTS:
        pca = PCA(n_components, random_state=seed).fit(standardised(known))

        def left(values: Float32, pca: PCA = pca) -> Float32:
            given = standardised(values)
            return np.asarray(given - pca.inverse_transform(pca.transform(given)))

        spread = np.maximum(left(known).std(axis=0), 1e-6)
        yield (
            f"PCA {n_components}",
            lambda values, left=left, spread=spread: np.abs(left(values) / spread),
        )
    network = Autoencoder(AUTOENCODER_COMPONENTS, seed, threads)
    network.fit(standardised(known))

    def missed(values: Float32) -> Float32:
        given = standardised(values)
        return np.asarray(given - network.reconstruct(given)[1])

    usual = np.maximum(missed(known).std(axis=0), 1e-6)
    yield "autoencoder residuals", lambda values: np.abs(missed(values) / usual)
