"""What is predicted from coordinates: the labels' checks, the default models, the measures."""

from __future__ import annotations

import warnings
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fembed.errors import InputError

Labels = NDArray[Any]
Names = NDArray[np.object_]
#: A column with more distinct whole numbers than this is taken for measurements, not classes.
MAX_NUMBERED_CLASSES = 20


class Task(Protocol):
    """A kind of auxiliary task.

    Attributes
    ----------
    name : str
    measures : tuple of str
        Columns of the table; the first is the one to look at first.
    models : tuple of str
        Names of the models that `model` makes; the first is the default.
    """

    name: str
    measures: tuple[str, ...]
    models: tuple[str, ...]

    def checked(self, y: Any, names: Names) -> Labels:
        """``y`` as this task's array; InputError, naming a sample, for what it cannot take."""
        ...

    def strata(self, y: Labels) -> Labels | None:
        """What every fold should hold in equal shares."""
        ...

    def check_training(self, y: Labels, where: str) -> None:
        """Raise InputError if nothing can be learned from the training part ``y``."""
        ...

    def check_test(self, y: Labels, where: str) -> None:
        """Raise InputError if nothing can be measured on the test part ``y``."""
        ...

    def model(self, name: str) -> Any:
        """A new scikit-learn estimator."""
        ...

    def score(self, model: Any, X: Any, y: Labels) -> tuple[dict[str, float], Labels]:
        """The measures of a fitted model on the test part, and what it predicts there."""
        ...

    def predictions(self, y: Labels, predicted: Labels) -> dict[str, Labels]:
        """Columns of the table of predictions."""
        ...


class Classification:
    """Named classes."""

    name = "classification"
    measures: tuple[str, ...] = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss")
    models: tuple[str, ...] = ("logistic", "knn")

    def checked(self, y: Any, names: Names) -> Labels:
        labels = _one_column(y)
        refuse_missing(labels, "label", names)
        if labels.dtype.kind == "O":
            labels = labels.astype(str)
        if labels.dtype.kind == "f" and (labels != np.round(labels)).any():
            raise InputError(
                "The labels are numbers with decimals, which are no classes; choose the task "
                "regression."
            )
        classes = np.unique(labels)
        if len(classes) < 2:
            raise InputError(
                f"All {len(labels)} samples have the label '{classes[0]}', so there is nothing to "
                "predict; choose a label with two classes or more."
            )
        return labels

    def strata(self, y: Labels) -> Labels:
        return y

    def check_training(self, y: Labels, where: str) -> None:
        if len(np.unique(y)) < 2:
            raise InputError(f"{where} trains on one class only; choose other folds or groups.")

    def check_test(self, y: Labels, where: str) -> None:
        """Anything can be measured."""

    def model(self, name: str) -> Any:
        from sklearn.linear_model import LogisticRegression
        from sklearn.neighbors import KNeighborsClassifier
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        if name == "knn":
            return KNeighborsClassifier(5)
        return make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))

    def score(self, model: Any, X: Any, y: Labels) -> tuple[dict[str, float], Labels]:
        from sklearn import metrics

        model, X = after_embedding(model, X)
        predicted = np.asarray(model.predict(X))
        with warnings.catch_warnings():
            # With groups, a test part may lack classes.
            warnings.filterwarnings("ignore", "y_pred contains classes not in y_true")
            warnings.filterwarnings("ignore", "A single label was found")
            found = {
                "accuracy": float(metrics.accuracy_score(y, predicted)),
                "balanced_accuracy": float(metrics.balanced_accuracy_score(y, predicted)),
                "macro_f1": float(metrics.f1_score(y, predicted, average="macro")),
                "log_loss": _log_loss(model, X, y),
            }
        return found, predicted

    def predictions(self, y: Labels, predicted: Labels) -> dict[str, Labels]:
        return {"label": y, "predicted": predicted}


