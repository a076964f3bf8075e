"""Values against their bars: the table on the screen and the JSON beside it."""

from __future__ import annotations

import json
import math
import os
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from benchmarks import hardware
from benchmarks.memory import peak_bytes
from benchmarks.otherwork import OtherWork
from benchmarks.timing import Clock

RESULTS = Path(__file__).parent / "results"
QUIET = 0.1  # processors that others may use before the table says so

Relation = Literal[">=", ">", "<=", "<"]
Better = Literal["higher", "lower"]

#: Which way is better for a value in this unit.
BETTER: dict[str, Better] = {
    **dict.fromkeys(("s", "MB", "%"), "lower"),
    **dict.fromkeys(("it/s", "samples/s", "M pairs/s", "GFLOP/s"), "higher"),
}


@dataclass(frozen=True)
class Bar:
    """What a value has to reach."""

    relation: Relation
    limit: float

    def met(self, value: float) -> bool:
        """Whether ``value`` reaches it, unrounded; a value that is not finite never does."""
        if not (math.isfinite(value) and math.isfinite(self.limit)):
            return False
        if self.relation == ">=":
            return value >= self.limit
        if self.relation == ">":
            return value > self.limit
        return value < self.limit if self.relation == "<" else value <= self.limit


@dataclass(frozen=True)
class Check:
    """One row of the table: with a bar a test, without one an information.

    ``value`` is None for what was not measured; ``note`` then says why. ``better`` is what
    `benchmarks compare` goes by; the bar or the unit says it if it is not given.
    """

    what: str
    value: float | None
    unit: str = ""
    bar: Bar | None = None
    digits: int = 2
    note: str = ""
    better: Better | None = None

    @property
    def direction(self) -> Better | None:
        """Which way is better; None for a value that is neither."""
        if self.better is None and self.bar is not None:
            return "higher" if self.bar.relation in (">=", ">") else "lower"
        return self.better or BETTER.get(self.unit)

    @property
    def met(self) -> bool | None:
        """None where there is no bar, or nothing was measured."""
        if self.bar is None or self.value is None:
            return None
        return self.bar.met(self.value)

    @property
    def verdict(self) -> str:
        if self.bar is None:
            return "" if self.value is not None else "SKIPPED"
        return {True: "met", False: "NOT MET", None: "SKIPPED"}[self.met]

    def shown(self, number: float | None) -> str:
        if number is None or math.isnan(number):
            return "-"
        return f"{number:,.{self.digits}f} {self.unit}".strip()

    def row(self) -> tuple[str, str, str, str, str]:
        bar = "" if self.bar is None else f"{self.bar.relation} {self.shown(self.bar.limit)}"
        return self.what, self.shown(self.value), bar, self.verdict, self.note

    def to_dict(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "value": self.value,
            "unit": self.unit,
            "relation": self.bar.relation if self.bar else None,
            "bar": self.bar.limit if self.bar else None,
            "met": self.met,
            "better": self.direction,
            "digits": self.digits,
            "note": self.note,
        }


@dataclass
class Report:
    """All that one benchmark found; created before it measures, so that it sees what
    other processes did meanwhile.

    Attributes
    ----------
    options : dict
        What the command was asked for.
    measures : dict
        Every sample behind the checks, the losses among them; JSON-able.
    tables : list
        More to print, before the checks.
    """

    benchmark: str
    threads: int
    options: dict[str, Any]
    checks: list[Check] = field(default_factory=list)
    measures: dict[str, Any] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    clock: Clock = field(default_factory=Clock)
    others: OtherWork = field(default_factory=OtherWork)

    def add(self, what: str, value: float | None, bar: Bar | None = None, **details: Any) -> None:
        """A row: ``details`` are the unit, the digits to show and a note."""
        self.checks.append(Check(what, value, bar=bar, **details))

    @property
    def missed(self) -> list[Check]:
        return [check for check in self.checks if check.met is False]

    def to_dict(self) -> dict[str, Any]:
        return {
            "benchmark": self.benchmark,
            "started": self.started,
            "seconds": self.clock.seconds,
            "options": self.options,
            "threads": self.threads,
            "hardware": hardware.hardware(),
            "cores_used_by_others": self.others.cores(),
            "versions": hardware.versions(),
            "thread_pools": hardware.thread_pools(),
            "environment": {name: os.environ.get(name) for name in THREAD_VARIABLES},
            "peak_bytes": peak_bytes(),
            "checks": [check.to_dict() for check in self.checks],
            "measures": self.measures,
        }

    def table(self) -> Table:
        table = Table(title=f"fembed benchmarks: {self.benchmark}", title_justify="left")
        for heading in ("what", "value", "bar", "", "note"):
            table.add_column(heading, justify="right" if heading in ("value", "bar") else "left")
        colours = {"met": "green", "NOT MET": "bold red", "SKIPPED": "yellow"}
        for check in self.checks:
            table.add_row(*check.row(), style=colours.get(check.verdict))
        return table

    def finish(self, output: Path | None = None) -> int:
        """Print the table, write the JSON; exit status 1 if a bar is not met."""
        path = output or RESULTS / f"{self.benchmark}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            json.dumps(_json_able(self.to_dict()), indent=1, allow_nan=False) + "\n",
            encoding="utf-8",
        )
        console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
        for table in (*self.tables, self.table()):
            console.print(table)
        skipped = sum(check.verdict == "SKIPPED" for check in self.checks)
        barred = sum(check.met is not None for check in self.checks)
        others = self.others.cores()
        if others is not None and others > QUIET:
            console.print(
                f"NOT A QUIET MACHINE: other processes used {others:.2f} processors on average, "
                "so no speed above is a measurement.",
                style="bold red",
            )
        console.print(
            f"{barred - len(self.missed)} of {barred} bars met, {skipped} skipped; "
            f"{self.clock.seconds:.0f} s, {self.threads} threads, "
            f"{hardware.cpu_model()}; {path}"
        )
        return 1 if self.missed else 0


def _json_able(value: Any) -> Any:
    """JSON has no NaN and no infinity: they become null."""
    if isinstance(value, dict):
        return {str(key): _json_able(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_able(item) for item in value]
    if isinstance(value, float):  # NumPy's float64 among them
        return float(value) if math.isfinite(value) else None
    return value


#: Settings of the environment that change what is measured.
THREAD_VARIABLES = (
    *("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "OMP_PROC_BIND", "GOMP_SPINCOUNT"),
    *("OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE", "MKL_NUM_THREADS"),
)
