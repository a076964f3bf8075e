"""A grid of settings: many models of the same data, measured and mapped side by side.

`options` holds the grid, `case` trains one model and measures it, `folder` keeps results on disk so
that a run can be resumed, `run` goes through all cases, and `result` holds what they gave.
"""

from fembed.sweeps.result import Sweep
from fembed.sweeps.run import sweep

__all__ = ["Sweep", "sweep"]
