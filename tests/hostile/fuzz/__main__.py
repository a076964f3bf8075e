"""Mutations by the thousand: ``python -m tests.hostile.fuzz --mutations 20000``.

Every kind of input (`kinds.KINDS`) is changed, by its structure or byte by byte, and read in a
child process. A failure is another exception than a sentence for the user, a warning that is not a
`DataWarning`, a crash, a hang, more than 1 GB, or something read that had to be refused. It is
printed with what repeats it: ``--kind K --seed S --index I`` does so in this process.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.hostile.fuzz import child, pool, seeds
from tests.hostile.fuzz.kinds import KINDS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.fuzz", description=__doc__)
    parser.add_argument("--mutations", type=int, default=200, help="of every kind")
    parser.add_argument("--kind", action="append", choices=[*KINDS], help="repeatable")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0, help="number of the first mutation")
    parser.add_argument("--index", type=int, help="repeat this one, with its traceback")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--output", type=Path, help="all failures, one JSON object per line")
    options = parser.parse_args()
    kinds = options.kind or [*KINDS]
    if options.index is not None:
        return repeat(kinds[0], options.seed, options.index)
    n_failures = 0
    with open(options.output or os.devnull, "w") as output:
        for kind in kinds:
            begun = time.monotonic()
            numbers = {"seed": options.seed, "start": options.start, "n_jobs": options.jobs}
            found = pool.run([kind], options.mutations, **numbers)[kind]
            print(
                f"{kind}: {found.tried} tried, {found.accepted} accepted, {len(found.failures)} "
                f"failures, {time.monotonic() - begun:.0f} s",
                flush=True,
            )
            for group in found.groups():
                print("   ", pool.sentence(group), flush=True)
            for failure in found.failures:
                print(json.dumps(failure), file=output, flush=True)
            n_failures += len(found.failures)
    return int(n_failures > 0)


def repeat(kind: str, seed: int, index: int) -> int:
    """One mutation here, without a net."""
    folder = Path(tempfile.mkdtemp(prefix="fembed_fuzz_"))
    (folder / "seeds").mkdir()
    seeds.make(folder / "seeds")
    (folder / "0").mkdir()
    print(f"The mutated input is kept in {folder / '0' / 'scratch'}")
    child.LOUD = True
    outcome = child.attempt(folder / "0", KINDS[kind], f"{kind}/{seed}/{index}")
    print(outcome)
    return int(isinstance(outcome, dict))


if __name__ == "__main__":
    sys.exit(main())
