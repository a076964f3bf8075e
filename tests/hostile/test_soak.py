"""Nothing piles up in a process that fits and projects again and again; `soak` goes on longer."""

from __future__ import annotations

from tests.hostile.soak import WARM_UP, faults, rounds


def test_memory_files_threads_and_children_stay_flat(tmp_path, capsys):
    levels = list(rounds(tmp_path / "soak", WARM_UP + 12))
    assert faults(levels[WARM_UP:]) == []
