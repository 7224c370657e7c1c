"""The command line as a user runs it: real processes against a real sandbox."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import signal
import stat
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from moveworks_shift_async import FileGate, RateLimit
from moveworks_shift_async.cli import preflight
from moveworks_shift_async.jobs.plan.spool import Spool
from moveworks_shift_async.sandbox import Sandbox
from moveworks_shift_async.text import shell_word

from .commands import (
    COMMAND,
    HANG,
    SAMPLE,
    Ended,
    end,
    environment,
    heard,
    on_terminal,
    run,
    run_here,
    spawn,
    start,
    until,
)


@pytest.fixture
async def slow() -> AsyncIterator[Sandbox]:
    """A sandbox that takes its time: there is always a request in flight to interrupt."""
    async with Sandbox(limit=1_000, window=1.0, latency=1.5) as running:
        yield running


@pytest.fixture
def people(tmp_path: Path) -> Callable[[int], str]:
    """A file of that many people."""

    def write(count: int) -> str:
        path = tmp_path / f"{count}.csv"
        rows = "".join(f"Person {number},p{number}@example.com\n" for number in range(count))
        path.write_text("Name,Email\n" + rows)
        return str(path)

    return write


def adds_up(account: dict[str, Any]) -> int:
    """The people of an account, all outcomes together."""
    return int(sum(account[key] for key in ("accepted", "rejected", "unknown", "not_sent")))


LEGACY = ("send", "--legacy", "--message", "The office is closed on Friday.")


# --- the demo -----------------------------------------------------------------------------


async def test_the_demo_sends_to_the_sample_and_its_report_adds_up() -> None:
    """The main job of the README ends well, as text and as JSON, and the sandbox agrees."""
    text, machine = await asyncio.gather(
        run("demo", env=environment()), run("demo", "--json", env=environment())
    )
    assert (text.code, machine.code) == (0, 0)
    table = dict(re.findall(r"^  ([a-z ]*[a-z]) {2,}([0-9,]+)", text.out, re.MULTILINE))
    assert table == {
        "accepted": "2,535", "rejected": "0", "unknown": "0", "not sent": "0",
        "people": "2,535", "duplicates": "90", "invalid": "25", "entries read": "2,650",
    }  # fmt: skip
    assert "6 requests, 0 answered 429" in text.out
    assert text.out.endswith("The sandbox was told 2,535 people, each once.\n")
    assert 'column "E-Mail Address"' in text.err
    assert "  line 139: more than one @\n" in text.err
    assert "  and 15 more\n" in text.err
    assert "  moveworks-shift run mine.journal\n" in text.err
    assert "mine.journal" not in machine.err
    assert "s for the rate limit" in text.err
    account = machine.json()
    assert account["accepted"] == adds_up(account) == account["sandbox"]["people"] == 2535
    assert account["invalid"] == 25
    assert account["sandbox"]["told_again"] == 0
    assert 4 < account["seconds"] < 8
    assert "example." not in text.out + text.err + machine.err


async def test_the_demo_leaves_its_inbox_open_until_ctrl_c() -> None:
    """After its job, with all that people were told; its exit code is that of the job."""
    process = await start("demo", "--inbox", env=environment())
    assert process.stderr is not None
    line = ""
    while "What people see: " not in line:
        line = (await process.stderr.readline()).decode()
    address = line.rpartition("What people see: ")[2].strip()
    url = address + "_sandbox/api/stats"
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        assert (await answer.json())["people"] == 2535
    process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(process.wait(), HANG) == 0
    out, _ = await process.communicate()
    assert out.decode().endswith("The sandbox was told 2,535 people, each once.\n")


# --- send: the exit codes -----------------------------------------------------------------


async def test_a_send_that_all_accept_ends_with_0(
    sandbox: Sandbox, people: Callable[[int], str]
) -> None:
    """Everybody is told once, and the account says so."""
    args = ("send", "--event", sandbox.event_id, "--message", "Hi", "--yes", "--json")
    ended = await run(*args, "--recipients", people(1200), env=environment(sandbox))
    account = ended.json()
    assert ended.code == 0
    assert account["accepted"] == adds_up(account) == 1200
    assert account["requests"] == 3
    assert account["failures"] == []
    assert set(sandbox.received().people.values()) == {1}
    assert len(sandbox.received().people) == 1200


async def test_invalid_rows_are_reported_and_the_rest_is_told(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """Line numbers and reasons are shown, the texts of the rows are not; --strict ends it first."""
    path = tmp_path / "people.csv"
    path.write_text("Email\na@example.com\nsecret-person\nA@Example.com\n")
    strict = await run(*LEGACY, "--recipients", str(path), "--strict", env=environment(sandbox))
    assert strict.code == 3
    assert "  line 3: no @\n" in strict.err
    assert "1 row without a valid address. Nothing was sent." in strict.last
    assert not sandbox.received().people
    ended = await run(*LEGACY, "--recipients", str(path), env=environment(sandbox))
    assert ended.code == 0
    assert "1 person; left out: 1 duplicate, 1 invalid row" in ended.err
    assert "  line 3: no @\n" in ended.err
    assert "secret-person" not in ended.err + ended.out
    assert dict(sandbox.received().people) == {"a@example.com": 1}


async def test_an_unknown_event_ends_with_5_and_one_line_for_all(
    sandbox: Sandbox, people: Callable[[int], str]
) -> None:
    """The line says what happened, that nobody was told, and what to do."""
    wrong = sandbox.event_id[:-1] + "f"
    args = ("send", "--event", wrong, "--message", "Hi", "--yes", "--recipients", people(400))
    ended = await run(*args, env=environment(sandbox))
    assert ended.code == 5
    line = next(line for line in ended.err.splitlines() if line.startswith("rejected: "))
    assert line == (
        "rejected: 400 people: HTTP 404 INVALID_EVENT_ID: Event not found. They were not told."
        " Check the ids and the base URL, then try again."
    )
    assert "example.com" not in ended.err + ended.out
    assert ended.last == (
        "not told: 400 people, lines 2 to 401. With --json the account lists the addresses."
    )


async def test_a_lost_answer_ends_with_4_and_names_the_people(
    sandbox: Sandbox, people: Callable[[int], str]
) -> None:
    """Whoever may have been told is in the machine-readable account, and is not told again."""
    sandbox.faults.script("send", "processed-then-reset")
    path = people(1000)
    ended = await run(
        *LEGACY, "--yes", "--json", "--recipients", path, "--share", "1",
        env=environment(sandbox, MOVEWORKS_SHARE="0.5"),
    )  # fmt: skip
    account = ended.json()
    assert ended.code == 4
    assert (account["accepted"], account["unknown"], adds_up(account)) == (500, 500, 1000)
    (failure,) = account["failures"]
    assert failure["outcome"] == "unknown"
    assert failure["error"] == "OutcomeUnknown"
    assert failure["attempts"] == 1
    told = sandbox.received().people
    assert set(failure["recipients"]) <= told.keys()
    assert set(told.values()) == {1}
    assert "Find out whether it arrived before you send it again." in ended.err


async def test_a_refused_credential_ends_with_5(
    sandbox: Sandbox, people: Callable[[int], str]
) -> None:
    """Nobody was told; the line says what a 401 may mean."""
    env = environment(sandbox, MOVEWORKS_API_KEY="wrong_key_of_mine")
    sent, tested = await asyncio.gather(
        run(*LEGACY, "--yes", "--recipients", people(1200), env=env), run("auth", "test", env=env)
    )
    assert (sent.code, tested.code) == (5, 5)
    assert "another region's host" in sent.err
    assert tested.err.count("\n") == 1
    assert "This test tells nobody anything." in tested.err
    assert "wrong_key_of_mine" not in sent.err + sent.out + tested.err
    assert not sandbox.received().people


async def test_no_connection_ends_with_5(
    sandbox: Sandbox, people: Callable[[int], str], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """It says at once that it tries again, and to which host; then that nothing was sent."""
    await sandbox.stop_listening()
    monkeypatch.setattr(preflight, "SECONDS_TRIED", 1.2)
    here = {"env": environment(sandbox), "patch": monkeypatch, "capsys": capsys}
    host = sandbox.url.removeprefix("http://")
    sent = await run_here(*LEGACY, "--json", "--recipients", people(2), **here)
    account = sent.json()
    assert account["not_sent"] == adds_up(account) == 2
    assert account["failures"][0]["error"] == "ConnectionFailed"
    tested = await run_here("auth", "test", **here)
    for asking in (sent, tested):
        said = next(line for line in asking.err.splitlines() if "trying again" in line)
        assert said.startswith(f"no connection to {host}: ")
    posted = await run_here("shift", "send", "--text", "Hi", "--email", "a@example.com", **here)
    assert (sent.code, tested.code, posted.code) == (5, 5, 5)
    assert (tested.err.count("\n"), posted.err.count("\n")) == (2, 1)
    assert "Nothing was sent. Check the network" in posted.err


# --- send: Ctrl-C -------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_first_ctrl_c_lets_the_requests_in_flight_end(
    slow: Sandbox, number: signal.Signals
) -> None:
    """Accepted and not sent add up, and the sandbox was told exactly the accepted."""
    args = (*LEGACY, "--recipients", SAMPLE, "--yes", "--json", "--requests-per-minute", "3")
    process = await start(*args, env=environment(slow))
    await until(lambda: slow.stats().requests == 3)
    process.send_signal(number)
    ended = await end(process)
    account = ended.json()
    assert ended.code == 130
    assert (account["accepted"], account["not_sent"], adds_up(account)) == (1500, 1035, 2535)
    assert "stopping: waiting for 3 requests in flight; press Ctrl-C again" in ended.err
    untold = {person for failure in account["failures"] for person in failure["recipients"]}
    assert len(untold) == 1035
    assert len(slow.received().people) == 1500
    assert not untold & slow.received().people.keys()


async def test_ctrl_c_before_the_server_has_answered_tells_nobody(
    slow: Sandbox, people: Callable[[int], str]
) -> None:
    """While the server is asked whether it is there."""
    process = await start(*LEGACY, "--recipients", people(3), env=environment(slow))
    await until(lambda: slow.stats().requests == 1)
    process.send_signal(signal.SIGINT)
    ended = await end(process)
    assert (ended.code, ended.out) == (130, "")
    assert ended.last == "Error: interrupted. This command sent nothing. Run it again."
    assert not slow.received().people


async def test_the_second_ctrl_c_cuts_them_and_they_are_unknown(slow: Sandbox) -> None:
    """The cut is at once, and who was in flight is neither told nor not told."""
    args = (*LEGACY, "--recipients", SAMPLE, "--yes", "--json", "--requests-per-minute", "2")
    process = await start(*args, env=environment(slow))
    await until(lambda: slow.stats().requests == 2)
    process.send_signal(signal.SIGINT)
    await heard(process)
    process.send_signal(signal.SIGINT)
    ended = await end(process)
    account = ended.json()
    assert ended.code == 130
    assert (account["unknown"], account["not_sent"], adds_up(account)) == (1000, 1535, 2535)
    assert account["seconds"] < 1.4


async def test_ctrl_c_in_a_shift_message_says_what_is_known(slow: Sandbox) -> None:
    """A request that was out may have been processed."""
    args = ("shift", "send", "--text", "Hi", "--email", "a@example.com")
    process = await start(*args, env=environment(slow))
    await until(lambda: slow.stats().requests == 1)
    process.send_signal(signal.SIGINT)
    ended = await end(process)
    assert ended.code == 130
    assert "may have been created or not" in ended.last


# --- send: before it starts ---------------------------------------------------------------


async def test_a_dry_run_needs_no_credential_and_sends_nothing(
    sandbox: Sandbox, people: Callable[[int], str]
) -> None:
    """It shows the plan and ends with 0, also where rows are invalid."""
    base = environment(MOVEWORKS_BASE_URL=sandbox.url)
    good, bad = await asyncio.gather(
        run(*LEGACY, "--dry-run", "--recipients", people(61_000), env=base),
        run(*LEGACY, "--dry-run", "--json", "--recipients", SAMPLE, env=base),
    )
    assert good.code == 0
    assert "122 requests; least time 1 min at 120 requests a minute\n" in good.err
    assert good.last == "dry run: nothing was sent"
    assert bad.code == 0
    plan = bad.json()
    assert (plan["people"], plan["requests"], plan["dry_run"]) == (2535, 6, True)
    assert plan["invalid_rows"][0] == {"line": 139, "reason": "more than one @"}
    assert not sandbox.received().requests


async def test_many_people_need_a_yes_where_nobody_can_be_asked(
    sandbox: Sandbox, people: Callable[[int], str]
) -> None:
    """With standard input taken or no terminal, more than 500 people are a usage error."""
    env = environment(sandbox)
    many = b"".join(b"p%d@example.com\n" % number for number in range(501))
    asked, piped, few, told = await asyncio.gather(
        run(*LEGACY, "--recipients", people(501), env=env),
        run(*LEGACY, "--recipients", "-", env=env, stdin=many),
        run(*LEGACY, "--recipients", "-", env=env, stdin=b"few@example.com\n"),
        run(*LEGACY, "--recipients", "-", "--yes", env=env, stdin=many),
    )
    assert (asked.code, piped.code, few.code, told.code) == (2, 2, 0, 0)
    assert "add --yes. Nothing was sent." in asked.last
    assert "add --yes. Nothing was sent." in piped.last
    assert "standard input: plain text" in told.err
    assert len(sandbox.received().people) == 502


async def test_on_a_terminal_it_asks_and_draws_a_bar(
    slow: Sandbox, people: Callable[[int], str]
) -> None:
    """No keeps everybody untold, with the exit code of an interruption; yes sends."""
    args = (*LEGACY, "--recipients", people(501))
    refused, _ = await on_terminal(*args, answer=b"n\n", env=environment(slow))
    assert refused == 130
    assert not slow.received().people
    accepted, screen = await on_terminal(*args, answer=b"y\n", env=environment(slow))
    assert accepted == 0
    assert "Tell 501 people? [y/N]" in screen
    assert "━" in screen
    assert "501 of 501 people" in screen
    assert "waiting for answers: 2 in flight" in screen


async def test_ctrl_c_on_a_terminal_is_answered_above_the_bar(
    slow: Sandbox, people: Callable[[int], str]
) -> None:
    """The first press is answered, the second cuts, a third changes nothing."""

    async def press(process: asyncio.subprocess.Process) -> None:
        await until(lambda: slow.stats().requests == 1 + 2)
        for _ in range(3):
            process.send_signal(signal.SIGINT)
            await asyncio.sleep(0.02)

    args = (*LEGACY, "--recipients", people(501), "--yes")
    code, screen = await on_terminal(*args, meanwhile=press, env=environment(slow))
    assert code == 130
    assert "stopping: waiting for 2 requests in flight; press Ctrl-C again to cut them" in screen
    assert "unknown: 501 people" in screen


async def test_a_test_address_is_the_only_one_that_is_told(
    sandbox: Sandbox, people: Callable[[int], str]
) -> None:
    """The file is read and shown, and nobody in it is told."""
    args = (*LEGACY, "--recipients", people(900), "--test-to", "me@example.com")
    with_file, alone = await asyncio.gather(
        run(*args, env=environment(sandbox)),
        run(*LEGACY, "--test-to", "me@example.com", env=environment(sandbox)),
    )
    assert (with_file.code, alone.code) == (0, 0)
    assert "900 people; left out: 0 duplicates" in with_file.err
    assert "test: to the address of --test-to only; nobody else is told" in with_file.err
    assert dict(sandbox.received().people) == {"me@example.com": 2}


# --- the journal that nobody named --------------------------------------------------------


@pytest.fixture
def places(tmp_path: Path) -> dict[str, str]:
    """Folders of the test's own for what commands write beside their work."""
    for name in ("tmp", "state"):
        (tmp_path / name).mkdir()
    return {"TMPDIR": str(tmp_path / "tmp"), "XDG_STATE_HOME": str(tmp_path / "state")}


