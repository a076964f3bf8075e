"""The entries of the blocks of a run of steps, on the device when their step comes.

Whatever moves fewer bytes is done: the matrix is laid on the device as a whole, or each block's own
entries are gathered here and sent, many blocks at a time. A step of the fast recipe needs 16 kB of
a matrix of gigabytes, and nothing is kept from one call to the next, so the matrix may change in
between and need not fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fembed.engine.interface import Blocks, Float32
from fembed.engine.on_torch.devices import Place

#: So many bytes of entries are sent at a time; the next ones are gathered meanwhile.
BYTES_AT_ONCE = 64 * 2**20

#: (rows, columns) of one block.
Block = tuple[Tensor, Tensor]


def pairs_of(blocks: Blocks, device: torch.device) -> list[Block]:
    """(rows, columns) of each block; they are sent at once, since a copy waits for the device."""

    def split(index: Any, offset: Any) -> Any:
        there = torch.from_numpy(np.asarray(index, np.int64)).to(device)
        return there.split(np.diff(offset).tolist())

    samples, genes = blocks.samples, blocks.genes
    return list(
        zip(split(samples, blocks.sample_offset), split(genes, blocks.gene_offset), strict=True)
    )


def entries(
    expression: Float32, here: Sequence[Block], there: Sequence[Block], place: Place
) -> Iterator[Tensor]:
    """The entries (m x g) of each block in turn; values that are missing are NaN.

    ``here`` are the blocks in the memory of the processor, ``there`` the same on the device.
    """
    matrix = torch.from_numpy(np.require(expression, requirements="W"))
    needed = sum(len(rows) * len(columns) for rows, columns in here) * expression.itemsize
    cheaper = expression.nbytes <= needed and place.holds(expression.nbytes)
    if place.device.type == "cpu" or cheaper:
        return laid_out(matrix, there, place)
    return streamed(matrix, here, place)


def laid_out(matrix: Tensor, blocks: Sequence[Block], place: Place) -> Iterator[Tensor]:
    """From the whole matrix on the device."""
    matrix = matrix.to(place.device)
    for rows, columns in blocks:
        yield matrix[rows[:, None], columns].to(place.dtype)


def streamed(
    matrix: Tensor, blocks: Sequence[Block], place: Place, at_once: int = BYTES_AT_ONCE
) -> Iterator[Tensor]:
    """Gathered from the matrix in this memory, and sent in parts."""
    parts, pinned = _parts(blocks, at_once // matrix.itemsize), place.device.type == "cuda"
    with ThreadPoolExecutor(1) as gatherer:
        ahead = gatherer.submit(gathered, matrix, parts[0], pinned)
        for number, part in enumerate(parts):
            here = ahead.result()
            if number + 1 < len(parts):
                ahead = gatherer.submit(gathered, matrix, parts[number + 1], pinned)
            # PyTorch does not give pinned memory to others before the device has read it.
            there = here.to(place.device, non_blocking=True)
            begin = 0
            for rows, columns in part:
                end = begin + len(rows) * len(columns)
                yield there[begin:end].view(len(rows), len(columns)).to(place.dtype)
                begin = end


def _parts(blocks: Sequence[Block], most: int) -> list[list[Block]]:
    """The blocks in runs of at most ``most`` entries, or of one block."""
    parts: list[list[Block]] = [[]]
    filled = 0
    for block in blocks:
        size = len(block[0]) * len(block[1])
        if parts[-1] and filled + size > most:
            parts.append([])
            filled = 0
        parts[-1].append(block)
        filled += size
    return parts


def gathered(matrix: Tensor, part: Sequence[Block], pinned: bool = False) -> Tensor:
    """The entries of some blocks, one after the other, in pinned memory if they go to a GPU."""
    size = sum(len(rows) * len(columns) for rows, columns in part)
    found = torch.empty(size, dtype=matrix.dtype, pin_memory=pinned)
    begin = 0
    for rows, columns in part:
        end = begin + len(rows) * len(columns)
        found[begin:end].view(len(rows), len(columns)).copy_(matrix[rows[:, None], columns])
        begin = end
    return found
