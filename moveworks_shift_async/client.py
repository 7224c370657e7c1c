"""The two clients: they build the parts, open and close them, and hold the endpoints."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Literal, Self, TypedDict, Unpack

import aiohttp
from attrs import evolve

from . import settings
from .attempt import Exchange
from .clock import SYSTEM_CLOCK, Clock
from .credentials import authorizer_of
from .endpoints.auth import AuthEndpoint
from .endpoints.events import EventsEndpoint
from .endpoints.messages import MessagesEndpoint
from .endpoints.sending import Sender
from .errors import ConfigurationError
from .limits.choice import gate_at, join_gate
from .limits.gate import Gate
from .retry import RetryPolicy
from .session import SessionManager
from .settings import RateLimit, Region, Timeouts
from .telemetry.choice import Telemetry, telemetry_of
from .telemetry.log import AttemptLog
from .telemetry.watchers import OnAttempt, watch_of
from .transport.aiohttp_transport import AiohttpTransport
from .transport.port import Transport
from .validators import check_base_url, check_methods

# SHIFT documents no limit, so this one never binds; a 429 still pauses everybody for its window.
UNLIMITED = RateLimit(requests=1_000_000, per=60.0)

# What stands for the variables of an argument that is given: it can always be read.
_STAND_INS = {
    "credentials": {"MOVEWORKS_API_KEY": "given", "MOVEWORKS_CLIENT_ID": ""},
    "base_url": {"MOVEWORKS_BASE_URL": "", "MOVEWORKS_REGION": ""},
    "rate_limit": {"MOVEWORKS_REQUESTS_PER_MINUTE": "", "MOVEWORKS_SHARE": ""},
}
_SHIFT_STAND_INS = {
    "credentials": {"SHIFT_ACCESS_TOKEN": "given", "SHIFT_REFRESH_TOKEN": ""},
    "base_url": {"SHIFT_BASE_URL": "https://given.invalid"},
}


class _Options(TypedDict, total=False):
    """The arguments that both clients take."""

    base_url: str
    rate_limit: RateLimit
    retry: RetryPolicy
    timeout: Timeouts
    max_in_flight: int
    http: aiohttp.ClientSession | None
    transport: Transport | None
    gate: Gate | None
    on_attempt: OnAttempt | None
    telemetry: Telemetry
    clock: Clock


class MoveworksOptions(_Options, total=False):
    """The arguments of `MoveworksClient`."""

    credentials: settings.MoveworksCredentials


class ShiftOptions(_Options, total=False):
    """The arguments of `ShiftClient`."""

    credentials: settings.ShiftCredentials
    addressed_users: Literal["object", "list"]


class _Client:
    """What the two clients have in common: how they open and close."""

    _session: SessionManager

    @property
    def session(self) -> SessionManager:
        """What sends the calls, for faces of this package beside this one."""
        return self._session

    @property
    def gate(self) -> Gate:
        """The rate limit: `gate.snapshot()` says what is used and what the callers wait for."""
        return self._session.gate

    async def __aenter__(self) -> Self:
        self._session.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Refuse new calls, wait up to `timeout.close` seconds for those in flight, cut the rest.

        What waits for the rate limit ends at once as not sent, with one line in the log for all of
        it. A call that is cut raises `OutcomeUnknown` if its request was out, else `ClientClosed`.
        Closing twice is harmless.
        """
        await self._session.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._session.exchange.base_url} {self.gate!r}>"


