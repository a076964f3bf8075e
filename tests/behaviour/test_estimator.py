"""`FactorizedEmbedding` keeps scikit-learn's contract and says what the model says."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import joblib
import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import fembed
from fembed import FactorizedEmbedding
from fembed.errors import InputError
from tests.small_expression import N_GENES, N_SAMPLES, frame

QUICK: dict[str, Any] = {"hidden": (8,), "gene_components": 4, "epochs": 2, "n_jobs": 1}
GROUPS = np.arange(N_SAMPLES) % 3

#: Samples without any count: they have no counts per million, so they are refused.
NO_COUNTS = "the check's data have samples whose counts are all zero"
EXPECTED_FAILURES = {
    "cpm": dict.fromkeys(
        (
            "check_estimators_dtypes",
            "check_estimator_sparse_tag",
            "check_estimator_sparse_array",
            "check_estimator_sparse_matrix",
            "check_fit2d_1feature",
        ),
        NO_COUNTS,
    )
}


@parametrize_with_checks(
    [
        FactorizedEmbedding(preprocessing=preprocessing, **QUICK)
        for preprocessing in ("log10", "none", "cpm")
    ],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES.get(estimator.preprocessing, {}),
)
@pytest.mark.filterwarnings("ignore::fembed.errors.DataWarning")  # the checks' tiny data sets
def test_scikit_learns_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.fixture(scope="module")
def fitted() -> FactorizedEmbedding:
    return FactorizedEmbedding(random_state=0, **QUICK).fit(frame())


def test_the_defaults_are_those_of_a_fit() -> None:
    """Every option that can be searched over, under its own name."""
    options, params = fembed.FitConfig().to_dict(), FactorizedEmbedding().get_params()
    assert params.pop("preprocessing") == fembed.Preprocessing().transform
    own = {"n_jobs": "n_threads", "random_state": "seed", "verbose": None}
    own |= {"engine": None, "device": None}
    assert {own.get(name, name) for name in params} == {*options, None}
    assert all(params[name] == options[name] for name in params if name not in (*own, "hidden"))


def test_attributes(fitted: FactorizedEmbedding) -> None:
    assert fitted.embedding_.shape == (N_SAMPLES, 2)
    assert fitted.gene_embedding_.shape == (N_GENES, 4)
    assert fitted.embedding_.dtype == np.float32
    assert fitted.n_features_in_ == N_GENES
    assert list(fitted.feature_names_in_) == list(frame().columns)
    assert list(fitted.model_.gene_names) == list(frame().columns)
    assert list(fitted.model_.sample_names) == list(frame().index)
    np.testing.assert_allclose(fitted.gene_mean_, np.log10(frame() + 1).mean(), rtol=1e-6)
    assert fitted.n_iter_ == fitted.model_.training["steps"] > 0
    decoded = np.log10(fitted.inverse_transform(fitted.embedding_) + 1)
    error = np.linalg.norm(np.log10(frame().to_numpy() + 1) - decoded)
    assert fitted.reconstruction_err_ == pytest.approx(error, rel=1e-3)


def test_transform_of_the_training_samples_is_their_embedding(fitted: FactorizedEmbedding) -> None:
    """The last act of a fit places every sample as `transform` does, so they agree closely:
    within 1 % of the map's width, and to the same loss."""
    placed = fitted.transform(frame())
    width = np.ptp(fitted.embedding_, axis=0).max()
    np.testing.assert_allclose(placed, fitted.embedding_, atol=0.01 * width)
    loss = fembed.project(fitted.model_, frame()).loss
    np.testing.assert_allclose(loss, fitted.model_.sample_loss, rtol=1e-3, atol=1e-6)


def test_fit_transform_is_the_embedding(fitted: FactorizedEmbedding) -> None:
    np.testing.assert_array_equal(clone(fitted).fit_transform(frame()), fitted.embedding_)


