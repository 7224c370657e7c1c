"""Every fault of the sandbox, over real sockets: what the client says is what really happened."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from moveworks_shift_async import (
    ApiKey,
    AppCredentials,
    ChunkOutcome,
    ClientCredentials,
    MoveworksClient,
    MoveworksError,
    Outcome,
    RateLimit,
    RetryPolicy,
    ShiftClient,
    Timeouts,
)
from moveworks_shift_async.sandbox import FAULTS, FaultOptions, LimiterName, Sandbox

LIMIT = RateLimit(requests=1000, per=0.2)
OPTIONS = FaultOptions(slow=0.2, silence=5.0, storm=3)
TIMEOUTS = Timeouts(connect=1.0, total=0.6, close=2.0)
RETRY = RetryPolicy(backoff=0.01)
KINDS = sorted(FAULTS)

# What the client can know at best. Faults that only delay or repeat end in "accepted".
EXPECTED = {
    "throttle": Outcome.ACCEPTED,
    "throttle-storm": Outcome.ACCEPTED,
    "expired-token": Outcome.ACCEPTED,
    "slow-answer": Outcome.ACCEPTED,
    "forbidden": Outcome.REJECTED,
    "redirect-307": Outcome.REJECTED,
}


def make_client(sandbox: Sandbox, retry: RetryPolicy = RETRY) -> MoveworksClient:
    """A client of the sandbox that is quick to give up."""
    return MoveworksClient(
        ClientCredentials(sandbox.client_id, sandbox.client_secret),
        base_url=sandbox.url,
        rate_limit=LIMIT,
        retry=retry,
        timeout=TIMEOUTS,
        max_in_flight=4,
    )


def make_sandbox() -> Sandbox:
    """A sandbox whose limit does not bind."""
    return Sandbox(limit=100_000, window=1.0, fault_options=OPTIONS)


#: Every later request would meet the same, so the rest of a bulk send is not sent.
CONCERN_EVERYBODY = ("forbidden", "redirect-302", "redirect-307")


def people(count: int) -> list[str]:
    """Distinct addresses."""
    return [f"p{number}@example.com" for number in range(count)]


def check_account(sandbox: Sandbox, outcomes: Iterable[ChunkOutcome], expected: int) -> None:
    """Accepted people were told once, rejected and unsent ones not at all, unknown ones at most
    once, and nobody is missing or counted twice."""
    told = sandbox.received().people
    seen: list[str] = []
    for outcome in outcomes:
        seen.extend(outcome.recipients)
        for person in outcome.recipients:
            times = told.get(person, 0)
            match outcome.outcome:
                case Outcome.ACCEPTED:
                    assert times == 1
                case Outcome.UNKNOWN:
                    assert times <= 1
                case _:
                    assert times == 0
    assert len(seen) == len(set(seen)) == expected
    assert set(told) <= set(seen)


async def send_one(client: MoveworksClient, event_id: str, recipients: list[str]) -> ChunkOutcome:
    """A single send, as the chunk outcome that it amounts to."""
    try:
        receipt = await client.events.send(event_id, "hello", recipients)
    except MoveworksError as error:
        return ChunkOutcome(
            index=0, recipients=tuple(recipients), outcome=error.outcome, error=error
        )
    return ChunkOutcome(
        index=0, recipients=tuple(recipients), outcome=Outcome.ACCEPTED, receipt=receipt
    )


@pytest.mark.parametrize("kind", KINDS)
async def test_a_single_send_says_what_happened(kind: str) -> None:
    """The outcome of `send` agrees with the sandbox's own record, whatever the fault."""
    async with make_sandbox() as sandbox, make_client(sandbox) as client:
        sandbox.faults.script("send", kind)
        outcome = await send_one(client, sandbox.event_id, people(3))
        check_account(sandbox, [outcome], 3)
        assert outcome.outcome is EXPECTED.get(kind, Outcome.UNKNOWN)
        assert await send_one(client, sandbox.event_id, ["next@example.com"])


@pytest.mark.parametrize("kind", KINDS)
async def test_a_bulk_send_says_what_happened(kind: str) -> None:
    """With a fault in the middle, the account of every chunk agrees with the sandbox's record."""
    async with make_sandbox() as sandbox, make_client(sandbox) as client:
        # A dead token is everybody's: all four in flight meet it and repeat, and none of these
        # repeats may be the one that meets the second fault, or it is refused for good.
        sandbox.faults.script("send", "none", "none", kind, *["none"] * 7, kind)
        bulk = client.events.send_bulk(sandbox.event_id, "hello", people(7600))
        outcomes = [outcome async for outcome in bulk]
        check_account(sandbox, outcomes, 7600)
        found = {outcome.outcome for outcome in outcomes} - {Outcome.ACCEPTED}
        rest = {Outcome.NOT_SENT} if kind in CONCERN_EVERYBODY else set()
        assert found == {EXPECTED.get(kind, Outcome.UNKNOWN)} - {Outcome.ACCEPTED} | rest
        report = bulk.report
        assert report.accepted + report.rejected + report.unknown + report.not_sent == 7600
        records = [r for r in sandbox.received().requests if r.route == "events.send"]
        assert report.requests == len(records)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_fault_at_the_token_endpoint_tells_nobody_twice(kind: str) -> None:
    """Whatever becomes of the token request, the message goes out once or not at all."""
    async with make_sandbox() as sandbox, make_client(sandbox) as client:
        sandbox.faults.script("token", kind)
        outcome = await send_one(client, sandbox.event_id, people(3))
        check_account(sandbox, [outcome], 3)
        assert outcome.outcome is not Outcome.UNKNOWN


