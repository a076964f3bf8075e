"""What is held out takes no part in the steady training, and comes back whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from fembed.config import FitConfig
from fembed.parameters import Parameters
from fembed.train import early_stopping, fast
from fembed.train.checkpoint import Stage
from fembed.train.early_stopping import EarlyStopping
from fembed.train.initialization import spectral_initialization
from fembed.train.schedule import schedule_of
from fembed.train.trainer import Trainer
from fembed.train.units import standardise
from fembed.train.validation import HeldOut, hold_out
from tests.curved_expression import SMALL, curved
from tests.property.strategies import generators, shares_missing

shares = st.floats(0.01, 0.89)


def held_out_of(values: np.ndarray, **options: Any) -> HeldOut:
    config = FitConfig(**options)
    return hold_out(values, schedule_of(config, *values.shape), config)


@settings(deadline=None, max_examples=60)
@given(generators, st.integers(2, 40), st.integers(1, 40), shares, shares_missing)
def test_entries_come_back_bit_by_bit_and_leave_half(
    rng: np.random.Generator, n_samples: int, n_genes: int, share: float, missing: float
) -> None:
    values = rng.standard_normal((n_samples, n_genes), np.float32)
    values[rng.random(values.shape) < missing] = np.nan
    before = values.copy()
    held = held_out_of(values, validation_fraction=share, validation_entries=True)
    was, left = ~np.isnan(before), ~np.isnan(values)
    taken = was & ~left
    assert held.size == taken.sum()
    for axis in (0, 1):
        assert (2 * taken.sum(axis=axis) <= was.sum(axis=axis)).all()
    assert_array_equal(values[left], before[left])
    assert_array_equal(held.training_samples, np.arange(n_samples))
    held.release(values)
    assert_array_equal(values.view(np.int32), before.view(np.int32))


def test_about_the_share_of_the_entries_is_held_out() -> None:
    values = curved(120, 80)
    held = held_out_of(values, validation_fraction=0.1, validation_entries=True, seed=1)
    assert held.entries is not None
    assert held.size == pytest.approx(0.1 * values.size, rel=0.1)
    other = held_out_of(curved(120, 80), validation_fraction=0.1, validation_entries=True, seed=2)
    assert not np.array_equal(held.entries, other.entries)


@settings(deadline=None, max_examples=60)
@given(st.integers(3, 60), shares, st.integers(1, 6), st.integers(0, 9))
def test_samples_are_parted_in_two(n: int, share: float, n_components: int, seed: int) -> None:
    values = np.random.default_rng(0).standard_normal((n, 5), np.float32)
    before = values.copy()
    held = held_out_of(values, validation_fraction=share, n_components=n_components, seed=seed)
    together = np.concatenate([held.training_samples, held.samples])
    assert_array_equal(np.sort(together), np.arange(n))
    if held.entries is None:
        assert_array_equal(values, before)
    if held.samples.size:
        assert held.samples.size <= round(n * share)
        assert held.training_samples.size > n_components
    else:
        assert held.entries is not None or n * share < 4 or n - n_components - 1 < 1


def test_nothing_is_held_out_without_validation() -> None:
    values = curved(30, 20)
    before = values.copy()
    for options in ({"validation_fraction": 0.0}, {"recipe": "published"}):
        held = held_out_of(values, **options)
        assert held.size == 0 and held.training_samples.size == 30
    assert_array_equal(values, before)


class Steady:
    """The steady part of a training on ``values``, as `fit` does it."""

    def __init__(self, values: np.ndarray) -> None:
        # 300 steps: the four reseatings and all evaluations of held-out samples are among them.
        config = FitConfig(**SMALL, iterations=500, seed=3)
        schedule = schedule_of(config, *values.shape)
        self.held_out = hold_out(values, schedule, config)
        start, _ = spectral_initialization(values, config, self.held_out.training_samples)
        self.start = start.copy()
        self.trainer = Trainer(values, start, config, schedule)
        self.stopping, self.stage = EarlyStopping(self.held_out), Stage()
        fast.train_steadily(self.trainer, self.stopping, self.stage)

    @property
    def parameters(self) -> Parameters:
        return self.trainer.parameters

    def finish(self) -> Parameters:
        stage = Stage(cooldown_begin=self.trainer.step, cooldown_steps=20)
        fast.cool_down(self.trainer, self.stopping, stage, calibrate=False)
        return self.trainer.parameters


def test_held_out_samples_do_not_move_the_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the data are in standard units, whose gene means and scale are those of all samples.

    Held-out samples may only end the steady part sooner, so that is switched off here.
    """
    monkeypatch.setattr(early_stopping, "PATIENCE", 10**9)
    values = curved(80, 60)
    standardise(values)
    poisoned = values.copy()
    held = Steady(values.copy()).held_out.samples
    assert held.size == 8
    poisoned[held] = 100 * np.random.default_rng(0).standard_normal((8, 60), np.float32)

    clean, dirty = Steady(values), Steady(poisoned)
    training = clean.held_out.training_samples
    assert clean.stopping.best_loss != dirty.stopping.best_loss  # they were evaluated
    for name, array in clean.parameters.arrays().items():
        other = dirty.parameters.arrays()[name]
        rows = training if name == "sample_embedding" else slice(None)
        assert_array_equal(array[rows], other[rows], err_msg=name)
        assert not np.array_equal(array, clean.start.arrays()[name])
    for steady in (clean, dirty):
        assert_array_equal(
            steady.parameters.sample_embedding[held], steady.start.sample_embedding[held]
        )
    # They join in the last part, and it shows.
    assert not np.array_equal(clean.finish().network, dirty.finish().network)


