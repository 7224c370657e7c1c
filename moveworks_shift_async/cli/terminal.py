"""What reaches the terminal: free of control characters, and never the end of a send.

Texts of servers and names of files and columns may hold control sequences. A reader that is gone
(`| head`) must not stop a bulk send in its middle.
"""

from __future__ import annotations

import io
import sys

import click
from rich.console import Console, RenderableType


def plain(text: object) -> str:
    """`text` as one line of printable characters."""
    return " ".join("".join(map(_printable, str(text))).split())


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() else "?"


def say(text: str) -> None:
    """Write the result, to stdout."""
    try:
        click.echo(text)
    except BrokenPipeError:
        sys.stdout = io.StringIO()  # else the interpreter complains when it flushes at its end
    except OSError as error:
        sys.stdout = io.StringIO()
        note(f"Error: the result could not be written: {plain(error.strerror)}.")


def note(text: str, *, end: str = "\n") -> None:
    """Write everything else, to stderr."""
    try:
        click.echo(text + end, err=True, nl=False)
    except OSError:
        sys.stderr = io.StringIO()


def ask(question: str) -> bool:
    """Put a question to the terminal; anything but a yes is a no."""
    # Not click.confirm: it may write a part of its prompt to stdout, which belongs to --json.
    note(f"{question} [y/N] ", end="")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def render(renderable: RenderableType, *, err: bool) -> str:
    """What rich makes of it for that stream, without the last line's end."""
    console = Console(stderr=err, highlight=False)
    with console.capture() as captured:
        console.print(renderable)
    return captured.get().rstrip("\n")


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """A count with its noun: `1 request`, `2,535 people`."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def people(count: int) -> str:
    """`1 person`, `2,535 people`."""
    return plural(count, "person", "people")


def duration(seconds: float) -> str:
    """Seconds for a reader: `4.3 s`, `12 s`, `2 min 05 s`, `1 h 02 min`."""
    whole = round(seconds)
    if seconds < 10 and seconds != whole:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(whole, 60)
    if not minutes:
        return f"{whole} s"
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_left:02} min"
    return f"{minutes} min {rest:02} s" if rest else f"{minutes} min"
