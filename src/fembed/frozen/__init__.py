"""Everything a frozen model can do.

`projection` places new samples, and `extension` makes them part of the model; `imputation` gives
all genes from those at hand, with the prior of `anchor`; `new_genes` fits genes that the model does
not have (`gene_fit`); `calibration` learns from data how sure the model may be.
"""

from fembed.frozen.calibration import calibrate
from fembed.frozen.extension import extend
from fembed.frozen.imputation import Imputation, impute
from fembed.frozen.new_genes import add_genes
from fembed.frozen.projection import Projection, project

__all__ = ["Imputation", "Projection", "add_genes", "calibrate", "extend", "impute", "project"]
