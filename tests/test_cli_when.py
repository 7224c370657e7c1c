"""A job's hours as the command line says and keeps them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from moveworks_shift_async import Job
from moveworks_shift_async.cli.foreground import JsonLines
from moveworks_shift_async.cli.views import Lines
from moveworks_shift_async.jobs.run.progress import JobProgress
from moveworks_shift_async.sandbox import Sandbox

from .commands import HANG, Ended, environment, run_here, start

MESSAGE = "The VPN is down tonight."


@pytest.fixture
def journal(tmp_path: Path) -> str:
    """Where a job is going to be."""
    return str(tmp_path / "tonight.journal")


@pytest.fixture
def people(tmp_path: Path) -> str:
    """Three of them."""
    path = tmp_path / "staff.csv"
    path.write_text("email\n" + "".join(f"p{number}@example.com\n" for number in range(3)))
    return str(path)


Command = Callable[..., Awaitable[Ended]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """A command in this process."""

    async def run(*args: str, sandbox: Sandbox | None = None) -> Ended:
        return await run_here(*args, env=environment(sandbox), patch=monkeypatch, capsys=capsys)

    return run


def closed_now() -> str:
    """A window that opens in twelve hours."""
    now = datetime.now(UTC) + timedelta(hours=12)
    return f"{now:%H}:00-{now:%H}:59 UTC"


def planning(journal: str, people: str) -> list[str]:
    """The words of a plan."""
    return ["plan", journal, "--legacy", "--message", MESSAGE, "--recipients", people]


async def test_a_plan_says_when_it_ends(journal: str, people: str, command: Command) -> None:
    """Windows, both moments, the end, and until when platforms show it; and as JSON."""
    when = ["--window", "Mon-Fri 08:00-18:00 Europe/Berlin", "--window", "Sun 10:00-11:00 UTC"]
    when += ["--at", "2097-12-02T20:00Z", "--not-after", "2098-01-01T00:00Z"]
    plan = await command(*planning(journal, people), *when)
    at = "Tue 2097-12-03 08:00 CET"
    for line in (
        "Window      Mon-Fri 08:00-18:00 Europe/Berlin",
        "Window      Sun 10:00-11:00 UTC",
        "Not before  Mon 2097-12-02 21:00 CET",
        f"Ends        begins {at}, ends at the earliest {at}",
        "Microsoft Teams until Tue 2097-12-03 08:00",
    ):
        assert line in plan.out
    status = (await command("status", journal, "--json")).json()
    assert status["windows"] == [when[1], when[3]]
    assert status["not_before"] == "2097-12-02T20:00:00+00:00"
    assert status["opens_at"] == "2097-12-03T07:00:00+00:00"
    assert status["closed"] == f"waiting until {at}, as it is not to begin before"


async def test_a_plan_says_which_zone_it_took(journal: str, people: str, command: Command) -> None:
    """Without one it is the machine's."""
    plan = await command(*planning(journal, people), "--at", "2097-12-02T20:00")
    assert (plan.code, "2097-12-02 20:00 is taken by this machine's zone: " in plan.err) == (
        0,
        True,
    )


@pytest.mark.parametrize(
    ("when", "said"),
    [
        (["--window", "Mon-Fry 08:00-18:00 UTC"], '"Mon-[Fry] 08:00-18:00 UTC": days are Mon'),
        (["--window", "08:00-18:00"], "the time zone is missing"),
        (["--at", "soon"], '"soon" is no time'),
        (["--not-after", "2020-01-01T00:00Z"], "nothing could be sent"),
        (["--at", "2098-01-01T00:00Z", "--not-after", "2097-01-01T00:00Z"], "nothing could be"),
    ],
)
async def test_what_is_wrong_is_one_line(
    journal: str, people: str, when: list[str], said: str, command: Command
) -> None:
    """Exit code 2, before anything is touched."""
    plan = await command(*planning(journal, people), *when)
    assert (plan.code, plan.err.count("\n")) == (2, 1)
    assert said in plan.err
    assert not Path(journal).exists()  # noqa: ASYNC240 - a test


async def test_a_run_past_its_last_moment_says_who_was_not(
    journal: str, people: str, sandbox: Sandbox, command: Command
) -> None:
    """Nothing is sent, not even a question; exit code 3; the account has those people."""
    await command(*planning(journal, people))
    run = ["run", journal, "--not-after", "2020-01-01T00:00Z", "--json"]
    late = await command(*run, sandbox=sandbox)
    account = json.loads(late.out.splitlines()[-1])
    assert late.code == 3
    assert (account["not_sent"], account["accepted"], account["requests"]) == (3, 0, 0)
    assert account["closed"] == "nothing is sent after Wed 2020-01-01 00:00 UTC"
    assert "nothing can be sent: nothing is sent after Wed 2020-01-01 00:00 UTC" in late.err
    assert sandbox.stats().requests == 0
    # It is kept, so a resume stays behind it.
    assert (await command("resume", journal, sandbox=sandbox)).code == 3
    done = await command("resume", journal, "--not-after", "never", sandbox=sandbox)
    assert (done.code, len(sandbox.received().people)) == (0, 3)


async def test_a_run_that_waits_says_so_and_hears_a_stop(
    journal: str, people: str, sandbox: Sandbox, command: Command
) -> None:
    """As a process: the line before it, its progress, its status from here; then `stop`."""
    await command(*planning(journal, people), "--window", closed_now())
    process = await start("run", journal, env=environment(sandbox))
    assert process.stderr is not None
    async with asyncio.timeout(HANG):
        first = (await process.stderr.readline()).decode()
        second = (await process.stderr.readline()).decode()
        assert "3 people in 1 request, to the legacy endpoint" in first
        assert "; begins " in first
        assert "ends at the earliest" in first
        assert "waiting until" in second
        assert "to go" in second
        assert (await Job(journal).account()).running
        assert (await command("stop", journal)).code == 0
        rest = (await process.stderr.read()).decode()
        assert await process.wait() == 3
    assert "Traceback" not in rest
    assert not sandbox.received().people


def progress(elapsed: float, until: float | None) -> JobProgress:
    """A moment of a job."""
    return JobProgress(
        total=3, told=0, rejected=0, unknown=0, requests=0, throttled=0, last_minute=0,
        allowed_a_minute=120.0, finished=False, elapsed=elapsed, left=None, why="waiting",
        waits_until=until,
    )  # fmt: skip


@pytest.mark.parametrize("view", [Lines, JsonLines])
def test_a_night_is_few_lines(view: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """One when it begins, now and then some, and one when it ends; not one every ten seconds."""
    shown, night = view(), 14 * 3600
    for second in range(10, night):
        shown.show(progress(float(second), 1e9))
    shown.show(progress(float(night), None))
    told = capsys.readouterr()
    lines = (told.out + told.err).count("\n")
    assert lines == (1 + night // 1800 if view is Lines else 1 + night // 60)
