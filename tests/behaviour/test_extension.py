"""Adding samples to a model: they join, the network learns, the old map stays where it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fembed import store
from fembed.commands import app
from fembed.config import FitConfig
from fembed.errors import InputError
from fembed.inference.extension import extend
from fembed.inference.projection import project
from fembed.model import Model
from fembed.train import fit
from fembed.train.coordinates import drift, take_back
from tests.curved_expression import SMALL, expression, frame, surface

N_OLD, N_GENES = 100, 90


def _profiles(n_samples: int, low: float, high: float, seed: int) -> np.ndarray:
    """Noisy profiles from a strip of the square."""
    random = np.random.default_rng(seed)
    places = np.column_stack([random.uniform(low, high, n_samples), random.uniform(size=n_samples)])
    noise = 0.05 * random.standard_normal((n_samples, N_GENES), np.float32)
    return surface(places, N_GENES) + noise


#: The new samples come from a part of the square where no old one is.
OLD, NEW = _profiles(N_OLD, 0.0, 0.7, 0), _profiles(60, 0.6, 1.0, 1)


@pytest.fixture(scope="module")
def model() -> Model:
    config = FitConfig(**SMALL, iterations=1500)
    return fit(expression(OLD), config, transform="none")


@pytest.fixture(scope="module")
def grown(model: Model) -> Model:
    return extend(model, frame(NEW, "n"), frame(OLD, "s"), epochs=40)


def test_new_samples_fit_better_and_old_ones_stay(model: Model, grown: Model) -> None:
    report = grown.training["extension"]
    assert report["n_new"] == 60 and grown.n_samples == N_OLD + 60
    assert list(grown.sample_names[[0, N_OLD]]) == ["s0", "n0"]
    assert report["new_mse"] < 0.6 * report["new_mse_before"]
    # What the old samples give for it is little of their variance.
    lost = report["old_mse"] - report["old_mse_before"]
    assert lost < 0.03 * OLD.var(axis=0).mean()
    assert 0 < report["drift"] <= report["drift_95"] < 0.2
    old = model.sample_embedding.astype(float)
    moved = np.linalg.norm(grown.sample_embedding[:N_OLD] - old, axis=1)
    size = np.sqrt(np.square(old - old.mean(axis=0)).sum(axis=1).mean())
    assert_allclose(report["drift"], np.sqrt(np.square(moved).mean()) / size, rtol=1e-5)


def test_losses_are_those_of_the_grown_model(grown: Model) -> None:
    decoded = grown.decode(grown.sample_embedding)
    loss = np.square(decoded - np.concatenate([OLD, NEW])).mean(axis=1)
    assert_allclose(grown.sample_loss, loss, rtol=2e-2, atol=1e-5)
    grown.check()


def test_without_epochs_new_samples_are_only_placed(model: Model) -> None:
    placed = extend(model, frame(NEW, "n"), frame(OLD, "s"), epochs=0)
    assert_array_equal(placed.sample_embedding[:N_OLD], model.sample_embedding)
    assert_array_equal(placed.sample_embedding[N_OLD:], project(model, NEW).sample_embedding)
    assert_array_equal(placed.parameters.network, model.parameters.network)
    assert placed.training["extension"]["drift"] == 0.0


def test_same_bits_for_any_order_of_the_training_file_and_threads(
    model: Model, grown: Model
) -> None:
    shuffled = frame(OLD, "s").iloc[::-1, ::-1]
    more = pd.concat([shuffled, frame(NEW[:3] * 7, "other")])
    again = extend(model, frame(NEW, "n"), more, epochs=40, n_threads=2)
    assert_array_equal(again.sample_embedding, grown.sample_embedding)


def test_the_map_that_is_taken_back_decodes_the_same(model: Model) -> None:
    turned = model.parameters.copy()
    old = model.sample_embedding[:40].astype(float) @ np.array([[0.5, 1.0], [-0.8, 0.3]]) + 2.0
    take_back(turned, old)
    assert drift(turned, old)["drift"] < 1e-3
    before = model.decode(model.sample_embedding)
    after = Model(**{**vars(model), "parameters": turned}).decode(turned.sample_embedding)
    assert_allclose(after, before, atol=1e-3)


def test_a_panel_with_missing_entries(model: Model) -> None:
    new = frame(NEW, "n").iloc[:, :60].copy()
    new.iloc[::2, 5] = np.nan
    old = OLD.copy()
    old[::7, 3] = np.nan
    grown = extend(model, new, frame(old, "s"), epochs=2)
    assert np.isfinite(grown.sample_embedding).all()


def test_the_published_recipe() -> None:
    config = FitConfig(**SMALL, recipe="published", iterations=200)
    found = fit(expression(OLD), config, transform="none")
    grown = extend(found, frame(NEW, "n"), frame(OLD, "s"), epochs=2)
    assert grown.parameters.gene_loading is None and grown.n_samples == N_OLD + 60


def test_refusals(model: Model) -> None:
    old, new = frame(OLD, "s"), frame(NEW, "n")
    with pytest.raises(InputError, match="'s0' is in the model already"):
        extend(model, frame(NEW, "s"), old)
    with pytest.raises(InputError, match="training sample 's1' is not in"):
        extend(model, new, old.drop(index="s1"))
    with pytest.raises(InputError, match="no gene in common"):
        extend(model, new.add_prefix("x"), old)
    for epochs in (-1, np.nan, np.inf):
        with pytest.raises(InputError, match="epochs is"):
            extend(model, new, old, epochs=epochs)


def test_the_commands(
    model: Model,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Extend, calibrate and impute from files, and what they refuse."""
    monkeypatch.chdir(tmp_path)
    model.save("model")
    frame(OLD, "s").to_csv("old.csv")
    frame(NEW, "n").to_csv("new.csv")
    frame(NEW, "n").iloc[:, :50].to_csv("panel.csv")

    def run(words: str) -> tuple[int, str, str]:
        status = app.run(words.split())
        return status, *capsys.readouterr()

    words = "extend model new.csv --training old.csv --epochs 1 -o grown --n-threads 1"
    status, out, _ = run(words)
    assert status == 0 and "drift" in out and store.load("grown").n_samples == N_OLD + 60
    status, out, _ = run("calibrate model new.csv -o known")
    assert status == 0 and "ellipse factor" in out
    known = store.load("known")
    assert known.calibration is not None and len(known.calibration.reference_loss) == 60
    assert run("project known new.csv -o placed.csv -q")[0] == 0
    p = pd.read_csv("placed.csv")["p_value"]
    assert (p > 0).all() and (p <= 1).all()
    status, out, _ = run("impute known panel.csv -o all.csv")
    assert status == 0 and "genes at hand" in out
    table = pd.read_csv("all.csv", index_col=0)
    assert table.shape == (60, N_GENES)
    assert_allclose(table.iloc[:, :50], NEW[:, :50], rtol=1e-6)
    before = sorted(path.name for path in tmp_path.iterdir())
    for words, message in {
        "extend model new.csv --training new.csv -o other": "'s0' is not in the training data",
        "extend model old.csv --training old.csv -o other": "'s0' is in the model already",
        "extend model new.csv --training old.csv -o grown": "grown exists",
        "extend model new.csv --training old.csv --epochs -1 -o other": "epochs is -1",
        "extend model new.csv --training absent.csv -o other": "absent.csv does not exist",
        "calibrate model new.csv -o known": "known exists",
        "calibrate model panel.csv -o other": "50 of the model's 90 genes",
        "impute known panel.csv -o all.csv": "all.csv exists already",
        "impute known panel.csv -o panel.csv --overwrite": "is also the input",
        "impute known panel.csv -o new.xlsx": "unknown ending",
        "impute known panel.csv -o x.csv --observed drop": "--observed is 'drop'; choose keep or",
        "impute known panel.csv -o x.csv --scale log": "--scale is 'log'; choose input or model",
        "impute absent panel.csv -o x.csv": "There is no model at absent",
    }.items():
        status, out, err = run(words)
        assert status == 2 and message in err and out == "", words
        assert err.startswith("fembed: ") and err.count("\n") == 1, err
    assert sorted(path.name for path in tmp_path.iterdir()) == before
