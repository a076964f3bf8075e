"""A fit that is killed and taken up again ends with the bits of one that was not."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fembed import store
from fembed.config import FitConfig
from fembed.errors import DataWarning, InputError
from fembed.files import arrayfile
from fembed.model import Model
from fembed.train import Progress, checkpoint, fit, trainer
from tests.curved_expression import SMALL, curved, expression

N_STEPS = 240


class Killed(Exception):
    """Stands for a kill: nothing of the fit is left but its file."""


@pytest.fixture(autouse=True)
def short_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """The state is kept after (nearly) every step, not once a minute."""
    monkeypatch.setattr(checkpoint, "SECONDS", 0.0)
    monkeypatch.setattr(trainer, "SECONDS_PER_CALL", 1e-9)


def trained(path: Path | None = None, die_at: int | None = None, **options: Any) -> Model:
    def watch(progress: Progress) -> None:
        if die_at is not None and progress.step >= die_at:
            raise Killed

    config = FitConfig(**{**SMALL, "iterations": N_STEPS, **options})
    return fit(expression(curved()), config, transform="none", callback=watch, checkpoint=path)


def assert_same(one: Model, other: Model) -> None:
    for name, array in one.parameters.arrays().items():
        assert_array_equal(array, other.parameters.arrays()[name], err_msg=name)
    assert_array_equal(one.sample_loss, other.sample_loss)
    assert one.calibration is not None and other.calibration is not None
    assert one.calibration.ellipse_factor == other.calibration.ellipse_factor
    for name in ("steps", "stopped", "held_out_mse", "n_held_out", "passes"):
        assert one.training[name] == other.training[name], name


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"init": "pca"},  # reseating
        {"n_components": 5},
        {"validation_entries": True},
        {"validation_fraction": 0.0},
        {"recipe": "published"},
        {"recipe": "published", "validation_fraction": 0.1, "weight_decay": 1e-6},
    ],
    ids=str,
)
def test_a_killed_fit_ends_as_one_that_was_not(tmp_path: Path, options: dict[str, Any]) -> None:
    whole = trained(**options)
    path = tmp_path / "model.checkpoint"
    kept = []
    # In the first part, in the last one, and twice.
    for die_at in (30, 90, 200):
        with pytest.raises(Killed):
            trained(path, die_at, **options)
        kept.append(arrayfile.read_file(path, checkpoint.KIND)[1]["loop"]["step"])
    assert 0 < kept[0] < kept[1] < kept[2] <= 200
    assert_same(trained(path, **options), whole)
    assert_same(trained(path, **options), whole)  # the file is the caller's to remove


def test_the_training_curve_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "fit"
    with pytest.raises(Killed):
        trained(path, 120)
    history = trained(path).training["history"]
    steps, seconds = ([point[name] for point in history] for name in ("step", "seconds"))
    assert steps == sorted(steps) and steps[0] < 30 and seconds == sorted(seconds)


def test_a_disk_that_fills_up_stops_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise InputError("No space left on device.")

    monkeypatch.setattr(arrayfile, "write_file", full)
    with pytest.warns(DataWarning, match="not kept: No space"):
        found = trained(tmp_path / "fit")
    assert_same(found, trained())


def test_the_number_of_threads_may_change(tmp_path: Path) -> None:
    path = tmp_path / "fit"
    with pytest.raises(Killed):
        trained(path, 120)
    assert_same(trained(path, n_threads=2), trained())


@pytest.mark.parametrize(
    ("options", "words"),
    [({"seed": 1}, "options other"), ({"iterations": 241}, "options other")],
)
def test_another_fit_is_refused_and_nothing_lost(
    tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    path = tmp_path / "fit"
    with pytest.raises(Killed):
        trained(path, 120)
    before = path.read_bytes()
    with pytest.raises(InputError, match=words):
        trained(path, **options)
    values = curved()
    values[3, 4] += 1.0
    with pytest.raises(InputError, match="data other"):
        fit(
            expression(values),
            FitConfig(**SMALL, iterations=N_STEPS),
            transform="none",
            checkpoint=path,
        )
    assert path.read_bytes() == before


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fit"
    path.write_text("my notes")
    with pytest.raises(InputError, match="fit"):
        trained(path)
    assert path.read_text() == "my notes"
    with pytest.raises(InputError, match="cannot be written"):
        trained(Path("/proc/none/fit"))


COMMAND = """
import sys
from fembed.train import checkpoint, trainer
checkpoint.SECONDS, trainer.SECONDS_PER_CALL = 0.05, 2e-3
from fembed.commands.app import main
sys.exit(main())
"""


def test_the_same_command_goes_on_after_a_kill(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", values=curved())
    options = "--transform none --iterations 1500 --hidden 32,32 --gene-components 8 --n-threads 1"

    def command(output: str) -> list[str]:
        words = ["fit", "data.npz", "-o", output, *options.split()]
        return [sys.executable, "-c", COMMAND, *words]

    subprocess.run(command("whole"), cwd=tmp_path, check=True, capture_output=True)
    process = subprocess.Popen(
        command("killed"), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    kept = tmp_path / "killed.checkpoint"
    limit = time.monotonic() + 60
    while not kept.exists() and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert kept.exists() and not (tmp_path / "killed").exists()
    (tmp_path / ".killed.checkpoint.0123abcd.tmp").write_bytes(b"killed while it was written")
    (tmp_path / ".other.checkpoint.0123abcd.tmp").write_bytes(b"of another fit, which goes on")
    done = subprocess.run(
        command("killed"), cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert "Found killed.checkpoint; going on" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".other.checkpoint.0123abcd.tmp", "data.npz", "killed", "whole",
    ]  # fmt: skip
    assert_same(store.load(tmp_path / "killed"), store.load(tmp_path / "whole"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda document, arrays: document["loop"].pop("history"), "'loop.history' is absent"),
        (lambda document, arrays: document["stage"].update(waited=[]), "'stage.waited' is a list"),
        (
            lambda document, arrays: document["stage"].update(cooldown_steps=10**9),
            "beyond the last",
        ),
        (lambda document, arrays: arrays.pop("loop.network"), "'loop.network' is absent"),
        (lambda document, arrays: arrays["loop.network"].fill(np.nan), "not finite"),
        (lambda document, arrays: arrays.update({"best.places": np.zeros((1, 9))}), "not float32"),
    ],
)
def test_a_forged_state_is_refused(tmp_path: Path, change: Any, words: str) -> None:
    path = tmp_path / "model.checkpoint"
    with pytest.raises(Killed):
        trained(path, 90)
    arrays, document = arrayfile.read_file(path, checkpoint.KIND)
    document = {name: document[name] for name in checkpoint.DOCUMENT.fields}
    change(document, arrays)
    arrayfile.write_file(path, arrays, document, checkpoint.KIND)
    with pytest.raises(InputError, match=words):
        trained(path)
