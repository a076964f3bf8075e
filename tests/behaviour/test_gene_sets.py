"""Gene sets: files in whatever state, and members told from gene vectors across folds of genes."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import roc_auc_score

from fembed import DataWarning, Expression, InputError, evaluate_genes
from fembed.commands.app import run
from fembed.data.gene_sets import gene_sets, members
from fembed.evaluation.gene_sets import _area
from fembed.model import Model
from tests.tiny_model import tiny_model

N_GENES, N_SETS = 240, 6


@pytest.fixture(scope="module")
def model() -> Model:
    """Random, but for its gene vectors: those of a set lie around a point of their own."""
    rng, small = np.random.default_rng(0), tiny_model()
    p = small.parameters
    owner = np.arange(N_GENES) % N_SETS
    centres = 4.0 * rng.normal(size=(N_SETS, 3))
    vectors = centres[owner] + rng.normal(size=(N_GENES, 3))
    draw = rng.normal(size=(N_GENES, 3)).astype(np.float32)
    genes = replace(
        p,
        gene_embedding=vectors.astype(np.float32),
        gene_loading=np.ascontiguousarray(draw[:, :2]),
        gene_bias=np.ascontiguousarray(draw[:, 2]),
    )
    names = np.array([f"G{j}" for j in range(N_GENES)], dtype=object)
    return replace(small, parameters=genes, gene_names=names)


@pytest.fixture(scope="module")
def sets(model: Model) -> dict[str, list[str]]:
    return {f"set {k}": list(model.gene_names[k::N_SETS]) for k in range(N_SETS)}


def test_planted_sets_are_told_and_shuffled_ones_are_not(
    model: Model, sets: dict[str, list[str]]
) -> None:
    found = evaluate_genes(model, sets).summary().set_index("method")
    assert found.loc["gene vectors", "knn_auc"] > 0.9
    assert found.loc["gene vectors", "linear_auc"] > 0.75
    many = {
        f"{k}": list(np.random.default_rng(k).permutation(model.gene_names)[:40]) for k in range(60)
    }
    scores = evaluate_genes(model, many)
    for method in ("gene vectors", "shuffled sets"):
        row = scores.summary().set_index("method").loc[method]
        for measure in ("knn_auc", "linear_auc"):
            assert abs(row[measure] - 0.5) < 4 * row[f"{measure}_se"] < 0.05
    gaps = scores.differences().set_index(["baseline", "measure"])["difference"]
    wide = scores.table.pivot_table(index="set", columns="method", values="knn_auc")
    gap = (wide["gene vectors"] - wide["shuffled sets"]).mean()
    assert gaps["shuffled sets", "knn_auc"] == pytest.approx(gap)


@pytest.mark.filterwarnings("ignore:the array seems")  # the model is of no data
def test_baselines_are_of_the_data(model: Model, sets: dict[str, list[str]]) -> None:
    """Expression whose components are the sets; the gene vectors know nothing of them."""
    rng = np.random.default_rng(3)
    activity = 3.0 * rng.normal(size=(50, N_SETS))
    values = activity[:, np.arange(N_GENES) % N_SETS] + rng.normal(size=(50, N_GENES)) + 20
    values[rng.random(values.shape) < 0.05] = np.nan
    data = Expression.from_array(pd.DataFrame(values, columns=model.gene_names))
    blind = replace(
        model,
        parameters=replace(
            model.parameters,
            gene_embedding=rng.normal(size=(N_GENES, 3)).astype(np.float32),
        ),
        preprocessing=replace(model.preprocessing, transform="none"),
    )
    found = evaluate_genes(blind, sets, data).summary().set_index("method")["knn_auc"]
    assert list(found.index) == [
        *("gene vectors", "decoded profiles", "PCA, 2 components", "PCA, 3 components"),
        *("co-expression", "shuffled sets"),
    ]
    assert found["co-expression"] > 0.95 and found["PCA, 3 components"] > 0.8
    assert found["PCA, 2 components"] < found["PCA, 3 components"]
    assert abs(found["gene vectors"] - 0.5) < 0.1


def test_the_area_is_that_of_the_roc_curve() -> None:
    rng = np.random.default_rng(0)
    scores, belongs = rng.integers(0, 9, (50, 4)).astype(float), rng.random((50, 4)) < 0.3
    belongs[:, 3] = True
    wanted = [roc_auc_score(belongs[:, k], scores[:, k]) for k in range(3)]
    assert_allclose(_area(scores, belongs), [*wanted, np.nan])


# ---- files


def test_a_file_is_read_in_whatever_state_it_is(tmp_path: Path) -> None:
    text = "# a comment\n\nA\turl\tG1\tG2\tG2\t\r\nlonely\nB\tG9\nA\tagain\tG3\nC\t\tG1\n"
    for name, content in (("a.gmt", text.encode()), ("a.gmt.gz", gzip.compress(text.encode()))):
        (tmp_path / name).write_bytes(content)
        with pytest.warns(DataWarning) as told:
            found, _ = gene_sets(tmp_path / name)
        assert found == {"A": ["G1", "G2", "G3"], "C": ["G1"]}
        first, second = (str(one.message) for one in told)
        assert "2 lines without a gene, the first of them line 4" in first
        assert "names 1 set more than once (such as 'A', lines 3 and 6)" in second


def test_sets_that_cannot_be_judged_are_left_out_and_told() -> None:
    genes = np.array([f"G{j}" for j in range(30)], dtype=object)
    sets = {
        "good": [f"G{j}" for j in range(8, 0, -1)],
        "same": [f"G{j}" for j in range(1, 9)],
        "small": ["G1", "other"],
        "nearly all": list(genes[:-1]),
    }
    with pytest.warns(DataWarning) as told:
        names, belongs = members(sets, "sets.gmt", genes, 5)
    assert names == ["good"] and np.flatnonzero(belongs[:, 0]).tolist() == list(range(1, 9))
    messages = [str(one.message) for one in told]
    assert any("2 of 4 sets in sets.gmt have fewer than 5" in one for one in messages)
    assert any("('same' and 'good')" in one.replace("such as ", "") for one in messages)


def test_refusals(model: Model, tmp_path: Path) -> None:
    (tmp_path / "none.gmt").write_text("name\tonly\n")
    (tmp_path / "damaged.gmt.gz").write_bytes(gzip.compress(b"A\tb\tG1\n")[:-9])
    genes = list(model.gene_names)
    for sets, message in (
        (tmp_path / "absent.gmt", "is not a file that exists"),
        (tmp_path / "none.gmt", "holds no gene set; a line of a .gmt file has"),
        (tmp_path / "damaged.gmt.gz", "damaged"),
        ({"A": genes[:4]}, r"No set of .*\(the largest has 4\)"),
        ({"A": ["TP53"]}, "No gene in the collection is one of the model"),
        ({"A": "TP53"}, "The gene set 'A' is 'TP53'; give a list"),
        (7, "The gene sets are 7"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            evaluate_genes(model, sets)
        assert "\n" not in str(caught.value)
    for options in ({"folds": 1}, {"min_genes": 3}, {"seed": -1}):
        with pytest.raises(InputError, match=next(iter(options))):
            evaluate_genes(model, {"A": genes[:40]}, **options)


# ---- the command


def test_the_command_says_what_python_finds(
    model: Model, sets: dict[str, list[str]], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    model.save("model")
    lines = ["\t".join([name, "", *genes]) for name, genes in sets.items()]
    Path("sets.gmt").write_text("\n".join(lines))
    wanted = evaluate_genes(model, "sets.gmt", folds=4, seed=3)
    words = "--sets sets.gmt --folds 4 --seed 3 -o found.csv"
    assert run(["genes", "model", *words.split()]) == 0
    pd.testing.assert_frame_equal(pd.read_csv("found.csv"), wanted.table)
    out = capsys.readouterr().out
    assert f"{wanted.summary()['knn_auc'][0]:.3f}" in out and "6 gene sets" in out
    for words, message in (
        ("--sets sets.gmt --near G1", "--near and --sets are two tasks"),
        ("--data sets.gmt -o x.csv", "--data and --with are for --sets"),
        ("--sets sets.gmt --folds 1", "--folds is 1"),
        ("--sets sets.gmt -o sets.gmt", "unknown ending"),
        ("--sets absent.gmt", "absent.gmt is not a file that exists"),
    ):
        assert run(["genes", "model", *words.split()]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