def left_in(places: dict[str, str]) -> list[str]:
    """What is there of journals: their files, and the notes of them."""
    notes = Path(places["XDG_STATE_HOME"]).glob("*/journal-*")
    return [*os.listdir(places["TMPDIR"]), *(note.name for note in notes)]


async def in_flight(sandbox: Sandbox, process: asyncio.subprocess.Process) -> None:
    """Wait until two requests of a send are out."""
    assert process.returncode is None
    await until(lambda: sandbox.stats().requests >= 2)


async def test_a_send_leaves_nothing_however_it_ends(
    sandbox: Sandbox, people: Callable[[int], str], places: dict[str, str]
) -> None:
    """All told, a test, a dry run, a question without a terminal, an error, a refused key."""
    env, path = environment(sandbox, **places), people(501)
    send = (*LEGACY, "--recipients", path)
    ended = await asyncio.gather(
        run(*send, "--yes", env=env),
        run(*send, "--test-to", "me@example.com", env=env),
        run(*send, "--dry-run", env=env),
        run(*send, env=env),
        run(*send, "--column", "Fax", env=env),
        run(*send, "--yes", env=env | {"MOVEWORKS_API_KEY": "wrong"}),
    )
    assert [one.code for one in ended] == [0, 0, 0, 2, 2, 5]
    assert left_in(places) == []


