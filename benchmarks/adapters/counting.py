"""Methods that make a map of counts: what each is given, how it places, and which rates it expects.

Genes and cells are the same for all; what they are turned into is the method's own.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from fembed import DataWarning, Expression, Model, fit, impute, project

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


class CountMap(Protocol):
    """A map of counts (n_cells x n_genes)."""

    def fit(self, counts: Float32) -> Float64:
        """Places of the cells."""
        ...

    def place(self, counts: Float32) -> Float64:
        """Places of new cells."""
        ...


class Ours:
    """fembed with one of its likelihoods."""

    def __init__(self, d: int, seed: int, threads: int, **options: Any) -> None:
        self._options = {"n_components": d, "seed": seed, "n_threads": threads, **options}
        self.threads = threads
        self.model: Model

    def fit(self, counts: Float32) -> Float64:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)  # constant genes of a fold
            self.model = fit(_named(counts, "a"), **self._options)
        return self.model.sample_embedding.astype(np.float64)

    def expression(self, counts: Float32) -> Expression:
        """New cells, with names."""
        return _named(counts, "b")

    def place(self, counts: Float32) -> Float64:
        found = project(self.model, self.expression(counts), n_threads=self.threads)
        return found.sample_embedding.astype(np.float64)

    def rates(self, shown: Float32) -> Float64:
        """Expected expression (k x n_genes), up to a factor per cell, of cells with NaN entries."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)  # half of the genes
            found = impute(
                self.model, self.expression(shown), keep_observed=False, n_threads=self.threads
            )
        return np.maximum(found.values.astype(np.float64), 1e-8)


class Transformed:
    """A map of transformed counts by another library."""

    def __init__(self, transform: Callable[[Float32], Float32], make: Callable[[], Any]) -> None:
        self._transform, self._make = transform, make

    def fit(self, counts: Float32) -> Float64:
        self._train = self._transform(counts)
        self._map = self._make()
        return np.asarray(self._map.fit_transform(self._train), np.float64)

    def place(self, counts: Float32) -> Float64:
        values = self._transform(counts)
        if type(self._map).__name__ == "PaCMAP":  # which wants the training matrix again
            return np.asarray(self._map.transform(values, basis=self._train), np.float64)
        return np.asarray(self._map.transform(values), np.float64)


class LogPca(Transformed):
    """PCA of log10(CPM + 1), which can say what it expects of genes."""

    def __init__(self, d: int) -> None:
        super().__init__(log_cpm, lambda: PCA(d, svd_solver="randomized", random_state=0))

    def rates(self, shown: Float32) -> Float64:
        """See `Ours.rates`: least squares on the genes shown, with their totals as their own."""
        seen = ~np.isnan(shown[0])
        mean, axes = self._map.mean_, self._map.components_
        share = (10.0 ** mean[seen] - 1.0).sum() / (10.0**mean - 1.0).sum()
        values = log_cpm(np.nan_to_num(shown), total_share=share)[:, seen] - mean[seen]
        places = np.linalg.lstsq(axes[:, seen].T, values.T, rcond=None)[0].T
        return np.maximum(10.0 ** (places @ axes + mean) - 1.0, 1e-3)


class GlmPca:
    """GLM-PCA (Townes et al. 2019) with Poisson's likelihood, by the package glmpca.

    The package has no placing; new cells are placed by Fisher scoring on its loadings, with the
    distribution of the training cells as prior.
    """

    def __init__(self, d: int, seed: int) -> None:
        self._d, self._seed = d, seed

    def fit(self, counts: Float32) -> Float64:
        from glmpca import glmpca  # type: ignore[import-not-found, import-untyped, unused-ignore]

        np.random.seed(self._seed)  # noqa: NPY002  # the package draws from it
        self._mean_total = float(counts.sum(axis=1).mean())
        found = glmpca.glmpca(
            counts.T.astype(float), self._d, fam="poi", sz=counts.sum(axis=1) / self._mean_total
        )
        self._loading, self._start = found["loadings"], found["coefX"][:, 0]
        places = np.asarray(found["factors"], np.float64)
        self._mean = places.mean(axis=0)
        self._precision = np.linalg.inv(np.cov(places.T) + 1e-9 * np.eye(self._d))
        return places

    def place(self, counts: Float32) -> Float64:
        return self._placed(counts, np.ones(counts.shape[1], bool))

    def _placed(self, counts: Float32, seen: NDArray[np.bool_]) -> Float64:
        loading, start = self._loading[seen], self._start[seen]
        y = counts[:, seen].astype(np.float64)
        offset = np.log(np.maximum(y.sum(axis=1), 1.0) / np.exp(start).sum())
        places = np.repeat(self._mean[None, :], len(y), axis=0)
        spread = 1.0 / np.sqrt(np.diag(self._precision))
        for _ in range(60):
            mean = np.exp(np.clip(start + places @ loading.T + offset[:, None], -30, 15))
            information = np.einsum("ja,ij,jb->iab", loading, mean, loading) + self._precision
            pull = (y - mean) @ loading - (places - self._mean) @ self._precision
            step = np.linalg.solve(information, pull[..., None])[..., 0]
            places += np.clip(step, -0.5 * spread, 0.5 * spread)
        return places

    def rates(self, shown: Float32) -> Float64:
        seen = ~np.isnan(shown[0])
        places = self._placed(np.nan_to_num(shown), seen)
        return np.exp(np.clip(self._start + places @ self._loading.T, -30, 15))


