"""Two layers from end to end: fit, files, new samples by either layer, one layer from the other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fembed
from fembed.commands.app import run
from fembed.errors import InputError
from fembed.model import Model
from tests.two_layers import N_GENES, N_PROTEINS, QUICK, MuDataLike, rna_and_protein

OPTIONS = ["--transform", "cpm", "--hidden", "12", "--gene-components", "6", "--epochs", "20"]
OPTIONS += ["--n-threads", "1", "--quiet"]
RNA, PROTEIN = rna_and_protein(150, 1)
#: 30 samples lack proteins, and 20 lack counts.
TRAINING = {"rna": RNA.iloc[:130], "protein": PROTEIN.iloc[30:]}
NEW = dict(zip(("rna", "protein"), rna_and_protein(60, 2), strict=True))


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of the command line, and the files that it takes."""
    folder = tmp_path_factory.mktemp("layers")
    for name, table in TRAINING.items():
        table.to_csv(folder / f"{name}.csv")
        NEW[name].to_csv(folder / f"new_{name}.csv")
    words = [f"{folder}/rna.csv", "--with", f"{folder}/protein.csv", "-o", f"{folder}/model"]
    assert run(["fit", *words, "--embedding", f"{folder}/places.csv", *OPTIONS]) == 0
    return folder


