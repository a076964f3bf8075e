"""Auxiliary tasks, cross-validated without leakage.

`protocol` runs each fold, `methods` holds the methods that are compared, `tasks` and `survival` say
what is predicted and measured, `folds` divides the samples, `result` and `figure` hold the results.
"""

from fembed.evaluation.protocol import evaluate
from fembed.evaluation.result import Evaluation

__all__ = ["Evaluation", "evaluate"]