@pytest.mark.parametrize(
    ("number", "presses"),
    [(signal.SIGINT, 1), (signal.SIGINT, 2), (signal.SIGTERM, 1), (signal.SIGHUP, 1)],
)
async def test_a_signal_leaves_nothing(
    slow: Sandbox,
    people: Callable[[int], str],
    places: dict[str, str],
    number: signal.Signals,
    presses: int,
) -> None:
    """Its owner alone can read it while it is there; nothing resumes it, and that is said."""
    args = (*LEGACY, "--recipients", people(1501), "--yes", "--requests-per-minute", "2")
    process = await start(*args, env=environment(slow, **places))
    await in_flight(slow, process)
    (folder,) = Path(places["TMPDIR"]).iterdir()  # noqa: ASYNC240
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "journal")]
    assert modes == [0o700, 0o600]
    process.send_signal(number)
    if presses == 2:
        await heard(process)
        process.send_signal(number)
    ended = await end(process)
    assert ended.code == 130
    assert ("unknown: 1,000 people" in ended.err) is (presses == 2)
    assert ended.last.startswith("A send without a journal cannot be resumed; with --journal FILE")
    assert left_in(places) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_before_anything_is_sent_leaves_nothing(
    sandbox: Sandbox, people: Callable[[int], str], places: dict[str, str], number: signal.Signals
) -> None:
    """At the question, and while nobody types the addresses."""

    async def press(process: asyncio.subprocess.Process) -> None:
        await until(lambda: bool(left_in(places)))
        await asyncio.sleep(1.0)  # it asks by now, or waits for its terminal
        process.send_signal(number)

    env = environment(sandbox, **places)
    for source in (people(501), "-"):
        code, screen = await on_terminal(*LEGACY, "--recipients", source, meanwhile=press, env=env)
        assert code == 130
        assert "Error: interrupted. This command sent nothing. Run it again." in screen
        assert left_in(places) == []


