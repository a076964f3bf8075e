"""Two processes that train together; `tests.behaviour.test_engines` starts them.

``python -m tests.trained_together FOLDER``: the leader writes the losses and parameters of some
steps there, and then both are given the same command line.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

from fembed import engine
from fembed.commands.app import run
from fembed.engine import AdamState, Blocks
from fembed.parameters import Parameters
from tests.curved_expression import curved
from tests.property.strategies import random_parameters

COMMAND = (
    "fit {0}/data.csv -o {0}/model --engine torch --device cpu --recipe published --n-threads 1"
)


def steps(lazy: bool) -> tuple[np.ndarray, Parameters]:
    """Losses, and the parameters after some steps on blocks of one to thirty samples."""
    rng = np.random.default_rng(0)
    values = curved(30, 40)
    values[rng.random(values.shape) < 0.1] = np.nan
    values[7] = np.nan
    p = random_parameters(rng, 30, 40, 2, 5, (12, 8)).astype(np.float32)
    sizes = [(1, 40), (30, 17), (2, 9), (1, 3), (13, 40)] * 4
    todo = [(rng.permutation(30)[:m], rng.permutation(40)[:g]) for m, g in sizes]
    todo.append((np.array([7]), np.arange(40)))  # nothing observed
    rates = np.full((len(todo), 3), 2e-3, np.float32)
    loss, _ = engine.train(
        p, AdamState.zeros(p), values, Blocks.of(todo), rates, lazy=lazy, n_threads=1
    )
    return loss, p


def main(folder: Path, port: str) -> int:
    with engine.together("torch", "cpu") as leads:
        if leads:
            found = {}
            for lazy in (True, False):
                loss, p = steps(lazy)
                found |= {f"{lazy} {name}": array for name, array in p.arrays().items()}
                found[f"{lazy} loss"] = loss
            np.savez(folder / "steps.npz", **found)
    os.environ["MASTER_PORT"] = port  # the first one may be held for some seconds
    return run([*COMMAND.format(folder).split(), "--iterations", "20", "--n-threads", "1"])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
