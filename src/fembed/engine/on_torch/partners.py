"""Several processes that train together, each on a device of its own (torch.distributed).

One process leads: it alone runs the program, and the others wait for its calls of `train`. A
block's samples are divided among all; what they add up to is summed over the processes, and then
each takes the same step of Adam, so that all have the same parameters without sending them. Only
the leader has the matrix. It sends the others the entries of their samples.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.distributed as processes
from torch import Tensor

from fembed.engine.interface import AdamOptions, AdamState, Float32, Steps
from fembed.engine.on_torch.devices import Place, find
from fembed.engine.on_torch.entries import Block, gathered
from fembed.engine.on_torch.gradient import Sums
from fembed.parameters import Parameters


@dataclass(frozen=True)
class Work:
    """A call of `train`, as the leader sends it: all but the expression."""

    parameters: Parameters
    state: AdamState
    options: AdamOptions
    steps: Steps
    n_threads: int


class Partners:
    """One process among those that were started together, by ``torchrun`` for instance.

    It has joined them when it is made. They find each other by the environment's MASTER_ADDR,
    MASTER_PORT, RANK and WORLD_SIZE.

    Parameters
    ----------
    device : str
        As for `fembed.using`; "cuda" and "auto" stand for one GPU for each process of a machine.
    """

    def __init__(self, device: str) -> None:
        found = find(device)
        if found.type == "cuda" and found.index is None:
            found = find(f"cuda:{os.environ.get('LOCAL_RANK', '0')}")
            torch.cuda.set_device(found)
        self.place = Place(found)
        processes.init_process_group("nccl" if found.type == "cuda" else "gloo")
        self.rank, self.size = int(processes.get_rank()), int(processes.get_world_size())
        self._between_calls = True

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def send(self, work: Work) -> None:
        """Let the others do ``work``, too; the leader itself does it next."""
        self._between_calls = False
        nothing = np.empty((0, 0), np.float32)
        self._told(replace(work, steps=replace(work.steps, expression=nothing)))

    def done(self) -> None:
        """The work that was sent has been done."""
        self._between_calls = True

    def received(self) -> Iterator[Work]:
        """What the leader sends, until it leaves."""
        while (work := self._told(None)) is not None:
            yield work

    def leave(self) -> None:
        """End the others' waiting. After an error amid some work they are not waiting but working,
        and whoever started all processes has to end them.
        """
        if self._between_calls:
            if self.leads:
                self._told(None)
            processes.destroy_process_group()

    def _told(self, work: Work | None) -> Work | None:
        """What the leader says, which is ``work`` there."""
        said = [work]
        processes.broadcast_object_list(said, src=0, device=self._mail)
        return said[0]

    @property
    def _mail(self) -> torch.device:
        """Where messages have to be: NCCL takes none from the processor's memory."""
        return self.place.device if processes.get_backend() == "nccl" else torch.device("cpu")

    def share(self, n_samples: int, rank: int | None = None) -> slice:
        """Which of a block's samples are those of a process (by default, of this one)."""
        rank = self.rank if rank is None else rank
        return slice(n_samples * rank // self.size, n_samples * (rank + 1) // self.size)

    def entries(self, expression: Float32, blocks: Sequence[Block]) -> Iterator[Tensor]:
        """The entries of this process's share of each block; the leader sends the others theirs."""
        shares = [self._shares(blocks, rank) for rank in range(self.size)]
        if self.leads:
            matrix = torch.from_numpy(np.require(expression, requirements="W"))
            for rank in range(1, self.size):
                processes.send(gathered(matrix, shares[rank]).to(self._mail), rank)
            there = gathered(matrix, shares[0])
        else:
            size = sum(len(rows) * len(columns) for rows, columns in shares[self.rank])
            there = torch.empty(size, dtype=torch.float32, device=self._mail)
            processes.recv(there, 0)
        there = there.to(self.place.device, self.place.dtype)
        sizes = [len(rows) * len(columns) for rows, columns in shares[self.rank]]
        for part, (rows, columns) in zip(there.split(sizes), shares[self.rank], strict=True):
            yield part.view(len(rows), len(columns))

    def _shares(self, blocks: Sequence[Block], rank: int) -> list[Block]:
        return [(rows[self.share(len(rows), rank)], columns) for rows, columns in blocks]

    def reduce(self, sums: Sums) -> None:
        """Add up what all processes have found."""
        processes.all_reduce(sums.derivatives)
        processes.all_reduce(sums.totals)


def are_there() -> bool:
    """Whether this process was started as one of several that work together."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1
