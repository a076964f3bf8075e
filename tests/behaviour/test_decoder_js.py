"""The decoder of the pages, in JavaScript, against the engine."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import fembed.pl.page
from fembed.model import Model
from fembed.parameters import Parameters, network_size
from fembed.pl.payload import decoder_payload, packed
from tests.tiny_model import tiny_model

SCRIPT = Path(fembed.pl.page.__file__).parent / "web" / "decoder.js"
PROGRAM = """
const { FembedDecoder, fembedArray } = require(process.argv[1]);
const input = JSON.parse(require("fs").readFileSync(0, "utf8"));
const decoder = new FembedDecoder(input.decoder);
const points = fembedArray.float32(input.points);
const d = decoder.nComponents;
const profiles = [], genes = [];
for (let i = 0; i < points.length / d; i++) {
  profiles.push(Array.from(decoder.profile(points.subarray(i * d, (i + 1) * d))));
}
for (let j = 0; j < decoder.nGenes; j++) genes.push(Array.from(decoder.gene(j, points)));
console.log(JSON.stringify({ profiles, genes }));
"""


def model_of(d: int, gene_components: int, hidden: tuple[int, ...], linear: bool) -> Model:
    rng = np.random.default_rng(d)
    n_samples, n_genes = 9, 31

    def draw(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    parameters = Parameters(
        sample_embedding=draw(n_samples, d),
        gene_embedding=draw(n_genes, gene_components),
        network=draw(network_size(d, gene_components, hidden)) / np.float32(3),
        hidden=hidden,
        gene_loading=draw(n_genes, d) if linear else None,
        gene_bias=draw(n_genes) + 5 if linear else None,
    )
    return replace(
        tiny_model(),
        parameters=parameters,
        gene_names=np.array([f"G{j}" for j in range(n_genes)], dtype=object),
    )


@pytest.mark.parametrize(
    "model",
    [
        tiny_model(),
        model_of(1, 1, (5,), linear=False),
        model_of(2, 50, (100, 50, 50), linear=True),
        model_of(7, 60, (20, 10), linear=True),  # the genes' part of the first layer is smaller
    ],
    ids=["tiny", "one layer", "as by default", "wide genes"],
)
def test_javascript_decodes_as_the_engine_does(model: Model) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed, so JavaScript cannot be run outside a browser")
    points = 1.5 * model.sample_embedding
    sent = json.dumps({"decoder": decoder_payload(model), "points": packed(points, "f4")})
    ran = subprocess.run(
        [node, "-e", PROGRAM, str(SCRIPT)], input=sent, capture_output=True, text=True, check=True
    )
    told = json.loads(ran.stdout)
    wanted = model.decode(points)
    # Per-gene arrays have 16 bits: a 65,534th of each column's range.
    tolerance = 2e-4 * np.abs(wanted).max()
    np.testing.assert_allclose(told["profiles"], wanted, rtol=0, atol=tolerance)
    np.testing.assert_allclose(np.transpose(told["genes"]), wanted, rtol=0, atol=tolerance)
