"""Facts about the stream of blocks: every entry once a pass, and a position is one number."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from fembed.engine import Blocks
from fembed.train.blocks import BlockStream
from tests.property.strategies import generators

numbers = st.integers(1, 40)


@st.composite
def stream_arguments(draw: st.DrawFn) -> dict[str, Any]:
    """Any sizes, blocks larger than the matrix among them; some of the samples only."""
    n_samples = draw(numbers)
    kept = np.flatnonzero(draw(generators).random(n_samples) < 0.8)
    return {
        "samples": kept if kept.size else np.arange(n_samples),
        "n_genes": draw(numbers),
        "block_samples": draw(numbers),
        "block_genes": draw(numbers),
        "seed": draw(st.integers(0)),
    }


def pieces(blocks: Blocks) -> list[tuple[list[int], list[int]]]:
    """(samples, genes) of every block."""
    rows = np.split(blocks.samples, blocks.sample_offset[1:-1])
    genes = np.split(blocks.genes, blocks.gene_offset[1:-1])
    return [(a.tolist(), b.tolist()) for a, b in zip(rows, genes, strict=True)]


@settings(deadline=None, max_examples=80)
@given(stream_arguments())
def test_every_pass_sees_every_entry_of_its_samples_once(arguments: dict[str, Any]) -> None:
    stream, n_genes = BlockStream(**arguments), arguments["n_genes"]
    everything = np.zeros((40, n_genes), int)
    everything[arguments["samples"]] = 1
    for _ in range(2):
        seen = np.zeros_like(everything)
        blocks = stream.take(stream.blocks_per_pass)
        for rows, genes in pieces(blocks):
            seen[np.ix_(rows, genes)] += 1
        assert_array_equal(seen, everything)
        assert blocks.n_pairs == stream.n_samples * n_genes


@settings(deadline=None, max_examples=80)
@given(numbers, numbers, numbers, numbers, st.integers(0))
def test_blocks_are_sorted_without_repeats_and_at_most_as_large_as_asked(
    n_samples: int, n_genes: int, block_samples: int, block_genes: int, seed: int
) -> None:
    stream = BlockStream(np.arange(n_samples), n_genes, block_samples, block_genes, seed)
    for rows, genes in pieces(stream.take(2 * stream.blocks_per_pass)):
        for part, most in ((rows, block_samples), (genes, block_genes)):
            assert part == sorted(set(part))
            assert 1 <= len(part) <= most


@settings(deadline=None, max_examples=80)
@given(stream_arguments(), st.integers(1, 30), st.integers(1, 30))
def test_the_position_is_all_that_a_stream_remembers(
    arguments: dict[str, Any], first: int, second: int
) -> None:
    whole = pieces(BlockStream(**arguments).take(first + second))
    parts = BlockStream(**arguments)
    assert pieces(parts.take(first)) + pieces(parts.take(second)) == whole
    assert parts.position == first + second
    resumed = BlockStream(**arguments, position=first)
    assert pieces(resumed.take(second)) == whole[first:]


def test_passes_and_seeds_shuffle_differently() -> None:
    def a_pass(seed: int, number: int) -> list[tuple[list[int], list[int]]]:
        stream = BlockStream(np.arange(50), 70, 8, 16, seed, position=number * 35)
        assert stream.blocks_per_pass == 35
        return pieces(stream.take(35))

    first = a_pass(0, 0)
    for other in (a_pass(0, 1), a_pass(1, 0)):
        shared = [block for block in other if block in first]
        assert not shared
        # Not the same groups in another order either, of samples or of genes.
        for part in (0, 1):
            assert {tuple(b[part]) for b in first}.isdisjoint({tuple(b[part]) for b in other})
    assert a_pass(0, 0) == first


def test_sample_groups_differ_between_gene_groups() -> None:
    stream = BlockStream(np.arange(60), 60, 10, 30, seed=3)
    by_genes: dict[tuple[int, ...], set[tuple[int, ...]]] = {}
    for rows, genes in pieces(stream.take(stream.blocks_per_pass)):
        by_genes.setdefault(tuple(genes), set()).add(tuple(rows))
    one, other = by_genes.values()
    assert len(one) == len(other) == 6
    assert one.isdisjoint(other)
