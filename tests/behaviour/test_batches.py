"""Models with batches: what they decode, place, impute and keep, in a batch and without one."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData, read_h5ad
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.neighbors import KNeighborsClassifier

import fembed
from fembed import Expression, InputError, Model, tl
from fembed.commands import app
from fembed.config import FitConfig
from fembed.data import backed
from fembed.estimator import FactorizedEmbedding
from fembed.train import batch_columns, checkpoint, trainer
from tests.curved_expression import SMALL, curved, frame
from tests.two_layers import QUICK as QUICK_LAYERS
from tests.two_layers import rna_and_protein

N_OLD, N_NEW = 240, 60
RNG = np.random.default_rng(0)
SHIFT = RNG.normal(0, 1, 90).astype(np.float32)
LAB = np.where(np.arange(N_OLD) % 3 == 0, "A", "B").astype(object)
AGE = RNG.normal(50, 10, N_OLD)
SLOPE = RNG.normal(0, 0.03, 90)
PLAIN, NEW = curved(N_OLD, seed=0), curved(N_NEW, seed=8)
SHIFTED = PLAIN + np.outer(LAB == "A", SHIFT) + np.outer(AGE - 50, SLOPE).astype(np.float32)


def samples(values: np.ndarray, prefix: str, **obs: Any) -> Expression:
    table = frame(values, prefix)
    found = Expression.from_array(table)
    return replace(found, obs=pd.DataFrame(obs, index=table.index))


@pytest.fixture(scope="module")
def old() -> Expression:
    return samples(SHIFTED, "s", lab=LAB, age=AGE)


@pytest.fixture(scope="module")
def model(old: Expression) -> Model:
    return fembed.fit(
        old, transform="none", batch="lab", covariates="age", iterations=1500, **SMALL
    )


@pytest.fixture(scope="module")
def files(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, and new samples in the batch A: their data, and the same with gaps and unknowns."""
    folder = tmp_path_factory.mktemp("batches")
    model.save(folder / "m")
    obs = pd.DataFrame(
        {"lab": "A", "age": 50.0, "gaps": ["A"] * 59 + [None], "other": ["A"] * 59 + ["C"]},
        index=[f"new{i}" for i in range(N_NEW)],
    )
    var = pd.DataFrame(index=[f"g{j}" for j in range(90)])
    AnnData(NEW + SHIFT, obs, var).write_h5ad(folder / "new.h5ad")
    obs = pd.DataFrame(
        {
            "lab": LAB,
            "age": AGE,
            "gaps": [None, *LAB[1:]],
            "alone": ["A", *["B"] * (N_OLD - 1)],
        },
        index=[f"s{i}" for i in range(N_OLD)],
    )
    AnnData(SHIFTED.astype(np.float32), obs, var).write_h5ad(folder / "old.h5ad")
    return folder


# ---- map, decoding, placing


def told_apart(places: np.ndarray) -> float:
    """How often the five nearest others tell the batch, beyond the larger batch's share."""
    near = KNeighborsClassifier(6).fit(places, LAB).kneighbors(return_distance=False)[:, :5]
    return float((LAB[near] == LAB[:, None]).mean())


def test_the_map_has_no_batches_in_it(model: Model) -> None:
    without = fembed.fit(frame(SHIFTED, "s"), transform="none", iterations=500, **SMALL)
    assert told_apart(without.sample_embedding) > 0.9
    assert told_apart(model.sample_embedding) < 0.65  # at random: 5/9


def test_decoding_in_a_batch_adds_its_shift(model: Model) -> None:
    points = model.sample_embedding[:5]
    effects = model.batch_effects
    assert effects is not None
    common = model.decode(points)
    assert_array_equal(model.decode(points, in_batch="none"), common)
    of_a = model.decode(points, in_batch="A")
    expected = (common - effects.centre + effects.shift[0]) * effects.scale[0] + effects.centre
    assert_allclose(of_a, expected, atol=1e-4)
    assert_array_equal(model.decode(points, in_batch="lab=A"), of_a)
    assert_array_equal(model.decode(points, ["g3"], in_batch="A"), of_a[:, [3]])
    difference = of_a - model.decode(points, in_batch="B")
    assert np.linalg.norm(difference - SHIFT, axis=1).max() < 0.15 * np.linalg.norm(SHIFT)
    with pytest.raises(InputError, match="no batch 'C'; it has A, B"):
        model.decode(points, in_batch="C")
    with pytest.raises(InputError, match="one batch of 'lab', not in 'A' and 'B'"):
        model.decode(points, in_batch=["A", "B"])


