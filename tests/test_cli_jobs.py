"""The commands of a job as a tired engineer uses them: real processes, signals, a real sandbox."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import signal
import stat
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from moveworks_shift_async import Job
from moveworks_shift_async.cli import main, preflight
from moveworks_shift_async.cli.failures import INTERRUPTED
from moveworks_shift_async.jobs.report import report_files
from moveworks_shift_async.jobs.report.csv_export import write_rows
from moveworks_shift_async.sandbox import Sandbox

from . import commands
from .commands import (
    HANG,
    PACKAGE,
    Ended,
    end,
    environment,
    heard,
    on_terminal,
    run_here,
    spawn,
    start,
    until,
)

MESSAGE = "The VPN is down tonight."


@pytest.fixture
async def slow() -> AsyncIterator[Sandbox]:
    """A sandbox that takes its time: there is always a request in flight."""
    async with Sandbox(limit=100_000, window=1.0, latency=1.0) as running:
        yield running


@pytest.fixture
def journal(tmp_path: Path) -> str:
    """Where a job is going to be."""
    return str(tmp_path / "tonight.journal")


def free(sandbox: Sandbox | None = None, **more: str) -> dict[str, str]:
    """The variables of a user whose limit does not bind."""
    return environment(sandbox, **{"MOVEWORKS_REQUESTS_PER_MINUTE": "100000"} | more)


async def a_job(journal: str, count: int, *, each: bool = False, **more: Any) -> None:
    """A job for so many people, planned; `each` of them with a text of her own."""
    people = ({"email": f"p{number}@example.com", "n": number} for number in range(count))
    text = {"template": f"{MESSAGE} {{n}}"} if each else {"message": MESSAGE}
    await Job.plan(journal, people, **{"legacy": True} | text | more)


async def run(*args: str, env: dict[str, str]) -> Ended:
    """Run a command to its end; see that stderr keeps what is nobody's business."""
    return told_nothing(await commands.run(*args, env=env))


def told_nothing(ended: Ended) -> Ended:
    """Neither an address nor a text is on stderr."""
    assert "example.com" not in ended.err
    assert MESSAGE not in ended.err
    return ended


def counts(ended: Ended) -> dict[str, int]:
    """The totals that were printed."""
    rows = [line.replace(",", "").split("  ") for line in ended.out.splitlines()
            if line.startswith("  ")]  # fmt: skip
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    return {row[0]: int(row[1]) for row in cells if len(row) > 1 and row[1].isdigit()}


def mode(path: str | Path) -> int:
    """Who may read and write it."""
    return stat.S_IMODE(os.stat(path).st_mode)


# --- run ----------------------------------------------------------------------------------


async def test_a_job_that_all_accept_ends_with_0(sandbox: Sandbox, journal: str) -> None:
    """Everybody once; the account is on stdout, and nothing else is anywhere."""
    await a_job(journal, 1200)
    ended = await run("run", journal, "--yes", env=free(sandbox))
    where = f"to the legacy endpoint at {sandbox.url}"
    assert (ended.code, ended.err) == (0, f"1,200 people in 3 requests, {where}\n")
    assert ended.out.startswith("All 1,200 people were accepted for delivery.\n")
    assert counts(ended)["accepted"] == counts(ended)["people"] == 1200
    assert "; finished\n" in ended.out
    assert sandbox.received().people == {f"p{number}@example.com": 1 for number in range(1200)}
    again = await run("run", journal, "--yes", env=free(sandbox))
    assert (again.code, again.out) == (2, "")
    for command in ("resume", "status", "report"):
        after = await run(command, journal, env=free(sandbox))
        assert (after.code, after.err) == (0, "")
        assert after.out.startswith("All 1,200 people were accepted for delivery.\n")
    assert sandbox.stats().requests == 1 + 3  # an auth test first


