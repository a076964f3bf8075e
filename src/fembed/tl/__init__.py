"""Functions on AnnData objects, like scanpy's: fit a map, place new samples, label them, decode.

Results go into the object itself (see `fembed.output.anndata_fields`), so that scanpy's plots and
neighbours run on them: ``sc.pl.embedding(adata, basis="fembed")``,
``sc.pp.neighbors(adata, use_rep="X_fembed")``.
"""

from __future__ import annotations

from fembed.tl.labelled import annotate
from fembed.tl.new_samples import aberrant, project
from fembed.tl.stored import decode, genes, model
from fembed.tl.training import fit

__all__ = ["aberrant", "annotate", "decode", "fit", "genes", "model", "project"]