def test_a_sample_has_one_place_whichever_batch_measures_it(model: Model) -> None:
    in_a = fembed.project(model, frame(NEW + SHIFT), batch={"lab": ["A"] * N_NEW})
    in_b = fembed.project(model, frame(NEW), batch={"lab": ["B"] * N_NEW})
    unknown = fembed.project(model, frame(NEW + SHIFT))
    spread = model.sample_embedding.std()
    apart, unmended = (
        np.linalg.norm(one.sample_embedding - in_b.sample_embedding, axis=1)
        for one in (in_a, unknown)
    )
    assert np.median(apart) < min(0.1 * spread, 0.75 * np.median(unmended))
    assert np.median(in_a.loss) < 1.5 * np.median(in_b.loss)
    assert (in_a.p_value < 0.05).mean() < 0.2


def test_a_covariate_moves_a_sample_as_its_slope_says(model: Model) -> None:
    older = NEW + (60 * SLOPE).astype(np.float32)
    plain = fembed.project(model, frame(NEW)).sample_embedding
    mended = fembed.project(model, frame(older), covariates={"age": [110.0] * N_NEW})
    left = fembed.project(model, frame(older)).sample_embedding
    error, unmended = (np.abs(one - plain).mean() for one in (mended.sample_embedding, left))
    assert error < 0.3 * unmended


def test_batch_mates_do_not_matter(model: Model) -> None:
    batch = pd.Series(np.where(np.arange(N_NEW) % 2, "A", "B"), [f"new{i}" for i in range(N_NEW)])
    table = frame(NEW + SHIFT)
    together = fembed.project(model, table, batch={"lab": batch}).sample_embedding
    alone = fembed.project(model, table.iloc[[7]], batch={"lab": batch}).sample_embedding
    assert_array_equal(alone[0], together[7])


def test_large_data_are_placed_in_parts_with_their_batches(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = np.where(np.arange(N_NEW) % 2, "A", "B")
    adata = AnnData(
        (NEW + SHIFT).astype(np.float32),
        pd.DataFrame({"lab": lab}, index=[f"new{i}" for i in range(N_NEW)]),
        pd.DataFrame(index=[f"g{j}" for j in range(90)]),
    )
    whole = fembed.project(model, adata, batch="lab").sample_embedding
    monkeypatch.setattr(backed, "MIN_ENTRIES", 0)
    monkeypatch.setattr(backed, "ENTRIES_PER_PART", 7 * 90)
    for batch in ("lab", {"lab": lab}):
        assert_array_equal(fembed.project(model, adata, batch=batch).sample_embedding, whole)
    with pytest.raises(InputError, match="3 values of 'lab' for 60 samples"):
        fembed.project(model, adata, batch={"lab": lab[:3]})


def test_shuffled_batches_leave_the_map_as_good() -> None:
    shuffled = np.random.default_rng(1).permutation(LAB)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fembed.DataWarning)  # that they could be left out
        model = fembed.fit(
            frame(PLAIN, "s"), transform="none", batch={"lab": shuffled}, iterations=500, **SMALL
        )
    plain = fembed.fit(frame(PLAIN, "s"), transform="none", iterations=500, **SMALL)
    name = "explained_variance"
    assert model.training[name] > plain.training[name] - 0.01


# ---- what a model with batches is used for


def test_imputation_is_in_the_samples_batch_or_in_any(model: Model) -> None:
    shown = frame(NEW + SHIFT).iloc[:, :60]
    batch = {"lab": ["A"] * N_NEW}
    own = fembed.impute(model, shown, batch=batch)
    assert_array_equal(own.values[:, :60], shown.to_numpy())
    hidden = (NEW + SHIFT)[:, 60:]
    assert np.abs(own.values[:, 60:] - hidden).mean() < 0.12
    other = fembed.impute(model, shown, batch=batch, in_batch="B", sd=True)
    assert np.abs(other.values - NEW).mean() < 0.12
    assert other.sd is not None and np.isfinite(other.sd[:, 60:]).all()


