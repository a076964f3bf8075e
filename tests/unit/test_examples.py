"""The examples in the docstrings of public names run, and give what they say."""

from __future__ import annotations

import doctest
import importlib
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

import fembed

HOMES = ("fembed", "fembed.tl", "fembed.pp", "fembed.pl")
#: Tables that a call returns, and errors: whoever meets them has an example of the call.
NO_EXAMPLE = {
    *("DataWarning", "InputError", "TrainingError", "WorkerError"),
    *(
        "AberrantGenes",
        "Annotation",
        "Evaluation",
        "GeneSetScores",
        "Imputation",
        "Projection",
        "Sweep",
    ),
    *("accuracy_by_dimension", "accuracy_table", "density_grid", "scatter_grid"),  # of a Sweep
}


def public() -> list[Any]:
    found = []
    for home in HOMES:
        module = importlib.import_module(home)
        objects = [getattr(module, name) for name in module.__all__]
        found += [it for it in objects if inspect.isclass(it) or inspect.isfunction(it)]
    return found


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """What examples take for granted: counts of 90 samples, as an AnnData too, and their model."""
    rng = np.random.default_rng(0)
    values = rng.poisson(rng.gamma(2.0, 20.0, size=(3, 30))[np.arange(90) % 3])
    counts = pd.DataFrame(values, [f"S{i}" for i in range(90)], [f"G{j}" for j in range(30)])
    model = fembed.fit(counts, hidden=(8,), gene_components=4, epochs=4)
    return {"fembed": fembed, "np": np, "pd": pd, "counts": counts, "model": model}


@pytest.mark.filterwarnings("ignore::fembed.errors.DataWarning")  # tiny data look odd
@pytest.mark.parametrize("shown", public(), ids=lambda it: it.__qualname__)
def test_an_example(shown: Any, names: dict[str, Any], tmp_path: Path) -> None:
    counts = names["counts"]
    adata = AnnData(counts.astype(np.float32), obs=pd.DataFrame(index=counts.index))
    adata.obs["kind"] = pd.Categorical(list("abc" * 30))
    fembed.tl.project(adata, names["model"])
    given = {**names, "adata": adata, "folder": tmp_path, shown.__name__: shown}
    tests = [it for it in doctest.DocTestFinder().find(shown, globs=given) if it.examples]
    assert tests or shown.__name__ in NO_EXAMPLE, "a public name without an example"
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for test in tests:
        runner.run(test)
    assert not runner.failures
