"""Tables of genes that the command ``genes`` writes: each gene of a model, and genes that are near.

`fembed.output.tables` writes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from fembed.inference.learnt_genes import Genes


@dataclass(frozen=True)
class GenesTable:
    """A row for each gene; an .h5ad file has the genes in ``var``, and no samples."""

    genes: Genes

    def columns(self) -> dict[str, NDArray[Any]]:
        return self.genes.columns()

    def to_anndata(self) -> AnnData:
        import pandas as pd
        from anndata import AnnData

        names = pd.Index(self.genes.names.astype(str))
        return AnnData(
            np.empty((0, len(names)), np.float32),
            var=pd.DataFrame(self.genes.facts(), index=names),
            varm={"fembed": self.genes.vectors, "fembed_loading": self.genes.loading},
        )


@dataclass(frozen=True)
class RowsTable:
    """The rows of a DataFrame that belong to no matrix; .h5ad has them in ``obs``, numbered."""

    rows: pd.DataFrame

    def columns(self) -> dict[str, NDArray[Any]]:
        return {str(name): column.to_numpy() for name, column in self.rows.items()}

    def to_anndata(self) -> AnnData:
        from anndata import AnnData

        obs = self.rows.copy()
        obs.index = obs.index.astype(str)
        return AnnData(obs=obs)
