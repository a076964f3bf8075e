"""Every damaged, mixed-up or misplaced model file gives one sentence that names it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fembed import store
from fembed.errors import InputError
from fembed.files import arrayfile, manifest
from fembed.model import Model
from tests.tiny_model import tiny_model

LAYER = {"name": "rna", "n_features": 3, "transform": "none", "weight": 1.0}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_model().save(tmp_path / "model")
    return tmp_path / "model"


def message(path: Path) -> str:
    """The sentence that loading ``path`` ends with."""
    with pytest.raises(InputError) as caught:
        store.load(path)
    text = str(caught.value)
    assert "\n" not in text
    assert text.endswith(".")
    assert str(path) in text
    return text


def edit(folder: Path, change: Callable[[dict[str, Any]], object], sign: bool = True) -> None:
    """Change ``model.json``; with ``sign`` as a writer would, its checksum fits afterwards."""
    path = folder / "model.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(manifest.signed(document) if sign else document))


def forge(folder: Path, change: Callable[[dict[str, Any], dict[str, Any]], object]) -> None:
    """A folder whose checksums all fit, but whose contents are wrong."""
    arrays, document = store.contents(tiny_model())
    change(arrays, document)
    shutil.rmtree(folder)
    arrayfile.write_folder(folder, arrays, document, "model", overwrite=False)


def test_absent_folder(tmp_path: Path) -> None:
    assert "There is no model" in message(tmp_path / "nothing")


def test_a_file_instead_of_a_folder(folder: Path) -> None:
    assert "is a folder" in message(folder / "model.json")


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_a_file_that_is_absent_or_renamed(folder: Path, name: str) -> None:
    (folder / name).rename(folder / f"old-{name}")
    assert name in message(folder)


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_truncated_file(folder: Path, name: str, share: float) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(share * len(content))])
    text = message(folder)
    assert name in text
    assert "truncated" in text


def test_every_altered_byte_of_the_arrays_is_noticed(folder: Path) -> None:
    path = folder / "model.safetensors"
    content = path.read_bytes()
    for position in np.linspace(0, len(content) - 1, 40).astype(int):
        altered = bytearray(content)
        altered[position] ^= 1
        path.write_bytes(altered)
        assert "model.safetensors" in message(folder)


def test_every_altered_byte_of_the_document_is_noticed(folder: Path) -> None:
    path = folder / "model.json"
    content = path.read_bytes()
    original = json.loads(content)
    for position in np.linspace(0, len(content) - 1, 200).astype(int):
        altered = bytearray(content)
        altered[position] ^= 1
        try:
            harmless = json.loads(bytes(altered)) == original  # one kind of blank for another
        except ValueError:
            harmless = False
        if not harmless:
            path.write_bytes(altered)
            assert "model.json" in message(folder)


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_a_file_of_another_model(folder: Path, tmp_path: Path, name: str) -> None:
    tiny_model(seed=1).save(tmp_path / "other")
    shutil.copy(tmp_path / "other" / name, folder / name)
    text = message(folder)
    assert "model.safetensors" in text
    assert "another model" in text


def test_a_renamed_gene(folder: Path) -> None:
    edit(folder, lambda document: document["gene_names"].__setitem__(0, "KRT5"), sign=False)
    assert "altered" in message(folder)


def test_a_newer_schema_is_said_even_if_all_else_changed(folder: Path) -> None:
    edit(folder, lambda document: document.update(schema_version=99, arrays=None), sign=False)
    text = message(folder)
    assert "schema version 99" in text
    assert "upgrade fembed" in text


@pytest.mark.parametrize("version", [None, "1", 0, -1, True, 1.0])
def test_an_impossible_schema_version(folder: Path, version: object) -> None:
    edit(folder, lambda document: document.update(schema_version=version))
    assert "schema_version" in message(folder)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "\x00",
        '{"format": NaN}',
        "[" * 100_000,
        '{"format": "other"}',
        "\ufeff{}",
    ],
)
def test_a_document_that_is_not_ours(folder: Path, text: str) -> None:
    (folder / "model.json").write_text(text, encoding="utf-8")
    assert "model.json" in message(folder)


def test_a_document_that_is_not_text(folder: Path) -> None:
    (folder / "model.json").write_bytes(b"\xff\xfe\x00\x80")
    assert "model.json" in message(folder)


@pytest.mark.parametrize(
    "name", ["config", "preprocessing", "hidden", "training", "sample_names", "gene_names"]
)
@pytest.mark.parametrize("value", ["absent", None, 3, "text"])
def test_a_field_that_is_absent_or_of_another_type(folder: Path, name: str, value: object) -> None:
    def change(document: dict[str, Any]) -> None:
        if value == "absent":
            del document[name]
        else:
            document[name] = value

    edit(folder, change)
    assert f"'{name}'" in message(folder)


@pytest.mark.parametrize("name", ["arrays", "arrays_bytes", "arrays_sha256"])
@pytest.mark.parametrize("value", ["absent", None, 3, "text"])
def test_a_damaged_description_of_the_arrays(folder: Path, name: str, value: object) -> None:
    def change(document: dict[str, Any]) -> None:
        if value == "absent":
            del document[name]
        else:
            document[name] = value

    edit(folder, change)
    assert "model.safetensors" in message(folder)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("hidden", [4, 0], "hidden"),
        ("hidden", [4, "3"], "hidden"),
        ("hidden", [4, 4], "network"),
        ("hidden", [], "network"),
        ("preprocessing", {"transform": "log7"}, "preprocessing"),
        ("preprocessing", {}, "preprocessing"),
        ("preprocessing", {"transform": "none", "layers": [LAYER]}, "layers have 3 features"),
        ("preprocessing", {"transform": "none", "layers": [LAYER | {"weight": 0}]}, "weight"),
        ("preprocessing", {"transform": "none", "layers": [LAYER | {"transform": "x"}]}, "'x'"),
        ("config", {"no such setting": 1}, "config"),
        ("sample_names", ["a"] * 5, "'a' twice"),
        ("sample_names", ["a", "b"], "sample_names"),
        ("gene_names", list("abcdefgh"), "gene_names"),
        ("labels", ["a"] * 5, "'labels' is a list, not an object"),
        ("labels", {"kind": ["a"] * 4}, "4 texts of 'kind' for 5 samples"),
        ("labels", {"kind": ["a", "b", None, "a", "b"]}, "'labels.kind[2]' is null, not a text"),
        ("gene_names", [1, 2, 3, 4, 5, 6, 7], "not a text"),
        ("gene_names", [["a"], ["b"], ["c"], ["d"], ["e"], ["f"], ["g"]], "not a text"),
    ],
)
def test_a_wrong_field(folder: Path, name: str, value: object, said: str) -> None:
    edit(folder, lambda document: document.update({name: value}))
    assert said in message(folder)


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("training", "history"), "abc", "'training.history' is 'abc', not a list"),
        (("training", "history"), {"loss": 1}, "'training.history' is an object, not a list"),
        (("training", "history", 0), None, r"'training.history[0]' is null, not an object"),
        (("training", "history", 0, "loss"), "x", "'training.history[0].loss' is 'x', not a num"),
        (("training", "history", 0, "step"), 1.5, "'training.history[0].step'"),
        (("training", "mse"), [0.1], "'training.mse' is a list, not a number from 0"),
        (("training", "mse"), 1e300, "'training.mse' is 1e+300"),
        (("training", "explained_variance"), None, "'training.explained_variance' is null"),
        (("training", "stopped"), {}, "'training.stopped'"),
        (("training", "other"), nested(40), "more than 32 levels"),
        (("training", "steps"), 10**45, "a whole number of 46 digits"),
        (("gene_names", 0), "\ud800", "half of a surrogate pair"),
        (("config", "seed"), 10**20, "seed is 100000000000000000000"),
        (("config", "hidden"), 5, "hidden is 5"),
        (("config", "weight_decay"), True, "weight_decay is True"),
        (("hidden",), [10**9], "'hidden[0]'"),
        (("preprocessing", "transform"), ["log10"], "'preprocessing.transform' is a list"),
    ],
)
def test_an_odd_value_is_named_with_what_belongs_there(
    folder: Path, path: tuple[Any, ...], value: object, said: str
) -> None:
    def change(document: dict[str, Any]) -> None:
        place: Any = document
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    edit(folder, change)
    assert said in message(folder)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"seconds": 1.5', '"seconds": 1.5, "seconds": 1.5', "'seconds' is there twice"),
        ('"seconds": 1.5', '"seconds": 1e999', "beyond 64-bit floats"),
        ('"seconds": 1.5', f'"seconds": {"[" * 991}{"]" * 991}', "more than 32 levels"),
        ('"seconds": 1.5', f'"seconds": {"[" * 100_000}{"]" * 100_000}', "more than 32 levels"),
    ],
)
def test_json_that_is_not_one_value(folder: Path, old: str, new: str, said: str) -> None:
    text = (folder / "model.json").read_text()
    assert old in text
    (folder / "model.json").write_text(text.replace(old, new))
    assert said in message(folder)


@pytest.mark.parametrize(
    "header",
    [
        b"\xff" * 8,
        (2**40).to_bytes(8, "little") + b"{}",
        b'{"a":{"dtype":"F32","shape":[4611686018427387904,8],"data_offsets":[0,0]}}',
        b'{"a":{"dtype":"F32","shape":[4611686018427387904,0],"data_offsets":[0,0]}}',
        b'{"a":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}\0\0',
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
        b'"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}\0\0\0\0\0\0',
    ],
)
def test_a_forged_header_of_arrays(folder: Path, header: bytes) -> None:
    size = header.rindex(b"}") + 1 if header.startswith(b"{") else 0
    payload = size.to_bytes(8, "little") + header if size else header
    (folder / "model.safetensors").write_bytes(payload)
    digest = hashlib.sha256(payload).hexdigest()
    edit(folder, lambda d: d.update(arrays_bytes=len(payload), arrays_sha256=digest))
    assert "model.safetensors cannot be read" in message(folder)


@pytest.mark.parametrize(
    "name",
    ["sample_embedding", "gene_embedding", "network", "gene_loading", "gene_bias", "sample_loss"],
)
@pytest.mark.parametrize(
    "fault", ["nan", "inf", "dtype", "int", "short", "flat", "empty", "scalar"]
)
def test_a_wrong_array(folder: Path, name: str, fault: str) -> None:
    def change(arrays: dict[str, Any], document: dict[str, Any]) -> None:
        array = arrays[name].copy()
        if fault in ("nan", "inf"):
            array.flat[-1] = float(fault)
        changed = {
            "dtype": lambda: array.astype(np.float16),
            "int": lambda: array.astype(np.int32),
            "short": lambda: array[:-1],
            "flat": lambda: array[None],
            "empty": lambda: array[:0],
            "scalar": lambda: array.reshape(-1)[0],
        }.get(fault, lambda: array)
        arrays[name] = np.asarray(changed())

    forge(folder, change)
    text = message(folder)
    related = {"short": ("sample_names", "gene_names", "sample_", "gene_")}.get(fault, ())
    assert name in text or any(word in text for word in related)


@pytest.mark.parametrize("name", ["sample_embedding", "gene_embedding", "network", "sample_loss"])
def test_an_absent_array(folder: Path, name: str) -> None:
    forge(folder, lambda arrays, document: arrays.pop(name))
    assert name in message(folder)


def test_an_unknown_array(folder: Path) -> None:
    forge(folder, lambda arrays, document: arrays.update(extra=np.zeros(3)))
    assert "'extra'" in message(folder)


def test_a_negative_loss(folder: Path) -> None:
    forge(folder, lambda arrays, document: arrays.update(sample_loss=np.full(5, -1.0)))
    assert "sample_loss" in message(folder)


def test_a_checkpoint_is_not_a_model(folder: Path) -> None:
    for suffix in ("json", "safetensors"):
        (folder / f"model.{suffix}").unlink()
    arrayfile.write_folder(
        folder / "inner", {"a": np.zeros(2)}, {}, kind="checkpoint", overwrite=False
    )
    for suffix in ("json", "safetensors"):
        (folder / "inner" / f"checkpoint.{suffix}").rename(folder / f"model.{suffix}")
    assert "fembed model" in message(folder)


# --- writing


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for call in (
        lambda path: tiny_model().save(path),
        lambda path: store.check_output(path),
        lambda path: arrayfile.write_file(path, {}, {}, "checkpoint"),
    ):
        with pytest.raises(InputError, match="cannot be written") as caught:
            call(tmp_path / "file" / "model")
        assert str(tmp_path / "file" / "model") in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_not_a_model_is_never_overwritten(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.txt").write_text("years of work")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "model.safetensors").write_text("weights of another program")
    for name in ("thesis.txt", "folder", "other"):
        for call in (tiny_model().save, store.check_output):
            with pytest.raises(InputError, match=name):
                call(tmp_path / name, overwrite=overwrite)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    assert (tmp_path / "folder" / "thesis.txt").read_text() == "years of work"


def test_a_model_folder_with_other_files_is_not_overwritten(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"notes\.txt"):
        tiny_model().save(folder, overwrite=True)
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_damaged_model_may_be_overwritten(folder: Path) -> None:
    content = (folder / "model.json").read_bytes()
    (folder / "model.json").write_bytes(content[: len(content) // 2])
    tiny_model().save(folder, overwrite=True)
    store.load(folder)


def test_check_output_leaves_nothing(tmp_path: Path) -> None:
    store.check_output(tmp_path / "deep" / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda model: model.parameters.network.fill(np.nan), "network"),
        (lambda model: model.gene_names.fill("TP53"), "TP53"),
        (lambda model: setattr(model, "sample_names", model.sample_names[:2]), "sample_names"),
    ],
)
def test_a_model_that_could_not_be_loaded_is_not_saved(
    tmp_path: Path, change: Callable[[Model], object], said: str
) -> None:
    model = tiny_model()
    change(model)
    with pytest.raises(InputError, match=said):
        model.save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


# --- checkpoints


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "run.checkpoint"
    arrayfile.write_file(path, {"a": np.arange(50.0)}, {"step": 3}, "checkpoint")
    return path


def test_every_altered_byte_of_a_checkpoint_is_noticed(checkpoint: Path) -> None:
    content = checkpoint.read_bytes()
    for position in range(0, len(content), 7):
        altered = bytearray(content)
        altered[position] ^= 1
        checkpoint.write_bytes(altered)
        with pytest.raises(InputError, match=r"run\.checkpoint"):
            arrayfile.read_file(checkpoint, "checkpoint")


@pytest.mark.parametrize("share", [0.0, 0.005, 0.1, 0.5, 0.99])
def test_a_truncated_checkpoint(checkpoint: Path, share: float) -> None:
    content = checkpoint.read_bytes()
    checkpoint.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"run\.checkpoint"):
        arrayfile.read_file(checkpoint, "checkpoint")


def test_other_places_of_a_checkpoint(checkpoint: Path, folder: Path) -> None:
    with pytest.raises(InputError, match="no checkpoint file"):
        arrayfile.read_file(checkpoint.with_name("none"), "checkpoint")
    with pytest.raises(InputError, match="not a fembed checkpoint"):
        arrayfile.read_file(folder / "model.safetensors", "checkpoint")
    with pytest.raises(InputError, match="fembed sweep"):
        arrayfile.read_file(checkpoint, "sweep")
    with pytest.raises(InputError, match="is a folder"):
        arrayfile.write_file(folder, {}, {}, "checkpoint")
    with pytest.raises(InputError, match="is a file"):
        tiny_model().save(checkpoint, overwrite=True)


# --- decoding


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ([0.0, 0.0], "shape"),
        ([[0.0, 0.0, 0.0]], "shape"),
        ([[0.0, np.nan]], "Point 0"),
        ([[0.0, 0.0], [np.inf, 0.0]], "Point 1"),
        ([["a", "b"]], "numbers"),
        ([[1.0], [1.0, 2.0]], "numbers"),
    ],
)
def test_points_that_cannot_be_decoded(points: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        tiny_model().decode(points)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("genes", "said"), [(["GENE0", "KRT5"], "KRT5"), ([7], "7"), ([-1], "-1"), ([], "empty")]
)
def test_genes_that_are_not_in_the_model(genes: list[Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        tiny_model().decode([[0.0, 0.0]], genes=genes)
