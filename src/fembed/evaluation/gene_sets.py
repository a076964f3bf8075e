"""Auxiliary tasks on gene vectors: which genes belong to a set, told from the other genes.

The genes are divided into folds. The members of a set among the training genes say how likely each
test gene is a member, in two ways: by the votes of the nearest training genes, and by a linear
function of the vector. The measure is the area under the ROC curve among the test genes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fembed import inference
from fembed.config import checked_whole
from fembed.data.chunks import row_chunks
from fembed.data.gene_sets import gene_sets, members
from fembed.data.preprocess import Preprocessing
from fembed.errors import InputError
from fembed.facts import ShowsFacts, counted
from fembed.inference.matching import as_model, match
from fembed.threads import limited

if TYPE_CHECKING:
    import pandas as pd

    from fembed.model import Model

Float64 = NDArray[np.float64]
Float32 = NDArray[np.float32]
Members = NDArray[np.bool_]

OURS = "gene vectors"
SHUFFLED = "shuffled sets"
MEASURES = ("knn_auc", "linear_auc")
#: Training genes that vote for a test gene.
NEIGHBOURS = 20
#: Of the ridge regression on standardised columns; it hardly matters, with so many genes.
PENALTY = 10.0
#: A set needs so many of the model's genes.
MIN_GENES = 10


@dataclass(frozen=True, repr=False)
class GeneSetScores(ShowsFacts):
    """How well the members of gene sets are told from other genes, by several ways.

    Attributes
    ----------
    table : DataFrame
        A row for each set and method: ``set``, ``n_genes`` (its genes that the model has),
        ``method``, and the areas under the ROC curve, means over the folds: ``knn_auc`` and
        ``linear_auc`` (NaN for methods with a number for every sample).
    """

    table: pd.DataFrame

    def summary(self) -> pd.DataFrame:
        """For each method the number of sets, and mean and standard error of each area over sets.

        Sets share genes, so the standard errors are somewhat too small.
        """
        grouped = self.table.groupby("method", sort=False)
        found = grouped.size().rename("n_sets").to_frame()
        for measure in MEASURES:
            found[measure] = grouped[measure].mean()
            found[f"{measure}_se"] = grouped[measure].sem()
        return found.reset_index()

    def differences(self) -> pd.DataFrame:
        """For each other method: gene vectors minus it on the same sets, and standard errors."""
        import pandas as pd

        rows = []
        for measure in MEASURES:
            wide = self.table.pivot_table(
                index="set", columns="method", values=measure, sort=False, dropna=False
            )
            for method in [name for name in wide.columns if name != OURS]:
                gap = wide[OURS] - wide[method]
                if gap.notna().any():
                    rows.append(
                        {
                            "baseline": method,
                            "measure": measure,
                            "difference": gap.mean(),
                            "standard_error": gap.sem(),
                        }
                    )
        return pd.DataFrame(rows)

    def _facts(self) -> tuple[str, dict[str, Any]]:
        summary = self.summary().set_index("method")
        title = counted(int(summary["n_sets"].iloc[0]), "gene set")
        return title, {
            str(name): ", ".join(
                f"{measure} {row[measure]:.3f}"
                for measure in MEASURES
                if row[measure] == row[measure]
            )
            for name, row in summary.iterrows()
        }


def evaluate_genes(
    model: Model | Any,
    sets: Any,
    data: Any = None,
    *,
    folds: int = 5,
    min_genes: int = MIN_GENES,
    seed: int = 0,
    n_threads: int | None = None,
) -> GeneSetScores:
    """Predict the members of gene sets from gene vectors, across folds of genes.

    Parameters
    ----------
    model : Model or path
    sets : path or mapping
        A .gmt file, or lists of genes by the name of their set.
    data : as for `fembed.project`, optional
        The training data, for baselines: loadings of its principal components, of the map's and of
        the gene vectors' dimension, and genes that are expressed alike. Without it, the gene
        vectors are compared with decoded profiles and shuffled sets alone.
    folds : int
        Parts into which the genes are divided.
    min_genes : int
        Sets with fewer genes of the model are left out, as are those that lack fewer.
    seed : int
        Of the folds and of the shuffled sets.
    n_threads : int, optional
        Threads of the engine.

    Returns
    -------
    GeneSetScores

    Raises
    ------
    InputError
        The model is none, the sets cannot be read or are all left out, or data as for
        `fembed.project`.

    Warns
    -----
    DataWarning
        Sets and lines that are left out; names that stand twice; as `fembed.project`.

    Examples
    --------
    >>> halves = {"first": model.gene_names[:15], "others": model.gene_names[15:]}
    >>> fembed.evaluate_genes(model, halves).summary()["method"].tolist()
    ['gene vectors', 'decoded profiles', 'shuffled sets']
    """
    import pandas as pd

    folds = checked_whole("folds", folds, 2, 1000)
    min_genes = checked_whole("min_genes", min_genes, folds, 2**31)
    seed = checked_whole("seed", seed, 0, 2**63 - 1)
    model = as_model(model)
    found, origin = gene_sets(sets)
    matched = None if data is None else match(model, data)
    genes = np.arange(model.n_genes) if matched is None else matched.genes
    names, belongs = members(found, origin, model.gene_names[genes], min_genes)
    learnt = inference.genes(model, n_threads=n_threads)
    methods = {OURS: learnt.vectors[genes], "decoded profiles": _standard(learnt.profiles.T[genes])}
    rng = np.random.default_rng(seed)
    with limited(1):
        if matched is not None:
            methods |= _baselines(model, matched.profiles)
        fold = rng.permutation(len(genes)) % folds
        rows = []
        for method, vectors in methods.items():
            linear = not method.startswith(("decoded", "co-"))
            rows.append((method, *_areas(vectors, belongs, fold, linear)))
        shuffled = belongs[rng.permutation(len(genes))]
        rows.append((SHUFFLED, *_areas(methods[OURS], shuffled, fold, True)))
    sizes = belongs.sum(axis=0)
    parts = []
    for method, knn, line in rows:
        columns = {"set": names, "n_genes": sizes, "method": method}
        parts.append(pd.DataFrame(columns | dict(zip(MEASURES, (knn, line), strict=True))))
    return GeneSetScores(pd.concat(parts, ignore_index=True))


def _baselines(model: Model, profiles: Float32) -> dict[str, Float32]:
    """Vectors of the genes without a model: loadings of principal components, and expression."""
    from sklearn.decomposition import PCA

    if model.count_model is not None:
        profiles = Preprocessing("cpm").apply(profiles.copy(), "the data")
    most = min(profiles.shape) - 1
    if most < 1:
        raise InputError("The data have one sample; give the training data, for baselines.")
    missing = np.isnan(profiles)
    known = np.maximum(len(profiles) - missing.sum(axis=0), 1)
    filled = np.where(missing, np.nansum(profiles, axis=0, dtype=np.float64) / known, profiles)
    sizes = [min(size, most) for size in (model.n_components, model.gene_components)]
    loadings = PCA(max(sizes), random_state=0).fit(filled).components_.T
    found = {f"PCA, {counted(size, 'component')}": loadings[:, :size] for size in sizes}
    return found | {"co-expression": _standard(filled.T)}


def _standard(profiles: NDArray[Any]) -> Float32:
    """Each gene's profile with mean zero: cosines are then correlations."""
    values = np.asarray(profiles, np.float32)
    return np.asarray(values - values.mean(axis=1, keepdims=True), np.float32)


