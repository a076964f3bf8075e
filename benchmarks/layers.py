"""Weights of layers: some genes of a data set taken for a layer of their own, in other units.

The genes are drawn at random, or are those that have most in common beside the eight leading
principal components (``own``). Weights are found on the training samples, by one of these rules:

- ``entry``: an entry of either layer has the same variance;
- ``total``: the layers have the same total variance;
- ``first``: the same largest singular value (multiple factor analysis, Escofier & Pages 1994);
- ``half``: the geometric mean of the weights of ``entry`` and ``total``;
- ``none``: no weights, with the small layer in units ten times smaller or larger.

Held-out samples are placed by both layers and by either, and each layer is imputed from the other.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsClassifier

from benchmarks import cohorts
from benchmarks.adapters import Float32, MeanFilling
from benchmarks.cohorts import Fold, Labelled
from benchmarks.options import option
from benchmarks.report import Report, say, table
from fembed import Expression, fit, impute, project

#: Beside so many components the genes of ``own`` vary together.
OWN_BESIDE = 8
#: By rule: the units of the small layer that it is tried in. Other rules do not depend on units.
UNITS = {"none": (10.0, 0.1)}


@dataclass(frozen=True, kw_only=True)
class Options(cohorts.OnData):
    """What is measured."""

    dims: tuple[int, ...] = option((2, 8), "dimensions of the map")
    genes: tuple[str, ...] = option(("random", "own"), "which genes are the small layer")
    rules: tuple[str, ...] = option(("entry", "half", "total", "first", "none"), "of weights")
    size: int = option(200, "genes of the small layer")
    folds: int = option(1, "of the five, the first so many")


@dataclass(frozen=True)
class Found:
    """One rule on one fold.

    ``left`` is what a sample's place by both layers leaves of the variance of the large and of the
    small layer; ``imputed`` what is left of each by imputation from the other. ``knn`` is the
    accuracy of labels by five neighbours, placed by both layers, by the large, and by the small.
    """

    genes: str
    dims: int
    rule: str
    fold: int
    weight: float
    left: tuple[float, float]
    imputed: tuple[float, float]
    knn: tuple[float, float, float]


def run(options: Options) -> int:
    """Measure, print and write; the exit status."""
    data, report, found = options.read(), Report("layers", options), []
    for fold, rows in enumerate(data.folds()[: options.folds]):
        for genes in options.genes:
            for d in options.dims:
                for rule in options.rules:
                    for unit in UNITS.get(rule, (1.0,)):
                        found.append(_one(options, data, fold, rows, genes, d, rule, unit))
                        say(str(found[-1]))
    report.measures["found"] = [asdict(one) for one in found]
    lines = [
        (one.genes, str(one.dims), one.rule, f"{one.weight:.3g}",
         *(f"{value:.3f}" for value in (*one.left, *one.imputed, *one.knn)))
        for one in found
    ]  # fmt: skip
    columns = (
        "genes", "dims", "rule", "weight", "large left", "small left",
        "large imputed", "small imputed", "kNN-5", "by the large", "by the small",
    )  # fmt: skip
    report.tables.append(table("two layers", columns, lines))
    return report.finish()


@dataclass(frozen=True)
class _Weighed:
    """All samples, genes that are missing filled, and the genes of either layer."""

    data: Labelled
    values: Float32
    large: NDArray[np.intp]
    small: NDArray[np.intp]

    def part(self, rows: NDArray[np.int64], genes: NDArray[np.intp]) -> Expression:
        assert self.data.names is not None
        values = np.ascontiguousarray(self.values[rows][:, genes])
        return Expression.adopt(values, self.data.names[0][rows], self.data.names[1][genes])


def _one(
    options: Options,
    data: Labelled,
    fold: int,
    rows: Fold,
    genes: str,
    d: int,
    rule: str,
    unit: float,
) -> Found:
    train, test = rows
    filled = MeanFilling(data.values[train])(data.values)
    small = _chosen(filled[train], genes, options.size, fold)
    large = np.setdiff1d(np.arange(filled.shape[1]), small)
    known = filled[train]
    weight = unit if rule == "none" else _weight(known[:, large], known[:, small], rule)
    filled[:, small] *= np.float32(weight)
    both, everything = _Weighed(data, filled, large, small), np.arange(filled.shape[1])
    settings = {"n_components": d, "seed": fold, "n_threads": options.threads}
    model = fit(both.part(train, everything), transform="none", **settings)
    neighbours = KNeighborsClassifier(5).fit(model.sample_embedding, data.labels[train])
    places = [
        project(model, both.part(test, columns), n_threads=options.threads).sample_embedding
        for columns in (everything, large, small)
    ]
    knn = [float(neighbours.score(placed, data.labels[test])) for placed in places]
    decoded, mean = model.decode(places[0]), filled[train].mean(axis=0)

    def left(predicted: Float32, columns: NDArray[np.intp]) -> float:
        residual, spread = filled[test] - predicted, filled[test] - mean
        return float(np.square(residual[:, columns]).sum() / np.square(spread[:, columns]).sum())

    imputed = [
        left(impute(model, both.part(test, given), n_threads=options.threads).values, wanted)
        for given, wanted in ((small, large), (large, small))
    ]
    return Found(
        genes=genes,
        dims=d,
        rule=rule,
        fold=fold,
        weight=weight,
        left=(left(decoded, large), left(decoded, small)),
        imputed=(imputed[0], imputed[1]),
        knn=(knn[0], knn[1], knn[2]),
    )


def _chosen(known: Float32, genes: str, size: int, seed: int) -> NDArray[np.intp]:
    """The genes of the small layer."""
    if genes == "random":
        return np.sort(np.random.default_rng(seed).choice(known.shape[1], size, replace=False))
    centred = known - known.mean(axis=0)
    right = np.linalg.svd(centred, full_matrices=False)[2]
    return np.sort(np.argsort(-np.abs(right[OWN_BESIDE]))[:size])


def _weight(large: Float32, small: Float32, rule: str) -> float:
    """The small layer's weight, where the large one's is 1."""

    def sizes(layer: Float32) -> dict[str, float]:
        centred = (layer - layer.mean(axis=0)).astype(np.float64)
        entry, total = np.square(centred).mean(), np.square(centred).sum() / len(centred)
        first = np.linalg.eigvalsh(centred @ centred.T)[-1] / len(centred)
        return {"entry": entry, "total": total, "first": first, "half": np.sqrt(entry * total)}

    return float(np.sqrt(sizes(large)[rule] / sizes(small)[rule]))
