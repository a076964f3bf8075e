"""Cross-validation: in every fold, fit on the training part, project and score the rest."""

from __future__ import annotations

import itertools
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import _safe_indexing

from fembed import parallel
from fembed.config import (
    MAX_FOLD_SEED,
    MAX_REPEATS,
    checked_kind,
    checked_whole,
)
from fembed.data.annotations import is_path, refuse_layers
from fembed.data.expression import Expression
from fembed.errors import DataWarning, InputError
from fembed.estimator import FactorizedEmbedding
from fembed.evaluation import checks
from fembed.evaluation.folds import Fold, checked_groups, make_folds
from fembed.evaluation.held_out import held_out_folds
from fembed.evaluation.methods import Method, limit_embeddings, methods
from fembed.evaluation.result import CaseResult, Evaluation
from fembed.evaluation.tasks import Task
from fembed.progress import Bar

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

DEFAULT_DIMS = (2, 8, 32)
DEFAULT_FOLDS = 5


@dataclass(frozen=True)
class _Case:
    fold: Fold
    method: Method


@dataclass(frozen=True)
class _Shared:
    X: Any
    y: NDArray[Any]
    groups: NDArray[Any] | None
    task: Task


def evaluate(
    data: Any,
    label: Any,
    *,
    task: str | None = None,
    estimator: BaseEstimator | str | None = None,
    embedding: FactorizedEmbedding | None = None,
    dims: Sequence[int] | None = None,
    baselines: Sequence[str] | Mapping[str, Any] = ("pca",),
    cv: Any = None,
    repeats: int = 1,
    groups: Any = None,
    hold_out_groups: Any = None,
    seed: int = 0,
    workers: parallel.Workers | None = None,
    verbose: bool | None = None,
    callback: Callable[[int, int, CaseResult], None] | None = None,
) -> Evaluation:
    """Cross-validate an auxiliary task on embeddings that never saw the test samples.

    In every fold the embedding is trained on the training part and the rest is projected into it.
    The task's model is then fitted on the training coordinates and scored on the projected ones.
    Baselines go through the same folds, transform and model; missing entries are filled for them
    with the means of the training part.

    Parameters
    ----------
    data : array, sparse matrix, DataFrame, Expression, AnnData or path, n_samples x n_genes
        In the units of the embedding's ``preprocessing``. NaN is a missing entry.
    label : array, n_samples, or n_samples x 2 for survival; or str
        Labels; numbers; or time and event (also a structured array as scikit-survival has it). A
        str is a column of the annotations of an Expression or AnnData.
    task : {"classification", "regression", "survival"}, optional
        By default chosen by ``label``: two columns are survival; decimals, and more than 20
        different numbers, are regression.
    estimator : scikit-learn estimator or str, optional
        The task's model, fitted on coordinates; it may be a pipeline or a search. Or a pipeline
        that contains a `FactorizedEmbedding`, in whose place the baselines are put. Or a name:
        "logistic" (the default) or "knn" for classes, "ridge" or "knn" for numbers, "cox" for
        survival.
    embedding : FactorizedEmbedding, optional
        The embedding with all its settings but the dimension. By default one with default settings
        and ``seed``.
    dims : sequence of int, optional
        Dimensions of the embeddings: 2, 8, 32, or that of an embedding inside ``estimator``.
    baselines : sequence of {"pca", "umap", "raw"}, or dict of transformers by name
        What the embedding is compared with. A transformer that has ``n_components`` is run in every
        dimension.
    cv : int, splitter, or iterable of (training, test) rows, optional
        A number makes shuffled folds: stratified by class (survival: by event), with no group in
        two folds. By default 5.
    repeats : int, default 1
        How many times the folds are made, shuffled anew each time, if ``cv`` is a number.
    groups : array, n_samples, or str, optional
        Samples of one group (a patient) are never parted between training and test. They also
        reach a search (``GridSearchCV``), whose own ``cv`` should then be one for groups.
    hold_out_groups : array, n_samples, or str, optional
        Instead of ``cv``: one fold for every group (a study, a laboratory), which is trained on all
        other groups and tested on that one. Samples whose label no other group has are not tested;
        a `DataWarning` counts them.
    seed : int, default 0
        Seed of the folds, of the default embedding and of the baselines.
    workers : Workers, optional
        Where folds run; by default one process per core.
    verbose : bool, optional
        Show a bar: in a terminal or notebook with True, nowhere with False; by default in
        notebooks.
    callback : callable, optional
        Called as ``callback(n_done, n_cases, result)`` after each fold of each method.

    Returns
    -------
    Evaluation
        ``folds`` (one row per fold, repeat, method and dimension), ``predictions``, ``summary()``,
        ``differences()``, ``confusion()``, ``figure()``, ``save(folder)``.

    Raises
    ------
    InputError
        For labels that nothing can be learned from, folds that would leak, an unknown or missing
        baseline, impossible dimensions; and whatever training in a fold raises.
    WorkerError
        If the workers of a cluster are lost for good.

    Notes
    -----
    The numbers are those of ``cross_validate(make_pipeline(embedding, estimator), X, y, cv=cv)``:
    a factorized embedding is a transformer, and each sample is projected alone.

    Examples
    --------
    >>> import numpy as np
    >>> import fembed
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["a", "b"], 20)
    >>> X = rng.poisson(np.where(y == "a", 5.0, 20.0)[:, None], size=(40, 30))
    >>> small = fembed.FactorizedEmbedding(hidden=(8,), epochs=2, random_state=0)
    >>> one = fembed.Workers(n_workers=1)
    >>> found = fembed.evaluate(X, y, embedding=small, dims=[2], cv=2, workers=one)
    >>> found.folds[["fold", "method", "dimension"]].values.tolist()
    [[1, 'fembed', 2], [1, 'pca', 2], [2, 'fembed', 2], [2, 'pca', 2]]
    """
    repeats = checked_whole("repeats", repeats, 1, MAX_REPEATS)
    seed = checked_whole("seed", seed, 0, MAX_FOLD_SEED)
    if embedding is not None:
        checked_kind("embedding", embedding, FactorizedEmbedding, "a fembed.FactorizedEmbedding")
    refuse_layers(data, "An evaluation")
    if is_path(data) or hasattr(data, "obs_names"):
        data = Expression.of(data)
    if hold_out_groups is not None and (cv is not None or repeats != 1):
        raise InputError(
            "hold_out_groups makes one fold for each group; leave out cv (--folds) and repeats."
        )
    y, groups = checks.column_of(data, label), checks.column_of(data, groups)
    hold_out_groups = checks.column_of(data, hold_out_groups)
    X, names = checks.matrix(data)
    if embedding is not None or estimator is None or isinstance(estimator, str):
        checks.warn_of_units(X, "log10" if embedding is None else embedding.preprocessing)
    if len(np.asarray(y)) != X.shape[0]:
        raise InputError(
            f"There are {len(np.asarray(y))} labels for {X.shape[0]} samples; give one per sample."
        )
    chosen = checks.task_of(task, y)
    y = chosen.checked(y, names)
    groups = checked_groups(groups, names)
    if hold_out_groups is not None:
        folds = held_out_folds(chosen, y, hold_out_groups, groups, names)
    else:
        cv = DEFAULT_FOLDS if cv is None else cv
        folds = make_folds(chosen, y, groups, cv, repeats, seed)
    if dims is not None:
        dims = checks.checked_dims(dims)
    compared = methods(
        checks.model_of(chosen, estimator),
        embedding or FactorizedEmbedding(random_state=seed),
        dims,
        baselines,
        DEFAULT_DIMS,
    )
    checks.check_sizes(chosen, compared, folds, X.shape[1], estimator)
    shared = _Shared(X, y, groups, chosen)
    cases = [_Case(fold, method) for method in _longest_first(compared) for fold in folds]
    numbers = itertools.count(1)
    with Bar(verbose) as bar:
        told = bar.case_callback("folds", callback)
        results = parallel.run(
            run_case, shared, cases, workers,
            lambda _, result: told(next(numbers), len(cases), result),
        )  # fmt: skip
    order = {(method.name, method.dimension): k for k, method in enumerate(compared)}
    results.sort(key=lambda r: (r.repeat, r.fold, order[r.method, r.dimension]))
    return Evaluation.of(results, chosen, y, names)


