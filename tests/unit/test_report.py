"""The report's checks find what was put there, and its comparison with PCA adds up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from fembed.pl.categories import categories
from fembed.pl.samples import MapSamples
from fembed.report import checks, comparison
from tests.tiny_model import N_GENES, tiny_model

N = 240


def samples(
    coordinates: NDArray[Any], labels: dict[str, NDArray[Any]] | None = None, **changes: Any
) -> MapSamples:
    n = len(coordinates)
    made = MapSamples(
        names=np.array([f"s{i}" for i in range(n)], dtype=object),
        coordinates=coordinates.astype(np.float32),
        loss=np.ones(n),
        outlier=np.zeros(n),
        projected=np.zeros(n, bool),
        labels={name: categories(column, name) for name, column in (labels or {}).items()},
    )
    return replace(made, **changes)


def labelled(rng: np.random.Generator) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Two labels far apart, and batches at random within them."""
    label = np.arange(N) % 2
    points = rng.normal(size=(N, 2)) + 20.0 * label[:, None]
    batch = rng.integers(0, 2, N)
    return points, label.astype(str).astype(object), batch.astype(str).astype(object)


def batch_effect(points: NDArray[Any], batch: Any, label: Any) -> checks.Check:
    of_label = None if label is None else categories(label)
    return checks.batch_effect(samples(points), categories(batch), of_label, "run")


def test_batches_at_random_are_no_batch_effect() -> None:
    points, label, batch = labelled(np.random.default_rng(0))
    check = batch_effect(points, batch, label)
    assert check.fine and "240 of 240 samples" in check.text


def test_batches_apart_within_their_labels_are_found() -> None:
    points, label, batch = labelled(np.random.default_rng(0))
    shifted = points + 4.0 * (batch == "1")[:, None]
    check = batch_effect(shifted, batch, label)
    assert not check.fine and "p = 0.005" in check.text


def test_batches_that_the_labels_explain_are_no_batch_effect() -> None:
    rng = np.random.default_rng(0)
    points, label, _ = labelled(rng)
    # Nine of ten samples of a label are of its own batch: neighbours share it, as they must.
    own = rng.random(N) < 0.9
    batch = np.where(own, label, np.where(label == "0", "1", "0")).astype(object)
    check = batch_effect(points, batch, label)
    assert check.fine
    alone = batch_effect(points, batch, None)
    assert not alone.fine  # without the labels it looks like one


def test_labels_of_one_batch_each_cannot_be_told_from_it() -> None:
    points, label, _ = labelled(np.random.default_rng(0))
    check = batch_effect(points, label, label)
    assert not check.fine and "cannot be told apart" in check.text
    one = np.full(N, "a", dtype=object)
    assert batch_effect(points, one, label).fine


def test_samples_that_fit_badly_are_listed_worst_first() -> None:
    outlier = np.zeros(20)
    outlier[[3, 7]] = 6.0, 9.0
    shown = samples(np.zeros((20, 2)), {"kind": np.arange(20).astype(str)}, outlier=outlier)
    check = checks.badly_fitting(shown)
    assert not check.fine
    assert [row[0] for row in check.rows] == ["s7", "s3"]
    assert check.header == ["sample", "kind", "kind", "loss", "outlier score"]
    assert checks.badly_fitting(samples(np.zeros((20, 2)))).fine


def test_dead_units_are_told() -> None:
    model = tiny_model()
    assert checks.dead_units(model).fine == (checks.dead_unit_share(model.parameters) <= 0.5)
    dead = model.parameters.copy()
    dead.layers()[-2].bias[:] = -1e6
    check = checks.dead_units(replace(model, parameters=dead))
    assert not check.fine and check.text.startswith("100% ")


def test_a_gap_to_the_held_out_samples_is_told() -> None:
    model = replace(tiny_model(), training={"mse": 1.0, "held_out_mse": 2.0})
    check = checks.overfitting(model)
    assert check is not None and not check.fine and "2.00 times" in check.text
    near = checks.overfitting(replace(model, training={"mse": 1.0, "held_out_mse": 1.1}))
    assert near is not None and near.fine
    assert checks.overfitting(replace(model, training={})) is None


def test_projected_samples_that_fit_worse_are_told() -> None:
    projected = np.arange(10) >= 5
    worse = samples(np.zeros((10, 2)), outlier=np.where(projected, 3.0, 0.0), projected=projected)
    check = checks.newcomers(worse)
    assert check is not None and not check.fine
    assert checks.newcomers(samples(np.zeros((10, 2)))) is None


def test_a_map_that_is_pca_compares_as_pca() -> None:
    rng = np.random.default_rng(0)
    label = (np.arange(60) % 3).astype(str).astype(object)
    values = rng.normal(size=(60, N_GENES)) + 4.0 * np.eye(3, N_GENES)[np.arange(60) % 3]
    points = PCA(2).fit_transform(values)
    shown = samples(points, {"kind": label}, measured=values.astype(np.float32))
    model = replace(tiny_model(), training={"explained_variance": 0.5})
    rows = {
        row.what: (row.of_model, row.of_pca)
        for row in comparison.compare(model, shown, ["kind"]).rows
    }
    distances = rows["Correlation of map distance with expression distance"]
    accuracies = rows["5-NN accuracy of kind, training samples, 5 folds"]
    assert distances[0] == distances[1]
    assert accuracies[0] == accuracies[1]
    assert float(accuracies[0]) > 0.9


def test_missing_entries_and_rare_labels_are_compared_too() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(30, N_GENES)).astype(np.float32)
    values[rng.random(values.shape) < 0.2] = np.nan
    label = np.array(["a"] * 14 + ["b"] * 14 + ["rare", "NA"], dtype=object)
    projected = np.arange(30) >= 25
    shown = samples(rng.normal(size=(30, 2)), {"kind": label}, measured=values, projected=projected)
    found = comparison.compare(tiny_model(), shown, ["kind"])
    told = [row.what for row in found.rows]
    assert "Mean squared error, projected samples" in told
    assert "5-NN accuracy of kind, projected samples" in told
    assert found.pca is not None and np.isfinite(found.pca).all()


def test_without_data_the_comparison_says_what_is_lacking() -> None:
    training = {"explained_variance": 0.6, "pca_explained_variance": 0.4}
    model = replace(tiny_model(), training=training)
    found = comparison.compare(model, samples(np.asarray(model.sample_embedding)))
    assert [(row.of_model, row.of_pca) for row in found.rows] == [("60.0%", "40.0%")]
    assert "where the data are given" in found.notes[0]


@pytest.mark.parametrize("seconds", [3.0, 600.0, 9000.0])
def test_durations_have_a_unit(seconds: float) -> None:
    from fembed.report.assemble import _duration

    told = {3.0: "3 s", 600.0: "10.0 min", 9000.0: "2.5 h"}
    assert _duration(seconds) == told[seconds]
