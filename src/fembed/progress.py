"""Progress of a long call: a bar in a terminal or a notebook, a line now and then for a command.

Nothing is shown in a pipeline, a log or a worker.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from fembed.train import Progress

#: A terminal of so many columns has room for the losses of held-out samples and the steps.
WIDE = 100
#: Seconds between two lines, where there is no terminal to draw a bar in.
SECONDS_PER_LINE = 30.0
#: Seconds between two changes of a notebook's bar.
SECONDS_PER_CHANGE = 0.25


class Bar:
    """Shows how much is done; a context, which removes the bar at its end.

    Parameters
    ----------
    verbose : bool, optional
        None shows a bar in notebooks only.
    lines : callable, optional
        Without a terminal, it is given a line of text every half minute, as commands do.
    """

    def __init__(
        self, verbose: bool | None = None, *, lines: Callable[[str], None] | None = None
    ) -> None:
        self._display: _Display | None = None
        if verbose is not False and in_notebook():
            self._display = _Notebook()
        elif verbose and sys.stderr is not None and sys.stderr.isatty():
            self._display = _Terminal()
        elif verbose and lines is not None:
            self._display = _Lines(lines)
        self._furthest = (0, 0)

    @property
    def shown(self) -> bool:
        """Whether anything is shown."""
        return self._display is not None

    def show(self, stage: str, done: int, total: int, detail: str = "") -> None:
        """Show that ``done`` of ``total`` is done, in a stage with a name.

        The bar does not move back when training returns to its best state.
        """
        if self._display is None:
            return
        if total == self._furthest[0]:
            done = max(done, self._furthest[1])
        self._furthest = total, done
        self._display.show(stage, done, total, detail)

    def training(self, progress: Progress) -> None:
        """Show a report of a training."""
        losses = f"loss {progress.loss:.4g}"
        if progress.held_out_loss is not None:
            losses += f", held out {progress.held_out_loss:.4g}"
        self.show(progress.stage, progress.step, progress.n_steps, losses)

    def training_callback(
        self, callback: Callable[[Progress], None] | None
    ) -> Callable[[Progress], None] | None:
        """A callback of a training that moves this bar and then calls ``callback``."""
        if self._display is None:
            return callback

        def told(progress: Progress) -> None:
            self.training(progress)
            if callback is not None:
                callback(progress)

        return told

    def case_callback(
        self, what: str, callback: Callable[[int, int, Any], None] | None
    ) -> Callable[[int, int, Any], None]:
        """A callback ``(n_done, n_cases, result)`` that moves this bar and calls ``callback``."""

        def told(n_done: int, n_cases: int, result: Any) -> None:
            self.show(what, n_done, n_cases)
            if callback is not None:
                callback(n_done, n_cases, result)

        return told

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._display is not None:
            self._display.close()


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")  # a kernel has imported it
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")


class _Display(Protocol):
    def show(self, stage: str, done: int, total: int, detail: str) -> None: ...

    def close(self) -> None: ...


class _Terminal:
    """A bar on standard error that fits sixty columns, and moves while a stage takes its time."""

    def __init__(self) -> None:
        # Rich is imported only where there is a bar: it takes a third of a second.
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            Progress,
            SpinnerColumn,
            TaskProgressColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.table import Column

        console = Console(stderr=True)
        self._wide = console.width >= WIDE
        fixed = Column(no_wrap=True)
        last = [TimeRemainingColumn(compact=True)] if self._wide else []
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", table_column=fixed),
            BarColumn(bar_width=None if self._wide else 10),
            TaskProgressColumn(),
            TextColumn("{task.fields[detail]}", table_column=fixed),
            TimeElapsedColumn(),
            *last,
            console=console,
            transient=True,
            refresh_per_second=4,  # drawing takes processor time from the training
        )
        self._bar.start()
        self._task = self._bar.add_task("starting", total=None, detail="")

    def show(self, stage: str, done: int, total: int, detail: str) -> None:
        if not self._wide:
            detail = detail.partition(",")[0]
        elif total > 0:
            detail = f"{done:,} of {total:,}  {detail}"
        self._bar.update(
            self._task, description=stage, completed=done, total=total or None, detail=detail
        )

    def close(self) -> None:
        self._bar.stop()


class _Notebook:
    """A bar below the cell, which is emptied at the end."""

    def __init__(self) -> None:
        from IPython.display import HTML, display

        self._html: Any = HTML
        self._handle = display(HTML(""), display_id=True)
        self._last = 0.0

    def show(self, stage: str, done: int, total: int, detail: str) -> None:
        now = time.monotonic()
        if now - self._last < SECONDS_PER_CHANGE and done < total:
            return
        self._last = now
        self._handle.update(
            self._html(
                f'<progress value="{done}" max="{max(1, total)}"></progress> '
                f"{stage} {done:,} of {total:,} {detail}"
            )
        )

    def close(self) -> None:
        self._handle.update(self._html(""))


class _Lines:
    """A line now and then, for whoever reads the output of a job later."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._begin = self._last = time.monotonic()

    def show(self, stage: str, done: int, total: int, detail: str) -> None:
        now = time.monotonic()
        if now - self._last < SECONDS_PER_LINE:
            return
        self._last = now
        seconds = f"{now - self._begin:.0f} s"
        text = f"{stage}: {done:,} of {total:,} after {seconds}" + (f", {detail}" if detail else "")
        self._tell(text)

    def close(self) -> None:
        pass
