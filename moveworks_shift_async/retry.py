"""What is sent again, and after how long. The only layer that repeats anything.

Whether a repeat is safe is decided by what the failure says about the recipients, never by the
method or by hope:

=====================================  =====================================================
failure                                sent again
=====================================  =====================================================
`ConnectionFailed`, token unreachable  yes, after an exponential wait with jitter
`RateLimited` (429)                    yes; the wait is the gate's, which all callers share
`NotAuthenticated` (401, dead token)   once, with a new token
unknown (reset, timeout, 5xx, …)       only if `on_unknown="resend"`, or if nobody can be told
                                       by the request (the auth test)
anything else                          no
=====================================  =====================================================
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Literal, TypeVar

from attrs import define, field, frozen, validators

from .errors import (
    Concerns,
    ConnectionFailed,
    MoveworksError,
    NotAuthenticated,
    Outcome,
    RateLimited,
    TokenUnavailable,
)
from .validators import number, one_of

if TYPE_CHECKING:
    from tenacity import RetryCallState
    from tenacity.wait import wait_base

T = TypeVar("T")
OnUnknown = Literal["report", "resend"]


@frozen(kw_only=True)
class RetryPolicy:
    """How often and how patiently one call is repeated."""

    #: Requests for one call that end in a failed connection or, with `"resend"`, unknown.
    attempts: int = field(default=6, validator=number(least=1))
    #: Requests for one call that are answered 429. The waits between them grow to a window,
    #: so this is about 25 minutes of a minute's windows.
    throttled: int = field(default=30, validator=number(least=1))
    #: Upper bound of the first wait in seconds; it doubles, and each wait is drawn below it.
    backoff: float = field(default=1.0, validator=number(least=0))
    #: Upper bound of every wait in seconds.
    backoff_max: float = field(default=30.0, validator=number(least=0))
    #: `"report"`: an unknown outcome is told to the caller. `"resend"`: it is sent again, and
    #: people may be told twice.
    on_unknown: OnUnknown = field(default="report", validator=one_of("report", "resend"))
    #: Seconds a call may take with all its waits; it fails before a wait that would outlast it.
    deadline: float | None = field(default=None, validator=validators.optional(number(above=0)))
    #: Whether a 401 is answered with a new token and one repeat.
    replay_unauthenticated: bool = True

    @classmethod
    def none(cls) -> RetryPolicy:
        """One request for one call, whatever happens."""
        return cls(attempts=1, throttled=1, replay_unauthenticated=False)


@define(eq=False, repr=False)
class Attempts:
    """The failures of one call so far, and so whether another request follows."""

    policy: RetryPolicy
    #: Asked after an unknown outcome: whether somebody may be told by the request.
    may_tell: Callable[[], bool] = lambda: True
    failed: int = 0
    throttled: int = 0
    replayed: bool = False

    def again(self, error: BaseException) -> bool:
        """Count `error` and say whether the call goes on."""
        match error:
            case RateLimited() | TokenUnavailable(cause=RateLimited()):
                self.throttled += 1
                return self.throttled < self.policy.throttled
            case NotAuthenticated():
                replayed, self.replayed = self.replayed, True
                return self.policy.replay_unauthenticated and not replayed
            case MoveworksError():
                self.failed += 1
                return self._may_repeat(error) and self.failed < self.policy.attempts
            case _:
                return False

    def _may_repeat(self, error: MoveworksError) -> bool:
        if isinstance(error, (TokenUnavailable, ConnectionFailed)):
            return error.concerns is Concerns.THIS_LIST
        unknown = error.outcome is Outcome.UNKNOWN
        return unknown and (self.policy.on_unknown == "resend" or not self.may_tell())


async def repeat(
    attempt: Callable[[], Awaitable[T]],
    policy: RetryPolicy,
    *,
    sleep: Callable[[float], Awaitable[None]],
    may_tell: Callable[[], bool],
) -> T:
    """Await `attempt` until it returns or the policy gives up; then raise its last error.

    `may_tell` says whether somebody may be told by the request. `sleep` may raise to end the call.
    """
    try:
        return await attempt()
    except MoveworksError as error:
        # Without a file descriptor left the import below would fail, and hide what was met.
        if not Attempts(policy, may_tell=may_tell).again(error):
            raise
        failures = [error]

    async def following() -> T:
        if failures:
            raise failures.pop()
        return await attempt()

    # tenacity takes over with the first failure, which it counts anew: a call that succeeds has no
    # use for it, and would pay a fifth of its processor time for it.
    import tenacity  # noqa: PLC0415 - imported at the first failure, not with the package

    backoff = tenacity.wait_random_exponential(multiplier=policy.backoff, max=policy.backoff_max)
    loop = tenacity.AsyncRetrying(
        sleep=sleep,
        retry=tenacity.retry_if_exception(Attempts(policy, may_tell=may_tell).again),
        wait=lambda state: _wait(state, backoff),
        reraise=True,
    )
    return await loop(following)


def _wait(state: RetryCallState, backoff: wait_base) -> float:
    """Seconds before the next request, the gate's own wait not counted."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, (RateLimited, NotAuthenticated)):
        return 0.0
    if isinstance(error, TokenUnavailable) and error.retry_after is not None:
        return max(error.retry_after, backoff(state))
    return backoff(state)
