"""The command line as a user meets it: what it writes and what it prints."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fembed
from fembed.commands.app import run
from tests.small_expression import N_GENES, N_SAMPLES, QUICK, frame, write_csv, write_h5ad


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data file in two formats, a model of it, and the training samples' table."""
    folder = tmp_path_factory.mktemp("cli")
    write_csv(folder / "data.csv")
    write_h5ad(folder / "data.h5ad")
    paths = [str(folder / name) for name in ("data.h5ad", "model", "training.csv")]
    data, model, table = paths
    assert run(["fit", data, "-o", model, "--embedding", table, "--label", "group", *QUICK]) == 0
    return folder


def test_fit_writes_the_model_and_the_table_of_the_training_samples(folder: Path) -> None:
    model = fembed.load(folder / "model")
    assert model.parameters.hidden == (8,)
    assert list(model.sample_names) == [f"s{i}" for i in range(N_SAMPLES)]
    table = pd.read_csv(folder / "training.csv", float_precision="round_trip")
    assert list(table) == ["sample", "fembed_1", "fembed_2", "loss", "group"]
    assert list(table["sample"]) == list(model.sample_names)
    # Every digit of the coordinates is in the text.
    coordinates = table[["fembed_1", "fembed_2"]].to_numpy(np.float32)
    np.testing.assert_array_equal(coordinates, model.sample_embedding)
    np.testing.assert_array_equal(table["loss"], model.sample_loss)
    assert table["group"][4] == "group 1"


def test_fit_prints_a_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = str(write_csv(tmp_path / "data.csv"))
    assert run(["fit", data, "-o", str(tmp_path / "model"), *QUICK]) == 0
    out, err = capsys.readouterr()
    for line in (
        rf"samples +{N_SAMPLES}",
        rf"genes +{N_GENES}",
        r"missing entries +0.00%",
        r"passes +[\d.]+",
        r"seconds +[\d.]+",
        r"pairs per second +[\d.]+ million",
        r"MSE +[\d.e-]+",
        r"explained variance +[\d.-]+",
        r"explained by PCA of the same dimension +[\d.-]+",
    ):
        assert re.search(rf"^{line}$", out, re.MULTILINE), line
    assert err == ""  # no progress bar where there is no terminal


def test_quiet_prints_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = str(write_csv(tmp_path / "data.csv"))
    assert run(["fit", data, "-o", str(tmp_path / "model"), "--quiet", *QUICK]) == 0
    assert capsys.readouterr() == ("", "")


def test_the_same_seed_gives_the_same_bits_as_the_estimator(tmp_path: Path) -> None:
    data = str(write_csv(tmp_path / "data.csv"))
    assert run(["fit", data, "-o", str(tmp_path / "model"), "--seed", "7", "-q", *QUICK]) == 0
    estimator = fembed.FactorizedEmbedding(
        hidden=(8,), gene_components=4, epochs=2, random_state=7, n_jobs=2
    )
    embedding = estimator.fit_transform(frame())
    model = fembed.load(tmp_path / "model")
    np.testing.assert_array_equal(embedding, model.sample_embedding)
    np.testing.assert_array_equal(estimator.model_.parameters.network, model.parameters.network)


def test_the_options_reach_the_configuration(tmp_path: Path) -> None:
    words = """--n-components 3 --gene-components 5 --hidden 6,4 --recipe published --iterations 7
        --block-samples 4 --block-genes 9 --learning-rate 0.01 --weight-decay 0.001
        --validation-fraction 0 --validation-entries --seed 11 --n-threads 1 --transform none
        --layer log"""
    data = str(write_h5ad(tmp_path / "data.h5ad"))
    assert run(["fit", data, "-o", str(tmp_path / "model"), "-q", *words.split()]) == 0
    model = fembed.load(tmp_path / "model")
    assert model.config == fembed.FitConfig(
        n_components=3,
        gene_components=5,
        hidden=(6, 4),
        recipe="published",
        iterations=7,
        block_samples=4,
        block_genes=9,
        learning_rate=0.01,
        weight_decay=0.001,
        validation_fraction=0.0,
        validation_entries=True,
        seed=11,
        n_threads=1,
    )
    assert model.preprocessing.transform == "none"