class Regression:
    """A number per sample."""

    name = "regression"
    measures: tuple[str, ...] = ("r2", "spearman")
    models: tuple[str, ...] = ("ridge", "knn")

    def checked(self, y: Any, names: Names) -> Labels:
        values = numbers(_one_column(y), "label", names)
        if values.min() == values.max():
            raise InputError(
                f"All {len(values)} samples have the label {values[0]:g}, so there is nothing to "
                "predict; choose a label that varies."
            )
        return values

    def strata(self, y: Labels) -> None:
        return None

    def check_training(self, y: Labels, where: str) -> None:
        """Anything can be learned from."""

    def check_test(self, y: Labels, where: str) -> None:
        if len(y) < 2:
            raise InputError(
                f"{where} tests on {len(y)} sample, and R2 needs two or more; ask for fewer folds."
            )

    def model(self, name: str) -> Any:
        from sklearn.linear_model import RidgeCV
        from sklearn.neighbors import KNeighborsRegressor
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        if name == "knn":
            return KNeighborsRegressor(5)
        return make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 5, 17)))

    def score(self, model: Any, X: Any, y: Labels) -> tuple[dict[str, float], Labels]:
        from scipy.stats import spearmanr
        from sklearn.metrics import r2_score

        predicted = np.asarray(model.predict(X), np.float64).reshape(len(y))
        constant = np.ptp(predicted) == 0 or np.ptp(y) == 0  # then ranks have no correlation
        spearman = np.nan if constant else float(spearmanr(y, predicted).statistic)
        return {"r2": float(r2_score(y, predicted)), "spearman": spearman}, predicted

    def predictions(self, y: Labels, predicted: Labels) -> dict[str, Labels]:
        return {"label": y, "predicted": predicted}


def guess(y: Any) -> str:
    """The task that labels are for: two columns are survival, measured numbers regression."""
    array = np.asarray(y)
    if (array.ndim == 2 and array.shape[1] == 2) or array.dtype.names:
        return "survival"
    if array.dtype.kind == "f" and (array[np.isfinite(array)] % 1 != 0).any():
        return "regression"
    numbered = array.dtype.kind in "iuf" and len(np.unique(array)) > MAX_NUMBERED_CLASSES
    return "regression" if numbered else "classification"


def numbers(column: Labels, what: str, names: Names) -> NDArray[np.float64]:
    """A column as float64; InputError names the first sample whose entry is no finite number."""
    try:
        values = np.asarray(column, np.float64)
    except (TypeError, ValueError):
        bad = next(position for position, entry in enumerate(column) if not _is_number(entry))
        raise InputError(
            f"The {what} of sample '{names[bad]}' is '{column[bad]}', which is not a number; "
            "correct it or leave the sample out."
        ) from None
    if not np.isfinite(values).all():
        bad = int(np.flatnonzero(~np.isfinite(values))[0])
        raise InputError(
            f"The {what} of sample '{names[bad]}' is missing or infinite; leave the sample out."
        )
    return values


def refuse_missing(column: Labels, what: str, names: Names) -> None:
    """Raise InputError if a sample has no ``what`` (None, NaN, or pandas' NA or NaT)."""
    import pandas as pd

    missing = np.asarray(pd.isna(column))
    if missing.any():
        raise InputError(
            f"The sample '{names[missing.argmax()]}' has no {what} ({missing.sum()} such "
            "sample(s)); leave it out."
        )


def _is_number(entry: Any) -> bool:
    try:
        float(entry)
    except (TypeError, ValueError):
        return False
    return True


def _one_column(y: Any) -> Labels:
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise InputError(f"The labels have shape {labels.shape}; give one label per sample.")
    if len(labels) == 0:
        raise InputError("There are no labels; give one label per sample.")
    return labels


def after_embedding(model: Any, X: Any) -> tuple[Any, Any]:
    """The last step of a fitted pipeline (or of a search's best), and what reaches it of ``X``.

    A pipeline that is asked for predictions and for probabilities transforms twice, and projecting
    takes longer than all the rest.
    """
    from sklearn.pipeline import Pipeline

    model = getattr(model, "best_estimator_", model)
    while type(model) is Pipeline:  # other libraries' subclasses leave steps out here
        for _, step in model.steps[:-1]:
            if step is not None and step != "passthrough":
                X = step.transform(X)
        model = model.steps[-1][1]
    return model, X


def _log_loss(model: Any, X: Any, y: Labels) -> float:
    """Log loss of a model with probabilities; NaN for others, or if it lacks a class of ``y``."""
    from sklearn.metrics import log_loss

    if not hasattr(model, "predict_proba") or not np.isin(y, model.classes_).all():
        return float("nan")
    return float(log_loss(y, model.predict_proba(X), labels=model.classes_))
