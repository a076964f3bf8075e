"""A fit that is killed just before each change of the disk at its end, and given again.

`kills` kills at random moments, which seldom fall between two renames; here each change is counted,
and a process of its own is ended before each in turn. By hand, with every fault told:
``python -m tests.hostile.test_interrupted_outputs /tmp/empty``.
"""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.kills import contents
from tests.small_expression import QUICK, write_csv

FIT = ("fit", "data.csv", "-o", "fitted", "--embedding", "map.csv", "-q")
FIT = (*FIT, *QUICK, "--init", "pca")
#: Changes that Python tells of before it makes them; a file that is opened to be written is one.
CHANGES = ("os.rename", "os.link", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "open")
#: Words of a command, and whether the kernel exchanges names and renames into free ones only.
TRIALS = {
    "new": (FIT, True),
    "overwrite": ((*FIT, "--overwrite"), True),
    "new, on an old system": (FIT, False),
    "overwrite, on an old system": ((*FIT, "--overwrite"), False),
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="it forks")
def test_a_fit_killed_before_any_change_of_the_disk_at_its_end(tmp_path) -> None:
    # In a process of its own: this one may have threads, which a fork would not take along.
    program = [sys.executable, "-m", "tests.hostile.test_interrupted_outputs", str(tmp_path)]
    done = subprocess.run(program, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr[-1000:]
    found = [line.partition(": ") for line in done.stdout.splitlines()]
    assert [said for _, _, said in found if not said.endswith(" changes")] == []
    numbers = {trial: int(said.removesuffix(" changes")) for trial, _, said in found}
    assert numbers.keys() == TRIALS.keys() and min(numbers.values()) >= 10


def _tried(folder: Path, trial: str) -> list[str]:
    """What was wrong after a kill before any of the changes, and their number."""
    words, modern = TRIALS[trial]
    (folder / "first").mkdir(parents=True)
    write_csv(folder / "first" / "data.csv")
    if "--overwrite" in words:
        assert _ended(folder / "first", [*FIT, "--seed", "1"], modern) == 0
    assert _ended(shutil.copytree(folder / "first", folder / "whole"), words, modern) == 0
    whole, faults, number = contents(folder / "whole"), [], 0
    while True:
        place = shutil.copytree(folder / "first", folder / f"killed before {number}")
        if _ended(place, words, modern, kill_before=number) == 0:
            return [*faults, f"{number} changes"]
        kept = contents(place)
        if number == 0:
            assert (place / "fitted.checkpoint").is_file()
        status = _ended(place, words, modern)
        if status != 0 and not (status == 2 and kept == whole):
            faults.append(f"{number}: status {status}")
        found = contents(place)
        faults += [f"{number}: {name} differs" for name in whole if found.get(name) != whole[name]]
        left = [*place.rglob(".*"), *sorted({*found} - {*whole})]
        faults += [f"{number}: {name} is left" for name in left]
        number += 1


def _ended(place: Path, words: Any, modern: bool, kill_before: int | None = None) -> int:
    """The status of a command in a fork of this process; -9 if it was killed."""
    process = os.fork()
    if process == 0:
        status = 99
        try:
            status = _run(place, words, modern, kill_before)
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def _run(place: Path, words: Any, modern: bool, kill_before: int | None) -> int:
    from fembed.commands.app import run
    from fembed.commands.finish import FitOutputs
    from fembed.files import renaming
    from fembed.train import checkpoint, trainer

    os.chdir(place)
    # A checkpoint is there in the end, as of a fit of hours.
    checkpoint.SECONDS, trainer.SECONDS_PER_CALL = 0.0, 0.0
    seen = iter(range(0))

    def changed(*paths: Any) -> None:
        inside = [os.path.abspath(path).startswith(f"{place}/") for path in paths]
        if any(inside) and next(seen, -1) == kill_before:
            os.kill(os.getpid(), signal.SIGKILL)

    def heard(event: str, given: tuple[Any, ...]) -> None:
        if event not in CHANGES or not isinstance(given[0], str | bytes | os.PathLike):
            return
        if event == "open" and not (given[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
        changed(os.fsdecode(given[0]))

    real = renaming._special if modern else lambda *given, **options: False
    renaming._special = _after(changed, real) if modern else real  # type: ignore[assignment]
    writes = FitOutputs.write

    def written(*given: Any) -> None:
        nonlocal seen
        seen = iter(range(10_000))
        if kill_before is not None:
            sys.addaudithook(heard)
        writes(*given)

    FitOutputs.write = written  # type: ignore[method-assign]
    return run(words)


def _after(before: Callable[..., None], call: Callable[..., Any]) -> Callable[..., Any]:
    def both(source: Path, target: Path, **options: Any) -> Any:
        before(source, target)
        return call(source, target, **options)

    return both


def _import_all(folder: Path) -> None:
    """Import what the command does, so that no fork has to: that takes longer than the fit."""
    folder.mkdir()
    write_csv(folder / "data.csv")
    process = os.fork()
    if process == 0:
        try:
            _run(folder, FIT, True, None)
            (folder / "modules").write_text("\n".join(sys.modules))
        finally:
            os._exit(0)
    os.waitpid(process, 0)
    for name in (folder / "modules").read_text().split():
        with suppress(ImportError):  # some make their own names
            importlib.import_module(name)


if __name__ == "__main__":
    here = Path(sys.argv[1]).resolve()
    _import_all(here / "imports")
    with get_context("fork").Pool(len(TRIALS)) as pool:
        for one, lines in zip(
            TRIALS, pool.starmap(_tried, [(here / one, one) for one in TRIALS]), strict=True
        ):
            print("\n".join(f"{one}: {line}" for line in lines))
