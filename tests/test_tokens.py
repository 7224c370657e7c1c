"""Tokens: three ages, one fetch at a time, shared failures, rotation that loses nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest
from attrs import define, field

from moveworks_shift_async.credentials import ClientTokens, Rotation
from moveworks_shift_async.errors import (
    BadRequest,
    BadResponse,
    ClientClosed,
    Concerns,
    ConnectionFailed,
    MoveworksError,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    RefusedByServer,
    ServerFailed,
    TokenUnavailable,
)
from moveworks_shift_async.settings import OAuthTokens, TokenForm
from moveworks_shift_async.tokens import (
    RequestAuth,
    StaticAuthorizer,
    TokenManager,
    bearer,
)
from moveworks_shift_async.wire.token import Token

from .fakes import FakeClock, settle

TokenFetch = Callable[[TokenForm], Awaitable[Token]]


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


def text(auth: RequestAuth) -> str:
    """The token in the header."""
    return auth.headers["Authorization"].removeprefix("Bearer ")


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
    refused = NotAuthenticated("no", status=401, code="X")
    vendor = Vendor(failure=refused)
    manager = TokenManager(vendor.fetch, clock=clock)
    results = await asyncio.gather(*(manager.get() for _ in range(10)), return_exceptions=True)
    assert all(isinstance(r, TokenUnavailable) and r.cause is refused for r in results)
    assert len({id(result) for result in results}) == 10
    with pytest.raises(TokenUnavailable):
        await manager.get()
    assert vendor.asked == 1
    clock.time += 1.0
    vendor.failure = None
    assert text(await manager.get()) == "t2"


async def test_a_lost_token_is_one_warning(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """However often it is asked for; one more if it is lost for another reason."""
    caplog.set_level(logging.INFO)
    vendor = Vendor(failure=ConnectionFailed("down"))
    manager = TokenManager(vendor.fetch, clock=clock)
    for failure in [*[ConnectionFailed("down")] * 3, *[NotAuthenticated("no", status=401)] * 3]:
        vendor.failure = failure
        with pytest.raises(MoveworksError):
            await manager.get()
        clock.time += 1.0
    assert [one.levelname for one in caplog.records] == ["WARNING", "WARNING"]
    vendor.failure = None
    await manager.get()
    assert caplog.records[-1].getMessage() == "there is a token again"


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
        (RateLimited("slow", status=429, retry_after=0.0), TokenUnavailable, 1.0),
        (BadRequest("late", status=408), TokenUnavailable, 1.0),
        (BadRequest("early", status=425), TokenUnavailable, 1.0),
        (BadRequest("no", status=400), TokenUnavailable, None),
        (NotAuthenticated("no", status=401), TokenUnavailable, None),
        (NotAllowed("no", status=403), TokenUnavailable, None),
        (NotFound("no", status=404), TokenUnavailable, None),
        (RefusedByServer("moved", status=301), TokenUnavailable, None),
        (BadResponse("moved", concerns=Concerns.EVERYBODY), TokenUnavailable, None),
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
    assert getattr(raised.value, "cause", failure) is failure
    everybody = seen is TokenUnavailable and pause is None
    assert (raised.value.concerns is Concerns.EVERYBODY) == everybody


async def test_a_life_counts_from_the_asking(clock: FakeClock) -> None:
    """The vendor's clock ran while the answer travelled, so the travel is part of the life."""
    hold = asyncio.Event()
    vendor = Vendor(hold=hold)
    manager = TokenManager(vendor.fetch, clock=clock)
    caller = asyncio.create_task(manager.get())
    await settle()
    clock.time += 1000
    hold.set()
    assert text(await caller) == "t1"
    clock.time += 3600 - 1000 - 31
    assert text(await manager.get()) == "t1"
    await settle()
    clock.time += 2
    assert text(await manager.get()) == "t2"


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
    """A key never changes; refusing it or closing it changes nothing."""
    authorizer = StaticAuthorizer(bearer("key"))
    auth = await authorizer.get()
    authorizer.reject(auth)
    await authorizer.finish()
    await authorizer.close()
    assert not authorizer.renews
    assert await authorizer.get() is auth
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


