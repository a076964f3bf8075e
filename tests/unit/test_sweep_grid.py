"""The grid of a sweep, its cases' names, and the published network classifier."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fembed import FitConfig, InputError
from fembed.sweeps.classifier import NetworkClassifier
from fembed.sweeps.folder import case_name
from fembed.sweeps.options import Grid, option_text


def test_every_combination_is_a_case_and_the_rest_stays() -> None:
    grid = Grid.parse([("weight-decay", "0,1e-8"), ("components", "2,3"), ("hidden", "8-4")])
    cases = grid.cases(FitConfig(seed=5, n_threads=3))
    assert [(c.weight_decay, c.n_components) for c in cases] == [
        (0.0, 2), (0.0, 3), (1e-8, 2), (1e-8, 3)
    ]  # fmt: skip
    assert {(c.hidden, c.seed, c.n_threads) for c in cases} == {((8, 4), 5, None)}
    assert grid.varying == ("weight_decay", "n_components")


def test_words_become_the_kind_that_an_option_has() -> None:
    grid = Grid.parse(
        [
            ("epochs", "none, 2"), ("validation_entries", "true,False"),
            ("recipe", "fast,published"), ("gene_components", "10,1000"),
        ]
    )  # fmt: skip
    assert dict(grid.values) == {
        "epochs": (None, 2.0),
        "validation_entries": (True, False),
        "recipe": ("fast", "published"),
        "gene_components": (10, 1000),
    }
    assert Grid.of({"weight_decay": np.array([0.0, 1.0])}).values["weight_decay"] == (0.0, 1.0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([("colour", "1,2")], "'colour' is not one of a fit"),
        ([("threads", "1,2")], "'threads' is not one"),
        ([("n_threads", "1,2")], "changes no model"),
        ([("gene-components", "10,ten")], "'ten' of gene_components is not a whole number"),
        ([("gene-components", "10,")], "''"),
        ([("weight_decay", "0,0.0")], "value 0.0 twice"),
        ([("weight_decay", "0"), ("weight-decay", "1")], "in the grid twice"),
        ([("hidden", "8-x")], "widths such as"),
        ([("validation_entries", "maybe")], "true or false"),
        ([], "empty"),
    ],
)
def test_a_grid_that_makes_no_sense_is_refused(words: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Grid.parse(words)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"weight_decay": []}, "no values"),
        ({"weight_decay": 0.5}, "list"),
        ({"recipe": "fast"}, "list"),
        ({"weight_decay": [-1]}, "weight_decay is -1"),
        ({"epochs": [1], "iterations": [2]}, "Both epochs and iterations"),
        ({"recipe": ["slow"]}, "'slow' is not known"),
    ],
)
def test_impossible_values_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Grid.of(values).cases(FitConfig())


def test_values_are_shown_as_people_write_them() -> None:
    values = (0.0, 1e-8, 0.005, 1000, (100, 50), None, "fast", 1e20)
    written = [option_text(value) for value in values]
    assert written == ["0", "1e-8", "5e-3", "1000", "100-50", "default", "fast", "1e20"]


def test_a_case_has_the_name_of_its_options_and_of_nothing_else() -> None:
    config = FitConfig(weight_decay=1e-6)
    assert case_name(config) == case_name(replace(config, n_threads=2))
    others = [FitConfig(), replace(config, seed=1), replace(config, hidden=(100, 50))]
    assert len({case_name(other) for other in [config, *others]}) == 4


def clusters(n: int = 90, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    codes = rng.integers(3, size=n)
    points = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 3.0]])[codes] + rng.normal(size=(n, 2)) * 0.4
    return points.astype(np.float32), np.array(["a", "b", "c"])[codes]


def test_the_classifiers_gradients_are_those_of_its_loss() -> None:
    points, labels = clusters(20)
    network = NetworkClassifier((5, 4), steps=3).fit(points, labels)
    network.weights_ = [(w.astype(np.float64), b.astype(np.float64)) for w, b in network.weights_]
    codes = np.searchsorted(network.classes_, labels)
    values = points.astype(np.float64)
    _, gradients = network.gradients(values, codes)
    step = 1e-6
    for (weight, bias), found in zip(network.weights_, gradients, strict=True):
        for array, gradient in zip((weight, bias), found, strict=True):
            for place in list(np.ndindex(array.shape))[:6]:
                ends = []
                for sign in (1.0, -1.0):
                    kept = array[place]
                    array[place] = kept + sign * step
                    ends.append(network.gradients(values, codes)[0])
                    array[place] = kept
                assert gradient[place] == pytest.approx(
                    (ends[0] - ends[1]) / (2 * step), rel=1e-3, abs=1e-7
                )


def test_the_classifier_learns_and_forgets_no_class() -> None:
    points, labels = clusters()
    network = NetworkClassifier(steps=150).fit(points, labels)
    assert network.losses_[-1] < 0.05 < network.losses_[0]
    unseen, wanted = clusters(seed=1)
    assert network.score(unseen, wanted) > 0.95
    np.testing.assert_allclose(network.predict_proba(unseen).sum(axis=1), 1.0, rtol=1e-5)
    again = NetworkClassifier(steps=150).fit(points, labels)
    for (a, b), (c, d) in zip(network.weights_, again.weights_, strict=True):
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, d)
