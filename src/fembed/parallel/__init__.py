"""Parallel work. `door` is the one way in: it hands cases to `processes` or to a `cluster`."""

from fembed.parallel.door import run
from fembed.parallel.workers import Workers

__all__ = ["Workers", "run"]
