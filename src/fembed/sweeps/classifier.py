"""The published classifier of labels by coordinates: a small network, trained on all at once."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

Float32 = NDArray[np.float32]

#: Adam's constants, as everywhere.
_DECAY, _SQUARED_DECAY, _SMALL = 0.9, 0.999, 1e-8


class NetworkClassifier(
    ClassifierMixin,  # type: ignore[misc]  # scikit-learn has no types
    BaseEstimator,  # type: ignore[misc]
):
    """Layers of 100 and 50 leaky rectifiers, softmax, Adam, full batches; as published.

    scikit-learn's ``MLPClassifier`` has no leaky rectifier, and with its plain one units die at
    this learning rate; hence these few lines. Inputs are taken as they are: to rescale them
    would hide what weight decay does to a map.

    Parameters
    ----------
    hidden : sequence of int, default (100, 50)
    steps : int, default 2000
        Training steps, each on all samples.
    learning_rate : float, default 1e-2
    weight_decay : float, default 1e-8
        Coupled L2, over all parameters.
    slope : float, default 0.01
        Slope of a rectifier below zero.
    random_state : int, default 0
        Seed of the Glorot-uniform start.

    Attributes
    ----------
    classes_ : array
    weights_ : list of (weight, bias)
        Float32, n_in x n_out and n_out.
    losses_ : array of float64, steps
        Mean cross-entropy before each step.
    """

    def __init__(
        self,
        hidden: tuple[int, ...] = (100, 50),
        *,
        steps: int = 2000,
        learning_rate: float = 1e-2,
        weight_decay: float = 1e-8,
        slope: float = 0.01,
        random_state: int = 0,
    ) -> None:
        self.hidden = hidden
        self.steps = steps
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.slope = slope
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Train on coordinates ``X`` (n_samples x n_components) and labels ``y``."""
        values, labels = validate_data(self, X, y, dtype=np.float32)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        self.weights_ = self._start(values.shape[1])
        moments = [[(np.zeros_like(p), np.zeros_like(p)) for p in pair] for pair in self.weights_]
        self.losses_ = np.empty(self.steps)
        for step in range(self.steps):
            self.losses_[step], gradients = self.gradients(values, codes)
            rate = np.float32(self.learning_rate / (1 - _DECAY ** (step + 1)))
            grown = np.float32(1 - _SQUARED_DECAY ** (step + 1))
            for pair, gradient, moment in zip(self.weights_, gradients, moments, strict=True):
                for p, g, (first, second) in zip(pair, gradient, moment, strict=True):
                    g += np.float32(self.weight_decay) * p
                    first += np.float32(1 - _DECAY) * (g - first)
                    second += np.float32(1 - _SQUARED_DECAY) * (g * g - second)
                    p -= rate * first / (np.sqrt(second / grown) + np.float32(_SMALL))
        return self

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most probable class of each row."""
        chosen: NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return chosen

    def predict_proba(self, X: ArrayLike) -> Float32:
        """Probabilities, n_samples x n_classes."""
        check_is_fitted(self, "weights_")
        values = validate_data(self, X, dtype=np.float32, reset=False)
        return _softmax(self._layers(values)[-1])

    def gradients(
        self, values: Float32, codes: NDArray[np.intp]
    ) -> tuple[float, list[tuple[Float32, Float32]]]:
        """Mean cross-entropy, and its gradient for each layer's weight and bias."""
        outputs = self._layers(values)
        probability = _softmax(outputs[-1])
        rows = np.arange(len(codes))
        own = probability[rows, codes]
        loss = float(-np.log(np.maximum(own, np.finfo(np.float32).tiny)).mean(dtype=np.float64))
        back = probability
        back[rows, codes] -= 1.0
        back /= len(codes)
        found: list[tuple[Float32, Float32]] = []
        for layer in range(len(self.weights_) - 1, -1, -1):
            found.append((outputs[layer].T @ back, back.sum(axis=0)))
            if layer:
                back = back @ self.weights_[layer][0].T
                back *= np.where(outputs[layer] > 0, np.float32(1.0), np.float32(self.slope))
        return loss, found[::-1]

    def _layers(self, values: Float32) -> list[Float32]:
        """The input, the active units of each hidden layer, and the scores of the classes."""
        outputs = [values]
        for layer, (weight, bias) in enumerate(self.weights_):
            scores = outputs[-1] @ weight + bias
            last = layer == len(self.weights_) - 1
            outputs.append(scores if last else np.maximum(scores, np.float32(self.slope) * scores))
        return outputs

    def _start(self, n_inputs: int) -> list[tuple[Float32, Float32]]:
        rng = np.random.default_rng(self.random_state)
        widths = [n_inputs, *self.hidden, len(self.classes_)]
        pairs = []
        for n_in, n_out in pairwise(widths):
            reach = np.sqrt(6.0 / (n_in + n_out))
            weight = rng.uniform(-reach, reach, size=(n_in, n_out)).astype(np.float32)
            pairs.append((weight, np.zeros(n_out, np.float32)))
        return pairs


def _softmax(scores: Float32) -> Float32:
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Float32 = shifted / shifted.sum(axis=1, keepdims=True)
    return shares
