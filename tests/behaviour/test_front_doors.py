"""Whatever a user has in hand goes in by every door, and gives the same numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from numpy.testing import assert_array_equal
from scipy import sparse

import fembed
from fembed.config import FitConfig
from fembed.errors import DataWarning, InputError
from tests.small_expression import frame

CONFIG = FitConfig(hidden=(8,), gene_components=4, iterations=20, n_threads=1)
LABELS = np.arange(36) % 3


def forms(table: pd.DataFrame, folder: Path) -> dict[str, Any]:
    path = folder / "data.csv"
    table.to_csv(path)
    return {
        "DataFrame": table,
        "AnnData": AnnData(table.astype("float32")),
        "Expression": fembed.Expression.from_array(table),
        "array": table.to_numpy(),
        "sparse": sparse.csr_matrix(table.to_numpy(float)),
        "path": str(path),
        "Path": path,
        "list": table.to_numpy().tolist(),
        "nullable": table.convert_dtypes(),
    }


FORMS = (
    "DataFrame",
    "AnnData",
    "Expression",
    "array",
    "sparse",
    "path",
    "Path",
    "list",
    "nullable",
)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a DataFrame gives by every door, and the model's folder."""
    model, folder = fembed.fit(frame(), CONFIG), tmp_path_factory.mktemp("doors") / "model"
    model.save(folder)
    return {"folder": folder, **by_every_door(frame(), folder)}


def by_every_door(data: Any, folder: Path) -> dict[str, Any]:
    small = fembed.FactorizedEmbedding(hidden=(8,), gene_components=4, epochs=1, random_state=0)
    found = fembed.evaluate(
        data, LABELS, embedding=small, dims=[2], cv=2, baselines=(),
        workers=fembed.Workers(n_workers=1, n_threads=1),
    )  # fmt: skip
    return {
        "fit": fembed.fit(data, CONFIG).sample_embedding,
        "project": fembed.project(folder, data).sample_embedding,
        "impute": fembed.impute(folder, data).values,
        "evaluate": found.folds["accuracy"].to_numpy(),
    }


@pytest.mark.parametrize("form", FORMS)
def test_every_form_by_every_door(form: str, expected: dict[str, Any], tmp_path: Path) -> None:
    data = forms(frame(), tmp_path)[form]
    for door, found in by_every_door(data, expected["folder"]).items():
        assert_array_equal(found, expected[door], err_msg=door)


def test_a_series_is_one_sample(expected: dict[str, Any]) -> None:
    one = fembed.project(expected["folder"], frame().loc["s7"])
    assert list(one.sample_names) == ["s7"]
    assert_array_equal(one.sample_embedding, expected["project"][7:8])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (3, "of type int"),
        ({"a": 1}, "of type int"),
        ({1, 2}, "of type set"),
        ("nowhere.csv", "nowhere.csv does not exist"),
        (np.zeros((3, 4)), "has 4 genes but the model has 24"),
    ],
)
def test_what_is_no_expression(data: Any, words: str) -> None:
    model = fembed.fit(frame(), CONFIG)
    with pytest.raises(InputError, match=words):
        fembed.project(model, data)
    with pytest.raises(InputError, match="A model is needed"):
        fembed.project(3, frame())  # type: ignore[arg-type]


def test_an_estimator_says_what_to_do_with_an_anndata() -> None:
    with pytest.raises(InputError, match=r"give adata.X .* or use fembed.tl.fit"):
        fembed.FactorizedEmbedding(epochs=1).fit(AnnData(frame().astype("float32")))


class TestNamesInOtherSpellings:
    """They are the same samples and genes, and the user is told."""

    def test_genes_in_project_and_add_genes(self) -> None:
        table = frame().set_axis([f"ENSG{j:011d}.{j % 7}" for j in range(24)], axis=1)
        model = fembed.fit(table, CONFIG)
        newer = table.set_axis([f"ENSG{j:011d}.9" for j in range(24)], axis=1)
        with pytest.warns(DataWarning, match="24 without Ensembl versions"):
            found = fembed.project(model, newer)
        assert_array_equal(found.sample_embedding, fembed.project(model, table).sample_embedding)
        newer["ENSG00000999999.1"] = 5.0 + np.arange(36)
        with pytest.warns(DataWarning, match="without Ensembl versions"):
            grown = fembed.add_genes(model, newer)
        assert list(grown.gene_names[24:]) == ["ENSG00000999999.1"]

    def test_samples_in_calibrate_and_extend(self) -> None:
        table = frame().set_axis([f"P-{i}" for i in range(36)])
        model = fembed.fit(table, CONFIG)
        dotted = table.set_axis([f"P.{i}" for i in range(36)])
        with pytest.warns(DataWarning, match="points, dashes and blanks taken as one"):
            known = fembed.calibrate(model, dotted)
        assert known.calibration is not None and not known.calibration.reference_loss.size
        new = frame(seed=1).set_axis([f"N-{i}" for i in range(36)])
        with pytest.warns(DataWarning, match="points, dashes and blanks taken as one"):
            grown = fembed.extend(model, new, dotted, epochs=0)
        assert list(grown.sample_names) == [*table.index, *new.index]
        with (
            pytest.warns(DataWarning, match="spelled differently"),
            pytest.raises(InputError, match="is in the model already"),
        ):
            fembed.extend(model, dotted, table, epochs=0)

    def test_names_alone_make_no_training_sample(self) -> None:
        """Arrays without names are all called sample_0, sample_1, ..."""
        model = fembed.fit(frame().to_numpy(), CONFIG)
        others = frame(seed=3).to_numpy()
        with pytest.raises(InputError, match="names of their own to other samples"):
            fembed.calibrate(model, others)
