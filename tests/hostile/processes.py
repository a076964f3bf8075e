"""Commands in processes of their own, small data for them, and what they leave behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

MARK = "FEMBED_TRIAL"
N_SAMPLES, N_GENES = 60, 80
#: A quick fit, of a second or so.
QUICK = ("--hidden", "8", "--gene-components", "4", "--n-threads", "1")
CASES = ("--label", "group", "--hidden", "8", "--gene-components", "4", "--epochs", "3")
POOL = ("--n-workers", "2", "--n-threads", "1")
SWEEP = ("--weight-decay", "0,1e-6", "--no-held-out", "--classifier-steps", "5", "--no-figures")
COMMANDS: dict[str, tuple[str, ...]] = {
    "fit": ("data.csv", "-o", "fitted", "--embedding", "map.csv", "--epochs", "200", *QUICK),
    "project": ("model", "new.csv", "-o", "new_map.csv", "--n-threads", "1"),
    "impute": ("model", "new.csv", "-o", "imputed.csv", "--n-threads", "1"),
    "aberrant": ("model", "new.csv", "-o", "aberrant.csv", "--n-threads", "1"),
    "calibrate": ("model", "data.csv", "-o", "calibrated", "--n-threads", "1"),
    "extend": ("model", "new.csv", "--training", "data.csv", "-o", "grown", "--n-threads", "1"),
    "decode": ("model", "points.csv", "-o", "decoded.csv", "--n-threads", "1"),
    "evaluate": ("data.h5ad", "-o", "found", "--dims", "2", "--folds", "3", *CASES, *POOL),
    "sweep": ("data.h5ad", "-o", "swept", *CASES, *SWEEP, *POOL),
    "plot": ("model", "-o", "map.html", "--n-threads", "1"),
    "report": ("model", "--data", "data.h5ad", "-o", "report.html", "--n-threads", "1"),
    "info": ("model",),
    "demo": ("-o", "tour", "--epochs", "1", "--n-threads", "1"),
}
#: What a command needs of what `prepare` writes.
INPUTS = ("data.csv", "data.h5ad", "new.csv", "points.csv", "model")
# A fit that keeps its state every fifth of a second, as one of hours does every minute.
_SHORT_STEPS = """
from fembed.stopping import heeded
with heeded():
    from fembed.train import checkpoint, trainer
    checkpoint.SECONDS, trainer.SECONDS_PER_CALL = 0.2, 5e-3
    from fembed.commands.app import main
    main()
"""


def prepare(folder: Path) -> None:
    """Write `INPUTS` into ``folder``."""
    from anndata import AnnData

    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    groups = np.arange(N_SAMPLES + 10) % 3
    counts = rng.poisson(np.exp(rng.normal(3.0, 1.0, size=(3, N_GENES)))[groups])
    names = pd.Index([f"s{i}" for i in range(len(groups))])
    table = pd.DataFrame(counts, names, pd.Index([f"GENE{j}" for j in range(N_GENES)]))
    table[:N_SAMPLES].to_csv(folder / "data.csv")
    table[N_SAMPLES:].to_csv(folder / "new.csv")
    obs = pd.DataFrame({"group": [f"g{k}" for k in groups]}, names)
    values = table.to_numpy(np.float32)[:N_SAMPLES]
    adata = AnnData(values, obs[:N_SAMPLES], pd.DataFrame(index=table.columns))
    adata.write_h5ad(folder / "data.h5ad")
    command = ("fit", "data.csv", "-o", "model", "--embedding", "points.csv", "--epochs", "3")
    done = subprocess.run(line(*command, *QUICK), cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def line(command: str, *options: str) -> list[str]:
    """The command line; of a fit, one that keeps its state often."""
    program = ["-c", _SHORT_STEPS] if command == "fit" else ["-m", "fembed"]
    return [sys.executable, *program, command, *options]


def fresh(folder: Path, inputs: Path) -> Path:
    """A new folder with the inputs."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in INPUTS:
        source = inputs / name
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, folder / name)
    return folder


class Run:
    """One command that runs in a session of its own, marked so that all its processes are found."""

    def __init__(self, command: str, folder: Path, options: Sequence[str] | None = None) -> None:
        self.mark = uuid.uuid4().hex
        self._stderr = folder.parent / f"{folder.name}.stderr"
        with open(self._stderr, "w") as stderr:
            self.process = subprocess.Popen(
                line(command, *(COMMANDS[command] if options is None else options)),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                env={**os.environ, MARK: self.mark, "OMP_NUM_THREADS": "1"},
                start_new_session=True,
                preexec_fn=_heed,
            )

    def end(self, patience: float) -> int | None:
        """The exit status; None if it runs on, and is then killed with all that it has started."""
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.sweep_up()
            return None

    def left(self, patience: float) -> list[str]:
        """Command lines of the processes that are still there after so many seconds."""
        until = time.monotonic() + patience
        while (found := self._marked()) and time.monotonic() < until:
            time.sleep(0.05)
        return [_command_line(pid) for pid in found]

    def sweep_up(self) -> None:
        """End whatever is left of it."""
        for pid in self._marked():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()

    def told(self) -> str:
        """What it said on standard error."""
        return self._stderr.read_text(errors="replace")

    def _marked(self) -> list[int]:
        wanted = f"{MARK}={self.mark}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    if wanted in (entry / "environ").read_bytes():
                        found.append(int(entry.name))
                except OSError:
                    continue
        return found


def _heed() -> None:
    """Undo what ``nohup`` and the background of a shell leave: signals that are ignored."""
    for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(kind, signal.SIG_DFL)


def _command_line(pid: int) -> str:
    try:
        content = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return f"process {pid}, gone"
    return content.replace(b"\0", b" ").decode(errors="replace")[:120]


def outputs(folder: Path) -> dict[str, Path]:
    """Every file that is no input, by its path within the folder."""
    return {
        str(path.relative_to(folder)): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).parts[0] not in INPUTS
    }
