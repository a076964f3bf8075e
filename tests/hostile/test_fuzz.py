"""Mutations of every kind of input: read, or refused by a sentence; never anything else.

Some forty of a kind here; ``pytest tests/hostile/test_fuzz.py --fuzz-mutations 20000`` for a night.
"""

from __future__ import annotations

import os

import pytest

from tests.hostile.fuzz import pool
from tests.hostile.fuzz.kinds import KINDS


@pytest.fixture(scope="module")
def results(request):
    n, seed = (request.config.getoption(f"--fuzz-{name}") for name in ("mutations", "seed"))
    return pool.run([*KINDS], n, seed=seed, n_jobs=min(4, os.cpu_count() or 1))


@pytest.mark.parametrize("kind", KINDS)
def test_a_mutated_input_is_read_or_refused_in_a_sentence(results, kind, request):
    found = results[kind]
    assert found.tried == request.config.getoption("--fuzz-mutations")
    assert not found.failures, "\n".join(map(pool.sentence, found.groups()))
