"""A process that tries mutation after mutation, and can be lost without harm.

It takes tasks, one JSON line each, from standard input and answers with one line each. Where it is
stands in a small file that the parent maps, so that it is known what a lost process was doing.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import mmap
import os
import resource
import shutil
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path
from random import Random
from struct import Struct
from typing import Any

from fembed.errors import DataWarning, InputError
from tests.hostile.fuzz.hdf5 import REFUSE

PLACE = Struct("<qd")  # number of the mutation, and when it began (time.monotonic)
ADDRESS_SPACE = 6 << 30  # beyond it MemoryError, so that the machine survives
MAX_BYTES = 1 << 30
MAX_SENTENCE = 2000
LOUD = False  # print mutation, sentence or traceback


def main() -> None:
    folder = Path(sys.argv[1])
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # a library that prints must not speak to the parent
    os.chdir(folder)
    from tests.hostile.fuzz.kinds import KINDS

    with open(folder / "place", "r+b") as file:
        place = mmap.mmap(file.fileno(), PLACE.size)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        kind, seed, start, stop = json.loads(line)
        found: dict[str, Any] = {"tried": 0, "accepted": 0, "failures": []}
        for index in range(start, stop):
            PLACE.pack_into(place, 0, index, time.monotonic())
            outcome = attempt(folder, KINDS[kind], f"{kind}/{seed}/{index}")
            found["tried"] += 1
            found["accepted"] += outcome == "accepted"
            if isinstance(outcome, dict):
                found["failures"].append({"kind": kind, "seed": seed, "index": index, **outcome})
        PLACE.pack_into(place, 0, -1, time.monotonic())
        print(json.dumps(found), file=answers, flush=True)


def attempt(folder: Path, kind: Any, key: str) -> str | dict[str, str]:
    """ "accepted", "refused", or what went wrong with one mutation."""
    scratch = folder / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    rng = Random(key)
    name = rng.choice(kind.seeds)
    path = scratch / name
    source = folder.parent / "seeds" / name
    if source.is_dir():
        shutil.copytree(source, path)
    else:
        shutil.copyfile(source, path)
    try:
        words = kind.mutate(path, rng)
    except Exception as error:  # of the harness, which is to be mended as well
        return {**_described(error), "what": f"mutator: {type(error).__name__}"}
    if LOUD:
        print(f"{name}: {words}")
    if words.startswith(REFUSE):  # then what was changed is what is read
        rng.random = lambda: 0.99  # type: ignore[method-assign]
    gc.collect(0)
    begun, before = time.monotonic(), _reset_peak()
    outcome = tried(kind, path, rng, words)
    seconds, grown = time.monotonic() - begun, _peak() - before
    if not isinstance(outcome, dict) and grown > MAX_BYTES:
        outcome = {"what": "memory", "where": "", "says": f"{grown / 1e9:.1f} GB"}
    if isinstance(outcome, dict):
        outcome |= {"mutation": f"{name}: {words}"[:300], "seconds": f"{seconds:.1f}"}
    return outcome


def tried(kind: Any, path: Path, rng: Random, words: str) -> str | dict[str, str]:
    from tests.hostile.fuzz.trials import TOLD

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            kind.trial(path, rng)
            outcome: str | dict[str, str] = "accepted"
            if words.startswith(REFUSE):
                outcome = {"what": "accepted", "where": "", "says": words}
        except TOLD as error:
            if LOUD:
                print(error)
            outcome = _faulty_sentence(error) or "refused"
        except BaseException as error:  # that is what is looked for
            if LOUD:
                traceback.print_exc()
            outcome = _described(error)
    for warning in caught:
        if not issubclass(warning.category, DataWarning) and isinstance(outcome, str):
            at = f"{Path(warning.filename).name}:{warning.lineno}"
            name = warning.category.__name__
            outcome = {"what": name, "where": at, "says": str(warning.message)[:300]}
    return outcome


def _faulty_sentence(error: Exception) -> dict[str, str] | None:
    sentence = str(error)
    if isinstance(error, InputError) and (
        not sentence.endswith(".") or "\n" in sentence or len(sentence) > MAX_SENTENCE
    ):
        return {**_described(error), "what": "sentence"}
    return None


def _described(error: BaseException) -> dict[str, str]:
    """Type and message, and the innermost lines of ours and of all."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/fembed/" in frame.filename]
    where = [f"{frame.filename.split('/fembed/')[-1]}:{frame.lineno}" for frame in ours[-1:]]
    if frames and frames[-1] not in ours[-1:]:
        last = frames[-1]
        where.append(f"{'/'.join(last.filename.split('/')[-2:])}:{last.lineno}")
    says = " ".join(str(error).split())[:300]
    return {"what": type(error).__name__, "where": " > ".join(where), "says": says}


def _reset_peak() -> int:
    """Bytes in memory; from now on the peak is counted anew."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    return _peak()


def _peak() -> int:
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
