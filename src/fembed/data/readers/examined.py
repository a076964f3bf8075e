"""HDF5 files looked through by a child process before this one opens them.

libhdf5 crashes or loops on one in two hundred files with altered bytes (measured on .h5ad files,
libhdf5 2.0), and follows links to other files. The child walks through the structure, the texts and
the entries of a file for less than a second of processor time: a few milliseconds for a small file.
It starts in a tenth of a second, while this process imports what it needs, and is kept for
the next file.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import spawn
from pathlib import Path
from typing import Any

from fembed.data.readers import examiner
from fembed.errors import InputError

#: Of wall time, for a disk that is slow: processor time is limited in the child itself.
SECONDS_WAITING = 60.0
_PROGRAM = Path(examiner.__file__)
_lock = threading.Lock()
_child: subprocess.Popen[str] | None = None


@dataclass(frozen=True)
class Findings:
    """What the child found in a file.

    Attributes
    ----------
    outside : list of str
        A description of every place in the file that leads to another file.
    """

    outside: list[str]


@contextmanager
def examined(path: Path) -> Iterator[Any]:
    """Give a function that waits for the `Findings` on ``path``; the child looks meanwhile.

    Raises
    ------
    InputError
        From that function, if the child died, was stuck or asked for too much memory.
    """
    with _lock:
        asked = _ask(path)
        answered = False

        def findings() -> Findings:
            nonlocal answered
            answered = True
            return _answer(path) if asked else Findings([])

        try:
            yield findings
        finally:
            if asked and not answered:
                _end()


def _ask(path: Path) -> bool:
    """Whether a child took the question; there is none where Python cannot start itself."""
    for _ in range(2):  # the child may just have ended because nothing was asked
        child = _started()
        if child is None or child.stdin is None:
            return False
        try:
            child.stdin.write(json.dumps(str(path.absolute())) + "\n")
            child.stdin.flush()
            return True
        except (OSError, ValueError):
            _end()
    return False


def _answer(path: Path, again: bool = True) -> Findings:
    child = _child
    if child is None or child.stdout is None:
        return Findings([])
    watch = threading.Timer(SECONDS_WAITING, child.kill)
    watch.daemon = True
    watch.start()
    try:
        line = child.stdout.readline()
    except BaseException:
        _end()
        raise
    finally:
        watch.cancel()
    if not line.endswith("\n"):
        status = child.wait()
        _end()
        # It ended by itself, because nothing was asked or because h5py cannot be imported there.
        if status >= 0 and status not in (0xC0000005, 0xC00000FD):
            if again and status == 0 and _ask(path):
                return _answer(path, again=False)
            return Findings([])
        raise InputError(
            f"{path} is damaged: the HDF5 library {_how(status)} on it, in a process of its own; "
            "make or fetch it again."
        )
    found = json.loads(line)
    if found["memory"]:
        raise InputError(
            f"{path} is damaged: a small part of it asks for more than "
            f"{1e-9 * examiner.MAX_BYTES:.2g} GB of memory; make or fetch it again."
        )
    return Findings(found["outside"])


def _how(status: int) -> str:
    stuck = (getattr(signal, name, None) for name in ("SIGPROF", "SIGKILL", "SIGXCPU"))
    return "does not come to an end" if -status in stuck else "crashes"


def _started() -> subprocess.Popen[str] | None:
    global _child
    if _child is None:
        executable = os.fsdecode(spawn.get_executable() or "")
        if not executable or getattr(sys, "frozen", False):
            return None
        try:
            # -P: files beside the program must not be imported as modules.
            _child = subprocess.Popen(
                [executable, "-P", str(_PROGRAM)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
            )
        except OSError:  # no processes left, or no memory for one
            return None
    return _child


def _end() -> None:
    """End the child, whatever it is doing."""
    global _child
    child, _child = _child, None
    if child is not None:
        child.kill()
        child.wait()
        _close(child)


def _close(child: subprocess.Popen[str]) -> None:
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _forget() -> None:
    """In a forked child of this process: the examiner answers its parent."""
    global _child, _lock
    if _child is not None:
        child, _child = _child, None
        child.returncode = 0  # not ours to wait for
        _close(child)
    _lock = threading.Lock()


atexit.register(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
