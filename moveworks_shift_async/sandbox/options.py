"""How a sandbox behaves: its limit, its answers, its faults and its credentials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from attrs import define, field, frozen, validators

from ..clock import SYSTEM_CLOCK, Clock
from .decisions import Variants
from .limiters import LIMITER_NAMES, LimiterName
from .rules import Message

RetryAfter = Literal["seconds", "date"]

# Bytes of records: five million recipients with ordinary addresses, and some room.
KEEP = 96 * 1024**2


@frozen(kw_only=True)
class FaultOptions:
    """How long and how far faults go."""

    #: Seconds of a slow answer.
    slow: float = 1.0
    #: Seconds after which a silent connection is reset, if the client has not gone before.
    silence: float = 300.0
    #: Requests in a row that a throttle storm refuses.
    storm: int = 3
    #: Where redirects point: scheme and host of somebody else.
    elsewhere: str = "http://elsewhere.invalid"


@define(eq=False, kw_only=True)
class Options:
    """What one is made with. All are keywords with working defaults."""

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
    #: Called in the sandbox's loop with each message of Moveworks that people are told.
    on_told: Callable[[Message], None] | None = None

    client_id: str = "3f0e2c1a-5a0d-4c7e-9b59-0d5f5a3c7e10"
    client_secret: str = field(default="mws_sandbox_client_secret", repr=False)
    api_key: str = field(default="sandbox_api_key", repr=False)
    #: The one event that exists.
    event_id: str = "7d9f7a54-3f9e-4c37-8a57-3b1a8f0f6a21"
    shift_client_id: str = "c0a7d2f4-9a54-4a0e-8a8d-5c8f7e6b1d32"
    shift_client_secret: str = field(default="b8f5a1c6-7d43-4e2f-9c1b-2a6e4d8f0b43", repr=False)

    def promised_seconds(self) -> float:
        """The `expires_in` of a token; whole seconds as an integer, as the vendors print them."""
        seconds = self.token_lifetime if self.expires_in is None else self.expires_in
        return int(seconds) if seconds == int(seconds) else seconds
