"""The published recipe is the thesis chapter's model to the letter, step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fembed._reference.training import Updates, train_blocks
from fembed.config import FitConfig
from fembed.engine import Blocks
from fembed.model import Model
from fembed.train import fit
from fembed.train.blocks import BlockStream
from fembed.train.initialization import random_initialization
from fembed.train.schedule import schedule_of
from tests.curved_expression import curved, expression


def config_of(**options: Any) -> FitConfig:
    return FitConfig(recipe="published", n_threads=2, **options)


def trained(values: np.ndarray, config: FitConfig) -> Model:
    return fit(expression(values), config, transform="none")


def pairs_of(blocks: Blocks) -> list[tuple[np.ndarray, np.ndarray]]:
    rows = np.split(blocks.samples, blocks.sample_offset[1:-1])
    genes = np.split(blocks.genes, blocks.gene_offset[1:-1])
    return list(zip(rows, genes, strict=True))


def test_the_defaults_are_the_chapters() -> None:
    schedule = schedule_of(config_of(), 1000, 60_600)
    assert (schedule.block_samples, schedule.block_genes) == (4, 60_600)
    assert schedule.network_rate == schedule.gene_rate == schedule.sample_rate == 5e-3
    assert schedule.n_steps == 100_000
    assert not schedule.lazy and schedule.validation == 0.0
    assert (config_of().hidden, config_of().gene_components) == ((100, 50, 50), 50)


# The chapter's text, its weight decay, and its stored runs.
RUNS: list[dict[str, Any]] = [
    {},
    {"weight_decay": 1e-2},
    {"weight_decay": 1e-5, "block_samples": 10, "learning_rate": 1e-2},
]


@pytest.mark.parametrize("options", RUNS)
def test_its_steps_are_the_references(options: dict[str, Any]) -> None:
    """Dense Adam with coupled L2 on whole profiles; minibatches of 4 of 10 leave none out."""
    values, steps = curved(10, 37), 7
    config = config_of(iterations=steps, seed=2, **options)
    found = trained(values, config)

    expected = random_initialization(config, 10, 37).astype(np.float64)
    start = expected.copy()
    moments = expected.zeros_like(), expected.zeros_like()
    counts = Updates.zeros(expected)
    size = options.get("block_samples", 4)
    blocks = pairs_of(BlockStream(np.arange(10), 37, size, 37, seed=2).take(steps))
    assert all(len(genes) == 37 for _, genes in blocks)
    rate = options.get("learning_rate", 5e-3)
    losses = train_blocks(
        expected,
        moments,
        counts,
        values.astype(np.float64),
        blocks,
        np.full((steps, 3), rate),
        options.get("weight_decay", 0.0),
        lazy=False,
    )
    assert (counts.samples == steps).all()  # dense: every row moves in every step
    assert found.parameters.gene_loading is None and found.parameters.gene_bias is None
    for name, array in found.parameters.arrays().items():
        goal = expected.arrays()[name]
        moved = np.abs(goal - start.arrays()[name]).max()
        assert moved > rate
        error = np.abs(array - goal)
        # Adam divides a gradient by its own size, so where it is next to nothing, rounding may
        # turn a step; everywhere else the two agree to float32.
        assert np.quantile(error, 0.99) < 1e-3 * moved, name
        assert error.max() < 0.5 * moved, name
    # All steps were one call of the engine: the curve holds their mean over all entries.
    mean = np.average(losses, weights=[len(rows) for rows, _ in blocks])
    assert found.training["history"][-1]["loss"] == pytest.approx(mean, rel=1e-4)


def test_the_tail_minibatch_is_trained() -> None:
    """Ten profiles in minibatches of four: one pass moves every sample (the published code: 8)."""
    config = config_of(epochs=1)
    found = trained(curved(10, 37), config)
    assert found.training["steps"] == 3 and found.training["passes"] == 1.0
    start = random_initialization(config, 10, 37)
    assert (found.sample_embedding != start.sample_embedding).any(axis=1).all()
    assert (found.gene_embedding != start.gene_embedding).any(axis=1).all()


@pytest.mark.parametrize(
    "options",
    [
        {"hidden": (250, 75, 50, 25, 10)},
        {"hidden": (1000, 1000, 1000), "gene_components": 30},
        {"block_samples": 10, "learning_rate": 1e-2},
        {"gene_components": 1000, "n_components": 3},
    ],
)
def test_every_published_shape_runs(options: dict[str, Any]) -> None:
    config = config_of(iterations=4, **options)
    found = trained(curved(24, 40), config)
    found.check()
    assert found.parameters.hidden == config.hidden
    losses = [point["loss"] for point in found.training["history"]]
    assert np.isfinite(losses).all()


def test_it_learns() -> None:
    values = curved(60, 50)
    report = trained(values, config_of(iterations=1500)).training
    assert report["explained_variance"] > 0.6
    assert 0 < report["pca_explained_variance"] < 1


def test_weight_decay_shrinks_the_map() -> None:
    values = curved(40, 30)
    sizes, losses = [], []
    for weight_decay in (0.0, 1e-2, 1e-1, 1.0):
        found = trained(values, config_of(iterations=600, weight_decay=weight_decay))
        sizes.append(float(found.sample_embedding.std()))
        losses.append(found.training["mse"])
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 0.1 * sizes[0]
    assert losses[0] < 0.5 * losses[2] < 0.5 * losses[3]


def test_entries_can_be_held_out_to_choose_the_end() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(30, 40)).astype(np.float32)  # nothing to learn but noise
    config = config_of(iterations=3000, validation_fraction=0.1, learning_rate=1e-2)
    report = trained(values, config).training
    assert report["stopped"] == "held-out entries"
    assert report["steps"] < 3000
    assert report["n_held_out"] == pytest.approx(120, rel=0.3)
    assert report["held_out_mse"] > 0.5