class MeanRates:
    """Every cell has the mean cell's rates."""

    def fit(self, counts: Float32) -> Float64:
        self._rates = np.maximum(counts.sum(axis=0, dtype=np.float64), 0.5)
        return np.zeros((len(counts), 1))

    def rates(self, shown: Float32) -> Float64:
        return np.repeat(self._rates[None, :], len(shown), axis=0)


class PearsonResiduals:
    """Analytic Pearson residuals (Lause et al. 2021), with the training cells' gene shares.

    Clipped at the root of the number of training cells; the dispersion is scanpy's, 0.01.
    """

    def __init__(self) -> None:
        self._shares: Float64 | None = None

    def __call__(self, counts: Float32) -> Float32:
        if self._shares is None:
            self._shares = counts.sum(axis=0, dtype=np.float64) / counts.sum(dtype=np.float64)
            self._limit = float(np.sqrt(len(counts)))
        mean = counts.sum(axis=1, dtype=np.float64)[:, None] * self._shares
        left = (counts - mean) / np.sqrt(mean + 0.01 * mean**2 + 1e-12)
        return np.clip(left, -self._limit, self._limit).astype(np.float32)


def log_cpm(counts: Float32, total_share: float = 1.0) -> Float32:
    """log10(CPM + 1); of cells that show a ``total_share`` of their counts."""
    scale = 1e6 * total_share / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    return np.log10(counts * scale + 1.0).astype(np.float32)


def makers(d: int, seed: int, threads: int) -> dict[str, Callable[[], CountMap]]:
    """How to make every method for a map of ``d`` dimensions, by its name."""

    def pca() -> Any:
        return PCA(d, svd_solver="randomized", random_state=0)

    def umap() -> Any:
        import umap

        return umap.UMAP(n_components=d, random_state=seed, n_jobs=1)

    def pacmap() -> Any:
        import pacmap  # type: ignore[import-not-found, import-untyped, unused-ignore]

        return pacmap.PaCMAP(n_components=d, random_state=seed)

    found: dict[str, Callable[[], CountMap]] = {
        "fembed, counts": lambda: Ours(d, seed, threads, likelihood="counts"),
        "fembed, log CPM": lambda: Ours(d, seed, threads, transform="cpm"),
        "PCA, log CPM": lambda: LogPca(d),
        "PCA, Pearson residuals": lambda: Transformed(PearsonResiduals(), pca),
        "UMAP, log CPM": lambda: Transformed(log_cpm, umap),
        "PaCMAP, log CPM": lambda: Transformed(log_cpm, pacmap),
        "GLM-PCA": lambda: GlmPca(d, seed),
    }
    if d == 2:
        found["openTSNE, log CPM"] = lambda: _OpenTsne(seed, threads)
    return found


class _OpenTsne:
    def __init__(self, seed: int, threads: int) -> None:
        import openTSNE  # type: ignore[import-not-found, import-untyped, unused-ignore]

        self._tsne = openTSNE.TSNE(n_components=2, random_state=seed, n_jobs=threads)

    def fit(self, counts: Float32) -> Float64:
        self._map = self._tsne.fit(log_cpm(counts))
        return np.array(self._map)

    def place(self, counts: Float32) -> Float64:
        return np.array(self._map.transform(log_cpm(counts)))


#: The package that a method needs, by a word of its name.
PACKAGES = {"UMAP": "umap", "PaCMAP": "pacmap", "openTSNE": "openTSNE", "GLM-PCA": "glmpca"}


def absent(name: str) -> str | None:
    """Why a method cannot be measured here, if so."""
    for word, package in PACKAGES.items():
        if word in name and importlib.util.find_spec(package) is None:
            return f"{package} is not installed"
    return None


def _named(counts: Float32, prefix: str) -> Expression:
    names = [f"{prefix}{i}" for i in range(len(counts))]
    return Expression.adopt(
        np.ascontiguousarray(counts), names, [f"g{j}" for j in range(counts.shape[1])]
    )
