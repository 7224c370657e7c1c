"""`--first` and `--stop-if` as a tired engineer uses them: real processes, a real sandbox."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from uuid import uuid4

import pytest

from moveworks_shift_async import Job
from moveworks_shift_async.cli.run_limits import RunLimits, end_line
from moveworks_shift_async.jobs.report.account import JobAccount
from moveworks_shift_async.sandbox import Sandbox

from .commands import Ended, environment, run

PEOPLE = 1_200


@pytest.fixture(params=["file", "postgres"])
async def journal(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A job for 1,200 people in three requests."""
    name = str(tmp_path / "tonight.journal")
    if request.param == "postgres":
        name = f"{request.getfixturevalue('postgres')}#{uuid4()}"
    people = [f"p{number}@example.com" for number in range(PEOPLE)]
    await Job.plan(name, people, message="The VPN is down tonight.", legacy=True)
    return name


def free(sandbox: Sandbox) -> dict[str, str]:
    """The variables of a user whose limit does not bind."""
    free = {"MOVEWORKS_REQUESTS_PER_MINUTE": "100000", "MOVEWORKS_GATE": "none"}
    return environment(sandbox, **free)


async def command(*words: str, env: dict[str, str], code: int) -> Ended:
    """Run one that ends so, and shows nobody's address."""
    ended = await run(*words, env=env)
    assert ended.code == code, ended
    assert "example.com" not in ended.out + ended.err
    return ended


def told(sandbox: Sandbox) -> list[str]:
    """Everybody who was told, each as often as she was."""
    requests = sandbox.received().requests
    return [person for request in requests if request.told for person in request.recipients]


async def test_the_first_hundred_then_the_others(
    sandbox: Sandbox, journal: str, tmp_path: Path
) -> None:
    """It says how many before and after, ends with 3, and says how to go on; nobody is asked."""
    env, name = free(sandbox), Job(journal).name
    ended = await command("run", journal, "--first", "100", env=env, code=3)
    assert told(sandbox) == [f"p{number}@example.com" for number in range(100)]
    first, begins, ends = ended.err.splitlines()
    assert first.startswith("100 of 1,200 people, to the legacy endpoint at http")
    assert begins == "sending to exactly 100 of 1,200 people in this run"
    assert ends.startswith(
        "This run has ended: it was for 100 people only. 1,100 people were not sent to; go on with:"
        " moveworks-shift resume "
    )
    assert name.rpartition("/")[2] in ends
    status = await command("status", journal, env=env, code=0)
    assert "The last run ended early: it was for 100 people only." in status.out
    page = tmp_path / "account.html"
    await command("report", journal, "--html", str(page), env=env, code=0)
    assert "The last run ended early: it was for 100 people only." in page.read_text()
    again = await command("resume", journal, "--first=50", "--json", env=env, code=3)
    *progress, account = map(json.loads, again.out.splitlines())
    assert {line["progress"]["goal"] for line in progress} == {150}
    assert (account["accepted"], account["stopped"]) == (150, "it was for 50 people only")
    assert "sending to exactly 50 of 1,200 people in this run" in again.err
    unasked = await command("resume", journal, env=env, code=2)
    assert "1,050 people are more than 500" in unasked.last
    rest = await command("resume", journal, "--yes", env=env, code=0)
    assert rest.err.startswith("1,050 of 1,200 people in 3 requests, to the legacy endpoint")
    assert rest.err.count("\n") == 1
    assert "ended early" not in rest.out
    assert len(told(sandbox)) == len({*told(sandbox)}) == PEOPLE


async def test_as_many_as_there_are_are_all(sandbox: Sandbox, journal: str) -> None:
    """Then there is nobody to go on with, and the code is 0; more than 500 are asked about."""
    env = free(sandbox)
    asked = await command("run", journal, "--first", "501", env=env, code=2)
    assert "501 people are more than 500" in asked.last
    ended = await command("run", journal, "--first", "9999", "--yes", env=env, code=0)
    assert "This run has ended" not in ended.err
    assert len(told(sandbox)) == PEOPLE


