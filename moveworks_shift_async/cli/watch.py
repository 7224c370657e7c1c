"""`moveworks-shift watch`: a job as a page that lives."""

from __future__ import annotations

import asyncio

import click

from ..errors import ConfigurationError
from ..jobs.store.names import store_of
from ..text import one_line
from ..watch.look import Watched
from ..watch.server import PageServer
from .failures import ExitCode
from .shared_options import journal_argument, option
from .signals import on_signal, run_loop
from .terminal import say


@click.command()
@journal_argument
@option("--port", metavar="PORT", default=0, type=click.IntRange(0, 65535),
        show_default="any free port", help="The loopback port.")  # fmt: skip
@option(
    "--read-only",
    is_flag=True,
    help="Without buttons: whoever has the address can look, and change nothing.",
)
def watch(journal: str, port: int, read_only: bool) -> int:
    """Show a job as a page that lives, until Ctrl-C.

    The page is the report's, kept as the job stands, with buttons that pause and stop it. It is for
    browsers on this machine. The address has a random word: whoever knows it may press the buttons.
    The job is not disturbed, nor is it this command that runs it.
    """
    store = store_of(journal)
    watched = Watched(store, not read_only)
    run_loop(_serve(PageServer(watched, port, read_only), store.name, port))
    return ExitCode.OK


async def _serve(server: PageServer, name: str, port: int) -> None:
    """Serve until the first Ctrl-C."""
    ended = asyncio.Event()
    try:
        with on_signal(asyncio.get_running_loop(), ended.set):
            await server.open()
            say(f"{one_line(name)}: {server.url} until Ctrl-C")
            await ended.wait()
    except OSError as error:
        raise ConfigurationError(
            f"the page cannot be served on port {port}: {error.strerror}; choose another --port"
        ) from None
    finally:
        await server.close()