@pytest.fixture
def here(ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(ready, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def model(ready: Path) -> Model:
    return fembed.load(ready / "model")


def test_python_and_the_command_line_fit_the_same_model(model: Model) -> None:
    assert model.n_samples == 150 and model.n_genes == N_GENES + N_PROTEINS
    assert model.gene_names[[0, N_GENES]].tolist() == ["G0", "protein:P0"]
    assert [layer.transform for layer in model.preprocessing.layers] == ["cpm", "none"]
    mudata = MuDataLike({name: table for name, table in TRAINING.items()})
    same = fembed.fit(mudata, transform="cpm", **QUICK)
    assert_array_equal(same.sample_embedding, model.sample_embedding)
    assert same.preprocessing == model.preprocessing
    scaled = {**TRAINING, "protein": TRAINING["protein"] * 1024}
    other = fembed.fit(scaled, transform="cpm", **QUICK)  # the units of a layer do not matter
    assert_array_equal(other.sample_embedding, model.sample_embedding)
    assert other.preprocessing.layers[1].weight == model.preprocessing.layers[1].weight / 1024


def test_either_layer_places_a_sample_where_both_do(model: Model) -> None:
    both = fembed.project(model, NEW).sample_embedding
    spread = model.sample_embedding.std()
    for name in NEW:
        alone = fembed.project(model, {name: NEW[name]})
        assert np.median(np.abs(alone.sample_embedding - both)) < 0.25 * spread
    plain = fembed.project(model, NEW["rna"])  # the first layer needs no name
    named = fembed.project(model, {"rna": NEW["rna"]})
    assert_array_equal(plain.sample_embedding, named.sample_embedding)
    # Of a mixed batch, every sample is placed by what it has.
    mixed = fembed.project(model, {"protein": NEW["protein"].iloc[30:], "rna": NEW["rna"][:30]})
    assert_array_equal(mixed.n_genes, [N_PROTEINS] * 30 + [N_GENES] * 30)
    assert_allclose(mixed.sample_embedding[30:], plain.sample_embedding[:30], atol=1e-5)


def test_one_layer_is_imputed_from_the_other(model: Model) -> None:
    proteins = NEW["protein"].to_numpy()
    mean = PROTEIN.iloc[30:].to_numpy().mean(axis=0)
    found = fembed.impute(model, NEW["rna"], sd=True)
    assert_array_equal(found.observed.sum(axis=0), [60] * N_GENES + [0] * N_PROTEINS)
    predicted = found.values[:, N_GENES:]
    error = np.square(predicted - proteins).mean()
    assert error < 0.3 * np.square(mean - proteins).mean()
    within = np.abs(predicted - proteins) < 1.64 * found.sd[:, N_GENES:]  # in the layer's units
    assert 0.75 < within.mean() < 0.97
    per_million = np.log10(NEW["rna"].to_numpy() / NEW["rna"].to_numpy().sum(1)[:, None] * 1e6 + 1)
    back = fembed.impute(model, {"protein": NEW["protein"]})
    assert_allclose(back.values[:, N_GENES:], proteins, rtol=1e-6)  # the very numbers
    residual = np.log10(back.values[:, :N_GENES] + 1) - per_million
    assert np.square(residual).mean() < 0.6 * per_million.var(axis=0).mean()
    decoded = fembed.impute(model, NEW, keep_observed=False, scale="model").values
    assert np.square(decoded[:, N_GENES:] - proteins).mean() < 0.3 * proteins.var()


def test_aberrant_features_of_either_layer(model: Model) -> None:
    moved = {name: table.astype(float) for name, table in NEW.items()}
    moved["protein"].iloc[5, 3] += 6000.0
    table = fembed.aberrant_genes(model, moved).table()
    found = table[(table["sample"] == NEW["rna"].index[5]) & (table["gene"] == "protein:P3")]
    assert found["measured"].item() == pytest.approx(moved["protein"].iloc[5, 3], rel=1e-5)


def test_calibrated_and_extended_by_layers(model: Model) -> None:
    assert fembed.calibrate(model, NEW).calibration.reference_size == 60
    grown = fembed.extend(model, {"protein": NEW["protein"]}, TRAINING, epochs=1, verbose=False)
    assert grown.n_samples == 210 and grown.preprocessing == model.preprocessing
    report = grown.training["extension"]
    assert report["drift"] < 0.3 and report["new_mse"] < 1.2 * report["new_mse_before"]
    with pytest.raises(InputError, match="training data lack the layer protein"):
        fembed.extend(model, NEW, TRAINING["rna"])
    with pytest.raises(InputError, match=r"several layers .rna, protein., and no genes"):
        fembed.add_genes(model, NEW["rna"].assign(new=1.0))


def test_commands_take_layers_as_python_does(here: Path, model: Model) -> None:
    both = "--with protein=new_protein.csv"
    for words in (
        f"project model new_rna.csv {both} -o both.csv",
        f"project model {both} -o alone.csv",
        "impute model new_rna.csv -o imputed.csv --sd sd.csv",
        f"aberrant model new_rna.csv {both} -o aberrant.csv",
        f"calibrate model new_rna.csv {both} -o calibrated",
        f"extend model new_rna.csv {both} --training rna.csv --training-with protein.csv -o grown",
        "decode model places.csv --genes protein:P1,G3 -o decoded.csv",
    ):
        assert run([*words.split(), "--quiet"]) == 0
    for name, data in (("both", NEW), ("alone", {"protein": NEW["protein"]})):
        table = pd.read_csv(f"{name}.csv")
        wanted = fembed.project(model, data).sample_embedding
        assert_allclose(table[["fembed_1", "fembed_2"]], wanted, rtol=1e-4, atol=1e-5)
    imputed = pd.read_csv("imputed.csv", index_col=0)
    assert_allclose(imputed, fembed.impute(model, NEW["rna"]).values, rtol=1e-3, atol=1e-2)
    decoded = pd.read_csv("decoded.csv", index_col=0)
    values = model.preprocessing.invert(model.decode(model.sample_embedding))
    assert_allclose(decoded["protein:P1"], values[:, N_GENES + 1], rtol=1e-4, atol=1e-3)
    assert_allclose(decoded["G3"], values[:, 3], rtol=1e-4)


def test_a_gene_of_any_layer_is_drawn(model: Model) -> None:
    axes = fembed.pl.gene_landscape(model, "protein:P1", NEW | TRAINING)
    assert axes.figure.axes[-1].get_ylabel().endswith("scale of the data")
    assert "protein" in fembed.pl.interactive_map(model, TRAINING)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("project model -o x.csv", "DATA is missing"),
        ("project model new_rna.csv --with p=protein.csv -o x.csv", "no layer 'p'"),
        ("project model new_rna.csv --with rna=rna.csv -o x.csv", "'rna' is given twice"),
        ("project model --with protein.csv --with protein=rna.csv -o x.csv", "given twice"),
        ("project model new_protein.csv -o x.csv", "--with protein=FILE"),
        ("project plain new_rna.csv --with protein=new_protein.csv -o x.csv", "has no layers"),
        ("fit rna.csv --with rna=protein.csv -o x", "'rna' is given twice"),
        ("fit rna.csv --with a:b=protein.csv -o x", "holds a colon"),
        ("fit rna.csv --with protein=absent.csv -o x", "absent.csv does not exist"),
        ("fit rna.csv --with new_protein.csv -o x", "no sample in common"),
        ("fit rna.csv --with protein.csv --with-transform q=none -o x", "layers of --with are"),
        ("fit rna.csv --with protein.csv --with-transform protein -o x", "give NAME=TRANSFORM"),
        ("impute model --with protein.csv --with -o x.csv", ""),
    ],
)
def test_mistakes(
    here: Path, words: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if "plain" in words:
        plain = fembed.fit(RNA, transform="cpm", **{**QUICK, "epochs": 1})
        plain.save("plain")
        document = json.loads(Path("plain/model.json").read_text())
        assert document["preprocessing"] == {"transform": "cpm"}  # as before there were layers
    assert run([*words.split(), "--quiet"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("fembed: ") and err.count("\n") == 1
    assert sentence in err
    assert not (here / "x").exists() and not (here / "x.csv").exists()
