"""What a trained model says of new data, with nothing in it changed.

`projection` places new samples, and `extension` makes them part of the model; `imputation` gives
all genes from those at hand; `new_genes` adds genes that the model does not have;
`calibration` learns from data how sure the model may be; `matching` puts data in its terms, and
`doubts` asks whether they are what they seem.
"""

from fembed.inference.calibration import calibrate
from fembed.inference.extension import extend
from fembed.inference.imputation import Imputation, impute
from fembed.inference.new_genes import add_genes
from fembed.inference.projection import Projection, project

__all__ = ["Imputation", "Projection", "add_genes", "calibrate", "extend", "impute", "project"]
