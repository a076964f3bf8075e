"""Interleaved repeats, so that a change of the machine's load meets every side alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fembed import FitConfig, Model

#: Idle threads of OpenBLAS and OpenMP spin for some 10 ms before they sleep, and would take the
#: processors from whoever is measured next.
PAUSE_SECONDS = 0.2


def interleaved(sides: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Call every side in turn, ``repeats`` times, after a pause; the values they return."""
    values: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, side in sides.items():
            time.sleep(PAUSE_SECONDS)
            values[name].append(side())
    return values


def steps_for(seconds: float, seconds_per_step: Callable[[int], float]) -> int:
    """How many steps take about ``seconds``, from two that are timed."""
    return max(1, round(seconds / seconds_per_step(2)))


def ratio_of_medians(numerator: list[float], denominator: list[float]) -> float:
    return statistics.median(numerator) / statistics.median(denominator)


class Clock:
    """Seconds since its creation until `stop`, by the wall and by this process' threads."""

    def __init__(self) -> None:
        self._start = self._now()
        self._stop: tuple[float, float] | None = None

    @property
    def seconds(self) -> float:
        """Wall-clock time: what is measured."""
        return (self._stop or self._now())[0] - self._start[0]

    @property
    def cpu_seconds(self) -> float:
        """Processor time of all threads: shows whether other work slowed a measurement."""
        return (self._stop or self._now())[1] - self._start[1]

    def stop(self) -> None:
        self._stop = self._now()

    @staticmethod
    def _now() -> tuple[float, float]:
        return time.perf_counter(), time.process_time()


@contextmanager
def timed() -> Iterator[Clock]:
    """Time the block; the clock stands still afterwards."""
    clock = Clock()
    yield clock
    clock.stop()


def timed_fit(values: NDArray[Any], config: FitConfig, **options: Any) -> tuple[Model, Clock]:
    """A whole fit, from data in memory to the model; ``options`` are those of `fembed.fit`."""
    from fembed import Expression, fit

    with timed() as clock:
        model = fit(Expression.adopt(values), config, transform="none", **options)
    return model, clock
