"""What is sent again, how often, and after how long."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

import pytest

from moveworks_shift_async.errors import (
    BadRequest,
    BadResponse,
    ClientClosed,
    ConfigurationError,
    ConnectionFailed,
    DeadlineExceeded,
    InvalidInput,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    RefusedByServer,
    ServerFailed,
    TokenUnavailable,
)
from moveworks_shift_async.retry import Attempts, RetryPolicy, repeat

REPORT = RetryPolicy(attempts=3, throttled=4)
RESEND = RetryPolicy(attempts=3, throttled=4, on_unknown="resend")

CONNECTION = ConnectionFailed("no connection")
THROTTLED = RateLimited("slow down", status=429)
DEAD_TOKEN = NotAuthenticated("who are you", status=401)
UNREACHABLE = TokenUnavailable("no token", cause=ServerFailed("x", status=503), retry_after=1.0)
HOPELESS = TokenUnavailable("the refresh token is used up")
NO_TOKEN_YET = TokenUnavailable("no token", cause=THROTTLED, retry_after=60.0)
UNKNOWN: tuple[Exception, ...] = (
    OutcomeUnknown("reset"),
    ServerFailed("broken", status=500),
    BadResponse("odd"),
)
FINAL: tuple[BaseException, ...] = (
    InvalidInput("x"),
    ConfigurationError("x"),
    ClientClosed("x"),
    DeadlineExceeded("x"),
    HOPELESS,
    RefusedByServer("x", status=302),
    BadRequest("x", status=400),
    NotAllowed("x", status=403),
    NotFound("x", status=404),
    ValueError("a defect"),
    asyncio.CancelledError(),
    KeyboardInterrupt(),
)
#: A failure, met again and again, and whether the call goes on each time.
TWICE_MORE, THRICE_MORE, ONCE_MORE, NEVER = (
    [True, True, False],
    [True, True, True, False],
    [True, False],
    [False],
)


def kind_of(value: object) -> str | None:
    """A test's id for an error."""
    return type(value).__name__ if isinstance(value, BaseException) else None


@pytest.mark.parametrize("policy", [REPORT, RESEND], ids=["report", "resend"])
@pytest.mark.parametrize("may_tell", [True, False])
@pytest.mark.parametrize(
    ("error", "answers"),
    [
        (CONNECTION, TWICE_MORE),
        (UNREACHABLE, TWICE_MORE),
        (THROTTLED, THRICE_MORE),
        (NO_TOKEN_YET, THRICE_MORE),
        (DEAD_TOKEN, ONCE_MORE),
        *((error, NEVER) for error in FINAL),
    ],
    ids=kind_of,
)
def test_failures_that_surely_told_nobody(
    policy: RetryPolicy, may_tell: bool, error: BaseException, answers: list[bool]
) -> None:
    """What surely was not processed is repeated or not, whatever the policy says of unknowns."""
    attempts = Attempts(policy, may_tell=lambda: may_tell)
    assert [attempts.again(error) for _ in answers] == answers


@pytest.mark.parametrize(
    ("policy", "may_tell", "answers"),
    [
        (REPORT, True, NEVER),
        (REPORT, False, TWICE_MORE),
        (RESEND, True, TWICE_MORE),
        (RESEND, False, TWICE_MORE),
    ],
)
@pytest.mark.parametrize("error", UNKNOWN, ids=kind_of)
def test_unknown_outcomes(
    policy: RetryPolicy, may_tell: bool, answers: list[bool], error: Exception
) -> None:
    """An unknown outcome is sent again only if the caller said so or nobody can be told."""
    attempts = Attempts(policy, may_tell=lambda: may_tell)
    assert [attempts.again(error) for _ in answers] == answers


@pytest.mark.parametrize("error", [CONNECTION, THROTTLED, DEAD_TOKEN, *UNKNOWN], ids=kind_of)
def test_no_policy_repeats_nothing(error: Exception) -> None:
    """`RetryPolicy.none()` is one request, even where a repeat would be safe."""
    assert not Attempts(RetryPolicy.none(), may_tell=lambda: False).again(error)


def test_a_429_is_no_failed_attempt() -> None:
    """Throttled requests are counted by themselves and use up none of the attempts."""
    attempts = Attempts(REPORT)
    met = [THROTTLED, CONNECTION, THROTTLED, CONNECTION, THROTTLED]
    assert all(attempts.again(error) for error in met)
    assert (attempts.throttled, attempts.failed) == (3, 2)
    assert not attempts.again(THROTTLED)


def test_a_401_is_replayed_once_in_a_call() -> None:
    """The second 401 ends the call, also after other failures between the two."""
    attempts = Attempts(REPORT)
    assert attempts.again(DEAD_TOKEN)
    assert attempts.again(CONNECTION)
    assert not attempts.again(DEAD_TOKEN)
    assert attempts.failed == 1


@pytest.mark.parametrize(
    "arguments",
    [
        {"attempts": 0},
        {"throttled": 0},
        {"backoff": -1},
        {"backoff_max": -1},
        {"on_unknown": "hope"},
        {"deadline": 0},
    ],
)
def test_policies_that_cannot_be_are_refused(arguments: dict[str, int]) -> None:
    """A call is one request at least, and no wait is negative."""
    with pytest.raises(ValueError, match=next(iter(arguments))):
        RetryPolicy(**arguments)  # type: ignore[arg-type]
    assert RetryPolicy().deadline is None
    assert RetryPolicy().on_unknown == "report"


