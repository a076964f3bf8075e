"""The engine is a choice that changes rounding and nothing else, and never goes unsaid."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from anndata import AnnData
from numpy.testing import assert_allclose, assert_array_equal

import fembed
from fembed import engine, parallel
from fembed.commands.app import run
from fembed.engine import AdamState
from fembed.errors import InputError
from fembed.parameters import Parameters
from fembed.train.blocks import BlockStream
from fembed.train.initialization import spectral_initialization
from fembed.train.units import standardise
from tests import parallel_tasks, trained_together
from tests.curved_expression import SMALL, curved, expression, frame, trained
from tests.property.kernels import HAS_TORCH
from tests.small_expression import QUICK, write_csv
from tests.small_expression import frame as small_frame

needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="PyTorch is not installed")
ON_TORCH = ("--engine", "torch", "--device", "cpu")


@needs_torch
class TestOnPyTorch:
    """Whole runs on the processor, beside those of the native engine."""

    def test_the_curve_of_the_loss_is_the_native_engines(self) -> None:
        """Until rounding has grown: after some hundred steps any two summations have parted."""
        values = curved(200, 150, noise=0.5)
        standardise(values)
        config = fembed.FitConfig(**SMALL)
        start, _ = spectral_initialization(values, config, np.arange(len(values)))
        todo = BlockStream(np.arange(len(values)), 150, 32, 128, seed=0).take(200)
        rates = np.outer(np.linspace(0, 1, 200), [5e-3, 5e-3, 1.5e-3]).astype(np.float32)

        def losses(name: str) -> np.ndarray:
            p = start.copy()
            with engine.using(name, "cpu"):
                return engine.train(p, AdamState.zeros(p), values, todo, rates, n_threads=1)[0]

        native, ours = losses("native"), losses("torch")
        assert_allclose(ours[:100], native[:100], rtol=1e-4)
        assert ours.mean() == pytest.approx(native.mean(), rel=1e-3)
        assert native[-50:].mean() < 0.9 * native[:50].mean()

    @pytest.mark.parametrize("recipe", ["fast", "published"])
    def test_a_fit_is_as_good_and_says_where_it_was_made(self, recipe: str) -> None:
        options = {"recipe": recipe, "iterations": 300, "seed": 3}
        native = trained(curved(), **options)
        with fembed.using("torch", "cpu"):
            ours, again = trained(curved(), **options), trained(curved(), **options)
        assert native.training["engine"].startswith("native")
        assert ours.training["engine"].startswith("PyTorch")
        assert ours.training["engine"].endswith("cpu, float32")
        assert ours.config == native.config
        worst = {"fast": 0.1, "published": 0.3}[recipe]  # a chaotic path from a random start
        assert ours.training["mse"] == pytest.approx(native.training["mse"], rel=worst)
        assert_array_equal(ours.sample_embedding, again.sample_embedding)

    def test_new_samples_have_the_same_places_by_every_door(self) -> None:
        model, new = trained(curved(), epochs=20.0), curved(40, seed=1)
        new[::3, ::4] = np.nan
        native = fembed.project(model, frame(new))
        ours = fembed.project(model, frame(new), engine="torch", device="cpu")
        assert_allclose(ours.loss, native.loss, rtol=1e-4)
        spread = native.sample_embedding.std()
        assert_allclose(ours.sample_embedding, native.sample_embedding, atol=1e-2 * spread)
        with fembed.using("torch", "cpu"):
            within = fembed.project(model, frame(new))
            full = fembed.impute(model, frame(new))
        assert_array_equal(within.sample_embedding, ours.sample_embedding)
        assert_allclose(full.values, fembed.impute(model, frame(new)).values, atol=0.02)
        adata = AnnData(frame(new))
        fembed.tl.project(adata, model, engine="torch", device="cpu")
        assert_array_equal(adata.obsm["X_fembed"], ours.sample_embedding)

    def test_the_estimator_and_tl_take_the_engine(self) -> None:
        options = {"hidden": (8,), "gene_components": 4, "epochs": 2}
        table = small_frame()
        estimator = fembed.FactorizedEmbedding(
            **options, engine="torch", device="cpu", random_state=0
        ).fit(table)
        adata = AnnData(table)
        fembed.tl.fit(adata, **options, engine="torch", device="cpu")
        assert_array_equal(adata.obsm["X_fembed"], estimator.embedding_)
        assert estimator.model_.training["engine"].startswith("PyTorch")
        native = fembed.fit(table, **options)
        assert not np.array_equal(native.sample_embedding, estimator.embedding_)

    def test_commands_take_the_engine_and_say_so(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        data, model = str(write_csv(tmp_path / "data.csv")), str(tmp_path / "model")
        assert run(["fit", data, "-o", model, *QUICK, *ON_TORCH]) == 0
        assert "The engine is PyTorch" in capsys.readouterr().err
        assert fembed.load(model).training["engine"].startswith("PyTorch")
        new = write_csv(
            tmp_path / "new.csv", small_frame(seed=1).set_axis([f"n{i}" for i in range(36)])
        )
        for words in (
            ["project", model, str(new), "-o", str(tmp_path / "places.csv")],
            ["impute", model, str(new), "-o", str(tmp_path / "full.csv")],
            ["extend", model, str(new), "--training", data, "-o", str(tmp_path / "grown")],
            ["decode", model, str(tmp_path / "places.csv"), "-o", str(tmp_path / "decoded.csv")],
        ):
            assert run([*words, "-q", *ON_TORCH]) == 0, words
            assert capsys.readouterr() == ("", "")

    def test_workers_have_the_engine_of_their_parent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sent = []

        def processes(task: Any, *_: Any) -> None:
            sent.append(pickle.loads(pickle.dumps(task)))

        monkeypatch.setattr(parallel.dispatch, "run_on_processes", processes)
        workers = fembed.Workers(n_workers=2, n_threads=1)
        for name in ("native", "torch"):
            with fembed.using(name, "cpu"), pytest.raises(KeyError):  # there are no results
                parallel.run(parallel_tasks.engine_name, None, [0, 1], workers)
        native, ours = (task(None, 0, 1) for task in sent)
        assert native.startswith("native") and ours.startswith("PyTorch")

    def test_products_are_never_of_fewer_digits_than_float32_has(self) -> None:
        import torch

        seen = []
        place = engine.on_torch.devices.Place(torch.device("cpu"))
        torch.set_float32_matmul_precision("medium")
        try:
            with engine.on_torch.devices.computing(place, 1):
                seen.append(torch.get_float32_matmul_precision())
            seen.append(torch.get_float32_matmul_precision())
        finally:
            torch.set_float32_matmul_precision("highest")
        assert seen == ["highest", "medium"]

    def test_entries_are_the_same_however_they_reach_the_device(self) -> None:
        import torch

        from fembed.engine.on_torch import entries
        from fembed.engine.on_torch.devices import Place

        matrix = torch.from_numpy(curved(60, 50))
        place = Place(torch.device("cpu"))
        stream = BlockStream(np.arange(60), 50, 7, 11, seed=0)
        blocks = entries.pairs_of(stream.take(40), place.device)
        whole = list(entries.laid_out(matrix, blocks, place))
        assert len(whole) == 40
        for at_once in (1, 1000, 10**6):
            sent = list(entries.streamed(matrix, blocks, place, at_once))
            assert all(map(torch.equal, sent, whole))
        rows, columns = blocks[3]
        assert_array_equal(whole[3], matrix.numpy()[np.ix_(rows, columns)])

    def test_a_block_may_be_computed_in_any_tiles(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from fembed.engine.on_torch import devices

        p, x = a_model(), curved(30, 40)
        rows, genes = np.arange(3, 25), np.arange(1, 40, 2)
        starts = np.zeros((30, 1, 2), np.float32)

        def found() -> tuple[Parameters, engine.Solution, np.ndarray]:
            with fembed.using("torch", "cpu"):
                gradient = engine.gradients(p, x, rows, genes)[2]
                return gradient, engine.solve(p, x, starts), engine.decode(p, p.sample_embedding)

        whole = found()
        monkeypatch.setitem(devices.WORK_BYTES, "cpu", 2000)  # some four pairs
        tiled = found()
        for name, array in tiled[0].arrays().items():
            assert_allclose(array, whole[0].arrays()[name], rtol=1e-4, atol=1e-5, err_msg=name)
        assert_allclose(tiled[1].cost, whole[1].cost, rtol=1e-5)
        assert_allclose(tiled[2], whole[2], atol=1e-5)


def free_ports(number: int) -> list[str]:
    """Of this machine."""
    sockets = [socket.socket() for _ in range(number)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [str(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


@needs_torch
def test_two_processes_train_as_one_does(tmp_path: Path) -> None:
    """As ``torchrun`` starts them: losses and parameters are those of one, within rounding."""
    data, (first, second) = write_csv(tmp_path / "data.csv"), free_ports(2)
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.trained_together", str(tmp_path), second],
            env=os.environ
            | {
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": first,
                "WORLD_SIZE": "2",
                "RANK": str(rank),
                "OMP_NUM_THREADS": "1",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    try:
        (told, notes), others = (process.communicate(timeout=300) for process in started)
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0, 0], notes + others[1]
    found = np.load(tmp_path / "steps.npz")
    with fembed.using("torch", "cpu"):
        for lazy in (True, False):
            loss, p = trained_together.steps(lazy)
            assert_allclose(found[f"{lazy} loss"], loss, rtol=1e-5)
            for name, array in p.arrays().items():
                assert_allclose(found[f"{lazy} {name}"], array, atol=2e-5, err_msg=name)
    # The command: one has carried it out, and the other has only trained along.
    assert "2 processes" in notes and "model" in told
    assert others == ("", "")
    model = fembed.load(tmp_path / "model")
    assert model.training["engine"].endswith("2 processes")
    alone = fembed.fit(data, model.config, engine="torch", device="cpu")
    assert model.training["mse"] == pytest.approx(alone.training["mse"], rel=1e-3)


def a_model() -> Parameters:
    return trained(curved(30, 40), iterations=5).parameters


def test_the_choice_ends_with_its_context_and_is_of_one_thread() -> None:
    assert engine.chosen().describe().startswith("native")
    names: list[str] = []
    with engine.using("torch" if HAS_TORCH else "native", "cpu"):
        thread = threading.Thread(target=lambda: names.append(engine.chosen().describe()))
        thread.start()
        thread.join()
        with engine.using("native"):
            names.append(engine.chosen().describe())
    names.append(engine.chosen().describe())
    assert len(names) == 3 and all(name.startswith("native") for name in names)


WRONG: dict[str, tuple[tuple[str, str], str]] = {
    "no such engine": (("abacus", "auto"), "The engine 'abacus' is not known; choose 'native'"),
    "native elsewhere": (("native", "cuda"), "works on the processor and not on 'cuda'; choose"),
    "no such device": (("torch", "tpu"), "The device 'tpu' is not known; choose auto, cpu, cuda"),
    "no such number": (("torch", "cuda:x"), "The device 'cuda:x' is not known; choose"),
    "absent device": (("torch", "mps"), "finds no device 'mps' here; choose the device 'cpu'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_had_is_one_sentence_and_nothing_is_written(
    case: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (name, device), words = WRONG[case]
    if name == "torch":
        torch = pytest.importorskip("torch", reason="PyTorch is not installed")
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InputError, match=words):
        fembed.fit(expression(curved()), engine=name, device=device)
    data = str(write_csv(tmp_path / "data.csv"))
    model = tmp_path / "model"
    assert run(["fit", data, "-o", str(model), "--engine", name, "--device", device]) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1
    assert not model.exists()


def test_without_pytorch_a_sentence_says_how_to_get_it(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match=r"needs PyTorch, which .*pip install 'fembed\[torch\]'"):
        fembed.fit(expression(curved()), engine="torch")
    data = str(write_csv(tmp_path / "data.csv"))
    assert run(["fit", data, "-o", str(tmp_path / "model"), "--engine", "torch"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@needs_torch
def test_auto_takes_a_graphics_processor_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import torch

    from fembed.engine.on_torch.devices import find

    def with_devices(n_cuda: int, mps: bool) -> Callable[[str], object]:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: n_cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: n_cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        return lambda name: str(find(name))

    assert with_devices(0, False)("auto") == "cpu"
    assert with_devices(0, True)("auto") == "mps"
    found = with_devices(2, True)
    assert found("auto") == "cuda" and found("cuda:1") == "cuda:1" and found("cpu") == "cpu"
    with pytest.raises(InputError, match="finds 2 device"):
        found("cuda:2")
