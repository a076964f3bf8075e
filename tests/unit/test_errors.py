"""What a message may repeat: names and cells of any length and kind, on one line."""

from __future__ import annotations

import pickle

import pytest

from fembed.errors import DataWarning, InputError, TrainingError, WorkerError


@pytest.mark.parametrize("kind", [InputError, TrainingError, WorkerError, DataWarning])
def test_a_message_is_one_line_of_bounded_length(kind):
    error = kind(f"m.csv holds '{'x' * 131_072}',\n  a name\x1b[31m too \ud800 long; shorten it.")
    text = str(error)
    assert len(text) < 1000 and "\n" not in text and "\x1b" not in text
    text.encode()
    assert text.startswith("m.csv holds 'xxx") and text.endswith("too \\ud800 long; shorten it.")
    assert str(pickle.loads(pickle.dumps(error))) == text
    assert len(str(kind("many words " * 10_000))) < 1600
    path = "/a/path/" + "folder/" * 30 + "of a usual length.csv"
    assert str(kind(f"{path} does  not exist.")) == f"{path} does  not exist."
