"""Evaluations that cannot be done: one clear sentence each, before anything long begins."""

from __future__ import annotations

import builtins
import json
import sys
import time
import warnings
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, ShuffleSplit
from sklearn.pipeline import make_pipeline

from fembed import DataWarning, Expression, FactorizedEmbedding, InputError, Workers, evaluate
from fembed.commands.app import run
from fembed.evaluation.annotations import labelled, read_table
from tests.small_expression import frame, write_csv, write_h5ad

HERE = Workers(n_workers=1)
COUNTS = frame().to_numpy(np.float32)
N = len(COUNTS)
GROUPS = np.array([f"group {i % 3}" for i in range(N)])
SMALL = FactorizedEmbedding(hidden=(8,), gene_components=4, epochs=2, random_state=0)
STUDIES = np.repeat(["A", "B"], N // 2)
TIME_EVENT = np.column_stack([np.arange(1.0, N + 1), np.arange(N) % 2])


def replaced(array, position, value):
    changed = np.array(array, dtype=object)
    changed[position] = value
    return changed


@pytest.mark.parametrize(
    ("y", "options", "words"),
    [
        (np.repeat("a", N), {}, "All 36 samples have the label 'a'"),
        (GROUPS[:-1], {}, "35 labels for 36 samples"),
        (replaced(GROUPS, 3, None), {}, "'sample_3' has no label"),
        (pd.array(replaced(GROUPS, 3, None), dtype="string"), {}, "'sample_3' has no label"),
        (replaced(GROUPS, slice(0, 2), "rare"), {}, "'rare' has 2 member.* fewer than the 5 folds"),
        (np.where(np.arange(N) < 18, 1.0, 2.5), {"task": "classification"}, "task regression"),
        (replaced(np.arange(36.0), 2, "high"), {"task": "regression"}, "'sample_2' is 'high'"),
        (np.full(N, 2.0), {"task": "regression"}, "All 36 samples have the label 2"),
        (GROUPS, {"task": "guessing"}, "no task 'guessing'"),
        (GROUPS, {"cv": 1}, "2 folds and 1 repeat are the least"),
        (GROUPS, {"cv": 37}, "36 samples are too few for 37 folds"),
        (GROUPS, {"repeats": 0}, "repeats is 0; choose a whole number from 1"),
        (GROUPS, {"cv": ShuffleSplit(2), "repeats": 2}, "a splitter repeats by itself"),
        (GROUPS, {"cv": []}, "no fold"),
        (GROUPS, {"cv": "five"}, "cv cannot split"),
        (
            GROUPS,
            {"cv": [(range(20), range(10, 36))]},
            "sample number 11 in both training and test",
        ),
        (GROUPS, {"cv": [(range(36), [])]}, "empty part"),
        (GROUPS, {"cv": [(range(0, 36, 3), [1, 2])]}, "trains on one class only"),
        (GROUPS, {"dims": [0]}, "dimension in dims is 0; choose a whole number from 1 to 128"),
        (GROUPS, {"dims": [2, 2]}, "given twice"),
        (GROUPS, {"dims": [129]}, "dimension in dims is 129"),
        (GROUPS, {"dims": [28]}, "28 dimensions need more than the 28 training samples"),
        (GROUPS, {"baselines": ["tsne"]}, "no baseline 'tsne'; choose among pca, umap, raw"),
        (GROUPS, {"baselines": ["fembed"]}, "not a baseline"),
        (GROUPS, {"estimator": "forest"}, "no model 'forest' for classification"),
        (GROUPS, {"estimator": SMALL}, "an embedding alone"),
        (GROUPS, {"estimator": object()}, "object, not a scikit-learn estimator"),
        (GROUPS, {"groups": np.arange(5)}, "groups have shape"),
        (GROUPS, {"groups": replaced(np.arange(N), 4, None)}, "'sample_4' has no group"),
        (GROUPS, {"groups": np.arange(N) % 4}, "groups are 4, fewer than the 5 folds"),
        (GROUPS, {"groups": np.arange(N) % 6}, "'group 0' is in 2 group.*, fewer than the 5 folds"),
        (
            GROUPS,
            {"groups": np.arange(N) // 2, "cv": ShuffleSplit(2, random_state=0)},
            "in both training and test .* GroupKFold",
        ),
        (GROUPS, {"hold_out_groups": "study"}, "no column 'study' in the annotations"),
        (GROUPS, {"hold_out_groups": np.arange(5)}, "groups have shape"),
        (GROUPS, {"hold_out_groups": np.repeat("one", N)}, "All 36 samples are in the group 'one'"),
        (
            GROUPS,
            {"hold_out_groups": replaced(STUDIES, [4, 5], [None, " "])},
            r"'sample_4' has no group to hold out \(2 such",
        ),
        (
            GROUPS,
            {"hold_out_groups": replaced(STUDIES, 0, "tiny")},
            "'tiny' has 1 sample.*measures need 2 or more",
        ),
        (
            np.where(STUDIES == "B", "only there", GROUPS),
            {"hold_out_groups": STUDIES},
            "None of the 18 samples of the group 'A' has a label that another group has",
        ),
        (
            replaced(np.where(STUDIES == "B", "only there", GROUPS), -1, "group 0"),
            {"hold_out_groups": STUDIES},
            r"'B' has 1 sample\(s\) with a label that another group has",
        ),
        (
            np.where(np.arange(N) < 34, "a", ["b", "a"] * (N // 2)),
            {"hold_out_groups": np.where(np.arange(N) < 33, "A", "B")},
            "holds out 'B' trains on one class only",
        ),
        (GROUPS, {"hold_out_groups": STUDIES, "groups": np.arange(N) // 4}, "in both training and"),
        (GROUPS, {"hold_out_groups": STUDIES, "cv": 3}, "one fold for each group; leave out cv"),
        (TIME_EVENT[:, :1], {"task": "survival"}, "two columns, time and event"),
        (replaced(TIME_EVENT, (3, 0), "alive"), {"task": "survival"}, "'sample_3' is 'alive'"),
        (replaced(TIME_EVENT, (3, 1), "maybe"), {"task": "survival"}, "event of .* is 'maybe'"),
        (replaced(TIME_EVENT, (3, 0), -1.0), {"task": "survival"}, "-1; times cannot be negative"),
        (TIME_EVENT * [1, 0], {"task": "survival"}, "No sample has the event"),
        (
            np.column_stack([np.arange(N), np.arange(N) < 2]),
            {"task": "survival"},
            "The event has 2 member",
        ),
        (
            TIME_EVENT,
            {"task": "survival", "cv": [(range(30), range(30, 36, 2))]},
            "no two samples whose order",
        ),
    ],
)
def test_impossible_evaluation_is_refused_in_one_sentence(y, options, words):
    options = {"embedding": SMALL, "dims": [2], "baselines": (), "workers": HERE} | options
    with pytest.raises(InputError, match=words) as caught:
        evaluate(COUNTS, y, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (frame().iloc[0], "shape .24,.; give a matrix"),
        ([[1.0, 2.0], [3.0]], "different lengths"),
        ({"a": 1}, "takes one matrix"),
    ],
)
def test_what_is_no_matrix_is_refused(data, words):
    with pytest.raises(InputError, match=words):
        evaluate(data, GROUPS, embedding=SMALL, dims=[2], baselines=(), workers=HERE)


def test_cox_model_refuses_more_genes_than_samples():
    wide = np.tile(COUNTS, (1, 2))
    options = {"embedding": SMALL, "dims": [2], "baselines": ["raw"], "workers": HERE}
    with pytest.raises(InputError, match="raw is no baseline for survival here"):
        evaluate(wide, TIME_EVENT, **options)


def test_search_over_the_embedding_has_no_place_for_baselines():
    search = GridSearchCV(
        make_pipeline(SMALL, LogisticRegression()), {"factorizedembedding__n_components": [1, 2]}
    )
    with pytest.raises(InputError, match="searches over settings of the embedding"):
        evaluate(COUNTS, GROUPS, estimator=search, baselines=["pca"], workers=HERE)
    with pytest.raises(InputError, match="searches over settings of the embedding"):
        evaluate(COUNTS, GROUPS, estimator=search, baselines=(), dims=[2], workers=HERE)


def test_what_training_refuses_names_its_fold():
    lacking = COUNTS.copy()
    lacking[:35, 4] = np.nan  # where the last sample is tested, nobody has this gene
    with pytest.raises(InputError, match=r"Fold \d of repeat 1, fembed in 2 .*no observed entry"):
        evaluate(lacking, GROUPS, embedding=SMALL, dims=[2], baselines=(), workers=HERE)


@pytest.mark.parametrize(
    ("package", "options", "extra"),
    [
        ("umap", {"label": GROUPS, "baselines": ["umap"]}, "umap"),
        ("lifelines", {"label": TIME_EVENT, "baselines": ()}, "survival"),
        (
            "distributed",
            {"label": GROUPS, "baselines": (), "workers": Workers("dask", "tcp://127.0.0.1:9")},
            "dask",
        ),
    ],
)
def test_missing_package_is_named_with_its_extra(package, options, extra, monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name.split(".")[0] == package:
            raise ImportError(f"No module named {name!r}")
        return real(name, *rest)

    monkeypatch.delitem(sys.modules, package, raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    options = {"workers": HERE, "dims": [2], "embedding": SMALL} | options
    with pytest.raises(InputError, match=rf"fembed\[{extra}\]"):
        evaluate(COUNTS, **options)


class TestCommand:
    @pytest.fixture
    def data(self, tmp_path: Path) -> str:
        adata = anndata.read_h5ad(write_h5ad(tmp_path / "plain.h5ad"))
        adata.obs["patient"] = [f"p{i // 2}" for i in range(N)]
        adata.obs["one"] = "same"
        adata.obs["study"] = pd.Categorical([*"aab", None, *["b"] * (N - 4)])
        adata.obs["months"] = np.arange(N, dtype=float)
        adata.obs["status"] = ["dead", *["alive"] * (N - 1)]
        adata.obs["died"] = np.arange(N) % 2
        adata.write_h5ad(tmp_path / "small.h5ad")
        return str(tmp_path / "small.h5ad")

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ("", "Give --label COLUMN"),
            ("--label nothing", "no label column 'nothing'"),
            ("--label one", "All 36 samples have the label 'same'"),
            ("--label patient", "'p0' has 2 member(s), fewer than the 5 folds"),
            ("--label group --groups one", "groups are 1, fewer than the 5 folds"),
            ("--label group --groups nothing", "no label column 'nothing'"),
            ("--label group --hold-out-groups nothing", "no label column 'nothing'"),
            ("--label group --hold-out-groups one", "All 36 samples are in the group 'same'"),
            ("--label group --hold-out-groups study", "'s3' has no group to hold out"),
            ("--label group --hold-out-groups patient --folds 3", "leave out cv (--folds)"),
            ("--label group --dims 2,x", "--dims is '2,x'"),
            ("--label group --folds 1", "2 folds and 1 repeat are the least"),
            ("--label group --baselines tsne", "no baseline 'tsne'"),
            ("--label group --model cox", "no model 'cox' for classification"),
            ("--label group --task survival", "Survival needs --time COLUMN"),
            ("--time months", "both --time and --event"),
            ("--time months --event died --label group", "leave out --label"),
            ("--time status --event died", "'s0' is 'dead', which is not a number"),
            ("--time months --event status", "event of sample 's0' is 'dead'"),
            ("--label group --backend dask", "--backend dask needs --scheduler"),
            ("--label group --backend spark", "--backend is 'spark'"),
            ("--label group --scheduler tcp://127.0.0.1:9", "give --backend dask too"),
            ("--label group --n-workers 0", "--n-workers is 0"),
            ("--label group --epochs 0", "--epochs is 0"),
            ("--label group --transform log2", "no transform 'log2'"),
            ("--label group --annotations nowhere.csv", "nowhere.csv is not a file"),
            ("--label group --quiet", "would show and keep nothing"),
            ("--label group -o {folder}", "is not an evaluation's folder"),
        ],
    )
    def test_mistake_is_one_line_and_status_2(self, options, words, data, tmp_path, capsys):
        folder = tmp_path / "there"
        folder.mkdir()
        arguments = options.format(folder=f"{folder} --overwrite").split()
        assert run(["evaluate", data, *arguments]) == 2
        told = capsys.readouterr()
        assert words in told.err
        assert told.err.count("\n") == 1 and told.err.startswith("fembed: ")
        assert told.out == "" and list(folder.iterdir()) == []

    def test_scheduler_that_cannot_be_reached_is_told_within_10_seconds(self, data, capsys):
        begin = time.monotonic()
        arguments = [
            "--label",
            "group",
            "--dims",
            "2",
            "--backend",
            "dask",
            "--scheduler",
            "tcp://127.0.0.1:9",
        ]
        assert run(["evaluate", data, *arguments]) == 2
        assert time.monotonic() - begin < 10
        assert "No Dask scheduler answers" in capsys.readouterr().err

    def test_negative_values_are_told_in_the_words_of_the_command(self, tmp_path, capsys):
        obs = pd.DataFrame({"group": GROUPS}, index=[f"s{i}" for i in range(N)])
        path = tmp_path / "negative.h5ad"
        anndata.AnnData(COUNTS - 5.0, obs=obs).write_h5ad(path)
        assert run(["evaluate", str(path), "--label", "group"]) == 2
        assert "--transform none" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ("", "cannot be read"),
            ("sample,age\nx1,3\nx2,4\n", "none of the samples"),
            ("sample,age\ns1,3\ns1,4\n", "the sample 's1' twice"),
            ("sample,size\ns1,3\n", "no column 'age'; they have size"),
            ("sample,age\ns1,\n", "No sample of .* has a value for age"),
            ('sample,age\ns1,"3\n', "cannot be read"),
        ],
    )
    def test_annotations_that_do_not_fit(self, content, words, tmp_path, capsys):
        import re

        data, table = write_csv(tmp_path / "data.csv"), tmp_path / "annotations.csv"
        table.write_text(content)
        assert run(["evaluate", str(data), "--label", "age", "--annotations", str(table)]) == 2
        assert re.search(words, capsys.readouterr().err)

    def test_empty_text_is_no_label(self):
        names = [f"s{i}" for i in range(4)]
        obs = pd.DataFrame({"type": pd.Categorical(["a", "", "b", " "])}, index=names)
        data = Expression.from_array(np.ones((4, 3)), names, obs=obs)
        with pytest.warns(DataWarning, match="2 of 4 samples have no value for type"):
            found = labelled(data, ["type"], None)
        assert found.expression.sample_names.tolist() == ["s0", "s2"]
        assert found.y.tolist() == ["a", "b"]

    def test_samples_that_a_table_of_several_columns_lacks(self, tmp_path):
        (tmp_path / "a.csv").write_text("name,age,type\ns2,3,b\ns0,2,a\n")
        data = Expression.from_array(np.ones((3, 2)), ["s0", "s1", "s2"])
        with pytest.warns(DataWarning, match="1 of 3 samples have no value for type"):
            found = labelled(data, ["type"], "age", str(tmp_path / "a.csv"))
        assert found.y.tolist() == ["a", "b"] and list(map(int, found.groups)) == [2, 3]

    def test_samples_without_a_label_are_left_out_and_told(self, tmp_path, capsys):
        data, table = write_csv(tmp_path / "data.csv"), tmp_path / "annotations.tsv"
        names = [f"s{i}" for i in range(30)][::-1]
        ages = pd.DataFrame({"age": [i + 0.5 for i in range(30)][::-1]}, index=names)
        ages.to_csv(table, sep="\t")
        options = "--label age --dims 2 --folds 2 --epochs 1 --hidden 8 --n-workers 1 --no-figure"
        out = tmp_path / "out"
        told = ["--annotations", str(table), "-o", str(out), "--baselines", ""]
        assert run(["evaluate", str(data), *options.split(), *told]) == 0
        assert "6 of 36 samples have no value for age" in capsys.readouterr().err
        found = pd.read_csv(out / "predictions.csv").set_index("sample")["label"]
        assert found.sort_index().to_dict() == ages["age"].sort_index().to_dict()
        assert not (out / "r2.png").exists() and (out / "differences.csv").exists()


def test_a_library_that_always_warns_of_a_parquet_file_is_not_heard(tmp_path) -> None:
    pytest.importorskip("pyarrow")
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(pd.DataFrame({"group": ["a", "b"]}, index=["s0", "s1"]))
    about = json.loads(table.schema.metadata[b"pandas"])
    for column in about["columns"]:
        column["numpy_type"] = "a"  # an alias that NumPy has given up
    table = table.replace_schema_metadata({b"pandas": json.dumps(about).encode()})
    pq.write_table(table, tmp_path / "labels.parquet")
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        found = read_table(str(tmp_path / "labels.parquet"))
    assert found["group"].tolist() == ["a", "b"] and heard == []


def three(names=("1", "2", "3")) -> Expression:
    return Expression.from_array(np.ones((3, 2)), names)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("row,sample,y\n1,3,a\n2,1,b\n3,2,c\n", "only numbers the rows"),
        ("y,note\n1,a,\n2,b,\n3,c,\n", "end in an empty cell"),  # R's header, or one too many?
    ],
)
def test_annotations_that_can_be_read_in_two_ways_are_refused(tmp_path, text, words):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match=words):
        labelled(three(), ["y"], annotations=str(tmp_path / "a.csv"))


@pytest.mark.parametrize("cell", [".", "-", "?", "na", "#DIV/0!", "[Not Available]", "1,5"])
def test_cells_that_are_hardly_labels_are_told(tmp_path, cell):
    (tmp_path / "a.csv").write_text(f"id;y\n1;{cell}\n2;2,5\n3;3,5\n")
    with pytest.warns(DataWarning, match="taken as a label|decimal point"):
        assert len(labelled(three(), ["y"], annotations=str(tmp_path / "a.csv")).y) == 3


def test_a_header_that_begins_with_a_hash_is_one(tmp_path):
    (tmp_path / "a.csv").write_text("# made today\n#id,y\n1,a\n2,b\n3,c\n")
    assert list(labelled(three(), ["y"], annotations=str(tmp_path / "a.csv")).y) == ["a", "b", "c"]
