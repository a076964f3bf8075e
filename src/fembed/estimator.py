"""The scikit-learn estimator `FactorizedEmbedding`: a transformer that fits and projects."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

from fembed.config import FitConfig, Init, LikelihoodName, Recipe
from fembed.data.annotations import refuse_layers
from fembed.data.chunks import row_chunks
from fembed.data.expression import Expression
from fembed.data.preprocess import Preprocessing, Transform
from fembed.data.sparse import check_sparse, is_sparse
from fembed.errors import InputError
from fembed.inference.counts import explained_deviance
from fembed.inference.projection import Projection, project
from fembed.output.tables import component_names
from fembed.threads import threads_of_jobs
from fembed.train import fit

if TYPE_CHECKING:
    from collections.abc import Sequence

Float32 = NDArray[np.float32]

#: Options of a fit that the estimator hands on under their own names.
_OPTIONS = {field.name for field in fields(FitConfig)} - {"hidden", "seed", "n_threads"}


# scikit-learn has no types, so its classes are Any to mypy.
class FactorizedEmbedding(
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]
    TransformerMixin,  # type: ignore[misc]
    BaseEstimator,  # type: ignore[misc]
):
    """Factorized embedding of an expression matrix, as a scikit-learn transformer.

    Parameters
    ----------
    n_components : int, default 2
        Dimensions of the sample embedding, 1 to 128.
    gene_components : int, default 50
        Dimensions of the gene embedding.
    hidden : sequence of int, default (100, 50, 50)
        Widths of the network's hidden layers.
    recipe : {"fast", "published"}, default "fast"
        How to train; see `fembed.FitConfig`, which describes every option.
    preprocessing : {"log10", "cpm", "none"}, default "log10"
        The transform of the input: log10(x + 1), counts per million and then log10(x + 1), or
        none, for values that are on a log scale already. (scikit-learn keeps a parameter under
        its name, so it cannot be called ``transform`` as the method is.)
    init : {"tsne", "pca"}, optional
        Where the fast recipe starts; by default at a t-SNE layout in up to three dimensions.
    likelihood : {"least-squares", "normal", "counts"}, optional
        What samples are placed by; by default the first. With "counts", ``X`` holds raw counts and
        ``preprocessing`` plays no part.
    epochs : float, optional
        Passes over the matrix; by default chosen by the size of the data and by held-out samples.
    iterations : int, optional
        Steps instead of epochs.
    block_samples, block_genes, learning_rate : int, int, float, optional
        Size of a step's block; the rate of the network and the genes, 5e-3 by default.
    weight_decay : float, default 0
        Coupled L2 penalty.
    validation_fraction : float, optional
        Share held out to choose when to stop; 0 trains the whole schedule.
    validation_entries : bool, default False
        Hold out single entries of the matrix instead of whole samples.
    engine, device : str, optional
        What computes, as in `fembed.using`; by default as the code around has chosen.
    n_jobs : int, optional
        Threads. None and -1: all processors; -2: all but one, and so on.
    random_state : int, RandomState or None
        An int is the seed itself, so it gives what ``fembed fit --seed`` gives.
    verbose : int, default 0
        1 shows a progress bar in a terminal or notebook.

    Attributes
    ----------
    model_ : fembed.Model
        The trained model; ``model_.save(path)`` writes what ``fembed.load`` reads. It is not
        calibrated, which cross-validation does not need: `fembed.calibrate` does that.
    embedding_ : float32 array, n_samples x n_components
        Coordinates of the training samples.
    gene_embedding_ : float32 array, n_genes x gene_components
    gene_mean_ : float64 array, n_genes
        Mean of every gene over the training samples, on the model's scale.
    n_iter_ : int
        Steps of the training.
    reconstruction_err_ : float
        Frobenius norm of the difference between the training data and their reconstruction, over
        the observed entries, on the model's scale (as `sklearn.decomposition.NMF` has it).
    n_features_in_ : int
        Number of genes.
    feature_names_in_ : array of str
        Names of the genes, if the input had a name for each.

    Notes
    -----
    Missing entries (NaN) are left out of the loss, both in training and in projection. All
    results are float32, in which the engine works.

    Examples
    --------
    >>> import numpy as np
    >>> from fembed import FactorizedEmbedding
    >>> counts = np.random.default_rng(0).poisson(5.0, size=(30, 20))
    >>> estimator = FactorizedEmbedding(hidden=(8,), epochs=2, random_state=0).fit(counts[:25])
    >>> estimator.transform(counts[25:]).shape
    (5, 2)
    """

    def __init__(
        self,
        n_components: int = 2,
        *,
        gene_components: int = 50,
        hidden: Sequence[int] = (100, 50, 50),
        recipe: Recipe = "fast",
        preprocessing: Transform = "log10",
        init: Init | None = None,
        likelihood: LikelihoodName | None = None,
        epochs: float | None = None,
        iterations: int | None = None,
        block_samples: int | None = None,
        block_genes: int | None = None,
        learning_rate: float | None = None,
        weight_decay: float = 0.0,
        validation_fraction: float | None = None,
        validation_entries: bool = False,
        engine: str | None = None,
        device: str | None = None,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.gene_components = gene_components
        self.hidden = hidden
        self.recipe = recipe
        self.preprocessing = preprocessing
        self.init = init
        self.likelihood = likelihood
        self.epochs = epochs
        self.iterations = iterations
        self.block_samples = block_samples
        self.block_genes = block_genes
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.validation_fraction = validation_fraction
        self.validation_entries = validation_entries
        self.engine = engine
        self.device = device
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None, *, batch: Any = None) -> Self:
        """Train on ``X`` (n_samples x n_genes, in the units of ``preprocessing``).

        ``X`` is an array, sparse matrix or DataFrame; it is not changed, and ``y`` is not used.
        ``batch`` has the batch of each sample: see `fembed.fit`. New samples are then taken to be
        at the common level; `fembed.project` of ``model_`` takes those in batches.

        Raises
        ------
        InputError
            A ValueError: for an impossible parameter, a negative value with a log transform, a
            gene or sample without an observed entry, or too few samples.
        """
        config = self._config()
        transform = None if config.takes_counts else self.preprocessing
        preprocessing = Preprocessing("counts" if transform is None else transform)
        checked = self._validated(X, ensure_min_samples=2)
        gene_names = getattr(self, "feature_names_in_", None)
        expression = Expression.from_array(checked, _sample_names(X), gene_names, origin="X")
        gene_mean, n_observed = preprocessing.gene_means(expression.values)
        self.model_ = fit(
            expression,
            config,
            transform=transform,
            calibrate=False,
            batch=None if batch is None else {"batch": batch},
            overwrite_values=True,
            verbose=bool(self.verbose),
            engine=self.engine,
            device=self.device,
        )
        self.gene_mean_ = gene_mean
        self.n_iter_ = int(self.model_.training["steps"])
        self.reconstruction_err_ = float(np.sqrt(self.model_.training["mse"] * n_observed))
        return self

    def fit_transform(self, X: Any, y: Any = None, *, batch: Any = None) -> Float32:
        """Train on ``X`` and return the coordinates of its samples, n_samples x n_components."""
        return self.fit(X, y, batch=batch).embedding_

    def transform(self, X: Any) -> Float32:
        """Coordinates of new samples (k x n_components), each placed alone in the frozen model.

        Raises
        ------
        InputError
            For a negative value with a log transform, or a sample without an observed gene.
        """
        return np.asarray(self._project(X).sample_embedding, np.float32)

    def inverse_transform(self, X: ArrayLike) -> Float32:
        """Expression (k x n_genes) at points of the embedding, in the units of the input.

        ``X`` is k x n_components. With ``preprocessing="cpm"`` that is counts per million.
        """
        check_is_fitted(self, "model_")
        points = check_array(X, dtype=np.float32, input_name="X")
        return self.model_.preprocessing.invert(
            self.model_.decode(points, n_threads=self._n_threads())
        )

    def score(self, X: Any, y: Any = None) -> float:
        """Explained variance of ``X`` once its samples are projected; higher is better, at most 1.

        1 - (squared error of the decoded points) / (squared distance from the training means of
        the genes), over observed entries, on the model's scale. 0 is as good as the means. Of
        counts it is the share of the deviance, from a model whose samples differ in size alone.
        """
        projection = self._project(X)
        if self.model_.count_model is not None:
            counts = Expression.from_array(self._validated(X, reset=False), origin="X").values
            return explained_deviance(
                self.model_, counts, projection.sample_embedding, self._n_threads()
            )
        error = float(projection.loss @ projection.n_genes)
        values = Expression.from_array(self._validated(X, reset=False), origin="X").values
        self.model_.preprocessing.apply(values, "X")
        total = sum(
            float(np.nansum(np.square(values[rows] - self.gene_mean_)))
            for rows in row_chunks(*values.shape)
        )
        if total == 0.0:  # every sample is the mean profile: as R^2 of a constant
            return 1.0 if error == 0.0 else 0.0
        return 1.0 - error / total

    @property
    def embedding_(self) -> Float32:
        """Coordinates of the training samples, n_samples x n_components."""
        return np.asarray(self.model_.sample_embedding, np.float32)

    @property
    def gene_embedding_(self) -> Float32:
        """Coordinates of the genes, n_genes x gene_components."""
        return np.asarray(self.model_.gene_embedding, np.float32)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """``fembed_1`` to ``fembed_d``, the names that the command line's tables use."""
        check_is_fitted(self, "model_")
        _check_feature_names_in(self, input_features, generate_names=False)
        return np.array(component_names(self.model_.n_components), dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = self.preprocessing != "none"
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    @property
    def _n_features_out(self) -> int:
        return self.model_.n_components

    def _config(self) -> FitConfig:
        return FitConfig(
            **{name: getattr(self, name) for name in _OPTIONS},
            hidden=tuple(self.hidden) if np.iterable(self.hidden) else (self.hidden,),
            seed=_seed(self.random_state),
            n_threads=self._n_threads(),
        )

    def _n_threads(self) -> int | None:
        return threads_of_jobs(self.n_jobs)

    def _validated(self, X: Any, **options: Any) -> Any:
        """``X`` as an array or a CSR/CSC matrix, with the checks that scikit-learn expects."""
        refuse_layers(X, "An estimator")
        if hasattr(X, "obs_names"):
            raise InputError(
                f"An estimator takes an array, not {type(X).__name__}; give adata.X (or "
                "adata.to_df()), or use fembed.tl.fit and fembed.tl.project."
            )
        if is_sparse(X):  # before scikit-learn converts it by unchecked indices
            check_sparse(X, "X")
        checked = validate_data(
            self, X, accept_sparse=("csr", "csc"), ensure_all_finite="allow-nan", **options
        )
        stored = checked.data if hasattr(checked, "format") else checked
        if self.preprocessing != "none" and (stored < 0).any():
            # scikit-learn's checks look for the first words.
            raise InputError(
                "Negative values in data passed to FactorizedEmbedding, which "
                f"preprocessing={self.preprocessing!r} cannot take; if the data are on a log "
                "scale already, use preprocessing='none'."
            )
        return checked

    def _project(self, X: Any) -> Projection:
        check_is_fitted(self, "model_")
        checked = self._validated(X, reset=False)
        names = self.model_.gene_names
        expression = Expression.from_array(checked, _sample_names(X), names, origin="X")
        return project(
            self.model_,
            expression,
            n_threads=self._n_threads(),
            verbose=False,
            engine=self.engine,
            device=self.device,
        )


def _sample_names(X: Any) -> Any:
    """The index of a DataFrame, unless it repeats itself, as that of a bootstrap sample does."""
    return X.index if hasattr(X, "iloc") and X.index.is_unique else None


def _seed(random_state: Any) -> int:
    if isinstance(random_state, int | np.integer):  # FitConfig refuses a negative one
        return int(random_state)
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