async def test_run_with_json_gives_lines_and_the_account_last(slow: Sandbox, journal: str) -> None:
    """Each line is an object; all but the last are progress."""
    await a_job(journal, 20_000)
    ended = await run("run", journal, "--yes", "--json", env=free(slow))
    *progress, account = map(json.loads, ended.out.splitlines())
    assert (ended.code, ended.err.count("\n")) == (0, 1)
    assert len(progress) >= 2
    assert all([*line] == ["progress"] for line in progress)
    told = [line["progress"]["told"] for line in progress]
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0, 20_000)
    assert progress[-1]["progress"]["finished"] is True
    assert account["accepted"] == account["people"] == 20_000
    assert (account["finished"], account["stopped"], account["errors"]) == (True, None, [])


async def test_a_list_that_is_refused_ends_with_3(sandbox: Sandbox, journal: str) -> None:
    """With --isolate only the guilty address is rejected."""
    people = [*(f"p{number}@example.com" for number in range(99)), f"{'x' * 65}@example.com"]
    await Job.plan(journal, people, message=MESSAGE, legacy=True)
    whole = await run("run", journal, "--yes", env=free(sandbox))
    assert (whole.code, counts(whole)["rejected"]) == (3, 100)
    assert "rejected: 100 people in 1 request: BadRequest: HTTP 400" in whole.out
    await Job.plan(f"{journal}2", people, message=MESSAGE, legacy=True)
    parts = await run("run", f"{journal}2", "--isolate", "40", env=free(sandbox))
    assert (parts.code, counts(parts)["rejected"], counts(parts)["accepted"]) == (3, 1, 99)
    assert len(sandbox.received().people) == 99


async def test_a_lost_answer_ends_with_4_and_the_ways_on(sandbox: Sandbox, journal: str) -> None:
    """report keeps the question, resend tells them again, skip ends it."""
    sandbox.faults.script("send", "processed-then-reset")
    await a_job(journal, 1000)
    lost = await run("run", journal, "--yes", env=free(sandbox))
    assert (lost.code, counts(lost)["unknown"]) == (4, 500)
    assert "500 people may have been told or not. Choose:" in lost.out
    assert f"moveworks-shift resume {journal} --unknown skip" in lost.out
    kept = await run("resume", journal, env=free(sandbox))
    assert (kept.code, counts(kept)["unknown"], sandbox.stats().requests) == (4, 500, 1 + 2)
    left = await run("resume", journal, "--unknown", "skip", env=free(sandbox))
    assert (left.code, sandbox.stats().requests) == (4, 1 + 2)
    assert "500 of them left alone" in left.out
    assert set(sandbox.received().people.values()) == {1}


async def test_unknown_people_are_told_again_on_request(sandbox: Sandbox, journal: str) -> None:
    """resend may tell people twice, and only those."""
    sandbox.faults.script("send", "processed-then-reset")
    await a_job(journal, 1000)
    assert (await run("run", journal, "--yes", env=free(sandbox))).code == 4
    again = await run("resume", journal, "--unknown", "resend", env=free(sandbox))
    assert (again.code, counts(again)["accepted"]) == (0, 1000)
    assert sorted(sandbox.received().people.values()) == [1] * 500 + [2] * 500


async def test_a_refused_credential_ends_with_5_before_the_job_begins(
    sandbox: Sandbox, journal: str
) -> None:
    """The account comes first, then one line that says what to do; `run` is still the way."""
    await a_job(journal, 1200)
    wrong = free(sandbox, MOVEWORKS_API_KEY="wrong_key_of_mine")
    ended, machine = [await run(*args, env=wrong) for args in
                      (("run", journal, "--yes"), ("run", journal, "--yes", "--json"))]  # fmt: skip
    assert (ended.code, machine.code) == (5, 5)
    assert counts(ended)["not sent"] == 1200
    assert ended.err.count("\n") == 2
    assert ended.last.startswith("Error: HTTP 401")
    assert ended.last.endswith(
        ". Nobody was told. Check the credential and the base URL, then begin it:"
        f" moveworks-shift run {journal}"
    )
    account = json.loads(machine.out.splitlines()[-1])
    assert account["stopped"].startswith("HTTP 401")
    assert "wrong_key" not in ended.out + ended.err + machine.out + machine.err
    assert (await run("run", journal, "--yes", env=free(sandbox))).code == 0
    assert set(sandbox.received().people.values()) == {1}


