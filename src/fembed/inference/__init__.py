"""Using a trained model on new data: place, impute, label, add genes and samples, calibrate.

`projection` places new samples, and `extension` makes them part of the model; `imputation` predicts
all genes from the measured ones, and `aberrant` finds the measured ones that are far from what the
others say; `learnt_genes` tells what a model has learnt of its genes, and `new_genes` adds genes
that the model does not have;
`annotation` carries labels over to new samples; `calibration` measures how certain the model is;
`matching` brings data to the model's genes and scale, and `doubts` checks that they fit it.
`units` recognises and converts other units, by the `readings` that values bear.
"""

from fembed.inference.aberrant import AberrantGenes, aberrant_genes
from fembed.inference.annotation import Annotation, annotate
from fembed.inference.calibration import calibrate
from fembed.inference.extension import extend
from fembed.inference.imputation import Imputation, impute
from fembed.inference.learnt_genes import Genes, genes
from fembed.inference.new_genes import add_genes
from fembed.inference.projection import Projection, project

__all__ = [
    "AberrantGenes",
    "Annotation",
    "Genes",
    "Imputation",
    "Projection",
    "aberrant_genes",
    "add_genes",
    "annotate",
    "calibrate",
    "extend",
    "genes",
    "impute",
    "project",
]
