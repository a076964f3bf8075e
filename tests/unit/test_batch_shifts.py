"""Effects of batches as they are estimated: planted ones are found, and nothing where none are."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

import fembed
from fembed import DataWarning, InputError
from fembed.solvers.batch_effects import BatchEffects
from fembed.train import batch_columns, batch_shifts
from tests.curved_expression import SMALL, curved, expression, frame

N = 300
THIRD = np.where(np.arange(N) % 3 == 0, "A", "B")


def design(batch: NDArray[np.str_], covariates: dict[str, NDArray[np.float64]] | None = None):
    found = batch_columns.design_of(
        expression(np.zeros((len(batch), 2), np.float32)), {"lab": batch}, covariates
    )
    assert found is not None
    return found


def estimated(values: NDArray[np.float32], batch: NDArray[np.str_]) -> BatchEffects:
    return batch_shifts.estimate(values, design(batch), 0)


def difference(effects: BatchEffects) -> NDArray[np.float32]:
    """What the first batch has more than the second, at the genes' means."""
    return effects.scale[0] * effects.shift[0] - effects.scale[1] * effects.shift[1]


def kinds(rng: np.random.Generator, labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """Profiles of 60 genes: a mean for each kind, and noise."""
    means = rng.normal(0, 1.5, (labels.max() + 1, 60))
    return np.asarray(means[labels] + rng.normal(0, 0.5, (len(labels), 60)), np.float32)


def warned(values: NDArray[np.float32], batch: NDArray[np.str_], **labels: object) -> list[str]:
    """What a fit with this batch says of it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fembed.fit(
            frame(values, "s"),
            transform="none",
            batch={"lab": batch},
            labels=labels or None,
            iterations=20,
            calibrate=False,
            **SMALL,
        )
    return [str(one.message) for one in caught if issubclass(one.category, DataWarning)]


def test_planted_shifts_and_scales_are_found() -> None:
    rng = np.random.default_rng(0)
    values = curved(N, seed=0)
    shift = rng.normal(0, 1, 90).astype(np.float32)
    scale = np.exp(rng.normal(0, 0.3, 90)).astype(np.float32)
    mean = values.mean(axis=0)
    changed, rows = values.copy(), THIRD == "A"
    changed[rows] = mean + scale * (values[rows] - mean) + shift
    effects = estimated(changed, THIRD)
    ratio = effects.scale[0] / effects.scale[1]
    assert np.corrcoef(np.log(ratio), np.log(scale))[0, 1] > 0.9
    # At one profile: that of the first sample in A, as the other batch would have measured it.
    of_a, of_b = (effects.in_batch(name, N) for name in "AB")
    moved = changed.copy()
    of_a.remove(moved)
    of_b.add(moved)
    error = np.square(moved[rows] - values[rows]).mean() / np.square(changed - values)[rows].mean()
    assert error < 0.02


def test_a_shift_is_found_although_the_batches_hold_different_kinds() -> None:
    rng = np.random.default_rng(1)
    labels = np.arange(N) % 5
    batch = np.where((labels < 3) & (rng.random(N) < 0.5), "A", "B")
    shift = rng.normal(0, 0.8, 60)
    values = kinds(rng, labels)
    values[batch == "A"] += shift.astype(np.float32)
    error = np.linalg.norm(difference(estimated(values, batch)) - shift)
    assert error < 0.15 * np.linalg.norm(shift)


def test_without_a_shift_nothing_changes() -> None:
    values = curved(N, seed=0)
    effects = estimated(values, np.random.default_rng(0).permutation(THIRD))
    moved = values.copy()
    effects.of_training().remove(moved)
    assert np.abs(moved - values).max() < 0.05 * values.std()
    assert abs(effects.explained[0]) < 0.001


def test_effects_are_taken_away_and_put_back() -> None:
    rng = np.random.default_rng(2)
    values = curved(N, seed=0) + rng.normal(size=(N, 90)).astype(np.float32)
    values[THIRD == "A"] *= 1.5
    values[rng.random(values.shape) < 0.1] = np.nan
    effects = batch_shifts.estimate(values, design(THIRD, {"age": rng.normal(size=N)}), 0)
    again = values.copy()
    effects.of_training().remove(again)
    assert_array_equal(np.isnan(again), np.isnan(values))
    effects.of_training().add(again)
    assert_allclose(again, values, rtol=0, atol=1e-4)


def test_the_common_level_is_that_of_the_samples_as_they_are() -> None:
    values = curved(N, seed=0)
    values[THIRD == "A"] += 2.0
    effects = estimated(values, THIRD)
    count = np.array([np.sum(THIRD == "A"), np.sum(THIRD == "B")])
    assert_allclose(count @ effects.shift, 0, atol=0.15 * N)
    assert_allclose(count @ np.log(effects.scale), 0, atol=1e-3)


def test_a_covariate_has_the_slope_that_was_planted() -> None:
    rng = np.random.default_rng(3)
    values, age = curved(N, seed=0), rng.normal(50, 10, N)
    slope = rng.normal(0, 0.05, 90)
    values += np.outer(age - 50, slope).astype(np.float32)
    found = batch_shifts.estimate(values, design(THIRD, {"age": age}), 0)
    error = found.shift[-1] / age.std() - slope
    assert np.linalg.norm(error) < 0.1 * np.linalg.norm(slope)


def test_means_of_chance_are_shrunk_to_nothing() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(size=(N, 200)).astype(np.float32)
    sizes = []
    for count in (2, 10):
        batch = np.where(np.arange(N) < count, "A", "B")
        effects = estimated(values, batch)
        raw = values[:count].mean(axis=0) - values[count:].mean(axis=0)
        sizes.append(np.linalg.norm(difference(effects)) / np.linalg.norm(raw))
    assert max(sizes) < 0.2, sizes


# ---- what a batch cannot be told from


def test_a_large_shift_of_like_batches_is_removed_without_a_warning() -> None:
    values = curved(N, seed=0)
    values[THIRD == "A"] += 5 * np.random.default_rng(0).normal(size=90).astype(np.float32)
    assert warned(values, THIRD) == []


def test_a_batch_that_equals_one_kind_is_left_and_warned_of() -> None:
    rng = np.random.default_rng(5)
    labels = np.arange(N) % 5
    values = kinds(rng, labels)
    batch = np.where(labels == 0, "A", "B")
    effects = estimated(values, batch)
    assert effects.columns[0].left == ("A", "B")
    assert not effects.shift.any() and (effects.scale == 1).all()
    (said,) = warned(values, batch)
    assert "vary among each other in other ways" in said and "left as they are" in said


def test_a_batch_of_some_of_the_kinds_is_not_left() -> None:
    rng = np.random.default_rng(6)
    labels = np.arange(N) % 5
    batch = np.where((labels < 2) & (rng.random(N) < 0.5), "A", "B")
    values = kinds(rng, labels)
    values[batch == "A"] += rng.normal(0, 0.5, 60).astype(np.float32)
    assert estimated(values, batch).columns[0].left == ()


def test_batches_without_a_common_label_are_warned_of() -> None:
    values, kind = curved(N, seed=0), np.where(THIRD == "A", "liver", "brain")
    values[THIRD == "A"] += np.random.default_rng(0).normal(size=90).astype(np.float32)
    (said,) = warned(values, THIRD, tissue=kind)
    assert "'A', 'B' of 'lab' share no value of 'tissue'" in said
    kind[0] = "brain"  # now the two have it in common
    assert warned(values, THIRD, tissue=kind) == []


def test_batches_that_explain_nothing_are_told() -> None:
    (said,) = warned(curved(N, seed=0), np.random.default_rng(0).permutation(THIRD))
    assert "differ in nothing that matters" in said


def test_a_few_samples_of_another_kind_are_still_apart() -> None:
    rng = np.random.default_rng(7)
    labels = np.where(np.arange(N) < 12, 4, np.arange(N) % 4)  # too few to judge their structure
    values = kinds(rng, labels)
    batch = np.where(labels == 4, "A", "B")
    effects, apart = batch_shifts.take_away(values, design(batch), 0)
    assert effects.columns[0].left == ()
    assert apart[0].all()


# ---- columns


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (["A"] * 5 + [None] + ["B"] * 4, "no value for 1 sample, such as 's5'"),
        (["A"] * 9 + ["B"], "has the one sample 's9' in the batch 'B'"),
        (["A"] * 10, "has the one batch 'A'"),
        (["A"] * 5 + ["none"] * 5, "a batch called 'none'"),
        (["A"] * 9, "9 values of 'lab' for 10 samples"),
    ],
)
def test_a_column_that_is_no_batch_column_is_refused(column: list[object], message: str) -> None:
    table = frame(curved(10), "s")
    with pytest.raises(InputError, match=message):
        fembed.fit(table, transform="none", batch={"lab": column}, **SMALL)
    with pytest.raises(InputError, match="has no column 'lab'"):
        fembed.fit(table, transform="none", batch="lab", **SMALL)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (["old"] + [1.0] * 9, "'old' for the sample 's0'"),
        ([np.nan, *range(9)], "nan for the sample 's0'"),
        ([3.0] * 10, "is 3 for all samples"),
    ],
)
def test_a_covariate_that_is_no_number_is_refused(column: list[object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        fembed.fit(frame(curved(10), "s"), transform="none", covariates={"age": column}, **SMALL)


def test_a_name_is_given_once() -> None:
    lab = pd.Series(range(10)) % 2
    with pytest.raises(InputError, match="'lab' is given twice"):
        fembed.fit(
            frame(curved(10), "s"),
            transform="none",
            batch={"lab": lab.tolist()},
            covariates={"lab": lab.tolist()},
            **SMALL,
        )


def test_models_of_counts_have_no_batches() -> None:
    counts = np.random.default_rng(0).poisson(5, (40, 30)).astype(np.float32)
    with pytest.raises(InputError, match="likelihood counts has no batches yet"):
        fembed.fit(frame(counts, "s"), likelihood="counts", batch={"lab": ["A", "B"] * 20}, **SMALL)
