"""The methods that are compared: an estimator with a place for an embedding, and what is put there.

Every method is one scikit-learn estimator that is fitted on the training part of a fold and asked
for predictions of the rest, so that whatever learns (a mean that fills missing entries, a scale,
an embedding, a search over settings, the task's model) learns on the training part only.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from fembed.data.chunks import to_float32
from fembed.data.preprocess import Preprocessing
from fembed.errors import InputError, imported, shown
from fembed.estimator import FactorizedEmbedding

BASELINES = ("pca", "umap", "raw")
OURS = "fembed"


@dataclass(frozen=True)
class Method:
    """A line of the comparison.

    Attributes
    ----------
    name : str
    dimension : int or None
        Of the embedding; None without one (raw), and where the estimator chooses by itself.
    estimator : object
        Not fitted.
    cost : float
        A rough order of how long a fold takes, to begin with the longest.
    """

    name: str
    dimension: int | None
    estimator: Any
    cost: float


class UMAPEmbedding(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # no types
    """UMAP with its authors' settings, never shown a label.

    ``umap.UMAP`` itself is a supervised method when a pipeline hands it the labels.
    """

    def __init__(self, n_components: int = 2, random_state: Any = None) -> None:
        self.n_components = n_components
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        self.umap_ = umap_class()(
            n_components=self.n_components, random_state=self.random_state, n_jobs=1
        )
        with warnings.catch_warnings():
            # With fewer samples than neighbours it takes fewer neighbours, and says so.
            warnings.filterwarnings("ignore", "n_neighbors is larger than the dataset size")
            self.umap_.fit(X)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        return self.fit(X).umap_.embedding_

    def transform(self, X: Any) -> Any:
        return self.umap_.transform(X)


def methods(
    estimator: Any,
    embedding: FactorizedEmbedding,
    dims: Sequence[int] | None,
    baselines: Sequence[str] | Mapping[str, Any],
    default_dims: Sequence[int],
) -> list[Method]:
    """All lines of the comparison, ours first.

    Parameters
    ----------
    estimator : scikit-learn estimator
        The task's model, to be put behind ``embedding``; or a pipeline (or search) that contains a
        `FactorizedEmbedding`, in whose place the baselines are put.
    dims : sequence of int, optional
        By default that of the embedding in such a pipeline, and else ``default_dims``.
    baselines : names of baselines, or transformers by name

    Raises
    ------
    InputError
        For an unknown baseline, one whose package is missing, or dimensions and baselines that a
        pipeline has no place for.
    """
    compared = _baselines(baselines, embedding)
    place = find_place(estimator)
    if place == "":
        raise InputError(
            "The estimator is an embedding alone; put a model of the labels behind it, such as "
            "make_pipeline(FactorizedEmbedding(), LogisticRegression())."
        )
    if place is None and mentions_embedding(estimator):
        if compared or dims is not None:
            raise InputError(
                "The estimator has no single FactorizedEmbedding whose place a baseline or another "
                "dimension could take; give baselines=() and no dims."
            )
        return [Method(OURS, None, estimator, 1.0)]
    if place is None:
        estimator = Pipeline([("embedding", embedding), ("model", estimator)])
        place, dims = "embedding", default_dims if dims is None else dims
    searched = _searched(estimator, place)
    if (searched and compared) or (dims is not None and searched & {"", "n_components"}):
        raise InputError(
            "The estimator searches over settings of the embedding, in which a baseline or given "
            "dimensions have no place; give baselines=() and no dims."
        )
    ours = estimator.get_params()[place]
    found = [
        Method(OURS, d, _filled(estimator, place, _sized(ours, d)), 1e3 + d) for d in dims or ()
    ]
    if dims is None:
        own = None if searched & {"", "n_components"} else int(ours.n_components)
        found = [Method(OURS, own, estimator, 1e3)]
        dims = [] if own is None else [own]
    for name, baseline in compared.items():
        if _takes_dimension(baseline):
            found += [
                Method(name, d, _filled(estimator, place, _sized(baseline, d)), 100.0 + d)
                for d in dims
            ]
        else:
            found.append(Method(name, None, _filled(estimator, place, baseline), 10.0))
    return found


def find_place(estimator: Any) -> str | None:
    """The parameter of ``estimator`` that holds its only embedding; "" if it is one itself."""
    if isinstance(estimator, FactorizedEmbedding):
        return ""
    if not hasattr(estimator, "get_params"):
        raise InputError(
            f"The estimator is {type(estimator).__name__}, not a scikit-learn estimator."
        )
    places = [
        name
        for name, value in estimator.get_params().items()
        if isinstance(value, FactorizedEmbedding)
    ]
    return places[0] if len(places) == 1 else None


def mentions_embedding(value: Any) -> bool:
    """Whether an embedding is anywhere within, also in the grid of a search."""
    if isinstance(value, FactorizedEmbedding):
        return True
    if isinstance(value, Mapping):
        return any(map(mentions_embedding, value.values()))
    if isinstance(value, list | tuple):
        return any(map(mentions_embedding, value))
    if hasattr(value, "get_params") and not isinstance(value, type):
        return any(map(mentions_embedding, value.get_params().values()))
    return False


def limit_embeddings(estimator: Any, n_threads: int) -> None:
    """Give ``n_threads`` to every embedding in ``estimator`` that would take all processors."""
    for name, value in estimator.get_params().items():
        if isinstance(value, FactorizedEmbedding) and value.n_jobs is None:
            estimator.set_params(**{f"{name}__n_jobs": n_threads})


def prepared(values: Any, transform: str = "none") -> NDArray[np.float32]:
    """``values`` on the scale that the embedding trains on; every sample by itself."""
    dense = to_float32(values, origin="X", transpose=False)
    return Preprocessing(transform).apply(dense, "X")  # type: ignore[arg-type]  # it checks


def _baselines(
    baselines: Sequence[str] | Mapping[str, Any], embedding: FactorizedEmbedding
) -> dict[str, Any]:
    """Transformers by name, each behind the embedding's transform and a filling of the missing."""
    if isinstance(baselines, str):
        baselines = [baselines]
    if not np.iterable(baselines):
        raise InputError(
            f"baselines is {shown(baselines)}; give a list of baselines, or a mapping."
        )
    if not all(isinstance(name, str) for name in baselines):
        raise InputError(f"baselines is {shown(baselines)}; baselines have names that are texts.")
    if OURS in baselines:
        raise InputError(f"'{OURS}' is the embedding itself, not a baseline; leave it out.")
    if isinstance(baselines, Mapping):
        for name, baseline in baselines.items():
            if not hasattr(baseline, "get_params"):
                raise InputError(f"The baseline '{name}' is {shown(baseline)}, not a transformer.")
        named = {name: clone(baseline) for name, baseline in baselines.items()}
    else:
        named = {name: _named_baseline(name, embedding.random_state) for name in baselines}
    return {
        name: make_pipeline(
            FunctionTransformer(prepared, kw_args={"transform": embedding.preprocessing}),
            SimpleImputer(keep_empty_features=True),  # with the gene's mean
            baseline,
        )
        for name, baseline in named.items()
    }