def test_new_samples_are_placed_alone(fitted: FactorizedEmbedding) -> None:
    new = frame(seed=1)
    together = fitted.transform(new)
    np.testing.assert_array_equal(fitted.transform(new.iloc[[5]]), together[[5]])
    np.testing.assert_array_equal(fitted.transform(new.iloc[::-1])[::-1], together)
    # With numbers in place of names for the samples, and as a function of the model.
    np.testing.assert_array_equal(fembed.project(fitted.model_, new).sample_embedding, together)


def test_inverse_transform_is_in_the_units_of_the_input(fitted: FactorizedEmbedding) -> None:
    back = fitted.inverse_transform(fitted.embedding_)
    assert back.shape == (N_SAMPLES, N_GENES)
    decoded = fitted.model_.decode(fitted.embedding_)
    np.testing.assert_allclose(np.log10(back + 1.0), decoded, atol=1e-5)
    # Counts of this size are told to about their Poisson noise.
    assert np.median(np.abs(back - frame()) / (np.sqrt(frame()) + 1)) < 2
    with pytest.raises(InputError, match="needs k x 2"):
        fitted.inverse_transform(np.zeros((3, 5)))


def test_score_is_the_explained_variance() -> None:
    """On data of two components, PCA's explained variance is a lower bound that is nearly met."""
    rng = np.random.default_rng(0)
    data = rng.normal(size=(60, 2)) @ rng.normal(size=(2, 20)) + 0.1 * rng.normal(size=(60, 20))
    train, new = data[:40], data[40:]
    estimator = FactorizedEmbedding(preprocessing="none", random_state=0, **QUICK).fit(train)
    pca = PCA(2).fit(train)
    error = new - pca.inverse_transform(pca.transform(new))
    linear = 1 - (error**2).sum() / ((new - train.mean(axis=0)) ** 2).sum()
    assert linear - 0.02 < estimator.score(new) < 1
    worse = new + rng.normal(size=new.shape)
    assert estimator.score(worse) < estimator.score(new)


def test_score_by_hand(fitted: FactorizedEmbedding) -> None:
    new = frame(seed=1).astype(float)
    new.iloc[3, 4] = np.nan
    profiles = np.log10(new + 1).to_numpy()
    error = profiles - fitted.model_.decode(fitted.transform(new))
    total = profiles - np.log10(frame() + 1).mean().to_numpy()
    by_hand = 1 - np.nansum(error**2) / np.nansum(total**2)
    assert fitted.score(new) == pytest.approx(by_hand, rel=1e-4)


def test_missing_entries_are_neither_zero_nor_mean(fitted: FactorizedEmbedding) -> None:
    new = frame(seed=1).astype(float)
    new.iloc[:, 5:9] = np.nan
    by_name = fembed.project(fitted.model_, new.drop(columns=new.columns[5:9])).sample_embedding
    # Sums over other groups of genes round differently.
    np.testing.assert_allclose(fitted.transform(new), by_name, atol=2e-3)
    holes = frame().astype(float).mask(np.random.default_rng(0).random((N_SAMPLES, N_GENES)) < 0.1)
    estimator = FactorizedEmbedding(random_state=0, **QUICK).fit(holes)
    assert np.isfinite(estimator.transform(holes)).all()
    mean = np.nanmean(np.log10(holes + 1), axis=0)
    np.testing.assert_allclose(estimator.gene_mean_, mean, rtol=1e-6)


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_array, sparse.coo_matrix])
def test_sparse_input_is_the_dense_one(fitted: FactorizedEmbedding, form: Any) -> None:
    values = frame().to_numpy()
    estimator = FactorizedEmbedding(random_state=0, **QUICK).fit(form(values))
    np.testing.assert_array_equal(estimator.embedding_, fitted.embedding_)
    np.testing.assert_array_equal(estimator.transform(form(values)), fitted.transform(frame()))
    assert estimator.score(form(values)) == fitted.score(frame())


def test_the_input_is_not_changed() -> None:
    for data in (frame().astype(np.float32), frame().to_numpy(np.float32)):
        before = data.copy()
        estimator = FactorizedEmbedding(**QUICK).fit(data)
        estimator.transform(data)
        estimator.score(data)
        np.testing.assert_array_equal(data, before)


