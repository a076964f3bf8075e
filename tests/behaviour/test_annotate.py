"""Labels carried over: honest probabilities, the same wherever the labels are kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData, read_h5ad
from numpy.testing import assert_allclose, assert_array_equal

matplotlib.use("Agg")

from matplotlib import pyplot

import fembed
from fembed import DataWarning, Expression, InputError, pl, tl
from fembed.commands.app import run
from fembed.inference import annotate, extend
from fembed.model import Model
from fembed.solvers import soft_labels
from tests.curved_expression import SMALL, curved, frame

N_OLD, N_NEW = 300, 60
QUADRANTS = np.array(["low/left", "low/right", "high/left", "high/right"], dtype=object)


def quadrant(n_samples: int, seed: int) -> np.ndarray:
    """The labels of the samples that `curved` draws: the quadrant of the square they lie in."""
    places = np.random.default_rng((seed, 1)).uniform(size=(n_samples, 2))
    codes = 2 * (places[:, 1] > 0.5) + (places[:, 0] > 0.5)
    return QUADRANTS[codes]


def samples(n_samples: int, seed: int, prefix: str) -> Expression:
    table = frame(curved(n_samples, seed=seed), prefix)
    found = Expression.from_array(table)
    obs = pd.DataFrame({"kind": quadrant(n_samples, seed), "half": "left"}, index=table.index)
    return replace(found, obs=obs)


@pytest.fixture(scope="module")
def old() -> Expression:
    return samples(N_OLD, 0, "s")


@pytest.fixture(scope="module")
def new() -> Expression:
    return samples(N_NEW, 8, "new")


@pytest.fixture(scope="module")
def model(old: Expression) -> Model:
    return fembed.fit(old, transform="none", labels="kind", iterations=1500, **SMALL)


# ---- the probabilities


def test_a_left_out_sample_votes_as_if_it_had_never_been_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(soft_labels, "PSEUDO_SAMPLES", (1e-12,))
    rng = np.random.default_rng(0)
    places, members = rng.normal(size=(40, 3)), np.eye(3)[rng.integers(3, size=40)]
    rows = np.array([0, 7, 39])
    for vote, found in soft_labels.Vote(places, members).left_out(rows):
        for row, left_out in zip(rows, found, strict=True):
            rest = np.delete(np.arange(40), row)
            without = replace(vote, places=places[rest], members=members[rest])
            assert_allclose(without(places[[row]], np.zeros((1, 3, 3)))[0], left_out, atol=1e-9)


def test_a_vote_is_averaged_over_the_uncertainty_of_the_place() -> None:
    rng = np.random.default_rng(1)
    places, members = rng.normal(size=(8, 2)), np.eye(2)[np.arange(8) % 2]
    vote = soft_labels.Vote(places, members, neighbours=4, pseudo_samples=1e-12)
    place, covariance = np.array([0.3, -0.2]), np.array([[0.5, 0.2], [0.2, 0.3]])
    squares = np.sort(np.square(places - place).sum(axis=1))
    width = squares[3] * soft_labels.SHARE**2 / 2
    draws = rng.multivariate_normal(place, covariance, 400_000)
    apart = np.square(draws[:, None] - places).sum(axis=2)
    counted = np.exp(-0.5 * apart / width).mean(axis=0) @ members
    found = vote(place[None], covariance[None])[0]
    assert_allclose(found, counted / counted.sum(), atol=5e-3)


def test_probabilities_are_those_of_bayes_rule() -> None:
    """Three overlapping normal distributions of different sizes, whose posterior is known."""
    rng = np.random.default_rng(2)
    centres, shares = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]]), np.array([0.5, 0.3, 0.2])

    def drawn(n: int) -> tuple[np.ndarray, np.ndarray]:
        codes = rng.choice(3, size=n, p=shares)
        return centres[codes] + rng.normal(size=(n, 2)), codes

    learnt = soft_labels.learn(*drawn(1500), 3)
    places, codes = drawn(2000)
    density = shares * np.exp(-0.5 * np.square(places[:, None] - centres).sum(axis=2))
    truth = density / density.sum(axis=1, keepdims=True)
    found = learnt.probability(places, np.zeros((2000, 2, 2)))
    assert_allclose(found.sum(axis=1), 1.0)
    assert np.abs(found - truth).mean() < 0.03
    right = found.argmax(axis=1) == codes
    assert soft_labels.calibration_error(found.max(axis=1), right) < 0.04
    assert right.mean() > (truth.argmax(axis=1) == codes).mean() - 0.01


def test_units_of_the_map_do_not_matter_and_no_place_gives_the_shares() -> None:
    rng = np.random.default_rng(3)
    places, codes = rng.normal(size=(60, 2)), rng.integers(2, size=60)
    at, spread = rng.normal(size=(5, 2)), np.tile(0.1 * np.eye(2), (5, 1, 1))
    one = soft_labels.learn(places, codes, 2)
    other = soft_labels.learn(7.0 * places, codes, 2)
    assert_allclose(
        one.probability(at, spread), other.probability(7.0 * at, 49.0 * spread), atol=1e-4
    )
    assert_allclose(
        one.probability(at, np.full_like(spread, np.inf)), np.tile(one.vote.shares, (5, 1))
    )
    wide = one.probability(at, 1e9 * spread)
    assert np.ptp(wide, axis=0).max() < 1e-3  # the place says next to nothing


def test_the_calibration_error_is_the_mean_gap_of_the_bins() -> None:
    said = np.array([0.95, 0.95, 0.55, 0.55, 1.0])
    right = np.array([True, False, True, True, True])
    # Three in the last bin: 2.9 said, 2 right; two in the sixth: 1.1 said, 2 right.
    assert soft_labels.calibration_error(said, right) == pytest.approx((0.9 + 0.9) / 5)


# ---- new samples


def test_new_samples_get_the_labels_of_those_beside_them(model: Model, new: Expression) -> None:
    found = annotate(model, new)
    known = found.agreement(new.labels("kind"))
    assert known["samples"] == N_NEW and known["accuracy"] > 0.9
    sure = found.margin > 0.9
    assert sure.any() and (found.most_probable[sure] == new.labels("kind")[sure]).all()
    assert_allclose(found.probabilities.sum(axis=1), 1.0)
    two = np.sort(found.probabilities, axis=1)[:, ::-1]
    assert_allclose(found.margin, two[:, 0] - two[:, 1])
    # One sample alone has the same label, as it has the same place.
    alone = annotate(model, new.take_samples([7]))
    assert_allclose(alone.probabilities[0], found.probabilities[7], atol=1e-6)


def test_a_sample_of_another_kind_is_unknown(model: Model, new: Expression) -> None:
    values = new.values.copy()
    values[:20] = np.random.default_rng(0).permuted(values[:20], axis=1)  # other programmes
    found = annotate(model, replace(new, values=values))
    assert (found.label[:20] == "unknown").mean() > 0.9
    assert (found.label[20:] == "unknown").mean() < 0.2
    assert_array_equal(found.unknown, found.projection.p_value <= 0.05)
    never = annotate(model, replace(new, values=values), threshold=0.0)
    assert_array_equal(never.label, found.most_probable)
    truth = np.where(np.arange(N_NEW) < 20, "strange", new.labels("kind"))
    known = found.agreement(truth)
    assert (known["samples"], known["others"]) == (40, 20) and known["unknown_others"] > 0.9


def test_labels_are_the_same_wherever_they_are_kept(
    model: Model, old: Expression, new: Expression, tmp_path: Path
) -> None:
    wanted = annotate(model, new).probabilities
    model.save(tmp_path / "model")
    assert_array_equal(fembed.load(tmp_path / "model").labels["kind"], old.labels("kind"))
    assert old.obs is not None
    shuffled = old.obs.sample(frac=1.0, random_state=0)
    others = pd.concat([shuffled, pd.DataFrame({"kind": ["x"]}, index=["somebody"])])
    for labels, reference in (
        ("kind", old), ("kind", others), (shuffled["kind"], None), (old.labels("kind"), None),
    ):  # fmt: skip
        assert_array_equal(annotate(model, new, labels, reference=reference).probabilities, wanted)
    assert_array_equal(annotate(tmp_path / "model", new).probabilities, wanted)


def test_samples_without_a_label_have_no_part(model: Model, new: Expression) -> None:
    gaps = np.arange(N_OLD) % 5 == 0
    texts = model.labels["kind"].copy()
    for nothing in ("", "NA", "unknown", None):
        texts[gaps] = nothing
        with pytest.warns(DataWarning, match="60 of 300 training samples have no label"):
            found = annotate(model, new, texts)
    kept = model.sample_embedding[~gaps].astype(float)
    names, codes = np.unique(texts[~gaps].astype(str), return_inverse=True)
    placed = found.projection
    wanted = soft_labels.learn(kept, codes, 4).probability(
        placed.sample_embedding.astype(float), placed.covariance
    )
    assert_array_equal(found.names, names)
    assert_allclose(found.probabilities, wanted, atol=1e-9)


def test_an_extended_model_keeps_the_labels_of_its_old_samples(
    model: Model, old: Expression, new: Expression
) -> None:
    grown = extend(model, new, old, epochs=0)
    assert_array_equal(grown.labels["kind"][:N_OLD], model.labels["kind"])
    assert (grown.labels["kind"][N_OLD:] == "NA").all()


def test_without_p_values_nobody_is_unknown_and_one_line_says_so(
    model: Model, new: Expression
) -> None:
    with pytest.warns(DataWarning, match="no p-values, so no sample is called unknown") as told:
        found = annotate(replace(model, calibration=None), new)
    assert len(told) == 1 and not found.unknown.any()


# ---- AnnData, command line, figures


def as_anndata(expression: Expression) -> AnnData:
    var = pd.DataFrame(index=expression.gene_names.astype(str))
    return AnnData(expression.values.copy(), obs=expression.obs, var=var)


def test_the_verb_takes_the_labels_of_a_reference(
    model: Model, old: Expression, new: Expression, tmp_path: Path
) -> None:
    wanted = annotate(model, new)
    adata, reference = as_anndata(new), as_anndata(old)
    tl.project(reference, replace(model, labels={}))  # its obs has the labels
    tl.annotate(adata, reference, "kind")
    assert_array_equal(adata.obs["fembed_label"], wanted.label)
    assert_allclose(adata.obs["fembed_margin"], wanted.margin)
    adata.write_h5ad(tmp_path / "new.h5ad")  # labels have slashes
    back = read_h5ad(tmp_path / "new.h5ad")
    assert_array_equal(back.obsm["fembed_labels"], wanted.probabilities)
    assert_array_equal(back.uns["fembed_labels"], wanted.names)
    tl.project(adata, model)  # places alone: no label of another map stays
    assert "fembed_label" not in adata.obs and "fembed_labels" not in adata.obsm
    fitted = as_anndata(old)
    tl.fit(fitted, transform="none", labels=["kind"], epochs=1, **SMALL)
    assert list(tl.model(fitted).labels) == ["kind"]


def test_the_command_writes_what_python_finds(
    model: Model, old: Expression, new: Expression, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    replace(model, labels={}).save("model")
    as_anndata(new).write_h5ad("new.h5ad")
    assert old.obs is not None
    old.obs.to_csv("labels.csv")
    wanted = annotate(model, new)
    line = "annotate model new.h5ad --label kind --reference labels.csv --n-threads 1"
    more = "-o out.csv --probabilities all.csv --confusion c.svg --reliability r.png"
    assert run([*line.split(), *more.split()]) == 0
    table = pd.read_csv("out.csv", index_col="sample")
    assert_array_equal(table["label"], wanted.label)
    assert_allclose(table["probability"], wanted.probability)
    assert {"most_probable", "margin", "p_value", "fembed_1"} <= set(table)
    every = pd.read_csv("all.csv", index_col="sample")
    assert_allclose(every[list(wanted.names)], wanted.probabilities, atol=1e-6)
    known = wanted.agreement(new.labels("kind"))
    out = capsys.readouterr().out
    assert f"{known['accuracy']:.4g}" in out and "calibration error" in out
    assert "high/right" in Path("c.svg").read_text() and Path("r.png").exists()


def test_figures_count_every_sample(model: Model, new: Expression) -> None:
    found, truth = annotate(model, new), pd.Series(new.labels("kind"), new.sample_names)
    truth.iloc[0], truth.iloc[1] = "strange", None
    ax = pl.confusion(found, truth[::-1])
    assert sum(int(text.get_text()) for text in ax.texts) == N_NEW - 1
    rows = [label.get_text() for label in ax.get_yticklabels()]
    assert rows == [*sorted(QUADRANTS), "strange"]
    columns = [label.get_text() for label in ax.get_xticklabels()]
    strange = [text for text in ax.texts if text.get_position()[1] == 4]
    assert columns[strange[0].get_position()[0]] == found.label[0]
    ax = pl.reliability(found, truth)
    (points,) = ax.containers
    mean, share = (np.asarray(part) for part in points.lines[0].get_data())
    said, right = found.probability[2:], (found.most_probable == truth)[2:]
    last = said >= 0.9
    assert_allclose((mean[-1], share[-1]), (said[last].mean(), right[last].mean()))
    pyplot.close("all")


# ---- refusals


def test_refusals(model: Model, old: Expression, new: Expression) -> None:
    bare, kinds = replace(model, labels={}), model.labels["kind"]
    few = np.where(np.arange(N_OLD) < 12, kinds, "")
    for call, message in (
        (lambda: annotate(bare, new), "keeps no labels; fit with"),
        (lambda: annotate(model, new, "type"), "keeps kind, not 'type'; name one of these"),
        (lambda: annotate(model, new, "type", reference=old), "no label column 'type'"),
        (lambda: annotate(model, new, "half", reference=old), "the label 'half' 'left'"),
        (lambda: annotate(model, new, "kind", reference=new), "none of the model's 300"),
        (lambda: annotate(model, new, reference=old), "give labels=COLUMN"),
        (lambda: annotate(model, new, "kind", reference=pd.concat([old.obs] * 2)), "'s0'"),
        (lambda: annotate(model, new, kinds[:-1]), "299 labels for 300 samples"),
        (lambda: annotate(model, new, few), "12 training samples of 300 have a label, and 20"),
        (lambda: annotate(model, new, threshold=2), "threshold is 2"),
        (lambda: fembed.fit(old, labels="type"), "no label column 'type'"),
        (lambda: pl.confusion(annotate(model, new), [None] * N_NEW), "No sample has a true label"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)
    rare = kinds.copy()
    rare[:2] = "rare"
    with pytest.warns(DataWarning, match="1 label of 5 have fewer than 5.*'rare' with 2"):
        annotate(model, new, rare)


def test_the_command_refuses_before_it_works(
    model: Model, new: Expression, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    model.save("model")
    frame(new.values).to_csv("new.csv")
    for words, message in (
        ("--threshold 2", "--threshold is 2"),
        ("--reference new.csv", "--reference needs --label"),
        ("--label type", "keeps kind, not 'type'"),
        ("--truth kind", "has no label column 'kind'"),
        ("--confusion c.png", "--confusion needs the true labels"),
        ("--confusion c.doc --truth kind", "unknown ending"),
        ("--probabilities out.csv", "are the same file, out.csv"),
    ):
        assert run(["annotate", "model", "new.csv", "-o", "out.csv", *words.split()]) == 2
        assert message in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"model", "new.csv"}