def _named_baseline(name: str, random_state: Any) -> Any:
    if name == "pca":
        from sklearn.decomposition import PCA

        return PCA(random_state=random_state)
    if name == "umap":
        umap_class()  # before any long work
        return UMAPEmbedding(random_state=random_state)
    if name == "raw":
        return "passthrough"
    raise InputError(f"There is no baseline '{name}'; choose among {', '.join(BASELINES)}.")


def umap_class() -> Any:
    """UMAP of umap-learn; InputError if that is not installed."""
    sentence = 'The baseline umap needs umap-learn; run: pip install "fembed[umap]".'
    return imported("umap", sentence).UMAP


def _takes_dimension(baseline: Pipeline) -> bool:
    last = baseline.steps[-1][1]
    return isinstance(last, BaseEstimator) and "n_components" in last.get_params()


def _sized(embedding: Any, dimension: int) -> Any:
    sized = clone(embedding)
    target = sized.steps[-1][1] if isinstance(sized, Pipeline) else sized
    target.set_params(n_components=dimension)
    return sized


def _filled(estimator: Any, place: str, embedding: Any) -> Any:
    return clone(estimator).set_params(**{place: embedding})


def _searched(estimator: Any, place: str) -> set[str]:
    """What a search over settings changes of the embedding; "" is the embedding as a whole."""
    inner = place.removeprefix("estimator__")
    parameters = estimator.get_params()
    names = {
        name
        for kind in ("param_grid", "param_distributions")
        for grid in _grids(parameters.get(kind))
        for name in grid
    }
    own = {name.removeprefix(f"{inner}__") for name in names if name.startswith(f"{inner}__")}
    return own | ({""} if inner in names else set())


def _grids(grid: Any) -> list[Mapping[str, Any]]:
    if grid is None:
        return []
    return list(grid) if isinstance(grid, list | tuple) else [grid]