class Script:
    """An attempt that fails as told, and then succeeds; and a sleep that only takes notes."""

    def __init__(self, failures: Sequence[BaseException]) -> None:
        self.failures = list(failures)
        self.requests = 0
        self.waits: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    async def attempt(self) -> str:
        self.requests += 1
        if self.failures:
            raise self.failures.pop(0)
        return "told"

    async def run(self, policy: RetryPolicy, *, may_tell: bool = True) -> str:
        return await repeat(self.attempt, policy, sleep=self.sleep, may_tell=lambda: may_tell)


async def test_a_success_waits_for_nothing() -> None:
    """One request that succeeds is one request."""
    script = Script([])
    assert await script.run(RetryPolicy()) == "told"
    assert (script.requests, script.waits) == (1, [])


async def test_waits_double_below_their_bound() -> None:
    """Each wait is drawn between 0 and a bound that doubles, and no bound exceeds the greatest."""
    bounds = [1.0, 2.0, 4.0, 5.0, 5.0, 5.0]
    drawn = []
    for _ in range(20):
        script = Script([CONNECTION] * len(bounds))
        policy = RetryPolicy(attempts=len(bounds) + 1, backoff=1.0, backoff_max=5.0)
        assert await script.run(policy) == "told"
        assert len(script.waits) == len(bounds)
        drawn.append(script.waits)
    for bound, waits in zip(bounds, zip(*drawn, strict=True), strict=True):
        assert all(0 <= wait <= bound for wait in waits)
        assert len(set(waits)) > 1  # a jitter, or all callers come back together


@pytest.mark.parametrize("error", [THROTTLED, DEAD_TOKEN], ids=kind_of)
async def test_what_waits_elsewhere_does_not_wait_here(error: Exception) -> None:
    """The gate waits after a 429, and a new token is asked for at once."""
    script = Script([error])
    assert await script.run(RetryPolicy()) == "told"
    assert script.waits == [0.0]


async def test_a_token_says_when_to_ask_again() -> None:
    """The wait for a token is the one that its error names, or longer if it keeps failing."""
    script = Script([NO_TOKEN_YET, UNREACHABLE])
    assert await script.run(RetryPolicy()) == "told"
    assert script.waits[0] == 60.0
    assert 1.0 <= script.waits[1] <= 2.0


async def test_a_throttled_token_without_a_time_waits_like_a_failure() -> None:
    """Without a time of its own, a token's 429 is waited for with the jitter."""
    script = Script([TokenUnavailable("no token", cause=THROTTLED)])
    assert await script.run(RetryPolicy(backoff=0.5)) == "told"
    assert 0 <= script.waits[0] <= 0.5


@pytest.mark.parametrize(
    ("error", "requests"),
    [(CONNECTION, 3), (THROTTLED, 4), (DEAD_TOKEN, 2), (UNKNOWN[0], 1), *((e, 1) for e in FINAL)],
    ids=kind_of,
)
async def test_the_last_error_is_raised_itself(error: BaseException, requests: int) -> None:
    """When the policy gives up, the caller gets the error, not a wrapping."""
    script = Script([error] * 9)
    with pytest.raises(type(error)) as caught:
        await script.run(REPORT)
    assert caught.value is error
    assert script.requests == requests
    assert len(script.waits) == requests - 1


async def test_unknowns_are_repeated_where_nobody_is_told_or_the_caller_says_so() -> None:
    """An unknown outcome is repeated as the table says, in the loop too."""
    for policy, may_tell in ((REPORT, False), (RESEND, True)):
        script = Script(UNKNOWN[:2])
        assert await script.run(policy, may_tell=may_tell) == "told"
        assert script.requests == 3


async def test_what_gives_up_at_once_needs_no_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a file descriptor left it would fail, and hide that nobody was told."""
    monkeypatch.setitem(sys.modules, "tenacity", None)
    script = Script([CONNECTION])
    with pytest.raises(ConnectionFailed):
        await script.run(RetryPolicy.none())


async def test_each_loop_counts_for_itself() -> None:
    """One call's failures cost the next call nothing."""
    for _ in range(3):
        script = Script([CONNECTION, CONNECTION, DEAD_TOKEN])
        assert await script.run(REPORT) == "told"


async def test_a_sleep_that_raises_ends_the_call() -> None:
    """The deadline's way out: what `sleep` raises goes to the caller, and nothing more is sent."""
    script = Script([CONNECTION] * 2)

    async def too_late(seconds: float) -> None:
        raise DeadlineExceeded("too late")

    with pytest.raises(DeadlineExceeded):
        await repeat(script.attempt, REPORT, sleep=too_late, may_tell=lambda: True)
    assert script.requests == 1


async def test_no_failure_of_ours_is_no_loop() -> None:
    """A call that succeeds at once, or ends in an error of another kind, is one request."""
    script = Script([ValueError("a defect")])
    with pytest.raises(ValueError, match="a defect"):
        await script.run(RetryPolicy())
    assert await script.run(RetryPolicy()) == "told"
    assert (script.requests, script.waits) == (2, [])