def test_a_stop_goes_back_to_the_best_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early_stopping, "PATIENCE", 2)
    monkeypatch.setattr(fast, "EVALUATIONS", 16)
    monkeypatch.setattr(early_stopping, "MIN_IMPROVEMENT", 1.0)  # nothing beats the first one
    values = curved(80, 60)
    standardise(values)
    steady = Steady(values)
    assert steady.stage.stopped == "held-out samples"
    assert steady.trainer.step == round(300 / 16)

    config = FitConfig(**SMALL, iterations=500, seed=3)
    training = steady.held_out.training_samples
    expected, _ = spectral_initialization(values, config, training)
    schedule = schedule_of(config, 80, 60)
    nothing = EarlyStopping(HeldOut(training, np.arange(0)))
    stopped = nothing.train(
        Trainer(values, expected, config, schedule),
        steady.trainer.step,
        16,
        fast._warm_up(schedule),
        min_steps=0,
    )
    assert stopped == "schedule" and nothing.best_mse() is None
    for name, array in steady.parameters.arrays().items():
        assert_array_equal(array, expected.arrays()[name], err_msg=name)


@pytest.mark.parametrize(("min_steps", "n_evaluations"), [(1, 3), (150, 8), (10**9, 16)])
def test_a_plateau_at_the_start_is_no_reason_to_stop(
    monkeypatch: pytest.MonkeyPatch, min_steps: int, n_evaluations: int
) -> None:
    """At step 150 of 300, and after 16 evaluations, the patience of two has long run out."""
    losses: list[float] = []

    def evaluate(held_out: HeldOut, trainer: Trainer) -> float:
        losses.append(1.0)  # none is better than the first one
        return losses[-1]

    monkeypatch.setattr(HeldOut, "evaluate", evaluate)
    monkeypatch.setattr(early_stopping, "PATIENCE", 2)
    monkeypatch.setattr(fast, "EVALUATIONS", 16)
    monkeypatch.setattr(fast, "MIN_STEPS", min_steps)
    values = curved(80, 60)
    standardise(values)
    assert Steady(values).stage.stopped == "held-out samples"
    assert len(losses) == n_evaluations