async def test_a_limit_that_is_crossed_ends_it(
    sandbox: Sandbox, journal: str, tmp_path: Path
) -> None:
    """With the figures, and 4 for people who are unknown; the report says why it ended."""
    sandbox.faults.script("send", "processed-then-reset")
    sandbox.latency, env = 0.2, free(sandbox) | {"MOVEWORKS_SHIFT_RUN_STOP_IF": "unknown>0"}
    ended = await command("run", journal, "--yes", env=env, code=4)
    assert "This run has ended: unknown>0 was crossed: 500 of " in ended.last
    page = tmp_path / "account.html"
    await command("report", journal, "--html", str(page), env=env, code=0)
    assert "a run ended early" in page.read_text()
    assert "unknown&gt;0 was crossed" in page.read_text()


async def test_one_that_is_refused_ends_it_with_3(
    sandbox: Sandbox, journal: str, tmp_path: Path
) -> None:
    """What others ask of it by JSON says why it stopped; the same limit does not stop a resume."""
    rows = [f"p{n}@example.com" for n in range(99)]
    refused = [*(f"{'x' * 65}{n}@example.com" for n in (1, 2)), *rows]
    database, is_one, _ = journal.partition("#")
    other = f"{database}#{uuid4()}" if is_one else str(tmp_path / "other")
    people = [{"email": who, "n": n} for n, who in enumerate(refused)]
    await Job.plan(other, people, template="Floor {n}", legacy=True)
    env = free(sandbox)
    ended = await command(
        "run", other, "--stop-if", "rejected > 1", "--stop-if=throttled>50%", "--json", env=env,
        code=3,
    )  # fmt: skip
    account = json.loads(ended.out.splitlines()[-1])
    assert account["stopped"].startswith("rejected>1 was crossed: 2 of ")
    assert account["rejected"] == 2
    assert account["not_sent"] > 0
    await command("resume", other, "--stop-if", "rejected>1", env=env, code=3)
    assert {*told(sandbox)} == {*rows}


async def test_one_that_may_not_go_on_says_what_lets_it(sandbox: Sandbox, journal: str) -> None:
    """Past its last moment a mere resume sends nothing."""
    env = free(sandbox)
    await command("run", journal, "--first", "9", env=env, code=3)
    late = ("--yes", "--not-after", "2026-01-01T00:00Z")
    ended = await command("resume", journal, *late, env=env, code=3)
    assert "nothing is sent after Thu 2026-01-01 00:00 UTC" in ended.last
    assert "1,191 people were not sent to; go on with: moveworks-shift resume " in ended.last
    assert ended.last.endswith(" --not-after TIME")


@pytest.mark.parametrize(
    ("first", "sample", "left", "people", "requests"),
    [
        (None, False, 120, 60_000, 120),
        (100, False, 120, 60_000, 1),
        (1_000, False, 120, 60_000, 2),
        (60_000, False, 120, 60_000, 120),
        (100, False, 60_000, 60_000, 100),
        (100, True, 120, 60_000, 3),
        (2, True, 120, 60_000, 2),
        (5, False, 0, 0, 0),
    ],
)
def test_a_run_for_some_takes_as_many_requests_as_they_are_in(
    first: int | None, sample: bool, left: int, people: int, requests: int
) -> None:
    """So it is not said to end at the earliest an hour from now, where it ends at once."""
    account = cast("JobAccount", SimpleNamespace(chunks_left=left, not_sent=people, texts=3))
    assert RunLimits(first=first, sample=sample, stop_if=()).requests(account) == requests


def test_others_at_work_are_no_reason_to_go_on() -> None:
    """They tell whom this run has left."""
    account = cast("JobAccount", SimpleNamespace(not_sent=1, running=True))
    assert end_line(account, "j", "it was for 5 people only") == (
        "This run has ended: it was for 5 people only. 1 person was not sent to yet; other runs of"
        " the job are at work on them"
    )
    assert end_line(account, "j", None) is None


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--stop-if", "unknown"], "put it in quotes, for a shell takes a bare > for itself"),
        (["--stop-if", "refused>2%"], 'write it as "rejected>2%", "unknown>0"'),
        (["--first", "0"], "first must be 1 or more people"),
        (["--sample"], "say how many, with first"),
    ],
)
async def test_what_says_nothing_is_refused_before_anything(
    sandbox: Sandbox, tmp_path: Path, words: list[str], says: str
) -> None:
    """Whether the job is there or not."""
    for verb in ("run", "resume"):
        ended = await command(verb, str(tmp_path / "x"), *words, env=free(sandbox), code=2)
        assert says in ended.last
        assert "Traceback" not in ended.err
