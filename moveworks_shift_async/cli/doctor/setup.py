"""What is examined, and what the checks before have found."""

from __future__ import annotations

from attrs import define, evolve, field

from ...client import MoveworksClient
from ...limits.choice import gate_at
from ...retry import RetryPolicy
from ...settings import (
    MoveworksCredentials,
    MoveworksSettings,
    RateLimit,
    Timeouts,
    proxy_from_env,
)
from ...transport.aiohttp_transport import AiohttpTransport
from ...wire.http import Request, Response

# Seconds. Who waits longer for a diagnosis takes it for a command that hangs.
TIMEOUTS = Timeouts(connect=4.0, total=8.0)
# One request for one call: what is met is what is told.
_ONCE = evolve(RetryPolicy.none(), deadline=TIMEOUTS.total)


@define(eq=False, repr=False)
class Recorder:
    """The transport of every client, which remembers the last answer to each kind of request."""

    _inner: AiohttpTransport
    #: By the name of their route.
    answers: dict[str, Response]

    @classmethod
    def to(cls, base_url: str, answers: dict[str, Response]) -> Recorder:
        """One that goes the way of every client to this server."""
        return cls(AiohttpTransport(TIMEOUTS, proxy=proxy_from_env(base_url)), answers)

    async def exchange(self, request: Request) -> Response:
        """As the transport inside."""
        answer = await self._inner.exchange(request)
        self.answers.pop(request.route.name, None)  # the last one stands last
        self.answers[request.route.name] = answer
        return answer

    async def close(self) -> None:
        """As the transport inside."""
        await self._inner.close()


@define(eq=False, repr=False, kw_only=True)
class Setup:
    """The settings as far as they are good, and what is known of the server by now."""

    credentials: MoveworksCredentials | None = None
    base_url: str | None = None
    rate_limit: RateLimit = field(factory=RateLimit)
    #: The user named a rate.
    rate_named: bool = False
    #: What `MOVEWORKS_GATE` says.
    gate: str | None = None
    #: The place of a gate that can be used; None: this process counts alone.
    usable_gate: str | None = None
    #: What a connection is made to: the proxy if there is one, else the server.
    next_url: str | None = field(default=None, repr=False)
    #: The name leads somewhere.
    resolved: bool = False
    #: A connection came about.
    connected: bool = False
    #: A token was had, or none is needed.
    has_token: bool = False
    #: The credential was accepted.
    let_in: bool = False
    #: A message is on its way, or was when it was cut: somebody may have been told.
    maybe_told: bool = False
    #: The last answers, by the name of their route, in the order in which they came.
    answers: dict[str, Response] = field(factory=dict)
    #: Which of the documented variants this tenant shows.
    traits: list[str] = field(factory=list)

    @property
    def settings(self) -> MoveworksSettings | None:
        """Those of a client; None: its credential or its server is missing."""
        if self.credentials is None or self.base_url is None:
            return None
        return MoveworksSettings(
            credentials=self.credentials,
            base_url=self.base_url,
            rate_limit=self.rate_limit,
            gate=self.usable_gate,
        )


def client_of(settings: MoveworksSettings, answers: dict[str, Response]) -> MoveworksClient:
    """One that asks once, and remembers what was answered."""
    return MoveworksClient(
        settings.credentials,
        base_url=settings.base_url,
        rate_limit=settings.rate_limit,
        retry=_ONCE,
        transport=Recorder.to(settings.base_url, answers),
        gate=None if settings.gate is None else gate_at(settings.gate),
    )