def test_aberrant_genes_and_labels_are_those_of_the_common_level(model: Model) -> None:
    changed = NEW + SHIFT
    changed[4, 11] += 3.0
    found = fembed.aberrant_genes(model, frame(changed), batch={"lab": ["A"] * N_NEW})
    assert np.unravel_index(np.nanargmin(found.p_value), found.p_value.shape) == (4, 11)
    kind = np.where(
        model.sample_embedding[:, 0] > np.median(model.sample_embedding[:, 0]), "x", "y"
    )
    given = [
        fembed.annotate(model, frame(values), kind, batch={"lab": [lab] * N_NEW})
        for values, lab in ((NEW + SHIFT, "A"), (NEW, "B"))
    ]
    assert (given[0].most_probable == given[1].most_probable).mean() > 0.95


def test_calibration_and_extension_take_batches(model: Model, old: Expression) -> None:
    new = samples(NEW + SHIFT, "new", lab="A")
    again = fembed.calibrate(model, old)
    assert again.calibration is not None and again.residual_factors is not None
    assert model.residual_factors is not None
    assert_allclose(again.residual_factors.noise, model.residual_factors.noise, rtol=0.5)
    grown = fembed.extend(model, new, old, batch="lab", epochs=0)
    effects = grown.batch_effects
    assert effects is not None and model.batch_effects is not None
    assert_array_equal(effects.shift, model.batch_effects.shift)
    assert_array_equal(effects.columns[0].codes[N_OLD:], 0)
    placed = fembed.project(model, new, batch="lab")
    assert_allclose(grown.sample_embedding[N_OLD:], placed.sample_embedding, atol=1e-4)
    grown.check()
    with pytest.raises(InputError, match="No genes can be added to a model with batches"):
        fembed.add_genes(model, old)


