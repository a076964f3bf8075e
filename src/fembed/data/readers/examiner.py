"""A program of its own, started by `fembed.data.readers.examined`: it walks through HDF5 files.

It imports nothing of fembed. Every line on standard input is a path as JSON, every line on
standard output what was found there. Should libhdf5 crash or loop, this process dies and no other.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import time
import zlib
from typing import Any

#: Seconds of processor time: after the first no more is read, after the second the process is
#: ended. A step between two looks at the clock takes milliseconds.
SECONDS_LOOKING, SECONDS_STUCK = 0.8, 2.0
#: Address space beyond what the libraries take. No step is asked for a tenth of it.
MAX_BYTES = 1 << 29
MAX_STEP_BYTES = 1 << 26
#: A fresh process is cheap, so one that waits is not kept for long.
SECONDS_IDLE = 10
#: A chunk of this size, as it is stored, unpacks to 64 MB at most (deflate: 1 to 1032).
MAX_CHUNK_UNCHECKED = 65_536
_DEFLATE = 1  # the number of the filter
_NAMES_PER_STEP = 20_000
#: At most so many bytes of stored numbers are read: all of a small file. In a large one, damage
#: would be in one of very many chunks, and reading all would double the work.
MAX_NUMBER_BYTES = 2_000_000


class _TimeUpError(Exception):
    """Enough was looked at."""


class _Walk:
    """One walk: the structure first, then the entries, until the time is up."""

    def __init__(self) -> None:
        self.begin = time.process_time()
        self.outside: list[str] = []
        self.datasets: list[Any] = []
        self.seen: set[Any] = set()

    def step(self) -> None:
        if time.process_time() - self.begin > SECONDS_LOOKING:
            raise _TimeUpError

    def group(self, group: Any, where: str) -> None:
        import h5py

        waiting = [(group, where)]
        while waiting:
            group, where = waiting.pop()
            _quietly(lambda group=group: list(group.attrs.items()))
            for name in _quietly(lambda group=group: list(group)) or []:
                self.step()
                place = f"{where}{name}"
                link = _quietly(lambda group=group, name=name: group.get(name, getlink=True))
                if isinstance(link, h5py.ExternalLink):
                    self.outside.append(f"{place} is a link to {link.path} in {link.filename}")
                elif link is not None:
                    item = _quietly(lambda group=group, name=name: group[name])
                    if isinstance(item, h5py.Dataset):
                        if self.is_new(item):
                            _quietly(lambda item=item, place=place: self.dataset(item, place))
                    elif isinstance(item, h5py.Group) and self.is_new(item):
                        waiting.append((item, f"{place}/"))

    def is_new(self, item: Any) -> bool:
        import h5py

        address = _quietly(lambda: h5py.h5o.get_info(item.id).addr)
        if address in self.seen:
            return False
        if address is not None:
            self.seen.add(address)
        return True

    def dataset(self, dataset: Any, place: str) -> None:
        for file, *_ in _quietly(lambda: dataset.external) or []:
            self.outside.append(f"the entries of {place} lie in the file {file}")
        if _quietly(lambda: dataset.is_virtual):
            sources = _quietly(dataset.virtual_sources) or []
            for file in {source.file_name for source in sources} - {"."}:
                self.outside.append(f"the entries of {place} lie in the file {file}")
            return
        _quietly(lambda: list(dataset.attrs.items()))
        if dataset.chunks is not None:
            self.chunks(dataset)
        self.datasets.append(dataset)

    def chunks(self, dataset: Any) -> None:
        """Raise MemoryError for a chunk that would be far larger than declared once unpacked.

        libhdf5 unpacks a chunk to its end before it compares the size: 3 MB become 3 GB.
        """
        plan = dataset.id.get_create_plist()
        filters = [plan.get_filter(k)[0] for k in range(plan.get_nfilters())]
        if filters.count(_DEFLATE) > 1:
            raise MemoryError
        declared = math.prod(dataset.chunks) * dataset.dtype.itemsize
        large: list[Any] = []

        def look(chunk: Any) -> bool | None:
            if filters and chunk.size > 1.5 * declared + MAX_CHUNK_UNCHECKED / 16:
                large.clear()
                large.append(None)
                return True
            if _DEFLATE in filters and chunk.size > MAX_CHUNK_UNCHECKED:
                large.append(chunk)
            return True if time.process_time() - self.begin > SECONDS_LOOKING else None

        _quietly(lambda: dataset.id.chunk_iter(look))
        for chunk in large:
            if chunk is None:
                raise MemoryError
            self.step()
            _, stored = dataset.id.read_direct_chunk(chunk.chunk_offset)
            if len(zlib.decompressobj().decompress(stored, declared + 1)) > declared:
                raise MemoryError

    def entries(self, dataset: Any) -> None:
        """Read names in full, other entries by the chunks that are there."""
        shape, dtype, chunks = dataset.shape, dataset.dtype, dataset.chunks
        if not shape or math.prod(shape) == 0:
            _quietly(lambda: dataset[()])
        elif chunks is None:
            n_bytes = MAX_STEP_BYTES // 8 if dtype.kind != "O" else 16 * _NAMES_PER_STEP
            rows = max(1, n_bytes // max(1, dtype.itemsize * math.prod(shape[1:])))
            if rows * math.prod(shape[1:]) * dtype.itemsize <= MAX_STEP_BYTES:
                for start in range(0, shape[0], rows):
                    self.step()
                    _quietly(lambda start=start: dataset[start : start + rows])
        elif math.prod(chunks) * dtype.itemsize <= MAX_STEP_BYTES:
            for number in range(dataset.id.get_num_chunks()):
                self.step()
                offset = dataset.id.get_chunk_info(number).chunk_offset
                place = tuple(slice(a, a + n) for a, n in zip(offset, chunks, strict=True))
                _quietly(lambda place=place: dataset[place])


def _quietly(step: Any) -> Any:
    """What ``step`` gives, None if the library refuses: the reader will say so if it matters."""
    try:
        return step()
    except (MemoryError, _TimeUpError):
        raise
    except Exception as error:
        if "alloc" in str(error):  # libhdf5's words for want of memory
            raise MemoryError(str(error)) from error
        return None


def examine(path: str) -> dict[str, Any]:
    """What was found at ``path``: places that lie outside, and whether it asks for much memory."""
    import h5py

    walk = _Walk()
    found: dict[str, Any] = {"outside": walk.outside, "memory": False}
    try:
        with h5py.File(path, "r") as file:
            walk.group(file, "")
            # Texts of any length lie in heaps, which are damaged more easily than numbers.
            n_bytes = 0
            for dataset in sorted(walk.datasets, key=_order):
                n_bytes += _order(dataset)[1]
                if n_bytes > MAX_NUMBER_BYTES and _order(dataset)[0]:
                    break
                _quietly(lambda dataset=dataset: walk.entries(dataset))
    except MemoryError:
        found["memory"] = True
    except _TimeUpError:
        pass
    except Exception as error:
        found["error"] = type(error).__name__
    return found


def _order(dataset: Any) -> tuple[bool, int]:
    size = _quietly(lambda: dataset.id.get_storage_size())
    return (_quietly(lambda: dataset.dtype.kind) != "O", size or 0)


def _limit_memory() -> None:
    try:
        import resource

        with open("/proc/self/statm", encoding="ascii") as stream:
            taken = int(stream.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + MAX_BYTES,) * 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, OSError, ValueError):
        pass  # not Linux: the time limit holds alone


def main() -> None:
    """Answer line by line until the input ends, or nothing was asked for a while."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is for the parent
    import h5py

    _limit_memory()
    timed = hasattr(signal, "setitimer")
    if timed:
        signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
    while True:
        if timed:
            signal.setitimer(signal.ITIMER_REAL, SECONDS_IDLE)
        line = sys.stdin.readline()
        if timed:
            signal.setitimer(signal.ITIMER_REAL, 0)
        if not line:
            break
        if timed:  # its signal ends the process whatever it is doing
            signal.setitimer(signal.ITIMER_PROF, SECONDS_STUCK)
        found = examine(json.loads(line))
        if timed:
            signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps(found), flush=True)
        # A damaged file may not close, and would be taken for the next one at its place.
        kinds = h5py.h5f.OBJ_FILE | h5py.h5f.OBJ_GROUP | h5py.h5f.OBJ_DATASET
        if h5py.h5f.get_obj_count(h5py.h5f.OBJ_ALL, kinds) > 0:
            break


if __name__ == "__main__":
    main()
