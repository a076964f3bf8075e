"""Sweeps: the table, resuming after a kill, and folders of other things."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

matplotlib.use("Agg")

import fembed
from fembed import FitConfig, InputError, Workers, pl
from fembed.commands.app import run
from tests.small_expression import frame, write_h5ad

SMALL = FitConfig(hidden=(8,), gene_components=4, iterations=30)
ONE = Workers(n_workers=1, n_threads=1)
KINDS = [f"group {i % 3}" for i in range(36)]
#: A sweep of four cases, without figures, in a process of its own.
COMMAND = (
    *("--label", "group", "--weight-decay", "0,1e-3", "--grid", "gene_components=2,4"),
    *("--hidden", "8", "--iterations", "30", "--classifier-steps", "10"),
    *("--n-workers", "1", "--n-threads", "1", "--no-figures", "-q"),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_h5ad(tmp_path_factory.mktemp("sweep") / "data.h5ad")


@pytest.fixture(scope="module")
def whole(data: Path) -> Path:
    """The folder of a sweep that nothing interrupted."""
    folder = data.parent / "whole"
    assert run(["sweep", str(data), "-o", str(folder), *COMMAND]) == 0
    return folder


def table(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "table.csv", float_precision="round_trip")


def test_the_table_says_what_was_trained_and_measured(data: Path, whole: Path) -> None:
    found = table(whole)
    assert list(zip(found["weight_decay"], found["gene_components"], strict=True)) == [
        (0.0, 2), (0.0, 4), (1e-3, 2), (1e-3, 4)
    ]  # fmt: skip
    for _, row in found.iterrows():
        model = fembed.load(whole / "models" / row["case"])
        assert model.config.weight_decay == row["weight_decay"]
        assert model.training["mse"] == row["loss"]
        assert model.training["steps"] == row["steps"]
        centred = model.sample_embedding - model.sample_embedding.mean(axis=0)
        assert row["map_size"] == pytest.approx(np.sqrt(np.mean(centred**2)), rel=1e-5)
    accuracies = found[["knn_accuracy", "held_out_knn_accuracy", "network_accuracy"]]
    assert ((accuracies >= 0) & (accuracies <= 1)).all(axis=None)
    # A case is what a fit of its own gives.
    alone = fembed.fit(
        fembed.read(data),
        FitConfig(hidden=(8,), gene_components=4, iterations=30, weight_decay=1e-3, n_threads=1),
    )
    assert alone.training["mse"] == found["loss"][3]


def test_a_killed_sweep_goes_on_and_ends_bit_for_bit_as_one_that_was_not(
    data: Path, whole: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "killed"
    command = [sys.executable, "-m", "fembed", "sweep", str(data), "-o", str(folder), *COMMAND]
    with subprocess.Popen(command) as process:
        while process.poll() is None and not list(folder.glob("cases/*.safetensors")):
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
    finished = {path: path.read_bytes() for path in folder.glob("cases/*.safetensors")}
    assert finished and not (folder / "table.csv").exists()
    subprocess.run(command, check=True)
    pd.testing.assert_frame_equal(
        table(folder).drop(columns="seconds"),
        table(whole).drop(columns="seconds"),
        check_exact=True,
    )
    for path, content in finished.items():
        assert path.read_bytes() == content  # not run again
    for model in whole.glob("models/*/model.safetensors"):
        assert (folder / model.relative_to(whole)).read_bytes() == model.read_bytes()


def test_a_grid_can_grow_and_what_is_there_is_not_run_again(tmp_path: Path) -> None:
    def grown(decays: list[float]) -> tuple[fembed.Sweep, list[str]]:
        seen: list[str] = []
        found = fembed.sweep(
            frame(), {"weight_decay": decays}, KINDS, config=SMALL, classifier_steps=0,
            held_out=False, folder=tmp_path / "grid", workers=ONE,
            callback=lambda done, n, case: seen.append(f"{done}/{n} {case.config.weight_decay}"),
        )  # fmt: skip
        return found, seen

    first, _ = grown([0.0])
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "grid" / "cases").iterdir()}
    second, seen = grown([1e-3, 0.0])
    assert seen == ["1/2 0.0", "2/2 0.001"]  # the stored one first
    assert [path.stat().st_mtime_ns for path in kept] == list(kept.values())
    assert second.table["loss"][1] == first.table["loss"][0]
    assert second.table["seconds"][1] == first.table["seconds"][0]
    assert second.table["network_accuracy"].isna().all()


def test_another_sweep_of_the_folder_is_refused(tmp_path: Path) -> None:
    def swept(values: pd.DataFrame, labels: list[str], **options: object) -> fembed.Sweep:
        return fembed.sweep(
            values, {"seed": [0]}, labels, folder=tmp_path / "s", workers=ONE,
            config=SMALL, classifier_steps=0, **options,  # type: ignore[arg-type]
        )  # fmt: skip

    swept(frame(), KINDS, held_out=False)
    before = sorted(path.name for path in (tmp_path / "s").rglob("*"))
    for values, labels, options, what in (
        (frame(1), KINDS, {"held_out": False}, "another data"),
        (frame(), KINDS[::-1], {"held_out": False}, "another data"),
        (frame(), KINDS, {"held_out": True}, "another choice of held-out samples"),
        (frame(), KINDS, {"held_out": False, "fold_seed": 3}, r"folds \(0 there, 3 here\)"),
    ):
        with pytest.raises(InputError, match=what):
            swept(values, labels, **options)
    assert sorted(path.name for path in (tmp_path / "s").rglob("*")) == before
    (case,) = (tmp_path / "s" / "cases").iterdir()
    case.write_bytes(case.read_bytes()[:-5])
    with pytest.raises(InputError, match="cases"):
        swept(frame(), KINDS, held_out=False)


def test_a_loss_that_is_not_finite_fails_its_case_alone() -> None:
    config = FitConfig(hidden=(50,) * 16, gene_components=4, iterations=40, recipe="published")
    found = fembed.sweep(
        np.log10(frame() + 1), {"learning_rate": [1e-4, 1.0]}, KINDS, config=config,
        classifier_steps=0, held_out=False, transform="none", workers=ONE,
    )  # fmt: skip
    assert found.table["failure"].str.contains("no longer finite").any()
    assert found.table.loc[found.table["failure"] != "", "loss"].isna().all()


def test_a_sweep_is_drawn(tmp_path: Path) -> None:
    adata = AnnData(
        frame().to_numpy(np.float32), obs=pd.DataFrame({"kind": KINDS}, index=frame().index)
    )
    found = fembed.sweep(
        adata, {"weight_decay": [0, 1e-2], "seed": [0, 1]}, "kind", config=SMALL,
        classifier_steps=0, held_out=False, workers=ONE,
    )  # fmt: skip
    panels = pl.scatter_grid(found, save=tmp_path / "scatter.png")
    assert panels.shape == (2, 2)
    assert panels[0, 0].get_title() == "0" and panels[0, 1].get_title() == "0.01"
    assert [panel.get_ylabel() for panel in panels[:, 0]] == ["0", "1"]
    names = [text.get_text() for text in panels[0, 0].figure.legends[0].get_texts()]
    assert names == ["group 0", "group 1", "group 2"]
    density = pl.density_grid(found, save=tmp_path / "density.png")
    counted = density[1, 1].collections[0].get_array().sum()
    outside = [int(text.get_text().split()[0]) for text in density[1, 1].texts]
    assert counted + sum(outside) == 36
    heat = pl.accuracy_table(found, measure="knn_accuracy", save=tmp_path / "heat.png")
    written = [float(text.get_text()) for text in heat.texts]
    wanted = found.table.pivot(index="seed", columns="weight_decay", values="knn_accuracy")
    np.testing.assert_allclose(written, wanted.to_numpy().ravel(), atol=5e-4)
    by_default = pl.accuracy_table(found, save=tmp_path / "default.png")  # no network was trained
    assert [float(text.get_text()) for text in by_default.texts] == written


def test_the_command_draws_its_figures(data: Path, tmp_path: Path) -> None:
    words = [word for word in COMMAND if word != "--no-figures"]
    words[words.index("0,1e-3")] = "0"
    words += ["--no-held-out", "--no-models", "--limits", "-1,1"]
    assert run(["sweep", str(data), "-o", str(tmp_path / "s"), *words]) == 0
    names = {path.name for path in (tmp_path / "s").iterdir()}
    assert names == {
        "cases", "sweep.json", "table.csv", "density.png", "density.pdf", "scatter.png",
        "scatter.pdf", "knn_accuracy.png", "knn_accuracy.pdf", "network_accuracy.png",
        "network_accuracy.pdf",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--grid", "colour=1,2", "--label", "group"], "'colour' is not one of a fit"),
        (["--grid", "seed", "--label", "group"], "--grid is 'seed'"),
        (["--label", "group"], "nothing to vary"),
        (["--weight-decay", "0,-1", "--label", "group"], "weight_decay is -1"),
        (["--weight-decay", "0,1", "--label", "stage"], "no label column 'stage'"),
        (["--weight-decay", "0,1", "--label", "loss"], "same|label '0"),
        (["--weight-decay", "0,1", "--label", "group", "--limits", "5"], "--limits"),
        (["--weight-decay", "0,1", "--label", "group", "--classifier-steps", "-1"], "classifier"),
        (["--weight-decay", "0,1", "--label", "group", "--groups", "nobody"], "'nobody'"),
    ],
)
def test_mistakes_in_the_command_are_one_sentence_and_leave_nothing(
    data: Path, tmp_path: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    import re

    status = run(["sweep", str(data), "-o", str(tmp_path / "new"), *words, "--no-figures"])
    told = capsys.readouterr().err
    assert status == 2
    assert re.search(message, told), told
    assert told.count("\n") == 1 and "Traceback" not in told
    assert not (tmp_path / "new").exists()


def test_a_folder_of_other_things_is_left_alone(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("years of work")
    for target in (mine, mine / "thesis.tex"):
        assert run(["sweep", str(data), "-o", str(target), *COMMAND]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert [path.name for path in mine.iterdir()] == ["thesis.tex"]
    assert (mine / "thesis.tex").read_text() == "years of work"