async def test_its_journal_is_gone_before_the_account_is_told(
    sandbox: Sandbox, people: Callable[[int], str], places: dict[str, str]
) -> None:
    """Whoever does not read on, as a pager does, keeps no addresses on the disk."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b" " * 65_536)
    os.set_blocking(writing, True)
    sandbox.faults.rate("send", "forbidden", 1.0)
    args = (*LEGACY, "--recipients", people(9_000), "--yes", "--json")
    process = await start(*args, env=environment(sandbox, **places), stdout=writing)
    os.close(writing)
    assert process.stderr is not None
    while b"entries read" not in await asyncio.wait_for(process.stderr.readline(), HANG):
        pass
    assert left_in(places) == []
    os.close(reading)
    await process.communicate()
    assert process.returncode == 5


async def test_a_send_that_was_killed_is_in_nobodys_way(
    slow: Sandbox, people: Callable[[int], str], places: dict[str, str]
) -> None:
    """Its file stays for the system's cleaner, and the next send works beside it."""
    args, env = (*LEGACY, "--recipients", people(600), "--yes"), environment(slow, **places)
    process = await start(*args, env=env)
    await in_flight(slow, process)
    process.kill()
    await process.communicate()
    left = left_in(places)
    assert len(left) == 2
    assert (await run(*args, env=env)).code == 0
    assert left_in(places) == left


