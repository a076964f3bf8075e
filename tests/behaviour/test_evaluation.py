"""Auxiliary tasks: the numbers are scikit-learn's, and nothing of a test sample leaks."""

from __future__ import annotations

import json

import anndata
import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    StratifiedKFold,
    cross_validate,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from fembed import DataWarning, FactorizedEmbedding, Workers, evaluate
from fembed.commands.app import run
from fembed.evaluation import methods
from fembed.evaluation.result import corrected_standard_error
from fembed.evaluation.survival import CoxModel
from tests.small_expression import frame, write_csv, write_h5ad

HERE = Workers(n_workers=1)
SECONDS = ["seconds_fit", "seconds_score"]
COUNTS = frame().to_numpy(np.float32)
GROUPS = np.array([f"group {i % 3}" for i in range(len(COUNTS))])
#: Labels that the groups decide in part, so that measures are neither 0 nor 1.
LABELS = np.where(np.arange(len(COUNTS)) % 5 == 0, "group 0", GROUPS)


def embedding(n_components: int = 2, **options) -> FactorizedEmbedding:
    options = {"hidden": (8,), "gene_components": 4, "epochs": 2, "random_state": 0} | options
    return FactorizedEmbedding(n_components, **options)


def evaluated(y, **options):
    """`COUNTS` evaluated with a small embedding, in this process."""
    return evaluate(COUNTS, y, embedding=embedding(), workers=HERE, **options)


def measured(evaluation, method: str, measure: str) -> list[float]:
    folds = evaluation.folds
    return folds.loc[folds["method"] == method, measure].tolist()


class TestNumbers:
    def test_are_those_of_cross_validate(self):
        whole = make_pipeline(embedding(n_jobs=1), LogisticRegression())
        cv = StratifiedKFold(3, shuffle=True, random_state=1)
        wanted = cross_validate(
            whole,
            COUNTS,
            LABELS,
            cv=cv,
            scoring=["accuracy", "balanced_accuracy", "f1_macro", "neg_log_loss"],
        )
        inside = evaluate(COUNTS, LABELS, estimator=whole, baselines=(), cv=cv, workers=HERE)
        behind = evaluated(LABELS, estimator=LogisticRegression(), dims=[2], baselines=(), cv=cv)
        for found in (inside, behind):
            assert measured(found, "fembed", "accuracy") == wanted["test_accuracy"].tolist()
            assert (
                measured(found, "fembed", "balanced_accuracy")
                == wanted["test_balanced_accuracy"].tolist()
            )
            assert measured(found, "fembed", "macro_f1") == wanted["test_f1_macro"].tolist()
            np.testing.assert_allclose(
                measured(found, "fembed", "log_loss"), -wanted["test_neg_log_loss"], rtol=1e-12
            )
            assert found.folds["dimension"].tolist() == [2, 2, 2]

    def test_of_a_nested_search_are_those_of_cross_validate(self):
        search = GridSearchCV(
            make_pipeline(embedding(n_jobs=1), LogisticRegression()),
            {"factorizedembedding__n_components": [1, 3]},
            cv=2,
        )
        cv = StratifiedKFold(2)
        wanted = cross_validate(search, COUNTS, LABELS, cv=cv, return_estimator=True)
        found = evaluate(COUNTS, LABELS, estimator=search, baselines=(), cv=cv, workers=HERE)
        assert measured(found, "fembed", "accuracy") == wanted["test_score"].tolist()
        assert [json.loads(chosen) for chosen in found.folds["chosen"]] == [
            fitted.best_params_ for fitted in wanted["estimator"]
        ]
        assert found.folds["dimension"].isna().all()
        assert len(found.summary()) == 1

    def test_of_a_baseline_are_those_of_its_pipeline(self):
        values = np.log10(COUNTS + 1)
        wanted = cross_validate(
            make_pipeline(PCA(3, random_state=0), LogisticRegression()),
            values,
            LABELS,
            cv=KFold(3, shuffle=True, random_state=0),
        )
        found = evaluated(
            LABELS,
            estimator=LogisticRegression(),
            dims=[3],
            cv=KFold(3, shuffle=True, random_state=0),
        )
        assert measured(found, "pca", "accuracy") == wanted["test_score"].tolist()

    def test_of_regression_are_those_of_cross_validate(self):
        y = np.log10(COUNTS[:, 0] + 1) + 0.1 * np.random.default_rng(0).normal(size=len(COUNTS))
        cv = KFold(3, shuffle=True, random_state=0)
        whole = make_pipeline(embedding(n_jobs=1), Ridge())
        wanted = cross_validate(whole, COUNTS, y, cv=cv, scoring="r2")["test_score"]
        found = evaluate(COUNTS, y, estimator=whole, cv=cv, workers=HERE)
        assert found.task == "regression"
        np.testing.assert_allclose(measured(found, "fembed", "r2"), wanted, rtol=1e-12)
        assert found.folds["spearman"].between(0.3, 1).all()

    def test_of_survival_find_the_risk(self):
        rng = np.random.default_rng(0)
        risk = np.array([{"group 0": -1.5, "group 1": 0.0, "group 2": 1.5}[g] for g in GROUPS])
        time = rng.exponential(100 * np.exp(-risk))
        y = np.column_stack([time, rng.random(len(time)) < 0.8])
        found = evaluated(y, dims=[2], baselines=("pca",), cv=3)
        assert found.task == "survival" and found.measures == ("concordance",)
        assert found.summary().set_index("method")["concordance"].min() > 0.65
        assert {"time", "event", "risk"} <= set(found.predictions.columns)

    def test_do_not_depend_on_the_workers(self):
        tables = [
            evaluate(
                COUNTS,
                LABELS,
                embedding=embedding(),
                dims=[2],
                baselines=("pca", "raw"),
                cv=3,
                workers=Workers(n_workers=n_workers),
            ).folds.drop(columns=SECONDS)
            for n_workers in (1, 2)
        ]
        pd.testing.assert_frame_equal(*tables, check_exact=True)


