"""Whether there is memory for something, asked before it is made."""

from __future__ import annotations

import os
from pathlib import Path

from fembed.errors import InputError

#: Bytes of a name: a Python string of a dozen letters and the pointer to it.
BYTES_PER_NAME = 70
#: A matrix of more bytes (when dense) that has fewer entries than this share has a damaged shape:
#: even CellRanger's matrices of all droplets hold 1 entry in 10^4.
MIN_DENSITY, DOUBTFUL_BYTES = 1e-6, 5e8


def available_bytes() -> int | None:
    """Memory that can still be had on this machine, None where that is unknown.

    Linux promises memory that it does not have and kills the process later, so waiting for a
    MemoryError is not enough.
    """
    free = _free_of_machine()
    group = _free_of_group(Path("/sys/fs/cgroup"))
    return min((n for n in (free, group) if n is not None), default=None)


def refuse_beyond_memory(n_rows: int, n_columns: int, origin: str) -> None:
    """Raise `InputError` if a float32 matrix with its names cannot fit in the memory there is."""
    if min(n_rows, n_columns) < 0:
        raise InputError(f"The matrix in {origin} is {n_rows} x {n_columns}; it is damaged.")
    needed = _needed(n_rows, n_columns)
    available = available_bytes() if needed > 1e8 else None
    if needed > 2**62 or (available is not None and needed > available):
        raise too_large(n_rows, n_columns, origin)


def too_large(n_rows: int, n_columns: int, origin: str) -> InputError:
    """The error about a matrix for which there is no room."""
    needed = _needed(n_rows, n_columns)
    return InputError(
        f"The matrix in {origin} ({n_rows} x {n_columns}) needs {1e-9 * needed:.3g} GB of memory "
        "with its names, more than there is; take fewer samples or genes."
    )


def refuse_bytes(n_bytes: int, what: str, origin: str) -> None:
    """Raise `InputError` if a part of a file is larger than the memory there is."""
    available = available_bytes() if n_bytes > 1e8 else None
    if n_bytes > 2**62 or (available is not None and n_bytes > available):
        raise InputError(
            f"{what} of {origin} needs {1e-9 * n_bytes:.3g} GB of memory, more than there is; "
            "the file is damaged, or take a part of it."
        )


def refuse_implausible(n_rows: int, n_columns: int, n_entries: int, origin: str) -> None:
    """Raise `InputError` for a sparse matrix that is large and almost empty: damaged."""
    few = n_entries < MIN_DENSITY * n_rows * n_columns
    if few and _needed(n_rows, n_columns) > DOUBTFUL_BYTES:
        raise InputError(
            f"The sparse matrix in {origin} is {n_rows} x {n_columns} and holds {n_entries} "
            "entries; its shape is damaged, or it lacks its entries."
        )


def _needed(n_rows: int, n_columns: int) -> int:
    return 4 * n_rows * n_columns + BYTES_PER_NAME * (n_rows + n_columns)


def _free_of_machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        kibibytes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
        return 1024 * (kibibytes["MemAvailable"] + kibibytes.get("SwapFree", 0))
    except (OSError, ValueError, KeyError, IndexError):
        pass
    try:  # not Linux: all of the memory, which is at least an upper limit
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _free_of_group(root: Path) -> int | None:
    """Room under the limit of the container (control group, version 2) that we run in."""
    try:
        limit = (root / "memory.max").read_text(encoding="ascii").strip()
        if limit == "max":
            return None
        used = int((root / "memory.current").read_text(encoding="ascii"))
        stat = (root / "memory.stat").read_text(encoding="ascii").splitlines()
        cached = {line.split()[0]: int(line.split()[1]) for line in stat}.get("inactive_file", 0)
        return max(0, int(limit) - used + cached)
    except (OSError, ValueError, IndexError):
        return None
