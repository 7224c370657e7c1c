"""A run for the first ones, and limits at which a run stops: in a file and in a database.

Real sockets and a real sandbox; each job is compared with what the server was told.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from moveworks_shift_async import InvalidInput, Job
from moveworks_shift_async.jobs.job import JobAccount
from moveworks_shift_async.jobs.records import State, Total, Wanted
from moveworks_shift_async.jobs.run import runner
from moveworks_shift_async.jobs.run.job_run import _confined_to
from moveworks_shift_async.jobs.run.progress import JobProgress
from moveworks_shift_async.jobs.store.first import Chosen
from moveworks_shift_async.jobs.store.ports import Begun
from moveworks_shift_async.sandbox import Sandbox
from moveworks_shift_async.sending import breaker

from .commands import spawn
from .fleet import CLEAN, audited, client_of

#: The client lets it pass; the sandbox holds the local part to RFC 5321's 64 characters.
REFUSED = "x" * 65
Place = Callable[[], str]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds that people would not notice are too long for tests."""
    monkeypatch.setattr(breaker, "FIRST_BACKOFF", 0.05)
    monkeypatch.setattr(runner, "_LOOK", 0.05)


@pytest.fixture(params=["file", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Names of new jobs."""
    numbers = count()
    if request.param == "file":
        return lambda: str(tmp_path / f"{next(numbers)}.journal")
    url = request.getfixturevalue("postgres")
    return lambda: f"{url}#{uuid4()}"


def person(number: int, local: str = "p") -> str:
    """An address; the others are of other numbers."""
    return f"{local}{number}@example.com"


async def plan(journal: str, people: int = 1_200, texts: int = 1, refused: int = 0) -> str:
    """A job for so many people, who are told some texts in turn.

    Of each chunk of 500 one person makes the server refuse the list, in so many of the last ones.
    """
    first = people - 500 * refused
    rows = [
        {"email": person(n, REFUSED if n >= first and not n % 500 else "p"), "n": n % texts}
        for n in range(people)
    ]
    await Job.plan(journal, rows, template="Floor {n}", legacy=True)
    return journal


async def go(journal: str, sandbox: Sandbox, *, in_flight: int = 1, **options: Any) -> JobAccount:
    """Run a job, or go on with it."""
    job = Job(journal)
    async with client_of(sandbox.url, sandbox.api_key, in_flight=in_flight) as client:
        begun = (await job.account()).begun
        return await (job.resume if begun else job.run)(client, **options)


def told(sandbox: Sandbox) -> list[str]:
    """Everybody who was told, in order, each as often as she was."""
    requests = sandbox.received().requests
    return [person for request in requests if request.told for person in request.recipients]


# --- the first ones ------------------------------------------------------------------------


async def test_the_first_hundred_are_a_hundred_and_resume_tells_the_others(
    place: Place, sandbox: Sandbox
) -> None:
    """In the order of the list; everybody once in the end."""
    journal = await plan(place())
    account = await go(journal, sandbox, first=100)
    assert told(sandbox) == [person(n) for n in range(100)]
    assert (account.accepted, account.not_sent, account.finished) == (100, 1_100, False)
    assert account.ending == "it was for 100 people only"
    looked_at = await Job(journal).account()
    assert (looked_at.ending, looked_at.runs[-1].first) == (account.ending, 100)
    account = await go(journal, sandbox, in_flight=4)
    assert (account.accepted, account.finished, account.ending) == (1_200, True, None)
    assert await audited(journal, sandbox) == CLEAN
    assert account.requests == 3 + 1  # a chunk was divided


async def test_repeated_it_tells_the_next_ones(place: Place, sandbox: Sandbox) -> None:
    """100, 100, then more than a chunk, then more than there are."""
    journal = await plan(place())
    for first, until in ((100, 100), (100, 200), (700, 900), (5_000, 1_200)):
        account = await go(journal, sandbox, first=first)
        assert sorted(told(sandbox)) == sorted(person(n) for n in range(until))
        assert account.accepted == until
    assert (account.finished, account.ending) == (True, None)
    assert await audited(journal, sandbox) == CLEAN


async def test_a_sample_is_of_all_texts(place: Place, sandbox: Sandbox) -> None:
    """As many of each; the next sample too."""
    journal = await plan(place(), texts=7)
    for round_ in (1, 2):
        await go(journal, sandbox, first=70, sample=True)
        found = Counter(int(who.split("@")[0][1:]) % 7 for who in told(sandbox))
        assert found == dict.fromkeys(range(7), 10 * round_)
    await go(journal, sandbox, in_flight=4)
    assert await audited(journal, sandbox) == CLEAN


async def test_of_a_text_for_each_person_a_sample_is_spread_over_all(
    place: Place, sandbox: Sandbox
) -> None:
    """From the first of them to the last; no chunk is divided."""
    journal = await plan(place(), people=90, texts=90)
    account = await go(journal, sandbox, first=9, sample=True)
    assert told(sandbox) == [person(n) for n in range(9, 90, 10)]
    assert account.chunks == 90


async def test_progress_says_how_many_it_is_for(place: Place, sandbox: Sandbox) -> None:
    """Exactly, before the first request; its end is the run's and not the job's."""
    journal, seen = await plan(place()), list[JobProgress]()
    await go(journal, sandbox, first=100)
    sandbox.latency = 0.1
    await go(journal, sandbox, first=150, on_progress=seen.append)
    assert (seen[0].total, seen[0].done, seen[0].goal) == (1_200, 100, 250)
    assert seen[0].confined() == "sending to exactly 150 of 1,200 people in this run"
    assert (seen[-1].done, seen[-1].goal, seen[-1].finished) == (250, 250, True)
    everybody = list[JobProgress]()
    await go(journal, sandbox, on_progress=everybody.append)
    assert {progress.goal for progress in everybody} == {None}
    assert everybody[0].confined() == ""


async def test_what_is_not_told_is_not_counted_as_told(place: Place, sandbox: Sandbox) -> None:
    """A 429 tells nobody: they are sent to again in the same run, and no others for them."""
    journal = await plan(place())
    sandbox.faults.script("send", "throttle", "reset-before-body")
    client = client_of(sandbox.url, sandbox.api_key)
    async with client:
        account = await Job(journal).run(client, first=100)
    assert account.unknown in (0, 100)
    assert {*told(sandbox)} <= {person(n) for n in range(100)}
    assert account.accepted + account.unknown == 100


async def test_a_list_that_is_refused_is_isolated_among_the_first_ones(
    place: Place, sandbox: Sandbox
) -> None:
    """Its parts belong to the run, and what it divided adds nothing to what isolating may add."""
    journal = await plan(place(), people=1_000, refused=2)
    account = await go(journal, sandbox, first=40, isolate=40)
    assert (account.accepted, account.rejected, account.not_sent) == (39, 1, 960)
    assert sorted(told(sandbox)) == sorted(person(n) for n in range(1, 40))
    account = await go(journal, sandbox, isolate=80, in_flight=4)
    assert (account.accepted, account.rejected, account.not_sent) == (998, 2, 0)
    assert await audited(journal, sandbox) == CLEAN


async def test_a_run_that_told_nobody_may_be_begun_anew(place: Place, sandbox: Sandbox) -> None:
    """With another credential, and for the same first ones."""
    journal = await plan(place())
    async with client_of(sandbox.url, "another-key-that-is-refused") as client:
        with pytest.raises(Exception, match="401"):
            await Job(journal).run(client, first=100)
    async with client_of(sandbox.url, sandbox.api_key) as client:
        account = await Job(journal).run(client, first=100)
    assert (account.accepted, account.not_sent) == (100, 1_100)
    assert told(sandbox) == [person(n) for n in range(100)]


async def test_nobody_is_first_where_that_says_nothing(place: Place, sandbox: Sandbox) -> None:
    """And a sample is of a number of people."""
    journal = await plan(place(), people=3)
    for options in ({"first": 0}, {"first": -1}, {"sample": True}, {"stop_if": "unknown"}):
        with pytest.raises(InvalidInput):
            await go(journal, sandbox, **options)
    assert sandbox.stats().requests == 0
    assert not (await Job(journal).account()).begun


async def test_runs_at_work_together_have_their_own_first_ones(
    postgres: str, sandbox: Sandbox
) -> None:
    """Each is for exactly so many; the one that is for all waits for neither."""
    journal = await plan(f"{postgres}#{uuid4()}", people=3_000, texts=3)
    sandbox.latency = 0.05
    async with client_of(sandbox.url, sandbox.api_key) as client:
        accounts = await asyncio.gather(
            Job(journal).run(client, first=100),
            Job(journal).resume(client, first=150, sample=True),
            Job(journal).resume(client, first=300),
        )
    assert {account.ending for account in accounts} == {
        "it was for 100 people only", "it was for 150 people only", "it was for 300 people only"
    }  # fmt: skip
    assert len(told(sandbox)) == len({*told(sandbox)}) == 550
    async with client_of(sandbox.url, sandbox.api_key) as client:
        both = await asyncio.gather(
            Job(journal).resume(client), Job(journal).resume(client, first=70)
        )
    assert both[0].finished
    assert await audited(journal, sandbox) == CLEAN


def test_one_that_comes_too_late_says_so() -> None:
    """Other runs have everybody: it was for nobody, which is no number of people."""
    planned = Total(state=State.PLANNED, left_alone=False, chunks=1, people=5, requests=0,
                    throttled=0)  # fmt: skip
    begun = Begun(totals=[planned], chosen=Chosen(chunks=0, people=0), isolated=0, recent=[],
                  wanted=Wanted())  # fmt: skip
    assert _confined_to(begun) == "nobody was left for it, for other runs have all who are planned"


CHILD = """
import asyncio, sys
from moveworks_shift_async import Job
from tests.fleet import client_of

async def main(journal, url, key):
    async with client_of(url, key, in_flight=2) as client:
        job, lease = Job(journal), 4.0 if "#" in journal else None
        begun = (await job.account()).begun
        await (job.resume if begun else job.run)(client, first=40, sample=True, lease=lease)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_killed_while_it_tells_the_first_ones_nobody_is_told_twice(place: Place) -> None:
    """The others are told by whoever goes on; what was on its way is unknown."""
    journal = await plan(place(), people=300, texts=60)
    async with Sandbox(limit=100_000, window=1.0, latency=0.15) as sandbox:
        for _ in range(2):
            before = sandbox.stats().accepted
            child = await spawn(sys.executable, "-c", CHILD, journal, sandbox.url, sandbox.api_key)
            while sandbox.stats().accepted < before + 6:
                assert child.returncode is None
                await asyncio.sleep(0.01)
            child.kill()
            await child.wait()
            assert sandbox.stats().accepted <= before + 40 + 1
            while (await Job(journal).account()).running:  # noqa: ASYNC110 - until its lease ends
                await asyncio.sleep(0.2)
        account = await go(journal, sandbox, in_flight=4)
        found = await audited(journal, sandbox)
    assert (found.lost, found.twice, found.denied, found.planned) == (0, 0, 0, 0)
    assert account.unknown == found.unknown <= 2 * 2 * 5
    assert account.finished


# --- limits --------------------------------------------------------------------------------


async def test_people_who_are_rejected_stop_it(place: Place, sandbox: Sandbox) -> None:
    """Three lists in a hundred are refused; what is left is not sent, and resume goes on."""
    journal = await plan(place(), people=6_000, refused=3)
    account = await go(journal, sandbox, stop_if=["rejected>10%"])
    assert account.ending == (
        "rejected>10% was crossed: 1,000 of 5,500 people of this run are rejected (18.19%)"
    )
    assert (account.accepted, account.rejected, account.not_sent) == (4_500, 1_000, 500)
    account = await go(journal, sandbox, stop_if="rejected>600")
    assert (account.ending, account.rejected, account.not_sent) == (None, 1_500, 0)
    assert await audited(journal, sandbox) == CLEAN


async def test_people_who_are_unknown_stop_it_and_are_no_reason_to_stop_again(
    place: Place, sandbox: Sandbox
) -> None:
    """Limits count what a run meets, and nothing that was met before."""
    journal = await plan(place(), people=2_000)
    sandbox.faults.script("send", "none", "processed-then-reset")
    account = await go(journal, sandbox, stop_if=["unknown>0", "rejected>2%"])
    assert (
        account.ending == "unknown>0 was crossed: 500 of 1,000 people of this run are unknown (50%)"
    )
    assert (account.accepted, account.unknown, account.not_sent) == (500, 500, 1_000)
    account = await go(journal, sandbox, stop_if=["unknown>0"])
    assert (account.ending, account.accepted, account.unknown) == (None, 1_500, 500)
    account = await go(journal, sandbox, unknown="resend", stop_if=["unknown>0"], first=10)
    assert (account.accepted, account.ending) == (1_510, "it was for 10 people only")
    assert (await audited(journal, sandbox)).denied == 0


async def test_what_is_in_flight_ends_before_it_does(place: Place, sandbox: Sandbox) -> None:
    """As `stop` does it: their answers count, and nobody more is unknown."""
    journal, sandbox.latency = await plan(place(), people=10_000), 0.3
    sandbox.faults.script("send", "processed-then-reset")
    account = await go(journal, sandbox, in_flight=4, stop_if="unknown>0")
    assert account.unknown == 500
    assert 500 <= account.accepted <= 2_500
    assert account.ending is not None
    assert (await audited(journal, sandbox)).lost == 0


async def test_answers_429_stop_it(place: Place, sandbox: Sandbox) -> None:
    """Counted as answers; nobody was told by them."""
    journal = await plan(place(), people=100, texts=100)
    sandbox.faults.script("send", *["throttle"] * 4)
    account = await go(journal, sandbox, in_flight=8, stop_if="throttled>3")
    assert account.ending is not None
    assert account.ending.startswith("throttled>3 was crossed: 4 of ")
    assert account.not_sent > 0
    assert (await audited(journal, sandbox)).denied == 0


async def test_a_limit_that_is_not_crossed_changes_nothing(place: Place, sandbox: Sandbox) -> None:
    """It ends as any other run."""
    journal = await plan(place())
    account = await go(journal, sandbox, stop_if=["rejected>2%", "unknown>0", "throttled>10%"])
    assert (account.ending, account.finished, account.runs[-1].ended) == (None, True, "done")
    assert account.accepted == 1_200