def test_names_of_the_output_are_those_of_the_tables(fitted: FactorizedEmbedding) -> None:
    assert list(fitted.get_feature_names_out()) == ["fembed_1", "fembed_2"]
    table = clone(fitted).set_output(transform="pandas").fit_transform(frame())
    assert list(table) == ["fembed_1", "fembed_2"]
    assert list(table.index) == list(frame().index)


def test_random_state(fitted: FactorizedEmbedding) -> None:
    def embedding(random_state: Any) -> Any:
        return FactorizedEmbedding(random_state=random_state, **QUICK).fit(frame()).embedding_

    np.testing.assert_array_equal(embedding(np.int64(0)), fitted.embedding_)
    state = np.random.RandomState(3)
    first, second = embedding(state), embedding(state)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(embedding(np.random.RandomState(3)), first)


def test_numpy_numbers_and_lists_as_parameters() -> None:
    parameters = {"n_components": np.int64(3), "hidden": [8, np.int32(4)], "epochs": np.float64(1)}
    estimator = FactorizedEmbedding(**{**QUICK, **parameters}).fit(frame())
    assert estimator.model_.config.hidden == (8, 4)
    assert estimator.embedding_.shape == (N_SAMPLES, 3)


def test_copies_and_pickles(fitted: FactorizedEmbedding, tmp_path: Any) -> None:
    joblib.dump(fitted, tmp_path / "estimator")
    mapped = joblib.load(tmp_path / "estimator", mmap_mode="r")  # as joblib's workers see it
    for other in (copy.deepcopy(fitted), pickle.loads(pickle.dumps(fitted)), mapped):
        np.testing.assert_array_equal(other.transform(frame()), fitted.transform(frame()))
    with pytest.raises(NotFittedError):
        clone(fitted).transform(frame())
    assert not hasattr(clone(fitted), "embedding_")


def test_in_a_pipeline_and_a_grid() -> None:
    data = frame()
    pipeline = make_pipeline(FactorizedEmbedding(random_state=0, **QUICK), KNeighborsClassifier(3))
    predicted = cross_val_predict(pipeline, data, GROUPS, cv=3)
    assert (predicted == GROUPS).mean() > 0.9
    grid = GridSearchCV(
        FactorizedEmbedding(random_state=0, **QUICK), {"n_components": np.array([1, 2])}, cv=3
    )
    assert grid.fit(data).best_params_ == {"n_components": 2}


def test_repeated_rows_of_a_frame_are_samples_too() -> None:
    bootstrap = frame().iloc[[0, 0, 1, 2, 3, 4, 5, 5, 6, 7]]
    assert FactorizedEmbedding(**QUICK).fit_transform(bootstrap).shape == (10, 2)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_components": 0}, "n_components is 0"),
        ({"n_components": 1.5}, "n_components is 1.5"),
        ({"hidden": 0}, "hidden is"),
        ({"hidden": ()}, "hidden is"),
        ({"recipe": "slow"}, "recipe 'slow'"),
        ({"preprocessing": "log2"}, "no transform 'log2'"),
        ({"epochs": -1}, "epochs is -1"),
        ({"n_jobs": 0}, "n_jobs is 0"),
        ({"random_state": "a"}, "seed a"),
        ({"random_state": -1}, "seed is -1"),
    ],
)
def test_impossible_parameters_are_told_at_fit(parameters: dict[str, Any], message: str) -> None:
    estimator = FactorizedEmbedding(**{**QUICK, **parameters})
    with pytest.raises(ValueError, match=message):
        estimator.fit(frame())


def test_negative_values(fitted: FactorizedEmbedding) -> None:
    negative = frame() - 20
    for call in (fitted.fit, fitted.transform, fitted.score):
        with pytest.raises(InputError, match="use preprocessing='none'"):
            call(negative)


def test_too_few_samples_for_the_components() -> None:
    with pytest.raises(InputError, match="5 samples"):
        FactorizedEmbedding(8, **QUICK).fit(frame().iloc[:5])


def test_verbose_is_quiet_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    FactorizedEmbedding(verbose=1, **QUICK).fit(frame())
    assert capsys.readouterr() == ("", "")
