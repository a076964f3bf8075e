"""What is saved is what is loaded, bit for bit; and nothing is ever half-written."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fembed import store
from fembed.config import FitConfig
from fembed.errors import InputError
from fembed.files import arrayfile, atomic, manifest
from tests.tiny_model import N_GENES, N_SAMPLES, tiny_model

posix = pytest.mark.skipif(os.name == "nt", reason="links and permission bits are POSIX's")


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@pytest.mark.parametrize("linear", [True, False])
def test_a_model_comes_back_bit_for_bit(tmp_path: Path, linear: bool) -> None:
    model = tiny_model(linear=linear)
    model.parameters.network[:3] = np.float32([-0.0, 1e-45, 0.1])  # none may be rounded
    model.save(tmp_path / "model")
    loaded = store.load(tmp_path / "model")

    saved_arrays, saved_document = store.contents(model)
    arrays, document = store.contents(loaded)
    assert arrays.keys() == saved_arrays.keys()
    assert all(same_bits(arrays[name], saved_arrays[name]) for name in arrays)
    assert document == saved_document
    assert loaded.config == model.config
    assert loaded.preprocessing == model.preprocessing
    assert loaded.parameters.hidden == model.parameters.hidden
    assert all(array.flags.writeable and array.flags.c_contiguous for array in arrays.values())


def test_saving_what_was_loaded_writes_the_same_bytes(tmp_path: Path) -> None:
    tiny_model().save(tmp_path / "a")
    store.load(tmp_path / "a").save(tmp_path / "b")
    for name in ("model.json", "model.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@settings(max_examples=25, deadline=None)
@given(names=st.lists(st.text(), min_size=N_SAMPLES, max_size=N_SAMPLES, unique=True))
def test_names_may_hold_any_unicode(tmp_path_factory: pytest.TempPathFactory, names) -> None:
    folder = tmp_path_factory.mktemp("names") / "Modell \N{GREEK SMALL LETTER MU} 1"
    model = tiny_model()
    model.sample_names = np.array(names, dtype=object)
    model.save(folder)
    assert list(store.load(folder).sample_names) == names


def test_what_a_training_could_not_measure_is_null(tmp_path: Path) -> None:
    model = tiny_model()
    model.training = {
        "mse": np.float32(0.5),
        "n_steps": np.int64(7),
        "validation_fraction": math.nan,
        "history": [{"loss": np.inf}, {"losses": np.array([1.0, np.nan])}],
        "sizes": (64, 256),
    }
    model.save(tmp_path / "model")
    text = (tmp_path / "model" / "model.json").read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    assert store.load(tmp_path / "model").training == {
        "mse": 0.5,
        "n_steps": 7,
        "validation_fraction": None,
        "history": [{"loss": None}, {"losses": [1.0, None]}],
        "sizes": [64, 256],
    }


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("former", ["neighbours", "components", None])
def test_options_in_the_words_of_before(tmp_path: Path, version: int, former: str | None) -> None:
    """Schema versions 1 and 2 called two options and two values otherwise."""
    now = {"neighbours": "tsne", "components": "pca", None: None}[former]
    model = tiny_model()
    model.config = FitConfig(init=now, validation_fraction=0.2)  # type: ignore[arg-type]
    model.save(tmp_path / "model")
    path = tmp_path / "model" / "model.json"
    document = json.loads(path.read_text())
    options = document["config"]
    assert options.pop("init") == now and options.pop("validation_fraction") == 0.2
    options |= {"start": former, "validation": 0.2}
    document["schema_version"] = version
    path.write_text(json.dumps(manifest.signed(document)))
    assert store.load(tmp_path / "model").config == model.config
    # Sweeps and checkpoints know a fit again by them.
    del options["n_threads"], options["likelihood"]
    assert model.config.identity() == options


def test_the_folder_is_readable_without_fembed(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    model = tiny_model()
    model.save(tmp_path / "model")
    document = json.loads((tmp_path / "model" / "model.json").read_text())
    arrays = load_file(tmp_path / "model" / "model.safetensors")
    assert {path.name for path in (tmp_path / "model").iterdir()} == {
        "model.json",
        "model.safetensors",
    }
    assert document["gene_names"] == list(model.gene_names)
    assert len(document["gene_names"]) == N_GENES
    assert document["arrays"]["network"] == {
        "shape": list(arrays["network"].shape),
        "dtype": "float32",
    }
    np.testing.assert_array_equal(arrays["gene_bias"], model.parameters.gene_bias)


def test_an_existing_model_is_replaced_only_on_request(tmp_path: Path) -> None:
    first, second = tiny_model(1), tiny_model(2)
    first.save(tmp_path / "model")
    with pytest.raises(InputError, match="exists"):
        second.save(tmp_path / "model")
    assert same_bits(store.load(tmp_path / "model").sample_loss, first.sample_loss)
    second.save(tmp_path / "model", overwrite=True)
    assert same_bits(store.load(tmp_path / "model").sample_loss, second.sample_loss)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_failed_save_leaves_the_old_model_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_model(1).save(tmp_path / "model")
    before = (tmp_path / "model" / "model.json").read_bytes()

    def full_disk(path: Path, content: bytes) -> None:
        path.write_bytes(content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic, "_write", full_disk)
    with pytest.raises(InputError, match="No space left on device"):
        tiny_model(2).save(tmp_path / "model", overwrite=True)
    assert (tmp_path / "model" / "model.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_failed_rename_puts_the_old_model_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_model(1).save(tmp_path / "model")
    rename, calls = os.rename, []

    def fails_the_second_time(source: Path, target: Path) -> None:
        calls.append(source)
        if len(calls) == 2:
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(atomic, "exchange", lambda *_: False)  # as on a network file system
    monkeypatch.setattr(atomic.os, "rename", fails_the_second_time)
    with pytest.raises(InputError, match="Input/output error"):
        tiny_model(2).save(tmp_path / "model", overwrite=True)
    assert same_bits(store.load(tmp_path / "model").sample_loss, tiny_model(1).sample_loss)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@posix
def test_a_link_to_a_model_stays_a_link(tmp_path: Path) -> None:
    tiny_model(1).save(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    tiny_model(2).save(tmp_path / "link", overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert same_bits(store.load(tmp_path / "real").sample_loss, tiny_model(2).sample_loss)


@posix
def test_files_have_the_permissions_the_user_asked_for(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        tiny_model().save(tmp_path / "model")
        arrayfile.write_file(tmp_path / "run.checkpoint", {"a": np.zeros(1)}, {}, "checkpoint")
    finally:
        os.umask(old)
    assert (tmp_path / "model").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "model" / "model.json").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "run.checkpoint").stat().st_mode & 0o777 == 0o644


@settings(max_examples=25, deadline=None)
@given(
    array=hnp.arrays(
        dtype=st.sampled_from(["<f4", ">f4", "<f8", "<i8", "<u8", "u1", "?"]),
        shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    )
)
def test_a_checkpoint_holds_any_array(tmp_path_factory: pytest.TempPathFactory, array) -> None:
    path = tmp_path_factory.mktemp("checkpoint") / "run.checkpoint"
    state = {"state": 2**127 + 1, "generator": "PCG64", "rate": 0.1 + 0.2}
    arrays = {"moment": array, "transposed": array.T}
    arrayfile.write_file(path, arrays, {"state": state}, "checkpoint")
    loaded, document = arrayfile.read_file(path, "checkpoint")
    assert document["state"] == state
    for name, value in arrays.items():
        native = np.asarray(value, dtype=value.dtype.newbyteorder("="), order="C")
        assert same_bits(loaded[name], native)


def test_a_killed_writer_leaves_a_complete_checkpoint(tmp_path: Path) -> None:
    """A process that only writes checkpoints is killed at a moment of nobody's choosing."""
    path = tmp_path / "run.checkpoint"
    script = textwrap.dedent(
        """
        import sys
        import numpy as np
        from fembed.files import arrayfile
        for step in range(1_000_000):
            arrays = {"moment": np.full(100_000, float(step))}
            arrayfile.write_file(sys.argv[1], arrays, {"step": step}, "checkpoint")
            print(step, flush=True)
        """
    )
    for n_lines in (1, 3, 6):
        with subprocess.Popen(
            [sys.executable, "-c", script, str(path)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        ) as writer:
            assert writer.stdout is not None
            written = [int(writer.stdout.readline()) for _ in range(n_lines)][-1]
            writer.kill()
        arrays, document = arrayfile.read_file(path, "checkpoint")
        assert document["step"] >= written
        assert (arrays["moment"] == document["step"]).all()


def test_a_checkpoint_can_hold_a_model_and_more(tmp_path: Path) -> None:
    model = tiny_model()
    arrays, document = store.contents(model)
    arrays["adam_first.network"] = np.ones_like(model.parameters.network)
    path = tmp_path / "run.checkpoint"
    arrayfile.write_file(path, arrays, {**document, "step": 12}, "checkpoint")
    loaded, loaded_document = arrayfile.read_file(path, "checkpoint")
    rebuilt = store.rebuild(loaded, loaded_document, path)
    assert same_bits(rebuilt.parameters.network, model.parameters.network)
    assert loaded_document["step"] == 12
