"""What the server says: to token requests, to the auth test, of the time, and to a message."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit

from ...attempt import Exchange
from ...errors import (
    BadRequest,
    DeadlineExceeded,
    MoveworksError,
    NotAuthenticated,
    OutcomeUnknown,
    RateLimited,
    TokenUnavailable,
)
from ...settings import ClientCredentials, MoveworksSettings, TokenForm
from ...text import covered, duration
from ...wire.http import Response
from ...wire.moveworks import parse_token, token_request
from ...wire.status import http_date
from ...wire.token import Token
from ..failures import what_happened
from ..preflight import nobody_told
from .finding import Finding, failed, ok, skipped, warning
from .setup import Recorder, Setup, client_of

# Seconds. A `Date` has whole seconds, and an answer is on its way for some.
CLOCK_RUNS_WITHIN = 10.0
_MESSAGE = "This is a test: moveworks-shift doctor was asked to send it to you."
_OTHER_REGIONS = "doctor --all-regions asks every region's host, which then sees the credential"
_CHECKS: Mapping[TokenForm, str] = {"form": "token as form", "json": "token as JSON"}


async def tokens(setup: Setup) -> list[Finding]:
    """The token request in either form that the vendor documents."""
    settings = setup.settings
    if settings is None or not setup.connected:
        return [skipped(check, _why_not(setup)) for check in _CHECKS.values()]
    match settings.credentials:
        case ClientCredentials() as client:
            return await _tokens(setup, settings.base_url, client)
    setup.has_token = True
    setup.traits.append("API key")
    return [skipped(check, "an API key needs none") for check in _CHECKS.values()]


async def _tokens(setup: Setup, base_url: str, client: ClientCredentials) -> list[Finding]:
    ends = {form: await _token(setup, base_url, client, form) for form in _CHECKS}
    shapes = {form: end for form, end in ends.items() if isinstance(end, str)}
    setup.has_token = bool(shapes)
    setup.traits += [_CHECKS[form] for form in shapes] + sorted({*shapes.values()})
    if any(isinstance(end, NotAuthenticated) for end in ends.values()):
        setup.traits.append(_error_shape(setup.answers["token"]))
    return [_of_token(_CHECKS[form], end, setup) for form, end in ends.items()]


async def _token(
    setup: Setup, base_url: str, client: ClientCredentials, form: TokenForm
) -> str | MoveworksError:
    """What its answer looks like, or why there is none."""
    recorder = Recorder.to(base_url, setup.answers)
    asked = token_request(client, form)
    try:
        token = await Exchange(recorder, base_url).send(asked, parse_token)
    except MoveworksError as error:
        return nobody_told(error, urlsplit(base_url).netloc)
    finally:
        await recorder.close()
    return _shape(setup.answers[asked.route.name], token)


def _shape(answer: Response, token: Token) -> str:
    content = answer.json()
    wrapped = isinstance(content, Mapping) and isinstance(content.get("data"), Mapping)
    life = "without expires_in" if token.expires_in is None else f"for {token.expires_in:g} s"
    return f"{'wrapped in data' if wrapped else 'flat'} {life}"


def _of_token(check: str, end: str | MoveworksError, setup: Setup) -> Finding:
    if isinstance(end, str):
        return ok(check, f"a token, {end}")
    if setup.has_token and isinstance(end, BadRequest):
        return ok(check, f"not taken (HTTP {end.status}), so clients ask in the other form")
    if _has_no_time(end):
        return warning(check, what_happened(end), end.advice)
    return failed(check, end, more=_OTHER_REGIONS if isinstance(end, NotAuthenticated) else "")


async def auth_test(setup: Setup) -> Finding:
    """The credential, as `moveworks-shift auth test` asks."""
    settings = setup.settings
    if settings is None or not setup.connected or not setup.has_token:
        return skipped("auth test", _why_not(setup))
    try:
        async with client_of(settings, setup.answers) as client:
            text = await client.auth.test()
    except NotAuthenticated as error:
        setup.traits.append(_error_shape(setup.answers["auth.test"]))
        return failed("auth test", error, more=_OTHER_REGIONS)
    except MoveworksError as error:
        if _has_no_time(error):
            return warning("auth test", what_happened(error), error.advice)
        raise nobody_told(error, urlsplit(settings.base_url).netloc) from None
    setup.let_in = True
    setup.traits.append(f"auth text under {_text_key(setup.answers['auth.test'])}")
    return ok("auth test", f"the server says: {covered(text)}")


def _has_no_time(error: MoveworksError) -> bool:
    """The server is there, and the limit is used up just now."""
    if isinstance(error, TokenUnavailable) and error.cause is not None:
        error = error.cause
    return isinstance(error, (RateLimited, DeadlineExceeded))


def _error_shape(answer: Response) -> str:
    content = answer.json()
    nested = isinstance(content, Mapping) and isinstance(content.get("error"), Mapping)
    return f"errors {'nested in error' if nested else 'flat'}"


def _text_key(answer: Response) -> str:
    return "Message" if b'"Message"' in answer.body else "message"


async def clock(setup: Setup) -> Finding:
    """This machine's clock against the `Date` of the server's last answer."""
    dates = [(one.received, http_date(one.headers.get("date"))) for one in setup.answers.values()]
    ahead = [(here - there).total_seconds() for here, there in dates if here and there]
    if not ahead:
        return skipped("clock", "no answer names the time")
    if abs(ahead[-1]) < CLOCK_RUNS_WITHIN:
        return ok("clock", "as the server's")
    where = "ahead of" if ahead[-1] > 0 else "behind"
    told = f"this machine's clock is {duration(abs(ahead[-1]))} {where} the server's"
    return warning("clock", told, "See that the clock of this machine is right")


async def message(setup: Setup, settings: MoveworksSettings, to: str, event: str | None) -> Finding:
    """One message to oneself."""
    setup.maybe_told = True
    try:
        async with client_of(settings, setup.answers) as client:
            if event is None:
                receipt = await client.messages.send(_MESSAGE, [to])
            else:
                receipt = await client.events.send(event, _MESSAGE, [to])
    except MoveworksError as error:
        return failed("message", error)
    except asyncio.CancelledError as cancelled:
        setup.maybe_told = isinstance(cancelled.__cause__, OutcomeUnknown)
        raise
    said = f"HTTP {receipt.status} with {receipt.state or 'no word'}"
    setup.traits.append(f"a message answered by {said}")
    return ok("message", f"accepted by {said}; see that it arrives")


def _why_not(setup: Setup) -> str:
    """Why nothing can be asked of the server."""
    if setup.credentials is None:
        return "there is no credential"
    return "there is no token" if setup.connected else "there is no connection to the server"