class TestLeakage:
    def test_genes_chosen_by_label_are_chosen_on_the_training_part(self):
        """Noise alone: only who chooses genes on all samples finds something to predict."""
        rng = np.random.default_rng(0)
        noise, y = rng.normal(size=(60, 2000)), np.repeat(["a", "b"], 30)
        model = make_pipeline(
            SelectKBest(k=20), embedding(preprocessing="none"), LogisticRegression()
        )
        options = {"baselines": (), "cv": 5, "workers": HERE}
        honest = evaluate(noise, y, estimator=model, **options).folds["accuracy"].mean()
        chosen = SelectKBest(k=20).fit_transform(noise, y)
        leaky = evaluate(chosen, y, estimator=model, **options).folds["accuracy"].mean()
        assert leaky > 0.8
        assert honest < 0.65

    def test_copies_of_a_patient_are_tested_together(self):
        """Labels by chance: only who has the patient's other sample in training knows them."""
        rng = np.random.default_rng(1)
        patients = np.repeat(np.arange(30), 2)
        profiles = rng.normal(size=(30, 40))[patients] + 0.01 * rng.normal(size=(60, 40))
        y = rng.permutation(np.repeat(["a", "b"], 15))[patients]
        options = {
            "estimator": KNeighborsClassifier(1),
            "embedding": embedding(preprocessing="none"),
            "dims": [8],
            "baselines": ("raw",),
            "workers": HERE,
        }
        leaky = evaluate(profiles, y, **options).summary().set_index("method")["accuracy"]
        honest = evaluate(profiles, y, groups=patients, **options)
        assert leaky["raw"] > 0.8 and leaky["fembed"] > 0.7
        assert honest.summary().set_index("method")["accuracy"].max() < 0.65
        together = honest.predictions.merge(
            pd.DataFrame({"sample": [f"sample_{i}" for i in range(60)], "patient": patients})
        )
        assert (together.groupby(["method", "patient"])["fold"].nunique() == 1).all()

    def test_a_test_sample_changes_nothing_but_its_own_prediction(self):
        """One sample's genes are made to tell its label and every other's: none of them moves."""
        cv = [(np.arange(12, 36), np.arange(12))]
        options = {
            "embedding": embedding(),
            "dims": [2],
            "baselines": ("pca",),
            "cv": cv,
            "workers": HERE,
        }
        before = evaluate(COUNTS, LABELS, **options).predictions
        planted = COUNTS.copy()
        planted[5, :12] = np.where(LABELS[:12] == "group 0", 0, 5000)
        after = evaluate(planted, LABELS, **options).predictions
        others = before["sample"] != "sample_5"
        pd.testing.assert_frame_equal(before[others], after[others])

    def test_a_training_part_is_filled_with_its_own_means(self):
        """Test samples are missing everywhere but in one gene, so their means are theirs alone."""
        values = np.log10(COUNTS + 1)
        train, test = np.arange(12, 36), np.arange(12)
        lacking = values.copy()
        lacking[np.ix_(test, np.arange(1, 24))] = np.nan
        lacking[:3, 1:] = 1000.0  # what a mean over test samples would take up
        found = evaluate(
            lacking,
            LABELS,
            estimator=KNeighborsClassifier(1),
            embedding=embedding(preprocessing="none"),
            dims=[2],
            baselines=("raw",),
            cv=[(train, test)],
            workers=HERE,
        )
        filled = np.where(np.isnan(lacking[test]), values[train].mean(axis=0), lacking[test])
        wanted = KNeighborsClassifier(1).fit(values[train], LABELS[train]).predict(filled)
        raw = found.predictions[found.predictions["method"] == "raw"]
        assert raw["predicted"].tolist() == wanted.tolist()


