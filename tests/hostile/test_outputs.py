"""Outputs that cannot be written, or must not be: a sentence in time, and nothing lost."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from fembed.commands.app import run
from fembed.files import durable
from tests.small_expression import QUICK, write_csv

FIT = ["fit", "data.csv", "-o", "model", *QUICK]
FULL = Path("/dev/full")
on_linux = pytest.mark.skipif(not FULL.exists(), reason="it needs Linux's /dev/full")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "data.csv")
    return tmp_path


@on_linux
def test_a_log_that_cannot_be_written_does_not_cost_the_training(here, capsys) -> None:
    assert run([*FIT, "--log-json", str(FULL)]) == 0
    assert capsys.readouterr().err.count("The log /dev/full cannot be written") == 1
    assert (here / "model" / "model.json").is_file()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="it needs named pipes")
def test_a_log_to_a_pipe_without_and_with_a_reader(here, capsys) -> None:
    os.mkfifo("pipe")
    assert run([*FIT, "--log-json", "pipe"]) == 2
    assert "pipe cannot be written" in capsys.readouterr().err and not (here / "model").exists()
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(Path("pipe").read_text()))
    reader.start()
    while run([*FIT, "--log-json", "pipe", "-q"]) == 2:  # until the reader is there
        capsys.readouterr()
    reader.join(20)
    assert '"event": "done"' in read[0]


def test_a_disk_that_fills_up_leaves_the_earlier_file(here, capsys, monkeypatch) -> None:
    assert run([*FIT, "-q"]) == 0
    for ending in (".csv", ".csv.gz", ".h5ad", ".parquet"):
        target = here / f"new{ending}"
        assert run(["project", "model", "data.csv", "-o", target.name, "-q"]) == 0
        earlier, real = target.read_bytes(), os.fsync
        with monkeypatch.context() as patched:
            patched.setattr(durable.os, "fsync", _full)
            words = ["project", "model", "data.csv", "-o", target.name, "--overwrite", "-q"]
            assert run(words) == 2
        assert os.fsync is real and target.read_bytes() == earlier
        assert "No space left on device" in capsys.readouterr().err
    assert not list(here.glob(".*"))


def _full(descriptor: int) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("path", ["link/new.csv", "model/../model/new.csv", "model/new.csv"])
def test_nothing_is_written_into_a_model(here, capsys, path: str) -> None:
    assert run([*FIT, "-q"]) == 0
    (here / "link").symlink_to("model")
    assert run(["project", "model", "data.csv", "-o", path]) == 2
    assert "lies in the model" in capsys.readouterr().err
    assert sorted(p.name for p in (here / "model").iterdir()) == [
        "model.json",
        "model.safetensors",
    ]


def test_the_longest_name_is_a_name_and_a_longer_one_is_refused_at_once(here, capsys) -> None:
    longest = "m" * (255 - len(".checkpoint"))  # which lies beside it during the training
    assert run(["fit", "data.csv", "-o", longest, *QUICK, "-q"]) == 0
    assert run(["fit", "data.csv", "-o", longest + "m", *QUICK, "-q"]) == 2
    assert "give a shorter one" in capsys.readouterr().err


def test_control_characters_do_not_reach_the_terminal(here, capsys) -> None:
    name = "\x1b[31mred\x07"
    assert run(["info", name]) == 2
    assert run([name]) == 2
    table = (here / "data.csv").read_text().replace("s0,", f"{name},", 1)
    (here / "data.csv").write_text(table)
    assert run(["info", "data.csv"]) == 0
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err and "\x07" not in said.out + said.err
    assert "red" in said.out