@pytest.mark.parametrize("limiter", ["fixed-window", "sliding-log", "token-bucket"])
async def test_random_faults_everywhere_leave_a_true_account(limiter: LimiterName) -> None:
    """Half of all requests meet some fault, under a limit that binds; the account is still true."""
    options = FaultOptions(slow=0.05, silence=0.5, storm=2)
    async with Sandbox(
        limit=20,
        window=0.3,
        limiter=limiter,
        seed=7,
        fault_options=options,
    ) as sandbox:
        for kind in KINDS:
            sandbox.faults.rate("send", kind, 0.5 / len(KINDS))
            sandbox.faults.rate("token", kind, 0.5 / len(KINDS))
        client = MoveworksClient(
            ClientCredentials(sandbox.client_id, sandbox.client_secret),
            base_url=sandbox.url,
            rate_limit=RateLimit(requests=20, per=0.3),
            retry=RetryPolicy(backoff=0.01, attempts=20),
            timeout=TIMEOUTS,
        )
        async with client:
            bulk = client.messages.send_bulk("hello", people(20_000))
            outcomes = [outcome async for outcome in bulk]
        check_account(sandbox, outcomes, 20_000)
        assert bulk.report.accepted > 0
        assert bulk.report.unknown > 0


async def test_a_server_that_is_away_for_a_while_costs_nobody() -> None:
    """Connections refused in the middle are waited out, and everybody is told once."""
    async with make_sandbox() as sandbox:
        retry = RetryPolicy(backoff=0.1, attempts=50)
        async with make_client(sandbox, retry) as client:
            bulk = client.events.send_bulk(sandbox.event_id, "hello", people(6000))
            outcomes: list[ChunkOutcome] = []
            async for outcome in bulk:
                outcomes.append(outcome)
                if len(outcomes) == 3:
                    await sandbox.refuse(0.4)
        check_account(sandbox, outcomes, 6000)
        assert {o.outcome for o in outcomes} <= {Outcome.ACCEPTED, Outcome.UNKNOWN}
        assert sum(o.outcome is Outcome.UNKNOWN for o in outcomes) <= 4


async def test_a_server_that_never_comes_back_told_nobody() -> None:
    """Without a server everybody is reported as not sent."""
    async with make_sandbox() as sandbox:
        await sandbox.stop_listening()
        async with make_client(sandbox) as client:
            report = await client.events.send_bulk(sandbox.event_id, "hello", people(1200))
        assert report.not_sent == 1200
        assert all(failure.error is not None for failure in report.failures)


async def test_cancelled_sends_are_accounted_for_over_real_sockets() -> None:
    """A bulk send that is cancelled in the middle reports nobody wrongly."""
    async with (
        Sandbox(limit=100_000, window=1.0, latency=0.05) as sandbox,
        make_client(sandbox) as client,
    ):
        bulk = client.events.send_bulk(sandbox.event_id, "hello", people(10_000))
        task = asyncio.ensure_future(bulk)
        await asyncio.sleep(0.12)
        task.cancel()
        await asyncio.wait({task})
        await asyncio.sleep(0.1)
        report, told = bulk.report, sandbox.received().people
        assert report.accepted + report.rejected + report.unknown + report.not_sent == 10_000
        assert report.accepted <= len(told) <= report.accepted + report.unknown
        unsent = [f for f in report.failures if f.outcome is Outcome.NOT_SENT]
        assert not any(person in told for failure in unsent for person in failure.recipients)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_shift_message_says_what_happened(kind: str) -> None:
    """SHIFT's one message exists exactly when the client says accepted, or may when unknown."""
    async with make_sandbox() as sandbox:
        client = ShiftClient(
            AppCredentials(sandbox.shift_client_id, sandbox.shift_client_secret),
            base_url=sandbox.url,
            rate_limit=LIMIT,
            retry=RETRY,
            timeout=TIMEOUTS,
        )
        async with client:
            sandbox.faults.script("shift", kind)
            try:
                await client.messages.create(text="hello", emails=["a@example.com"])
            except MoveworksError as error:
                outcome = error.outcome
            else:
                outcome = Outcome.ACCEPTED
        times = sum(sandbox.received().shift.values())
        allowed = {Outcome.ACCEPTED: {1}, Outcome.UNKNOWN: {0, 1}}
        assert times in allowed.get(outcome, {0})


async def test_an_api_key_that_dies_ends_the_bulk_send_early() -> None:
    """A refused key wastes a few requests, not one for each chunk."""
    async with make_sandbox() as sandbox:
        client = MoveworksClient(ApiKey("wrong"), base_url=sandbox.url, max_in_flight=2)
        async with client:
            report = await client.events.send_bulk(sandbox.event_id, "hello", people(20_000))
        assert report.accepted == 0
        assert report.requests <= 4
        assert report.rejected + report.not_sent == 20_000
