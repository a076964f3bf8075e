"""Bars in terminals and notebooks, lines for commands, nothing elsewhere."""

from __future__ import annotations

import io
import re
import sys
import types
from typing import Any

import numpy as np
import pytest

import fembed
from fembed import progress
from fembed.progress import Bar
from fembed.train import Progress

COUNTS = np.random.default_rng(0).poisson(5.0, size=(40, 30))
SMALL: dict[str, Any] = {"hidden": (8,), "gene_components": 4, "epochs": 2, "n_threads": 1}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def report(step: int, n_steps: int = 5000, stage: str = "training") -> Progress:
    return Progress(stage, step, n_steps, 3.0, 0.04567, 0.0512, 1e6)


def in_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    return stream


def test_a_bar_fits_sixty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = in_terminal(monkeypatch)
    with Bar(True) as bar:
        bar.training(report(4990, stage="placing samples"))
        bar._display._bar.refresh()  # type: ignore[union-attr]
    drawn = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.getvalue())
    lines = [line for line in re.split(r"[\r\n]+", drawn) if line.strip()]
    assert any("placing samples" in line and "loss 0.04567" in line for line in lines)
    assert max(map(len, lines)) <= 60


def test_a_bar_does_not_jump_back(monkeypatch: pytest.MonkeyPatch) -> None:
    in_terminal(monkeypatch)
    shown = []
    with Bar(True) as bar:
        monkeypatch.setattr(bar._display, "show", lambda *words: shown.append(words))
        for step in (10, 400, 300):  # back to the best state so far
            bar.training(report(step))
        bar.training(report(100, n_steps=200))
    assert [words[1] for words in shown] == [10, 400, 400, 100]


def test_nothing_in_a_pipeline(capfd: pytest.CaptureFixture[str]) -> None:
    assert not Bar(True).shown and not Bar().shown
    model = fembed.fit(COUNTS, verbose=True, **SMALL)
    fembed.project(model, COUNTS, verbose=True)
    assert capfd.readouterr() == ("", "")


def test_nothing_in_a_terminal_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = in_terminal(monkeypatch)
    fembed.fit(COUNTS, **SMALL)
    assert terminal.getvalue() == ""
    fembed.fit(COUNTS, verbose=True, **SMALL)
    assert "placing samples" in terminal.getvalue()


def test_a_notebook_shows_one_bar_and_clears_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pages: list[str] = []
    handle = types.SimpleNamespace(update=pages.append)
    shell = types.SimpleNamespace(kernel=object())
    module: Any = types.ModuleType("IPython")
    module.get_ipython = lambda: shell
    module.display = types.ModuleType("IPython.display")
    module.display.HTML = str
    module.display.display = lambda page, display_id: handle
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setitem(sys.modules, "IPython.display", module.display)
    monkeypatch.setattr(progress, "SECONDS_PER_CHANGE", 0.0)
    model = fembed.fit(COUNTS, **SMALL)
    assert "<progress" in pages[0] and pages[-1] == ""
    pages.clear()
    fembed.project(model, COUNTS)
    assert "placing 40 of 40" in pages[0] and pages[-1] == ""
    pages.clear()
    fembed.fit(COUNTS, verbose=False, **SMALL)
    fembed.FactorizedEmbedding(hidden=(8,), epochs=1).fit(COUNTS)
    assert not pages


def test_a_command_without_a_terminal_prints_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines: list[str] = []
    now = iter([0.0, 10.0, 31.0, 40.0, 62.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    with Bar(True, lines=lines.append) as bar:
        for step in (100, 200, 300, 400):
            bar.training(report(step))
    assert lines == [
        "training: 200 of 5,000 after 31 s, loss 0.04567, held out 0.0512",
        "training: 400 of 5,000 after 62 s, loss 0.04567, held out 0.0512",
    ]
