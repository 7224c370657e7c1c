"""Tokens: three ages, one fetch at a time, shared failures, rotation that loses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from attrs import define, field

from moveworks_shift_async.errors import (
    BadResponse,
    ClientClosed,
    ConnectionFailed,
    MoveworksError,
    NotAuthenticated,
    OutcomeUnknown,
    RateLimited,
    ServerFailed,
    TokenUnavailable,
)
from moveworks_shift_async.settings import OAuthTokens
from moveworks_shift_async.tokens import Grant, Rotation, StaticAuthorizer, TokenManager, bearer
from moveworks_shift_async.wire.token import Token

from .fakes import FakeClock, settle


@define(eq=False)
class Vendor:
    """Hands out t1, t2, …; `hold` keeps the answers back, `failure` replaces the next one."""

    expires_in: float | None = 3600.0
    asked: int = 0
    hold: asyncio.Event | None = None
    failure: MoveworksError | None = None

    async def fetch(self) -> Token:
        """One token request."""
        self.asked += 1
        number = self.asked
        if self.hold is not None:
            await self.hold.wait()
        if self.failure is not None:
            raise self.failure
        return Token(access_token=f"t{number}", expires_in=self.expires_in)


def text(grant: Grant) -> str:
    """The token in the header."""
    return grant.headers["Authorization"].removeprefix("Bearer ")


async def test_a_thousand_callers_make_one_request(clock: FakeClock) -> None:
    """Everybody who needs a token waits for the same fetch."""
    vendor = Vendor(hold=asyncio.Event())
    manager = TokenManager(vendor.fetch, clock=clock)
    callers = [asyncio.create_task(manager.get()) for _ in range(1000)]
    await settle()
    assert vendor.hold is not None
    vendor.hold.set()
    assert {text(await caller) for caller in callers} == {"t1"}
    assert vendor.asked == 1


async def test_cancelling_callers_leaves_the_fetch_alone(clock: FakeClock) -> None:
    """A caller that gives up takes neither the fetch nor the other callers with it."""
    vendor = Vendor(hold=asyncio.Event())
    manager = TokenManager(vendor.fetch, clock=clock)
    first, second = asyncio.create_task(manager.get()), asyncio.create_task(manager.get())
    await settle()
    first.cancel()
    await settle()
    assert first.cancelled()
    assert vendor.hold is not None
    vendor.hold.set()
    assert text(await second) == "t1"
    assert vendor.asked == 1


async def test_near_its_end_a_token_is_used_while_the_next_is_fetched(clock: FakeClock) -> None:
    """In the advisory window (the last 5 minutes of an hour) callers do not wait."""
    vendor = Vendor()
    manager = TokenManager(vendor.fetch, clock=clock)
    await manager.get()
    clock.time += 3600 - 301
    assert text(await manager.get()) == "t1"
    assert vendor.asked == 1
    clock.time += 2
    vendor.hold = asyncio.Event()
    assert text(await manager.get()) == "t1"
    assert text(await manager.get()) == "t1"
    await settle()
    assert vendor.asked == 2
    vendor.hold.set()
    await settle()
    assert text(await manager.get()) == "t2"


async def test_at_its_end_a_token_is_not_used_any_more(clock: FakeClock) -> None:
    """In the mandatory window (the last 30 s of an hour) callers wait for the next token."""
    vendor = Vendor()
    manager = TokenManager(vendor.fetch, clock=clock)
    await manager.get()
    clock.time += 3600 - 29
    assert text(await manager.get()) == "t2"


@pytest.mark.parametrize(
    ("life", "calls", "requests"), [(0.0, 5, 5), (60.0, 40, 1), (None, 5, 1), (3600.0, 5, 1)]
)
async def test_the_lifetime_is_trusted_whatever_it_is(
    clock: FakeClock, life: float | None, calls: int, requests: int
) -> None:
    """A token of 0 s serves one call, one of 60 s is not refreshed at each call."""
    vendor = Vendor(expires_in=life)
    manager = TokenManager(vendor.fetch, clock=clock)
    for _ in range(calls):
        await manager.get()
        clock.time += 1
    await settle()
    assert vendor.asked == requests


async def test_a_failure_is_shared_and_followed_by_a_pause(clock: FakeClock) -> None:
    """All who waited get the error, each a copy, and for a second nobody asks again."""
    vendor = Vendor(failure=NotAuthenticated("no", status=401, code="X"))
    manager = TokenManager(vendor.fetch, clock=clock)
    results = await asyncio.gather(*(manager.get() for _ in range(10)), return_exceptions=True)
    assert all(isinstance(r, NotAuthenticated) and r.code == "X" for r in results)
    assert len({id(result) for result in results}) == 10
    with pytest.raises(NotAuthenticated):
        await manager.get()
    assert vendor.asked == 1
    clock.time += 1.0
    vendor.failure = None
    assert text(await manager.get()) == "t2"


async def test_a_failed_background_fetch_disturbs_nobody(clock: FakeClock) -> None:
    """While the old token is good, a failed refresh is tried again only after its pause."""
    vendor = Vendor()
    manager = TokenManager(vendor.fetch, clock=clock)
    await manager.get()
    clock.time += 3400
    vendor.failure = ConnectionFailed("down")
    for _ in range(5):
        assert text(await manager.get()) == "t1"
        await settle()
    assert vendor.asked == 2
    clock.time += 1.0
    vendor.failure = None
    assert text(await manager.get()) == "t1"
    await settle()
    assert text(await manager.get()) == "t3"


@pytest.mark.parametrize(
    ("failure", "seen", "pause"),
    [
        (ServerFailed("boom", status=500), TokenUnavailable, 1.0),
        (OutcomeUnknown("reset"), TokenUnavailable, 1.0),
        (BadResponse("html"), TokenUnavailable, 1.0),
        (RateLimited("slow", status=429), TokenUnavailable, 60.0),
        (RateLimited("slow", status=429, retry_after=7.0), TokenUnavailable, 7.0),
        (ConnectionFailed("refused"), ConnectionFailed, None),
    ],
)
async def test_without_a_token_the_call_was_not_sent(
    clock: FakeClock, failure: MoveworksError, seen: type[MoveworksError], pause: float | None
) -> None:
    """Whatever became of the token request, the error says that the call itself did not go out."""
    manager = TokenManager(Vendor(failure=failure).fetch, clock=clock)
    with pytest.raises(seen) as raised:
        await manager.get()
    assert raised.value.outcome == "not_sent"
    assert getattr(raised.value, "retry_after", None) == pause


async def test_only_the_token_that_was_refused_is_dropped(clock: FakeClock) -> None:
    """A late 401 for an old token does not throw away the new one."""
    vendor = Vendor()
    manager = TokenManager(vendor.fetch, clock=clock)
    old = await manager.get()
    manager.reject(old)
    new = await manager.get()
    assert text(new) == "t2"
    manager.reject(old)
    assert await manager.get() is new


async def test_closing_cancels_a_fetch_and_tells_its_callers(clock: FakeClock) -> None:
    """Nobody needs the token any more, and whoever waits for it is told."""
    vendor = Vendor(hold=asyncio.Event())
    manager = TokenManager(vendor.fetch, clock=clock)
    caller = asyncio.create_task(manager.get())
    await settle()
    await manager.finish()
    await manager.close()
    with pytest.raises(ClientClosed):
        await caller
    await manager.close()


async def test_a_rotating_fetch_is_waited_for(clock: FakeClock) -> None:
    """A refresh under way holds the next refresh token, so it may end."""
    vendor = Vendor(hold=asyncio.Event())
    manager = TokenManager(vendor.fetch, rotates=True, clock=clock)
    caller = asyncio.create_task(manager.get())
    await settle()
    finishing = asyncio.create_task(manager.finish())
    await settle()
    assert not finishing.done()
    assert vendor.hold is not None
    vendor.hold.set()
    await finishing
    assert text(await caller) == "t1"


async def test_a_fixed_credential_is_always_the_same() -> None:
    """A key has one grant; refusing it or closing it changes nothing."""
    authorizer = StaticAuthorizer(bearer("key"))
    grant = await authorizer.get()
    authorizer.reject(grant)
    await authorizer.finish()
    await authorizer.close()
    assert not authorizer.renews
    assert await authorizer.get() is grant
    assert "key" not in repr(authorizer)


@define(eq=False)
class Rotating:
    """A vendor that ends the old refresh token at each refresh."""

    valid: str = "r0"
    refreshes: list[str] = field(factory=list)
    failure: MoveworksError | None = None

    async def exchange(self, refresh_token: str) -> Token:
        """One refresh."""
        self.refreshes.append(refresh_token)
        if self.failure is not None:
            raise self.failure
        if refresh_token != self.valid:
            raise NotAuthenticated("invalid_grant", status=400)
        self.valid = f"r{len(self.refreshes)}"
        return Token(
            access_token=f"a{len(self.refreshes)}", expires_in=60.0, refresh_token=self.valid
        )


def oauth(
    on_refresh: Callable[[str, str, float | None], Awaitable[None] | None] | None,
) -> OAuthTokens:
    """A pair whose refresh token is r0."""
    return OAuthTokens(
        client_id="id", client_secret="secret", refresh_token="r0", on_refresh=on_refresh
    )


async def test_the_new_pair_is_handed_over_before_it_is_used() -> None:
    """`on_refresh`, plain or async, gets each pair first; the next refresh uses the new token."""
    vendor, stored = Rotating(), list[tuple[str, str, float | None]]()

    async def store(access: str, refresh: str, life: float | None) -> None:
        await asyncio.sleep(0)
        stored.append((access, refresh, life))

    rotation = Rotation(oauth(store), vendor.exchange)
    assert (await rotation.fetch()).access_token == "a1"
    assert stored == [("a1", "r1", 60.0)]
    plain = Rotation(oauth(lambda *pair: stored.append(pair)), Rotating().exchange)
    await plain.fetch()
    assert (await rotation.fetch()).access_token == "a2"
    assert vendor.refreshes == ["r0", "r1"]
    await Rotation(oauth(None), Rotating().exchange).fetch()


@pytest.mark.parametrize(
    "failure", [OutcomeUnknown("reset"), ServerFailed("x", status=502), BadResponse("html")]
)
async def test_a_refresh_whose_answer_was_lost_is_never_repeated(failure: MoveworksError) -> None:
    """The old token may be used up, so the vendor is not asked again with it."""
    vendor = Rotating(failure=failure)
    rotation = Rotation(oauth(None), vendor.exchange)
    with pytest.raises(type(failure)):
        await rotation.fetch()
    with pytest.raises(TokenUnavailable, match="authorise again") as raised:
        await rotation.fetch()
    assert raised.value.retry_after is None
    assert len(vendor.refreshes) == 1


async def test_a_refresh_that_is_cancelled_on_its_way_counts_as_lost() -> None:
    """Nobody knows what the vendor did with it."""
    forever = asyncio.Event()

    async def exchange(_: str) -> Token:
        await forever.wait()
        raise AssertionError

    rotation = Rotation(oauth(None), exchange)
    task = asyncio.create_task(rotation.fetch())
    await settle()
    task.cancel()
    await asyncio.wait({task})
    with pytest.raises(TokenUnavailable):
        await rotation.fetch()


@pytest.mark.parametrize("failure", [ConnectionFailed("refused"), RateLimited("slow", status=429)])
async def test_a_refresh_that_did_nothing_is_tried_again(failure: MoveworksError) -> None:
    """A refused connection or a 429 leaves the refresh token as good as it was."""
    vendor = Rotating(failure=failure)
    rotation = Rotation(oauth(None), vendor.exchange)
    with pytest.raises(type(failure)):
        await rotation.fetch()
    vendor.failure = None
    vendor.refreshes.clear()
    assert (await rotation.fetch()).access_token == "a1"


async def test_a_pair_that_could_not_be_stored_is_kept_and_offered_again() -> None:
    """If `on_refresh` raises, the pair is not used, and no second refresh burns it."""
    vendor, offers = Rotating(), list[str]()

    def store(access: str, refresh: str, life: float | None) -> None:
        offers.append(refresh)
        if len(offers) == 1:
            raise OSError(28, "No space left on device")

    rotation = Rotation(oauth(store), vendor.exchange)
    with pytest.raises(TokenUnavailable, match="on_refresh raised OSError") as raised:
        await rotation.fetch()
    assert isinstance(raised.value.__cause__, OSError)
    assert (await rotation.fetch()).access_token == "a1"
    assert offers == ["r1", "r1"]
    assert vendor.refreshes == ["r0"]
