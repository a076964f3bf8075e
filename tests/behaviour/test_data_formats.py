"""Data as counters and portals leave it, from the command line to the model or the table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import fembed
from fembed.commands.app import run
from tests.small_expression import QUICK

N_SAMPLES, N_GENES = 6, 20


@pytest.fixture
def counts() -> np.ndarray:
    return np.random.default_rng(0).poisson(40, (N_SAMPLES, 2 * N_GENES))


def facts(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict:
    assert run(["info", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def write_salmon(folder: Path, counts: np.ndarray) -> Path:
    """A folder with a folder a sample, as salmon leaves it, and a table of transcripts."""
    names = [f"ENST{i:011d}" for i in range(counts.shape[1])]
    for i, sample in enumerate(counts):
        rows = (f"{t}\t9\t9\t1\t{count}\n" for t, count in zip(names, sample, strict=True))
        path = folder / "run" / f"s{i}" / "quant.sf"
        path.parent.mkdir(parents=True)
        path.write_text("Name\tLength\tEffectiveLength\tTPM\tNumReads\n" + "".join(rows))
        (path.parent / "cmd_info.json").write_text("{}")
    table = folder / "tx2gene.csv"
    table.write_text("TXNAME,GENEID\n" + "".join(f"{t},G{i // 2}\n" for i, t in enumerate(names)))
    return table


def test_a_folder_of_samples_with_its_table_of_transcripts(
    tmp_path: Path, counts: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    table = str(write_salmon(tmp_path, counts))
    data, model = str(tmp_path / "run"), str(tmp_path / "model")
    assert run(["fit", data, "-o", model, "--transform", "cpm", *QUICK]) == 2
    assert "--tx2gene FILE" in capsys.readouterr().err
    arguments = ["fit", data, "--tx2gene", table, "-o", model, "--transform", "cpm", *QUICK]
    assert run(arguments) == 0
    _, err = capsys.readouterr()
    assert "6 files of salmon quant.sf" in err and "6 other file(s) left out" in err
    fitted = fembed.load(model)
    assert fitted.sample_names.tolist() == [f"s{i}" for i in range(N_SAMPLES)]
    assert fitted.gene_names.tolist() == [f"G{i}" for i in range(N_GENES)]


def test_a_pattern_of_files(
    tmp_path: Path, counts: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    table = write_salmon(tmp_path, counts)
    found = facts(capsys, tmp_path / "run" / "*" / "quant.sf", "--tx2gene", table)
    genes = counts[:, ::2] + counts[:, 1::2]
    assert (found["samples"], found["genes"]) == (N_SAMPLES, N_GENES)
    assert (found["lowest"], found["highest"]) == (genes.min(), genes.max())
    assert "estimated counts" in found["looks_like"]


def test_transpose_and_no_transpose(
    tmp_path: Path, counts: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "counts.csv"
    header = ",".join(["", *(f"GSM{i}" for i in range(N_SAMPLES))])
    rows = (f"ENSG{j:011d},{','.join(map(str, gene))}" for j, gene in enumerate(counts.T))
    path.write_text("\n".join([header, *rows]) + "\n")
    assert run(["info", str(path), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["samples"] == N_SAMPLES
    assert "taken for genes x samples" in err and "--no-transpose" in err
    assert run(["info", str(path), "--json", "--transpose"]) == 0
    out, err = capsys.readouterr()
    assert (json.loads(out)["samples"], err) == (N_SAMPLES, "")
    assert facts(capsys, path, "--no-transpose")["samples"] == 2 * N_GENES
