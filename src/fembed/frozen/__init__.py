"""Everything a frozen model can do beside placing samples.

`imputation` gives all genes from those at hand, with the prior of `anchor`; `new_genes` fits genes
that the model does not have (`gene_fit`); `calibration` learns from data how sure the model may be.
"""

from fembed.frozen.calibration import calibrate
from fembed.frozen.imputation import Imputation, impute
from fembed.frozen.new_genes import add_genes

__all__ = ["Imputation", "add_genes", "calibrate", "impute"]
