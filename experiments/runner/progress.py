"""Progress of everything that takes longer than two seconds, on stderr.

A terminal or a notebook gets rich's bar. A log file gets a plain line every ten seconds: no carriage returns, no bar that
freezes. What ends within two seconds shows nothing.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, Task, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from spikeplan.core.progress import OnProgress

PATIENCE_S = 2.0  # before the first sign
EVERY_S = 10.0  # between two plain lines


class Bar(Progress):
    """rich's Progress (`add_task`, `update`, `advance`), shown only when the work is not done within PATIENCE_S."""

    def __init__(self, console: Console) -> None:
        self.live_shown = console.is_terminal or console.is_jupyter
        self._over = threading.Event()
        self._watcher: threading.Thread | None = None
        super().__init__(
            TextColumn("{task.description:<34}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=console.quiet or not self.live_shown,
        )

    def start(self) -> None:
        self._over.clear()
        if self.console.quiet:
            return
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        self._over.set()
        if self._watcher is not None:
            self._watcher.join()
            self._watcher = None
        if self.live_shown:  # rich 14 ends a bar that was never shown with an empty line
            super().stop()

    def _watch(self) -> None:
        if self._over.wait(PATIENCE_S):
            return
        if self.live_shown:
            super().start()
            return
        while True:
            for task in self.tasks:
                if task.visible and not task.finished:
                    self.console.print(plain_line(task), markup=False, highlight=False, soft_wrap=True)
            if self._over.wait(EVERY_S):
                return


def plain_line(task: Task) -> str:
    """`label 37 % 1:20 left`; where the end is unknown, `label ...` and how long it has taken."""
    elapsed = task.elapsed or 0.0
    if task.total is None:
        return f"{task.description} ..." + (f" {clock(elapsed)}" if elapsed > EVERY_S else "")
    share = task.completed / task.total if task.total else 1.0
    left = f" {clock(elapsed * (1 - share) / share)} left" if 0 < share <= 1 else ""
    return f"{task.description} {100 * share:.{1 if 0 < share < 0.01 else 0}f} %{left}"


def clock(seconds: float) -> str:
    """80 -> 1:20."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def progress_bar(console: Console | None = None) -> Bar:
    """A bar to add tasks to. A `console` on stdout is swapped for stderr, so that results can be piped."""
    if console is None or (console.file is sys.stdout and not console.is_jupyter):
        console = Console(stderr=True, quiet=console is not None and console.quiet)
    return Bar(console)


@contextmanager
def working(label: str, total: float | None = None, *, console: Console | None = None) -> Iterator[Callable[[], None]]:
    """One piece of work. With a `total`, call what this yields after each of its parts.

    with working("drawing", total=len(windows)) as step:
        for window in windows:
            draw(window)
            step()
    """
    with progress_bar(console) as bar:
        live = bar.live_shown
        task = bar.add_task(escape(label) if live else label, total=total)
        yield lambda: bar.advance(task)


@contextmanager
def counted(label: str, *, console: Console | None = None) -> Iterator[OnProgress]:
    """One piece of work that says itself how far it is, by calling what this yields.

    with counted("recording") as on_progress:
        record_plans(model, episodes=8, seed=0, on_progress=on_progress)
    """
    with progress_bar(console) as bar:
        task = bar.add_task(escape(label) if bar.live_shown else label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