class TestFolds:
    def test_of_a_number_are_stratified_and_shuffled_anew(self):
        found = evaluated(GROUPS, dims=[2], cv=3, repeats=2)
        ours = found.predictions[found.predictions["method"] == "fembed"]
        counts = ours.groupby(["repeat", "fold", "label"]).size()
        assert (counts == 4).all() and len(counts) == 18
        assert (ours.groupby("repeat")["sample"].nunique() == 36).all()
        first, second = (ours[ours["repeat"] == k].set_index("sample")["fold"] for k in (1, 2))
        assert (first != second.loc[first.index]).any()

    def test_may_be_given_by_a_splitter_for_groups(self):
        groups = np.arange(36) // 4
        found = evaluated(LABELS, dims=[2], baselines=(), cv=GroupKFold(3), groups=groups)
        assert found.folds["n_test"].tolist() == [12, 12, 12]


class TestHeldOutGroups:
    #: Of unequal sizes, each with all labels.
    STUDIES = np.repeat(["Zurich", "Oslo", "Lima"], [16, 8, 12])

    def test_numbers_are_those_of_leave_one_group_out(self):
        """Also with genes that are chosen by label: all that is fitted is fitted on the others."""
        model = make_pipeline(
            SelectKBest(k=12), embedding(preprocessing="none", n_jobs=1), LogisticRegression()
        )
        values = np.log10(COUNTS + 1)
        cv = LeaveOneGroupOut()
        wanted = cross_validate(model, values, LABELS, groups=self.STUDIES, cv=cv)
        found = evaluate(
            values, LABELS, estimator=model, hold_out_groups=self.STUDIES, workers=HERE
        )
        assert measured(found, "fembed", "accuracy") == wanted["test_score"].tolist()
        rows = found.folds[found.folds["method"] == "pca"]
        assert rows["held_out"].tolist() == ["Lima", "Oslo", "Zurich"]
        assert rows["n_test"].tolist() == [12, 8, 16] and rows["n_training"].tolist() == [
            24,
            28,
            20,
        ]
        of_sample = dict(zip((f"sample_{i}" for i in range(36)), self.STUDIES, strict=True))
        assert (found.predictions["sample"].map(of_sample) == found.predictions["held_out"]).all()
        assert len(found.predictions) == 2 * 36
        assert "3 groups, each held out in turn" in repr(found)
        assert "3 groups, each held out" in found.figure().axes[0].get_title()

    def test_a_label_of_one_group_alone_is_trained_on_and_not_tested(self):
        alone = LABELS.copy()
        alone[[16, 18]] = "only in Oslo"
        options = {"dims": [2], "hold_out_groups": self.STUDIES}
        with pytest.warns(DataWarning, match=r"2 sample\(s\) have a label that no other .*'Oslo'"):
            found = evaluated(alone, **options)
        ours = found.folds[found.folds["method"] == "fembed"].set_index("held_out")
        assert ours["n_unseen"].to_dict() == {"Lima": 0, "Oslo": 2, "Zurich": 0}
        assert ours["n_test"].to_dict() == {"Lima": 12, "Oslo": 6, "Zurich": 16}
        assert ours["n_training"].to_dict() == {"Lima": 24, "Oslo": 28, "Zurich": 20}
        assert not found.predictions["sample"].isin(["sample_16", "sample_18"]).any()
        assert found.folds[["accuracy", "log_loss"]].notna().all(axis=None)

    def test_command_tells_and_writes_every_group(self, tmp_path, capsys):
        table = pd.DataFrame({"label": LABELS, "study": self.STUDIES}, index=frame().index)
        table.to_csv(tmp_path / "labels.csv")
        data = str(write_csv(tmp_path / "data.csv"))
        words = ["--annotations", str(tmp_path / "labels.csv"), "--hold-out-groups", "study"]
        small = "--label label --dims 2 --epochs 2 --hidden 8 --gene-components 4 --n-workers 2"
        folder = tmp_path / "out"
        assert run(["evaluate", data, *words, *small.split(), "-o", str(folder)]) == 0
        wanted = evaluated(LABELS, hold_out_groups=self.STUDIES, dims=[2])
        found = pd.read_csv(folder / "folds.csv").astype({"dimension": "Int64"})
        pd.testing.assert_frame_equal(
            found.drop(columns=SECONDS), wanted.folds.drop(columns=SECONDS), rtol=1e-12
        )
        out = capsys.readouterr().out
        line = next(line for line in out.splitlines() if line.startswith("Oslo"))
        assert line.split()[:3] == ["Oslo", "8", "0"] and "fembed 2-D" in out
        settings = json.loads((folder / "settings.json").read_text())
        assert settings["hold_out_groups"] == "study" and settings["folds"] == 3


