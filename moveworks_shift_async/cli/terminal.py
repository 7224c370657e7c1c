"""What reaches the terminal: free of control characters, and never the end of a send.

Texts of servers and names of files and columns may hold control sequences. A reader that is gone
(`| head`) must not stop a bulk send in its middle.
"""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import click

from ..storage.system import reason
from ..text import one_line
from .failures import ExitCode

if TYPE_CHECKING:
    from rich.console import RenderableType


def say(text: str) -> None:
    """Write what has become of people or of a file, to stdout.

    Whether it could be written changes no exit code: what was done was done.
    """
    if not _written(text):
        note("All else was done; the exit code says how it ended.")


def show(text: str) -> None:
    """Write the result of a command that does nothing but show it: it fails with the writing."""
    if not _written(text):
        raise click.exceptions.Exit(ExitCode.USAGE)


def _written(text: str) -> bool:
    try:
        click.echo(text)
    except BrokenPipeError:
        sys.stdout = io.StringIO()  # else the interpreter complains when it flushes at its end
    except OSError as error:
        unwritten(error)
        return False
    return True


def unwritten(error: OSError) -> None:
    """Say that a full disk, for instance, has not taken the result."""
    sys.stdout = io.StringIO()
    note(f"Error: the result could not be written: {one_line(reason(error))}.")


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
    from rich.console import Console  # noqa: PLC0415 - most commands draw nothing

    console = Console(stderr=err, highlight=False)
    with console.capture() as captured:
        console.print(renderable)
    return captured.get().rstrip("\n")