async def test_without_a_server_a_job_does_not_begin(
    sandbox: Sandbox, journal: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """At once it says what is wrong and that it tries again; then it ends, and all stay planned."""
    await a_job(journal, 1200)
    await sandbox.stop_listening()
    monkeypatch.setattr(preflight, "SECONDS_TRIED", 1.2)
    here = {"env": free(sandbox), "patch": monkeypatch, "capsys": capsys}
    ended = await run_here("run", journal, "--yes", **here)
    first, *_, last = ended.err.splitlines()[1:]
    assert (ended.code, counts(ended)["not sent"]) == (5, 1200)
    assert first.startswith(f"no connection to {sandbox.url.removeprefix('http://')}: ")
    assert first.endswith("; trying again for 1 s")
    assert last.endswith(f"then begin it: moveworks-shift run {journal}")
    await sandbox.start_listening()
    assert (await run_here("run", journal, "--yes", **here)).code == 0
    assert len(sandbox.received().people) == 1200


async def test_a_server_that_goes_is_waited_for(slow: Sandbox, journal: str) -> None:
    """Not on a terminal it is a plain line; Ctrl-C ends the wait, and the others stay planned."""
    await a_job(journal, 60_000)
    process = await start("run", journal, "--yes", env=free(slow))
    await until(lambda: slow.stats().requests >= 1 + 32)
    await slow.stop_listening()
    assert process.stderr is not None
    line = ""
    while "waiting for the server for" not in line:
        line = (await asyncio.wait_for(process.stderr.readline(), HANG)).decode()
    assert " so far: " in line
    process.send_signal(signal.SIGINT)
    ended = told_nothing(await end(process))
    assert ended.code == 130
    assert counts(ended)["not sent"] > 0
    await slow.start_listening()
    assert (await run("resume", journal, env=free(slow))).code in (0, 4)
    assert set(slow.received().people.values()) == {1}


async def test_a_job_asks_before_many_are_told(slow: Sandbox, journal: str) -> None:
    """Where nobody can be asked it takes --yes; a no leaves the job as it is."""
    await a_job(journal, 501)
    for command in ("run", "resume"):
        refused = await run(command, journal, env=free(slow))
        assert (refused.code, refused.out) == (2, "")
        assert "add --yes. Nothing was sent." in refused.last
    code, screen = await on_terminal("run", journal, answer=b"n\n", env=free(slow))
    assert code == 130
    assert f"501 people in 2 requests, to the legacy endpoint at {slow.url}" in screen
    assert "Tell 501 people? [y/N]" in screen
    assert slow.stats().requests == 0
    code, _ = await on_terminal("run", journal, answer=b"y\n", env=free(slow))
    assert code == 0
    assert len(slow.received().people) == 501


# --- signals ------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_first_signal_drains_and_resume_finishes(
    slow: Sandbox, journal: str, number: signal.Signals
) -> None:
    """In flight ends, the rest stays planned, and nobody is told twice."""
    await a_job(journal, 30_000)
    process = await start("run", journal, "--yes", env=free(slow))
    await until(lambda: slow.stats().requests >= 1 + 32)
    process.send_signal(number)
    ended = told_nothing(await end(process))
    account = counts(ended)
    assert ended.code == 130
    assert "\nstopping: waiting for 32 requests in flight; press Ctrl-C again" in ended.err
    assert (account["accepted"], account["unknown"], account["not sent"]) == (16_000, 0, 14_000)
    assert f"  moveworks-shift resume {journal}\n" in ended.out
    assert len(slow.received().people) == 16_000
    resumed = await run("resume", journal, env=free(slow))
    assert (resumed.code, counts(resumed)["accepted"]) == (0, 30_000)
    assert set(slow.received().people.values()) == {1}
    assert len(slow.received().people) == 30_000


async def test_the_second_signal_cuts_and_those_are_unknown(slow: Sandbox, journal: str) -> None:
    """At once; the journal is right, and the others go on."""
    await a_job(journal, 30_000)
    process = await start("run", journal, "--yes", env=free(slow))
    await until(lambda: slow.stats().requests >= 1 + 32)
    process.send_signal(signal.SIGINT)
    await heard(process)
    process.send_signal(signal.SIGINT)
    ended = told_nothing(await end(process))
    assert ended.code == 130
    assert counts(ended)["unknown"] == 16_000
    assert counts(ended)["not sent"] == 14_000
    assert counts(ended)["accepted"] == 0
    resumed = await run("resume", journal, env=free(slow))
    assert (resumed.code, counts(resumed)["accepted"]) == (4, 14_000)
    assert counts(resumed)["unknown"] == 16_000