class MoveworksClient(_Client):
    """The Moveworks API: `auth`, `events` and the legacy `messages`. One event loop's own.

    Use it as `async with`, or `close` it. Clients of one process with the same base URL and
    credential (client id or API key) share one rate limit, which belongs to the whole organisation.

    `base_url` is a `Region` or any https URL. `rate_limit` is what this process may use.
    `max_in_flight` bounds the requests on their way at once. `http` is an aiohttp session of
    yours, used and never closed; each request takes a new connection of it, and is sent once,
    whatever its middlewares do. Its `trust_env=True` lets the proxy variables count; the log warns
    where they are lost. `transport` takes the place of aiohttp, in tests or for good: see
    `transport.port.Transport`; it is closed with the client, and `timeout` but for `close` is its
    own business. `gate` is where the rate limit is kept: a `FileGate` shares it
    with other processes of this machine, or one of your own, see `limits.gate.Gate`.
    `on_attempt` is called with an `Attempt` after each request and its answer, repeats, token
    requests and the chunks of jobs included. It observes only: what it raises is logged once and
    dropped. It runs in the event loop, so whatever it takes long for holds up the sends.
    `telemetry` is None for spans and metrics of OpenTelemetry where the extra `otel` is installed,
    False for none. Raises `ConfigurationError` for what cannot work.
    """

    def __init__(
        self,
        credentials: settings.MoveworksCredentials,
        *,
        base_url: str = Region.US,
        rate_limit: RateLimit = RateLimit(),  # noqa: B008 - frozen
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen
        timeout: Timeouts = Timeouts(),  # noqa: B008 - frozen
        max_in_flight: int = 32,
        http: aiohttp.ClientSession | None = None,
        transport: Transport | None = None,
        gate: Gate | None = None,
        on_attempt: OnAttempt | None = None,
        telemetry: Telemetry = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        parts = (rate_limit, retry, timeout, max_in_flight, http, transport, gate, clock)
        self._session = _session(credentials, base_url, *parts, on_attempt, telemetry)
        #: What one request of a job goes through; the endpoints are the way for everybody else.
        self.sender: Sender = Sender(self._session, max_in_flight)
        self.rate_limit = rate_limit
        self._credentials = credentials
        self.auth: AuthEndpoint = AuthEndpoint(self._session)
        self.events: EventsEndpoint = EventsEndpoint(self.sender)
        self.messages: MessagesEndpoint = MessagesEndpoint(self.sender)

    @classmethod
    def from_env(cls, **instead: Unpack[MoveworksOptions]) -> Self:
        """A client from the `MOVEWORKS_` variables; `ConfigurationError` names what is missing.

        Arguments of the client that are given win, and their variables are not read.
        """
        given = _in_place(_STAND_INS, instead)
        return cls.of(settings.moveworks_from_env(instead=given), **instead)

    @classmethod
    def of(cls, found: settings.MoveworksSettings, **instead: Unpack[MoveworksOptions]) -> Self:
        """A client from settings that were read already, and arguments that win over them."""
        read: MoveworksOptions = {
            "credentials": found.credentials,
            "base_url": found.base_url,
            "rate_limit": found.rate_limit,
        }
        if "gate" not in instead and found.gate not in (None, "none"):
            read["gate"] = gate_at(found.gate)
        read.update(instead)
        return cls(**read)

    @property
    def base_url(self) -> str:
        """The server, without a slash at the end."""
        return self._session.exchange.base_url

    def identity(self, salt: str) -> str:
        """A digest of whose credential this is. It stays the same while a secret is replaced."""
        whose = settings.identity(self._credentials)
        return hashlib.sha256(f"{salt}\0{whose}".encode()).hexdigest()


class ShiftClient(_Client):
    """The SHIFT API: `messages`. One event loop's own. There is no default host.

    Use it as `async with`, or `close` it. `addressed_users` is the form in which users are
    addressed, `"object"` or `"list"`; the vendor documents both. The other arguments are those of
    `MoveworksClient`; SHIFT documents no rate limit.
    """

    def __init__(
        self,
        credentials: settings.ShiftCredentials,
        *,
        base_url: str,
        addressed_users: Literal["object", "list"] = "object",
        rate_limit: RateLimit = UNLIMITED,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen
        timeout: Timeouts = Timeouts(),  # noqa: B008 - frozen
        max_in_flight: int = 32,
        http: aiohttp.ClientSession | None = None,
        transport: Transport | None = None,
        gate: Gate | None = None,
        on_attempt: OnAttempt | None = None,
        telemetry: Telemetry = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        parts = (rate_limit, retry, timeout, max_in_flight, http, transport, gate, clock)
        self._session = _session(credentials, base_url, *parts, on_attempt, telemetry)
        from .endpoints.shift import ShiftMessagesEndpoint  # noqa: PLC0415 - as in `_refresh`

        self.messages: ShiftMessagesEndpoint = ShiftMessagesEndpoint(self._session, addressed_users)

    @classmethod
    def from_env(
        cls, *, on_refresh: settings.OnRefresh | None = None, **instead: Unpack[ShiftOptions]
    ) -> Self:
        """A client from the `SHIFT_` variables; `ConfigurationError` names what is missing.

        Arguments that are given win, and their variables are not read. `SHIFT_REFRESH_TOKEN` needs
        `on_refresh`: each refresh ends the token in the variable.
        """
        given = _in_place(_SHIFT_STAND_INS, instead)
        found = settings.shift_from_env(on_refresh=on_refresh, instead=given)
        read: ShiftOptions = {"credentials": found.credentials, "base_url": found.base_url}
        read.update(instead)
        return cls(**read)


def _in_place(stand_ins: Mapping[str, dict[str, str]], given: Iterable[str]) -> dict[str, str]:
    """What stands for the variables of the arguments that are given."""
    return {name: value for one in given for name, value in stand_ins.get(one, {}).items()}


class _User:
    """A client, as its gate knows it; it goes with the client's session."""


def _session(
    credentials: settings.MoveworksCredentials | settings.ShiftCredentials,
    base_url: str,
    rate_limit: RateLimit,
    retry: RetryPolicy,
    timeout: Timeouts,
    max_in_flight: int,
    http: aiohttp.ClientSession | None,
    transport: Transport | None,
    gate: Gate | None,
    clock: Clock,
    on_attempt: OnAttempt | None,
    telemetry: Telemetry,
) -> SessionManager:
    """The parts of either client, put together."""
    if not isinstance(max_in_flight, int) or max_in_flight < 1:
        raise ConfigurationError("max_in_flight must be a whole number of at least 1")
    url = check_base_url(base_url)
    if http is not None and http.connector is not None:
        # The caller's pool must not become the queue: waiting there would use up the timeout.
        rooms = (http.connector.limit, http.connector.limit_per_host)
        max_in_flight = min(max_in_flight, *(room for room in rooms if room))
    exchange = Exchange(_transport(url, timeout, http, transport, clock), url, clock)
    authorizer = authorizer_of(credentials, exchange, rate_limit.per, clock)
    if not authorizer.renews:
        retry = evolve(retry, replay_unauthenticated=False)
    user, organisation = _User(), settings.organisation(url, credentials)
    if on_attempt is not None:
        exchange.watchers.add(watch_of(on_attempt))
    gate = join_gate(gate, user, organisation, rate_limit, max_in_flight, clock)
    exchange.watchers.add(AttemptLog(gate.snapshot, rate_limit.per, clock))
    traced = telemetry_of(telemetry, clock)
    if traced is not None:
        exchange.watchers.add(traced.watch)
        traced.measure(gate, url)
    return SessionManager(
        exchange,
        authorizer,
        gate,
        retry=retry,
        timeouts=timeout,
        clock=clock,
        telemetry=traced,
        on_closed=partial(gate.leave, user),
    )


def _transport(
    url: str,
    timeout: Timeouts,
    http: aiohttp.ClientSession | None,
    transport: Transport | None,
    clock: Clock,
) -> Transport:
    """The caller's, or one through aiohttp."""
    if transport is None:
        # A session of the caller's uses its own proxy; it is only said if this one is lost by that.
        named = settings.proxy_from_env if http is None else settings.named_proxy
        proxy = named(url)
        return AiohttpTransport(timeout, http=http, proxy=proxy, clock=clock)
    if http is not None:
        raise ConfigurationError("give http or transport, not both")
    check_methods(transport, Transport)
    return transport
