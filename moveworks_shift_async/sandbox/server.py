"""`Sandbox`: a Moveworks and a SHIFT on one loopback port, with a record of what they did."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Self

from aiohttp import web
from attrs import Factory, define, field, validators

from ..clock import SYSTEM_CLOCK, Clock
from .admin import PREFIX, admin_page
from .app import App, FaultOptions
from .decisions import Variants
from .fault_answers import RetryAfter
from .faults import FaultPlan
from .ledger import KEEP, Ledger, Received
from .limiters import LIMITER_NAMES, Limiter, LimiterName, make_limiter
from .listener import Listener
from .moveworks import MoveworksVendor
from .shift import ShiftVendor
from .sums import Stats


@define(eq=False, kw_only=True)
class Sandbox:
    """Both vendors over real HTTP, from `async with` to its end.

    All options are keywords with working defaults. The records, the tokens and the port
    outlive the block: entered again, the same sandbox goes on at the same address.
    """

    #: Requests that the organisation may make in each window; the vendor's number.
    limit: int = field(default=120, validator=validators.gt(0))
    #: Seconds of the window; the vendor's minute, or less where nobody wants to wait.
    window: float = field(default=60.0, validator=validators.gt(0))
    #: How requests are counted; the vendor does not say.
    limiter: LimiterName = field(default="sliding-log", validator=validators.in_(LIMITER_NAMES))
    #: Requests that a full token bucket holds.
    burst: int = field(default=10, validator=validators.gt(0))
    #: The form of `Retry-After` in a 429; None: no such header, as documented.
    retry_after: RetryAfter | None = field(
        default=None, validator=validators.in_((None, "seconds", "date"))
    )
    #: Token requests count against the limit; auth tests always do.
    count_tokens: bool = False
    #: Seconds that an access token works, with either vendor.
    token_lifetime: float = field(default=3600.0, validator=validators.ge(0))
    #: The `expires_in` of token answers; None: the truth.
    expires_in: float | None = None
    #: Seconds between a decision and its answer.
    latency: float = field(default=0.0, validator=validators.ge(0))
    #: Each request counts as arrived up to this many seconds late, at random.
    jitter: float = field(default=0.0, validator=validators.ge(0))
    #: Every UUID is a known event.
    any_event: bool = False
    #: SHIFT's teams and users that do not exist; all others do.
    unknown_ids: frozenset[str] = field(default=frozenset(), converter=frozenset)
    #: The side taken where public documents disagree.
    variants: Variants = field(factory=Variants)
    fault_options: FaultOptions = field(factory=FaultOptions)
    host: str = "127.0.0.1"
    #: 0: any free port, kept from then on.
    port: int = 0
    #: Bytes of records to keep; the oldest requests are forgotten first, and that is said.
    keep: int = field(default=KEEP, validator=validators.ge(0))
    #: For fault rates and jitter.
    seed: int = 0
    clock: Clock = SYSTEM_CLOCK

    client_id: str = "3f0e2c1a-5a0d-4c7e-9b59-0d5f5a3c7e10"
    client_secret: str = field(default="mws_sandbox_client_secret", repr=False)
    api_key: str = field(default="sandbox_api_key", repr=False)
    #: The one event that exists.
    event_id: str = "7d9f7a54-3f9e-4c37-8a57-3b1a8f0f6a21"
    shift_client_id: str = "c0a7d2f4-9a54-4a0e-8a8d-5c8f7e6b1d32"
    shift_client_secret: str = field(default="b8f5a1c6-7d43-4e2f-9c1b-2a6e4d8f0b43", repr=False)

    #: Faults: `script`, `rate`, `clear`, `load`, `pending`.
    faults: FaultPlan = field(
        init=False,
        repr=False,
        default=Factory(
            lambda self: FaultPlan(seed=self.seed, storm=self.fault_options.storm),
            takes_self=True,
        ),
    )
    _app: App = field(init=False, repr=False)
    _listener: Listener = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._app = self._new_app()
        self._listener = Listener(
            handler=self._serve, host=self.host, port=self.port, clock=self.clock
        )

    # Open and close

    async def __aenter__(self) -> Self:
        await self._listener.open()
        self.port = self._listener.port
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop at once: hanging requests end with their connection."""
        await self._listener.close()

    async def serve_forever(self, started: Callable[[Sandbox], None] | None = None) -> None:
        """Run until cancelled; `started` is called once the address is known."""
        async with self:
            if started is not None:
                started(self)
            await asyncio.get_running_loop().create_future()

    @property
    def url(self) -> str:
        """The address of both vendors, without a slash at its end; known from the entry on."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    # Connections refused

    async def stop_listening(self) -> None:
        """Refuse connections; idle ones end now, those with a request after its answer."""
        await self._listener.stop_listening()

    async def start_listening(self) -> None:
        """Accept connections again, on the same port."""
        await self._listener.start_listening()

    async def refuse(self, seconds: float) -> None:
        """Refuse connections for some seconds; returns when they are accepted again."""
        await self._listener.refuse(seconds)

    def refuse_soon(self, seconds: float) -> None:
        """Refuse connections for some seconds from the next turn of the event loop on."""
        self._listener.refuse_soon(seconds)

    # Credentials

    def issue_token(self) -> str:
        """A Moveworks token without a request for it."""
        return self._app.moveworks.issue_token(self.clock.now())

    def issue_shift_tokens(self) -> tuple[str, str]:
        """SHIFT's access token and refresh token, as after a login."""
        return self._app.shift.issue_tokens(self.clock.now())

    def expire_tokens(self) -> None:
        """End every access token of both vendors now; refresh tokens go on."""
        self._app.moveworks.expire_tokens(self.clock.now())
        self._app.shift.expire_tokens(self.clock.now())

    # Records

    def received(self, after: int = 0, limit: int | None = None) -> Received:
        """Who was told, how often, and every request, since the start or the last reset.

        Only requests with a number above `after`, and at most `limit` of them.
        """
        return self._app.ledger.received(after, limit)

    def stats(self) -> Stats:
        """The numbers, since the start or the last reset."""
        return self._app.ledger.stats()

    def counting(self) -> Callable[[], Stats]:
        """The requests as they are now; what is returned gives their `stats`, in any thread."""
        return self._app.ledger.counting()

    def reset(self) -> None:
        """Forget records, faults and used quota; tokens and the address stay."""
        self._app.ledger.reset()
        self._app.faults.clear()
        self._app.limiter = self._new_limiter()

    def _new_limiter(self) -> Limiter:
        return make_limiter(self.limiter, limit=self.limit, window=self.window, burst=self.burst)

    def _new_app(self) -> App:
        return App(
            clock=self.clock,
            moveworks=self._new_moveworks(),
            shift=self._new_shift(),
            limiter=self._new_limiter(),
            faults=self.faults,
            ledger=Ledger(window=self.window, start=self.clock.now(), keep=self.keep),
            variants=self.variants,
            options=self.fault_options,
            window=self.window,
            retry_after=self.retry_after,
            count_tokens=self.count_tokens,
            latency=self.latency,
            jitter=self.jitter,
        )

    def _new_moveworks(self) -> MoveworksVendor:
        return MoveworksVendor(
            client_id=self.client_id,
            client_secret=self.client_secret,
            api_key=self.api_key,
            event_id=self.event_id,
            any_event=self.any_event,
            token_lifetime=self.token_lifetime,
            expires_in=self.expires_in,
            variants=self.variants,
        )

    def _new_shift(self) -> ShiftVendor:
        return ShiftVendor(
            client_id=self.shift_client_id,
            client_secret=self.shift_client_secret,
            unknown_ids=self.unknown_ids,
            token_lifetime=self.token_lifetime,
            expires_in=self.expires_in,
            variants=self.variants,
        )

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path.startswith(PREFIX):
            return await admin_page(self, request)
        return await self._app.serve(request)
