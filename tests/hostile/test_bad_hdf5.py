"""HDF5 and zarr files that crash, loop, lead elsewhere, run code, or claim any size."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import subprocess
import sys
import time
import zlib

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from fembed.data.readers import examined, examiner, read
from fembed.errors import InputError

COUNTS = np.random.default_rng(0).poisson(1, (12, 9)).astype(np.float32)
pytestmark = pytest.mark.filterwarnings("ignore:Writing zarr v2 data:UserWarning")

# data, samples and genes as h5py writes them, with one byte altered (2312: 2 to 255): libhdf5 2.0
# never comes to an end on it.
LOOPING = """
H4sIAAAAAAACA+2YvVLCQBDH9y4BbnAcoUMrSkvUFHbiSJTCEUctLInK0KjjDBY8Qux4DB/F0jeKudyuSVbFofKD
/RUsu7ebhL3/hkye+r3D1fpGHSzGgA8NKJIgr62yT+tDtAptjPZZU1xla1gOTTw+z7s4C0ObnTDoPB3f2fLVCctC
P9w/tfYS/TbaF13Ou4keI2sn0d3D7WgC49F9+pnrc3fB8yqouFpF/qaz2gU8zEN5fuK3stJmew9MFulCsAJBgomV
NGrXtXYHNDgpnsL09wkjpj+6D+cng55Kf5WhffDm59Pcx9X5eTTX08py6PmjrlynlCrrymM6Wk/XG9gvl2mYjoDp
aIhb1WFXEP+pfvhfzNXi/ZihJLu/uh//R+cAM5Nruehr5tvvRweDY1W4ISj2fHENeW0xfsXmheIR0w3VjXfo/ovP
NRQPnK3y/G1nazy+xf6n1mTPBUEQBEEQBEEQBOE7dOF9QI35Veb7zLevDt8A0xhj+9AYAAA=
"""


def refused(path, message):
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write_h5ad(path, **obs):
    table = pd.DataFrame(obs, index=[f"s{i}" for i in range(12)])
    anndata.AnnData(sparse.csr_matrix(COUNTS), table).write_h5ad(path)
    return path


# ---- the child that looks first


def test_a_file_on_which_the_library_loops(tmp_path):
    (tmp_path / "m.h5").write_bytes(gzip.decompress(base64.b64decode(LOOPING)))
    begin = time.perf_counter()
    refused(tmp_path / "m.h5", "the HDF5 library does not come to an end on it")
    assert time.perf_counter() - begin < 30  # 2 s of processor time, on a machine that is busy
    write_h5ad(tmp_path / "m.h5ad")
    assert read(tmp_path / "m.h5ad").values.shape == (12, 9)  # by another child


PROGRAM = """
import sys, os, signal
for line in sys.stdin:
    {step}