def run_case(shared: _Shared, case: _Case, n_threads: int) -> CaseResult:
    """One fold of one method: whatever is fitted is fitted on the training part."""
    fold, method = case.fold, case.method
    model = clone(method.estimator)
    limit_embeddings(model, n_threads)
    training, test = (_safe_indexing(shared.X, rows) for rows in (fold.training, fold.test))
    more = {}
    if shared.groups is not None and isinstance(model, BaseSearchCV):
        more["groups"] = shared.groups[fold.training]
    begin = time.perf_counter()
    with warnings.catch_warnings():
        # A gene may be constant in the training part of a fold; that needs no warning.
        warnings.simplefilter("ignore", DataWarning)
        try:
            model.fit(training, shared.y[fold.training], **more)
            fitted = time.perf_counter()
            measures, predicted = shared.task.score(model, test, shared.y[fold.test])
        except InputError as error:
            size = "" if method.dimension is None else f" in {method.dimension} dimension(s)"
            raise InputError(f"{fold}, {method.name}{size}: {error}") from error
    return CaseResult(
        repeat=fold.repeat,
        fold=fold.number,
        method=method.name,
        dimension=method.dimension,
        n_training=len(fold.training),
        n_test=len(fold.test),
        measures=measures,
        seconds_fit=fitted - begin,
        seconds_score=time.perf_counter() - fitted,
        test=fold.test,
        predicted=predicted,
        chosen=getattr(model, "best_params_", None),
        held_out=fold.held_out,
        n_unseen=fold.n_unseen,
    )


def _longest_first(compared: Sequence[Method]) -> list[Method]:
    """So that no worker begins a long fit when the others are done."""
    return sorted(compared, key=lambda method: -method.cost)
