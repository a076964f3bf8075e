"""Labels carried over from the training samples to new ones that are placed beside them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fembed.data.labels import UNKNOWN, known, texts_of
from fembed.data.names import Names
from fembed.errors import DataWarning, InputError, shown
from fembed.facts import ShowsFacts, counted, first_names
from fembed.inference import batches, training_labels
from fembed.inference.matching import as_model
from fembed.inference.projection import Projection, project
from fembed.model import Model
from fembed.solvers import soft_labels
from fembed.threads import limited

Float64 = NDArray[np.float64]

#: Samples with a smaller p-value are of no kind that the model knows.
THRESHOLD = 0.05


@dataclass(frozen=True, repr=False)
class Annotation(ShowsFacts):
    """Labels of new samples, and how sure they are.

    Attributes
    ----------
    projection : Projection
        The places of the k samples, with ``p_value``.
    names : array of str, n_labels
        The labels of the training samples, in order.
    probabilities : float64, k x n_labels
        Of each label, if the sample is of a kind that the model knows.
    threshold : float
        A sample whose p-value is not above it is called "unknown".
    """

    projection: Projection
    names: Names
    probabilities: Float64
    threshold: float = THRESHOLD

    @property
    def sample_names(self) -> Names:
        """The samples, k."""
        return self.projection.sample_names

    @property
    def unknown(self) -> NDArray[np.bool_]:
        """The samples (k) that are of no kind that the model knows, by their p-value.

        A sample without a p-value, such as one with a small panel of genes, is not among them.
        """
        p_value = self.projection.p_value
        if p_value is None:
            return np.zeros(len(self.sample_names), bool)
        return np.asarray(p_value <= self.threshold)

    @property
    def most_probable(self) -> Names:
        """The most probable label of each sample (k), unknown or not."""
        return np.asarray(self.names[self.probabilities.argmax(axis=1)])

    @property
    def label(self) -> Names:
        """The most probable label of each sample (k), or "unknown"."""
        return np.where(self.unknown, np.array(UNKNOWN, dtype=object), self.most_probable)

    @property
    def probability(self) -> Float64:
        """Of the most probable label (k)."""
        return np.asarray(self.probabilities.max(axis=1))

    @property
    def margin(self) -> Float64:
        """Probability of the most probable label less that of the second (k)."""
        two = np.sort(self.probabilities, axis=1)[:, -2:]
        return np.asarray(two[:, 1] - two[:, 0])

    def columns(self) -> dict[str, NDArray[Any]]:
        """What is known of each sample beside its place: columns of k values, by name."""
        said = {
            name: getattr(self, name)
            for name in ("label", "most_probable", "probability", "margin")
        }
        return {**said, **self.projection.columns()}

    def agreement(self, truth: Any) -> dict[str, float]:
        """How the labels compare with the true ones.

        Parameters
        ----------
        truth : Series or array
            The true label of each sample (a Series by sample name); missing ones are left out.

        Returns
        -------
        dict
            ``samples`` with a true label that the model knows; of these, ``accuracy`` of the most
            probable label, ``calibration_error`` of its probability
            (`fembed.solvers.soft_labels.calibration_error`) and the share called ``unknown``;
            ``others``, samples with a label that the model does not know, and their share called
            unknown, ``unknown_others``. NaN for a share of nothing.
        """
        texts = texts_of(truth, self.sample_names)
        said, there = known(texts), np.isin(texts, self.names)
        ours, others = said & there, said & ~there
        right = self.most_probable[ours] == texts[ours]
        nothing = float("nan")
        return {
            "samples": int(ours.sum()),
            "accuracy": float(right.mean()) if right.size else nothing,
            "calibration_error": soft_labels.calibration_error(self.probability[ours], right)
            if right.size
            else nothing,
            "unknown": float(self.unknown[ours].mean()) if ours.any() else nothing,
            "others": int(others.sum()),
            "unknown_others": float(self.unknown[others].mean()) if others.any() else nothing,
        }

    def _facts(self) -> tuple[str, dict[str, Any]]:
        title = f"{counted(len(self.sample_names), 'sample')}, {counted(len(self.names), 'label')}"
        p_value = self.projection.p_value
        called = counted(int(self.unknown.sum()), "sample")
        return title, {
            "samples": first_names(self.sample_names),
            "labels": first_names(self.names),
            "median probability": float(np.median(self.probability)) if len(self.names) else None,
            UNKNOWN: "none; the model has no p-values" if p_value is None else called,
        }


def annotate(
    model: Model,
    data: Any,
    labels: Any = None,
    *,
    reference: Any = None,
    threshold: float = THRESHOLD,
    transform: Literal["match"] | None = None,
    gene_map: Any = None,
    batch: batches.Columns = None,
    covariates: batches.Columns = None,
    n_threads: int | None = None,
) -> Annotation:
    """Carry the labels of the training samples over to new samples.

    Each new sample is placed in the map. Its label is the one that is most probable there, averaged
    over the uncertainty of its place (see `fembed.solvers.soft_labels`).

    Parameters
    ----------
    model : Model or path
    data : Expression, AnnData, DataFrame, Series, array, sparse matrix or path
        New samples, as for `fembed.project`.
    labels : str, Series or array, optional
        The name of labels that the model keeps (`fembed.fit(labels=)`), by default the only ones,
        or of a column of ``reference``; or the labels themselves: a Series by sample name, or an
        array in the order of the model's samples. A training sample whose label is missing, blank
        or "unknown" has no part.
    reference : Expression, AnnData, DataFrame or path, optional
        Data whose annotations have the column ``labels``; training samples are found by name, and
        others are left out. A DataFrame holds the annotations themselves.
    threshold : float
        A sample whose p-value is not above it is of no kind that the model knows: "unknown". 0
        for none.
    transform : "match", optional
        Bring values in other units (logarithms of another base, counts per million, counts) to
        those of the training data first, if the genes' means say so; a `DataWarning` says what was
        done. By default values are taken as they are.
    gene_map : dict or path, optional
        The model's name of a gene by its name in the data, or a table of these two columns. Genes
        that get the same name are added up, which needs linear values.
    batch, covariates
        As in `fembed.project`: the batches of the new samples.
    n_threads : int, optional

    Returns
    -------
    Annotation

    Raises
    ------
    InputError
        Labels that are not there, fewer than 20 training samples with one, the same label for all,
        or a reference without training samples; or as `fembed.project`.

    Warns
    -----
    DataWarning
        About training samples without a label, labels of fewer than 5 samples, and a model without
        p-values; or as `fembed.project`.

    Examples
    --------
    >>> kinds = pd.Series(list("abc" * 30), counts.index)
    >>> found = fembed.annotate(model, counts.iloc[:6], kinds)
    >>> found.label[0], found.probabilities.shape
    ('a', (6, 3))
    """
    model = as_model(model)
    if isinstance(threshold, bool) or not isinstance(threshold, int | float):
        raise InputError(f"threshold is {shown(threshold)}; choose a number from 0 to 1.")
    if not 0.0 <= threshold <= 1.0:
        raise InputError(f"threshold is {shown(threshold)}; choose a number from 0 to 1.")
    texts, called = training_labels.of_training(model, labels, reference)
    rows = training_labels.labelled_rows(texts, called)
    names, codes = np.unique(texts[rows].astype(str), return_inverse=True)
    training_labels.check_labels(names, codes, called)
    placed = project(
        model,
        data,
        transform=transform,
        gene_map=gene_map,
        batch=batch,
        covariates=covariates,
        n_threads=n_threads,
        verbose=False,
    )
    if placed.p_value is None and threshold > 0.0:
        warnings.warn(
            "The model has no p-values, so no sample is called unknown; fembed calibrate learns "
            "them from samples that the model was not trained on.",
            DataWarning,
            stacklevel=2,
        )
    with limited(n_threads):
        learnt = soft_labels.learn(
            model.sample_embedding[rows].astype(np.float64), codes, len(names)
        )
        probabilities = learnt.probability(
            placed.sample_embedding.astype(np.float64), placed.covariance
        )
    return Annotation(placed, names.astype(object), probabilities, float(threshold))
