"""The commands on a job in PostgreSQL: what they do, what they say, and what they never show."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest
from attrs import evolve

from moveworks_shift_async import Job, JournalError
from moveworks_shift_async.sandbox import Sandbox
from moveworks_shift_async.storage.database_url import without_password

from .commands import Ended, end, environment, run, start, until
from .fleet import CLEAN, audited, planned

SECRET = "s3cr3t"
MESSAGE = ("--legacy", "--message", "The VPN is down tonight.")


@pytest.fixture
def people(tmp_path: Path) -> str:
    """A file of 1,600 people."""
    path = tmp_path / "people.csv"
    lines = [f"p{number}@example.com" for number in range(1600)]
    path.write_text("\n".join(["email", *lines]))
    return str(path)


@pytest.fixture
def journal(postgres: str) -> str:
    """A job's name, with a password in it."""
    return f"{postgres.replace('@', f':{SECRET}@')}#{uuid4()}"


def free(sandbox: Sandbox, **more: str) -> dict[str, str]:
    """The variables of a user whose limit does not bind, and who shares it with nobody."""
    return environment(
        sandbox, MOVEWORKS_REQUESTS_PER_MINUTE="100000", MOVEWORKS_GATE="none", **more
    )


async def command(*words: str, env: dict[str, str], code: int = 0) -> Ended:
    """Run one that ends so, and shows no password."""
    ended = await run(*words, env=env)
    assert SECRET not in ended.out + ended.err
    assert ended.code == code, ended
    return ended


async def test_a_job_from_its_plan_to_its_report(
    sandbox: Sandbox, journal: str, people: str, tmp_path: Path
) -> None:
    """As in a file; the password of its URL is in nothing that a command says."""
    env = free(sandbox)
    planned = await command("plan", journal, "--recipients", people, *MESSAGE, env=env)
    assert "this sends it: moveworks-shift run 'postgresql://tester:***@" in planned.err
    again = await command("plan", journal, "--recipients", people, *MESSAGE, env=env, code=2)
    assert "holds a job already" in again.last
    for verb in ("pause", "stop"):
        assert (
            "no process runs postgresql://tester:***@"
            in (await command(verb, journal, env=env, code=2)).last
        )
    ran = await command("run", journal, "--yes", env=env)
    assert "1,600" in ran.out
    assert (await command("run", journal, "--yes", env=env, code=2)).last.count("***") == 1
    await command("resume", journal, "--yes", env=env)
    status = (await command("status", journal, "--json", env=env)).json()
    assert (status["accepted"], status["requests"], status["finished"]) == (1600, 4, True)
    csv, page = tmp_path / "account.csv", tmp_path / "account.html"
    await command("report", journal, "--csv", str(csv), "--html", str(page), env=env)
    assert SECRET not in csv.read_text() + page.read_text()
    assert csv.read_text().count("accepted") == 1600
    assert await audited(journal, sandbox) == CLEAN
    assert SECRET not in repr(Job(journal))


async def test_a_send_keeps_its_job_there(sandbox: Sandbox, journal: str, people: str) -> None:
    """With `--journal`."""
    await command(
        *("send", "--recipients", people, *MESSAGE, "--journal", journal, "--yes"),
        env=free(sandbox),
    )
    assert await audited(journal, sandbox) == CLEAN


async def test_pause_resume_and_stop_reach_every_run(postgres: str) -> None:
    """Both pause, both go on, both end; what was on its way has ended."""
    async with Sandbox(limit=100_000, window=1.0, latency=1.0) as sandbox:
        env, journal = free(sandbox), await planned(postgres, 3000, 1)
        runs = [await start("run", journal, "--yes", "--json", env=env) for _ in range(2)]
        while len((await Job(journal).account()).runs) < 2:  # noqa: ASYNC110 - they are processes
            await asyncio.sleep(0.1)
        await command("pause", journal, env=env)
        await asyncio.sleep(2.5)
        account, before = await Job(journal).account(), sandbox.stats().requests
        assert (account.paused, account.in_flight) == (True, 0)
        await asyncio.sleep(1)
        assert sandbox.stats().requests == before
        assert "the pause has ended" in (await command("resume", journal, env=env)).err
        await until(lambda: sandbox.stats().requests > before + 64)
        await command("stop", journal, env=env)
        ended = [await end(one) for one in runs]
        assert [one.code for one in ended] == [3, 3], ended
        found = await audited(journal, sandbox)
        assert evolve(found, planned=0) == CLEAN
        assert found.planned


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://u:{0}@127.0.0.1:1/postgres#job", "no connection to postgresql://u:***@127"),
        ("postgresql://u:{0}@nobody.invalid/postgres#job", "no connection"),
        ("postgresql://u:a:{0}@127.0.0.1:1/d#job", "no connection"),
        ("postgresql://u:{0}/x@127.0.0.1:1/d#job", "no connection to postgresql://***"),
        ("postgresql://u:a/{0}@127.0.0.1:1/d#job", "no connection to postgresql://***"),
        ("postgresql://u:a@{0}@127.0.0.1:1/d#job", "no connection to postgresql://***"),
        ("postgresql://u:{0}@127.0.0.1:port/d#job", "no connection"),
        ("postgresql://u:a#{0}@127.0.0.1:1/d", "names no job"),
        ("postgresql://u:a#{0}@127.0.0.1:1/d#job", "no connection"),
        ("postgresql://u:a?{0}@127.0.0.1:1/d#job", "no connection"),
        ("postgresql://127.0.0.1:1/d?password={0}#job", "no connection"),
        ("postgresql://127.0.0.1:1/d?user=u&pass%77ord={0}#job", "no connection"),
        ("postgresql://127.0.0.1:1/d?password=a@{0}#job", "no connection"),
        ("postgresql://{0}", "names no job"),
    ],
)
async def test_no_error_shows_a_password(url: str, says: str) -> None:
    """Wherever in the URL it stands, also where the URL is wrong."""
    ended = await command("status", url.format(SECRET), env=environment(), code=2)
    assert says in ended.last


def test_what_may_be_shown_of_a_url() -> None:
    """Whatever tells where the database is."""
    for url in ("postgresql:///d", "postgresql://h/d", "postgresql://u@h:1,g:2/d?sslmode=require"):
        assert without_password(url) == url
    assert without_password("postgresql://u:p@h/d?password=p&user=u") == (
        "postgresql://u:***@h/d?user=u"
    )


@pytest.mark.parametrize(
    "name", ["a b", "ü/ø", "..", "%23", "'; --", "日本", "x" * 300, "-f", "$1 %s"]
)
async def test_names_with_odd_characters(sandbox: Sandbox, postgres: str, name: str) -> None:
    """A name is text, whatever it would mean elsewhere."""
    journal = f"{postgres}#{name}-{uuid4()}"
    await Job.plan(journal, ["a@example.com"], message="Hello", legacy=True)
    ended = await command("run", journal, "--yes", env=free(sandbox))
    assert ended.err.count("Error") == 0
    assert (await Job(journal).account()).accepted == 1


@pytest.mark.parametrize("name", ["", " ", "a@b", "a\nb", "a\0b"])
def test_names_that_are_none(postgres: str, name: str) -> None:
    """What follows an @ may be a part of a password; what cannot be printed cannot be named."""
    with pytest.raises(JournalError, match="names no job"):
        Job(f"{postgres}#{name}")