@pytest.mark.parametrize("error", [OSError(28, "full"), asyncio.CancelledError()])
async def test_a_pair_that_could_not_be_stored_is_kept_and_offered_again(
    error: BaseException,
) -> None:
    """If `on_refresh` raises, the pair is not used, and no second refresh burns it."""
    vendor, offers = Rotating(), list[str]()

    def store(access: str, refresh: str, life: float | None) -> None:
        offers.append(refresh)
        if len(offers) == 1:
            raise error

    rotation = Rotation(oauth(store), vendor.exchange)
    kind = type(error).__name__
    with pytest.raises(TokenUnavailable, match=f"on_refresh raised {kind}") as raised:
        await rotation.fetch()
    assert raised.value.__cause__ is error
    assert raised.value.retry_after == 1.0
    assert (await rotation.fetch()).access_token == "a1"
    assert offers == ["r1", "r1"]
    assert vendor.refreshes == ["r0"]


async def test_a_pair_is_kept_when_its_storing_is_cancelled() -> None:
    """Whoever cancels the refresh is obeyed, and the pair is offered again, not refreshed."""
    vendor, offers, forever = Rotating(), list[str](), asyncio.Event()

    async def store(access: str, refresh: str, life: float | None) -> None:
        offers.append(refresh)
        if len(offers) == 1:
            await forever.wait()

    rotation = Rotation(oauth(store), vendor.exchange)
    task = asyncio.create_task(rotation.fetch())
    await settle()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert (await rotation.fetch()).access_token == "a1"
    assert (offers, vendor.refreshes) == (["r1", "r1"], ["r0"])


async def test_a_refresh_token_that_stays_is_handed_over_again() -> None:
    """RFC 6749, section 6: without a new one the old one stays, and it is what is stored."""
    stored: list[tuple[str, str, float | None]] = []

    async def exchange(_: str) -> Token:
        return Token(access_token="a1")

    rotation = Rotation(oauth(lambda *pair: stored.append(pair)), exchange)
    await rotation.fetch()
    assert stored == [("a1", "r0", None)]


def test_no_repr_shows_a_grant() -> None:
    """Neither the header nor the query of what lets a request in, nor of what holds it."""
    auth = RequestAuth(
        headers={"Authorization": "Bearer s3cr3t"}, query={"client_secret": "s3cr3t"}
    )
    assert "s3cr3t" not in repr(auth) + repr(StaticAuthorizer(auth))


def strict(taken: TokenForm | None, asked: list[TokenForm], status: int = 400) -> TokenFetch:
    """A vendor that takes one form of the request, or none."""

    async def exchange(form: TokenForm) -> Token:
        asked.append(form)
        if form != taken:
            raise BadRequest(f"not as {form}", status=status)
        return Token(access_token=f"t{len(asked)}")

    return exchange


@pytest.mark.parametrize("status", [400, 415])
@pytest.mark.parametrize(("first", "other"), [("form", "json"), ("json", "form")])
async def test_the_other_form_is_tried_once_and_remembered(
    status: int, first: TokenForm, other: TokenForm
) -> None:
    """The vendor documents a form and JSON; what this server takes, it takes ever after."""
    asked: list[TokenForm] = []
    fetch = ClientTokens(first, strict(other, asked, status)).fetch
    assert [(await fetch()).access_token for _ in range(3)] == ["t2", "t3", "t4"]
    assert asked == [first, other, other, other]


async def test_the_form_that_is_taken_is_the_only_one() -> None:
    """Nobody is asked twice without need."""
    asked: list[TokenForm] = []
    await ClientTokens("form", strict("form", asked)).fetch()
    assert asked == ["form"]


@pytest.mark.parametrize(
    ("failures", "seen"),
    [
        ((BadRequest("1", status=400), BadRequest("2", status=400)), "1"),
        ((BadRequest("1", status=400), BadRequest("2", status=415)), "1"),
        ((BadRequest("1", status=415), BadRequest("2", status=400)), "2"),
        ((BadRequest("1", status=400), NotAuthenticated("2", status=401)), "2"),
        ((BadRequest("1", status=400), OutcomeUnknown("2")), "2"),
        ((NotAuthenticated("1", status=401),), "1"),
        ((BadRequest("1", status=422),), "1"),
        ((RateLimited("1", status=429),), "1"),
        ((ServerFailed("1", status=500),), "1"),
    ],
)
async def test_both_forms_refused_is_the_refusal_that_says_more(
    failures: tuple[MoveworksError, ...], seen: str
) -> None:
    """Only a 400 or 415 can be about the form; of two such, the one that read the request counts.

    Nothing is remembered, so the next token request begins as the first did.
    """
    asked: list[TokenForm] = []

    async def exchange(form: TokenForm) -> Token:
        asked.append(form)
        raise failures[(len(asked) - 1) % len(failures)]

    tokens = ClientTokens("form", exchange)
    for _ in range(2):
        with pytest.raises(MoveworksError, match=seen):
            await tokens.fetch()
    assert asked == ["form", "json"][: len(failures)] * 2