def test_transposed_input_gives_the_same_model(tmp_path: Path, folder: Path) -> None:
    data = str(write_csv(tmp_path / "genes_by_samples.csv", frame().T))
    output = str(tmp_path / "model")
    assert run(["fit", data, "-o", output, "--transpose", "-q", *QUICK]) == 0
    np.testing.assert_array_equal(
        fembed.load(output).sample_embedding, fembed.load(folder / "model").sample_embedding
    )


def test_the_log_is_one_json_object_a_line(tmp_path: Path) -> None:
    data, log = str(write_csv(tmp_path / "data.csv")), tmp_path / "log.jsonl"
    words = ["-o", str(tmp_path / "model"), "--log-json", str(log), "-q", *QUICK]
    assert run(["fit", data, *words]) == 0
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert events[-1]["event"] == "done" and events[-1]["samples"] == N_SAMPLES
    for event in events[:-1]:
        assert {"stage", "step", "n_steps", "loss", "pairs_per_second"} <= event.keys()


def test_a_log_on_standard_output_is_all_there_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = str(write_csv(tmp_path / "data.csv"))
    words = ["-o", str(tmp_path / "model"), "--log-json", "-"]
    assert run(["fit", data, *words, *QUICK]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[-1]["event"] == "done"
    assert run(["fit", data, *words, *QUICK]) == 2
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[-1]["event"] == "error" and events[-1]["status"] == 2


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".csv.gz", ".parquet"])
def test_project_writes_one_row_a_sample(tmp_path: Path, folder: Path, ending: str) -> None:
    output = tmp_path / f"new{ending}"
    words = [str(folder / "model"), str(folder / "data.h5ad"), "-o", str(output)]
    assert run(["project", *words, "--label", "group"]) == 0
    if ending == ".parquet":
        table = pd.read_parquet(output)
    else:
        table = pd.read_csv(output, sep="\t" if ending == ".tsv" else ",")
    wanted = ["sample", "fembed_1", "fembed_2", "loss", "n_genes", "outlier", "group"]
    assert list(table) == wanted
    assert list(table["sample"]) == [f"s{i}" for i in range(N_SAMPLES)]
    assert (table["n_genes"] == N_GENES).all()
    assert np.isfinite(table["outlier"]).all()


def test_project_to_h5ad_holds_the_covariance_too(tmp_path: Path, folder: Path) -> None:
    import anndata

    output = tmp_path / "new.h5ad"
    assert run(["project", str(folder / "model"), str(folder / "data.csv"), "-o", str(output)]) == 0
    table = anndata.read_h5ad(output)
    assert table.obsm["X_fembed"].shape == (N_SAMPLES, 2)
    assert table.obsm["X_fembed_covariance"].shape == (N_SAMPLES, 2, 2)
    assert list(table.obs) == ["loss", "n_genes", "outlier"]
    assert list(table.obs_names) == [f"s{i}" for i in range(N_SAMPLES)]


def test_project_is_the_same_from_every_format_and_from_python(
    tmp_path: Path, folder: Path
) -> None:
    placed = fembed.project(fembed.load(folder / "model"), fembed.read(folder / "data.csv"))
    output = tmp_path / "new.csv"
    assert (
        run(["project", str(folder / "model"), str(folder / "data.h5ad"), "-o", str(output)]) == 0
    )
    coordinates = pd.read_csv(output)[["fembed_1", "fembed_2"]].to_numpy(np.float32)
    np.testing.assert_array_equal(coordinates, placed.sample_embedding)


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".h5ad"])
@pytest.mark.parametrize("scale", ["input", "model"])
def test_decode_gives_the_genes_as_columns(
    tmp_path: Path, folder: Path, ending: str, scale: str
) -> None:
    output = tmp_path / f"decoded{ending}"
    words = [str(folder / "model"), str(folder / "training.csv"), "-o", str(output)]
    assert run(["decode", *words, "--scale", scale]) == 0
    model = fembed.load(folder / "model")
    wanted = model.decode(model.sample_embedding)
    if scale == "input":
        wanted = model.preprocessing.invert(wanted)
    decoded = fembed.read(output)
    assert list(decoded.gene_names) == list(model.gene_names)
    assert list(decoded.sample_names) == list(model.sample_names)
    np.testing.assert_array_equal(decoded.values, wanted)