def _areas(
    vectors: Float32, belongs: Members, fold: NDArray[np.intp], linear: bool
) -> tuple[Float64, Float64]:
    """For each set the area by votes of near genes, and by a linear function: means over folds."""
    by_votes, by_line = [], []
    for k in range(int(fold.max()) + 1):
        test, training = np.flatnonzero(fold == k), np.flatnonzero(fold != k)
        if linear:
            by_line.append(_area(_line(vectors, belongs, training, test), belongs[test]))
        by_votes.append(_area(_votes(vectors, belongs, training, test, linear), belongs[test]))
    nothing = np.full(belongs.shape[1], np.nan)
    return _mean(by_votes), _mean(by_line) if linear else nothing


def _votes(
    vectors: Float32,
    belongs: Members,
    training: NDArray[np.intp],
    test: NDArray[np.intp],
    centred: bool,
) -> Float64:
    """Of the nearest training genes, the sum of the cosines of those that are members."""
    from scipy.sparse import csr_array

    values = vectors - vectors[training].mean(axis=0) if centred else vectors
    size = np.linalg.norm(values, axis=1, keepdims=True)
    values = values / np.where(size > 0.0, size, 1.0)
    count = min(NEIGHBOURS, len(training))
    weights = belongs[training].astype(np.float64)
    found = np.empty((len(test), belongs.shape[1]))
    for rows in row_chunks(len(test), len(training)):
        cosines = values[test[rows]] @ values[training].T
        near = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
        votes = np.maximum(np.take_along_axis(cosines, near, axis=1), 0.0).astype(np.float64)
        starts = np.arange(0, near.size + 1, count)
        found[rows] = csr_array((votes.ravel(), near.ravel(), starts), cosines.shape) @ weights
    return found


def _line(
    vectors: Float32, belongs: Members, training: NDArray[np.intp], test: NDArray[np.intp]
) -> Float64:
    """A ridge regression of membership on the vectors, one for each set."""
    values = vectors.astype(np.float64)
    spread = values[training].std(axis=0)
    values = (values - values[training].mean(axis=0)) / np.where(spread > 0.0, spread, 1.0)
    known, target = values[training], belongs[training].astype(np.float64)
    square = known.T @ known + PENALTY * np.eye(values.shape[1])
    slopes = np.linalg.solve(square, known.T @ (target - target.mean(axis=0)))
    return np.asarray(values[test] @ slopes, np.float64)


def _area(scores: Float64, belongs: Members) -> Float64:
    """Area under the ROC curve of each column; NaN where all or none belong."""
    from scipy.stats import rankdata

    inside = belongs.sum(axis=0)
    outside = len(belongs) - inside
    ranks = (rankdata(scores, axis=0) * belongs).sum(axis=0)
    pairs = np.where(inside * outside > 0, inside * outside, np.nan)
    return np.asarray((ranks - inside * (inside + 1) / 2) / pairs, np.float64)


def _mean(parts: list[Float64]) -> Float64:
    """Mean over the folds in which a set has members and not only members; NaN without any."""
    known = np.count_nonzero(~np.isnan(parts), axis=0)
    return np.asarray(np.nansum(parts, axis=0) / np.where(known > 0, known, np.nan), np.float64)
