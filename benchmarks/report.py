"""Values against their bars: the table on the screen and the JSON beside it."""

from __future__ import annotations

import json
import math
import operator
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from benchmarks import machine
from benchmarks.options import RESULTS, Common
from benchmarks.timing import Clock
from fembed.errors import InputError

QUIET = 0.1  # processors that others may use before the table says so

Relation = Literal[">=", ">", "<=", "<"]


@dataclass(frozen=True)
class Bar:
    """What a value has to reach."""

    relation: Relation
    limit: float

    def met(self, value: float) -> bool:
        """Whether ``value`` reaches it, unrounded; a value that is not finite never does."""
        if not (math.isfinite(value) and math.isfinite(self.limit)):
            return False
        relations = {">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt}
        return bool(relations[self.relation](value, self.limit))


@dataclass(frozen=True)
class Check:
    """One row of the table: with a bar a test, without one an information.

    ``value`` is None for what was not measured; ``note`` then says why.
    """

    what: str
    value: float | None
    unit: str = ""
    bar: Bar | None = None
    digits: int = 2
    note: str = ""

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
            "digits": self.digits,
            "note": self.note,
        }


@dataclass
class Report:
    """All that one benchmark found; created before it measures, so that it sees what
    other processes did meanwhile.
    """

    benchmark: str
    options: Common
    checks: list[Check] = field(default_factory=list)
    measures: dict[str, Any] = field(default_factory=dict)  # every sample behind the checks
    tables: list[Table] = field(default_factory=list)  # more to print, before the checks
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    clock: Clock = field(default_factory=Clock)
    others: machine.OtherWork = field(default_factory=machine.OtherWork)

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
            "options": self.options.shown(),
            "threads": self.options.threads,
            "cores_used_by_others": self.others.cores(),
            **machine.facts(),
            "checks": [check.to_dict() for check in self.checks],
            "measures": self.measures,
        }

    def finish(self) -> int:
        """Print the tables, write the JSON; exit status 1 if a bar is not met."""
        path = self.options.output or RESULTS / f"{self.benchmark}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(finite(self.to_dict()), indent=1, allow_nan=False)
        path.write_text(text + "\n", encoding="utf-8")
        console = Console(width=None if sys.stdout.isatty() else 160, highlight=False, markup=False)
        colours = {"met": "green", "NOT MET": "bold red", "SKIPPED": "yellow"}
        values = table(
            f"fembed benchmarks: {self.benchmark}",
            ("what", "value", "bar", "", "note"),
            [check.row() for check in self.checks],
            left=("what", "", "note"),
            styles=[colours.get(check.verdict) for check in self.checks],
        )
        console.print(*self.tables, values, sep="\n")
        others = self.others.cores()
        if others is not None and others > QUIET:
            console.print(
                f"NOT A QUIET MACHINE: other processes used {others:.2f} processors on average, "
                "so no speed above is a measurement.",
                style="bold red",
            )
        barred = sum(check.met is not None for check in self.checks)
        skipped = sum(check.verdict == "SKIPPED" for check in self.checks)
        console.print(
            f"{barred - len(self.missed)} of {barred} bars met, {skipped} skipped; "
            f"{self.clock.seconds:.0f} s, {self.options.threads} threads, "
            f"{machine.cpu_model()}; {path}"
        )
        return 1 if self.missed else 0


def table(
    title: str,
    headings: Iterable[str],
    rows: Iterable[Iterable[str]],
    *,
    left: tuple[str, ...] = (),
    styles: Iterable[str | None] = (),
) -> Table:
    """A table of the screen; the columns of ``left`` are words, the others numbers."""
    made = Table(title=title, title_justify="left")
    for heading in headings:
        made.add_column(heading, justify="left" if heading in left else "right")
    for row, style in zip_longest(rows, styles):
        made.add_row(*row, style=style)
    return made


def say(text: str) -> None:
    """A line of progress."""
    print(text, flush=True)


def finite(value: Any) -> Any:
    """For JSON, which has no NaN and no infinity: they become null; NumPy's numbers Python's."""
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if hasattr(value, "tolist"):
        return finite(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value


def read(path: Path) -> dict[str, Any]:
    """A result file; `InputError` for anything else."""
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        document["benchmark"], document["checks"], document["measures"]
    except (OSError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a result file of the benchmarks ({error}).") from None
    return document
