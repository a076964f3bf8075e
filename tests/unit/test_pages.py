"""What pages are made of: JSON in scripts, policies, packed arrays, samples by name."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fembed.data.expression import Expression
from fembed.errors import DataWarning, InputError
from fembed.pl import interactive_map, page, payload
from fembed.pl.samples import map_samples
from tests.tiny_model import N_GENES, N_SAMPLES, tiny_model

VALUES = np.abs(np.random.default_rng(1).normal(size=(N_SAMPLES + 2, N_GENES))).astype(np.float32)

#: The model is random, so its losses are not those of these values.
RANDOM = pytest.mark.filterwarnings("ignore:The values of the training samples")


def data(names: list[str] | None = None, **obs: Any) -> Expression:
    """Five training samples in reverse order, then two new ones."""
    model = tiny_model()
    names = names or [*model.sample_names[::-1], "new 1", "new 2"]
    frame = pd.DataFrame({"group": list("abababa")[: len(names)], **obs}, index=names)
    return Expression.adopt(
        VALUES[: len(names)].copy(), names, model.gene_names, origin="the data", obs=frame
    )


@given(st.recursive(st.text() | st.integers() | st.none(), st.lists, max_leaves=8))
def test_json_for_a_script_is_the_same_value_and_cannot_end_the_script(value: Any) -> None:
    text = page.json_for_script({"it": value})
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == {"it": value}


def test_the_policy_names_exactly_the_scripts_of_the_page() -> None:
    text = interactive_map(tiny_model(), title="<b>&")
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    hashes = {base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts}
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy is not None
    assert set(re.findall(r"sha256-([^&']+)&", policy[1])) == hashes and len(hashes) == 1
    assert "default-src &#39;none&#39;" in policy[1] and "eval" not in policy[1]
    assert "unsafe-inline" not in policy[1].partition("script-src")[2].partition(";")[0]
    assert "<title>&lt;b&gt;&amp;</title>" in text
    assert "http-equiv" not in text.partition("<title>")[2].partition("<script>")[0]


def test_a_script_that_would_end_its_element_is_refused() -> None:
    with pytest.raises(ValueError, match="would end its own element"):
        page.render("map.html", scripts={"bad": "'</SCRIPT>'"}, title="", data="")


def test_without_a_drawing_library_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = page.importlib.util.find_spec
    monkeypatch.setattr(
        page.importlib.util, "find_spec", lambda name: None if name == "jinja2" else found(name)
    )
    with pytest.raises(InputError, match=r'Jinja2.*pip install "fembed\[plot\]"'):
        page.check_installed()


def test_scaled_columns_are_exact_to_half_a_step() -> None:
    matrix = np.random.default_rng(0).normal(size=(50, 4)) * [1e-6, 1, 1e6, 0]
    stored = payload.scaled(matrix)
    whole = np.frombuffer(base64.b64decode(stored["data"]), "<i2").reshape(50, 4)
    scale = np.frombuffer(base64.b64decode(stored["scale"]), "<f4")
    half = np.abs(matrix).max(axis=0) / 32767 / 2
    assert (np.abs(whole * scale - matrix) <= 1.001 * half + 1e-30).all()


def test_measured_expression_of_the_most_variable_genes_is_carried() -> None:
    measured = np.array([[0, 5, 1], [0.1, np.nan, 9], [0.2, 2, 4]], np.float32)
    stored = payload.measured_payload(measured, 2)
    assert stored is not None
    genes, codes, low, step = (
        np.frombuffer(base64.b64decode(stored[name]), kind)
        for name, kind in (("genes", "<i4"), ("codes", "<u2"), ("low", "<f4"), ("step", "<f4"))
    )
    assert genes.tolist() == [1, 2]
    codes = codes.reshape(2, 3)
    values = np.where(codes == 65535, np.nan, low[:, None] + codes * step[:, None])
    np.testing.assert_allclose(values.T, measured[:, genes], atol=1e-4)
    assert payload.measured_payload(None) is None


@RANDOM
def test_samples_are_matched_by_name_and_the_others_projected() -> None:
    model = tiny_model()
    samples = map_samples(model, data(), ["group"])
    assert samples.n_training == N_SAMPLES and len(samples) == N_SAMPLES + 2
    assert list(samples.names[N_SAMPLES:]) == ["new 1", "new 2"]
    np.testing.assert_array_equal(samples.coordinates[:N_SAMPLES], model.sample_embedding)
    assert samples.labels["group"].texts.tolist() == [*"ababa"[::-1], "b", "a"]
    assert samples.measured is not None
    wanted = np.log10(VALUES[[4, 3, 2, 1, 0, 5, 6]] + 1)
    np.testing.assert_allclose(samples.measured, wanted, atol=1e-6)


@RANDOM
def test_training_samples_that_the_data_lack_have_no_label_and_no_measured_expression() -> None:
    model = tiny_model()
    some = data(list(model.sample_names[:3]))
    with pytest.warns(DataWarning, match="2 of the model's 5 training samples are not in the data"):
        samples = map_samples(model, some, ["group"])
    assert samples.labels["group"].texts.tolist() == ["a", "b", "a", "NA", "NA"]
    assert samples.measured is not None
    assert np.isnan(samples.measured[3:]).all() and np.isfinite(samples.measured[:3]).all()


def test_training_data_of_other_genes_bring_their_labels_and_a_word_about_the_genes() -> None:
    model = tiny_model()
    some = data(list(model.sample_names))
    other = replace(some, gene_names=np.array([f"other {j}" for j in range(some.n_genes)], object))
    with pytest.warns(DataWarning, match=f"has only 0 of the model's {model.n_genes} genes"):
        samples = map_samples(model, other, ["group"])
    assert samples.labels["group"].texts.tolist() == ["a", "b", "a", "b", "a"]
    assert samples.measured is not None and np.isnan(samples.measured).all()


@RANDOM
def test_the_data_are_left_as_they_were() -> None:
    given_data = data()
    before = given_data.values.copy()
    map_samples(tiny_model(), given_data)
    np.testing.assert_array_equal(given_data.values, before)


def test_labels_may_be_given_as_columns(tmp_path: Path) -> None:
    path = tmp_path / "map.html"
    text = interactive_map(tiny_model(), labels={"kind": [1, 2, 1, 2, 1]}, save=path)
    assert path.read_text(encoding="utf-8") == text
    assert '"categories":["1","2"]' in text
    table = pd.DataFrame({"kind": [1, 2, 1, 2, 1]})
    for labels in (table, table["kind"]):
        assert '"categories":["1","2"]' in interactive_map(tiny_model(), labels=labels)
    with pytest.raises(InputError, match="values without a name"):
        interactive_map(tiny_model(), labels=[1, 2, 1, 2, 1])
    with pytest.raises(InputError, match="'kind' are 2 for 5 samples"):
        interactive_map(tiny_model(), labels={"kind": [1, 2]})
    with pytest.raises(InputError, match="'kind' needs data"):
        interactive_map(tiny_model(), labels="kind")


def test_non_finite_facts_do_not_break_the_page() -> None:
    model = replace(tiny_model(), sample_loss=np.zeros(N_SAMPLES))
    assert "fembed-map-data" in interactive_map(model)
