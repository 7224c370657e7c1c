"""The command line's parts: the help, usage errors, what is said of a failure, the exit codes."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import math
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import click
import openpyxl
import pyarrow  # type: ignore[import-untyped]  # it has no types
import pytest
from aiohttp import web
from attrs import evolve
from click.testing import CliRunner
from pyarrow import parquet

from moveworks_shift_async import __main__, errors
from moveworks_shift_async.cli import (
    demo,
    input_files,
    main,
    preflight,
    shared_options,
    signals,
    terminal,
)
from moveworks_shift_async.cli.confirmation import rate
from moveworks_shift_async.cli.failures import (
    INTERRUPTED,
    ExitCode,
    error_line,
    exit_code,
    stopped_line,
)
from moveworks_shift_async.cli.foreground import RunResult, run_in_foreground
from moveworks_shift_async.cli.line_numbers import lines_of
from moveworks_shift_async.cli.send_account import Failure, SendAccount, conclude, read_send
from moveworks_shift_async.cli.temporary import temporary_journal
from moveworks_shift_async.client import MoveworksClient
from moveworks_shift_async.endpoints.auth import AuthEndpoint
from moveworks_shift_async.errors import MoveworksError
from moveworks_shift_async.jobs.job import Job
from moveworks_shift_async.jobs.left_out import InvalidLine
from moveworks_shift_async.jobs.records import Incident, Run
from moveworks_shift_async.jobs.report.account import JobAccount
from moveworks_shift_async.jobs.report.sentences import headline, others, waits_for
from moveworks_shift_async.jobs.report.timeline import TimelineEvent
from moveworks_shift_async.jobs.run.job_run import OnProgress
from moveworks_shift_async.jobs.run.progress import JobProgress
from moveworks_shift_async.sandbox import Sandbox
from moveworks_shift_async.settings import ApiKey, MoveworksSettings, RateLimit, Region
from moveworks_shift_async.sources import open_recipients
from moveworks_shift_async.text import duration, one_line

from .commands import until


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who has set no variable."""
    for name in [*os.environ]:
        if name.startswith(("MOVEWORKS_", "SHIFT_")):
            monkeypatch.delenv(name)


def every_command(
    command: click.Command = main.commands, parent: click.Context | None = None
) -> Iterator[click.Context]:
    """A context of each command and group."""
    settings = command.context_settings if parent is None else {}
    context = click.Context(command, parent, command.name if parent else main.PROGRAM, **settings)
    yield context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from every_command(child, context)


# --- the help -----------------------------------------------------------------------------


def test_the_list_of_commands_is_what_they_say_of_themselves() -> None:
    """It is written without looking at them, for that would import all there is."""
    context = click.Context(main.commands)
    for name, (_, told) in main._COMMANDS.items():
        command = main.commands.get_command(context, name)
        assert command is not None
        assert (command.name, command.get_short_help_str(200)) == (name, told)
    assert main.commands.get_command(context, "sendd") is None


def test_the_help_shows_the_variables_that_are_worth_setting() -> None:
    """Those of the documents, and one that keeps a database's password out of `ps`."""
    documented = {
        "--base-url": {"MOVEWORKS_BASE_URL", "SHIFT_BASE_URL"},
        "--region": {"MOVEWORKS_REGION"},
        "--requests-per-minute": {"MOVEWORKS_REQUESTS_PER_MINUTE"},
        "--share": {"MOVEWORKS_SHARE"},
        "--recipients": {"MOVEWORKS_SHIFT_PLAN_RECIPIENTS", "MOVEWORKS_SHIFT_SEND_RECIPIENTS"},
    }
    seen = set()
    for context in every_command():
        for name, text in _option_texts(context):
            variables = set(re.findall(r"\[env var: (\w+)", text))
            assert variables <= documented.get(name, set()), f"{context.command_path} {name}"
            seen |= {name} if variables else set()
    assert seen == documented.keys()


def test_no_variable_says_yes(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """A question that is left out by accident is none."""
    monkeypatch.setenv("MOVEWORKS_SHIFT_SEND_YES", "1")
    monkeypatch.setenv("MOVEWORKS_API_KEY", "key")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"".join(
        b"p%d@example.com\n" % number for number in range(501)
    ))))  # fmt: skip
    assert main.run([*SEND, "--recipients", "-"]) == 2
    assert "add --yes" in capsys.readouterr().err


def _option_texts(context: click.Context) -> Iterator[tuple[str, str]]:
    for parameter in context.command.get_params(context):
        if not isinstance(parameter, click.Option):
            continue
        record = parameter.get_help_record(context)
        if record is not None and not {"--help", "--version"} & {*parameter.opts}:
            yield parameter.opts[-1], record[1]


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_command_has_help(flag: str) -> None:
    """In both spellings, and without any credential."""
    for context in every_command():
        result = CliRunner().invoke(main.commands, [*context.command_path.split()[1:], flag])
        assert result.exit_code == 0
        assert "Usage: " in result.output