def test_decode_some_genes_at_points_without_names(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "points.tsv").write_text("fembed_2\tfembed_1\n0.5\t0\n-1\t2e-1\n")
    output = tmp_path / "decoded.csv"
    words = [str(folder / "model"), str(tmp_path / "points.tsv"), "-o", str(output)]
    assert run(["decode", *words, "--genes", "G7,G2", "--scale", "model"]) == 0
    table = pd.read_csv(output, index_col=0)
    assert list(table) == ["G7", "G2"] and list(table.index) == ["point_1", "point_2"]
    wanted = fembed.load(folder / "model").decode([[0.0, 0.5], [0.2, -1.0]], ["G7", "G2"])
    np.testing.assert_allclose(table.to_numpy(), wanted, rtol=1e-6)


def test_points_may_be_a_projection(tmp_path: Path, folder: Path) -> None:
    model = str(folder / "model")
    decoded = []
    for ending in (".csv", ".tsv.gz", ".parquet", ".h5ad"):
        points, output = str(tmp_path / f"new{ending}"), str(tmp_path / f"decoded{ending}.csv")
        assert run(["project", model, str(folder / "data.csv"), "-o", points, "-q"]) == 0
        assert run(["decode", model, points, "-o", output, "-q"]) == 0
        decoded.append(Path(output).read_bytes())
    assert len(set(decoded)) == 1


def test_info_of_a_model_and_of_data(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", str(folder / "model")]) == 0
    out = capsys.readouterr().out
    assert re.search(r"kind +model", out) and re.search(r"recipe +fast", out)
    assert run(["info", str(folder / "data.h5ad")]) == 0
    out = capsys.readouterr().out
    assert re.search(r"label columns +group, loss", out)
    assert re.search(r"looks like +counts: --transform cpm", out)
    assert run(["info", str(folder / "data.h5ad"), "--layer", "log", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["genes"] == N_GENES and "--transform none" in facts["looks_like"]


def test_overwrite_replaces_every_output(tmp_path: Path) -> None:
    data = str(write_csv(tmp_path / "data.csv"))
    words = ["-o", str(tmp_path / "model"), "--embedding", str(tmp_path / "table.csv")]
    words += ["--log-json", str(tmp_path / "log"), "-q", *QUICK]
    assert run(["fit", data, *words]) == 0
    before = fembed.load(tmp_path / "model").sample_embedding.copy()
    assert run(["fit", data, *words]) == 2
    assert run(["fit", data, *words, "--overwrite", "--seed", "5"]) == 0
    assert not np.array_equal(fembed.load(tmp_path / "model").sample_embedding, before)


def test_the_program_and_the_module_are_the_same_command(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("fembed")
    for command in ([str(program)], [sys.executable, "-m", "fembed"]):
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
        assert done.stdout == f"fembed {fembed.__version__}\n"
    done = subprocess.run([str(program)], capture_output=True, text=True, check=True)
    for name in ("fit", "project", "decode", "info", "demo"):
        assert name in done.stdout


def test_the_demo_prints_errors_and_accuracies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("scanpy")
    assert run(["demo", "-o", str(tmp_path / "demo"), "--epochs", "2"]) == 0
    out = capsys.readouterr().out
    for line in (
        r"training cells +560",
        r"held out cells +140",
        r"training MSE +0\.\d+",
        r"held out MSE +0\.\d+",
        r"held out 5-NN accuracy +0\.\d+",
        r"PCA held out 5-NN accuracy +0\.\d+",
    ):
        assert re.search(rf"^{line}$", out, re.MULTILINE), line
    held_out = pd.read_csv(tmp_path / "demo" / "held_out_cells.csv")
    assert len(held_out) == 140 and "bulk_labels" in held_out
    assert fembed.load(tmp_path / "demo" / "model").n_samples == 560
    page = (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")
    assert "140 projected samples" in page and "5-NN accuracy of bulk_labels" in page
