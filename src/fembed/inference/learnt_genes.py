"""The genes of a model: their vectors, how they vary over the map, and which are alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fembed import engine
from fembed.config import checked_whole
from fembed.data.chunks import even_choice
from fembed.engine import Float32
from fembed.facts import ShowsFacts, counted, first_names
from fembed.inference.matching import as_model
from fembed.model import Model
from fembed.threads import limited

if TYPE_CHECKING:
    import pandas as pd

Float64 = NDArray[np.float64]

#: Genes are decoded at the places of at most so many training samples, spread evenly over them.
SAMPLES = 1024
#: How many near genes are listed by default.
N_NEAR = 20
#: By what genes are near: the columns of `Genes.near` that hold the similarities.
MEASURES = {"vector": "vector_similarity", "profile": "profile_correlation"}


@dataclass(frozen=True, repr=False)
class Genes(ShowsFacts):
    """What a model has learnt of each of its genes.

    All values are after the model's transform; standard deviations are those of a gene's expression
    among the training samples. ``None`` is what the model cannot tell.

    Attributes
    ----------
    names : array of str, n_genes
    vectors : float32, n_genes x gene_components
        The gene embedding.
    loading : float32, n_genes x n_components
        Slopes of the gene's decoded expression along the axes of the map: the plane that fits it
        best over the training samples' places, in units of expression per unit of the map.
    mean : float32, n_genes
        Of the decoded expression over these places. In a model of counts, decoded expression is the
        natural logarithm of the expected count in a sample of size one.
    linear : float32, n_genes
        The share of the decoded expression's variance that this plane explains; NaN where the
        decoded expression does not vary.
    sd_map : float32, n_genes
        Standard deviation of the decoded expression over these places.
    sd_shared, sd_noise : float32, n_genes, optional
        Of what the map leaves of the training samples: what the gene shares with others by the
        residual factors, and its own noise. Only with residual factors.
    explained : float32, n_genes, optional
        The share of the gene's variance that the map explains: the square of ``sd_map`` over the
        sum of all three squares. Only with residual factors.
    rate, dispersion : float32, n_genes, optional
        Of a model of counts: the mean count in a sample of size one, and the dispersion.
    profiles : float32, k x n_genes
        The decoded expression at the places of the training samples, of at most 1,024 of them.
    model : Model
    """

    names: NDArray[np.object_]
    vectors: Float32
    loading: Float32
    mean: Float32
    linear: Float32
    sd_map: Float32
    sd_shared: Float32 | None
    sd_noise: Float32 | None
    explained: Float32 | None
    rate: Float32 | None
    dispersion: Float32 | None
    profiles: Float32
    model: Model

    def facts(self) -> dict[str, Float32]:
        """One number for each gene, by name, without those that the model cannot tell."""
        names = ("mean", "sd_map", "sd_shared", "sd_noise", "explained", "linear")
        found = {name: getattr(self, name) for name in (*names, "rate", "dispersion")}
        return {name: column for name, column in found.items() if column is not None}

    def columns(self) -> dict[str, NDArray[Any]]:
        """The names, and all numbers in columns: ``vector_1``, ..., ``loading_1``, ..., facts."""
        numbered = {
            f"{name}_{k}": column
            for name, matrix in (("loading", self.loading), ("vector", self.vectors))
            for k, column in enumerate(matrix.T, start=1)
        }
        return {"gene": self.names, **self.facts(), **numbered}

    def table(self) -> pd.DataFrame:
        """The same as a DataFrame, indexed by the genes' names."""
        import pandas as pd

        return pd.DataFrame(self.columns()).set_index("gene")

    def near(self, genes: str | Sequence[str], n: int = N_NEAR) -> pd.DataFrame:
        """The genes that are most like some genes, by their vectors and by their profiles.

        Parameters
        ----------
        genes : str or sequence of str
        n : int
            How many near genes are listed for each gene and each of the two measures.

        Returns
        -------
        DataFrame
            ``gene``; ``by``: ``vector`` or ``profile``; ``rank``, from 1; ``near``: the near gene;
            ``vector_similarity``: the cosine of the angle between the two genes' vectors, less the
            mean of all genes' vectors; ``profile_correlation``: Pearson's correlation of the two
            genes' decoded expression over the training samples' places. NaN, and last, where a
            gene has no vector or profile that differs from the mean.

        Raises
        ------
        InputError
            An unknown gene, or a number of genes below one.

        Examples
        --------
        >>> found = fembed.genes(model).near("G0", n=3)
        >>> found["by"].tolist()
        ['vector', 'vector', 'vector', 'profile', 'profile', 'profile']
        """
        import pandas as pd

        n = checked_whole("n", n, 1, 2**31)
        rows = self.model.gene_rows([genes] if isinstance(genes, str) else list(genes))
        with limited(1):
            similarity = {
                "vector": _cosines(self.vectors, rows),
                "profile": _cosines(self.profiles.T, rows, of_rows=True),
            }
        parts = []
        for k, row in enumerate(rows):
            for by, values in similarity.items():
                others = np.argsort(-values[k], kind="stable")  # NaN is last
                others = others[others != row][:n]
                part: dict[str, Any] = {
                    "gene": self.names[row],
                    "by": by,
                    "rank": np.arange(1, len(others) + 1),
                    "near": self.names[others],
                }
                part |= {column: similarity[it][k, others] for it, column in MEASURES.items()}
                parts.append(pd.DataFrame(part))
        return pd.concat(parts, ignore_index=True)

    def _facts(self) -> tuple[str, dict[str, Any]]:
        title = (
            f"{counted(len(self.names), 'gene')} x {counted(self.vectors.shape[1], 'component')}"
        )
        explained = None if self.explained is None else float(np.nanmedian(self.explained))
        return title, {
            "genes": first_names(self.names),
            "median explained variance": explained,
            "columns": ", ".join(self.facts()),
        }


