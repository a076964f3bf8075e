"""Renames that Python lacks: into a free name only, and two names exchanged.

Both are single calls of the kernel (Linux ``renameat2``, macOS ``renamex_np``); where the system or
the file system lacks them, the nearest thing that it has is done.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

_LACKING = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM}
_HERE = -100  # AT_FDCWD: a relative path is relative to the working directory


def rename_new(source: Path, target: Path) -> None:
    """Rename ``source`` to ``target``; FileExistsError if something is there."""
    if _special(source, target, exchange=False):
        return
    if os.name != "nt" and not source.is_dir():
        try:
            os.link(source, target)  # which replaces nothing, unlike rename
        except FileExistsError:
            raise
        except OSError as error:  # a file system without hard links
            if error.errno not in _LACKING:
                raise
        else:
            source.unlink()
            return
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    os.rename(source, target)  # of a folder: fails where a folder with files is by now


def exchange(one: Path, other: Path) -> bool:
    """Let two names change places at once; False if this system cannot."""
    return _special(one, other, exchange=True)


def _special(source: Path, target: Path, *, exchange: bool) -> bool:
    """Whether the kernel did it; FileExistsError (or another OSError) if it refused."""
    call = _call()
    if call is None:
        return False
    old, new = os.fsencode(source), os.fsencode(target)
    if sys.platform == "darwin":
        done = call(old, new, 2 if exchange else 4)  # RENAME_SWAP, RENAME_EXCL
    else:
        done = call(_HERE, old, _HERE, new, 2 if exchange else 1)  # _EXCHANGE, _NOREPLACE
    if done == 0:
        return True
    number = ctypes.get_errno()
    if number in _LACKING:
        return False
    raise OSError(number, os.strerror(number), str(target))


@cache
def _call() -> Any:
    name = {"linux": "renameat2", "darwin": "renamex_np"}.get(sys.platform)
    if name is None:
        return None
    call = getattr(ctypes.CDLL(None, use_errno=True), name, None)
    if call is not None and sys.platform == "linux":
        number, text = ctypes.c_int, ctypes.c_char_p
        call.argtypes = [number, text, number, text, ctypes.c_uint]
    return call
