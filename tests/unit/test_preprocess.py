"""Preprocessing: in place, exact where float32 allows it, and inverted."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fembed.data import chunks
from fembed.data.expression import Expression
from fembed.data.layer_scales import prepared_for
from fembed.data.preprocess import TRANSFORMS, Preprocessing
from fembed.errors import InputError

EXPRESSION = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=8),
    elements=st.one_of(
        st.just(np.nan), st.floats(0, 2.0**26, width=32), st.floats(0, 2.0**-10, width=32)
    ),
)


@given(EXPRESSION)
def test_invert_undoes_log10_and_missing_entries_stay_missing(values):
    transformed = Preprocessing("log10").apply(values.copy())
    restored = Preprocessing("log10").invert(transformed)
    assert np.array_equal(np.isnan(transformed), np.isnan(values))
    # d(10^y) / 10^y = ln 10 dy: the rounding of y = log10(x + 1) grows with y. Below float32's
    # normal numbers only an absolute error makes sense.
    tolerance = 1.2e-7 * (4 + np.log(10) * transformed) * values + 1e-37
    both = ~np.isnan(values)
    assert np.all(np.abs(restored - values)[both] <= tolerance[both] + tolerance[both])


@given(EXPRESSION)
def test_log10_is_that_of_float64(values):
    expected = np.log1p(values.astype(np.float64)) / np.log(10)
    transformed = Preprocessing("log10").apply(values.copy())
    np.testing.assert_allclose(transformed, expected, rtol=3e-7, atol=1e-37)


@given(EXPRESSION)
def test_cpm_makes_a_million_of_the_observed_entries(values):
    observed = np.nansum(values, axis=1, dtype=np.float64)
    if np.any(observed == 0):
        with pytest.raises(InputError, match="add up to zero"):
            Preprocessing("cpm").apply(values.copy())
        return
    back = Preprocessing("cpm").invert(Preprocessing("cpm").apply(values.copy()))
    np.testing.assert_allclose(np.nansum(back, axis=1, dtype=np.float64), 1e6, rtol=1e-5)
    np.testing.assert_allclose(
        back, values.astype(np.float64) * 1e6 / observed[:, None], rtol=1e-5, atol=1e-30
    )


def test_none_changes_nothing():
    values = np.array([[-3.0, np.nan], [20.0, 0.0]], np.float32)
    assert Preprocessing("none").apply(values) is values
    np.testing.assert_array_equal(Preprocessing("none").invert(values), values)
    assert Preprocessing("none").invert(values) is not values


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_apply_works_in_place_without_a_second_copy(transform, monkeypatch):
    monkeypatch.setattr(chunks, "ENTRIES_PER_CHUNK", 100_000)
    values = np.full((1500, 2000), 3.0, np.float32)
    tracemalloc.start()
    returned = Preprocessing(transform).apply(values)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert returned is values
    assert peak_bytes < values.nbytes / 4


def test_pieces_give_the_same_as_the_whole(monkeypatch):
    values = np.random.default_rng(0).gamma(1, 50, (37, 11)).astype(np.float32)
    whole = Preprocessing("cpm").apply(values.copy())
    monkeypatch.setattr(chunks, "ENTRIES_PER_CHUNK", 30)
    np.testing.assert_array_equal(Preprocessing("cpm").apply(values.copy()), whole)
    np.testing.assert_array_equal(
        Preprocessing("cpm").invert(whole), np.expm1(whole.astype(float) * np.log(10)).astype("f4")
    )


def test_invert_takes_any_shape_and_overflows_to_infinity_quietly():
    invert = Preprocessing("log10").invert
    assert invert(1.0).shape == ()
    assert invert([1.0, 2.0]).tolist() == [9.0, 99.0]
    assert invert(np.zeros((2, 3, 4), np.float64)).shape == (2, 3, 4)
    assert invert(np.zeros((0, 3))).shape == (0, 3)
    assert np.isinf(invert([[50.0]])).all()
    points = np.ones((2, 2), np.float32)
    invert(points)
    assert (points == 1).all()


@pytest.mark.parametrize("transform", ["log10", "cpm"])
def test_a_negative_value_is_named_and_nothing_is_changed(transform):
    values = np.array([[5.0, 1.0], [2.0, -0.25]], np.float32)
    with pytest.raises(InputError, match=r"negative value -0.25 .*'s2'.*'TP53'.*--transform none"):
        Preprocessing(transform).apply(
            values, "file.csv", sample_names=["s1", "s2"], gene_names=["KRT5", "TP53"]
        )
    assert values[0, 0] == 5.0
    with pytest.raises(InputError, match="sample number 2 and gene number 2"):
        Preprocessing(transform).apply(values)


def test_a_sample_without_counts_is_named():
    values = np.array([[5.0, 1.0], [0.0, np.nan]], np.float32)
    with pytest.raises(InputError, match=r"'s2' in f\.csv add up to zero \(1 such"):
        Preprocessing("cpm").apply(values, "f.csv", sample_names=["s1", "s2"])
    assert values[0, 0] == 5.0


def test_an_unknown_transform_lists_the_known_ones():
    with pytest.raises(InputError, match="log10, cpm, none"):
        Preprocessing("log2")  # type: ignore[arg-type]


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_goes_through_a_dict(transform):
    assert Preprocessing.from_dict(Preprocessing(transform).to_dict()).transform == transform


@pytest.mark.parametrize("fields", [{}, {"transform": "log2"}, {"transform": "none", "x": 1}])
def test_a_wrong_dict_is_refused(fields):
    with pytest.raises(InputError):
        Preprocessing.from_dict(fields)


def test_another_type_than_float32_is_a_mistake_of_the_programmer():
    with pytest.raises(TypeError):
        Preprocessing().apply(np.ones((2, 2)))


@pytest.mark.parametrize("target", [1e4, 250.0])
def test_cpm_makes_any_sum(target):
    values = np.random.default_rng(0).poisson(2.0, (6, 40)).astype(np.float32)
    preprocessing = Preprocessing("cpm", target_sum=target)
    linear = preprocessing.invert(preprocessing.apply(values.copy()))
    np.testing.assert_allclose(linear.sum(axis=1), target, rtol=1e-4)
    assert Preprocessing.from_dict(preprocessing.to_dict()) == preprocessing


def test_the_median_is_that_of_the_totals():
    values = np.array([[1, 1, 2], [3, 4, 3], [10, 20, 70]], np.float32)
    found = prepared_for(Expression.from_array(values), "cpm", "median")
    assert found.target_sum == 10.0


@pytest.mark.parametrize(("transform", "target"), [("log10", 1e4), ("cpm", 0.0), ("cpm", "mean")])
def test_an_impossible_sum_is_refused(transform, target):
    with pytest.raises(InputError, match="target_sum is"):
        Preprocessing(transform, target_sum=target)