def genes(model: Model | Any, *, n_threads: int | None = None) -> Genes:
    """What a model has learnt of its genes: vectors, loadings, noise, and variance explained.

    It is all from the model itself: where residual factors did not help, the fit kept no noise of
    the genes, and the variance explained of each is not known.

    Parameters
    ----------
    model : Model or path
    n_threads : int, optional
        Threads of the engine.

    Returns
    -------
    Genes

    Raises
    ------
    InputError
        The model is none.

    Examples
    --------
    >>> found = fembed.genes(model)
    >>> found.vectors.shape == model.gene_embedding.shape
    True
    """
    model = as_model(model)
    some = even_choice(model.n_samples, SAMPLES)
    places = np.ascontiguousarray(model.sample_embedding[some])
    decoded = engine.decode(model.parameters, places, n_threads=n_threads)
    decoded = model.preprocessing.unweighted(decoded)
    mean = decoded.mean(axis=0, dtype=np.float64)
    deviations = decoded - mean
    variance = np.square(deviations).mean(axis=0)
    with limited(1), np.errstate(invalid="ignore", divide="ignore"):
        axes = places.astype(np.float64) - places.mean(axis=0, dtype=np.float64)
        loading = np.linalg.lstsq(axes, deviations, rcond=None)[0].T
        rest = np.square(deviations - axes @ loading.T).mean(axis=0)
        linear = 1.0 - rest / variance
        shared, noise = _left(model)
        explained = None if shared is None else variance / (variance + shared + noise)
    counts = model.count_model
    return Genes(
        names=model.gene_names,
        vectors=np.array(model.gene_embedding, np.float32),
        loading=np.ascontiguousarray(loading, np.float32),
        mean=mean.astype(np.float32),
        linear=linear.astype(np.float32),
        sd_map=np.sqrt(variance).astype(np.float32),
        sd_shared=None if shared is None else np.sqrt(shared).astype(np.float32),
        sd_noise=None if noise is None else np.sqrt(noise).astype(np.float32),
        explained=None if explained is None else explained.astype(np.float32),
        rate=None if counts is None else counts.rate,
        dispersion=None if counts is None else counts.dispersion,
        profiles=decoded,
        model=model,
    )


def _left(model: Model) -> tuple[Float64, Float64] | tuple[None, None]:
    """Variances that the map leaves of each gene: what others share, and its own noise."""
    factors = model.residual_factors
    if factors is None:
        return None, None
    shared = np.square(factors.loading, dtype=np.float64).sum(axis=1)
    # A layer's values were multiplied by its weight before training.
    unit = model.preprocessing.unweighted(np.ones((1, model.n_genes), np.float32))[0]
    square = np.square(unit, dtype=np.float64)
    return shared * square, factors.noise * square


def _cosines(matrix: Float32, rows: NDArray[np.int64], of_rows: bool = False) -> Float64:
    """Cosines of some rows of a matrix with all its rows, each column's mean taken off.

    ``of_rows`` takes each row's own mean off instead: these are then correlations.
    """
    values = matrix.astype(np.float64)
    values -= values.mean(axis=1 if of_rows else 0, keepdims=True)
    size = np.sqrt(np.square(values).sum(axis=1))
    # Rounding alone is no difference.
    least = 1e-6 * np.abs(matrix).max(initial=0.0) * np.sqrt(matrix.shape[1])
    values[size <= least] = np.nan
    values /= np.where(size > 0.0, size, 1.0)[:, None]
    found: Float64 = np.clip(values[rows] @ values.T, -1.0, 1.0)
    return found
