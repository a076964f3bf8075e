"""The name of `fembed.parallel.dispatch` in programs that were written before."""

from fembed.parallel.dispatch import run

__all__ = ["run"]
