"""Tasks for tests of parallel work; worker processes import them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

from fembed.errors import InputError


def row_sum(shared: np.ndarray, case: int, n_threads: int) -> tuple[float, int, int]:
    """The sum of a row, the process, the threads."""
    return float(shared[case].sum()), os.getpid(), n_threads


def pool_sizes(shared: None, case: int, n_threads: int) -> tuple[int, dict[str, int]]:
    """Threads of this task, and the sizes of the process's pools by kind."""
    import sklearn.neighbors  # noqa: F401  # brings BLAS and OpenMP

    return n_threads, {pool["user_api"]: pool["num_threads"] for pool in threadpool_info()}


def die_once(shared: str, case: int, n_threads: int) -> int:
    """Case 1 ends its process the first time; ``shared`` is a folder for the note of that."""
    note = Path(shared) / "died"
    if case == 1 and not note.exists():
        note.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return case * case


def die_always(shared: None, case: int, n_threads: int) -> int:
    """Case 1 ends its process."""
    if case == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return case


def refuse(shared: None, case: int, n_threads: int) -> int:
    if case == 2:
        raise InputError("Case 2 is impossible; leave it out.")
    return case


def slow_square(shared: Any, case: int, n_threads: int) -> int:
    time.sleep(0.2)
    return case * case


def kind_of_array(shared: dict[str, np.ndarray], case: int, n_threads: int) -> str:
    return type(shared["X"]).__name__


class Counted:
    """Leaves a file in a folder each time that it is unpickled."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return unpickled, (self.folder,)


def unpickled(folder: str) -> Counted:
    (Path(folder) / f"{os.getpid()} {time.time_ns()}").touch()
    return Counted(folder)


def process(shared: Counted, case: int, n_threads: int) -> int:
    time.sleep(0.02)
    return os.getpid()


def shared_itself(shared: Any, case: int, n_threads: int) -> Any:
    return shared


def engine_name(shared: None, case: int, n_threads: int) -> str:
    """What computes in this task."""
    from fembed import engine

    return engine.chosen().describe()
