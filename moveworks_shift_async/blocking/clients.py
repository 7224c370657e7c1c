"""The two clients for code without an event loop. Any number of threads may use one."""

from __future__ import annotations

from typing import Generic, Literal, Self, TypeVar, Unpack

from .. import client as aio
from .. import settings
from ..clock import SYSTEM_CLOCK, Clock
from ..limits.gate import Gate
from ..retry import RetryPolicy
from ..settings import RateLimit, Region, Timeouts
from ..telemetry.choice import Telemetry
from ..telemetry.watchers import OnAttempt
from ..transport.port import Transport
from .endpoints import AuthEndpoint, EventsEndpoint, MessagesEndpoint, ShiftMessagesEndpoint
from .portal import Calling, Portal, portal

C = TypeVar("C", "aio.MoveworksClient", "aio.ShiftClient")


class _Client(Generic[C]):
    """What the two clients have in common: how they open and close."""

    _portal: Portal
    _client: C

    def _adopt(self, client: C) -> None:
        """Be the face of it."""
        self._portal, self._client = portal(), client
        self._portal.clients.add(self)

    @property
    def gate(self) -> Gate:
        """The rate limit: `gate.snapshot()` says what is used and what the callers wait for."""
        return self._client.gate

    def __enter__(self) -> Self:
        Calling(self._portal, self._client.__aenter__).result()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Refuse new calls, wait up to `timeout.close` seconds for those in flight, cut the rest.

        Closing twice is harmless, and so is closing in a fork of the process.
        """
        if self._portal.is_here:
            Calling(self._portal, self._client.close).result()
            self._portal.clients.discard(self)

    def __repr__(self) -> str:
        return f"<blocking {self._client!r}>"


class MoveworksClient(_Client["aio.MoveworksClient"]):
    """The Moveworks API: `auth`, `events` and the legacy `messages`.

    Use it as `with`, or `close` it; what is still open is closed when the process ends. The
    arguments are those of the async client, but for `http`, which belongs to an event loop of the
    caller's. `on_attempt` is called in the loop's thread, and must not call the client.
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
        transport: Transport | None = None,
        gate: Gate | None = None,
        on_attempt: OnAttempt | None = None,
        telemetry: Telemetry = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._adopt(
            aio.MoveworksClient(
                credentials,
                base_url=base_url,
                rate_limit=rate_limit,
                retry=retry,
                timeout=timeout,
                max_in_flight=max_in_flight,
                transport=transport,
                gate=gate,
                on_attempt=on_attempt,
                telemetry=telemetry,
                clock=clock,
            )
        )

    def _adopt(self, client: aio.MoveworksClient) -> None:
        super()._adopt(client)
        parts = self._portal, client.session, client
        self.auth: AuthEndpoint = AuthEndpoint(*parts)
        self.events: EventsEndpoint = EventsEndpoint(*parts)
        self.messages: MessagesEndpoint = MessagesEndpoint(*parts)

    @classmethod
    def from_env(cls, **instead: Unpack[aio.MoveworksOptions]) -> Self:
        """A client from the `MOVEWORKS_` variables; `ConfigurationError` names what is missing.

        Arguments of the client that are given win, and their variables are not read.
        """
        return cls._around(aio.MoveworksClient.from_env(**instead))

    @classmethod
    def of(cls, found: settings.MoveworksSettings, **instead: Unpack[aio.MoveworksOptions]) -> Self:
        """A client from settings that were read already, and arguments that win over them."""
        return cls._around(aio.MoveworksClient.of(found, **instead))

    @classmethod
    def _around(cls, client: aio.MoveworksClient) -> Self:
        face = cls.__new__(cls)
        face._adopt(client)
        return face

    @property
    def of_loop(self) -> aio.MoveworksClient:
        """The async client, for a job that is run in the same loop; `ClientClosed` after a fork."""
        self._portal.check()
        return self._client

    @property
    def rate_limit(self) -> RateLimit:
        """What this process may use."""
        return self._client.rate_limit

    @property
    def base_url(self) -> str:
        """The server, without a slash at the end."""
        return self._client.base_url

    def identity(self, salt: str) -> str:
        """A digest of whose credential this is. It stays the same while a secret is replaced."""
        return self._client.identity(salt)


class ShiftClient(_Client["aio.ShiftClient"]):
    """The SHIFT API: `messages`. There is no default host. Otherwise as `MoveworksClient`."""

    def __init__(
        self,
        credentials: settings.ShiftCredentials,
        *,
        base_url: str,
        addressed_users: Literal["object", "list"] = "object",
        rate_limit: RateLimit = aio.UNLIMITED,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen
        timeout: Timeouts = Timeouts(),  # noqa: B008 - frozen
        max_in_flight: int = 32,
        transport: Transport | None = None,
        gate: Gate | None = None,
        on_attempt: OnAttempt | None = None,
        telemetry: Telemetry = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._adopt(
            aio.ShiftClient(
                credentials,
                base_url=base_url,
                addressed_users=addressed_users,
                rate_limit=rate_limit,
                retry=retry,
                timeout=timeout,
                max_in_flight=max_in_flight,
                transport=transport,
                gate=gate,
                on_attempt=on_attempt,
                telemetry=telemetry,
                clock=clock,
            )
        )

    def _adopt(self, client: aio.ShiftClient) -> None:
        super()._adopt(client)
        self.messages: ShiftMessagesEndpoint = ShiftMessagesEndpoint(
            self._portal, client.session, client
        )

    @classmethod
    def from_env(
        cls, *, on_refresh: settings.OnRefresh | None = None, **instead: Unpack[aio.ShiftOptions]
    ) -> Self:
        """A client from the `SHIFT_` variables; `ConfigurationError` names what is missing.

        Arguments that are given win, and their variables are not read. `SHIFT_REFRESH_TOKEN` needs
        `on_refresh`, which is called in the loop's thread.
        """
        face = cls.__new__(cls)
        face._adopt(aio.ShiftClient.from_env(on_refresh=on_refresh, **instead))
        return face
