"""Outputs that cannot be written, or must not be: a sentence in time, and nothing lost."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

import fembed
from fembed import store
from fembed.commands.app import run
from fembed.data import readers
from fembed.errors import InputError
from fembed.files import atomic
from fembed.files.schema import parsed
from tests.small_expression import QUICK, frame, write_csv, write_h5ad
from tests.tiny_model import tiny_model

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
            patched.setattr(atomic.os, "fsync", _full)
            words = ["project", "model", "data.csv", "-o", target.name, "--overwrite", "-q"]
            assert run(words) == 2
        assert os.fsync is real and target.read_bytes() == earlier
        assert "No space left on device" in capsys.readouterr().err
    assert not list(here.glob(".*"))


@pytest.mark.parametrize("elsewhere", [True, False], ids=["room elsewhere", "no room"])
def test_a_disk_that_fills_up_costs_no_extended_model(
    here, capsys, monkeypatch, elsewhere: bool
) -> None:
    assert run([*FIT, "-q"]) == 0
    assert run([*FIT[:2], "-o", "grown", *QUICK, "--seed", "1", "-q"]) == 0
    earlier = {path.name: path.read_bytes() for path in (here / "grown").iterdir()}
    write_csv(here / "new.csv", frame(1).rename("new {}".format))
    aside = here / "aside"
    aside.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(aside))
    left = [_full] if elsewhere else [_full] * 9
    real = os.fsync
    monkeypatch.setattr(atomic.os, "fsync", lambda number: (left.pop() if left else real)(number))
    words = ["extend", "model", "new.csv", "--training", "data.csv", "-o", "grown"]
    assert run([*words, "--overwrite", "--epochs", "1", "--n-threads", "1"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "grown cannot be written (No space left on device)" in said
    assert {path.name: path.read_bytes() for path in (here / "grown").iterdir()} == earlier
    assert not list(here.glob(".*")) and not list((here / "aside").glob(".*"))
    kept = list(aside.glob("*/grown"))
    if elsewhere:
        assert str(kept[0]) in said and store.load(kept[0]).n_samples == 72
    else:
        assert not list(aside.iterdir())


def test_what_is_put_into_a_folder_is_there_complete_or_not_at_all(here, monkeypatch) -> None:
    place = atomic.place("new")
    monkeypatch.setattr(atomic.os, "fsync", _full)
    with (
        pytest.raises(InputError, match=r"^new cannot be written \(No space left on device\)"),
        atomic.filling(place) as folder,
    ):
        tiny_model().save(folder / "model")
    monkeypatch.undo()
    assert sorted(path.name for path in here.iterdir()) == ["data.csv"]
    with atomic.filling(place) as folder:
        tiny_model().save(folder / "model")
        assert not (here / "new").exists()
    assert store.load(here / "new" / "model").n_samples == tiny_model().n_samples
    assert sorted(path.name for path in here.iterdir()) == ["data.csv", "new"]


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


def test_a_fit_whose_outputs_others_wrote_meanwhile_tells_of_both_places(
    here, capsys, monkeypatch
) -> None:
    from fembed import train

    real = train.fit

    def disturbed(*given: Any, **options: Any) -> Any:
        model = real(*given, **options)
        (here / "model").mkdir()
        (here / "map.csv").write_text("theirs")
        return model

    monkeypatch.setattr(train, "fit", disturbed)
    assert run([*FIT, "--embedding", "map.csv"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "wrote model and map.csv" in said
    assert "model.2 and " in said and "map.2.csv" in said
    assert (here / "model.2" / "model.json").is_file() and (here / "map.2.csv").is_file()
    assert (here / "map.csv").read_text() == "theirs" and not list((here / "model").iterdir())


@on_linux
def test_names_of_files_that_are_no_utf8_do_not_spoil_what_is_written(here, capsys) -> None:
    name = os.fsdecode(b"caf\xe9")
    os.rename(write_h5ad(here / "data.h5ad"), f"{name}.h5ad")
    sweep = ["sweep", f"{name}.h5ad", "--label", "group", "-o", "swept", "--weight-decay", "0"]
    sweep += ["--hidden", "8", "--gene-components", "4", "--epochs", "1", "--no-held-out"]
    sweep += ["--classifier-steps", "0", "--no-figures", "--n-workers", "1", "-q"]
    assert [run(sweep), run(sweep)] == [0, 0]  # the second reads what the first wrote
    assert parsed((here / "swept" / "sweep.json").read_bytes())["data"] == r"caf\udce9.h5ad"
    assert run(["fit", f"{name}.h5ad", "-o", name, *QUICK, "--log-json", "log", "-q"]) == 0
    assert all(parsed(line) for line in (here / "log").read_bytes().splitlines())
    assert run(["info", name]) == 0, capsys.readouterr().err


@on_linux
def test_samples_named_by_files_that_are_no_utf8_make_a_model_that_can_be_read(here) -> None:
    (here / "counts").mkdir()
    for i, (_, row) in enumerate(frame()[:12].iterrows()):
        rows = "".join(f"{gene}\t{int(count)}\n" for gene, count in row.items())
        (here / "counts" / os.fsdecode(b"s\xe9%d.htseq.txt" % i)).write_text(rows)
    assert run(["fit", "counts", "-o", "model", *QUICK, "--validation-fraction", "0", "-q"]) == 0
    assert "\\udce90" in store.load("model").sample_names[0]
    assert run(["project", "model", "counts", "-o", "map.csv", "-q"]) == 0


LONG = ("a" * 256, "/".join(["d" * 200] * 21))


@pytest.mark.parametrize("path", LONG, ids=["a name", "a path"])
@pytest.mark.parametrize(
    "words",
    [
        ["info", "{}"],
        ["fit", "{}.csv", "-o", "new"],
        ["fit", "data.csv", "--tx2gene", "{}", "-o", "new"],
        ["fit", "data.csv", "-o", "{}"],
        ["project", "{}", "data.csv", "-o", "new.csv"],
        ["decode", "model", "{}.csv", "-o", "new.csv"],
        ["evaluate", "data.csv", "--label", "group", "--annotations", "{}.csv"],
        ["extend", "model", "data.csv", "--training", "{}.h5ad", "-o", "new"],
        ["sweep", "data.csv", "--label", "group", "-o", "{}", "--weight-decay", "0"],
        ["plot", "model", "--data", "{}.zarr", "-o", "new.html"],
    ],
    ids=lambda words: f"{words[0]} {next(word for word in words if '{}' in word)}",
)
def test_a_path_that_is_too_long_is_one_sentence(here, capsys, path: str, words: list[str]) -> None:
    tiny_model().save("model")
    assert run([word.replace("{}", path) for word in words]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "File name too long" in said and len(said) < 700


def test_from_python_a_path_that_is_too_long_is_an_input_error(here) -> None:
    for path in LONG:
        with pytest.raises(InputError, match="File name too long"):
            fembed.fit(frame(), fembed.FitConfig(hidden=(8,), epochs=1), checkpoint=path)
        with pytest.raises(InputError, match="File name too long"):
            store.load(path)
        with pytest.raises(InputError, match="File name too long"):
            readers.read(path)