class TestInputs:
    def test_of_every_kind_give_the_same_table(self, tmp_path):
        from scipy import sparse

        from fembed import read

        names = [f"s{i}" for i in range(36)]
        table = pd.DataFrame(COUNTS, names, [f"G{j}" for j in range(24)])
        path = write_h5ad(tmp_path / "small.h5ad", table)
        options = {"embedding": embedding(), "dims": [2], "cv": 2, "workers": HERE}
        kinds = [
            (COUNTS, GROUPS),
            (COUNTS.tolist(), GROUPS.tolist()),
            (sparse.csc_matrix(COUNTS), GROUPS),
            (table, pd.Series(GROUPS, dtype="category")),
            (anndata.read_h5ad(path), "group"),
            (read(path), "group"),
        ]
        tables = [evaluate(X, y, **options).folds.drop(columns=SECONDS) for X, y in kinds]
        for other in tables[1:]:
            pd.testing.assert_frame_equal(tables[0], other)

    def test_baselines_may_be_transformers_of_ones_own(self):
        found = evaluated(
            LABELS,
            dims=[2, 3],
            baselines={"svd": TruncatedSVD(random_state=0), "best": SelectKBest(k=5)},
            cv=2,
        )
        rows = found.summary()[["method", "dimension"]].astype(object)
        assert [(m, None if pd.isna(d) else d) for m, d in rows.to_numpy()] == [
            ("fembed", 2),
            ("fembed", 3),
            ("svd", 2),
            ("svd", 3),
            ("best", None),
        ]

    def test_umap_never_sees_a_label(self, monkeypatch):
        """It would be a supervised method; a stand-in for it spares its compilation of 15 s."""
        seen = []

        class Recording:
            def __init__(self, n_components, random_state, n_jobs):
                self.pca = PCA(n_components, random_state=random_state)

            def fit(self, X, y=None):
                seen.append(y)
                self.embedding_ = self.pca.fit_transform(X)

            def transform(self, X):
                return self.pca.transform(X)

        monkeypatch.setattr(methods, "umap_class", lambda: Recording)
        options = {"embedding": embedding(), "dims": [2], "cv": 2, "workers": HERE}
        found = evaluate(COUNTS, LABELS, baselines=("umap", "pca"), **options)
        assert seen == [None, None]
        assert measured(found, "umap", "accuracy") == measured(found, "pca", "accuracy")


@pytest.fixture(scope="module")
def found():
    return evaluated(LABELS, dims=[1, 2], baselines=("pca", "raw"), cv=3)


