"""Aberrant genes: the textbook's conditional normal, a null of a sample's own, planted genes."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData, read_h5ad

matplotlib.use("Agg")

from matplotlib import pyplot
from matplotlib.colors import to_hex
from matplotlib.text import Text
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from fembed import pl, tl
from fembed.commands.app import run
from fembed.engine import Float32
from fembed.errors import InputError
from fembed.inference import aberrant_genes
from fembed.model import Model
from fembed.pl import canvas
from fembed.solvers import surprise
from fembed.solvers.residual_factors import ResidualFactors
from tests.curved_expression import curved, frame, trained

N_GENES = curved(2).shape[1]
LOADING = np.random.default_rng(3).normal(0, 0.4, (3, N_GENES)).astype(np.float32)


def shared(n_samples: int, seed: int) -> Float32:
    """Curved expression, with three factors that the map has no room for."""
    scores = np.random.default_rng(seed).normal(size=(n_samples, 3)).astype(np.float32)
    return curved(n_samples, seed=seed) + scores @ LOADING


@pytest.fixture(scope="module")
def model() -> Model:
    return trained(shared(300, 0), iterations=1500)


@pytest.fixture(scope="module")
def planted() -> tuple[Float32, np.ndarray]:
    """New samples of which three genes each are moved, and which."""
    values, rng = shared(40, 8), np.random.default_rng(1)
    moved = np.zeros(values.shape, bool)
    for row in moved:
        row[rng.choice(N_GENES, 3, replace=False)] = True
    signs = rng.choice([-1.0, 1.0], size=values.shape)
    return (values + 1.5 * moved * signs).astype(np.float32), moved


def test_a_gene_left_out_is_the_conditional_normal_of_the_textbook() -> None:
    rng = np.random.default_rng(0)
    loading = rng.normal(size=(30, 4)).astype(np.float32)
    noise = rng.uniform(0.2, 2.0, 30).astype(np.float32)
    residuals = rng.normal(size=30).astype(np.float32)
    residuals[[3, 17]] = np.nan
    factors = ResidualFactors(loading, noise, 1e12)
    both = surprise.left_out(np.stack([np.ones(30, np.float32), residuals]), factors)
    gap, deviation = (found[1] for found in both)
    assert_array_equal(np.isnan(gap), np.isnan(residuals))
    seen = np.flatnonzero(~np.isnan(residuals))
    covariance = loading.astype(float) @ loading.T + np.diag(noise)
    for j in seen:
        others = seen[seen != j]
        gain = np.linalg.solve(covariance[np.ix_(others, others)], covariance[others, j])
        assert gap[j] == pytest.approx(residuals[j] - gain @ residuals[others], rel=1e-6)
        variance = covariance[j, j] - gain @ covariance[others, j]
        assert deviation[j] == pytest.approx(np.sqrt(variance), rel=1e-6)


def test_a_sample_has_a_null_of_its_own() -> None:
    rng = np.random.default_rng(0)
    for spread, tails in ((1.0, np.inf), (3.0, np.inf), (0.5, 4.0)):
        z = spread * (rng.normal(size=4000) if tails == np.inf else rng.standard_t(tails, 4000))
        _, p = surprise.two_sided(z)
        for level in (0.5, 0.1, 0.01, 0.001):
            assert (p <= level).mean() == pytest.approx(level, abs=4 * np.sqrt(level / 4000))
    few = np.array([0.5, np.nan, -3.0])
    scaled, p = surprise.two_sided(few)
    assert_array_equal(scaled, few)
    assert_allclose(p[[0, 2]], 2 * stats.norm.sf([0.5, 3.0]))


def test_the_false_discovery_rate_is_benjamini_and_yekutielis() -> None:
    p = np.array([0.04, np.nan, 0.001, 0.8])
    # The smallest times 3 (1 + 1/2 + 1/3), the next times 3/2 of it, and so on.
    assert_allclose(
        surprise.false_discovery_rate(p), [0.04 * 2.75, np.nan, 0.001 * 5.5, 1.0], rtol=1e-12
    )


def test_planted_genes_come_first(model: Model, planted: tuple[Float32, np.ndarray]) -> None:
    values, moved = planted
    found = aberrant_genes(model, frame(values))
    others = np.abs(found.z)[~moved]
    assert np.median(np.abs(found.z[moved])) > np.quantile(others, 0.995)
    called = found.fdr <= 0.05
    assert called[moved].mean() > 0.5 and moved[called].mean() > 0.8
    # Neither the rest of the batch nor a gene's own value has a part in what is expected of it.
    alone = aberrant_genes(model, frame(values).iloc[[7]])
    assert_allclose(alone.z[0], found.z[7], rtol=1e-3, atol=1e-3)
    gene = int(np.flatnonzero(moved[7])[0])
    back = values.copy()
    back[7, gene] -= 3.0 * np.sign(found.z[7, gene])
    again = aberrant_genes(model, frame(back))
    change = abs(again.expected[7, gene] - found.expected[7, gene])
    assert change < 0.2 * abs(back[7, gene] - values[7, gene])


def test_the_threshold_parts_the_genes_that_are_called(
    model: Model, planted: tuple[Float32, np.ndarray]
) -> None:
    found = aberrant_genes(model, frame(planted[0]))
    for rate in (1e-9, 1e-3, 0.05, 0.3, 1.0):
        called = found.fdr <= rate
        assert_array_equal(found.p_value <= found.threshold(rate)[:, None], called)
    none = np.flatnonzero(~(found.fdr <= 1e-9).any(axis=1))  # of these, the first at the line
    found.p_value[none, 0] = found.threshold(1e-9)[none]
    assert len(none)
    assert_allclose(
        [surprise.false_discovery_rate(p)[0] for p in found.p_value[none]], 1e-9, rtol=1e-6
    )


def test_a_volcano_colours_what_is_called_and_names_the_smallest_p_values(
    model: Model, planted: tuple[Float32, np.ndarray]
) -> None:
    found = aberrant_genes(model, frame(planted[0]))
    worst = int(np.argmax(found.n_aberrant()))
    ax = pl.volcano(found, genes=2)
    ax.figure.draw_without_rendering()
    assert ax.get_title(loc="left") == found.sample_names[worst]
    drawn = {to_hex(it.get_facecolor()[0]): np.asarray(it.get_offsets()) for it in ax.collections}
    called, gap = found.fdr[worst] <= 0.05, found.measured[worst] - found.expected[worst]
    height = -np.log10(found.p_value[worst])
    for colour, some in (
        (canvas.OTHER, called & (gap > 0)), (canvas.OURS, called & (gap < 0)),
    ):  # fmt: skip
        wanted = np.column_stack([gap, height])[some]
        assert_allclose(drawn.get(colour.lower(), np.empty((0, 2))), wanted, rtol=1e-6)
    assert sum(map(len, drawn.values())) == N_GENES
    smallest = found.gene_names[np.argsort(found.p_value[worst])[:2]]
    assert sorted(text.get_text() for text in ax.texts) == sorted(smallest)
    level = next(line for line in ax.lines if line.get_linestyle() == "--").get_ydata()[0]
    assert level == pytest.approx(-np.log10(found.threshold()[worst]))


def test_samples_are_ranked_and_the_worst_are_named_apart(
    model: Model, planted: tuple[Float32, np.ndarray]
) -> None:
    found = aberrant_genes(model, frame(planted[0]))
    ax = pl.aberrant(found, samples=5)
    ax.figure.draw_without_rendering()
    count = found.n_aberrant()
    points = max((np.asarray(it.get_offsets()) for it in ax.collections), key=len)
    points = points[np.argsort(points[:, 0])]
    assert_array_equal(points, np.column_stack([np.arange(1, 41), np.sort(count)]))
    named = [text for text in ax.texts if text.get_text() in found.sample_names]
    rows = [found.row(text.get_text()) for text in named]
    assert len(rows) == 5 and count[rows].min() >= np.sort(count)[-5]
    boxes = [Text.get_window_extent(text) for text in named]  # without their lines
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])
    with pytest.raises(InputError, match="no sample 'nobody' among the 40"):
        pl.aberrant(found, samples=["nobody"])
    pyplot.close("all")


def test_missing_genes_have_no_value(model: Model, planted: tuple[Float32, np.ndarray]) -> None:
    values = planted[0].copy()
    values[2, 5] = np.nan
    found = aberrant_genes(model, frame(values).iloc[:, :60])
    assert found.z.shape == (40, 60)
    lacking = np.zeros(found.z.shape, bool)
    lacking[2, 5] = True
    for array in (found.z, found.p_value, found.fdr):
        assert_array_equal(np.isnan(array), lacking)
    assert len(found.table(1.0)) == 40 * 60 - 1


def test_the_verb_puts_everything_into_the_object(
    model: Model, planted: tuple[Float32, np.ndarray]
) -> None:
    table = frame(planted[0]).iloc[:, 10:].assign(elsewhere=1.0)
    adata = AnnData(table.astype(np.float32))
    wanted = aberrant_genes(model, table)
    assert tl.aberrant(adata, model) is None
    assert_allclose(adata.layers["fembed_z"][:, :-1], wanted.z)
    assert np.isnan(adata.layers["fembed_fdr"][:, -1]).all()
    assert_array_equal(adata.obs["fembed_n_aberrant"], (wanted.fdr <= 0.05).sum(axis=1))
    copied = tl.aberrant(AnnData(table.astype(np.float32)), model, key_added="mine", copy=True)
    assert copied is not None and "mine_z" in copied.layers


def test_the_command_writes_what_python_finds(
    model: Model,
    planted: tuple[Float32, np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    model.save("model")
    frame(planted[0]).to_csv("new.csv")
    wanted = aberrant_genes(model, frame(planted[0]))
    for output in ("found.csv", "found.parquet", "found.h5ad"):
        assert run(["aberrant", "model", "new.csv", "-o", output, "--quiet"]) == 0
    table, expected = pd.read_csv("found.csv"), wanted.table()
    assert list(table) == ["sample", "gene", "measured", "expected", "z", "p_value", "fdr"]
    assert list(table["gene"]) == list(expected["gene"]) and len(table)
    assert_allclose(table["z"], expected["z"], rtol=1e-3, atol=1e-3)
    assert list(pd.read_parquet("found.parquet")["gene"]) == list(table["gene"])
    matrix = read_h5ad("found.h5ad")
    assert_allclose(matrix.X, wanted.z, rtol=1e-3, atol=1e-3)
    assert set(matrix.layers) == {"measured", "expected", "p_value", "fdr"}
    line = ["aberrant", "model", "new.csv", "--quiet", "--sample", "new7"]
    assert run([*line, "-o", "out.csv", "--figure", "ranked.svg", "--volcano", "volcano.svg"]) == 0
    assert "new7" in Path("volcano.svg").read_text()
    assert str(wanted.sample_names[wanted.n_aberrant().argmax()]) in Path("ranked.svg").read_text()


def test_refusals(model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = trained(curved(19), iterations=20)  # too few for factors
    with pytest.raises(InputError, match="no residual factors"):
        aberrant_genes(plain, curved(3))
    found = aberrant_genes(model, frame(shared(3, 2)))
    with pytest.raises(InputError, match="above 0"):
        found.table(0.0)
    model.save(tmp_path / "model")
    frame(shared(3, 2)).to_csv(tmp_path / "new.csv")
    line = ["aberrant", f"{tmp_path}/model", f"{tmp_path}/new.csv", "-o", f"{tmp_path}/out.csv"]
    assert run([*line, "--fdr", "0"]) == 2
    assert "--fdr is 0" in capsys.readouterr().err
    for more, message in (
        (["--figure", f"{tmp_path}/a.doc"], "unknown ending"),
        (["--figure", f"{tmp_path}/a.png", "--volcano", f"{tmp_path}/a.png"], "are the same file"),
        (["--sample", "new0"], "give --volcano FILE too"),
        (["--volcano", f"{tmp_path}/a.png", "--sample", "nobody"], "not a sample of"),
    ):
        assert run([*line, *more]) == 2
        assert message in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"model", "new.csv"}