"""


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "crashes on it"),
        ("os.abort()", "crashes on it"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "does not come to an end on it"),
        ("os._exit(1)", None),  # h5py cannot be imported there, for instance
    ],
)
def test_a_child_that_dies(tmp_path, monkeypatch, step, words):
    examined._end()
    (tmp_path / "child.py").write_text(PROGRAM.format(step=step))
    monkeypatch.setattr(examined, "_PROGRAM", tmp_path / "child.py")
    write_h5ad(tmp_path / "m.h5ad")
    if words is None:
        assert read(tmp_path / "m.h5ad").values.shape == (12, 9)
    else:
        refused(tmp_path / "m.h5ad", words)
    examined._end()


def test_the_child_serves_many_files_and_ends_with_its_parent(tmp_path):
    write_h5ad(tmp_path / "m.h5ad")
    program = (
        "import sys, os, signal, fembed; from fembed.data.readers import examined\n"
        "fembed.read(sys.argv[1]); child = examined._child; fembed.read(sys.argv[1])\n"
        "assert examined._child is child\n"
        "if os.fork() == 0:\n    fembed.read(sys.argv[1]); os._exit(0)\n"
        "assert os.wait()[1] == 0; fembed.read(sys.argv[1]); print(child.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, tmp_path / "m.h5ad"],
        capture_output=True,
        timeout=60,
    )
    child = int(done.stdout)
    for _ in range(100):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("the child is still there")


def test_the_child_finds_what_lies_outside_and_reads_groups_in_a_ring_once(tmp_path):
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["a/b/value"] = [1.0]
        file["a/b/a"] = file["a"]
        file["a/soft"] = h5py.SoftLink("/a/soft")
        file["a/out"] = h5py.ExternalLink("secret.h5", "/data")
    found = examiner.examine(str(tmp_path / "m.h5"))
    assert found == {"outside": ["a/out is a link to /data in secret.h5"], "memory": False}


# ---- other files and other programs


def test_places_in_another_file_are_not_followed(tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["data"] = COUNTS
    (tmp_path / "raw.bin").write_bytes(COUNTS.tobytes())
    names = {"samples": [f"s{i}" for i in range(12)], "genes": [f"g{i}" for i in range(9)]}
    layout = h5py.VirtualLayout((12, 9), "f4")
    layout[:] = h5py.VirtualSource(tmp_path / "secret.h5", "data", (12, 9))
    for case in ("link", "external", "virtual"):
        path = tmp_path / f"{case}.h5"
        with h5py.File(path, "w") as file:
            file["samples"], file["genes"] = names["samples"], names["genes"]
            if case == "link":
                file["data"] = h5py.ExternalLink("secret.h5", "/data")
            elif case == "external":
                parts = [(str(tmp_path / "raw.bin"), 0, h5py.h5f.UNLIMITED)]
                file.create_dataset("data", (12, 9), "f4", external=parts)
            else:
                file.create_virtual_dataset("data", layout)
        sentence = refused(path, "leads to another file, which is not followed")
        assert ("raw.bin" if case == "external" else "secret.h5") in sentence


def test_links_in_a_ring(tmp_path):
    with h5py.File(write_h5ad(tmp_path / "m.h5ad", a=range(12)), "a") as file:
        del file["obs/a"]
        file["obs/a"] = h5py.SoftLink("/obs/a")
    refused(tmp_path / "m.h5ad", "The table 'obs'")
    with h5py.File(tmp_path / "m.h5ad", "a") as file:
        del file["obs/a"]
        file["obs/a"] = file["obs"]
    refused(tmp_path / "m.h5ad", "'obs/a' of .* is stored as 'dataframe', which is no column")


def test_a_file_that_another_program_holds_open(tmp_path):
    write_h5ad(tmp_path / "m.h5ad")
    held = "with h5py.File(sys.argv[1], 'a'):\n    print(flush=True); sys.stdin.read()"
    program = f"import sys, h5py\n{held}"
    holder = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path / "m.h5ad"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    holder.stdout.readline()
    sentence = refused(tmp_path / "m.h5ad", "is open in another program")
    holder.communicate(timeout=30)
    assert "damaged" not in sentence
    assert read(tmp_path / "m.h5ad").n_samples == 12


# ---- sizes


def test_lists_of_another_length_than_the_matrix_are_not_read(tmp_path):
    def with_long(path, where, dtype="i4"):
        with h5py.File(path, "a") as file:
            attributes = dict(file[where].attrs)
            del file[where]
            made = file.create_dataset(where, (10**9,), dtype, chunks=(10**6,))
            made.attrs.update(attributes)
        return path

    texts = h5py.string_dtype()
    cohort = pd.Categorical(["a", "b"] * 6)
    for where, dtype, words in (
        ("obs/_index", texts, "'obs/_index' of .* has 1000000000 entries for 12 samples"),
        ("var/_index", texts, "'var/_index' of .* has 1000000000 entries for 9 genes"),
        ("obs/n", "i4", "'obs/n' of .* has 1000000000 entries for 12 samples"),
        ("obs/cohort/codes", "i1", "'obs/cohort' of .* has 1000000000 entries for 12 samples"),
        ("obs/cohort/categories", texts, "'obs/cohort' of .* has categories of shape"),
        ("X/indptr", "i4", "1000000000 pointers for 12 lines|GB of memory"),
        ("X/indices", "i4", "values for 1000000000 indices|GB of memory"),
    ):
        path = write_h5ad(tmp_path / "m.h5ad", n=range(12), cohort=cohort)
        refused(with_long(path, where, dtype), words)


def test_a_chunk_far_beyond_its_matrix(tmp_path):
    with h5py.File(tmp_path / "m.h5", "w") as file:
        shape = {"maxshape": (None, None), "chunks": (2**14, 2**14), "compression": "gzip"}
        file.create_dataset("data", (12, 9), "f4", **shape)
        file["samples"], file["genes"] = [f"s{i}" for i in range(12)], [f"g{i}" for i in range(9)]
    refused(tmp_path / "m.h5", re.escape("stored in chunks of 16384 x 16384, far beyond its size"))


@pytest.mark.parametrize("chunks", [(12, 9), (600, 600)])
def test_a_chunk_that_unpacks_to_more_than_it_declares(tmp_path, chunks):
    packer = zlib.compressobj(9)
    zeros = [packer.compress(bytes(1 << 24)) for _ in range(60)]  # 1 GB, in 1 MB
    with h5py.File(tmp_path / "m.h5", "w") as file:
        made = file.create_dataset("data", chunks, "f4", chunks=chunks, compression="gzip")
        made.id.write_direct_chunk((0, 0), b"".join([*zeros, packer.flush()]))
        file["samples"] = [f"s{i}" for i in range(chunks[0])]
        file["genes"] = [f"g{i}" for i in range(chunks[1])]
    begin = time.process_time()
    refused(tmp_path / "m.h5", "a small part of it asks for more than")
    assert time.process_time() - begin < 1  # it is not unpacked


def test_names_as_long_as_a_file(tmp_path):
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["data"], file["genes"] = COUNTS, [f"g{i}" for i in range(9)]
        file.create_dataset("samples", (12,), "S1000000", chunks=(1,))
    refused(tmp_path / "m.h5", "holds texts of 1000000 letters")
    (tmp_path / "tenx").mkdir()
    head = "%%MatrixMarket matrix coordinate integer general\n1 1 1\n1 1 1\n"
    (tmp_path / "tenx" / "matrix.mtx").write_text(head)
    (tmp_path / "tenx" / "genes.tsv").write_text("g" * 131_072)
    (tmp_path / "tenx" / "barcodes.tsv").write_text("a\n")
    refused(tmp_path / "tenx", "has a line of more than 100000 letters")
    (tmp_path / "tenx" / "genes.tsv").write_text("g\n")
    (tmp_path / "tenx" / "matrix.mtx").write_text(head + "1" * 10**6)
    refused(tmp_path / "tenx", "may be truncated or damaged")


# ---- code in a .zarr


def write_zarr(path):
    obs = pd.DataFrame({"a": pd.Categorical(["x"] * 12)}, index=[f"s{i}" for i in range(12)])
    anndata.AnnData(COUNTS, obs).write_zarr(path)
    return path


@pytest.mark.parametrize("where", ["X", "obs/_index", "obs/a/codes", "var/_index"])
@pytest.mark.parametrize(
    ("place", "codec"), [("compressor", "pickle"), ("filters", "pickle"), ("filters", "msgpack2")]
)
def test_codecs_that_may_run_code_are_refused_before_zarr_is_asked(tmp_path, where, place, codec):
    path = write_zarr(tmp_path / "m.zarr")
    metadata = path / where / ".zarray"
    document = json.loads(metadata.read_text())
    document[place] = {"id": codec} if place == "compressor" else [{"id": codec}]
    metadata.write_text(json.dumps(document))
    refused(path, f"asks for the codec '{codec}' .{re.escape(where)}/.zarray")


@pytest.mark.filterwarnings("ignore:.*not .* in the Zarr format 3 specification")
def test_codecs_in_consolidated_metadata_behind_links_and_of_format_3(tmp_path):
    path = write_zarr(tmp_path / "a.zarr")
    array = {"zarr_format": 2, "compressor": {"id": "pickle"}, "filters": None}
    (path / ".zmetadata").write_text(json.dumps({"metadata": {"X/.zarray": array}}))
    refused(path, re.escape("codec 'pickle' (.zmetadata)"))

    path = write_zarr(tmp_path / "b.zarr")
    (path / "X").rename(tmp_path / "elsewhere")
    (path / "X").symlink_to(tmp_path / "elsewhere")
    (path / "obs" / "again").symlink_to(path / "obs")
    assert read(path).n_samples == 12
    metadata = tmp_path / "elsewhere" / ".zarray"
    metadata.write_text(
        metadata.read_text().replace('"blosc"', '"pickle"').replace('"zstd"', '"pickle"')
    )
    refused(path, re.escape("codec 'pickle' (X/.zarray)"))

    with anndata.settings.override(zarr_write_format=3, auto_shard_zarr_v3=True):
        anndata.AnnData(COUNTS).write_zarr(tmp_path / "c.zarr")
    read(tmp_path / "c.zarr")
    metadata = tmp_path / "c.zarr" / "X" / "zarr.json"
    document = json.loads(metadata.read_text())
    inner = {"name": "numcodecs.pickle", "configuration": {}}
    shards = {"chunk_shape": [12, 9], "codecs": [inner], "index_codecs": [{"name": "bytes"}]}
    document["codecs"] = [{"name": "sharding_indexed", "configuration": shards}]
    metadata.write_text(json.dumps(document))
    refused(tmp_path / "c.zarr", re.escape("codec 'numcodecs.pickle' (X/zarr.json)"))