class TestResult:
    def test_summary_is_the_mean_with_nadeau_and_bengios_error(self, found):
        accuracy = np.array(measured(found, "raw", "accuracy"))
        row = found.summary().set_index("method").loc["raw"]
        assert row["accuracy"] == pytest.approx(accuracy.mean())
        wanted = np.sqrt((1 / 3 + 12 / 24) * accuracy.var(ddof=1))
        assert row["accuracy_se"] == pytest.approx(wanted)

    def test_the_error_does_not_vanish_with_repeats(self):
        values = np.random.default_rng(0).normal(size=10)
        few, many = (corrected_standard_error(np.tile(values, k), 0.25) for k in (1, 1000))
        assert many > 0.75 * few

    def test_differences_are_paired_by_fold(self, found):
        table = found.differences().set_index(["baseline", "dimension", "measure"])
        folds = found.folds.set_index(["method", "dimension", "fold"])["accuracy"].unstack()
        pca = folds.loc["fembed", 2] - folds.loc["pca", 2]
        raw = folds.loc["fembed", 1] - folds.loc["raw"].iloc[0]
        for (baseline, dimension), each in {("pca", 2): pca, ("raw", 1): raw}.items():
            row = table.loc[(baseline, dimension, "accuracy")]
            assert row["difference"] == pytest.approx(each.mean())
            assert row["standard_error"] == pytest.approx(corrected_standard_error(each, 0.5))
            assert row["low"] <= row["difference"] <= row["high"]
        assert len(table) == 4 * len(found.measures)

    def test_confusion_counts_every_prediction(self, found):
        table = found.confusion()
        totals = table.groupby(["method", "dimension"], dropna=False)["n"].sum()
        assert (totals == 36).all() and len(totals) == 5
        right = table[table["label"] == table["predicted"]]
        ours = right[(right["method"] == "fembed") & (right["dimension"] == 2)]["n"].sum()
        folds = found.folds
        chosen = folds[(folds["method"] == "fembed") & (folds["dimension"] == 2)]
        assert ours == pytest.approx((chosen["accuracy"] * chosen["n_test"]).sum())

    def test_figure_has_a_line_for_every_method(self, found):
        figure = found.figure("log_loss")
        (axes,) = figure.axes
        assert [text.get_text() for text in axes.get_legend().get_texts()] == [
            "fembed",
            "pca",
            "raw (all genes)",
        ]
        assert axes.get_ylabel() == "log loss (less is better)"

    def test_folder_holds_all_tables_and_the_figure(self, found, tmp_path):
        found.save(tmp_path / "out", settings={"seed": 0})
        files = {path.name for path in (tmp_path / "out").iterdir()}
        tables = ("folds", "summary", "differences", "predictions", "confusion")
        assert files == {*(f"{name}.csv" for name in tables), "settings.json"} | {
            "accuracy.png",
            "accuracy.svg",
        }
        again = pd.read_csv(tmp_path / "out" / "folds.csv")
        np.testing.assert_array_equal(again["accuracy"], found.folds["accuracy"])


def test_cox_model_is_a_sound_estimator():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3)) * [1.0, 10.0, 0.1] + 5
    time = rng.exponential(np.exp(-(X[:, 0] + 0.1 * X[:, 1])))
    model = CoxModel(penalizer=0.0).fit(X, np.column_stack([time, np.ones(300)]))
    np.testing.assert_allclose(model.coef_[:2], [1.0, 0.1], rtol=0.2)
    structured = np.array(
        list(zip(np.ones(300, bool), time, strict=True)), [("event", bool), ("time", float)]
    )
    np.testing.assert_array_equal(CoxModel(penalizer=0.0).fit(X, structured).coef_, model.coef_)
    assert model.score(X, structured) > 0.7


def test_command_warns_of_units_once_and_by_the_name_of_the_file(tmp_path, capsys):
    data, labels = write_csv(tmp_path / "data.csv"), tmp_path / "labels.csv"
    pd.DataFrame({"group": LABELS}, index=frame().index).to_csv(labels)
    words = ["--transform", "none", "--annotations", str(labels), "--label", "group"]
    small = ["--dims", "2", "--folds", "2", "--epochs", "1", "--baselines", "", "--workers", "1"]
    assert run(["evaluate", str(data), *words, *small]) == 0
    told = capsys.readouterr().err
    assert told.count("looks like counts") == 1 and f"{data} (" in told


def test_command_writes_what_the_function_finds(tmp_path, capsys):
    data = write_h5ad(tmp_path / "small.h5ad")
    pd.DataFrame(
        {"sample": [f"s{i}" for i in range(36)], "label": LABELS, "patient": np.arange(36) // 2}
    ).to_parquet(tmp_path / "annotations.parquet", index=False)
    words = "--label label --groups patient --dims 2,3 --baselines pca,raw --folds 3 --model knn"
    fit = "--epochs 2 --hidden 8 --gene-components 4 --n-workers 1 --overwrite"
    files = ["--annotations", str(tmp_path / "annotations.parquet"), "-o", str(tmp_path / "out")]
    log = ["--log-json", str(tmp_path / "log.jsonl")]
    for _ in range(2):  # the second time, it replaces the first
        told = run(["evaluate", str(data), *words.split(), *fit.split(), *files, *log])
        assert told == 0
    wanted = evaluated(
        LABELS,
        groups=np.arange(36) // 2,
        estimator="knn",
        dims=[2, 3],
        baselines=("pca", "raw"),
        cv=3,
    )
    found = pd.read_csv(tmp_path / "out" / "folds.csv").astype({"dimension": "Int64"})
    pd.testing.assert_frame_equal(
        found.drop(columns=SECONDS), wanted.folds.drop(columns=SECONDS), rtol=1e-12
    )
    out = capsys.readouterr().out
    assert "fembed minus" in out and "Nadeau and Bengio" in out
    events = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events] == ["case"] * 15 + ["done"]
    assert json.loads((tmp_path / "out" / "settings.json").read_text())["groups"] == "patient"
