"""Maps of several batches: what is left of the batches in them, and whether the kinds stay apart.

All samples make the map. The label of a sample is told from its five nearest ones, its batch from
fifteen, each by samples of other folds: a map without batches tells the label as well as ever, and
the batch no better than its share. Where some kinds are in a few of the batches only, the batch is
told among the kinds that all have, and the others must stay apart from these. Rivals, on the same
logarithms: PCA, PCA after ComBat (scanpy's), and PCA after the mean of each batch is subtracted. In
maps with shuffled batches, nothing may be lost that the map without batches has.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from benchmarks.options import Common, option, seed_option
from benchmarks.report import Bar, Report, say, table
from fembed import InputError, fit
from fembed.data import readers

Float32 = NDArray[np.float32]
Texts = NDArray[np.str_]

OURS, UNCORRECTED, SHUFFLED = "fembed, batch", "fembed", "fembed, shuffled batch"
#: How much of the label a shuffled batch may cost.
COST_OF_SHUFFLED = 0.01


@dataclass(frozen=True)
class Several:
    """A data set of several batches, and what its maps are to reach (8 dimensions and fewer)."""

    label: str
    batch: str
    counts: bool
    bar_label: float
    bar_batch: float
    bar_own: float | None = None


DATA_SETS = {
    "sc_cellbench_5batch": Several("cell_line", "batch", True, 0.99, 0.42, 0.98),
    "bulk_stemcells_4study": Several("celltype", "study", False, 0.82, 0.66),
}


@dataclass(frozen=True, kw_only=True)
class Options(Common):
    """What is measured."""

    data: tuple[str, ...] = option(tuple(DATA_SETS), "data sets", among=tuple(DATA_SETS))
    dims: tuple[int, ...] = option((2, 8), "dimensions of the map")
    seed: int = seed_option()


@dataclass(frozen=True)
class Joint:
    """The samples of a data set."""

    values: Float32
    label: Texts
    batch: Texts

    @property
    def shared(self) -> NDArray[np.bool_]:
        """Samples whose label all batches have."""
        n_batches = len(np.unique(self.batch))
        there = {label: len(set(self.batch[self.label == label])) for label in set(self.label)}
        return np.array([there[label] == n_batches for label in self.label], bool)


@dataclass(frozen=True)
class Told:
    """How often neighbours in a map tell the label, the batch, and the label of unshared kinds."""

    label: float
    batch: float
    own: float | None


def run(options: Options) -> int:
    """Measure, print and write; the exit status."""
    report = Report("batches", options)
    for name in options.data:
        about, samples = DATA_SETS[name], _read(options, name)
        report.measures[name] = {}
        for d in options.dims:
            found: dict[str, Told | None] = {}
            for way, places in _maps(options, samples, d):
                found[way] = None if places is None else _told(samples, places, options.seed)
                say(f"{name}, {d}-D, {way}: {found[way]}")
            _add(report, about, f"{name}, {d}-D", found)
            report.measures[name][d] = {way: told and vars(told) for way, told in found.items()}
    return report.finish()


def _read(options: Options, name: str) -> Joint:
    path = options.folder / f"{name}.h5ad"
    if not path.exists():
        raise InputError(f"{path} is not there; choose --data of {', '.join(DATA_SETS)}.")
    about, data = DATA_SETS[name], readers.read(path)
    values = data.values
    if about.counts:
        values = np.log10(values / values.sum(axis=1, keepdims=True) * 1e6 + np.float32(1))
    label, batch = (data.labels(column).astype(str) for column in (about.label, about.batch))
    return Joint(np.ascontiguousarray(values, np.float32), label, batch)


def _maps(options: Options, samples: Joint, d: int) -> Iterator[tuple[str, Float32 | None]]:
    """By way: the places, or None if it is not installed."""
    shuffled = np.random.default_rng(options.seed).permutation(samples.batch)
    for way, batch in ((OURS, samples.batch), (UNCORRECTED, None), (SHUFFLED, shuffled)):
        model = fit(
            samples.values,
            transform="none",
            batch=None if batch is None else {"batch": batch},
            n_components=d,
            seed=options.seed,
            n_threads=options.threads,
            calibrate=False,
            verbose=False,
        )
        yield way, np.asarray(model.sample_embedding)
    corrections: dict[str, Callable[[Joint], Float32] | None] = {
        "PCA": lambda joint: joint.values,
        "means of batches + PCA": _centred,
        "ComBat + PCA": _combat if importlib.util.find_spec("scanpy") else None,
    }
    for way, correct in corrections.items():
        if correct is None:
            yield way, None
        else:
            yield way, PCA(d, random_state=options.seed).fit_transform(correct(samples))


def _centred(samples: Joint) -> Float32:
    values = samples.values.copy()
    for batch in np.unique(samples.batch):
        rows = samples.batch == batch
        values[rows] -= values[rows].mean(axis=0)
    return values


def _combat(samples: Joint) -> Float32:
    import pandas as pd
    import scanpy
    from anndata import AnnData

    names = pd.Index([f"s{k}" for k in range(len(samples.values))])
    varying = samples.values.var(axis=0) > 0
    adata = AnnData(samples.values[:, varying].astype(float))
    adata.obs = pd.DataFrame({"batch": pd.Categorical(samples.batch)}, names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of genes that are constant in a batch
        found = scanpy.pp.combat(adata, key="batch", inplace=False)
    return np.nan_to_num(np.asarray(found, np.float32))


def _told(samples: Joint, places: Float32, seed: int) -> Told:
    shared = samples.shared
    right = _predicted(places, samples.label, 5, seed) == samples.label
    batch = samples.batch[shared]
    return Told(
        float(right.mean()),
        float((_predicted(places[shared], batch, 15, seed) == batch).mean()),
        None if shared.all() else float(right[~shared].mean()),
    )


def _predicted(places: Float32, labels: Texts, neighbours: int, seed: int) -> Texts:
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    nearest = KNeighborsClassifier(neighbours)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of labels that a fold lacks
        return np.asarray(cross_val_predict(nearest, places, labels, cv=folds))


def _add(report: Report, about: Several, where: str, found: dict[str, Told | None]) -> None:
    ours, uncorrected, shuffled = (found[way] for way in (OURS, UNCORRECTED, SHUFFLED))
    assert ours is not None and uncorrected is not None and shuffled is not None
    how = {"digits": 3}
    report.add(f"{where}: label", ours.label, Bar(">=", about.bar_label), **how)
    report.add(f"{where}: batch", ours.batch, Bar("<=", about.bar_batch), **how)
    if ours.own is not None and about.bar_own is not None:
        what = f"{where}: label of kinds that some batches lack"
        report.add(what, ours.own, Bar(">=", about.bar_own), **how)
    least = uncorrected.label - COST_OF_SHUFFLED
    report.add(f"{where}: label, batches shuffled", shuffled.label, Bar(">=", least), **how)
    lines = [
        (way, *("-" if value is None else f"{value:.3f}" for value in vars(told).values()))
        if told is not None
        else (way, "SKIPPED", "", "")
        for way, told in found.items()
    ]
    headings = ("way", "label", "batch", "kinds that some batches lack")
    report.tables.append(table(where, headings, lines, left=("way",)))
