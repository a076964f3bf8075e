"""One sentence about a file that a library could not read."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fembed.errors import InputError

#: For libraries whose errors on damaged files are not public: h5py, anndata, zarr, pyarrow.
ANY_ERROR: tuple[type[Exception], ...] = (Exception,)

_LIBRARIES = "(anndata|h5py|pandas|pyarrow|zarr)"
_OF_A_LIBRARY = re.compile(rf"site-packages[/\\]{_LIBRARIES}[/\\]")


@contextmanager
def library_warnings_ignored() -> Iterator[None]:
    """Leave out what libraries say about files of an older or unusual kind that they do read."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=rf"{_LIBRARIES}\b")
        # Python's own, of the text in the header of a damaged .npy.
        warnings.filterwarnings("ignore", "invalid (escape|decimal|hex|octal|binary)")
        told = warnings.showwarning

        def tell(message: Any, category: Any, filename: str, *rest: Any) -> None:
            # For some, pandas puts a filter of its own before ours, so that they are always shown.
            if not _OF_A_LIBRARY.search(filename):
                told(message, category, filename, *rest)

        warnings.showwarning = tell  # type: ignore[assignment]  # put back at the end
        yield


@contextmanager
def damage_reported(path: Path, kind: str, *errors: type[Exception]) -> Iterator[None]:
    """Turn ``errors``, those a library raises for a broken file, into an `InputError`."""
    try:
        with library_warnings_ignored():
            yield
    except (InputError, Warning):  # a warning is an exception where a user has made it one
        raise
    except MemoryError as error:
        raise InputError(
            f"{path} cannot be read as {kind}: a part of it needs more memory than there is; "
            "it is damaged, or take fewer samples or genes."
        ) from error
    except errors as error:
        lines = str(error).strip().splitlines()
        detail = lines[0].rstrip(".")[:300] if lines else type(error).__name__
        raise InputError(
            f"{path} cannot be read as {kind}, it may be truncated or damaged ({detail}); "
            "make or fetch it again."
        ) from error
