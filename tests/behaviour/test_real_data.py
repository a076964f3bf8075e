"""On real tumours: more is explained than by PCA, and new patients land among their like."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.model_selection import GroupShuffleSplit
from sklearn.neighbors import KNeighborsClassifier

from fembed.config import FitConfig
from fembed.data import readers
from fembed.data.expression import Expression
from fembed.inference import extension
from fembed.inference.projection import project
from fembed.model import Model
from fembed.train import extend, fast, fit

DATA = Path(__file__).parents[3] / "shared" / "data"
COHORTS, COUNTS = DATA / "tcga_11_cohorts.h5ad", DATA / "tcga_7_types_counts.h5ad"


def data(path: Path) -> Expression:
    if not path.exists():
        pytest.skip(f"the real data {path.name} are not at {DATA}")
    return readers.read(path)


def part(whole: Expression, rows: Any, genes: Any) -> Expression:
    values = np.ascontiguousarray(whole.values[rows][:, genes])
    names = whole.sample_names[rows], whole.gene_names[genes]
    return replace(whole, values=values, sample_names=names[0], gene_names=names[1], obs=None)


class Split:
    """Patients in two: a map of four fifths, the last fifth placed in it, every third gene."""

    def __init__(self) -> None:
        whole = data(COHORTS)
        labels = whole.labels("label")
        splits = GroupShuffleSplit(1, test_size=0.2, random_state=0)
        training, new = next(splits.split(labels, groups=whole.labels("patient")))
        genes = np.arange(0, whole.n_genes, 3)
        self.training, self.new = part(whole, training, genes), part(whole, new, genes)
        self.labels, self.new_labels = labels[training].astype(str), labels[new].astype(str)
        config = FitConfig(iterations=1000, hidden=(32, 32), gene_components=20)
        self.model: Model = fit(part(whole, training, genes), config, transform="none")

    def accuracy(self, points: Any, new_points: Any) -> float:
        classifier = KNeighborsClassifier(5).fit(points, self.labels)
        return float(classifier.score(new_points, self.new_labels))


@pytest.fixture(scope="module")
def split() -> Split:
    return Split()


def test_the_map_explains_more_than_pca(split: Split) -> None:
    report = split.model.training
    assert report["missing_share"] > 0
    assert report["explained_variance"] > report["pca_explained_variance"] + 0.15


def test_new_patients_are_found_among_their_like(split: Split) -> None:
    assert len(set(split.labels)) == 22
    found = project(split.model, split.new)
    mean = np.nanmean(split.training.values, axis=0)
    filled, new_filled = (
        np.where(np.isnan(x), mean, x) for x in (split.training.values, split.new.values)
    )
    pca = PCA(2, random_state=0).fit(filled)
    of_pca = split.accuracy(pca.transform(filled), pca.transform(new_filled))
    of_map = split.accuracy(split.model.sample_embedding, found.sample_embedding)
    assert of_map > of_pca + 0.2
    assert of_map > 0.7
    # They fit better than on PCA's plane, and hardly any is an outlier of a map of its like.
    plane = pca.inverse_transform(pca.transform(new_filled))
    assert found.loss.mean() < 0.8 * np.square(new_filled - plane).mean()
    assert (found.outlier > 5).mean() < 0.1


def test_training_patients_find_themselves(split: Split) -> None:
    model = split.model
    found = project(model, split.training)
    size = np.sqrt(model.sample_embedding.var(axis=0).sum())
    gap = np.linalg.norm(found.sample_embedding - model.sample_embedding, axis=1) / size
    # Both ended by exact solves, which stop where the error falls by less than 1e-4 of itself;
    # a few samples have two places that fit alike.
    assert np.median(gap) < 3e-3
    assert np.quantile(gap, 0.8) < 1e-2
    assert np.quantile(found.loss / model.sample_loss, 0.98) < 1.001


def test_few_patients_are_no_reason_to_fit_their_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last solve of the genes, on 120 samples: new samples are predicted better."""
    whole = data(COHORTS)
    chosen = np.random.default_rng(0).permutation(len(whole.values))
    genes = np.arange(0, whole.n_genes, 2)
    new = part(whole, chosen[120:320], genes)
    loss = {}
    for solved in (True, False):
        if not solved:
            monkeypatch.setattr(fast, "can_solve_genes", lambda *_: False)
        few = part(whole, chosen[:120], genes)
        model = fit(few, FitConfig(n_components=8, iterations=1000), transform="none")
        loss[solved] = project(model, new).loss.mean()
    assert loss[True] < 0.98 * loss[False]


def test_patients_who_join_make_the_model_better_for_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = data(COHORTS)
    chosen = np.random.default_rng(1).permutation(len(whole.values))
    genes = np.arange(0, whole.n_genes, 2)
    old, joining, others = (
        part(whole, chosen[begin:end], genes) for begin, end in ((0, 120), (120, 240), (240, 440))
    )
    training = replace(old, values=old.values.copy())  # a fit overwrites what it is given
    model = fit(training, FitConfig(n_components=8, iterations=1000), transform="none")
    loss = {"before": project(model, others).loss.mean()}
    for solved in ("genes solved", "genes as trained"):
        if solved == "genes as trained":
            monkeypatch.setattr(extend, "can_solve_genes", lambda *_: False)
        grown = extension.extend(model, joining, old)
        assert grown.training["extension"]["drift"] < 0.1
        loss[solved] = project(grown, others).loss.mean()
    assert loss["genes solved"] < 0.98 * loss["genes as trained"] < 0.98 * loss["before"]


def test_raw_counts_of_whole_profiles() -> None:
    whole = data(COUNTS)
    types = whole.labels("cancer_type").astype(str)
    counts = part(whole, np.arange(whole.n_samples), np.arange(0, whole.n_genes, 20))
    observed = counts.values.max(axis=0) > counts.values.min(axis=0)
    counts = part(counts, np.arange(counts.n_samples), np.flatnonzero(observed))
    given = counts.values.copy()
    config = FitConfig(n_components=3, iterations=600, hidden=(32, 32), gene_components=20)
    model = fit(counts, config, transform="cpm")
    report = model.training
    assert report["explained_variance"] > report["pca_explained_variance"] + 0.03
    neighbours = KNeighborsClassifier(6).fit(model.sample_embedding, types)
    assert neighbours.score(model.sample_embedding, types) > 0.85
    # Counts per million do not depend on the depth of sequencing, so neither does the place.
    shallow = replace(
        counts, values=given[:40] * np.float32(0.25), sample_names=whole.sample_names[:40]
    )
    deep = replace(counts, values=given[:40], sample_names=whole.sample_names[:40])
    one, other = (project(model, few).sample_embedding for few in (shallow, deep))
    assert np.quantile(np.abs(one - other), 0.9) < 1e-3 * model.sample_embedding.std()
