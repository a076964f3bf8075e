"""Parallel work. `dispatch` hands cases to `processes` or to a `cluster`."""

from fembed.parallel.dispatch import run
from fembed.parallel.workers import Workers

__all__ = ["Workers", "run"]