async def test_without_room_for_it_nothing_is_sent(
    sandbox: Sandbox, people: Callable[[int], str], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """One line that names what the user can do, and no resume of what she never named."""
    here = {"env": environment(sandbox), "patch": monkeypatch, "capsys": capsys}
    send = (*LEGACY, "--recipients", people(3))

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Spool, "add", full)
        planned = await run_here(*send, **here)
    with monkeypatch.context() as patch:
        patch.setattr("tempfile.mkdtemp", full)
        made = await run_here(*send, **here)
    for ended in (planned, made):
        assert (ended.code, ended.out) == (2, "")
        assert "No space left on device" in ended.last
        assert ended.last.endswith(
            "; make room there, or name another directory in TMPDIR. This command sent nothing."
        )
        assert "resume" not in ended.err
    assert sandbox.stats().requests == 0


async def test_a_message_from_standard_input_is_read_once(
    sandbox: Sandbox, people: Callable[[int], str]
) -> None:
    """Also where a file is shown before a test is sent."""
    args = ("--recipients", people(3), "--test-to", "a@example.com")
    for text in (("--message", "Hi"), ("--message-file", "-")):
        ended = await run("send", "--legacy", *text, *args, env=environment(sandbox), stdin=b"Hi")
        assert ended.code == 0
    first, second = [r.message for r in sandbox.received().requests if r.message]
    assert first == second


