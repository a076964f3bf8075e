"""A fit that is killed, and one that is asked to stop; `kills` and `signals` try hundreds."""

from __future__ import annotations

import pytest

from tests.hostile.kills import Killing
from tests.hostile.signals import SIGNALS, Signalling


def test_a_killed_fit_ends_with_the_same_bits_and_leaves_nothing(tmp_path):
    assert Killing(tmp_path / "trials", ("fit",)).trial("fit", 0) == []


@pytest.fixture(scope="module")
def signalling(tmp_path_factory):
    return Signalling(tmp_path_factory.mktemp("signals") / "trials", ("project",))


@pytest.mark.parametrize(("number", "kind"), [*enumerate(SIGNALS)])
def test_a_command_that_is_asked_to_stop_leaves_nothing(signalling, number, kind):
    assert signalling.trial("project", number, kind) == []
