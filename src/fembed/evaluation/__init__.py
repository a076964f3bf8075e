"""Auxiliary tasks, cross-validated without leakage.

`protocol` runs each fold, `methods` holds the methods that are compared, `tasks` and `survival` say
what is predicted and measured, `folds` divides the samples, `result` and `figure` hold the results.
`gene_sets` is the same for genes: members of gene sets are told by the gene vectors.
"""

from fembed.evaluation.gene_sets import GeneSetScores, evaluate_genes
from fembed.evaluation.protocol import evaluate
from fembed.evaluation.result import Evaluation

__all__ = ["Evaluation", "GeneSetScores", "evaluate", "evaluate_genes"]
