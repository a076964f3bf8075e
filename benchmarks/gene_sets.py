"""Gene vectors: how well they tell the members of gene sets, beside loadings of PCA and others.

A map of all samples is fitted in each dimension. Then the members of each set are predicted across
folds of genes by `fembed.evaluate_genes`: from the gene vectors; from loadings of principal
components of the same data, as many as the map has dimensions, and as many as a gene vector; from
genes that are expressed alike; and from gene vectors for shuffled sets. The bars are the
differences to PCA and to shuffled sets, by both ways of predicting.

The gene sets are in no package that this project needs; docs/genes.md says how to fetch some.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from benchmarks.cohorts import Labelled, OnData
from benchmarks.options import option
from benchmarks.report import Bar, Report, say, table
from fembed import FitConfig, GeneSetScores, InputError, Model, evaluate_genes, fit
from fembed.data.gene_sets import Sets, gene_sets

ABOVE = Bar(">", 0.0)
#: PCA loadings whose R2 is shown as one mean.
TOGETHER = 10
MEASURES = {"knn_auc": "kNN", "linear_auc": "linear"}


@dataclass(frozen=True, kw_only=True)
class Options(OnData):
    """What is measured; the bars are for the default data."""

    sets: Path | None = option(None, "a .gmt file of gene sets")
    prefix: str = option("", "only sets whose names begin so, such as REACTOME_")
    dims: tuple[int, ...] = option((2, 8, 32), "dimensions of the map")
    gene_components: int = option(50, "dimensions of the gene vectors")
    seed: int = option(0, "of fits and of folds", least=0)


def run(options: Options) -> int:
    """Measure, print and write; the exit status."""
    sets = _chosen(options)
    data, report = options.read(), Report("gene-sets", options)
    for d in options.dims:
        model, scores = _of_map(options, data, sets, d)
        summary = scores.summary()
        lines = [_line(row) for row in summary.to_dict("records")]
        what = f"{d}-D map, {summary['n_sets'].iloc[0]} sets"
        headings = ("method", "AUC, kNN", "AUC, linear")
        report.tables.append(table(what, headings, lines, left=("method",)))
        for row in scores.differences().to_dict("records"):
            judged = row["baseline"].startswith(("PCA", "shuffled"))
            report.add(
                f"{d}-D, {MEASURES[row['measure']]}: gene vectors less {row['baseline']}",
                row["difference"],
                ABOVE if judged else None,
                digits=3,
                note=f"± {row['standard_error']:.3f}",
            )
        kept = _kept(model, data)
        for first in range(0, len(kept), TOGETHER):
            some = kept[first : first + TOGETHER]
            what = f"{d}-D: R2 of PCA loadings {first + 1} to {first + len(some)}, by gene vectors"
            report.add(what, float(some.mean()), digits=2)
        report.measures[f"{d}-D"] = summary.to_dict("records")
    return report.finish()


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    """A method with its areas; a dash for one that it lacks."""
    areas = [(row[name], row[f"{name}_se"]) for name in MEASURES]
    return str(row["method"]), *("-" if a != a else f"{a:.3f} ± {e:.3f}" for a, e in areas)


def _kept(model: Model, data: Labelled) -> NDArray[np.float64]:
    """How much of each PCA loading of the data a linear function of the gene vectors explains."""
    filled = np.where(np.isnan(data.values), np.nanmean(data.values, axis=0), data.values)
    size = min(model.gene_components, *filled.shape)
    loadings = PCA(size, random_state=0).fit(filled).components_.T
    loadings -= loadings.mean(axis=0)
    vectors = model.gene_embedding - model.gene_embedding.mean(axis=0, dtype=np.float64)
    left = loadings - vectors @ np.linalg.lstsq(vectors, loadings, rcond=None)[0]
    share = 1.0 - np.square(left).sum(axis=0) / np.square(loadings).sum(axis=0)
    return np.asarray(share, np.float64)


def _chosen(options: Options) -> Sets:
    if options.sets is None:
        raise InputError(
            "Give gene sets with --sets FILE.gmt; docs/genes.md says how to fetch some."
        )
    found, origin = gene_sets(options.sets)
    chosen = {name: genes for name, genes in found.items() if name.startswith(options.prefix)}
    if not chosen:
        raise InputError(f"No set of {origin} begins with '{options.prefix}'; give another prefix.")
    return chosen


def _of_map(options: Options, data: Labelled, sets: Sets, d: int) -> tuple[Model, GeneSetScores]:
    """A map of all samples, and what its gene vectors tell of the sets."""
    whole = np.arange(len(data.values))
    settings: dict[str, Any] = {"gene_components": options.gene_components, "seed": options.seed}
    config = FitConfig(n_components=d, n_threads=options.threads, **settings)
    model = fit(data.part(whole), config, transform="none")
    scores = evaluate_genes(
        model, sets, data.part(whole), seed=options.seed, n_threads=options.threads
    )
    say(f"{d}-D: {scores.summary()['knn_auc'].iloc[0]:.3f}")
    return model, scores
