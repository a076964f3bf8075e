"""Survival: a time and whether the event came; Cox's model and concordance, by lifelines."""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from fembed.errors import InputError, imported
from fembed.evaluation.tasks import Labels, Names, numbers

_YES, _NO = {"1", "1.0", "true", "yes"}, {"0", "0.0", "false", "no"}


class CoxModel(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Cox proportional hazards on coordinates, as a scikit-learn estimator.

    Parameters
    ----------
    penalizer : float, default 0.01
        The L2 penalty of lifelines on the coefficients of standardised coordinates, so that
        correlated coordinates do not stop the fit.

    Attributes
    ----------
    coef_ : float64 array, n_features
        The logarithm of the hazard ratio of one unit of each coordinate.
    """

    def __init__(self, penalizer: float = 0.01) -> None:
        self.penalizer = penalizer

    def fit(self, X: Any, y: Any) -> Self:
        """Fit to ``X`` (n x n_features) and ``y`` (see `time_and_event`)."""
        import pandas as pd

        X = validate_data(self, X, dtype=np.float64)
        time, event = time_and_event(np.asarray(y))
        self._mean = X.mean(axis=0)
        spread = X.std(axis=0)
        spread[spread == 0] = 1.0
        table = pd.DataFrame((X - self._mean) / spread)
        table.columns = [f"x{k}" for k in range(X.shape[1])]
        with warnings.catch_warnings():
            # lifelines hints at how to look closer at a model; here, the test part judges it.
            warnings.simplefilter("ignore")
            fitter = _lifelines().CoxPHFitter(penalizer=self.penalizer)
            fitter.fit(table.assign(time=time, event=event), "time", "event")
        self.coef_ = fitter.params_.to_numpy() / spread
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """The logarithm of each sample's hazard over that of the mean training sample."""
        check_is_fitted(self, "coef_")
        X = validate_data(self, X, dtype=np.float64, reset=False)
        risk: NDArray[np.float64] = (X - self._mean) @ self.coef_
        return risk

    def score(self, X: Any, y: Any) -> float:
        """The concordance of ``predict``."""
        return concordance(y, self.predict(X))


class Survival:
    """Time and event; ``y`` is n x 2."""

    name = "survival"
    measures: tuple[str, ...] = ("concordance",)
    models: tuple[str, ...] = ("cox",)

    def checked(self, y: Any, names: Names) -> Labels:
        array = np.asarray(y)
        if array.dtype.names is None and (array.ndim != 2 or array.shape[1] != 2):
            raise InputError(
                f"The labels have shape {array.shape}; survival needs two columns, time and event."
            )
        time, event = time_and_event(array, names)
        if (time < 0).any():
            bad = int(np.flatnonzero(time < 0)[0])
            raise InputError(
                f"The survival time of sample '{names[bad]}' is {time[bad]:g}; times cannot be "
                "negative."
            )
        if not event.any():
            raise InputError(
                "No sample has the event, so there is nothing to learn; check the event column."
            )
        _lifelines()  # before any long work
        return array if array.dtype.names else np.column_stack([time, event])

    def strata(self, y: Labels) -> Labels:
        return time_and_event(y)[1]

    def check_training(self, y: Labels, where: str) -> None:
        if not time_and_event(y)[1].any():
            raise InputError(f"{where} trains on no event; ask for fewer folds, or other groups.")

    def check_test(self, y: Labels, where: str) -> None:
        time, event = time_and_event(y)
        # A pair can be compared if the earlier time is an event.
        if not event.any() or not (time > time[event].min()).any():
            raise InputError(
                f"{where} tests on no two samples whose order of events is known; ask for fewer "
                "folds, or other groups."
            )

    def model(self, name: str) -> CoxModel:
        return CoxModel()

    def score(self, model: Any, X: Any, y: Labels) -> tuple[dict[str, float], Labels]:
        risk = np.asarray(model.predict(X), np.float64).reshape(len(y))
        return {"concordance": concordance(y, risk)}, risk

    def predictions(self, y: Labels, predicted: Labels) -> dict[str, Labels]:
        time, event = time_and_event(y)
        return {"time": time, "event": event.astype(int), "risk": predicted}


def concordance(y: Any, risk: NDArray[np.float64]) -> float:
    """Harrell's concordance: the share of comparable pairs whose riskier sample comes first."""
    time, event = time_and_event(np.asarray(y))
    return float(_lifelines().utils.concordance_index(time, -risk, event))


def time_and_event(
    y: Labels, names: Names | None = None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Both columns of labels that are n x 2, or structured as scikit-survival has them.

    Raises
    ------
    InputError
        For a time that is not a number, an event that is not 1 or 0 (true or false, yes or no),
        or fields that are not one of each.
    """
    if names is None:
        names = np.arange(len(y)).astype(object)
    if y.dtype.names is None:
        return numbers(y[:, 0], "survival time", names), _events(y[:, 1], names)
    events = [name for name in y.dtype.names if y.dtype[name].kind == "b"]
    times = [name for name in y.dtype.names if y.dtype[name].kind in "iuf"]
    if len(events) != 1 or len(times) != 1:
        raise InputError(
            f"The labels have the fields {', '.join(y.dtype.names)}; survival needs a time and an "
            "event (true or false)."
        )
    return numbers(y[times[0]], "survival time", names), y[events[0]]


def _events(column: Labels, names: Names) -> NDArray[np.bool_]:
    events = np.empty(len(column), bool)
    for position, entry in enumerate(column):
        text = str(entry).strip().lower()
        if text not in _YES | _NO:
            raise InputError(
                f"The event of sample '{names[position]}' is '{entry}'; give 1 (or true, yes) "
                "where the event came and 0 (or false, no) where the sample was only followed."
            )
        events[position] = text in _YES
    return events


def _lifelines() -> Any:
    return imported("lifelines", 'Survival needs lifelines; run: pip install "fembed[survival]".')
