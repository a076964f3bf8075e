"""Whether a matrix fits into memory: asked before its names are made and its entries read."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

from fembed.errors import InputError

_BYTES_PER_NAME = 100  # a short text object and two references to it
#: More columns than this are not parsed as text: pandas needs microseconds and kilobytes for each.
MAX_TEXT_COLUMNS = 5_000_000


@cache
def memory() -> int:
    """The memory of this machine, or what this process may have of it, in bytes."""
    limits = [sys.maxsize]
    try:
        import os

        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        pass  # Windows has no sysconf; there the allocation itself fails
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            said = Path(name).read_text().strip()
        except OSError:
            continue
        if said.isdigit():
            limits.append(int(said))
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            limits.append(limit)
    except ImportError:
        pass  # Windows
    return min(limits)


def refuse_too_large(n_rows: int, n_columns: int, origin: str) -> None:
    """Raise an `InputError` for a table that cannot fit into memory with its names."""
    if n_columns > MAX_TEXT_COLUMNS:
        raise InputError(
            f"{origin} has {n_columns:,} columns, and text tables are read up to "
            f"{MAX_TEXT_COLUMNS:,}; save it as .h5ad or .npz."
        )
    needed = n_rows * (4 * n_columns + _BYTES_PER_NAME) + n_columns * _BYTES_PER_NAME
    if needed > memory():
        raise InputError(
            f"{origin} has {n_rows:,} rows of {n_columns:,} numbers or more, which need "
            f"{needed / 1e9:.3g} GB of memory, more than the {memory() / 1e9:.3g} GB there are; "
            "take fewer samples or genes."
        )
