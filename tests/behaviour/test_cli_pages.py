"""``fembed plot`` and ``fembed report``: what they write, and how they refuse."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fembed.commands.app import run
from tests.small_expression import QUICK, frame, write_h5ad


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, a model of two thirds of them, and a file of all."""
    folder = tmp_path_factory.mktemp("pages")
    write_h5ad(folder / "all.h5ad")
    write_h5ad(folder / "training.h5ad", frame().iloc[:24])
    arguments = ["fit", str(folder / "training.h5ad"), "-o", str(folder / "model"), "-q", *QUICK]
    assert run(arguments) == 0
    return folder


def test_report_writes_a_page(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "report.html"
    data = ["--data", str(folder / "all.h5ad"), "--label", "group", "--batch", "group"]
    assert run(["report", str(folder / "model"), "-o", str(page), *data]) == 0
    assert str(page) in capsys.readouterr().out
    text = page.read_text(encoding="utf-8")
    for wanted in (
        "12 projected samples",
        "accuracy of group, projected samples",
        "Batch effect of group",
        "data:image/png;base64,",
        "btaa488",
        "all.h5ad",
    ):
        assert wanted in text
    assert str(folder) not in text, "a page that is passed on tells nobody's folders"
    assert "UMAP" not in text.partition('<section id="quality">')[2]


def test_a_report_compares_with_umap_on_demand(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("umap", reason="umap-learn is not installed")
    page = tmp_path / "report.html"
    data = ["--data", str(folder / "all.h5ad"), "--label", "group", "--umap"]
    assert run(["report", str(folder / "model"), "-o", str(page), *data]) == 0
    table = page.read_text(encoding="utf-8").partition('<section id="quality">')[2]
    rows = re.findall(r'scope="row">(.*?)</th>((?:<td>.*?</td>)+)', table.partition("</table>")[0])
    told = {what: re.findall("<td>(.*?)</td>", cells) for what, cells in rows}
    accuracy = told["5-NN accuracy of group, projected samples"]
    assert len(accuracy) == 3 and all(0 <= float(value) <= 1 for value in accuracy)
    assert told["Mean squared error, projected samples"][2] == "–"


def test_a_report_needs_no_data(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    assert run(["report", str(folder / "model"), "-o", str(page), "-q"]) == 0
    text = page.read_text(encoding="utf-8")
    assert "Reconstruction is shown where the data are given" in text
    assert "Report: model" in text


@pytest.mark.parametrize(
    ("ending", "begin"),
    [(".html", b"<!doctype html>"), (".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")],
)
def test_plot_writes_what_the_ending_says(
    folder: Path, tmp_path: Path, ending: str, begin: bytes
) -> None:
    output = tmp_path / f"map{ending}"
    data = ["--data", str(folder / "all.h5ad"), "--label", "group"]
    assert run(["plot", str(folder / "model"), "-o", str(output), "-q", *data]) == 0
    assert output.read_bytes().startswith(begin)


def test_an_output_is_replaced_only_when_asked(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "map.svg"
    output.write_text("mine")
    arguments = ["plot", str(folder / "model"), "-o", str(output), "-q"]
    assert run(arguments) == 2
    assert "--overwrite" in capsys.readouterr().err and output.read_text() == "mine"
    assert run([*arguments, "--overwrite"]) == 0
    assert output.read_text().startswith("<?xml")


@pytest.mark.parametrize(
    ("command", "arguments", "sentence"),
    [
        ("report", ["-o", "page.pdf"], "page.pdf has an unknown ending; give a file that ends in"),
        ("plot", ["-o", "map.gif"], "map.gif has an unknown ending; give a file that ends in"),
        ("report", ["-o", "a.html", "--label", "group"], "'group' is read from the data; give"),
        ("report", ["-o", "a.html", "--batch", "run"], "'run' is read from the data; give --data"),
        ("report", ["-o", "a.html", "--umap"], "--umap compares maps of the data; give --data"),
        ("report", ["-o", "model/a.html"], "lies in the model"),
        ("plot", ["-o", "a.html", "--data", "all.h5ad", "--label", "no"], "no label column 'no'"),
        ("plot", ["-o", "a.html", "--n-threads", "0"], "--n-threads is 0"),
        ("plot", ["-o", "a.html", "--palette", "no"], "no colour map 'no'"),
        ("plot", ["-o", "a.html", "--data", "other.csv"], "no gene in common"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    arguments: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(folder)
    pd.DataFrame(np.ones((3, 2)), ["x", "y", "z"], ["A", "B"]).to_csv("other.csv")
    before = sorted(path.name for path in folder.rglob("*"))
    assert run([command, "model", *arguments]) == 2
    error = capsys.readouterr().err
    assert sentence in error and "Traceback" not in error
    assert sorted(path.name for path in folder.rglob("*")) == before
