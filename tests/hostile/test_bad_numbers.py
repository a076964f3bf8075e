"""Numbers that no model, option or machine can take: one sentence each, before anything is made."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fembed
from fembed import store
from fembed.errors import InputError, lacks_memory
from fembed.inference import add_genes, project
from fembed.solvers.criterion import SUM_OF_SQUARES
from fembed.solvers.numeric_range import MAX_ENTRY, entry_bound, within_range
from fembed.solvers.samples import place
from fembed.solvers.uncertainty import covariance
from fembed.train.initialization import random_initialization
from tests.small_expression import frame
from tests.tiny_model import tiny_model

IMPOSSIBLE = [10**20, 10**5000, 1e300, float("nan"), float("inf"), True, "7", [10**9], 1j]


@pytest.mark.parametrize("name", [f for f in fembed.FitConfig.__dataclass_fields__])
def test_an_impossible_option_is_called_by_its_name(name: str) -> None:
    taken = {("validation_entries", True)}
    for value in IMPOSSIBLE:
        if isinstance(value, list) or (name, value) not in taken:
            with pytest.raises(InputError, match=name):
                fembed.FitConfig(**{name: value})


def test_numbers_of_numpy_and_signed_zeros_are_one_option() -> None:
    given = fembed.FitConfig(
        n_components=np.int64(3), hidden=np.array([8, 4]), weight_decay=-0.0, epochs=1
    )
    assert repr(given.to_dict()) == repr(
        fembed.FitConfig(n_components=3, hidden=(8, 4), weight_decay=0.0, epochs=1.0).to_dict()
    )


@pytest.mark.parametrize("value", IMPOSSIBLE, ids=range(len(IMPOSSIBLE)))
def test_impossible_threads_workers_and_points(value: Any) -> None:
    model = tiny_model()
    calls: list[Callable[[], object]] = [
        lambda: model.decode([[0.0, 0.0]], n_threads=value),
        lambda: project(model, np.ones((2, 7)), n_threads=value),
        lambda: model.decode([[value, value]]),
        lambda: fembed.evaluate(frame(), np.arange(36) % 2, repeats=value),
        lambda: fembed.evaluate(frame(), np.arange(36) % 2, dims=[value]),
        lambda: fembed.sweep(frame(), {"seed": [0]}, np.arange(36) % 2, classifier_steps=-1),
    ]
    calls += [
        lambda name=name: fembed.Workers(**{name: value})  # type: ignore[misc]
        for name in ("backend", "n_workers", "n_threads")
    ]
    for call in calls:
        with pytest.raises(InputError):
            call()


def test_a_grid_without_an_end_is_refused_before_it_is_made() -> None:
    for grid in (
        {"seed": range(10**12)},
        {name: range(1, 10_000) for name in ("seed", "gene_components", "block_genes")},
    ):
        with pytest.raises(InputError, match=r"more than 10,000 values|10,000 are the most"):
            fembed.sweep(frame(), grid, np.arange(36) % 2)


def test_a_network_larger_than_the_memory_is_refused_before_it_is_made() -> None:
    config = fembed.FitConfig(hidden=(100_000, 100_000))
    with pytest.raises(InputError, match="GB of memory"):
        fembed.fit(frame(), config)


# --- what 32-bit floats cannot hold


@pytest.mark.parametrize(
    ("name", "factor"), [("network", 1e30), ("network", 1e10), ("sample_embedding", 1e20)]
)
def test_finite_but_huge_parameters_are_refused(name: str, factor: float) -> None:
    model = tiny_model()
    model.parameters.arrays()[name][...] *= np.float32(factor)
    with pytest.raises(InputError, match=r"beyond|32-bit floats"):
        store.rebuild(*store.contents(model), "here")


def test_a_deep_network_is_not_taken_for_a_huge_one() -> None:
    parameters = random_initialization(fembed.FitConfig(hidden=(100,) * 24), n_samples=5, n_genes=7)
    assert entry_bound(parameters) > MAX_ENTRY
    assert within_range(parameters)


def test_a_place_that_cannot_be_told_is_infinitely_unsure() -> None:
    model = tiny_model()
    p = model.parameters
    assert p.gene_loading is not None
    p.gene_loading[...] *= np.float32(1e-30)
    p.network[...] *= np.float32(1e-30)
    profiles = np.ones((2, 7), np.float32)
    solution = place(p, profiles)
    assert np.isinf(covariance(SUM_OF_SQUARES, p, profiles, solution)).all()


def test_new_genes_beside_a_gene_that_is_far_from_all_others() -> None:
    model = fembed.fit(
        frame(), fembed.FitConfig(hidden=(8,), gene_components=4, iterations=20), calibrate=False
    )
    model.parameters.gene_embedding[0] = 1e12
    table = frame()
    table["new"] = table["G3"]
    grown = add_genes(model, table)
    assert np.isfinite(grown.gene_embedding).all()


@pytest.mark.parametrize("scale", [1e30, 1e-30])
def test_values_that_no_loss_can_be_taken_of(scale: float) -> None:
    with pytest.raises(InputError, match="32-bit floats"):
        fembed.fit(
            frame() * scale,
            fembed.FitConfig(iterations=5),
            transform="none",
        )


# --- too little room


@pytest.mark.skipif(sys.platform != "linux", reason="a limit of address space")
@pytest.mark.parametrize("kilobytes", [150_000, 450_000])
def test_too_little_address_space_is_said_in_one_sentence(kilobytes: int) -> None:
    command = f"ulimit -v {kilobytes}; exec {sys.executable} -m fembed info nowhere"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("fembed: There is not enough memory")
    assert done.stderr.count("\n") == 1


def test_what_else_means_too_little_memory() -> None:
    for error in (
        MemoryError(),
        OSError(12, "Cannot allocate memory"),
        RuntimeError("can't start new thread"),
        ImportError("libopenblas.so: failed to map segment from shared object"),
    ):
        assert lacks_memory(error)
    assert not lacks_memory(RuntimeError("a fault of ours"))
    assert not lacks_memory(FileNotFoundError(2, "no such file"))