async def test_a_signal_that_was_ignored_stays_ignored(slow: Sandbox, journal: str) -> None:
    """`nohup moveworks-shift run`: the end of the terminal does not end the job."""
    await a_job(journal, 20_000)
    ignoring = [sys.executable, "-c", _NOHUP, *commands.COMMAND, "run", journal, "--yes"]
    pipe = asyncio.subprocess.PIPE
    process = await spawn(*ignoring, env=free(slow), stdin=pipe, stdout=pipe, stderr=pipe)
    await until(lambda: slow.stats().requests >= 1 + 32)
    process.send_signal(signal.SIGHUP)
    ended = told_nothing(await end(process))
    assert ended.code == 0
    assert "stopping" not in ended.err
    assert len(slow.received().people) == 20_000


_NOHUP = (
    "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN);"
    " os.execv(sys.argv[1], sys.argv[1:])"
)


@pytest.mark.parametrize("command", ["run", "send"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_no_number_of_signals_loses_the_account(
    slow: Sandbox, journal: str, tmp_path: Path, number: signal.Signals, command: str
) -> None:
    """The second cuts, and whatever follows finds the account being printed."""
    await a_job(journal, 1200)
    staff = tmp_path / "staff.txt"
    staff.write_text("".join(f"p{number}@example.com\n" for number in range(1200)))
    args = {
        "run": ("run", journal, "--yes", "--json"),
        "send": ("send", "--legacy", "--message", MESSAGE, "--recipients", str(staff), "--yes",
                 "--json"),
    }[command]  # fmt: skip
    process = await start(*args, env=free(slow))
    await until(lambda: slow.stats().requests >= 1 + 3)
    pressing = asyncio.create_task(_press(process, number))
    ended = await end(process)
    pressing.cancel()
    account = json.loads(ended.out.splitlines()[-1])
    assert ended.code == 130
    assert account["unknown"] == 1200


def press(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Not `send_signal`, which looks first whether it has ended and so takes its exit code."""
    if process.returncode is None:
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(process.pid, number)


async def _press(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    while process.returncode is None:
        press(process, number)
        await asyncio.sleep(0.001)


async def test_a_killed_job_is_resumed_and_never_run_again(slow: Sandbox, journal: str) -> None:
    """`run` refuses and says what to do instead; those in flight are unknown."""
    await a_job(journal, 40_000)
    process = await start("run", journal, "--yes", env=free(slow))
    await until(lambda: slow.stats().requests >= 1 + 48)
    process.kill()
    await process.communicate()
    shown = await run("status", journal, env=environment())
    assert "so far" not in shown.out
    assert counts(shown)["unknown"] <= 16_000
    again = await run("run", journal, "--yes", env=free(slow))
    assert (again.code, again.out) == (2, "")
    assert "resume" in again.last
    assert again.last.endswith("This command sent nothing.")
    resumed = await run("resume", journal, env=free(slow))
    account = counts(resumed)
    assert resumed.code == 4
    assert account["not sent"] == 0
    assert 0 < account["unknown"] <= 16_000
    assert account["accepted"] + account["unknown"] == 40_000
    assert set(slow.received().people.values()) == {1}
    assert account["accepted"] <= len(slow.received().people) <= 40_000


async def test_signals_around_the_end_do_not_lose_the_account(
    sandbox: Sandbox, journal: str
) -> None:
    """However often Ctrl-C is pressed, and whenever."""
    await a_job(journal, 5_000)
    process = await start("run", journal, "--yes", env=free(sandbox))
    await until(lambda: sandbox.stats().requests >= 1 + 1)
    for _ in range(40):
        press(process, signal.SIGINT)
        await asyncio.sleep(0.005)
    ended = told_nothing(await end(process))
    account = counts(ended)
    assert ended.code in (0, 130)  # at its very end there is nothing to interrupt
    told = sum(account[key] for key in ("accepted", "rejected", "unknown", "not sent"))
    assert told == account["people"] == 5_000


async def test_a_reader_that_is_gone_does_not_end_a_job(slow: Sandbox, journal: str) -> None:
    """`run --json | head -1`."""
    reading, writing = os.pipe()
    os.close(reading)
    await a_job(journal, 20_000)
    process = await start("run", journal, "--yes", "--json", env=free(slow), stdout=writing)
    os.close(writing)
    _, err = await process.communicate()
    assert (process.returncode, err.count(b"\n")) == (0, 1)
    assert len(slow.received().people) == 20_000


async def test_on_a_terminal_it_draws_a_bar(slow: Sandbox, journal: str) -> None:
    """With the account under it."""
    await a_job(journal, 1200)
    code, screen = await on_terminal("run", journal, "--yes", env=free(slow))
    assert code == 0
    assert "━" in screen
    assert "1,200 of 1,200 people" in screen
    assert "waiting for answers: 3 in flight" in screen
    assert "All 1,200 people were accepted for delivery." in screen


# --- from another terminal ----------------------------------------------------------------


async def test_pause_resume_and_stop_from_other_processes(slow: Sandbox, journal: str) -> None:
    """A pause holds the first process, a resume lets it go on, a stop ends it with its account."""
    await a_job(journal, 1_500, each=True)  # 47 s at 32 requests in flight of 1 s each
    env = free(slow)
    process = await start("run", journal, "--yes", env=env)
    await until(lambda: slow.stats().requests >= 1 + 32)
    second, third = await asyncio.gather(
        run("run", journal, "--yes", env=env), run("resume", journal, env=env)
    )
    for refused in (second, third):
        assert (refused.code, refused.out) == (2, "")
        assert "another process works on" in refused.last
        assert "The command status shows how far it is, stop ends it." in refused.last
    paused = await run("pause", journal, env=environment())
    assert (paused.code, paused.out) == (0, "")
    assert f"this goes on: moveworks-shift resume {journal}" in paused.last
    shown = await shown_when(journal, in_flight=0)
    held = slow.stats().requests
    assert (shown["running"], shown["paused"], shown["finished"]) == (True, True, False)
    text = await run("status", journal, env=environment())
    assert "; paused\n" in text.out
    assert "Ends the pause: the process that runs the job goes on." in text.out
    await asyncio.sleep(1.5)
    assert slow.stats().requests == held
    goes_on = await run("resume", journal, env=environment())
    assert (goes_on.code, goes_on.out) == (0, "")
    assert goes_on.last.startswith("the pause has ended; the process that runs the job goes on")
    await until(lambda: slow.stats().requests > held)
    stopped = await run("stop", journal, env=environment())
    assert (stopped.code, stopped.out) == (0, "")
    ended = told_nothing(await end(process))
    assert ended.code == 3
    assert "paused from another terminal" in ended.err
    account = counts(ended)
    assert 0 < account["not sent"] < 1_500
    assert account["accepted"] == len(slow.received().people) == 1_500 - account["not sent"]
    for command in ("pause", "stop"):
        nobody = await run(command, journal, env=environment())
        assert (nobody.code, nobody.out) == (2, "")
        assert nobody.last.startswith(f"Error: no process runs {journal}")
    assert set(slow.received().people.values()) == {1}


async def shown_when(journal: str, **wanted: object) -> dict[str, Any]:
    """The account once these of its values are so."""
    async with asyncio.timeout(HANG):
        while True:
            shown = (await run("status", journal, "--json", env=environment())).json()
            if wanted.items() <= shown.items():
                return dict(shown)


# --- send --journal -----------------------------------------------------------------------

SEND = ("send", "--legacy", "--message", MESSAGE)


@pytest.fixture
def people(tmp_path: Path) -> str:
    """A file of 1,200 people and one who is none."""
    path = tmp_path / "staff.csv"
    rows = "".join(f"p{number}@example.com\n" for number in range(1200))
    path.write_text(f"Email\n{rows}nobody\n")
    return str(path)


async def test_send_with_a_journal_plans_and_runs(
    sandbox: Sandbox, journal: str, people: str
) -> None:
    """One object with --json; the plan at its own rate on stderr; invalid rows change no code."""
    args = (*SEND, "--recipients", people, "--journal", journal, "--yes", "--json")
    ended = await run(*args, env=free(sandbox, MOVEWORKS_REQUESTS_PER_MINUTE="1000"))
    account = ended.json()
    assert ended.code == 0
    assert (account["accepted"], account["invalid"], account["finished"]) == (1200, 1, True)
    assert "at 1,000 requests a minute\n" in ended.err
    assert "  line 1202: no @\n" in ended.err
    assert mode(journal) == 0o600
    assert (await run("status", journal, env=environment())).out.startswith("All 1,200 people")
    again = await run(*args, env=free(sandbox))
    assert (again.code, again.out) == (2, "")
    assert "holds a job already" in again.last
    assert sandbox.stats().requests == 1 + 3


async def test_send_with_a_journal_and_no_yes_says_how_to_begin(
    slow: Sandbox, journal: str, people: str
) -> None:
    """Where nobody can be asked, and after a no: the plan stays, and `run` sends it."""
    args = (*SEND, "--recipients", people, "--journal", journal)
    ended = await run(*args, env=free(slow))
    assert (ended.code, ended.out) == (2, "")
    assert "terminal to confirm from; the job is planned, and this sends it:" in ended.last
    assert f"moveworks-shift run {journal}. This command sent nothing." in ended.last
    assert "--yes" not in ended.last
    other = (*SEND, "--recipients", people, "--journal", f"{journal}2")
    code, screen = await on_terminal(*other, answer=b"n\n", env=free(slow))
    assert code == 130
    assert "Tell 1,200 people? [y/N]" in screen
    assert "Nothing was sent. The job is planned, and this sends it: moveworks-shift run" in screen
    assert slow.stats().requests == 0
    assert (await run("run", journal, "--yes", env=free(slow))).code == 0


async def test_what_goes_without_a_journal_alone_is_refused_with_one(
    sandbox: Sandbox, journal: str, people: str, tmp_path: Path
) -> None:
    """Nothing is planned, and the line names the commands for it; a credential is asked first."""
    args = (*SEND, "--recipients", people, "--journal", journal)
    dry, test, unset = await asyncio.gather(
        run(*args, "--dry-run", env=free(sandbox)),
        run(*args, "--test-to", "me@example.com", env=free(sandbox)),
        run(*args, env=environment()),
    )
    assert {dry.code, test.code, unset.code} == {2}
    assert "see plan, and run --test-to" in dry.last
    assert "set MOVEWORKS_API_KEY" in unset.last
    assert os.listdir(tmp_path) == ["staff.csv"]


# --- run --test-to ------------------------------------------------------------------------


async def test_a_test_goes_to_its_address_only(sandbox: Sandbox, journal: str) -> None:
    """The first three texts; the journal stays byte for byte."""
    await a_job(journal, 10, each=True)
    before = Path(journal).read_bytes()  # noqa: ASYNC240
    wrong = free(sandbox, MOVEWORKS_API_KEY="wrong")
    text, machine, none, refused = await asyncio.gather(
        run("run", journal, "--test-to", "me@example.com", env=free(sandbox)),
        run("run", journal, "--test-to", "you@example.com", "--json", env=free(sandbox)),
        run("run", journal, "--test-to", "me", env=environment()),
        run("run", journal, "--test-to", "me@example.com", env=wrong),
    )
    assert (text.code, text.out) == (0, "")
    assert text.last.startswith("test: 3 requests to the address of --test-to only; nobody else")
    assert (machine.code, machine.json()) == (0, {"test": True, "requests": 3})
    assert (none.code, none.out) == (2, "")
    assert none.last.startswith("Error: --test-to is no address: no @. Nothing was sent.")
    assert refused.code == 5
    assert "Nobody but the address of --test-to can have been told." in refused.last
    assert dict(sandbox.received().people) == {"me@example.com": 3, "you@example.com": 3}
    assert Path(journal).read_bytes() == before  # noqa: ASYNC240
    assert (await run("status", journal, env=environment())).out.startswith("Nothing was sent yet.")


async def test_ctrl_c_in_a_test_does_not_say_that_nothing_was_sent(
    slow: Sandbox, journal: str
) -> None:
    """It cannot know."""
    await a_job(journal, 10)
    process = await start("run", journal, "--test-to", "me@example.com", env=free(slow))
    await until(lambda: slow.stats().requests == 1 + 1)
    process.send_signal(signal.SIGINT)
    ended = told_nothing(await end(process))
    assert (ended.code, ended.out) == (130, "")
    assert ended.last == (
        "Error: interrupted. The test may have been sent or not. Nobody else was told."
    )


# --- report -------------------------------------------------------------------------------


async def test_the_report_is_written_for_its_owner(
    sandbox: Sandbox, journal: str, tmp_path: Path
) -> None:
    """A row a recipient, one page, one object; the files are named on stderr."""
    sandbox.faults.script("send", "processed-then-reset")
    await a_job(journal, 1000, each=False)
    await run("run", journal, "--yes", env=free(sandbox))
    table, page = tmp_path / "a.csv", tmp_path / "a.html"
    args = ("report", journal, "--csv", str(table), "--html", str(page), "--json")
    ended = await run(*args, env=environment())
    assert ended.code == 0
    assert ended.json()["unknown"] == 500
    assert ended.err.splitlines() == [
        f"{table}: written, a row for each recipient and each entry left out",
        f"{page}: written, one page",
    ]
    assert (mode(table), mode(page), mode(journal)) == (0o600, 0o600, 0o600)
    rows = [*csv.DictReader(table.read_text().splitlines())]
    assert [*rows[0]] == ["address", "outcome", "chunk", "time", "reason", "line"]
    assert sorted(row["outcome"] for row in rows) == ["accepted"] * 500 + ["unknown"] * 500
    assert "<svg" in page.read_text()
    assert "example.com" not in page.read_text()
    text = await run("report", journal, env=environment())
    assert (text.code, text.err, counts(text)["unknown"]) == (0, "", 500)


async def test_a_report_that_cannot_be_written_advises_nobody_to_send(
    sandbox: Sandbox, journal: str, tmp_path: Path
) -> None:
    """A file that is there stays, a folder that is not is named; exit code 2."""
    await a_job(journal, 1)
    taken = tmp_path / "taken.csv"
    taken.write_text("mine")
    exists, absent = await asyncio.gather(
        run("report", journal, "--csv", str(taken), env=environment()),
        run("report", journal, "--html", str(tmp_path / "no" / "a.html"), env=environment()),
    )
    assert (exists.code, exists.out, absent.code, absent.out) == (2, "", 2, "")
    assert "is there already and was left as it is; name another file" in exists.last
    assert absent.last.endswith(
        f"cannot be written: No such file or directory; make {tmp_path / 'no'} first."
        " Nothing was written."
    )
    assert taken.read_text() == "mine"


async def test_both_files_of_a_report_are_written_or_none(journal: str, tmp_path: Path) -> None:
    """What one of them lacks is found before the other stands there; then it can be run again."""
    await a_job(journal, 1)
    table, page = tmp_path / "a.csv", tmp_path / "a.html"
    page.write_text("mine")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "jinja2.py").write_text("raise ModuleNotFoundError('none', name='jinja2')")
    args = ("report", journal, "--csv", str(table), "--html")
    without = environment() | {"PYTHONPATH": os.pathsep.join([str(broken), str(PACKAGE.parent)])}
    taken, missing, same = await asyncio.gather(
        run(*args, str(page), env=environment()),
        run(*args, str(tmp_path / "b.html"), env=without),
        run(*args, str(table), env=environment()),
    )
    assert {ended.code for ended in (taken, missing, same)} == {2}
    assert "a.html is there already and was left as it is" in taken.last
    assert "the page needs jinja2, which is not installed; run: " in missing.last
    assert "a.csv cannot be both files; name another one. Nothing was written." in same.last
    assert not table.exists()
    assert not (tmp_path / "b.html").exists()
    page.unlink()
    assert (await run(*args, str(page), env=environment())).code == 0
    assert table.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_report_leaves_no_file(
    journal: str,
    tmp_path: Path,
    number: signal.Signals,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Neither a half nor a whole one, so what the line says is true: run it again."""
    asyncio.run(a_job(journal, 1))
    command = ["report", journal, "--csv", str(tmp_path / "a.csv")]

    def interrupted(*given: Any) -> None:
        *rows, stop = given
        write_rows(*rows)
        signal.pthread_kill(threading.get_ident(), number)  # the system may choose any thread
        assert stop.wait(HANG)

    with monkeypatch.context() as patch:
        patch.setattr(report_files, "write_rows", interrupted)
        assert main.run(command) == 130
    assert capsys.readouterr().err == f"{INTERRUPTED}\n"
    assert {path.suffix for path in tmp_path.iterdir()} <= {".journal", ".journal-lock"}
    assert main.run(command) == 0
    assert (tmp_path / "a.csv").exists()


async def test_a_journal_may_have_any_name(tmp_path: Path) -> None:
    """Bytes that are no text, control characters, an address: it is reported, page included."""
    journal = str(tmp_path / "a\udcff\x1b[2J b@example.com")
    await a_job(journal, 1)
    page = tmp_path / "a.html"
    ended = await run("report", journal, "--html", str(page), env=environment())
    assert ended.code == 0
    assert "  moveworks-shift run JOURNAL\n" in ended.out
    assert ended.out.replace("\n", "").isprintable()
    assert "[address]" in page.read_text()
    assert "b@example.com" not in page.read_text()


@pytest.mark.parametrize("command", ["plan", "report", "status", "run", "pause"])
def test_a_directory_that_was_removed_is_named(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing was sent, and it is no defect."""
    (tmp_path / "people.csv").write_text("email\nann@example.com\n")
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    monkeypatch.setenv("MOVEWORKS_API_KEY", "key")
    more = ["--legacy", "--message", "Hi", "--recipients", str(tmp_path / "people.csv")]
    code = main.run([command, "tonight.journal", *(more if command == "plan" else [])])
    assert code == 2
    said = capsys.readouterr().err
    assert "tonight.journal leads nowhere: the current directory was removed; change to" in said
    assert "This command sent nothing." in said


# --- journals that cannot be used ---------------------------------------------------------


@pytest.mark.parametrize("command", ["run", "resume", "status", "pause", "stop", "report"])
async def test_a_journal_that_is_none_is_one_line_and_2(
    sandbox: Sandbox, command: str, tmp_path: Path
) -> None:
    """Missing or foreign: what it is, nothing on stdout, and the file as it was."""
    foreign = tmp_path / "notes.txt"
    foreign.write_text("mine " * 1000)
    missing, other = await asyncio.gather(
        run(command, str(tmp_path / "absent"), env=free(sandbox)),
        run(command, str(foreign), env=free(sandbox)),
    )
    for ended in (missing, other):
        assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
        assert ended.last.endswith("This command sent nothing.")
    assert "there is no journal" in missing.last
    assert "notes.txt is no journal of a job; it was left untouched" in other.last
    assert foreign.read_text() == "mine " * 1000
    assert sandbox.stats().requests == 0


@pytest.mark.parametrize("command", ["run", "resume"])
async def test_a_credential_that_is_missing_is_named(command: str, journal: str) -> None:
    """Before the journal is touched; looking needs none."""
    await a_job(journal, 1)
    ended, shown = await asyncio.gather(
        run(command, journal, env=environment()), run("status", journal, env=environment())
    )
    assert (ended.code, ended.out) == (2, "")
    assert "set MOVEWORKS_API_KEY" in ended.last
    assert shown.code == 0
    assert f"  moveworks-shift run {journal}\n" in shown.out


@pytest.mark.parametrize("url", ["mysql://u:s3cr3t@db/jobs#7", "POSTGRESQL://u:s3cr3t@db/jobs#7"])
def test_a_url_of_something_else_is_no_file(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As a file's name it would be shown with its password."""
    assert main.run(["status", url]) == 2
    told = capsys.readouterr().err
    assert "names no job: a job is a file, or is in postgresql://host/database#name" in told
    assert "s3cr3t" not in told
