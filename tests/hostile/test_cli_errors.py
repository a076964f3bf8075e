"""Every mistake at the command line: one sentence, exit status 2, nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fembed import train
from fembed.commands import app
from fembed.errors import TrainingError
from tests.small_expression import N_GENES, QUICK, frame, write_csv, write_h5ad

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sound data and a model of it; tests copy from it."""
    folder = tmp_path_factory.mktemp("ready")
    write_csv(folder / "data.csv")
    write_h5ad(folder / "data.h5ad")
    words = [str(folder / "data.csv"), "-o", str(folder / "model"), "-q"]
    assert app.run(["fit", *words, *QUICK]) == 0
    return folder


@pytest.fixture
def here(ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same in a folder of its own, which is the working directory."""
    shutil.copytree(ready, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def listing(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def refused(words: str | list[str], message: str, capsys: Capture, status: int = 2) -> None:
    """The command fails with one sentence that holds ``message``, and changes no file."""
    before = listing(Path.cwd())
    capsys.readouterr()
    assert app.run(words.split() if isinstance(words, str) else words) == status
    out, err = capsys.readouterr()
    assert message in err
    assert err.startswith("fembed: ") and err.endswith(".\n")
    assert err.count("\n") == 1, err
    assert out == ""
    assert listing(Path.cwd()) == before


def write_changed(path: Path, row: int, column: int, value: object) -> None:
    table = frame().astype(object)
    table.iloc[row, column] = value
    table.to_csv(path)


# ---- the data


@pytest.mark.parametrize("command", ["fit {} -o new", "project model {} -o new.csv"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent.csv", "absent.csv does not exist"),
        ("empty.csv", "empty.csv is empty (0 bytes)"),
        ("data.xlsx", "data.xlsx has a single column"),
        ("text.csv", "'high', which is not a number, in row 's3' and column 'G5'"),
        ("infinite.csv", "an infinite value"),
        ("negative.csv", "negative value -3 for sample 's3' and gene 'G5'"),
        ("twice.csv", "the sample name 's1' 2 times"),
        ("twins.csv", "the gene name 'G1' 2 times"),
        ("unobserved.csv", "sample 's3' "),
        ("cut.h5ad", "cut.h5ad cannot be read as an .h5ad file"),
    ],
)
def test_bad_data(here: Path, capsys: Capture, command: str, name: str, message: str) -> None:
    (here / "empty.csv").touch()
    (here / "data.xlsx").write_text("x")
    write_changed(here / "text.csv", 3, 5, "high")
    write_changed(here / "infinite.csv", 3, 5, np.inf)
    write_changed(here / "negative.csv", 3, 5, -3)
    write_csv(here / "twice.csv", frame().rename(index={"s2": "s1"}))
    write_csv(here / "twins.csv", frame().rename(columns={"G2": "G1"}))
    write_changed(here / "unobserved.csv", 3, slice(None), np.nan)
    (here / "cut.h5ad").write_bytes((here / "data.h5ad").read_bytes()[:9000])
    refused(command.format(name), message, capsys)


def test_data_that_no_model_can_be_trained_on(here: Path, capsys: Capture) -> None:
    write_csv(here / "one.csv", frame().iloc[:1])
    refused("fit one.csv -o new", "has 1 sample(s)", capsys)
    write_csv(here / "few.csv", frame().iloc[:5])
    refused("fit few.csv -o new --n-components 8", "few.csv has 5 samples", capsys)
    write_changed(here / "gene.csv", slice(None), 5, np.nan)
    refused("fit gene.csv -o new", "gene 'G5' has no observed entry", capsys)
    write_csv(here / "constant.csv", frame() * 0 + 3)
    refused("fit constant.csv -o new", "constant", capsys)


def test_some_constant_genes_are_a_warning(here: Path, capsys: Capture) -> None:
    write_changed(here / "constant.csv", slice(None), 5, 3)
    assert app.run(["fit", "constant.csv", "-o", "new", "-q", *QUICK]) == 0
    err = capsys.readouterr().err
    assert err.startswith("fembed: warning: ") and err.count("\n") == 1
    assert "G5" in err


# ---- layers and labels


def test_a_layer_or_raw_that_is_not_there(here: Path, capsys: Capture) -> None:
    refused("fit data.h5ad -o new --layer logg", "no layer 'logg'; its layers are log", capsys)
    refused("fit data.csv -o new --use-raw", "has no raw matrix", capsys)
    refused("info data.h5ad --use-raw --layer log", "either a layer or raw", capsys)


def test_labels(here: Path, capsys: Capture) -> None:
    words = "fit data.h5ad -o new --embedding new.csv --label"
    refused(f"{words} cohort", "no label column 'cohort'; it has group, loss", capsys)
    refused(f"{words} loss", "'loss' has the name of another column", capsys)
    words = "fit data.csv -o new --embedding new.csv --label group"
    refused(words, "it has no sample annotations", capsys)
    refused("fit data.h5ad -o new --label cohort", "no label column 'cohort'", capsys)
    words = "project model data.h5ad -o new.csv --label"
    refused(f"{words} cohort", "it has group, loss", capsys)
    refused(f"{words} loss", "'loss' has the name of another column", capsys)


# ---- outputs


def test_an_output_that_exists(here: Path, capsys: Capture) -> None:
    (here / "table.csv").write_text("precious")
    refused("fit data.csv -o model", "model exists; give another path, or --overwrite", capsys)
    refused("fit data.csv -o data.h5ad", "data.h5ad", capsys)
    refused("fit data.csv -o new --embedding table.csv", "table.csv exists already", capsys)
    refused("fit data.csv -o new --log-json table.csv", "table.csv exists already", capsys)
    refused("project model data.csv -o table.csv", "table.csv exists already", capsys)
    refused("decode model table.csv -o table.csv", "is also the input", capsys)
    refused("project model data.csv -o data.csv --overwrite", "is also the input", capsys)
    refused("demo -o model", "model exists already", capsys)


def test_overwrite_spares_what_is_no_output_of_fembed(here: Path, capsys: Capture) -> None:
    (here / "precious").mkdir()
    (here / "precious" / "notes.txt").write_text("precious")
    refused("fit data.csv -o precious --overwrite", "precious", capsys)
    refused("fit data.csv -o data.h5ad --overwrite", "data.h5ad", capsys)


def test_a_folder_that_cannot_be_written(here: Path, capsys: Capture) -> None:
    refused("fit data.csv -o data.h5ad/new", "data.h5ad/new", capsys)
    refused("fit data.csv -o new --embedding data.h5ad/new.csv", "cannot be written", capsys)
    refused("fit data.csv -o new --log-json data.h5ad/log", "cannot be written", capsys)
    refused("project model data.csv -o data.h5ad/new.csv", "cannot be written", capsys)
    refused("demo -o data.h5ad/new", "cannot be written", capsys)


@pytest.mark.skipif(sys.platform != "linux", reason="a file system that is read-only for anybody")
def test_a_read_only_file_system(here: Path, capsys: Capture) -> None:
    refused("fit data.csv -o /proc/new", "/proc/new", capsys)
    refused("project model data.csv -o /proc/new.csv", "cannot be written", capsys)


def test_output_paths_that_make_no_sense(here: Path, capsys: Capture) -> None:
    (here / "folder.csv").mkdir()
    refused("project model data.csv -o new.xlsx", "new.xlsx has an unknown ending", capsys)
    refused("fit data.csv -o new --embedding new.txt", "unknown ending", capsys)
    refused("project model data.csv -o folder.csv", "is a folder", capsys)
    refused("fit data.csv -o new --embedding new/new.csv", "give a path outside", capsys)
    refused("fit data.csv -o new.csv --embedding new.csv", "give a path outside", capsys)
    refused("fit data.csv -o new --log-json new/log", "give a path outside", capsys)
    words = "fit data.csv -o new --embedding a.csv --log-json a.csv"
    refused(words, "are both a.csv", capsys)
    refused("fit data.csv -o new --log-json data.csv --overwrite", "is also the input", capsys)


def test_a_model_is_a_folder_of_its_own_files_alone(here: Path, capsys: Capture) -> None:
    for words in ("project model data.csv", "impute model data.csv", "decode model data.csv"):
        refused(f"{words} -o model/new.csv", "lies in the model model", capsys)
    refused("fit model -o new", "model is a fembed model, not data", capsys)
    refused("project model model -o new.csv", "not data", capsys)


def test_empty_paths(here: Path, capsys: Capture) -> None:
    refused(["fit", "data.csv", "-o", ""], "The path of the model is empty", capsys)
    refused(["fit", "", "-o", "new"], "The path of the data is empty", capsys)


def test_genes_and_points_that_cannot_be_decoded(here: Path, capsys: Capture) -> None:
    assert app.run(["project", "model", "data.csv", "-o", "points.csv", "-q"]) == 0
    words = ["decode", "model", "points.csv", "-o", "new.csv", "--genes"]
    gene = frame().columns[1]
    refused([*words, f"{gene}, {gene}"], f"--genes names '{gene}' twice", capsys)
    refused([*words, " "], "--genes names no gene", capsys)
    assert app.run([*words, f" {gene} ,{frame().columns[0]}", "-q"]) == 0
    assert list(pd.read_csv("new.csv", index_col=0).columns) == [gene, frame().columns[0]]
    points = pd.read_csv("points.csv", index_col=0)
    points.iloc[2, 0] = 1e9
    points.to_csv("far.csv")
    message = f"The point '{points.index[2]}' in far.csv lies so far from the map"
    refused("decode model far.csv -o far_decoded.csv", message, capsys)


def test_decoded_expression_can_be_projected(here: Path) -> None:
    assert app.run(["project", "model", "data.csv", "-o", "points.csv", "-q"]) == 0
    assert app.run(["decode", "model", "points.csv", "-o", "decoded.csv", "-q"]) == 0
    assert pd.read_csv("decoded.csv", index_col=0).to_numpy().min() >= 0
    assert app.run(["project", "model", "decoded.csv", "-o", "again.csv", "-q"]) == 0


def test_extending_asks_for_the_values_of_the_training(here: Path, capsys: Capture) -> None:
    (frame() * 50 + 7).to_csv("other.csv")
    frame().iloc[:3].rename(index=lambda name: f"new {name}").to_csv("new.csv")
    words = "extend model new.csv --training other.csv -o grown"
    refused(words, "are not those that the model was trained on", capsys)


def test_outputs_are_checked_before_the_data_are_read(here: Path, capsys: Capture) -> None:
    for words in ("fit absent.csv -o model", "project absent absent.csv -o data.csv"):
        refused(words, "exists", capsys)


def test_a_disk_that_fills_up(here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fembed.output.tables._write_text", full)
    words = "project model data.csv -o new.csv"
    refused(words, "new.csv cannot be written (No space left on device)", capsys)


# ---- standard output


def shell(words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = f"{sys.executable} -m fembed {words}"
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="a device that is always full")
def test_standard_output_that_is_full(here: Path) -> None:
    done = shell("info model > /dev/full")
    assert done.returncode == 2
    assert done.stderr.startswith("fembed: Standard output cannot be written: No space left")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs a shell with pipefail")
def test_a_reader_that_has_seen_enough(here: Path) -> None:
    done = shell("info model | true")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs a shell")
def test_a_terminal_without_the_letters_of_a_name(here: Path) -> None:
    frame().rename(columns=lambda name: f"gène {name}").to_csv("letters.csv")
    done = shell("info letters.csv", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", LC_ALL="C")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\xe8" in done.stdout


# ---- options


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--n-components 0", "--n-components is 0; choose a whole number from 1 to 128"),
        ("--n-components 129", "--n-components is 129"),
        ("--n-components two", "'--n-components'"),
        ("--gene-components 0", "--gene-components is 0"),
        ("--hidden 1,x", "--hidden is '1,x'; give whole numbers"),
        ("--hidden 100,0", "--hidden is (100, 0)"),
        ("--hidden ,", "--hidden is ','"),
        ("--recipe slow", "The recipe 'slow' is not known; choose 'fast' or 'published'"),
        ("--transform log2", "There is no transform 'log2'; choose one of log10, cpm, none"),
        ("--epochs 0", "--epochs is 0.0"),
        ("--epochs nan", "--epochs is nan"),
        ("--epochs 3 --iterations 5", "Both epochs and iterations"),
        ("--iterations -1", "--iterations is -1"),
        ("--block-samples 0", "--block-samples is 0"),
        ("--block-genes 0", "--block-genes is 0"),
        ("--learning-rate 0", "--learning-rate is 0.0"),
        ("--learning-rate inf", "--learning-rate is inf"),
        ("--weight-decay -1", "--weight-decay is -1.0"),
        ("--validation-fraction 1", "--validation-fraction is 1.0"),
        ("--seed -1", "--seed is -1"),
        ("--n-threads 0", "--n-threads is 0"),
        ("--colour red", "--colour"),
        ("more", "more"),
    ],
)
def test_impossible_options(here: Path, capsys: Capture, words: str, message: str) -> None:
    refused(f"fit data.csv -o new {words}", message, capsys)


def test_missing_words(here: Path, capsys: Capture) -> None:
    refused("fit data.csv", "'--output'", capsys)
    refused("fit", "'DATA'", capsys)
    refused("fitt", "'fitt'. Did you mean 'fit'? See fembed --help.", capsys)
    refused("project model -o new.csv", "DATA is missing", capsys)
    refused("project model data.csv -o new.csv --n-threads 0", "--n-threads is 0", capsys)
    words = "decode model data.csv -o new.csv --scale other"
    refused(words, "--scale is 'other'; choose input or model", capsys)


# ---- models


def test_a_model_that_is_not_there_or_not_one(here: Path, capsys: Capture) -> None:
    refused("project absent data.csv -o new.csv", "There is no model at absent", capsys)
    refused("project data.csv model -o new.csv", "the model before the data", capsys)
    refused("info model/model.safetensors", "is a .safetensors file", capsys)
    refused("info absent", "absent does not exist", capsys)
    (here / "model" / "model.json").unlink()
    refused("project model data.csv -o new.csv", "model.json is absent", capsys)
    refused("info model", "model.json is absent", capsys)


@pytest.mark.parametrize("command", ["project model data.csv -o new.csv", "info model"])
def test_a_truncated_renamed_or_altered_model(here: Path, capsys: Capture, command: str) -> None:
    arrays, document = here / "model" / "model.safetensors", here / "model" / "model.json"
    payload, text = arrays.read_bytes(), document.read_text()
    arrays.write_bytes(payload[:-10])
    refused(command, "truncated", capsys)
    arrays.write_bytes(payload[:-10] + bytes(10))
    refused(command, "altered", capsys)
    arrays.write_bytes(payload)
    document.write_text(text.replace('"G1"', '"G99"'))
    refused(command, "altered", capsys)
    document.write_text(text[:-20])
    refused(command, "not valid JSON", capsys)
    arrays.rename(here / "model" / "renamed.safetensors")
    document.write_text(text)
    refused(command, "model.safetensors is absent", capsys)


def test_data_without_the_models_genes(here: Path, capsys: Capture) -> None:
    write_csv(here / "other.csv", frame().add_prefix("ENSG"))
    refused("project model other.csv -o new.csv", "no gene in common", capsys)


def test_less_than_half_of_the_models_genes_is_a_warning(here: Path, capsys: Capture) -> None:
    write_csv(here / "panel.csv", frame().iloc[:, :8])
    assert app.run(["project", "model", "panel.csv", "-o", "new.csv", "-q"]) == 0
    out, err = capsys.readouterr()
    assert err.startswith("fembed: warning: panel.csv has only 8 of the model's 24 genes")
    assert err.count("\n") == 1 and out == ""
    assert (pd.read_csv(here / "new.csv")["n_genes"] == 8).all()
    assert N_GENES == 24


# ---- points


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("fembed_1\n1\n", "no column 'fembed_2'"),
        ("fembed_1,fembed_2,fembed_3\n1,2,3\n", "the model has 2 component(s)"),
        ("fembed_1,fembed_2\n1,a\n", "'a' in row 1 and column 'fembed_2'"),
        ("fembed_1,fembed_2\n1,inf\n", "'inf' in row 1"),
        ("fembed_1,fembed_2\n1,\n", "'' in row 1"),
        ("fembed_1,fembed_2\n1,1e39\n", "'1e39' in row 1"),
        ("fembed_1,fembed_2\n1,2\n3\n", "Row 2 of points.csv has 1 cells"),
        ("fembed_1,fembed_2\n1,\xe9\n", "cannot be read as a .csv table"),
    ],
)
def test_bad_points(here: Path, capsys: Capture, text: str, message: str) -> None:
    (here / "points.csv").write_text(text, encoding="latin-1")
    refused("decode model points.csv -o new.csv", message, capsys)


def test_bad_files_of_points(here: Path, capsys: Capture) -> None:
    for ending, why in (
        (".parquet", "cannot be read as a .parquet table"),
        (".h5ad", "is no HDF5 file by its content"),
        (".csv.gz", "cannot be read as a .csv.gz table"),
    ):
        (here / f"points{ending}").write_bytes(b"not what the ending says")
        refused(f"decode model points{ending} -o new.csv", f"points{ending} {why}", capsys)
    refused("decode model data.h5ad -o new.csv", "has no obsm['X_fembed']", capsys)
    refused("decode model absent.csv -o new.csv", "absent.csv is not a file", capsys)
    refused("decode model points.txt -o new.csv", "unknown ending", capsys)
    (here / "points.csv").write_text("fembed_1,fembed_2\n1,2\n")
    words = "decode model points.csv -o new.csv --genes G1,G77"
    refused(words, "The gene 'G77' is not in the model", capsys)


# ---- what goes wrong on the way


@pytest.mark.parametrize(
    ("error", "message", "status"),
    [
        (TrainingError("The loss is not finite; lower the learning rate."), "is not finite", 2),
        (MemoryError(), "There is not enough memory", 1),
        (KeyboardInterrupt(), "Interrupted; no output is half-written", 130),
    ],
)
def test_a_training_that_stops(
    here: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    message: str,
    status: int,
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(train, "fit", stop)
    refused("fit data.csv -o new --embedding new.csv", message, capsys, status)
    assert app.run(["fit", "data.csv", "-o", "new", "--log-json", "log"]) == status
    event = json.loads((here / "log").read_text())
    assert event["event"] == "error" and message in event["message"]


def test_an_interrupt_leaves_no_output(here: Path) -> None:
    words = "fit data.csv -o new --embedding new.csv --iterations 100000000 --validation-fraction 0"
    before = set(listing(here))
    command = [sys.executable, "-m", "fembed", *words.split(), "--log-json", "-", *QUICK[:4]]

    def listen() -> None:  # a test run in the background may have been told to ignore Ctrl-C
        signal.signal(signal.SIGINT, signal.default_int_handler)

    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=listen,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        while "training" not in process.stdout.readline():
            assert process.poll() is None
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == "fembed: Interrupted; no output is half-written.\n"
    assert set(listing(here)) == before


def test_the_program_itself_shows_no_traceback(here: Path) -> None:
    command = [sys.executable, "-m", "fembed", "fit", "absent.csv", "-o", "new"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "fembed: absent.csv does not exist; check the path.\n"


def test_the_demo_without_scanpy(
    here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "scanpy", None)
    refused("demo", 'pip install "fembed[demo]"', capsys)
