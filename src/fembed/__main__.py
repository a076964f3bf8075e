"""The command ``fembed``, also as ``python -m fembed``.

Almost nothing is imported before the process is known to have enough memory for it.
"""

from __future__ import annotations

import sys

from fembed.errors import NO_MEMORY, address_space_short, lacks_memory
from fembed.stopping import heeded


def main() -> None:
    """Entry point of the command ``fembed``."""
    with heeded():
        _run()


def _run() -> None:
    try:
        if address_space_short():
            raise MemoryError
        from fembed.commands.app import main as run
    except (ImportError, MemoryError, OSError) as error:
        if not lacks_memory(error):
            raise
        print(f"fembed: {NO_MEMORY}", file=sys.stderr)
        sys.exit(1)
    run()


if __name__ == "__main__":
    main()
