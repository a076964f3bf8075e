"""What the engines refuse: wrong types, shapes and indices raise, and nothing has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fembed import engine
from fembed.engine import AdamState, Blocks
from fembed.likelihood import Counts, Likelihood
from fembed.parameters import Parameters
from fembed.solvers.deviance import count_terms
from tests.property.engine_problems import to_float32
from tests.property.kernels import NATIVE, TORCH, Kernel
from tests.property.strategies import Float, random_parameters


@pytest.fixture(autouse=True, params=[NATIVE[0], *TORCH], ids=str)
def kernel(request: pytest.FixtureRequest) -> Iterator[Kernel]:
    """Every test is of each engine."""
    with request.param.working():
        yield request.param


@dataclass
class Call:
    """The arguments of one call of `engine.train`, all right."""

    parameters: Parameters
    state: AdamState
    expression: Float
    blocks: Blocks
    rates: Float
    counts: Counts
    n_threads: int = 2
    isa: str = ""


def right_call() -> Call:
    rng = np.random.default_rng(0)
    p = to_float32(random_parameters(rng, 5, 9, 2, 3, (4, 3)))
    x = rng.normal(size=(5, 9)).astype(np.float32)
    todo = Blocks.of([(np.array([0, 4]), np.arange(9)), (np.array([3]), np.array([8, 1]))])
    counts = Counts(
        row_offset=np.zeros(5, np.float32),
        column_offset=np.zeros(9, np.float32),
        row_dispersion=np.zeros(5, np.float32),
        column_dispersion=np.zeros(9, np.float32),
    )
    return Call(p, AdamState.zeros(p), np.exp(x), todo, np.full((2, 3), 1e-2, np.float32), counts)


def run(call: Call) -> None:
    engine.train(
        call.parameters,
        call.state,
        call.expression,
        call.blocks,
        call.rates,
        counts=call.counts,
        n_threads=call.n_threads,
        isa=call.isa,
    )


def with_blocks(call: Call, **changes: object) -> None:
    call.blocks = replace(call.blocks, **changes)  # type: ignore[arg-type]


def with_counts(call: Call, **changes: object) -> None:
    call.counts = replace(call.counts, **changes)  # type: ignore[arg-type]


def read_only(array: Float) -> Float:
    array = array.copy()
    array.setflags(write=False)
    return array


# (attribute of the parameters or the moments, what is done to it)
wrong_types: dict[str, Callable[[Call], None]] = {
    "float64 U": lambda c: wrong(c.parameters, "sample_embedding", np.float64),
    "float64 V": lambda c: wrong(c.parameters, "gene_embedding", np.float64),
    "float64 network": lambda c: wrong(c.parameters, "network", np.float64),
    "float64 L": lambda c: wrong(c.parameters, "gene_loading", np.float64),
    "float64 c": lambda c: wrong(c.parameters, "gene_bias", np.float64),
    "float64 first moment": lambda c: wrong(c.state.first, "network", np.float64),
    "float64 second moment": lambda c: wrong(c.state.second, "gene_bias", np.float64),
    "int32 count": lambda c: wrong(c.state, "gene_count", np.int32),
    "float64 expression": lambda c: wrong(c, "expression", np.float64),
    "int expression": lambda c: wrong(c, "expression", np.int32),
    "float64 rates": lambda c: wrong(c, "rates", np.float64),
    "int64 samples": lambda c: with_blocks(c, samples=c.blocks.samples.astype(np.int64)),
    "int32 offsets": lambda c: with_blocks(c, gene_offset=c.blocks.gene_offset.astype(np.int32)),
    "Fortran order U": lambda c: set_to(c.parameters, "sample_embedding", np.asfortranarray),
    "Fortran order x": lambda c: set_to(c, "expression", np.asfortranarray),
    "strided network": lambda c: set_to(c.parameters, "network", lambda a: np.repeat(a, 2)[::2]),
    "read-only V": lambda c: set_to(c.parameters, "gene_embedding", read_only),
    "float64 offset": lambda c: with_counts(c, row_offset=np.zeros(5)),
    "list of dispersions": lambda c: with_counts(c, column_dispersion=[0.0] * 9),
    "read-only count": lambda c: set_to(c.state, "sample_count", read_only),
    "list of rates": lambda c: set_to(c, "rates", lambda a: a.tolist()),
}

wrong_values: dict[str, Callable[[Call], None]] = {
    "V of other genes": lambda c: set_to(c.parameters, "gene_embedding", lambda a: a[:-1].copy()),
    "short L": lambda c: set_to(c.parameters, "gene_loading", lambda a: a[:-1].copy()),
    "narrow L": lambda c: set_to(c.parameters, "gene_loading", lambda a: a[:, :1].copy()),
    "short c": lambda c: set_to(c.parameters, "gene_bias", lambda a: a[:-1].copy()),
    "flat U": lambda c: set_to(c.parameters, "sample_embedding", np.ravel),
    "short network": lambda c: set_to(c.parameters, "network", lambda a: a[:-1].copy()),
    "long network": lambda c: set_to(c.parameters, "network", lambda a: np.append(a, a[:1])),
    "no hidden layer": lambda c: set_to(c.parameters, "hidden", lambda _: ()),
    "hidden width of 0": lambda c: set_to(c.parameters, "hidden", lambda _: (4, 0)),
    "negative hidden width": lambda c: set_to(c.parameters, "hidden", lambda _: (4, -3)),
    "33 hidden layers": lambda c: set_to(c.parameters, "hidden", lambda _: (1,) * 33),
    "first moment without L": lambda c: set_to(c.state.first, "gene_loading", lambda _: None),
    "second moment without c": lambda c: set_to(c.state.second, "gene_bias", lambda _: None),
    "second moment of other U": lambda c: set_to(
        c.state.second, "sample_embedding", lambda a: a[:-1].copy()
    ),
    "short sample count": lambda c: set_to(c.state, "sample_count", lambda a: a[:-1].copy()),
    "short gene count": lambda c: set_to(c.state, "gene_count", lambda a: a[:-1].copy()),
    "long network count": lambda c: set_to(c.state, "network_count", lambda a: np.append(a, a)),
    "transposed x": lambda c: set_to(c, "expression", lambda a: a.T.copy()),
    "one sample too few": lambda c: set_to(c, "expression", lambda a: a[:-1].copy()),
    "one rate too few": lambda c: set_to(c, "rates", lambda a: a[:-1].copy()),
    "two groups of rates": lambda c: set_to(c, "rates", lambda a: a[:, :2].copy()),
    "sample out of range": lambda c: set_index(c, "samples", 5),
    "negative sample": lambda c: set_index(c, "samples", -1),
    "gene out of range": lambda c: set_index(c, "genes", 9),
    "negative gene": lambda c: set_index(c, "genes", -1),
    "repeated sample": lambda c: set_index(c, "samples", 4),
    "repeated gene": lambda c: set_index(c, "genes", 3),
    "empty block": lambda c: with_blocks(c, sample_offset=np.array([0, 3, 3])),
    "offsets fall": lambda c: with_blocks(c, sample_offset=np.array([0, 4, 3])),
    "offsets start late": lambda c: with_blocks(c, sample_offset=np.array([1, 2, 3])),
    "offsets end late": lambda c: with_blocks(c, gene_offset=np.array([0, 9, 12])),
    "offsets end early": lambda c: with_blocks(c, gene_offset=np.array([0, 9, 10])),
    "one offset too many": lambda c: with_blocks(c, sample_offset=np.array([0, 1, 2, 3])),
    "no block": lambda c: with_blocks(
        c, sample_offset=np.zeros(1, np.int64), gene_offset=np.zeros(1, np.int64)
    ),
    "short row offset": lambda c: with_counts(c, row_offset=np.zeros(4, np.float32)),
    "long column offset": lambda c: with_counts(c, column_offset=np.zeros(10, np.float32)),
    "dispersion of columns by row": lambda c: with_counts(
        c, row_dispersion=np.zeros(9, np.float32)
    ),
    "negative dispersion": lambda c: with_counts(
        c, column_dispersion=np.full(9, -1e-6, np.float32)
    ),
    "dispersion of NaN": lambda c: with_counts(c, row_dispersion=np.full(5, np.nan, np.float32)),
    "infinite dispersion": lambda c: with_counts(
        c, column_dispersion=np.full(9, np.inf, np.float32)
    ),
    "infinite offset": lambda c: with_counts(c, row_offset=np.full(5, -np.inf, np.float32)),
    "no thread": lambda c: set_to(c, "n_threads", lambda _: 0),
    "unknown kernel": lambda c: set_to(c, "isa", lambda _: "abacus"),
}


def set_to(owner: object, name: str, change: Callable[..., object]) -> None:
    setattr(owner, name, change(getattr(owner, name)))


def wrong(owner: object, name: str, dtype: type[np.generic]) -> None:
    set_to(owner, name, lambda array: array.astype(dtype))


def set_index(call: Call, name: str, value: int) -> None:
    """Changes the first block's first index."""
    index = getattr(call.blocks, name).copy()
    index[0] = value
    with_blocks(call, **{name: index})


