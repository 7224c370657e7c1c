"""Where progress is shown: a bar on a terminal, a plain line now and then without one."""

from __future__ import annotations

import sys

from attrs import define, field
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..jobs.run.progress import JobProgress
from ..text import people
from .terminal import note

# Seconds between two plain lines: often at first, then so that the log of a long send stays short.
_PLAIN_FIRST, _PLAIN_LAST = 2.0, 10.0
# The same while it waits for a window, perhaps all night.
_PLAIN_WAITING = 1800.0


class View:
    """Where progress is shown; this one shows none."""

    def show(self, progress: JobProgress) -> None:
        """Show this moment."""

    def note(self, text: str) -> None:
        """Say something beside it, on stderr."""
        note(text)

    def close(self) -> None:
        """Leave the screen as it is."""


def make_view() -> View:
    """The bar where stderr is a terminal that can draw one."""
    console = Console(stderr=True, highlight=False)
    drawable = sys.stderr is not None and sys.stderr.isatty() and console.is_interactive
    return Bar(console) if drawable else Lines()


@define(eq=False)
class Lines(View):
    """A line every few seconds."""

    _next: float = field(default=_PLAIN_FIRST, init=False)
    #: Until when it waited as the last line was written.
    _waits: float | None = field(default=None, init=False)

    def show(self, progress: JobProgress) -> None:
        """Write a line, if the last one is old, or it begins or ends to wait for a window."""
        same, self._waits = progress.waits_until == self._waits, progress.waits_until
        if (same and progress.elapsed < self._next) or progress.finished:
            return
        pause = min(max(_PLAIN_FIRST, progress.elapsed / 10), _PLAIN_LAST)
        if progress.waits_until is not None:
            pause = _PLAIN_WAITING
        self._next = progress.elapsed + pause
        parts = (
            f"{progress.done:,} of {people(progress.expected)}",
            progress.counts(),
            progress.time_left(),
            progress.why,
        )
        note("; ".join(filter(None, parts)))


@define(eq=False)
class Bar(View):
    """A bar and two lines under it, redrawn in place."""

    _console: Console
    _live: Live = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._live = Live(console=self._console, auto_refresh=False)

    def show(self, progress: JobProgress) -> None:
        """Draw this moment."""
        self._live.start()  # only the first time does anything
        self._live.update(_drawing(progress), refresh=True)

    def note(self, text: str) -> None:
        """Write it above the bar."""
        self._console.print(Text(text))

    def close(self) -> None:
        """End the redrawing."""
        self._live.stop()


def _drawing(progress: JobProgress) -> RenderableType:
    line = Table.grid(padding=(0, 2), expand=True)
    line.add_column(ratio=1)
    line.add_column(no_wrap=True)
    line.add_row(
        ProgressBar(total=progress.expected, completed=progress.done),
        Text(f"{progress.done:,} of {people(progress.expected)}"),
    )
    state = ", ".join(filter(None, (progress.why, progress.time_left())))
    counts = Text(progress.counts())
    return Group(line, counts, Text(state, style="dim")) if state else Group(line, counts)
