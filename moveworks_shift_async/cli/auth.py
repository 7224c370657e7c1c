"""`moveworks-shift auth test`."""

from __future__ import annotations

from typing import Any

import click

from ..client import MoveworksClient
from ..errors import MoveworksError
from ..settings import MoveworksSettings
from ..text import one_line
from .failures import ExitCode, error_line, exit_code
from .preflight import ask
from .shared_options import MOVEWORKS_EPILOG, moveworks_settings, server_options
from .signals import run_loop
from .terminal import note, show


@click.group()
def auth() -> None:
    """The credential."""


@auth.command("test", epilog=MOVEWORKS_EPILOG)
@server_options
@click.pass_context
def auth_test(context: click.Context, /, **_: Any) -> int:
    """Check the credential and print the server's text. Nobody is told anything."""
    settings = moveworks_settings(context)
    try:
        text = run_loop(_test(settings))
    except MoveworksError as error:
        note(error_line(error, went_out="This test tells nobody anything"))
        return exit_code(error)
    show(one_line(text) or "The credential was accepted.")
    return ExitCode.OK


async def _test(settings: MoveworksSettings) -> str:
    async with MoveworksClient.of(settings) as client:
        return await ask(client)