def assert_refused(call: Call, error: type[Exception]) -> None:
    arrays = [call.parameters.arrays(), call.state.arrays()]
    before = [{name: np.copy(array) for name, array in part.items()} for part in arrays]
    with pytest.raises(error):
        run(call)
    for part, old in zip(arrays, before, strict=True):
        for name, array in part.items():
            assert_array_equal(array, old[name], err_msg=name)


def test_the_right_call_is_taken() -> None:
    call = right_call()
    run(call)
    assert call.state.network_count.tolist() == [2]


@pytest.mark.parametrize("case", wrong_types)
def test_a_wrong_type_is_a_type_error(case: str) -> None:
    call = right_call()
    wrong_types[case](call)
    assert_refused(call, TypeError)


@pytest.mark.parametrize("case", wrong_values)
def test_a_wrong_shape_or_index_is_a_value_error(case: str) -> None:
    call = right_call()
    wrong_values[case](call)
    assert_refused(call, ValueError)


@pytest.mark.parametrize(("rows", "genes"), [([5], [0]), ([0], [-1]), ([1, 1], [0]), ([], [0])])
def test_gradients_refuse_bad_indices(rows: list[int], genes: list[int]) -> None:
    call = right_call()
    with pytest.raises(ValueError):  # noqa: PT011
        engine.gradients(call.parameters, call.expression, np.array(rows), np.array(genes))


