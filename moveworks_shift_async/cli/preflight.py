"""Is the server there, and does it take the credential? Asked before anybody is told anything."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from urllib.parse import urlsplit

from ..client import MoveworksClient
from ..clock import SYSTEM_CLOCK
from ..errors import (
    BadRequest,
    Concerns,
    ConnectionFailed,
    MoveworksError,
    NotAllowed,
    Outcome,
    RateLimited,
    TokenUnavailable,
)
from ..text import duration
from .failures import what_happened
from .signals import cancel_on_signal
from .terminal import note

# Seconds in which it must answer, so that a command without a server fails within ten seconds,
# while whoever started it is still looking.
SECONDS_TRIED = 8.0
# Seconds before it is asked again; each wait is twice the last.
_AGAIN = 0.5


async def check_server(client: MoveworksClient, requests: int) -> None:
    """Ask once more than the `requests` that follow; raise the `MoveworksError` that it met.

    Nothing is asked where the question would take the last place in the window from a message, or
    where the limit is used up just now: by requests to the same server with the same credential.
    """
    gate = client.gate.snapshot()
    without, beside = (gate.seconds_for(count) or 0.0 for count in (requests, requests + 1))
    if beside - without > SECONDS_TRIED or gate.next_in:
        return
    # These say that the server is there; only a message can show whether it would be refused, too.
    with suppress(RateLimited, NotAllowed, BadRequest):
        await ask(client)


async def ask(client: MoveworksClient) -> str:
    """The server's answer to an auth test. Without a usable one it is tried again for a while."""
    with cancel_on_signal("the network"):
        return await _ask(client, urlsplit(client.base_url).netloc)


async def _ask(client: MoveworksClient, host: str) -> str:
    until, wait, said = SYSTEM_CLOCK.now() + SECONDS_TRIED, _AGAIN, False
    while True:
        ahead = client.gate.snapshot().next_in
        said = said or _said_to_wait(ahead)
        try:
            async with asyncio.timeout(SECONDS_TRIED):
                return await client.auth.test(once=True)
        except TimeoutError:
            if not ahead and not client.gate.snapshot().next_in:
                raise ConnectionFailed(
                    f"no answer from {host} within {SECONDS_TRIED:.0f} s"
                ) from None
            # The limit took some of the time, so the server had less than all of it.
            until = SYSTEM_CLOCK.now() + SECONDS_TRIED
            continue
        except MoveworksError as error:
            failure = nobody_told(error, host)
            if not _may_pass(error) or SYSTEM_CLOCK.now() + wait > until:
                raise failure from None
        if wait == _AGAIN:
            note(f"{what_happened(failure)}; trying again for {SECONDS_TRIED:.0f} s")
        await SYSTEM_CLOCK.sleep(wait)
        wait *= 2


def _said_to_wait(seconds: float) -> bool:
    """Say how long the limit makes it wait, if that is long enough to be noticed."""
    if seconds < 1:
        return False
    known = f"{duration(math.ceil(seconds))} " if math.isfinite(seconds) else ""
    note(f"waiting {known}for the rate limit")
    return True


def _may_pass(error: MoveworksError) -> bool:
    """What was met may be true of this moment only."""
    if isinstance(error, TokenUnavailable) and error.cause is not None:
        error = error.cause
    moment = isinstance(error, ConnectionFailed) or error.outcome is Outcome.UNKNOWN
    return moment and error.concerns is Concerns.THIS_LIST


def nobody_told(error: MoveworksError, host: str) -> MoveworksError:
    """An auth test that may have been processed has told nobody all the same."""
    if error.outcome is not Outcome.UNKNOWN:
        return error
    told = what_happened(error).removeprefix("sent, but no usable answer: ")
    return ConnectionFailed(f"no usable answer from {host}: {told}")
