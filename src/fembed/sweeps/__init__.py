"""A grid of settings: many models of the same data, measured and mapped side by side.

`options` is what varies, `case` one model and its measures, `folder` what is kept on disk so that
a run can be resumed, `result` what comes out, and `run` the way through all cases.
"""

from fembed.sweeps.result import Sweep
from fembed.sweeps.run import sweep

__all__ = ["Sweep", "sweep"]