def test_frozen_models_refuse_what_does_not_fit() -> None:
    call = right_call()
    p, x, starts = call.parameters, call.expression, np.zeros((5, 1, 2), np.float32)
    of_too_few = Likelihood(counts=call.counts.take_rows(slice(0, 4)))
    with_factors = Likelihood(counts=call.counts, factors=np.ones((9, 2), np.float32))
    refused: list[tuple[type[Exception], Callable[[], object]]] = [
        (ValueError, lambda: engine.decode(p, np.zeros((1, 3), np.float32))),
        (TypeError, lambda: engine.decode(p, np.zeros(2, np.float32))),
        (ValueError, lambda: engine.solve(p, x[:, :-1].copy(), starts)),
        (ValueError, lambda: engine.solve(p, x, starts[:-1])),
        (ValueError, lambda: engine.solve(p, x, np.zeros((5, 0, 2), np.float32))),
        (ValueError, lambda: engine.solve(p, x, np.zeros((5, 1, 3), np.float32))),
        (TypeError, lambda: engine.solve(p, x.astype(np.float64), starts)),
        (ValueError, lambda: engine.solve(p, x, starts, likelihood=of_too_few)),
        (ValueError, lambda: engine.solve(p, x, starts, likelihood=with_factors)),
        (ValueError, lambda: count_terms(x[0], x[0], x[0, 1:])),
        (TypeError, lambda: count_terms(x[0], x[0], np.zeros(9))),
        (ValueError, lambda: engine.squared_distances(x, x[:, :-1].copy())),
        (TypeError, lambda: engine.squared_distances(x, x.astype(np.float64))),
        (ValueError, lambda: engine.squared_distances(x, x, n_threads=0)),
    ]
    for error, call_it in refused:
        with pytest.raises(error):
            call_it()
