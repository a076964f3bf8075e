"""A trained embedding: its arrays, its names, and how its expression was prepared."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fembed import engine, model_checks, model_folder
from fembed.config import is_number
from fembed.data.lookup import exact_positions, spelling_hint
from fembed.errors import InputError, shown
from fembed.facts import ShowsFacts, counted
from fembed.parameters import Array, Parameters
from fembed.solvers.batch_effects import effects_in
from fembed.solvers.count_criterion import CountCriterion
from fembed.solvers.criterion import SUM_OF_SQUARES, Criterion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fembed.config import FitConfig
    from fembed.data.preprocess import Preprocessing
    from fembed.solvers.batch_effects import BatchEffects
    from fembed.solvers.count_model import CountModel
    from fembed.solvers.residual_factors import ResidualFactors


@dataclass(frozen=True)
class Calibration:
    """The uncertainty of a model, as measured on data; see `fembed.calibrate`.

    Attributes
    ----------
    ellipse_factor : float
        The covariances of projected samples are multiplied by it.
    reference_loss : float64, n
        Losses of samples that the model was not trained on, after `fembed.calibrate`.
    held_out : bool
        Whether the factor is that of samples that the model had not been trained on; that of
        training samples is too small.
    unexplained : float64, n_samples, optional
        What map and residual factors leave of each training sample, NaN if not known; see
        `fembed.solvers.novelty`.
    reference_score : float64, n, optional
        Novelty scores of samples that were not trained on, or not yet: they give p-values.
    """

    ellipse_factor: float
    reference_loss: NDArray[np.float64]
    held_out: bool
    unexplained: NDArray[np.float64] | None = None
    reference_score: NDArray[np.float64] | None = None

    @property
    def reference_size(self) -> int:
        """Number of samples that p-values come from; without any there are none."""
        scores = self.reference_loss if self.reference_score is None else self.reference_score
        return int(scores.size)


@dataclass(repr=False)
class Model(ShowsFacts):
    """A factorized embedding of an expression matrix, as `fembed.load` and training return it.

    Attributes
    ----------
    parameters : Parameters
        The float32 arrays; see `fembed.parameters.Parameters`.
    sample_names : array of str, n_samples
        The training samples, one per row of ``sample_embedding``.
    gene_names : array of str, n_genes
        The genes, one per row of ``gene_embedding``.
    preprocessing : Preprocessing
        How the input was transformed before training, so that it can be inverted.
    config : FitConfig
        The settings of the training.
    sample_loss : array of float64, n_samples
        Mean squared error of each training sample over its observed genes.
    training : dict
        A JSON-able summary of the training: seconds, steps, losses, history.
    residual_factors : ResidualFactors, optional
        Factors of the variation that the map leaves out, for imputation.
    calibration : Calibration, optional
        Measured uncertainty of its places, and the losses of new samples of the same kind.
    count_model : CountModel, optional
        Of a model of counts: the rates and dispersions of its genes. ``sample_loss`` is then the
        deviance over its expectation, and predictions are natural logarithms of rates, the expected
        counts of a sample of size one.
    labels : dict of arrays of str, n_samples
        Labels of the training samples by name, ``"NA"`` where missing; see `fembed.annotate`.
    batch_effects : BatchEffects, optional
        The effects of the batches and covariates that the fit was given. Map, genes and network
        describe the common level, without them.

    Examples
    --------
    >>> model.decode([[0.0, 0.0]]).shape
    (1, 30)
    """

    parameters: Parameters
    sample_names: NDArray[np.object_]
    gene_names: NDArray[np.object_]
    preprocessing: Preprocessing
    config: FitConfig
    sample_loss: NDArray[np.float64]
    training: dict[str, Any] = field(default_factory=dict)
    residual_factors: ResidualFactors | None = None
    calibration: Calibration | None = None
    count_model: CountModel | None = None
    labels: dict[str, NDArray[np.object_]] = field(default_factory=dict)
    batch_effects: BatchEffects | None = None

    @property
    def sample_embedding(self) -> Array:
        """Coordinates of the training samples, n_samples x n_components."""
        return self.parameters.sample_embedding

    @property
    def gene_embedding(self) -> Array:
        """Coordinates of the genes, n_genes x gene_components."""
        return self.parameters.gene_embedding

    @property
    def n_samples(self) -> int:
        """Number of training samples."""
        return self.parameters.n_samples

    @property
    def n_genes(self) -> int:
        """Number of genes."""
        return self.parameters.n_genes

    @property
    def n_components(self) -> int:
        """Dimension of the sample embedding."""
        return self.parameters.n_components

    @property
    def gene_components(self) -> int:
        """Dimension of the gene embedding."""
        return self.parameters.gene_components

    def criterion(self) -> Criterion:
        """What new samples are placed by: the likelihood, or least squares where there is none."""
        if self.count_model is not None:
            return CountCriterion.of_counts(self.count_model, self.sample_embedding)
        if not self.config.places_by_likelihood:
            return SUM_OF_SQUARES
        return Criterion.of_samples(self.residual_factors, self.sample_embedding)

    def _facts(self) -> tuple[str, dict[str, Any]]:
        config, training = self.config, self.training
        widths = "-".join(map(str, self.parameters.hidden))
        sure = None
        if self.calibration is not None:
            of = "held-out" if self.calibration.held_out else "training"
            sure = f"ellipses calibrated on {of} samples"
            if self.calibration.reference_size:
                sure += f", p-values from {counted(self.calibration.reference_size, 'sample')}"
        steps, seconds = training.get("steps"), training.get("seconds")
        taken = f"{config.recipe} recipe"
        if steps is not None and seconds is not None:
            taken += f", {steps:,} steps in {seconds:,.3g} s"
        title = f"{counted(self.n_samples, 'sample')} x {counted(self.n_genes, 'gene')}"
        layers, effects = self.preprocessing.told(), self.batch_effects
        return title, {
            "n_components": self.n_components,
            "gene_components": self.gene_components,
            "network": widths,
            "likelihood": config.likelihood,
            "transform": None if layers else self.preprocessing.transform,
            "layers": ", ".join(layers) or None,
            "training": taken,
            "explained variance": training.get("explained_variance"),
            "calibration": sure,
            "labels": ", ".join(self.labels) or None,
            "batches": None if effects is None else effects.names_told(3),
        }

    def decode(
        self,
        points: ArrayLike,
        genes: Sequence[str] | NDArray[Any] | None = None,
        n_threads: int | None = None,
        *,
        in_batch: str | Sequence[str] | None = None,
    ) -> NDArray[np.float32]:
        """Expression at any points of the sample embedding, on the model's (transformed) scale.

        Parameters
        ----------
        points : array, k x n_components
            Coordinates; ``model.preprocessing.invert`` takes the result to the input's units (with
            several layers and ``genes`` as ``invert(values, model.gene_rows(genes))``).
        genes : sequence of str or of int, optional
            Names or row numbers of the genes to decode; all of them by default.
        n_threads : int, optional
            Threads of the engine.
        in_batch : str or sequence of str, optional
            A batch of the training (of each column, if there are several): expression as it would
            be measured there. By default, or ``"none"``, at the common level.

        Returns
        -------
        array of float32, k x n_genes (or k x len(genes))

        Raises
        ------
        InputError
            Points of another dimension, points that are not finite, or an unknown gene or batch.
        """
        chosen = None if genes is None else self.gene_rows(genes)
        checked = self._checked_points(points)
        effects = effects_in(self.batch_effects, in_batch, len(checked))
        values = engine.decode(self.parameters, checked, genes=chosen, n_threads=n_threads)
        if effects is not None:
            (effects if chosen is None else effects.take_genes(chosen)).add(values)
        return values

    def expected_counts(
        self,
        points: ArrayLike,
        depth: float,
        genes: Sequence[str] | NDArray[Any] | None = None,
        n_threads: int | None = None,
    ) -> NDArray[np.float32]:
        """Expected counts at points of the map, in a sample of ``depth`` counts in all.

        Parameters
        ----------
        points : array, k x n_components
        depth : float
            What the counts of all the model's genes add up to at each point; a million gives counts
            per million.
        genes : sequence of str or of int, optional
            Names or row numbers of the genes that are returned; all of them by default.
        n_threads : int, optional
            Threads of the engine.

        Returns
        -------
        array of float32, k x n_genes (or k x len(genes))

        Raises
        ------
        InputError
            The model is not of counts, the depth is no number above zero, or as `decode`.
        """
        if self.count_model is None:
            raise InputError(
                "The model is not of counts, so it does not know what they add up to; fit one with "
                "the likelihood counts."
            )
        if not is_number(depth) or not depth > 0:
            raise InputError(f"The depth is {shown(depth)}; choose a number of counts above 0.")
        chosen = slice(None) if genes is None else self.gene_rows(genes)
        rates = self.decode(points, n_threads=n_threads)
        rates -= rates.max(axis=1, keepdims=True)
        np.exp(rates, out=rates)
        total = rates.sum(axis=1, keepdims=True, dtype=np.float64)
        return np.asarray(rates[:, chosen] * (depth / total), np.float32)

    def gene_rows(self, genes: Sequence[str] | NDArray[Any]) -> NDArray[np.int64]:
        """Row numbers of ``genes`` (names or row numbers); InputError for one that is unknown."""
        try:
            wanted = np.atleast_1d(np.asarray(genes))
        except ValueError:  # lists of different lengths
            wanted = np.empty((0, 0))
        if wanted.ndim != 1:
            raise InputError("The genes to decode are not a list of names or row numbers.")
        if wanted.size == 0:
            raise InputError("The list of genes to decode is empty; name at least one gene.")
        if np.issubdtype(wanted.dtype, np.integer):
            rows = wanted.astype(np.int64)
            outside = rows[(rows < 0) | (rows >= self.n_genes)]
            if outside.size:
                raise InputError(
                    f"Gene number {outside[0]} is not in the model, whose {self.n_genes} genes "
                    "are numbered from 0."
                )
            return rows
        names = [name if isinstance(name, str) else None for name in wanted.tolist()]
        rows = exact_positions(names, self.gene_names).astype(np.int64)
        if (rows < 0).any():
            name = wanted.tolist()[int(np.argmin(rows))]
            hint = spelling_hint(name, self.gene_names)
            raise InputError(f"The gene {shown(name)} is not in the model; {hint}")
        return rows

    def save(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write the model to the folder ``path``; see `fembed.model_folder.save`."""
        model_folder.save(self, path, overwrite=overwrite)

    def check(self) -> None:
        """Raise InputError, naming the field, unless shapes, types, names and values are sound."""
        model_checks.check(self)

    def _checked_points(self, points: ArrayLike) -> NDArray[np.float32]:
        try:
            given = np.asarray(points)
        except ValueError:  # rows of different lengths
            given = np.array(None)
        if given.dtype.kind not in "iuf":  # no texts, truth values, dates or complex numbers
            raise InputError("The points to decode are not a matrix of numbers.")
        if given.ndim != 2 or given.shape[1] != self.n_components:
            raise InputError(
                f"The points to decode have shape {given.shape}, but this model needs "
                f"k x {self.n_components}, one row per point."
            )
        with np.errstate(over="ignore"):  # to infinity, which is refused next
            array = np.ascontiguousarray(given, dtype=np.float32)
        if not np.isfinite(array).all():
            row = int(np.argwhere(~np.isfinite(array))[0][0])
            raise InputError(f"Point {row} (counted from 0) has a coordinate that is not finite.")
        return array
