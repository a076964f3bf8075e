"""Auxiliary tasks, cross-validated without leakage.

`protocol` is the way through a fold, `methods` what is compared, `tasks` and `survival` what is
predicted and measured, `folds` who is tested when, `result` and `figure` what comes out.
"""

from fembed.evaluation.protocol import evaluate
from fembed.evaluation.result import Evaluation

__all__ = ["Evaluation", "evaluate"]
