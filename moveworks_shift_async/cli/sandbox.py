"""`moveworks-shift sandbox`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import click

from ..errors import ConfigurationError, InvalidInput
from ..sandbox import FAULTS, LIMITER_NAMES, Sandbox
from .failures import ExitCode
from .shared_options import Number, option, options
from .signals import on_signal, run_loop
from .terminal import say

# Faults concern the messages of either vendor; the auth test and tokens stay as they are.
_FAMILIES = ("send", "shift")


_options = options(
    option("--port", metavar="PORT", default=0, type=click.IntRange(0, 65535),
           show_default="any free port", help="The loopback port."),
    option("--limit", metavar="N", default=120, type=click.IntRange(min=1),
           help="Requests in a window."),
    option("--window", metavar="SECONDS", default=60.0, type=Number(min=0, min_open=True),
           help="Seconds of the window."),
    option("--limiter", metavar="NAME", default="sliding-log", type=click.Choice(LIMITER_NAMES),
           help=f"How requests are counted: {', '.join(LIMITER_NAMES)}."),
    option("--burst", metavar="N", default=10, type=click.IntRange(min=1),
           help="Requests that a full token bucket holds."),
    option("--retry-after", type=click.Choice(["seconds", "date"]),
           show_default="no such header", help="The form of Retry-After in a 429."),
    option("--latency", metavar="SECONDS", default=0.0, type=Number(min=0),
           help="Seconds before each answer."),
    option("--token-lifetime", metavar="SECONDS", default=3600.0, type=Number(min=0),
           help="Seconds that an access token works."),
    option("--any-event", is_flag=True, help="Every UUID is a known event."),
    option("--fault", metavar="KIND=RATE", multiple=True,
           help="Part of the messages, 0 to 1, that meets a fault; repeatable:"
                f" {', '.join(FAULTS)}."),
    option("--seed", metavar="N", default=0, help="For the faults' random numbers."),
)  # fmt: skip


@click.command()
@_options
def sandbox(*, fault: tuple[str, ...], **settings: Any) -> int:
    """Run a Moveworks and a SHIFT on this machine until Ctrl-C."""
    server = Sandbox(**settings)
    _add_faults(server, fault)
    run_loop(_serve(server))
    return ExitCode.OK


def _add_faults(server: Sandbox, faults: Sequence[str]) -> None:
    for fault in faults:
        kind, _, number = fault.partition("=")
        try:
            probability = float(number)
        except ValueError:
            raise InvalidInput("--fault must be KIND=RATE, with a rate from 0 to 1") from None
        for family in _FAMILIES:
            server.faults.rate(family, kind, probability)


async def _serve(server: Sandbox) -> None:
    """Serve until the first Ctrl-C."""
    task = asyncio.create_task(server.serve_forever(_announce))
    try:
        with on_signal(asyncio.get_running_loop(), task.cancel):
            await task
    except asyncio.CancelledError:
        return
    except OSError as error:
        raise ConfigurationError(
            f"the sandbox cannot listen on port {server.port}: {error.strerror};"
            " choose another --port"
        ) from None


def _announce(server: Sandbox) -> None:
    say(f"sandbox at {server.url}, until Ctrl-C")
    say(f"export MOVEWORKS_BASE_URL={server.url} MOVEWORKS_API_KEY={server.api_key}")
    say(
        f"export SHIFT_BASE_URL={server.url} SHIFT_CLIENT_ID={server.shift_client_id}"
        f" SHIFT_CLIENT_SECRET={server.shift_client_secret}"
    )
    say(f"event id: {server.event_id}")
    say(f"inbox: {server.url}/")
