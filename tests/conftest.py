"""Options of the tests that can run for longer than the gate waits."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fuzz-mutations", type=int, default=40, help="of every kind of input (tests/hostile)"
    )
    parser.addoption("--fuzz-seed", type=int, default=0)