def test_a_model_is_saved_with_its_batches(model: Model, files: Path) -> None:
    loaded = fembed.load(files / "m")
    assert loaded.batch_effects is not None and model.batch_effects is not None
    one, other = loaded.batch_effects, model.batch_effects
    assert one.to_dict() == other.to_dict()
    for name in ("shift", "scale", "centre"):
        assert_array_equal(getattr(one, name), getattr(other, name))
    points = model.sample_embedding[:3]
    assert_array_equal(loaded.decode(points, in_batch="B"), model.decode(points, in_batch="B"))
    assert "A, B" in str(loaded)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: replace(e, shift=e.shift[:1]), "batch_shift"),
        (lambda e: replace(e, scale=0 * e.scale), "batch_scale"),
        (lambda e: replace(e, sizes=e.sizes[1:]), "'size' for each"),
        (lambda e: e.with_samples([np.zeros(1, np.int64)], [np.zeros(1)]), "not one per sample"),
        (
            lambda e: replace(
                e, columns=(replace(e.columns[0], codes=9 + 0 * e.columns[0].codes),)
            ),
            "a number of no batch",
        ),
    ],
)
def test_unsound_effects_are_refused(model: Model, change: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(model, batch_effects=change(model.batch_effects)).check()


def test_layers_have_batches_too() -> None:
    rna, protein = rna_and_protein(120, 1)
    lab = np.where(np.arange(120) % 2, "A", "B")
    shifted = protein.copy()
    shifted.loc[lab == "A"] += 800.0
    model = fembed.fit(
        {"rna": rna, "protein": shifted}, transform="cpm", batch={"lab": lab}, **QUICK_LAYERS
    )
    points = model.sample_embedding[:4]
    values = [model.preprocessing.invert(model.decode(points, in_batch=b)) for b in "AB"]
    assert_allclose((values[0] - values[1])[:, -protein.shape[1] :], 800.0, rtol=0.35)


def test_a_fit_is_resumed_only_with_its_batches(
    tmp_path: Path, old: Expression, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "SECONDS", 0.0)
    monkeypatch.setattr(trainer, "SECONDS_PER_CALL", 1e-9)
    path = tmp_path / "kept"

    def stop(progress: Any) -> None:
        if progress.step > 50:
            raise KeyboardInterrupt

    how: dict[str, Any] = {"transform": "none", "iterations": 100, **SMALL}
    with pytest.raises(KeyboardInterrupt):
        fembed.fit(old, batch="lab", checkpoint=path, callback=stop, **how)
    assert path.exists()
    for other in ({}, {"batch": {"lab": np.where(LAB == "A", "B", "A")}}):
        with pytest.raises(InputError, match="batches"):
            fembed.fit(old, checkpoint=path, **other, **how)
    resumed = fembed.fit(old, batch="lab", checkpoint=path, **how)
    whole = fembed.fit(old, batch="lab", **how)
    assert_array_equal(resumed.sample_embedding, whole.sample_embedding)
    design = batch_columns.design_of(old, "lab", None)
    config = FitConfig(iterations=100, **SMALL)
    assert checkpoint.is_of(resumed, old, resumed.preprocessing, config, design=design)
    assert not checkpoint.is_of(resumed, old, resumed.preprocessing, config)


def test_the_anndata_verbs_and_the_estimator_give_the_same(old: Expression) -> None:
    how: dict[str, Any] = {"iterations": 100, **SMALL}
    direct = fembed.fit(old, transform="none", batch="lab", **how)
    adata = AnnData(
        SHIFTED.astype(np.float32),
        old.obs,
        pd.DataFrame(index=[f"g{j}" for j in range(90)]),
    )
    tl.fit(adata, transform="none", batch_key="lab", **how)
    assert_array_equal(adata.obsm["X_fembed"], direct.sample_embedding)
    inside = tl.decode(adata, in_batch="A").X - tl.decode(adata, in_batch="B").X
    assert np.abs(inside - SHIFT).max() < 0.5
    new = AnnData(
        (NEW + SHIFT).astype(np.float32),
        pd.DataFrame({"lab": ["A"] * N_NEW}, index=[f"new{i}" for i in range(N_NEW)]),
        adata.var[[]],
    )
    tl.project(new, adata, batch_key="lab")
    placed = fembed.project(direct, frame(NEW + SHIFT), batch={"lab": ["A"] * N_NEW})
    assert_array_equal(new.obsm["X_fembed"], placed.sample_embedding)
    options = {k: v for k, v in how.items() if k != "n_threads"}
    found = FactorizedEmbedding(preprocessing="none", random_state=0, **options).fit_transform(
        SHIFTED, batch=LAB
    )
    assert_array_equal(found, direct.sample_embedding)


# ---- the command line


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    status = app.run(list(words))
    out, err = capsys.readouterr()
    return status, out + err


def test_the_commands(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, m = str(files / "old.h5ad"), str(tmp_path / "m")
    words = ["--transform", "none", "--batch", "lab", "--covariate", "age", "--hidden", "32,32"]
    words += ["--gene-components", "8", "--iterations", "150", "--n-threads", "1"]
    status, said = told(capsys, "fit", data, "-o", m, *words)
    assert status == 0 and "lab (2 batches" in said and "age (covariate" in said
    status, said = told(capsys, "info", m)
    assert status == 0 and "lab (2 batches" in said
    new = str(files / "new.h5ad")
    placed = str(tmp_path / "p.h5ad")
    status, _ = told(capsys, "project", m, new, "-o", placed, "--batch", "lab", "-q")
    assert status == 0
    direct = fembed.project(fembed.load(m), read_h5ad(new), batch="lab")
    assert_array_equal(read_h5ad(placed).obsm["X_fembed"], direct.sample_embedding)
    tables = []
    for batch in ("A", "B"):
        table = str(tmp_path / f"{batch}.csv")
        assert told(capsys, "decode", m, placed, "-o", table, "--in-batch", batch, "-q")[0] == 0
        tables.append(pd.read_csv(table, index_col=0).to_numpy())
    assert np.abs(tables[0] - tables[1] - SHIFT).max() < 0.5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("fit old.h5ad -o x --transform none --batch nothing", "has no column 'nothing'"),
        ("fit old.h5ad -o x --transform none --batch gaps", "no value for 1 sample, such as 's0'"),
        (
            "fit old.h5ad -o x --transform none --batch alone",
            "the one sample 's0' in the batch 'A'",
        ),
        ("fit old.h5ad -o x --transform none --covariate lab", "is 'A' for the sample 's0'"),
        ("fit old.h5ad -o x --likelihood counts --batch lab", "counts has no batches yet"),
        ("project m new.h5ad -o x.csv --batch other", "'new59' in new.h5ad has the batch 'C'"),
        ("project m new.h5ad -o x.csv --batch gaps", "'new59' in new.h5ad has no batch"),
        ("project m new.h5ad -o x.csv --batch nothing", "has no column 'nothing'"),
        ("project m new.h5ad -o x.csv --covariate lab", "no covariate 'lab'; it has age"),
        ("impute m new.h5ad -o x.csv --in-batch C", "no batch 'C'; it has A, B"),
    ],
)
def test_a_mistake_is_one_sentence(
    words: str,
    message: str,
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(files)
    before = sorted(path.name for path in files.iterdir())
    status, said = told(capsys, *words.split())
    assert status == 2 and message in said and said.count("\n") == 1, said
    assert sorted(path.name for path in files.iterdir()) == before