async def test_three_requests_without_a_usable_answer_end_it(
    sandbox: Sandbox, people: Callable[[int], str], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Nobody can resume it, so it does not wait until more people are unknown."""
    sandbox.faults.rate("send", "server-500-json", 1.0)
    env = environment(sandbox, MOVEWORKS_REQUESTS_PER_MINUTE="1000")
    here = {"env": env, "patch": monkeypatch, "capsys": capsys}
    ended = await run_here(*LEGACY, "--recipients", people(40_000), "--yes", "--json", **here)
    account = ended.json()
    assert ended.code == 4
    assert account["unknown"] == 500 * account["requests"] <= 500 * 32
    assert account["not_sent"] == 40_000 - account["unknown"]
    reason = account["failures"][-1]["message"]
    assert reason.startswith("not sent: 3 requests in a row had no usable answer; the last: ")


# --- the other commands -------------------------------------------------------------------


async def test_the_auth_test_prints_the_servers_text(sandbox: Sandbox) -> None:
    """With a key and with a client, whose token is fetched."""
    env = environment(sandbox, MOVEWORKS_API_KEY="", MOVEWORKS_CLIENT_ID=sandbox.client_id)
    env["MOVEWORKS_CLIENT_SECRET"] = sandbox.client_secret
    by_key, by_client = await asyncio.gather(
        run("auth", "test", env=environment(sandbox)), run("auth", "test", env=env)
    )
    assert by_key == by_client == Ended(0, "Auth tested successfully\n", "")


async def test_a_shift_message_is_sent_and_its_id_printed(sandbox: Sandbox) -> None:
    """To users by id and address, or to a team with a mention; --json prints one object."""
    team = "8a7644a3-7393-417c-8180-0328749562a0"
    to_users = ("--text", "Hi", "--user", team, "--email", "a@example.com")
    mention = ("--mention-id", "42", "--mention-name", "Ticket")
    env = environment(sandbox)
    users, to_team = await asyncio.gather(
        run("shift", "send", *to_users, env=env),
        run("shift", "send", "--text", "See {0}", "--team", team, *mention, "--json", env=env),
    )
    assert (users.code, to_team.code) == (0, 0)
    assert len(users.out.strip()) == 36
    assert to_team.json()["addressed_teams"] == [team]
    assert dict(sandbox.received().shift) == {team: 1, "a@example.com": 1, f"team:{team}": 1}


async def test_the_sandbox_command_serves_until_ctrl_c() -> None:
    """What it prints is enough to send to it, and its faults are real."""
    args = ("sandbox", "--fault", "server-500-json=0.5", "--fault", "half-answer=0.5")
    process = await start(*args, env=environment())
    assert process.stdout is not None
    lines = [(await process.stdout.readline()).decode().strip() for _ in range(5)]
    variables = dict(word.split("=", 1) for word in " ".join(lines[1:3]).split() if "=" in word)
    event = lines[3].removeprefix("event id: ")
    sent = await run(
        "send", "--event", event, "--message", "Hi", "--test-to", "a@example.com",
        env=environment() | variables,
    )  # fmt: skip
    assert sent.code == 4
    async with aiohttp.ClientSession() as http:
        address = lines[4].removeprefix("inbox: ")
        async with http.get(address) as answer:
            assert "Sandbox inbox" in await answer.text()
        async with http.get(address + "_sandbox/api/messages") as answer:
            (message,) = (await answer.json())["messages"]
            assert (message["route"], message["message"]) == ("events.send", "Hi")
        async with http.get(address + "_sandbox/api/stats") as answer:
            stats = await answer.json()
            assert (stats["requests"], sum(stats["faults"].values())) == (2, 1)
    taken = await run("sandbox", "--port", variables["SHIFT_BASE_URL"][-5:], env=environment())
    assert taken.code == 2
    assert "choose another --port" in taken.last
    process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(process.wait(), HANG) == 0
    await process.communicate()


# --- one limit for all commands -----------------------------------------------------------


async def test_commands_that_name_one_gate_file_share_one_limit(
    people: Callable[[int], str], tmp_path: Path
) -> None:
    """A test and two sends at once: all told, no 429, and what they spent is in one file."""
    path, limit = tmp_path / "gate", RateLimit(requests=9)
    async with Sandbox(limit=limit.requests) as sandbox:
        env = environment(sandbox, MOVEWORKS_GATE=str(path), MOVEWORKS_REQUESTS_PER_MINUTE="9")
        args = (*LEGACY, "--yes", "--json", "--recipients")
        test, *sends = await asyncio.gather(
            run("auth", "test", env=env),
            run(*args, people(1200), env=env),
            run(*args, people(1201), env=env),
        )
        assert test == Ended(0, "Auth tested successfully\n", "")
        assert [ended.code for ended in sends] == [0, 0]
        assert [ended.json()["accepted"] for ended in sends] == [1200, 1201]
        assert (sandbox.stats().requests, sandbox.stats().throttled) == (1 + 4 + 4, 0)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    gate, user = FileGate(path), sandbox
    gate.join(user, f"{sandbox.url} {sandbox.api_key}", limit, 32)
    assert gate.snapshot().used == 9
    gate.leave(user)


async def test_a_command_with_another_limit_is_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    """Nothing is sent; the line says what differs. One that names no limit takes the others'."""
    path = str(tmp_path / "gate")
    gate, user = FileGate(path), sandbox
    gate.join(user, f"{sandbox.url} {sandbox.api_key}", RateLimit(requests=7), 32)
    env = environment(sandbox, MOVEWORKS_GATE=path)
    sent, none, test = await asyncio.gather(
        run(*LEGACY, "--test-to", "a@example.com", "--share", "0.5", env=env),
        run(*LEGACY, "--test-to", "b@example.com", env=env),
        run("auth", "test", env=env),
    )
    assert (sent.code, none.code, test.code) == (2, 0, 0)
    assert "with 7 requests in 60 s, not 60 in 60 s; give all the same rate_limit" in sent.last
    assert dict(sandbox.received().people) == {"b@example.com": 1}
    assert gate.snapshot().used == 3
    gate.leave(user)


async def test_all_commands_share_one_limit_without_being_told(
    people: Callable[[int], str], tmp_path: Path
) -> None:
    """In turn and after a kill: a job waits for what others and it itself have spent."""
    state, journal = tmp_path / "state", str(tmp_path / "tonight.journal")
    more = {"XDG_STATE_HOME": str(state), "MOVEWORKS_REQUESTS_PER_MINUTE": "7"}
    async with Sandbox(limit=7, latency=0.5) as sandbox:
        env = environment(sandbox, **more)
        assert (await run("auth", "test", env=env)).code == 0
        assert (await run(*LEGACY, "--yes", "--recipients", people(900), env=env)).code == 0
        plan = ("plan", journal, *LEGACY[1:], "--recipients", people(4000))
        assert (await run(*plan, env=env)).code == 0
        killed = await start("run", journal, "--yes", env=env)
        await until(lambda: sandbox.stats().requests == 7)
        killed.kill()
        await killed.communicate()
        resumed = await start("resume", journal, env=env)
        assert resumed.stderr is not None
        waiting = (await asyncio.wait_for(resumed.stderr.readline(), 60)).decode()
        assert "for the rate limit" in waiting
        resumed.send_signal(signal.SIGINT)
        await end(resumed)
        assert (sandbox.stats().requests, sandbox.stats().throttled) == (7, 0)
    (folder,) = state.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (gate,) = [path for path in folder.iterdir() if "-" not in path.name.removeprefix("gate-")]
    assert stat.S_IMODE(gate.stat().st_mode) == 0o600
    assert sandbox.api_key.encode() not in gate.read_bytes()


async def test_a_gate_of_its_own_is_used_where_none_can_be_shared(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """It is said, and the message goes out; a file that was asked for ends the command instead."""
    taken = tmp_path / "taken"
    taken.write_text("a file, no folder")
    send = (*LEGACY, "--test-to", "a@example.com")
    unwritable, asked, none = await asyncio.gather(
        run(*send, env=environment(sandbox, XDG_STATE_HOME=str(taken))),
        run(*send, env=environment(sandbox, MOVEWORKS_GATE=str(taken))),
        run(*send, env=environment(sandbox, XDG_STATE_HOME=str(taken), MOVEWORKS_GATE="none")),
    )
    assert (unwritable.code, asked.code, none.code) == (0, 2, 0)
    assert f"warning: {taken}/moveworks-shift cannot be made: Not a directory; " in unwritable.err
    assert "this command counts its requests alone" in unwritable.err
    assert "is no gate file" in asked.last
    assert "warning" not in none.err
    assert dict(sandbox.received().people) == {"a@example.com": 2}


# --- what never happens -------------------------------------------------------------------


async def test_a_reader_that_is_gone_is_met_with_silence(
    sandbox: Sandbox, people: Callable[[int], str]
) -> None:
    """A broken pipe changes neither the send nor its exit code."""
    reading, writing = os.pipe()
    os.close(reading)
    args = (*LEGACY, "--recipients", people(3), "--json")
    process = await start(*args, env=environment(sandbox), stdout=writing)
    os.close(writing)
    _, err = await process.communicate()
    assert process.returncode == 0
    assert b"rror" not in err
    assert len(sandbox.received().people) == 3


async def test_help_that_nobody_takes_is_no_defect() -> None:
    """A reader that is gone, and a full disk: no traceback, and one line for the disk."""
    reading, writing = os.pipe()
    os.close(reading)
    gone = await start("send", "--help", env=environment(), stdout=writing)
    os.close(writing)
    assert (await gone.communicate())[1] == b""
    assert gone.returncode == 0
    with Path("/dev/full").open("wb") as full:  # noqa: ASYNC230
        process = await start("send", "--help", env=environment(), stdout=full)
        _, err = await process.communicate()
    assert process.returncode == 2
    assert err == b"Error: the result could not be written: No space left on device.\n"


async def test_a_demo_in_a_folder_that_is_gone_says_so(tmp_path: Path) -> None:
    """Nothing is sent, and it is no defect."""
    folder = tmp_path / "gone"
    folder.mkdir()
    code = "import os, sys; os.rmdir(os.getcwd()); os.execv(sys.argv[1], sys.argv[1:])"
    process = await spawn(
        sys.executable, "-c", code, *COMMAND, "demo", env=environment(), cwd=folder,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    ended = await end(process)
    assert ended.code == 2
    assert "the current directory was removed; change to another one" in ended.last


async def test_without_click_it_says_what_to_install() -> None:
    """One line and exit code 2, for a user who installed the package alone."""
    code = (
        "import sys; sys.modules['click'] = None;"
        "from moveworks_shift_async.__main__ import main; main()"
    )
    process = await spawn(
        sys.executable, "-c", code, env=environment(), stderr=asyncio.subprocess.PIPE
    )
    _, err = await process.communicate()
    assert process.returncode == 2
    assert err.count(b"\n") == 1
    assert f"Run: {shell_word(sys.executable)} -m pip install click rich".encode() in err
