"""What is done with a mutated input: it is read, and what was read is used."""

from __future__ import annotations

import contextlib
import functools
import io
import warnings
from pathlib import Path
from random import Random

import numpy as np

from fembed import inference, store, tl, train
from fembed.commands import app, describe
from fembed.commands import points as points_table
from fembed.data import readers
from fembed.data.expression import Expression
from fembed.errors import InputError, TrainingError
from fembed.evaluation.annotations import labelled
from fembed.model import Model
from tests.hostile.fuzz import seeds

MAX_TRAINED = 30_000  # entries of a matrix that is also trained on
USED = seeds.CONFIG


@functools.cache
def _model() -> Model:
    return train.fit(seeds.expression(), seeds.CONFIG)


def _use(expression: Expression, rng: Random) -> None:
    """What was accepted can be described, placed and trained on."""
    describe.lines(describe.data_facts(expression))
    expression.check(min_samples=1)
    if expression.values.size > MAX_TRAINED:
        return
    if expression.n_samples == 1 or rng.random() < 0.5:
        placed = None
        with contextlib.suppress(InputError):  # other genes
            placed = inference.project(_model(), expression, n_threads=1)
        assert placed is None or np.isfinite(placed.sample_embedding).all(), "a place is not finite"
        return
    model = train.fit(expression, USED)
    assert np.isfinite(model.sample_embedding).all(), "a place is not finite"


def data(path: Path, rng: Random) -> None:
    options = {}
    if rng.random() < 0.2:
        options["transpose"] = True
    elif path.suffix in (".h5ad", ".zarr") and rng.random() < 0.2:
        options = rng.choice(({"use_raw": True}, {"layer": "log"}))
    _use(readers.read(path, **options), rng)


def samples_annotated(path: Path, rng: Random) -> None:
    columns = rng.choice((["group"], ["time", "event"]))
    labelled(seeds.expression(), columns, rng.choice((None, "group")), str(path))


def points(path: Path, rng: Random) -> None:
    _, places = points_table.read(path, 2)
    _model().decode(places, n_threads=1)


def memory(path: Path, rng: Random) -> None:
    """A sparse matrix that is damaged in memory, as an AnnData object holds it."""
    from anndata import AnnData
    from scipy import sparse

    fields = dict(np.load(path).items())
    adata = AnnData(sparse.csr_matrix((seeds.N_SAMPLES, seeds.N_GENES), dtype=np.float32))
    for name in ("data", "indices", "indptr"):
        setattr(adata.X, name, fields[name])
    if rng.random() < 0.5:
        tl.fit(adata, n_components=2, gene_components=2, hidden=(4,), epochs=1.0)
    else:
        Expression.from_anndata(adata).check()


def carried(path: Path, rng: Random) -> None:
    """A model in an AnnData object, from a file that anndata can read."""
    import anndata

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            adata = anndata.read_h5ad(path)
    except Exception:  # anndata's own: the file never comes to us
        return
    if adata.n_obs != seeds.N_SAMPLES or adata.n_vars != seeds.N_GENES:
        return
    tl.project(adata, adata)


def run(*arguments: str | Path) -> bool:
    """Whether a command succeeds; one that fails says why in one line, with status 2."""
    told, shown = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(told), contextlib.redirect_stdout(shown):
        status = app.run([str(argument) for argument in arguments])
    lines = [line for line in told.getvalue().splitlines() if "fembed: warning:" not in line]
    if status:
        text = " | ".join(lines)
        assert status == 2, f"{arguments[0]} ends with status {status}: {text[:300]}"
        assert len(lines) == 1 and lines[0].startswith("fembed: "), text[:300]
    return status == 0


def model(path: Path, rng: Random) -> None:
    """Every command that takes a model; the longer ones now and then."""
    with contextlib.suppress(InputError):
        loaded = store.load(path)
        placed = inference.project(loaded, seeds.expression(), n_threads=1)
        assert np.isfinite(placed.sample_embedding).all(), "a place is not finite"
    run("info", path)
    whole, out = path.parent.parent / "seeds", path.parent / "out"
    drawn = rng.random()
    if drawn < 0.3:
        run("project", path, whole / "table.csv", "-o", f"{out}.csv", "--n-threads", "1")
    elif drawn < 0.5:
        run("impute", path, whole / "table.csv", "-o", f"{out}.csv", "--n-threads", "1")
    elif drawn < 0.7:
        run("decode", path, whole / "points.csv", "-o", f"{out}.csv", "--n-threads", "1")
    elif drawn < 0.8:
        run("calibrate", path, whole / "table.csv", "-o", out, "--n-threads", "1")
    elif drawn < 0.9:
        grown = ("--training", whole / "table.csv", "-o", out, "--n-threads", "1")
        run("extend", path, whole / "table.csv", *grown)
    elif drawn < 0.97:
        run("plot", path, "-o", f"{out}.html", "--n-threads", "1")
    else:
        run("report", path, "-o", f"{out}.html", "--n-threads", "1")


def checkpoint(path: Path, rng: Random) -> None:
    made = seeds.fit_kept(path)
    assert np.isfinite(made.sample_embedding).all(), "a place is not finite"


def sweep(path: Path, rng: Random) -> None:
    seeds.sweep(path)


#: What a trial may raise: a sentence for the user.
TOLD = (InputError, TrainingError)