def test_an_option_is_read_from_its_variable(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """The variables that the help names work."""
    monkeypatch.setenv("MOVEWORKS_SHIFT_SEND_LEGACY", "1")
    monkeypatch.setenv("MOVEWORKS_SHIFT_SEND_MESSAGE", "Hi")
    monkeypatch.setenv("MOVEWORKS_SHIFT_SEND_TEST_TO", "a@example.com")
    monkeypatch.setenv("MOVEWORKS_SHIFT_SEND_DRY_RUN", "1")
    monkeypatch.setenv("MOVEWORKS_SHIFT_SEND_JSON", "1")
    assert main.run(["send"]) == 0
    assert json.loads(capsys.readouterr().out)["people"] == 1


# --- usage errors -------------------------------------------------------------------------

SEND = ["send", "--legacy", "--message", "Hi"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nope"], "No such command 'nope'"),
        (["send", "--nope"], "No such option"),
        (["send", "--message", "Hi"], "one of --event and --legacy"),
        ([*SEND, "--event", "x"], "one of --event and --legacy"),
        (["send", "--legacy"], "one of --message and --message-file."),
        (["plan", "j", "--legacy"],
         "one of --message, --message-file, --template and --template-file."),
        (["plan", "j", "--legacy", "--message", "Hi", "--template", "Hi"], "give one of --message"),
        (["plan", "j", "--legacy", "--message", "Hi"], "give --recipients FILE"),
        (["plan", "--legacy", "--message", "Hi"], "Missing argument 'JOURNAL'"),
        ([*SEND, "--message-file", "x"], "one of --message and --message-file"),
        (SEND, "give --recipients FILE"),
        (["send", "--event", "x", "--message", "Hi"], "event_id must be a UUID"),
        (["send", "--legacy", "--message", ""], "message has 0 characters"),
        (["send", "--legacy", "--message", "x" * 20_001], "the API takes 1 to 20000"),
        (["send", "--legacy", "--message", "Hi \ud83d"], "half a character"),
        ([*SEND, "--recipients", "absent.csv"], "absent.csv cannot be read: No such file"),
        ([*SEND, "--recipients", "."], ". cannot be read: Is a directory"),
        ([*SEND, "--recipients", "a\0b"], "cannot be read: embedded null"),
        ([*SEND, "--test-to", "nobody"], "--test-to is no address: no @"),
        ([*SEND, "--recipients", "good.csv"], "set MOVEWORKS_API_KEY"),
        ([*SEND, "--recipients", "good.csv", "--column", "Fax"], 'no column "Fax"'),
        ([*SEND, "--recipients", "sqlite://u:secret@h/d"], "a database needs a query"),
        ([*SEND, "--recipients", "empty.csv"], "empty.csv: the file is empty"),
        ([*SEND, "--recipients", "binary.csv"], "binary.csv, line 1"),
        ([*SEND, "--recipients", "bad.csv"], "bad.csv, line 1"),
        ([*SEND, "--recipients", "dots.csv"], "dots.csv: nobody valid, all of 1 entry"),
        ([*SEND, "--recipients", "good.csv", "--context-file", "absent.json"], "No such file"),
        ([*SEND, "--recipients", "good.csv", "--context-file", "broken.json"],
         "broken.json, line 2, column 6: not JSON"),
        ([*SEND, "--recipients", "good.csv", "--context-file", "list.json"],
         "list.json, line 1, column 1: must be a JSON object"),
        ([*SEND, "--recipients", "good.csv", "--context-file", "deep.json"], "nested too deep"),
        (["send", "--legacy", "--message-file", "latin.txt"], "latin.txt, line 2: not UTF-8"),
        ([*SEND, "--share", "nan"], "nan is not a number"),
        ([*SEND, "--share", "0"], "0.0 is not in the range"),
        (["auth", "test", "--region", "MARS"], "'MARS' is not one of"),
        (["send", "--legacy", "--message-file", "/dev/zero"], "/dev/zero is larger than 4 MB"),
        ([*SEND, "--recipients", "good.csv", "--context-file", "/dev/zero"], "larger than 4 MB"),
        (["plan", "j", "--legacy", "--template-file", "/dev/zero"], "larger than 4 MB"),
        (["shift", "send", "--text", "Hi"], "address somebody"),
        (["shift", "send", "--text", "Hi {0}", "--email", "a@b.co"], "it needs a mention"),
        (["shift", "send", "--text", "Hi", "--mention-id", "1"], "--mention-name together"),
        (["shift", "send", "--text", "Hi", "--email", "a@b.co"], "SHIFT_CLIENT_ID is not set"),
        (["sandbox", "--fault", "throttle"], "--fault must be KIND=RATE"),
        (["sandbox", "--fault", "fire=1"], "no fault 'fire'"),
        (["sandbox", "--fault", "throttle=2"], "must lie in 0..1"),
        (["sandbox", "--window", "0"], "not in the range"),
    ],
)  # fmt: skip
def test_a_usage_error_is_one_line_and_exit_code_2(
    args: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """What is wrong, that nothing was sent, and what to do."""
    monkeypatch.chdir(tmp_path)
    for name, data in {
        "good.csv": b"Email\na@example.com\n",
        "empty.csv": b" \n",
        "binary.csv": b"\x00\x01\x02\x03",
        "bad.csv": b"Email\nx\nann@localhost\n",
        "dots.csv": b"Email\na..b@example.com\n",
        "broken.json": b'{"slots":\n{"a" 1}}',
        "list.json": b"[]",
        "deep.json": b"[" * 100_000,
        "latin.txt": b"ok\nM\xfcnchen",
    }.items():
        Path(name).write_bytes(data)
    assert main.run(args) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    line = captured.err.splitlines()[-1]
    assert line.startswith("Error: ")
    assert said in line
    assert "Nothing was sent." in line
    assert "a@example.com" not in captured.err


def test_an_address_in_the_wrong_place_is_not_repeated(capsys: Any) -> None:
    """click quotes what was typed; addresses and tokens are taken out."""
    assert main.run(["send", "ada@example.com"]) == 2
    assert "ada" not in capsys.readouterr().err


def test_without_a_command_the_help_is_shown(capsys: Any) -> None:
    """A usage error as well, on stderr."""
    assert main.run([]) == 2
    assert "Commands:" in capsys.readouterr().err


def test_a_defect_is_one_line_and_a_traceback_only_on_demand(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """The exception's text may hold anything, so only its type is shown."""

    def broken(*_: object) -> None:
        raise RuntimeError("a@example.com")

    monkeypatch.setattr("moveworks_shift_async.cli.send.make_plan", broken)
    args = [*SEND, "--recipients", "-"]
    assert main.run(args) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "unexpected RuntimeError: this is a defect, please report it" in err
    assert "@" not in err
    monkeypatch.setenv("MOVEWORKS_SHIFT_DEBUG", "1")
    assert main.run(args) == 1
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_before_anything_is_sent_ends_with_130(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """While a file is read, or at the question."""
    monkeypatch.setattr(
        "moveworks_shift_async.cli.send.make_plan", lambda *_: signal.raise_signal(signal.SIGINT)
    )
    assert main.run([*SEND, "--recipients", "-"]) == 130
    assert "interrupted. This command sent nothing." in capsys.readouterr().err


def test_ctrl_c_while_the_event_loop_is_made_ends_as_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """No traceback of half a loop, and no word of a coroutine that nobody awaited."""
    unraisable: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", unraisable.append)
    pair = socket.socketpair

    def pressed() -> tuple[socket.socket, socket.socket]:
        signal.raise_signal(signal.SIGINT)
        return pair()

    monkeypatch.setattr("socket.socketpair", pressed)
    assert main.run(["status", str(tmp_path / "journal")]) == 130
    gc.collect()
    assert capsys.readouterr().err.strip() == INTERRUPTED
    assert not unraisable


def test_who_leaves_at_once_removes_what_was_written(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """The second Ctrl-C does not wait for a thread, but nobody's addresses stay on the disk."""
    codes: list[int] = []
    monkeypatch.setattr("os._exit", codes.append)

    async def press_twice() -> None:
        with signals.cancel_on_signal():
            for _ in range(2):
                signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(60)

    with temporary_journal() as journal:
        Path(journal).write_text("addresses", "utf-8")
        with pytest.raises(click.Abort):
            asyncio.run(press_twice())
        assert not Path(journal).parent.exists()
    assert codes == [130]
    assert "interrupted" in capsys.readouterr().err


def test_a_temporary_journal_that_is_lost_leaves_people_unknown() -> None:
    """There is nothing to resume, and nobody must send again without looking."""
    lost = errors.JournalError("journal was moved while its job ran; go on with that very file")
    with pytest.raises(errors.OutcomeUnknown) as unknown, temporary_journal():
        raise errors.JobStopped(f"the job stopped: {lost}", cause=lost)
    line = error_line(unknown.value)
    assert exit_code(unknown.value) == 4
    assert "resume" not in line
    assert line.startswith("Error: the job stopped: journal was moved while its job ran; make room")
    assert "may have been processed or not. Find out whether it arrived before you send" in line


@pytest.mark.parametrize("kind", ["parquet", "xlsx"])
def test_tables_that_are_no_text_are_recipients_too(kind: str, tmp_path: Path, capsys: Any) -> None:
    """Known by their content; invalid rows are named by their numbers."""
    path = tmp_path / "staff"
    if kind == "parquet":
        parquet.write_table(pyarrow.table({"mail": ["a@example.com", "x", "A@example.com"]}), path)
    else:
        book = openpyxl.Workbook()
        for row in (["mail"], ["a@example.com"], ["x"], ["A@example.com"]):
            book.worksheets[0].append(row)
        book.save(path)
    assert main.run([*SEND, "--recipients", str(path), "--dry-run"]) == 0
    err = capsys.readouterr().err
    assert '3 rows, column "mail"' in err
    assert "1 person; left out: 1 duplicate, 1 invalid row" in err
    assert f"line {2 if kind == 'parquet' else 3}: no @" in err


# --- the settings -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "url"),
    [
        ([], "https://env.example"),
        (["--region", "eu"], Region.EU),
        (["--base-url", "https://typed.example"], "https://typed.example"),
    ],
)
def test_what_is_typed_wins_over_the_environment(
    args: list[str], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A typed region beats the base URL of the environment, and the other way round."""
    monkeypatch.setenv("MOVEWORKS_BASE_URL", "https://env.example")
    monkeypatch.setenv("MOVEWORKS_API_KEY", "key")
    assert _settings(args).base_url == url


def test_a_typed_url_wins_over_the_region_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The credential is still the environment's, and a rate is what was typed."""
    monkeypatch.setenv("MOVEWORKS_REGION", "EU")
    monkeypatch.setenv("MOVEWORKS_CLIENT_ID", "id")
    monkeypatch.setenv("MOVEWORKS_CLIENT_SECRET", "secret")
    args = ["--base-url", "https://x.example", "--share", "0.5", "--requests-per-minute", "60"]
    settings = _settings(args)
    assert settings.base_url == "https://x.example"
    assert settings.rate_limit == RateLimit(requests=60, share=0.5)
    assert settings.credentials.client_id == "id"  # type: ignore[union-attr]


def _settings(args: list[str]) -> MoveworksSettings:
    found: list[MoveworksSettings] = []

    @click.command()
    @shared_options.server_options
    @shared_options.rate_options
    @click.pass_context
    def command(context: click.Context, /, **_: Any) -> None:
        found.append(shared_options.moveworks_settings(context))

    command.main(args, standalone_mode=False)
    return found[0]


# --- failures -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidInput("x"), 2),
        (errors.ConfigurationError("x"), 2),
        (errors.NotAuthenticated("x", status=401), 5),
        (errors.ConnectionFailed("x"), 5),
        (errors.TokenUnavailable("x"), 5),
        (errors.ClientClosed("x"), 5),
        (errors.BadRequest("x", status=400), 3),
        (errors.NotAllowed("x", status=403), 5),
        (errors.NotFound("x", status=404), 5),
        (errors.RateLimited("x", status=429), 3),
        (errors.OutcomeUnknown("x"), 4),
        (errors.ServerFailed("x", status=500), 4),
        (errors.BadResponse("x"), 4),
    ],
)
def test_every_error_has_its_exit_code_and_its_line(error: MoveworksError, code: int) -> None:
    """Three sentences: what happened, whether it went out, what to do."""
    assert exit_code(error) == code
    assert re.fullmatch(r"Error: x\. [A-Z][^.]+\. [A-Z][^.]+\.", error_line(error))


def test_control_sequences_do_not_reach_the_terminal() -> None:
    """Neither escape sequences nor line ends nor texts that turn around pass."""
    evil = "\x1b]0;title\x07 red\x1b[31m\r\nnew\u202eline [bold]\x9b2J\udcff"
    assert one_line(evil) == "?]0;title? red?[31m new?line [bold]?2J?"
    assert "\x1b" not in error_line(errors.BadRequest(evil, status=400))


async def test_a_servers_control_sequences_are_made_harmless(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """The text of the auth test and of an error are printed without them, and as they are."""
    texts = iter([(200, "ok \x1b[2J[red]"), (400, "no \x1b[2J[/red]")])

    async def answer(_: web.BaseRequest) -> web.Response:
        status, text = next(texts)
        return web.json_response({"message": text}, status=status)

    server = web.Server(answer)
    runner = web.ServerRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    monkeypatch.setenv("MOVEWORKS_API_KEY", "key")
    monkeypatch.setenv("MOVEWORKS_BASE_URL", f"http://127.0.0.1:{port}")
    codes = [await _in_thread(["auth", "test"]) for _ in range(2)]
    await runner.cleanup()
    captured = capsys.readouterr()
    assert codes == [0, 3]
    assert captured.out == "ok ?[2J[red]\n"
    assert "no ?[2J[/red]" in captured.err


async def test_waiting_for_the_limit_is_no_silence_of_the_server(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Commands at once may take the last slot from a question; it is asked when there is one."""
    monkeypatch.setattr(preflight, "SECONDS_TRIED", 0.05)
    async with MoveworksClient(
        ApiKey(sandbox.api_key), base_url=sandbox.url, rate_limit=RateLimit(requests=1)
    ) as client:
        slot = await client.gate.acquire(math.inf, "normal")
        rounds, asked_once = [0], AuthEndpoint.test

        async def counted(auth: AuthEndpoint, *, once: bool) -> str:
            rounds[0] += 1
            return await asked_once(auth, once=once)

        monkeypatch.setattr(AuthEndpoint, "test", counted)
        asking = asyncio.create_task(preflight.ask(client))
        await until(lambda: rounds[0] > 3)  # longer than the server's silence may last
        assert capsys.readouterr().err == "waiting for the rate limit\n"
        monkeypatch.setattr(preflight, "SECONDS_TRIED", 60.0)
        so_far = rounds[0]
        await until(lambda: rounds[0] > so_far)  # this one has a minute
        client.gate.release(slot, counted=False)
        assert await asking == "Auth tested successfully"
    assert sandbox.stats().requests == 1


@pytest.mark.parametrize(("used", "requests", "asks"),
                         [(0, 9, 1), (0, 10, 0), (0, 11, 1), (4, 5, 1), (4, 6, 0)])  # fmt: skip
async def test_the_question_takes_no_place_from_a_message(
    sandbox: Sandbox, used: int, requests: int, asks: int
) -> None:
    """Ten places a window, `used` of them taken: the last one that is free is for a message."""
    async with MoveworksClient(
        ApiKey(sandbox.api_key), base_url=sandbox.url, rate_limit=RateLimit(requests=10)
    ) as client:
        client.gate.observed([0.0] * used)
        await preflight.check_server(client, requests)
    assert sandbox.stats().requests == asks


async def test_a_server_that_is_silent_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It took the request and says nothing: that is no connection to rely on."""
    monkeypatch.setattr(preflight, "SECONDS_TRIED", 0.2)
    async with (
        Sandbox(latency=600.0) as silent,
        MoveworksClient(ApiKey(silent.api_key), base_url=silent.url) as client,
    ):
        host = silent.url.removeprefix("http://")
        with pytest.raises(errors.ConnectionFailed, match=f"no answer from {host} within 0 s"):
            await preflight.ask(client)


async def _in_thread(args: list[str]) -> int:
    return await asyncio.to_thread(main.run, args)


# --- the end of a send --------------------------------------------------------------------


def failure(error: MoveworksError | None, index: int = 0) -> Failure:
    """A chunk of one person that ended with this error."""
    error = error or errors.NotSent("not sent: interrupted")
    return Failure(
        index=index,
        outcome=error.outcome,
        kind=type(error),
        message=str(error),
        requests=0,
        recipients=(f"p{index}@example.com",),
    )


REJECTED = failure(errors.BadRequest("bad", status=400))
UNKNOWN = failure(errors.OutcomeUnknown("sent, but no usable answer; told or not told"), 1)
NOT_SENT = failure(None, 3)
ROW = InvalidLine(line=7, reason="no @")
RUN = Run(id="a", pid=1, host="vendor", began_at=0, ended_at=1, ended="done", budget=1, per=1)


def sent(*failures: Failure, accepted: int = 0) -> SendAccount:
    """The account of a send with these failures, one duplicate and one invalid row."""
    known = {"accepted": accepted, "not_sent": len(failures)}
    account = job_account(**known, duplicates=1, invalid=1, requests=3)
    began = account.read_at - timedelta(seconds=4.25)
    return SendAccount(
        run=RunResult(account=evolve(account, began_at=began), interrupted=False, stopped=None),
        failures=failures,
        invalid=(ROW,),
    )


def test_the_text_report_has_a_line_for_each_kind_and_no_address(capsys: Any) -> None:
    """What happened, whether they were told, what to do; then how to get the addresses."""
    conclude(sent(REJECTED, UNKNOWN, NOT_SENT, accepted=2), None, as_json=False)
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [
        "rejected: 1 person: bad. They were not told. Correct what the server names, then try"
        " again.",
        "unknown: 1 person: sent, but no usable answer. They may have been told or not."
        " Find out whether it arrived before you send it again.",
        "not sent: 1 person: interrupted. They were not told. Send it to them again.",
        "invalid: 1 row left out. Nobody there was told. Correct and send those rows alone.",
        "not told: 2 people; told or not told: 1 person. With --json the account lists the"
        " addresses; to send the whole file again tells 2 people twice.",
    ]
    assert "3 requests, 0 answered 429, 4.2 s" in captured.out
    assert "example.com" not in captured.out + captured.err


def test_who_was_excluded_is_to_be_excluded_again(capsys: Any) -> None:
    """They stand among the lines of those who were not told."""
    account = sent(REJECTED, accepted=2)
    run = evolve(account.run, account=evolve(account.run.account, excluded=1))
    conclude(evolve(account, run=run), None, as_json=False)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.endswith("With these lines, exclude the same people again.")


def test_the_json_report_is_one_object_with_the_addresses(capsys: Any) -> None:
    """The table goes to stderr, the object is alone on stdout."""
    conclude(sent(UNKNOWN, accepted=2), None, as_json=True)
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {
        "accepted": 2, "rejected": 0, "unknown": 1, "not_sent": 0, "excluded": 0,
        "duplicates": 1, "invalid": 1, "invalid_rows": [{"line": 7, "reason": "no @"}],
        "requests": 3, "throttled": 0, "seconds": 4.25,
        "failures": [{"index": 1, "outcome": "unknown", "recipients": ["p1@example.com"],
                      "error": "OutcomeUnknown", "attempts": 0,
                      "message": "sent, but no usable answer; told or not told"}],
    }  # fmt: skip
    assert "entries read" in captured.err
    assert '"failures" in the JSON object' in captured.err
    assert "example.com" not in captured.err


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (errors.JournalError("the disk of /tmp/x is full; make room, then resume the job"),
         "not sent: the disk of /tmp/x is full; make room there, or name another directory in"
         " TMPDIR"),
        (errors.NotFound("HTTP 404", status=404), "not sent: HTTP 404"),
        (None, "not sent: interrupted"),
    ],
)  # fmt: skip
async def test_the_rest_is_told_by_what_ended_the_send(
    cause: MoveworksError | None, said: str, tmp_path: Path
) -> None:
    """Nobody is advised to resume a journal that is about to be removed."""
    await Job.plan(tmp_path / "j", ["a@example.com"], message="Hi", legacy=True)
    job = Job(tmp_path / "j")
    stopped = None if cause is None else errors.JobStopped(f"the job stopped: {cause}", cause=cause)
    account = evolve(await job.account(), runs=(RUN,))
    ended = await read_send(job, RunResult(account=account, interrupted=True, stopped=stopped))
    (rest,) = ended.failures
    assert (rest.outcome, rest.kind, rest.message) == (
        errors.Outcome.NOT_SENT,
        errors.NotSent,
        said,
    )
    unbegun = evolve(ended.run, account=evolve(account, runs=()))
    (failed,) = (await read_send(job, unbegun)).failures
    assert failed.kind is type(cause or errors.NotSent(""))


def test_a_result_that_cannot_be_written_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """A full disk under stdout is no silent loss of the account."""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        terminal.say("x" * 100_000)
        assert sys.stdout is not full
        monkeypatch.undo()
    err = capsys.readouterr().err
    assert "could not be written: No space left on device" in err
    assert err.endswith("All else was done; the exit code says how it ended.\n")


@pytest.mark.parametrize("command", ["status", "report", "--version"])
def test_a_command_that_only_shows_fails_if_it_cannot(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Whoever reads its exit code has no account; what was planned or sent keeps its own code."""
    asyncio.run(Job.plan(tmp_path / "j", ["a@example.com"], message="Hi", legacy=True))
    with io.FileIO("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(full, write_through=True))
        args = [command] if command == "--version" else [command, str(tmp_path / "j")]
        assert main.run(args) == 2
        monkeypatch.undo()
    said = "Error: the result could not be written: No space left on device.\n"
    assert capsys.readouterr().err == said


def test_standard_input_may_be_closed(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """A usage error like any other file that cannot be read."""
    monkeypatch.setattr(sys, "stdin", None)
    assert main.run([*SEND, "--recipients", "-"]) == 2
    assert "standard input cannot be read: it is closed" in capsys.readouterr().err


def test_a_stderr_that_is_gone_is_met_with_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Notes are lost, the command goes on."""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stderr", full)
        terminal.note("x" * 100_000)
        terminal.note("again")
        monkeypatch.undo()


def test_a_missing_click_or_rich_is_explained(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """Before anything is imported; Ctrl-C while importing ends with 130."""
    monkeypatch.setitem(sys.modules, "rich", None)
    with pytest.raises(SystemExit, match="2"):
        __main__.main()
    assert "needs rich, which is not installed. Nothing was sent." in capsys.readouterr().err
    monkeypatch.undo()

    class Interrupted:
        def __getattr__(self, name: str) -> None:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "moveworks_shift_async.cli.main", Interrupted())
    with pytest.raises(SystemExit, match="130"):
        __main__.main()


def test_the_demo_notices_an_account_that_is_wrong() -> None:
    """Told twice, or another number than the client's, is said and is a failure."""
    good = demo._Check(told=2, told_again=0, agrees=True)
    assert good.line() == "The sandbox was told 2 people, each once."
    assert "more than once" in demo._Check(told=2, told_again=1, agrees=True).line()
    bad = demo._Check(told=2, told_again=0, agrees=False)
    assert "another account" in bad.line()
    fine = RunResult(account=job_account(accepted=2), interrupted=False, stopped=None)
    assert demo._exit_code(fine, bad) is ExitCode.DEFECT
    assert demo._exit_code(fine, good) is ExitCode.OK
    failed = RunResult(account=job_account(accepted=2, rejected=1), interrupted=False, stopped=None)
    assert demo._exit_code(failed, good) is ExitCode.REJECTED


# --- the end of a job -----------------------------------------------------------------------


def job_account(**people: int) -> JobAccount:
    """The account of a job that has ended, with these people."""
    counts: dict[str, Any] = dict.fromkeys(
        ("accepted", "rejected", "unknown", "left_alone", "resent", "not_sent", "in_flight",
         "duplicates", "differing", "invalid", "texts", "chunks", "chunks_left", "requests",
         "throttled"), 0
    ) | people  # fmt: skip
    lists: dict[str, Any] = dict.fromkeys(("errors", "failures", "timeline", "events", "breaks",
                                           "runs", "at_work", "examples"), ())  # fmt: skip
    now = datetime(2026, 5, 14, tzinfo=UTC)
    return JobAccount(
        journal="j", source="people.csv", event_id=None, complete=True, planned_at=now, read_at=now,
        began_at=now, ended_at=now, running=False, paused=False, finished=True,
        people=sum(people.get(name, 0) for name in ("accepted", "rejected", "unknown", "not_sent")),
        **counts, **lists,
    )  # fmt: skip


def test_a_job_that_waits_after_a_429_says_until_when() -> None:
    """While it is at work, and until that moment."""
    throttled = TimelineEvent(incident=Incident.THROTTLED, after=10.0, seconds=60.0)
    waiting = evolve(job_account(not_sent=1), events=(throttled,), running=True, ended_at=None)
    (said,) = waits_for(waiting)
    assert said.endswith("nothing is sent until 2026-05-14 00:01:10 UTC.")
    later = evolve(waiting, read_at=waiting.read_at + timedelta(seconds=70))
    assert waits_for(later) == waits_for(evolve(waiting, running=False)) == ()


PROGRESS = JobProgress(
    total=1, told=0, rejected=0, unknown=0, requests=0, throttled=0, last_minute=0,
    allowed_a_minute=120.0, finished=False, elapsed=0.0, left=None, why="",
)  # fmt: skip
REFUSED_KEY = errors.NotAuthenticated("HTTP 401", status=401)


@pytest.mark.parametrize(
    ("people", "cause", "interrupted", "code"),
    [
        ({"accepted": 9}, None, False, 0),
        ({"accepted": 9, "rejected": 1}, None, False, 3),
        ({"accepted": 9, "not_sent": 1}, None, False, 3),
        ({"rejected": 9, "invalid": 1}, None, False, 3),
        ({"accepted": 9, "invalid": 1}, None, False, 0),
        ({"accepted": 9, "unknown": 1, "rejected": 1}, None, False, 4),
        ({"accepted": 9, "unknown": 1, "left_alone": 1}, None, False, 4),
        ({"not_sent": 9}, REFUSED_KEY, False, 5),
        ({"not_sent": 9}, errors.NotFound("HTTP 404", status=404), False, 5),
        ({"not_sent": 9}, errors.JournalError("the disk is full"), False, 2),
        ({"not_sent": 8, "rejected": 1}, REFUSED_KEY, False, 5),
        ({"not_sent": 8, "accepted": 1}, REFUSED_KEY, False, 3),
        ({"not_sent": 8, "unknown": 1}, REFUSED_KEY, False, 4),
        ({"accepted": 9}, None, True, 130),
        ({"not_sent": 9}, REFUSED_KEY, True, 130),
    ],
)
def test_the_exit_code_of_a_job_is_the_worst_that_is_true(
    people: dict[str, int], cause: MoveworksError | None, interrupted: bool, code: int
) -> None:
    """Who was left alone stays unknown; where nobody was told, what stopped it decides."""
    stopped = None if cause is None else errors.JobStopped("the job stopped", cause=cause)
    worked = RunResult(account=job_account(**people), interrupted=interrupted, stopped=stopped)
    assert worked.exit_code() == code


@pytest.mark.parametrize(
    "people",
    [
        {"accepted": 9},
        {"accepted": 9, "rejected": 1},
        {"accepted": 9, "not_sent": 1},
        {"accepted": 9, "unknown": 1},
        {"accepted": 9, "unknown": 1, "left_alone": 1},
    ],
)
def test_the_account_in_words_agrees_with_the_exit_code(people: dict[str, int]) -> None:
    """Only where it is 0 all were accepted, and nothing is said of others; else it names them."""
    account = evolve(job_account(**people), runs=(RUN,))
    code = RunResult(account=account, interrupted=False, stopped=None).exit_code()
    assert headline(account).startswith("All 9 people were accepted") is (code == 0)
    assert bool(others(account)) is (code != 0)
    assert ("1 unknown (they may have been told or not)" in others(account)) is (code == 4)


def test_no_journals_error_says_that_a_job_sent_nothing() -> None:
    """It may have told many before; and nobody is advised to send to them again."""
    line = error_line(errors.JournalError("j is damaged"))
    assert line == "Error: j is damaged. This command sent nothing."
    assert "stop" in error_line(errors.JobRunning("another process works on j just now"))
    stopped = errors.JobStopped("the job stopped: no disk", cause=errors.JournalError("no disk"))
    assert stopped_line(stopped, "a j", nobody=False) == (
        "Error: the job stopped: no disk. Everything that was accepted stays so."
        " Go on with: moveworks-shift resume 'a j'"
    )


@pytest.fixture
def handlers() -> Iterator[None]:
    """What a run leaves of the signals' handlers is put back."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("sent", [0, 1])
@pytest.mark.usefixtures("handlers")
async def test_a_journal_that_fails_is_told_by_what_went_out(
    sent: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first request nothing was sent; after it the job has stopped."""
    await Job.plan(tmp_path / "j", ["a@example.com"], message="Hi", legacy=True)
    monkeypatch.setenv("MOVEWORKS_API_KEY", "key")
    job, settings = Job(tmp_path / "j"), _settings([])

    async def run(_: object, on_progress: OnProgress) -> JobAccount:
        for requests in (7, 7 + sent):
            on_progress(evolve(PROGRESS, requests=requests))
        raise errors.JournalError("the disk is full")

    if not sent:
        with pytest.raises(errors.JournalError, match="the disk is full"):
            await run_in_foreground(job, settings, run, as_json=False)
        return
    worked = await run_in_foreground(job, settings, run, as_json=False)
    assert str(worked.stopped) == "the job stopped: the disk is full"
    assert worked.exit_code() == 2  # by the journal nobody was told
    (tmp_path / "j").unlink()
    with pytest.raises(errors.JobStopped) as stopped:
        await run_in_foreground(job, settings, run, as_json=False)
    assert exit_code(stopped.value) == 4
    assert "Everything that was accepted stays so." in error_line(stopped.value)


def test_a_job_for_no_event_is_not_just_resumed() -> None:
    """The event stands in its journal, so a wrong one needs another plan."""
    cause = errors.NotFound("HTTP 404", status=404)
    line = stopped_line(errors.JobStopped("HTTP 404", cause=cause), "j", nobody=True)
    assert "Nobody was told. If the event id is wrong, plan a new job; if not," in line


# --- words --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (4.25, "4.2 s"), (5.0, "5 s"), (59.7, "1 min"), (125, "2 min 05 s"),
     (3720, "1 h 02 min")],
)  # fmt: skip
def test_durations_read_well(seconds: float, words: str) -> None:
    """No unit that is too small for its number."""
    assert duration(seconds) == words


def test_rates_read_well() -> None:
    """A minute by name, any other window in seconds."""
    assert rate(RateLimit()) == "120 requests a minute"
    assert rate(RateLimit(requests=1, per=2.5)) == "1 request every 2.5 s"


def test_a_context_file_is_passed_on_as_it_is(tmp_path: Path) -> None:
    """Any JSON object, as it stands."""
    path = tmp_path / "context.json"
    path.write_text('{"slots": {"a": 1}}')
    assert input_files.read_object(str(path)) == {"slots": {"a": 1}}


def test_a_message_file_may_start_with_a_byte_order_mark(tmp_path: Path) -> None:
    """The mark is no part of the message."""
    path = tmp_path / "message.html"
    path.write_bytes("﻿<b>Grüße</b>".encode())
    assert input_files.read_text(str(path)) == "<b>Grüße</b>"


def test_failures_are_found_again_by_their_lines(tmp_path: Path) -> None:
    """Neighbouring chunks are one span; where there is no file, or another one, no lines are."""
    people = [f"p{number}@example.com" for number in range(60)]
    path = tmp_path / "staff.csv"
    path.write_text("\n".join(["Email", *(f" {one.upper()}" for one in people), people[0]]))
    file = partial(open_recipients, path)

    def chunks(*indexes: int) -> list[tuple[int, tuple[str, ...]]]:
        return [(index, tuple(people[index * 2 : index * 2 + 2])) for index in indexes]

    assert lines_of(file, chunks(0, 1, 4)) == "lines 2 to 5, 10 to 11"
    assert lines_of(file, []) == ""
    assert lines_of(None, chunks(0)) == ""
    many = lines_of(file, chunks(*range(0, 24, 2)))
    assert many.endswith("34 to 35, 38 to 39, and more")
    path.write_text("Email\nelse@example.com\n")
    assert lines_of(file, chunks(0)) == ""
    path.write_bytes(b"\0")
    assert lines_of(file, chunks(0)) == ""


def test_a_resolver_without_an_answer_holds_up_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can stop it, so a command ends while it still looks."""
    looking, answered = threading.Event(), threading.Event()

    def hangs(*_: object, **__: object) -> list[object]:
        looking.set()
        answered.wait()
        return []

    async def connects() -> str:
        lookup = asyncio.create_task(asyncio.get_running_loop().getaddrinfo("a.example.com", 443))
        await asyncio.to_thread(looking.wait)
        lookup.cancel()
        return "given up"

    monkeypatch.setattr("socket.getaddrinfo", hangs)
    assert signals.run_loop(connects()) == "given up"
    assert not answered.is_set()
    answered.set()


def test_names_are_found_and_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """As by any other loop."""

    async def looks(host: str) -> Any:
        return await asyncio.get_running_loop().getaddrinfo(host, 80, type=socket.SOCK_STREAM)

    assert signals.run_loop(looks("127.0.0.1"))[0][4] == ("127.0.0.1", 80)
    refused = Mock(side_effect=socket.gaierror(socket.EAI_NONAME, "not known"))
    monkeypatch.setattr("socket.getaddrinfo", refused)
    with pytest.raises(socket.gaierror):
        signals.run_loop(looks("nowhere.example.com"))
